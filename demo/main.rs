//! `make demo`: the whole product on a real clip. A zone of a surveillance video is taught from the
//! clip's first part, then watched live over RTSP in the part nobody has seen, and compared with
//! what a person saw.

#[path = "../tests/support/mosquitto.rs"]
mod mosquitto;
mod plot;
mod result;
#[path = "../tests/support/rtsp.rs"]
mod rtsp;
mod video;

use anyhow::{Context, Result, bail, ensure};
use result::{Live, Outcome};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

const CLIP: &str = "/usr/share/doc/opencv-doc/examples/data/vtest.avi";
/// The zone in pixels of the clip's 768 x 576 frames.
const ZONE: &str = "170,130,330,310";
/// The model is taught before this second of the clip and watches after it.
const SPLIT: f64 = 34.5;
const END: f64 = 79.5;
const EVERY: &str = "0.2";

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let truth_file = root.join("demo/vtest-zone.tsv");
    let out = root.join("demo-out");
    fs::create_dir_all(&out)?;
    ensure!(Path::new(CLIP).is_file(), "{CLIP} is missing; scripts/install-deps installs opencv-doc");

    step("encoding the clip as a camera would: H.264, a keyframe every 2 s");
    let (taught, live) = (out.join("taught.mkv"), out.join("live.mkv"));
    video::encode(Path::new(CLIP), 0.0, SPLIT, &taught)?;
    video::encode(Path::new(CLIP), SPLIT, END, &live)?;

    step("cutting labelled pictures of the zone out of the first part");
    let examples = out.join("examples");
    remove(&examples)?;
    let cut = ["cut", "--crop", ZONE, "--every", EVERY, "--timeline"];
    run(ajar().args(cut).arg(&truth_file).arg("--source").arg(&taught).arg("--out").arg(&examples))?;

    step("training, signing and deploying the model");
    let (keys, bundle, store) = (out.join("keys"), out.join("zone.ajb"), out.join("store"));
    for old in [&keys, &store] {
        remove(old)?;
    }
    run(ajar().args(["key", "new", "--no-password", "--out"]).arg(&keys))?;
    let train = ["train", "--name", "zone"];
    run(ajar()
        .args(train)
        .arg("--dataset")
        .arg(&examples)
        .arg("--key")
        .arg(&keys)
        .arg("--out")
        .arg(&bundle))?;
    run(ajar().arg("deploy").arg("--store").arg(&store).arg(&bundle))?;

    step("watching the rest live: RTSP camera, Mosquitto, ajard");
    let outcome = watch(&out, &live, &store, &keys)?;

    let truth = result::truth(&truth_file, &taught)?;
    let report = result::compare(&truth, &outcome, SPLIT, END);
    let pictures = out.join("changes");
    remove(&pictures)?;
    for (number, change) in report.published.iter().enumerate() {
        let name = format!("{number:02}_{}_{:.1}s.jpg", change.state, change.clip);
        frame_at(&live, change.clip - SPLIT, &pictures.join(name))?;
    }
    fs::write(out.join("timeline.svg"), plot::svg(&truth, &report, &outcome, SPLIT, END))?;
    println!("\n{}", report.table());
    println!("pictures: {}\nplot: {}", pictures.display(), out.join("timeline.svg").display());
    println!("{}", report.last_line(&outcome));
    Ok(())
}

