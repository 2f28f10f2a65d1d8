//! The device service as its users meet it: a real RTSP camera, a real broker, real signals.

#[path = "support/ajard.rs"]
mod ajard;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/rtsp.rs"]
mod rtsp;
#[path = "support/scene.rs"]
mod scene;

use ajard::{Ajard, LIMIT, events, wait_for_event};
use mosquitto::{Listener, Mosquitto};
use rtsp::Rtsp;
use scene::{STRETCH, Scene};
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

const STATE: &str = "ajar/test/hall/lamp/state";
const ATTRIBUTES: &str = "ajar/test/hall/lamp/attributes";
const AVAILABILITY: &str = "ajar/test/availability";
/// A camera that shows the lamp on.
const STEADY: &str = "videotestsrc is-live=true pattern=smpte75 ! video/x-raw,framerate=10/1";
fn last_is(state: &str) -> impl Fn(&[String]) -> bool {
    move |payloads| payloads.last().is_some_and(|last| last == state)
}

#[test]
fn states_follow_the_camera_to_the_broker() {
    let scene = Scene::new();
    let camera = Rtsp::serve_file(&scene.film);
    let broker = Mosquitto::start(&scene.sandbox.path(""));
    let listener = Listener::connect(broker.port);
    let mut ajard = Ajard::start(&scene, &scene.config(&camera.url, Some(broker.port)));
    let film = Duration::from_secs(3 * u64::from(STRETCH));
    let states =
        listener.wait_for(STATE, LIMIT + film, |states| states.iter().filter(|s| *s == "on").count() >= 2);
    assert_eq!(states, ["unknown", "on", "off", "on"]);
    assert_eq!(listener.payloads(AVAILABILITY), ["online"]);

    // Who comes later gets the same from the broker's memory.
    let late = Listener::connect(broker.port);
    late.wait_for(STATE, LIMIT, last_is("on"));
    let attributes = late.wait_for(ATTRIBUTES, LIMIT, |payloads| !payloads.is_empty());
    assert!(late.messages().iter().all(|message| message.retained));
    let attributes: Value = serde_json::from_str(&attributes[0]).expect("JSON");
    assert_eq!((&attributes["state"], &attributes["previous"]), (&"on".into(), &"off".into()));
    assert_eq!((&attributes["sequence"], &attributes["reason"]), (&3.into(), &Value::Null));
    assert!(attributes["probability"].as_f64().is_some_and(|p| (0.8..=1.0).contains(&p)), "{attributes}");
    assert_eq!(attributes["bundle"].as_str().map(str::len), Some(32));

    // The events tell the same story, and how it came about.
    let changes: Vec<Value> = events(&scene).into_iter().filter(|event| event["event"] == "change").collect();
    let told: Vec<&str> = changes.iter().filter_map(|change| change["state"].as_str()).collect();
    assert_eq!(told, ["on", "off", "on"]);
    let attempts = events(&scene).into_iter().filter(|event| event["event"] == "attempt");
    let reasons: Vec<String> = attempts.map(|a| a["reason"].as_str().unwrap_or_default().into()).collect();
    assert_eq!(reasons[..3], ["start", "verification", "verification"]);
    assert!(reasons.iter().any(|reason| reason == "motion"), "{reasons:?}");

    // A clean stop says goodbye and is quick.
    ajard.signal("TERM");
    assert_eq!(ajard.wait(Duration::from_secs(15)).code(), Some(0));
    listener.wait_for(AVAILABILITY, LIMIT, last_is("offline"));
}

#[test]
fn a_broker_that_loses_everything_is_told_again() {
    let scene = Scene::new();
    let mut broker = Mosquitto::start(&scene.sandbox.path(""));
    let _ajard = Ajard::start(&scene, &scene.config(STEADY, Some(broker.port)));
    Listener::connect(broker.port).wait_for(AVAILABILITY, LIMIT, last_is("online"));
    broker.kill();
    std::thread::sleep(Duration::from_secs(2));
    broker.restart();
    let listener = Listener::connect(broker.port);
    listener.wait_for(AVAILABILITY, LIMIT, last_is("online"));
    assert_ne!(listener.payloads(STATE), Vec::<String>::new(), "the state came before online");
    listener.wait_for(STATE, LIMIT, last_is("on"));
}

#[test]
fn a_broker_that_comes_late_is_found_and_a_killed_ajard_is_offline() {
    let scene = Scene::new();
    let port = Mosquitto::start(&scene.sandbox.path("")).port;
    let ajard = Ajard::start(&scene, &scene.config(STEADY, Some(port)));
    wait_for_event(&scene, LIMIT, |event| event["event"] == "change");
    let _broker = Mosquitto::start_on(port, &scene.sandbox.path(""));
    let listener = Listener::connect(port);
    listener.wait_for(STATE, LIMIT, last_is("on"));
    ajard.signal("KILL");
    listener.wait_for(AVAILABILITY, LIMIT, last_is("offline"));
}

