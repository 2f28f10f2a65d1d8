//! What watching a camera costs: ajard in each of its modes, and a peer that works as Frigate does, on the same
//! live stream one after the other, in rounds. README.md says how to read it.
//!
//! `make bench-capture`, or `cargo bench --bench capture -- [--rounds N] [--seconds N, at most 20] [--streams 1280x720p5/2,...]`

#[path = "../../tests/support/cli.rs"]
mod cli;
mod events;
mod latency;
#[path = "../../tests/support/mosquitto.rs"]
mod mosquitto;
#[path = "../../tests/support/rtsp.rs"]
mod rtsp;
#[path = "../../tests/support/scene.rs"]
mod scene;

use rtsp::Rtsp;
use scene::Scene;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Time in which a program connects, loads its model and has taken its first six looks, whose pictures it keeps.
const SETTLING: Duration = Duration::from_secs(56);
/// What cameras are set to by their makers: 2 Mbit/s for 720p at 15 frames a second.
const BITS_PER_PIXEL: f64 = 0.15;
const CLIP: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
/// Where nothing happens in the clip, and where somebody walks most of the time.
const CALM: [f64; 4] = [0.39, 0.0, 0.62, 0.22];
const BUSY: [f64; 4] = [0.3, 0.3, 0.7, 0.9];

const STREAMS: &str = "640x360p5/2,1280x720p5/1,1280x720p5/2,1280x720p5/4,1280x720p15/1,1280x720p15/2,1280x720p15/4,1920x1080p15/2";
/// The stream of the last line.
const REFERENCE: &str = "1280x720p5/2";

/// Something that watches the stream.
struct Runner {
    name: &'static str,
    mode: Mode,
    crop: [f64; 4],
}

#[derive(Clone, Copy)]
enum Mode {
    Peer,
    Ajard { decode: &'static str, motion: bool },
}

const RUNNERS: [Runner; 6] = [
    Runner { name: "peer", mode: Mode::Peer, crop: CALM },
    Runner { name: "all", mode: Mode::Ajard { decode: "all", motion: true }, crop: CALM },
    Runner { name: "auto", mode: Mode::Ajard { decode: "auto", motion: true }, crop: CALM },
    Runner { name: "auto, something moves", mode: Mode::Ajard { decode: "auto", motion: true }, crop: BUSY },
    Runner { name: "keyframes", mode: Mode::Ajard { decode: "keyframes", motion: true }, crop: CALM },
    Runner { name: "interval", mode: Mode::Ajard { decode: "auto", motion: false }, crop: CALM },
];

struct Stream {
    width: u32,
    height: u32,
    fps: u32,
    /// Seconds from one keyframe to the next.
    keyframe_interval: u32,
}

impl Stream {
    /// `1280x720p5/2`.
    fn parse(text: &str) -> Option<Stream> {
        let (size, rest) = text.split_once('p')?;
        let (width, height) = size.split_once('x')?;
        let (fps, interval) = rest.split_once('/')?;
        let number = |text: &str| text.parse().ok();
        Some(Stream {
            width: number(width)?,
            height: number(height)?,
            fps: number(fps)?,
            keyframe_interval: number(interval)?,
        })
    }

    /// The clip, live and again and again.
    fn serve(&self, clip: &Path) -> Rtsp {
        let clip = clip.display();
        Rtsp::serve(&format!(
            "( filesrc location=\"{clip}\" ! matroskademux ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96 )"
        ))
    }

