//! Delivery as its users meet it: a running ajard, its control socket, a bundle that arrives, and what becomes of it.

#[path = "support/ajard.rs"]
mod ajard;
#[path = "delivery/bad_models.rs"]
mod bad_models;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/rtsp.rs"]
mod rtsp;
#[path = "support/scene.rs"]
mod scene;
#[path = "delivery/ssh.rs"]
mod ssh;

use ajar::bundle::manifest::Manifest;
use ajar::bundle::store::Store;
use ajar::bundle::store::state::Generations;
use ajard::{Ajard, LIMIT, events, wait_for_event};
use cli::{Output, need};
use mosquitto::{Listener, Mosquitto};
use rtsp::Rtsp;
use scene::Scene;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

const ATTRIBUTES: &str = "ajar/test/hall/lamp/attributes";
/// A camera that shows the lamp on.
const STEADY: &str =
    "videotestsrc is-live=true pattern=smpte75 ! video/x-raw,width=320,height=240,framerate=10/1";

/// A device that runs, with the lamp's model on it.
pub struct Device {
    pub scene: Scene,
    pub ajard: Ajard,
}

impl Device {
    /// Its model has proved itself.
    pub fn start() -> Device {
        let device = Device::of(Scene::new(), None);
        device.wait(|lamp| lamp.active.is_some());
        device
    }

    fn of(scene: Scene, mqtt: Option<u16>) -> Device {
        let config = scene.config(STEADY, mqtt);
        let ajard = Ajard::start(&scene, &config);
        let device = Device { scene, ajard };
        device.wait_for_socket();
        device
    }