#[test]
fn a_camera_that_ends_goes_stale_and_comes_back() {
    let scene = Scene::new();
    let camera = Rtsp::serve(
        "( videotestsrc is-live=true pattern=smpte75 ! video/x-raw,width=320,height=240,framerate=10/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=1 )",
    );
    let (url, port) = (camera.url.clone(), camera.port());
    let _ajard = Ajard::start(&scene, &scene.config(&url, None));
    let is_change_to =
        |state: &'static str| move |event: &Value| event["event"] == "change" && event["state"] == state;
    wait_for_event(&scene, LIMIT, is_change_to("on"));
    drop(camera);
    let lost = Instant::now();
    let down = wait_for_event(&scene, LIMIT, |event| event["status"] == "down");
    assert!(down["why"].as_str().is_some_and(|why| !why.is_empty()), "{down}");
    let stale = wait_for_event(&scene, LIMIT, is_change_to("unknown"));
    assert_eq!((&stale["reason"], &stale["previous"]), (&"stale".into(), &"on".into()));
    let after = lost.elapsed();
    assert!((Duration::from_secs(14)..Duration::from_secs(20)).contains(&after), "stale after {after:?}");
    let _camera = Rtsp::serve_on(
        port,
        "( videotestsrc is-live=true pattern=checkers-8 ! video/x-raw,width=320,height=240,framerate=10/1 ! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=1 )",
    );
    // Behind the longest back-off there is.
    wait_for_event(&scene, LIMIT + LIMIT, is_change_to("off"));
}

#[test]
fn systemd_hears_ready_watchdog_and_stopping() {
    let scene = Scene::new();
    let socket_path = scene.sandbox.path("notify");
    let socket = UnixDatagram::bind(&socket_path).expect("a socket");
    socket.set_read_timeout(Some(LIMIT)).expect("a time limit");
    let config = scene.config(STEADY, None);
    let mut command = Ajard::command(&scene, &config);
    let mut ajard = Ajard::spawn(command.env("NOTIFY_SOCKET", &socket_path).env("WATCHDOG_USEC", "1000000"));
    let heard = |text: &str| {
        let mut buffer = [0; 4096];
        loop {
            let length =
                socket.recv(&mut buffer).unwrap_or_else(|error| panic!("waiting for {text}: {error}"));
            let message = String::from_utf8_lossy(&buffer[..length]);
            if message.lines().any(|line| line == text) {
                return Instant::now();
            }
        }
    };
    heard("READY=1");
    let first = heard("WATCHDOG=1");
    let pause = heard("WATCHDOG=1") - first;
    assert!(pause < Duration::from_secs(1), "{pause:?} between two pings, systemd allows 1 s");
    ajard.signal("TERM");
    heard("STOPPING=1");
    assert_eq!(ajard.wait(Duration::from_secs(15)).code(), Some(0));
}

#[test]
fn a_missing_model_leaves_the_service_up_and_the_state_unknown() {
    let scene = Scene::new();
    let broker = Mosquitto::start(&scene.sandbox.path(""));
    std::fs::remove_dir_all(scene.sandbox.path("store")).expect("a store");
    let config = scene.config(STEADY, Some(broker.port));
    let ajard = Ajard::start(&scene, &config);
    let listener = Listener::connect(broker.port);
    let attributes = listener.wait_for(ATTRIBUTES, LIMIT, |payloads| !payloads.is_empty());
    let attributes: Value = serde_json::from_str(&attributes[0]).expect("JSON");
    assert_eq!((&attributes["state"], &attributes["reason"]), (&"unknown".into(), &"no_model".into()));
    // With nothing to look at it sleeps.
    let before = ajard.cpu_ticks();
    std::thread::sleep(Duration::from_secs(3));
    let used = ajard.cpu_ticks() - before;
    assert!(used < 100, "{used} hundredths of a second of CPU in 3 s");
    scene.sandbox.ajard(&["check", "--config", "config.toml"]).expect_error(1, "no bundle is installed");
}

#[test]
fn check_says_what_will_run() {
    let scene = Scene::new();
    scene.config("rtsp://user:secret@127.0.0.1:1/cam", None);
    let output = scene.sandbox.ajard(&["check", "--config", "config.toml"]).expect(0);
    for line in
        ["camera hall: rtsp://***@127.0.0.1:1/cam", "model lamp: off, on", "watch: lamp on hall", "in order"]
    {
        assert!(output.stdout.contains(line), "want {line:?} in {}", output.stdout);
    }
    assert!(!(output.stdout + &output.stderr).contains("secret"));
    scene.config("lamp.mp5", None);
    scene.sandbox.ajard(&["check", "--config", "config.toml"]).expect_error(1, "lamp.mp5: no such file");
    // A pipeline that GStreamer cannot build is found before the night it is needed.
    scene.config("videotestsrc ! nosuchelement", None);
    scene.sandbox.ajard(&["check", "--config", "config.toml"]).expect_error(1, "nosuchelement");
}
