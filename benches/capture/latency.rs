//! From a change before the camera to the MQTT message that tells of it, by mode.

use crate::cli;
use crate::mosquitto::{Listener, Mosquitto};
use crate::rtsp::Rtsp;
use crate::scene::Scene;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// The lamp is a quarter of the picture: were it the whole, each change would be a jump of light as well, after which a
/// watch takes its time.
const CAMERA: &str = "( compositor name=scene sink_1::xpos=160 sink_1::ypos=120 ! \
     video/x-raw,format=I420,width=640,height=480,framerate=5/1 ! \
     x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 config-interval=1 \
     videotestsrc is-live=true pattern=smpte100 ! video/x-raw,width=640,height=480,framerate=5/1 ! scene.sink_0 \
     videotestsrc name=lamp is-live=true pattern=smpte75 ! video/x-raw,width=320,height=240,framerate=5/1 ! scene.sink_1 )";
const TOPIC: &str = "ajar/bench/hall/lamp/state";
/// Changes for each round of the bench.
const CHANGES: usize = 8;
const LIMIT: Duration = Duration::from_secs(90);

/// Counts from the order to the camera's encoder, which shows the change with its next frame, up to 0.2 s later.
pub fn print(scene: &Scene, rounds: usize) {
    println!("\nchange to MQTT message, 5 frames a second, keyframe every 2 s, 3 of 3 agree: median, p95, s");
    for (name, keys, watch) in [
        ("all", "decode = \"all\"", "interval = 10"),
        ("auto", "", "interval = 10"),
        ("keyframes", "decode = \"keyframes\"", "interval = 10"),
        ("interval of 10 s", "", "interval = 10\nmotion = false"),
    ] {
        let mut times = measure(scene, keys, watch, CHANGES * rounds);
        times.sort_by(f64::total_cmp);
        let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize];
        println!("  {name:24} {:8.1}  {:6.1}", at(0.5), at(0.95));
    }
}

fn measure(scene: &Scene, keys: &str, watch: &str, changes: usize) -> Vec<f64> {
    let broker = Mosquitto::start(&scene.sandbox.path(""));
    let listener = Listener::connect(broker.port);
    let server = Rtsp::serve(CAMERA);
    let (store, trusted) = (scene.sandbox.path("store"), scene.sandbox.path("k"));
    let config = format!(
        "[device]\nid = \"bench\"\nstore = {store:?}\ntrusted_keys = {trusted:?}\ncontrol_socket = \"\"\ntrial = {{ attempts = 1, minutes = 0 }}\n\
         [mqtt]\nhost = \"127.0.0.1\"\nport = {}\n[cameras.hall]\nsource = {:?}\nframe_size = [640, 480]\nfrozen_after = 0\n{keys}\n\
         [classification.custom.lamp.state_config]\n{watch}\n\
         [classification.custom.lamp.state_config.cameras.hall]\ncrop = [180, 140, 460, 320]\n",
        broker.port, server.url
    );
    let config = scene.sandbox.write("config.toml", config);
    let mut command = scene.sandbox.command(cli::AJARD);
    command.arg("run").arg("--config").arg(config);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ajard");
    listener.wait_for(TOPIC, LIMIT, |states| states.last().is_some_and(|state| state == "on"));
    let mut times = Vec::new();
    for change in 0..changes {
        // Never in step with the keyframes or the interval.
        std::thread::sleep(Duration::from_millis(4000 + 370 * (change as u64 % 7)));
        let (pattern, state) = if change % 2 == 0 { ("checkers-8", "off") } else { ("smpte75", "on") };
        let shown = Instant::now();
        server.set("lamp", "pattern", pattern);
        listener.wait_for(TOPIC, LIMIT, |states| states.last().is_some_and(|last| last == state));
        times.push(shown.elapsed().as_secs_f64());
    }
    let _ = child.kill();
    let _ = child.wait();
    times
}
