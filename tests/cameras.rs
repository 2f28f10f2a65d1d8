//! Every kind of camera, as `ajard` meets it.

#[path = "support/ajard.rs"]
mod ajard;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/http_camera.rs"]
mod http_camera;
#[path = "support/rtsp.rs"]
mod rtsp;
#[path = "support/scene.rs"]
mod scene;

use ajard::{Ajard, LIMIT, events, wait_for_event};
use http_camera::HttpCamera;
use rtsp::Rtsp;
use scene::Scene;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A camera that shows the lamp on, but for its encoder.
fn camera(width: u32, encoder: &str) -> String {
    let height = width * 3 / 4;
    format!(
        "( videotestsrc is-live=true pattern=smpte75 ! video/x-raw,format=I420,width={width},height={height},framerate=10/1 \
         ! {encoder} name=pay0 )"
    )
}

const H264: &str =
    "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay config-interval=1";
const H265: &str =
    "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph265pay config-interval=1";
const MJPEG: &str = "jpegenc ! rtpjpegpay";

/// One watch for each camera: its name, its keys, and the keys of its watch.
fn config(scene: &Scene, cameras: &[(&str, String, &str)]) -> PathBuf {
    let [store, keys, control] = ["store", "k", "control.sock"].map(|name| scene.sandbox.path(name));
    let mut text = format!(
        "[device]\nid = \"test\"\nstore = {store:?}\ntrusted_keys = {keys:?}\ncontrol_socket = {control:?}\n\
         [classification.custom.lamp.state_config]\ninterval = 5\n"
    );
    for (name, keys, watch) in cameras {
        text += &format!(
            "[cameras.{name}]\n{keys}\nframe_size = [320, 240]\n\
             [classification.custom.lamp.state_config.cameras.{name}]\ncrop = [20, 20, 300, 200]\n{watch}\n"
        );
    }
    scene.sandbox.write("config.toml", text)
}

#[test]
fn every_kind_of_camera_says_what_it_sees() {
    let scene = Scene::new();
    let [h264, h265, mjpeg] = [H264, H265, MJPEG].map(|encoder| Rtsp::serve(&camera(320, encoder)));
    let large = Rtsp::serve(&camera(640, H264));
    let http = HttpCamera::serve("smpte75");
    let source = |url: &str, more: &str| format!("source = {url:?}\n{more}");
    let raw = "videotestsrc is-live=true pattern=smpte75 ! video/x-raw,width=320,height=240,framerate=10/1";
    let still = http.url("still.jpg");
    let secret = http.url("secret.jpg").replace("//", "//me:secret@");
    let cameras = [
        ("lean-h264", source(&h264.url, ""), ""),
        ("lean-h265", source(&h265.url, ""), ""),
        ("lean-mjpeg", source(&mjpeg.url, ""), ""),
        ("tcp-h264", source(&h264.url, "receiver = \"rtspsrc\""), ""),
        ("tcp-h265", source(&h265.url, "receiver = \"rtspsrc\"\ncodec = \"h265\""), ""),
        ("tcp-mjpeg", source(&mjpeg.url, "receiver = \"rtspsrc\"\ncodec = \"mjpeg\""), ""),
        ("udp-h264", source(&h264.url, "transport = \"udp\""), ""),
        ("http-stream", source(&http.url("stream"), ""), ""),
        ("http-still", source(&still, ""), ""),
        ("http-secret", source(&secret, ""), ""),
        ("file", source(&scene.film.display().to_string(), ""), ""),
        ("raw", source(raw, ""), ""),
        ("both", source(&large.url, &format!("substream = {:?}", h264.url)), "stream = \"sub\""),
    ];
    let _ajard = Ajard::start(&scene, &config(&scene, &cameras));
    let wanted: BTreeSet<&str> = cameras.iter().map(|(name, ..)| *name).collect();
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = events(&scene);
        let on = seen.iter().filter(|event| event["event"] == "change" && event["state"] == "on");
        let on: BTreeSet<&str> = on.filter_map(|event| event["camera"].as_str()).collect();
        if on == wanted {
            break;
        }
        let missing: Vec<_> = wanted.difference(&on).collect();
        let faults = seen.iter().filter(|event| event["status"] == "down").collect::<Vec<_>>();
        assert!(Instant::now() < deadline, "not on within {LIMIT:?}: {missing:?}; {faults:#?}");
        std::thread::sleep(Duration::from_millis(100));
    }
    // Of the camera with two streams only the one that is watched is open.
    let up = events(&scene).into_iter().filter(|event| event["status"] == "up");
    let up: Vec<String> = up.filter_map(|event| Some(event["camera"].as_str()?.to_string())).collect();
    assert!(up.contains(&"both/sub".into()) && !up.contains(&"both".into()), "{up:?}");
    // A picture at a time: as many as it takes to verify, and no storm of requests.
    let stills = http.stills.load(Ordering::Relaxed);
    assert!((6..=2 * 60).contains(&stills), "{stills} pictures of two cameras");
    // Once nothing happens, whatever is compressed is hardly decoded. A file that has just begun anew is.
    for name in cameras.iter().map(|(name, ..)| *name).filter(|name| !["raw", "file"].contains(name)) {
        let stream = if name == "both" { "both/sub" } else { name };
        let stills = name.starts_with("http-s") && name != "http-stream";
        wait_for_skipped(&scene, stream, if stills { 0.0 } else { 1.0 });
    }
}