/// Runs ajard against the stream until that ends.
fn watch(out: &Path, live: &Path, store: &Path, keys: &Path) -> Result<Outcome> {
    let camera = rtsp::Rtsp::serve_file(live);
    let broker = mosquitto::Mosquitto::start(out);
    let listener = mosquitto::Listener::connect(broker.port);
    let config = out.join("config.toml");
    fs::write(&config, config_text(&camera.url, broker.port, store, keys))?;
    let events = out.join("events.jsonl");
    remove(&events)?;
    let log = fs::File::create(out.join("ajard.log"))?;
    let mut command = Command::new(program("ajard"));
    command.arg("run").arg("--config").arg(&config).arg("--events").arg(&events);
    let mut ajard = Ajard(command.stdout(Stdio::null()).stderr(log).spawn().context("ajard")?);
    let started = Instant::now();
    let bar = indicatif::ProgressBar::new((END - SPLIT) as u64);
    let limit = Duration::from_secs_f64(END - SPLIT + 30.0);
    let live = loop {
        std::thread::sleep(Duration::from_millis(100));
        let live = Live::read(&events)?;
        if live.ended.is_some() {
            break live;
        }
        if let Some(status) = ajard.0.try_wait()? {
            bail!("ajard ended by itself ({status}); see {}", out.join("ajard.log").display());
        }
        ensure!(started.elapsed() < limit, "the stream did not end in {limit:?}; see {}", events.display());
        bar.set_position(started.elapsed().as_secs());
    };
    bar.finish_and_clear();
    let (cpu_ms, rss_mb) = usage(ajard.0.id())?;
    let minutes = started.elapsed().as_secs_f64() / 60.0;
    let topic = "ajar/demo/plaza/zone/state";
    let messages = listener.messages().into_iter().filter(|message| message.topic == topic);
    let states: Vec<(SystemTime, String)> = messages.map(|message| (message.time, message.payload)).collect();
    ensure!(!states.is_empty(), "nothing arrived on {topic}");
    Ok(Outcome { live, states, cpu_ms_per_minute: cpu_ms / minutes, rss_mb })
}

fn config_text(url: &str, port: u16, store: &Path, keys: &Path) -> String {
    format!(
        "[device]\nid = \"demo\"\nstore = {store:?}\ntrusted_keys = {keys:?}\n\n\
         [mqtt]\nhost = \"127.0.0.1\"\nport = {port}\n\n\
         [cameras.plaza]\nsource = \"{url}\"\nframe_size = [768, 576]\n\n\
         [classification.custom.zone.state_config]\nmotion = true\ninterval = 10\n\n\
         [classification.custom.zone.state_config.cameras.plaza]\ncrop = [{ZONE}]\n"
    )
}

/// Told to stop when the demo ends, however it ends.
struct Ajard(Child);

impl Drop for Ajard {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// CPU time so far in milliseconds and resident memory in MB.
fn usage(pid: u32) -> Result<(f64, f64)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = |i: usize| after_name.split_whitespace().nth(i).and_then(|t| t.parse::<f64>().ok());
    let (user, system) = (ticks(11).context("utime")?, ticks(12).context("stime")?);
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let rss_kb =
        rss.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<f64>().ok()).context("VmRSS")?;
    // Linux counts in hundredths of a second for everyone who reads /proc.
    Ok(((user + system) * 10.0, rss_kb * 1024.0 / 1e6))
}

/// Writes the live part's frame at this second.
fn frame_at(video: &Path, second: f64, path: &Path) -> Result<()> {
    let folder = path.with_extension("");
    let second = second.clamp(0.0, END - SPLIT - 0.2);
    let from = format!("{second:.2}");
    let to = format!("{:.2}", second + 0.15);
    let cut = ["cut", "--crop", "0,0,1,1", "--every", "1", "--from", &from, "--to", &to];
    run(ajar().args(cut).arg("--source").arg(video).arg("--out").arg(&folder).stdout(Stdio::null()))?;
    for entry in fs::read_dir(&folder)? {
        fs::rename(entry?.path(), path)?;
    }
    fs::remove_dir(&folder)?;
    Ok(())
}

fn ajar() -> Command {
    let mut command = Command::new(program("ajar"));
    // The demo's keys stay the demo's.
    let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo-out/home");
    command.env("XDG_CONFIG_HOME", home);
    command
}

/// The programs lie beside the folder of this one.
fn program(name: &str) -> PathBuf {
    let here = std::env::current_exe().unwrap_or_default();
    here.parent().and_then(Path::parent).unwrap_or(Path::new("")).join(name)
}

fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

fn step(what: &str) {
    println!("\n== {what}");
}

fn remove(path: &Path) -> Result<()> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}