    fn wait_for_socket(&self) {
        let deadline = Instant::now() + LIMIT;
        while self.curl("/v1/status").code != 0 {
            assert!(Instant::now() < deadline, "no control socket");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn restart(&mut self) {
        self.ajard = Ajard::start(&self.scene, &self.scene.sandbox.path("config.toml"));
        self.wait_for_socket();
    }

    /// What curl says; its code is 22 where the device refuses.
    fn curl(&self, path_and_options: &str) -> Output {
        let mut command = self.scene.sandbox.command("curl");
        let mut words = path_and_options.split_whitespace();
        let url = format!("http://ajard{}", words.next().unwrap_or_default());
        command.args(["-sS", "--fail-with-body", "--unix-socket", "control.sock", &url]).args(words);
        self.scene.sandbox.run(&mut command)
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.curl(path).expect(0).stdout).expect("JSON")
    }

    /// `ajar` with the words of `line`, told of this device.
    pub fn ajar(&self, line: &str) -> Output {
        let mut command = self.scene.sandbox.command(cli::AJAR);
        self.scene.sandbox.run(command.env("AJAR_DEVICE", "control.sock").args(line.split_whitespace()))
    }

    pub fn lamp(&self) -> Generations {
        let store = Store::new(self.scene.sandbox.path("store"));
        store.generations().expect("a state").models.remove("lamp").unwrap_or_default()
    }

    /// Waits until the store says so of the lamp's model.
    pub fn wait(&self, wanted: impl Fn(&Generations) -> bool) -> Generations {
        let deadline = Instant::now() + LIMIT;
        loop {
            let lamp = self.lamp();
            if wanted(&lamp) {
                return lamp;
            }
            assert!(
                Instant::now() < deadline,
                "not in {LIMIT:?}: {lamp:#?}\n{:#?}",
                events(&self.scene).last()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Signs the lamp's bundle anew with its manifest changed, as `name`.
    pub fn repack(&self, name: &str, change: impl FnOnce(&mut Manifest)) {
        let sandbox = &self.scene.sandbox;
        if !sandbox.path("lamp").exists() {
            sandbox.ajar_line("bundle unpack lamp.ajb").expect(0);
        }
        let path = sandbox.path("lamp/manifest.toml");
        let text = fs::read_to_string(&path).expect("a manifest");
        let mut manifest: Manifest = toml::from_str(&text).expect("a manifest");
        change(&mut manifest);
        fs::write(&path, toml::to_string(&manifest).expect("TOML")).expect("a manifest");
        sandbox.ajar_line(&format!("bundle pack lamp --key k --out {name}")).expect(0);
        fs::write(&path, text).expect("a manifest");
    }
}

fn seq_of(value: &Value) -> u64 {
    value["seq"].as_u64().expect("a sequence number")
}

#[test]
fn a_new_model_takes_over_between_two_frames_and_stays_once_it_has_proved_itself() {
    let scene = Scene::new();
    let broker = Mosquitto::start(&scene.sandbox.path(""));
    let device = Device::of(scene, Some(broker.port));
    let listener = Listener::connect(broker.port);
    let first = device.wait(|lamp| lamp.active.is_some()).active.expect("the first");
    let before = device.get("/v1/status");
    assert_eq!(before["watches"][0]["state"], "on");

    device.repack("next.ajb", |manifest| manifest.decision.threshold = 0.75);
    let deployed = device.ajar("deploy next.ajb").expect(0);
    assert!(deployed.stdout.contains("runs on trial"), "{}", deployed.stdout);
    let lamp = device.wait(|lamp| lamp.active.as_ref().is_some_and(|active| *active != first));
    assert_eq!((lamp.previous, lamp.trial), (Some(first), None));

    // Both models' attempts and reports can be told apart, and the state was never lost.
    let (old, new) = (seq_of(&before["watches"][0]), seq_of(&device.get("/v1/status")["watches"][0]));
    assert!(new > old);
    let events = events(&device.scene);
    let attempts: Vec<u64> = events.iter().filter(|e| e["event"] == "attempt").map(seq_of).collect();
    assert!(attempts.is_sorted() && attempts.contains(&old) && attempts.contains(&new), "{attempts:?}");
    let swap = events.iter().rfind(|event| event["event"] == "swap").expect("a swap");
    assert_eq!(swap["why"], Value::Null);
    assert_eq!((swap["seq"].as_u64(), &swap["bundle"]), (Some(new), &lamp.active.clone().into()));
    assert!(events.iter().all(|event| event["status"] != "down"), "the camera was dropped");
    let changes: Vec<&Value> = events.iter().filter(|event| event["event"] == "change").collect();
    assert_eq!(changes.len(), 1, "{changes:#?}");
    listener.wait_for(ATTRIBUTES, LIMIT, |payloads| {
        let last: Option<Value> = payloads.last().and_then(|text| serde_json::from_str(text).ok());
        last.is_some_and(|last| last["seq"] == new && last["state"] == "on")
    });
}

#[test]
fn the_socket_answers_curl() {
    need("curl");
    let device = Device::start();
    let mode =
        fs::metadata(device.scene.sandbox.path("control.sock")).expect("a socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    assert!(device.curl("/").expect(0).stdout.contains("POST /v1/install"));
    let status = device.get("/v1/status");
    assert_eq!((&status["device"], &status["watches"][0]["camera"]), (&"test".into(), &"hall".into()));
    let models = device.get("/v1/models");
    assert_eq!(models["models"]["lamp"]["active"].as_str().map(str::len), Some(32));
    let recent = device.get("/v1/recent");
    let attempts = recent["attempts"].as_array().expect("attempts");
    assert!(attempts.len() >= 3 && attempts[0]["vote"] == "on", "{recent}");
    let metrics = device.curl("/v1/metrics").expect(0).stdout;
    assert!(metrics.contains("ajar_state{model=\"lamp\",camera=\"hall\",state=\"on\"} 1\n"), "{metrics}");
    device.curl("/v1/cameras/hall/snapshot --output hall.jpg").expect(0);
    let jpeg = fs::read(device.scene.sandbox.path("hall.jpg")).expect("a picture");
    let picture = image::load_from_memory(&jpeg).expect("a picture");
    assert_eq!((picture.width(), picture.height()), (320, 240));
    for (request, says) in [
        ("/v1/cameras/garage/snapshot", "no camera \\\"garage\\\" is watched"),
        ("/v1/nothing", "no such path; GET / lists them"),
        ("/v1/models/lamp/confirm -X POST", "no generation is on trial"),
        ("/v1/models/bins/rollback -X POST", "no generation came before"),
        ("/v1/install --data-binary @lamp.tsv", "\"code\":\"E10\""),
        ("/v1/install?forward=true --data-binary @lamp.ajb", "unknown field"),
    ] {
        let refused = device.curl(request).expect(22);
        assert!(refused.stdout.contains(says), "{request}: {}", refused.stdout);
    }
    let large = fs::File::create(device.scene.sandbox.path("large.ajb")).expect("a file");
    large.set_len(40 << 20).expect("a sparse file");
    let refused = device.curl("/v1/install --data-binary @large.ajb").expect(22);
    assert!(refused.stdout.contains("\"code\":\"E12\""), "{}", refused.stdout);
    assert_eq!(device.ajard.listening(), Vec::<String>::new());
    device.ajard.signal("TERM");
    let deadline = Instant::now() + LIMIT;
    while device.scene.sandbox.path("control.sock").exists() {
        assert!(Instant::now() < deadline, "the socket is left behind");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A camera's stream is decoded whole while there is something to verify, and then keyframes only.
#[test]
fn a_calm_camera_is_hardly_decoded() {
    let scene = Scene::new();
    let camera = Rtsp::serve(
        "( videotestsrc is-live=true pattern=smpte75 ! video/x-raw,width=320,height=240,framerate=10/1 ! x264enc \
         tune=zerolatency speed-preset=ultrafast key-int-max=10 ! rtph264pay name=pay0 pt=96 config-interval=1 )",
    );
    let config = scene.config(&camera.url, None);
    let text = fs::read_to_string(&config).expect("a configuration");
    fs::write(&config, text.replace("interval = 1\n", "interval = 60\n")).expect("a configuration");
    let device = Device { ajard: Ajard::start(&scene, &config), scene };
    device.wait_for_socket();
    wait_for_event(&device.scene, LIMIT, |event| event["event"] == "change" && event["state"] == "on");
    let count = |name: &str| -> f64 {
        let metrics = device.curl("/v1/metrics").expect(0).stdout;
        let line =
            metrics.lines().find_map(|line| line.strip_prefix(&format!("ajar_pictures_{name}_total{{")));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).expect("a count")
    };
    // Until the second keyframe it is not known how often they come.
    std::thread::sleep(Duration::from_secs(3));
    let (decoded, skipped) = (count("decoded"), count("skipped"));
    std::thread::sleep(Duration::from_secs(6));
    let (decoded, skipped) = (count("decoded") - decoded, count("skipped") - skipped);
    println!("decoded {decoded}, skipped {skipped}");
    // Six keyframes and 54 others, where the machine keeps up.
    assert!(decoded >= 2.0 && skipped >= 4.0 * decoded, "decoded {decoded}, skipped {skipped}");
    let changes = events(&device.scene).iter().filter(|event| event["event"] == "change").count();
    assert_eq!(changes, 1, "it never went stale");
}

#[test]
fn a_model_that_kills_the_service_three_times_is_rolled_back() {
    let mut device = Device::start();
    let good = device.lamp().active.expect("a model");
    device.repack("next.ajb", |manifest| manifest.limits.infer_ms = 900);
    // So that it is not confirmed while this test kills it.
    let path = device.scene.sandbox.path("config.toml");
    let text = fs::read_to_string(&path).expect("a configuration");
    fs::write(&path, text.replace("minutes = 0.02", "minutes = 60.0")).expect("a configuration");
    device.ajard.signal("TERM");
    device.ajard.wait(LIMIT);
    device.restart();
    device.ajar("deploy next.ajb").expect(0);
    let trial = device.wait(|lamp| lamp.trial.as_ref().is_some_and(|trial| trial.attempts_left == 2));
    // An orderly stop costs nothing.
    device.ajard.signal("TERM");
    device.ajard.wait(LIMIT);
    assert_eq!(device.lamp().trial.expect("a trial").attempts_left, 3);
    for left in [2, 1, 0] {
        device.restart();
        assert_eq!(device.lamp().trial.expect("a trial").attempts_left, left);
        device.ajard.signal("KILL");
        device.ajard.wait(LIMIT);
    }
    device.restart();
    let lamp = device.lamp();
    assert_eq!((lamp.trial, lamp.active), (None, Some(good.clone())));
    assert_eq!(lamp.bad[0].id, trial.trial.expect("a trial").id);
    assert_eq!(lamp.bad[0].why, "W64: ajard ended 3 times while it ran");
    assert_eq!(device.get("/v1/status")["watches"][0]["bundle"], good);
    // The companion knows that this is not what was signed.
    device.ajar("status").expect_error(1, "is rolled back on the device: W64: ajard ended 3 times");
    device.ajar("deploy next.ajb").expect_error(1, "W64: this bundle was rolled back");
}

#[test]
fn the_user_goes_back_and_forth() {
    let device = Device::start();
    let first = device.lamp().active.expect("a model");
    device.ajar("status").expect(0);
    device.repack("next.ajb", |manifest| manifest.decision.threshold = 0.75);
    device.ajar("status").expect_error(1, "behind: lamp was signed as ");
    device.ajar("deploy next.ajb").expect(0);
    device.ajar("status").expect(0);
    device.ajar("rollback lamp").expect(0);
    let lamp = device.wait(|lamp| lamp.trial.is_none());
    assert_eq!((lamp.active, lamp.bad[0].why.as_str()), (Some(first.clone()), "rolled back by the user"));
    device.ajar("deploy --again next.ajb").expect(0);
    let second = device.wait(|lamp| lamp.active.as_ref() != Some(&first)).active;
    device.ajar("rollback lamp").expect(0);
    assert_eq!(device.wait(|lamp| lamp.active != second).active, Some(first));
    wait_for_event(&device.scene, LIMIT, |event| event["event"] == "swap");
}

#[test]
fn a_device_refuses_what_is_not_for_it() {
    let device = Device::start();
    let before = device.lamp();
    device.repack("bins.ajb", |manifest| manifest.model = "bins".into());
    device.ajar("deploy bins.ajb").expect_error(1, "E32: model \"bins\"; this device watches with lamp");
    device.repack("pi.ajb", |manifest| manifest.targets = vec!["raspberry-pi-5".into()]);
    let says = "E32: made for raspberry-pi-5; this device is generic-x86-64, test, ";
    device.ajar("deploy pi.ajb").expect_error(1, says);
    device.repack("here.ajb", |manifest| manifest.targets = vec!["raspberry-pi-5".into(), "test".into()]);
    assert_eq!(device.lamp(), before);
    device.ajar("deploy here.ajb").expect(0);
}

#[test]
fn a_bundle_in_the_inbox_is_installed_and_its_result_lies_beside_it() {
    let device = Device::start();
    let sandbox = &device.scene.sandbox;
    let first = device.lamp().active.expect("a model");
    device.repack("next.ajb", |manifest| manifest.decision.threshold = 0.75);
    let result = |name: &str| -> Value {
        let path = sandbox.path(&format!("inbox/{name}.result.json"));
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(value) = fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
                return value;
            }
            assert!(Instant::now() < deadline, "no result of {name}");
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    fs::copy(sandbox.path("next.ajb"), sandbox.path("inbox/next.ajb")).expect("a copy");
    fs::write(sandbox.path("inbox/bad.ajb"), "not a bundle").expect("a file");
    fs::write(sandbox.path("inbox/readme.txt"), "not a bundle").expect("a file");
    let (next, bad) = (result("next.ajb"), result("bad.ajb"));
    assert_eq!((&next["ok"], &bad["ok"], &bad["code"]), (&true.into(), &false.into(), &"E10".into()));
    assert!(next["message"].as_str().is_some_and(|text| text.contains("installed as ")), "{next}");
    device.wait(|lamp| lamp.active.as_ref() != Some(&first));
    assert!(sandbox.path("inbox/next.ajb").exists());
    assert!(!sandbox.path("inbox/readme.txt.result.json").exists());
}

#[test]
fn a_device_without_a_model_gets_its_first_one_while_it_runs() {
    let scene = Scene::new();
    fs::remove_dir_all(scene.sandbox.path("store")).expect("a store");
    let device = Device::of(scene, None);
    let watch = |device: &Device| device.get("/v1/status")["watches"][0].clone();
    assert_eq!(watch(&device)["reason"], "no_model");
    // There is a picture before there is a model.
    let deadline = Instant::now() + LIMIT;
    while device.curl("/v1/cameras/hall/snapshot --output hall.jpg").code != 0 {
        assert!(Instant::now() < deadline, "no picture");
        std::thread::sleep(Duration::from_millis(50));
    }
    device.ajar("deploy lamp.ajb").expect(0);
    wait_for_event(&device.scene, LIMIT, |event| event["event"] == "change" && event["state"] == "on");
    device.wait(|lamp| lamp.active.is_some());
    // Without what came before, going back is going without.
    device.repack("next.ajb", |manifest| manifest.states = vec!["dark".into(), "bright".into()]);
    device.ajar("deploy next.ajb").expect(0);
    let lost = wait_for_event(&device.scene, LIMIT, |event| {
        event["event"] == "change" && event["state"] == "bright"
    });
    assert_eq!(lost["previous"], "unknown", "a state of the old model is not one of the new");
}