/// Until pictures of a camera were left out, or with 0 until some were decoded.
fn wait_for_skipped(scene: &Scene, camera: &str, at_least: f64) {
    let metric = if at_least > 0.0 { "skipped" } else { "decoded" };
    let line = format!("ajar_pictures_{metric}_total{{camera=\"{camera}\"}} ");
    let deadline = Instant::now() + LIMIT;
    loop {
        let mut curl = scene.sandbox.command("curl");
        curl.arg("-s").arg("--unix-socket").arg(scene.sandbox.path("control.sock"));
        let text = scene.sandbox.run(curl.arg("http://d/v1/metrics")).stdout;
        let value = text.lines().find_map(|text| text.strip_prefix(&line)?.parse::<f64>().ok());
        if value.is_some_and(|value| value >= at_least.max(1.0)) {
            return;
        }
        assert!(Instant::now() < deadline, "{camera}: nothing was {metric}: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_camera_that_refuses_says_why_and_is_not_pestered() {
    let scene = Scene::new();
    let guarded = Rtsp::serve_guarded(&camera(320, H264), "me", "secret");
    let http = HttpCamera::serve("smpte75");
    let at = |url: &str, login: &str| format!("source = {:?}", url.replace("//", &format!("//{login}")));
    let rtspsrc = |url: &str, login: &str| format!("{}\nreceiver = \"rtspsrc\"", at(url, login));
    let nowhere = guarded.url.replace("/cam", "/nowhere");
    let cameras = [
        ("right", at(&guarded.url, "me:secret@"), ""),
        ("right-tcp", rtspsrc(&guarded.url, "me:secret@"), ""),
        ("wrong", at(&guarded.url, "me:guess@"), ""),
        ("none", at(&guarded.url, ""), ""),
        ("wrong-tcp", rtspsrc(&guarded.url, "me:guess@"), ""),
        ("wrong-http", at(&http.url("secret.jpg"), "me:guess@"), ""),
        ("nowhere", at(&nowhere, "me:secret@"), ""),
        ("nowhere-tcp", rtspsrc(&nowhere, "me:secret@"), ""),
        ("nowhere-http", at(&http.url("nowhere"), ""), ""),
    ];
    let mut command = Ajard::command(&scene, &config(&scene, &cameras));
    let log = std::fs::File::create(scene.sandbox.path("log")).expect("a log");
    let _ajard = Ajard::spawn(command.env("RUST_LOG", "info").stderr(log));
    for name in ["right", "right-tcp"] {
        wait_for_event(&scene, LIMIT, |event| event["camera"] == name && event["state"] == "on");
    }
    let why = |name: &str| {
        let event =
            wait_for_event(&scene, LIMIT, |event| event["camera"] == name && event["status"] == "down");
        event["why"].as_str().unwrap_or_default().to_string()
    };
    for name in ["wrong", "none", "wrong-tcp", "wrong-http"] {
        assert_eq!(why(name), "the camera refuses the user name or the password of its URL", "{name}");
    }
    for name in ["nowhere", "nowhere-tcp", "nowhere-http"] {
        assert_eq!(why(name), "the camera has no such stream: check the path of its URL", "{name}");
    }
    let log = std::fs::read_to_string(scene.sandbox.path("log")).expect("a log");
    assert!(!log.contains("guess") && !log.contains("secret@"), "{log}");
    // Five seconds and longer from one try to the next.
    std::thread::sleep(Duration::from_secs(10));
    let tries = events(&scene).iter().filter(|e| e["camera"] == "wrong" && e["status"] == "down").count();
    assert!((1..=3).contains(&tries), "{tries} tries");
}