    /// Encodes the clip once, as the camera would.
    fn film(&self, path: &Path, seconds: u64) {
        let Stream { width, height, fps, keyframe_interval } = self;
        let keyframes = fps * keyframe_interval;
        let bitrate = f64::from(width * height * fps) * BITS_PER_PIXEL / 1000.0;
        let buffers = u64::from(*fps) * seconds;
        let text = format!(
            "filesrc location={CLIP} ! decodebin ! videoconvert ! videoscale ! videorate ! \
             video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 ! identity eos-after={buffers} ! \
             x264enc bitrate={bitrate:.0} speed-preset=veryfast tune=zerolatency key-int-max={keyframes} ! h264parse ! \
             matroskamux ! filesink location={}",
            path.display()
        );
        let status = Command::new("gst-launch-1.0").args(["-q", "-e"]).args(text.split_whitespace()).status();
        assert!(status.expect("gst-launch-1.0").success());
    }
}

/// CPU time of a process and its children, and its memory.
#[derive(Clone, Copy, Default)]
struct Cost {
    ms_per_minute: f64,
    rss_mb: f64,
}

fn main() {
    let options: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let option = |name: &str, default: &str| {
        let at = options.iter().position(|option| option == name);
        at.and_then(|at| options.get(at + 1)).map_or(default, String::as_str).to_string()
    };
    let rounds: usize = option("--rounds", "3").parse().expect("--rounds: a number");
    let seconds: u64 = option("--seconds", "20").parse().expect("--seconds: a number");
    let streams = option("--streams", STREAMS);
    let counts = option("--cameras", "1,4,16");
    let only = option("--only", "");
    let peer = std::env::var_os("AJAR_PEER").map(PathBuf::from);
    if peer.is_none() {
        println!("skipped: the peer; `make bench-capture` sets it up");
    }
    gstreamer::init().expect("GStreamer");
    let scene = Scene::new();
    let mut last = LastLine::default();
    if only == "latency" {
        return latency::print(&scene, rounds);
    }
    for text in streams.split(',') {
        let stream = Stream::parse(text).unwrap_or_else(|| panic!("{text}: want WIDTHxHEIGHTpFPS/SECONDS"));
        let clip = scene.sandbox.path("clip.mkv");
        stream.film(&clip, (seconds + SETTLING.as_secs() + 4).min(78));
        let mut costs: BTreeMap<&str, Vec<Cost>> = BTreeMap::new();
        for _ in 0..rounds {
            for Runner { name, mode, crop } in RUNNERS.into_iter().filter(|r| r.name.starts_with(&only)) {
                let server = stream.serve(&clip);
                let cost = match (mode, &peer) {
                    (Mode::Ajard { decode, motion }, _) => {
                        let setting = Setting { decode, motion, crop, cameras: 1 };
                        Some(ajard(&scene, &stream, &server.url, setting, seconds))
                    }
                    (Mode::Peer, Some(peer)) => Some(run_peer(peer, &stream, &server.url, crop, seconds)),
                    (Mode::Peer, None) => None,
                };
                costs.entry(name).or_default().extend(cost);
            }
        }
        print(text, &costs);
        if text == REFERENCE {
            last.costs = costs;
            last.slope = many(&scene, &stream, &clip, &counts, seconds);
        }
    }
    if only.is_empty() {
        (last.missed, last.events) = events::missed(&scene);
        latency::print(&scene, rounds);
    }
    last.print();
}

/// What more cameras on one process cost; MB for each further one.
fn many(scene: &Scene, stream: &Stream, clip: &Path, counts: &str, seconds: u64) -> Option<f64> {
    println!("cameras on one process, auto: CPU ms a minute, RSS MB");
    let mut points = Vec::new();
    for count in counts.split(',').filter_map(|count| count.parse().ok()) {
        let server = stream.serve(clip);
        let setting = Setting { decode: "auto", motion: true, crop: CALM, cameras: count };
        let Cost { ms_per_minute, rss_mb } = ajard(scene, stream, &server.url, setting, seconds);
        println!("  {count:24} {ms_per_minute:8.0}  {rss_mb:14.1}");
        points.push((count as f64, rss_mb));
    }
    let ((one, first), (most, last)) = (points.first()?, points.last()?);
    (most > one).then(|| (last - first) / (most - one))
}

/// What the bench comes to.
#[derive(Default)]
struct LastLine {
    costs: BTreeMap<&'static str, Vec<Cost>>,
    slope: Option<f64>,
    missed: usize,
    events: usize,
}

impl LastLine {
    fn print(&self) {
        let of = |name, what| median(&self.costs, name, what);
        let cpu: fn(&Cost) -> f64 = |cost| cost.ms_per_minute;
        let ratio = |name| Some(of(name, cpu)? / of("peer", cpu)?);
        let (Some(auto), Some(interval), Some(rss), Some(slope)) =
            (ratio("auto"), ratio("interval"), of("auto", |cost| cost.rss_mb), self.slope)
        else {
            return println!("bench-capture: not all of it was run");
        };
        println!(
            "bench-capture: auto {auto:.2} x peer, interval {interval:.2} x, RSS {rss:.0} MB, +{slope:.1} MB a camera, \
             missed {} of {} events",
            self.missed, self.events
        );
    }
}

fn median(costs: &BTreeMap<&str, Vec<Cost>>, name: &str, of: fn(&Cost) -> f64) -> Option<f64> {
    let mut values: Vec<f64> = costs.get(name).into_iter().flatten().map(of).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn print(stream: &str, costs: &BTreeMap<&str, Vec<Cost>>) {
    let median = |name: &str, of: fn(&Cost) -> f64| median(costs, name, of);
    let reference = median("peer", |cost| cost.ms_per_minute).or(median("all", |cost| cost.ms_per_minute));
    println!("\n{stream}: CPU ms a minute of stream, ratio, RSS MB");
    for Runner { name, .. } in RUNNERS {
        let Some(ms) = median(name, |cost| cost.ms_per_minute) else { continue };
        let rss = median(name, |cost| cost.rss_mb).unwrap_or_default();
        println!("  {name:24} {ms:8.0}  {:6.3}  {rss:6.1}", ms / reference.unwrap_or(ms));
    }
}

/// What is asked of `ajard`.
struct Setting {
    decode: &'static str,
    motion: bool,
    crop: [f64; 4],
    cameras: usize,
}

fn ajard(scene: &Scene, stream: &Stream, url: &str, setting: Setting, seconds: u64) -> Cost {
    let Stream { width, height, .. } = stream;
    let Setting { decode, motion, crop, cameras } = setting;
    let (store, keys) = (scene.sandbox.path("store"), scene.sandbox.path("k"));
    // What a model of something else says is not worth a verification: all of it is `ambiguous`.
    let mut text = format!(
        "[device]\nid = \"bench\"\nstore = {store:?}\ntrusted_keys = {keys:?}\ncontrol_socket = \"\"\ntrial = {{ attempts = 1, minutes = 0 }}\n\
         [classification.custom.lamp]\nmax_distance = 1000.0\nthreshold = 1.0\n\
         [classification.custom.lamp.state_config]\ninterval = 10\nmotion = {motion}\n"
    );
    for camera in 0..cameras {
        text += &format!(
            "[cameras.hall{camera}]\nsource = {url:?}\ndecode = {decode:?}\nframe_size = [{width}, {height}]\n\
             [classification.custom.lamp.state_config.cameras.hall{camera}]\ncrop = {crop:?}\n"
        );
    }
    let config = scene.sandbox.write("config.toml", text);
    let mut command = scene.sandbox.command(cli::AJARD);
    command.arg("run").arg("--config").arg(config);
    if let Some(level) = std::env::var_os("AJAR_BENCH_LOG") {
        command.env("RUST_LOG", level);
    }
    measure(command, seconds)
}

fn run_peer(peer: &Path, stream: &Stream, url: &str, crop: [f64; 4], seconds: u64) -> Cost {
    let mut command = Command::new(peer);
    let crop = crop.map(|edge| edge.to_string()).join(",");
    let (width, height, fps) = (stream.width.to_string(), stream.height.to_string(), stream.fps.to_string());
    command.args([url, &width, &height, &fps, &crop]);
    measure(command, seconds)
}

/// Runs a program until it has settled, and then for so long; gives what that cost.
fn measure(mut command: Command, seconds: u64) -> Cost {
    let log = if std::env::var_os("AJAR_BENCH_LOG").is_some() { Stdio::inherit() } else { Stdio::null() };
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("a program");
    std::thread::sleep(SETTLING);
    let (before, threads_before) = (cpu_ms(&child), threads(&child));
    std::thread::sleep(Duration::from_secs(seconds));
    assert!(
        child.try_wait().expect("a child").is_none(),
        "it ended by itself: AJAR_BENCH_LOG=info shows why"
    );
    let used = cpu_ms(&child) - before;
    let rss_mb = family(&child).into_iter().map(rss_mb).sum();
    if std::env::var_os("AJAR_BENCH_THREADS").is_some() {
        for (name, ms) in threads(&child) {
            let ms = ms - threads_before.get(&name).copied().unwrap_or_default();
            println!("    {name:24} {:7.1} ms a minute", ms * 60.0 / seconds as f64);
        }
    }
    // Not killed: the peer ends its own child.
    let _ = Command::new("kill").arg(child.id().to_string()).status();
    let _ = child.wait();
    Cost { ms_per_minute: used * 60.0 / seconds as f64, rss_mb }
}

/// The process and its children.
fn family(child: &Child) -> Vec<u32> {
    let id = child.id();
    let tasks = fs::read_dir(format!("/proc/{id}/task")).expect("a running program").flatten();
    let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|text| text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect();
    std::iter::once(id).chain(children).collect()
}

fn cpu_ms(child: &Child) -> f64 {
    let of = |id: u32| {
        // Nanoseconds, for each thread.
        let tasks = fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().flatten();
        let times = tasks.filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok());
        times.filter_map(|text| text.split(' ').next()?.parse::<f64>().ok()).sum::<f64>() / 1e6
    };
    family(child).into_iter().map(of).sum()
}

/// CPU time of each thread so far, in ms, by its number and name.
fn threads(child: &Child) -> BTreeMap<String, f64> {
    let tasks = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    let one = |task: fs::DirEntry| {
        let read = |name: &str| fs::read_to_string(task.path().join(name)).unwrap_or_default();
        let used = read("schedstat").split(' ').next().and_then(|ns| ns.parse::<f64>().ok());
        (format!("{} {}", task.file_name().display(), read("comm").trim()), used.unwrap_or_default() / 1e6)
    };
    tasks.map(one).collect()
}

fn rss_mb(id: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: f64 = line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0.0);
    kib * 1024.0 / 1e6
}
