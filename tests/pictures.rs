//! What a device keeps of what it sees, as its users meet it: a running ajard, its gallery and its recent attempts.

#[path = "support/ajard.rs"]
mod ajard;
#[path = "support/cli.rs"]
mod cli;
#[path = "support/scene.rs"]
mod scene;

use ajard::{Ajard, LIMIT};
use cli::{Output, Sandbox};
use scene::Scene;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A camera whose pictures differ from moment to moment.
const RIPPLES: &str = "videotestsrc is-live=true pattern=zone-plate kx2=3 ky2=3 kt=7 \
    ! video/x-raw,width=320,height=240,framerate=10/1";

/// A device that runs.
struct Device {
    scene: Scene,
    ajard: Ajard,
}

impl Device {
    fn start(scene: Scene, config: &str) -> Device {
        let path = write_config(&scene, config);
        let ajard = Ajard::start(&scene, &path);
        let device = Device { scene, ajard };
        device.wait_for_socket();
        device
    }

    fn restart(&mut self, config: &str) {
        self.stop();
        self.start_again(config);
    }

    fn stop(&mut self) {
        self.ajard.signal("TERM");
        assert!(self.ajard.wait(LIMIT).success());
    }

    fn start_again(&mut self, config: &str) {
        self.ajard = Ajard::start(&self.scene, &write_config(&self.scene, config));
        self.wait_for_socket();
    }

    fn wait_for_socket(&self) {
        wait("a control socket", || (self.curl("/v1/status", &[]).code == 0).then_some(()));
    }

    fn curl(&self, path: &str, options: &[&str]) -> Output {
        let mut command = self.scene.sandbox.command("curl");
        let url = format!("http://ajard{path}");
        command.args(["-sS", "--fail-with-body", "--path-as-is", "--unix-socket", "control.sock"]);
        self.scene.sandbox.run(command.args(options).arg(&url))
    }

    fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.curl(path, &[]).expect(0).stdout).expect("JSON")
    }

    fn gallery(&self) -> Vec<Value> {
        self.get("/v1/cameras/hall/gallery")["frames"].as_array().expect("a list").clone()
    }

    fn recent(&self) -> Vec<Value> {
        self.get("/v1/recent")["attempts"].as_array().expect("a list").clone()
    }

    /// Width and height of a JPEG file that the device gives.
    fn size(&self, path: &str) -> (u32, u32) {
        self.curl(path, &["--output", "picture.jpg"]).expect(0);
        let bytes = fs::read(self.scene.sandbox.path("picture.jpg")).expect("a file");
        let picture = ajar::companion::picture::decode(&bytes).expect("a picture");
        (picture.width(), picture.height())
    }

    fn metric(&self, line: &str) -> f64 {
        let text = self.curl("/v1/metrics", &[]).expect(0).stdout;
        let value = text.lines().find_map(|have| have.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("no {line} in {text}"))
    }
}

fn write_config(scene: &Scene, rest: &str) -> PathBuf {
    let [store, keys, control] = ["store", "k", "control.sock"].map(|name| scene.sandbox.path(name));
    let device = format!("[device]\nid = \"test\"\nstore = {store:?}\ntrusted_keys = {keys:?}\n");
    scene.sandbox.write("config.toml", format!("{device}control_socket = {control:?}\n{rest}"))
}

fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} in {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Nothing but a camera: no model, no key, no crop.
fn bare() -> Scene {
    let sandbox = Sandbox::new();
    Scene { film: sandbox.path("none"), sandbox }
}

fn camera(source: &str) -> String {
    format!("[cameras.hall]\nsource = {source:?}\nframe_size = [320, 240]\n")
}

fn watch(model: &str, settings: &str, state_config: &str) -> String {
    format!(
        "[classification.custom.{model}]\n{settings}\n[classification.custom.{model}.state_config]\n\
         interval = 1\n{state_config}\n[classification.custom.{model}.state_config.cameras.hall]\n\
         crop = [20, 20, 300, 200]\n"
    )
}

fn ids(values: &[Value]) -> Vec<&str> {
    values.iter().map(|value| value["id"].as_str().expect("an id")).collect()
}

/// Names in a directory of the sandbox, sorted.
fn names(scene: &Scene, directory: &str) -> Vec<String> {
    let entries = fs::read_dir(scene.sandbox.path(directory)).into_iter().flatten();
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn the_gallery_fills_before_there_is_a_model_and_keeps_within_its_bounds() {
    let config = "[gallery]\nevery = 5\nframes = 6\n".to_string() + &camera(RIPPLES);
    let mut device = Device::start(bare(), &config);
    let status = device.get("/v1/status");
    assert_eq!(
        (&status["cameras"], &status["watches"]),
        (&serde_json::json!(["hall"]), &serde_json::json!([]))
    );
    wait("full gallery", || {
        let frames = device.gallery();
        assert!(frames.len() <= 6, "{frames:#?}");
        (device.metric("ajar_gallery_kept_total{camera=\"hall\"}") >= 9.0).then_some(())
    });
    let frames = device.gallery();
    assert_eq!(frames.len(), 6);
    let first = &frames[0];
    assert_eq!(
        (&first["width"], &first["height"], &first["model"]),
        (&320.into(), &240.into(), &Value::Null)
    );
    assert_eq!(
        (&first["light"], &first["uncertain"]),
        (&"infrared".into(), &false.into()),
        "a test picture in grey"
    );
    assert_eq!(device.size(&format!("/v1/cameras/hall/gallery/{}", ids(&frames)[0])), (320, 240));
    let bytes: f64 = frames.iter().filter_map(|frame| frame["bytes"].as_f64()).sum();
    assert!(bytes > 6.0 * 1000.0, "{bytes}");

    // One is deleted, and comes back neither now nor after a restart.
    let gone = ids(&frames)[2].to_string();
    let path = format!("/v1/cameras/hall/gallery/{gone}");
    device.curl(&path, &["-X", "DELETE"]).expect(0);
    device.curl(&path, &[]).expect(22);
    device.curl(&path, &["-X", "DELETE"]).expect(22);

    device.stop();
    let on_disk = names(&device.scene, "gallery/hall");
    assert!(on_disk.len() <= 12 && on_disk.len().is_multiple_of(2), "{on_disk:?}");
    assert!(!on_disk.iter().any(|name| name.starts_with(&gone)), "{on_disk:?}");
}

#[test]
fn the_gallery_survives_a_restart_without_what_is_broken() {
    let config = "[gallery]\nevery = 5\n".to_string() + &camera(RIPPLES);
    let mut device = Device::start(bare(), &config);
    let before = wait("four frames", || Some(device.gallery()).filter(|frames| frames.len() >= 4));
    device.stop();
    let place = |name: String| device.scene.sandbox.path(&format!("gallery/hall/{name}"));
    let ids = ids(&before);
    let half = fs::read(place(format!("{}.jpg", ids[0]))).expect("a frame");
    fs::write(place(format!("{}.jpg", ids[0])), &half[..half.len() / 2]).expect("a broken frame");
    fs::write(place(format!("{}.json", ids[1])), "").expect("a broken record");
    fs::write(place(format!("{}.new", ids[2])), &half).expect("what a power cut leaves");
    device.start_again(&config);
    let after = device.gallery();
    let kept: Vec<&str> = self::ids(&after).into_iter().filter(|id| ids.contains(id)).collect();
    assert_eq!(kept, ids[2..], "{after:#?}");
    let broken = names(&device.scene, "gallery/hall");
    assert!(!broken.iter().any(|name| name.starts_with(ids[0]) || name.starts_with(ids[1])), "{broken:?}");
    // What comes is newer than what was there.
    let newest = wait("a new frame", || {
        let frames = device.gallery();
        let newest = self::ids(&frames).last().map(|id| id.to_string())?;
        (!ids.contains(&newest.as_str())).then_some(newest)
    });
    assert!(newest.as_str() > ids[ids.len() - 1], "{newest}");
}

#[test]
fn privacy_keeps_crops_and_removes_the_frames_from_before() {
    let with = |privacy: &str| {
        format!("[gallery]\nevery = 5\nprivacy = {privacy:?}\n") + &camera(RIPPLES) + &watch("lamp", "", "")
    };
    let mut device = Device::start(bare(), &with("frame"));
    wait("a frame", || device.gallery().first().map(|frame| assert_eq!(frame["model"], Value::Null)));
    device.restart(&with("crop"));
    let crop = wait("a crop", || device.gallery().first().cloned());
    assert_eq!((&crop["width"], &crop["height"], &crop["model"]), (&280.into(), &180.into(), &"lamp".into()));
    assert_eq!(crop["crop"], serde_json::json!([0.0625, 0.08333, 0.9375, 0.83333]));
    let frames = device.gallery();
    assert!(frames.iter().all(|frame| frame["model"] == "lamp"), "{frames:#?}");
    assert_eq!(device.size(&format!("/v1/cameras/hall/gallery/{}", ids(&frames)[0])), (280, 180));
    // And off is off.
    device.restart(&("[gallery]\nenabled = false\n".to_string() + &camera(RIPPLES) + &watch("lamp", "", "")));
    let before = names(&device.scene, "gallery/hall");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(names(&device.scene, "gallery/hall"), before);
}

#[test]
fn what_may_not_be_kept_any_more_goes_at_the_start() {
    let with = |gallery: &str| format!("[gallery]\n{gallery}\n") + &camera(RIPPLES) + &watch("lamp", "", "");
    let mut device = Device::start(bare(), &with("every = 5"));
    let frame = wait("a frame", || Some(ids(&device.gallery()).first()?.to_string()));
    device.stop();
    // What earlier runs left: of a camera that is gone, of a watch that is gone, and what was never Ajar's.
    let sandbox = &device.scene.sandbox;
    for extension in ["jpg", "json"] {
        let bytes = fs::read(sandbox.path(&format!("gallery/hall/{frame}.{extension}"))).expect("a frame");
        sandbox.write(&format!("gallery/shed/{frame}.{extension}"), bytes);
    }
    let jpeg = b"\xFF\xD8 a picture \xFF\xD9";
    for (place, whole) in
        [("hall/lamp/000001-0", true), ("hall/lamp/000001-1", false), ("yard/lamp/000001-2", false)]
    {
        let record = format!("{{\"bytes\":{},\"vote\":\"on\",\"whole\":{whole}}}", jpeg.len());
        sandbox.write(&format!("recent/{place}.json"), record);
        sandbox.write(&format!("recent/{place}.jpg"), jpeg);
    }
    sandbox.write("recent/album/summer/20260701.jpg", "not Ajar's");
    sandbox.write("gallery/album/20260701.jpg", "not Ajar's");
    device.start_again(&with("every = 5"));
    let recent = device.recent();
    assert!(["000001-0", "000001-1"].iter().all(|id| ids(&recent).contains(id)), "{recent:#?}");
    assert_eq!(names(&device.scene, "recent/yard/lamp"), Vec::<String>::new());
    let shed = device.get("/v1/cameras/shed/gallery");
    assert_eq!(ids(shed["frames"].as_array().expect("a list")), [&frame]);

    device.restart(&with("enabled = false\nprivacy = \"crop\""));
    let recent = device.recent();
    assert!(!ids(&recent).contains(&"000001-0") && ids(&recent).contains(&"000001-1"), "{recent:#?}");
    device.curl("/v1/recent/000001-0/picture", &[]).expect(22);
    for place in ["gallery/hall", "gallery/shed"] {
        assert_eq!(names(&device.scene, place), Vec::<String>::new(), "{place}");
    }
    for place in ["recent/album/summer", "gallery/album"] {
        assert_eq!(names(&device.scene, place), ["20260701.jpg"]);
    }
}

#[test]
fn ids_reach_no_file_but_their_own() {
    let config = "[gallery]\nevery = 5\n".to_string() + &camera(RIPPLES);
    let device = Device::start(bare(), &config);
    wait("a frame", || device.gallery().first().cloned());
    device.scene.sandbox.write("gallery/secret.jpg", "not yours");
    device.scene.sandbox.write("gallery/hall/0-0.jpg", "not listed");
    let mut wrong = Vec::new();
    for path in [
        "/v1/cameras/hall/gallery/../secret",
        "/v1/cameras/hall/gallery/..%2fsecret",
        "/v1/cameras/hall/gallery/%2e%2e%2fsecret",
        "/v1/cameras/hall/gallery/..%2f..%2fconfig.toml%00",
        "/v1/cameras/hall/gallery/0-0",
        "/v1/cameras/hall/gallery/",
        "/v1/cameras/hall/gallery/%00",
        "/v1/cameras/../gallery/secret",
        "/v1/cameras/%2e%2e/gallery/hall",
        "/v1/cameras/nosuch/gallery",
        "/v1/recent/..%2f..%2fconfig/picture",
        "/v1/recent/%2e%2e/picture",
        "/v1/recent/0-0/picture",
    ] {
        for method in ["GET", "DELETE"] {
            let answer = device.curl(path, &["-X", method]);
            if answer.code != 22
                || answer.stdout.contains("not yours")
                || answer.stdout.contains("not listed")
            {
                wrong.push(format!("{method} {path}: {answer:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for name in ["gallery/secret.jpg", "gallery/hall/0-0.jpg", "config.toml"] {
        assert!(device.scene.sandbox.path(name).exists(), "{name}");
    }
    let why = device.curl("/v1/cameras/hall/gallery/nosuch", &[]).stdout;
    assert!(why.contains("no frame \\\"nosuch\\\" of camera \\\"hall\\\""), "{why}");
}

#[test]
fn attempts_that_teach_something_keep_their_picture() {
    let scene = Scene::new();
    let source = scene.film.display().to_string();
    let config = camera(&source) + &watch("lamp", "", "");
    let mut device = Device::start(scene, &config);
    let pictured = |device: &Device| -> Vec<Value> {
        device.recent().into_iter().filter(|attempt| attempt["picture"] == true).collect()
    };
    let votes = |attempts: &[Value]| -> BTreeSet<String> {
        attempts.iter().filter_map(|attempt| Some(attempt["vote"].as_str()?.to_string())).collect()
    };
    let both = BTreeSet::from(["on".to_string(), "off".to_string()]);
    let before = wait("pictures of both states", || {
        Some(pictured(&device)).filter(|attempts| votes(attempts).is_superset(&both))
    });
    let first = before.last().expect("the first attempt");
    assert_eq!(first["reason"], "start");
    assert_eq!(first["states"], serde_json::json!(["off", "on"]));
    for key in ["time", "model", "camera", "probabilities", "agreeing", "needed", "seq"] {
        assert!(!first[key].is_null(), "{key} in {first:#}");
    }
    let path = format!("/v1/recent/{}/picture", first["id"].as_str().expect("an id"));
    assert_eq!(first["crop"], serde_json::json!([0.0625, 0.08333, 0.9375, 0.83333]));
    let whole = |attempt: &Value| attempt["whole"] == true;
    assert_eq!(device.size(&path), if whole(first) { (320, 240) } else { (280, 180) });
    assert!(before.iter().any(whole), "the camera is steady: {before:#?}");
    // The interval's looks at what is known say nothing new.
    let routine = wait("a look that says nothing new", || {
        device
            .recent()
            .into_iter()
            .find(|attempt| attempt["reason"] == "interval" && attempt["picture"] == false)
    });
    device.curl(&format!("/v1/recent/{}/picture", routine["id"].as_str().expect("an id")), &[]).expect(22);
    assert_eq!(
        device.get("/v1/recent?model=lamp&camera=hall")["attempts"].as_array().map(Vec::is_empty),
        Some(false)
    );
    assert_eq!(device.get("/v1/recent?camera=yard")["attempts"], serde_json::json!([]));
    let mistake = device.curl("/v1/recent?modle=lamp", &[]);
    assert_eq!((mistake.code, mistake.stdout.contains("modle")), (22, true), "{mistake:?}");

    // From now on everything is ambiguous; what was kept of the states stays.
    let last = pictured(&device);
    let old = ids(&last);
    let some =
        last.iter().filter(|attempt| both.contains(attempt["vote"].as_str().unwrap_or_default())).count();
    let save = format!("threshold = 1\nsave_attempts = {}", some + 2);
    // And whole frames are not to be kept any more, either.
    let off = "[gallery]\nenabled = false\n".to_string();
    device.restart(
        &(off + &camera(&source) + &watch("lamp", &save, "").replace("interval = 1", "interval = 0.5")),
    );
    assert!(device.curl(&path, &[]).code == 0, "a restart lost a picture");
    wait("an ambiguous scene", || {
        let attempts = device.recent();
        let ambiguous = attempts.iter().filter(|attempt| attempt["vote"] == "unknown").count();
        (ambiguous >= 20).then_some(())
    });
    let after = pictured(&device);
    let kept: Vec<&str> = ids(&after).into_iter().filter(|id| old.contains(id)).collect();
    let unknown = after.iter().filter(|attempt| attempt["vote"] == "unknown").count();
    let crop = after.iter().find(|attempt| !old.contains(&attempt["id"].as_str().unwrap_or_default()));
    let crop = crop.expect("a new picture");
    let place = format!("/v1/recent/{}/picture", crop["id"].as_str().expect("an id"));
    assert_eq!((&crop["whole"], device.size(&place)), (&false.into(), (280, 180)), "the crop, no more");
    println!("{} kept of {}, {unknown} ambiguous", kept.len(), old.len());
    assert!(votes(&after).is_superset(&both), "{after:#?}");
    assert!(after.len() <= some + 2 && (1..=6).contains(&unknown), "{unknown} of {}", after.len());
    assert_eq!(names(&device.scene, "recent/hall/lamp").len(), 2 * after.len());
    assert!(ids(&device.recent()).windows(2).all(|pair| pair[0] > pair[1]), "the newest first");
}

#[test]
fn ajar_fetches_the_gallery() {
    let config = "[gallery]\nevery = 5\n".to_string() + &camera(RIPPLES);
    let device = Device::start(bare(), &config);
    wait("three frames", || (device.gallery().len() >= 3).then_some(()));
    let sandbox = &device.scene.sandbox;
    let fetched = sandbox.ajar_line("gallery --device control.sock --out frames").expect(0);
    assert!(
        fetched.stdout.starts_with("hall: ") && fetched.stdout.contains(" frames in frames/hall"),
        "{fetched:?}"
    );
    let files = names(&device.scene, "frames/hall");
    assert!(
        files.len() >= 3 && files.iter().all(|name| name.starts_with("20") && name.ends_with(".jpg")),
        "{files:?}"
    );
    let bytes = fs::read(sandbox.path(&format!("frames/hall/{}", files[0]))).expect("a frame");
    assert!(ajar::companion::picture::decode(&bytes).is_ok());
    // What is there is not fetched again.
    sandbox.write(&format!("frames/hall/{}", files[0]), "mine");
    sandbox.ajar_line("gallery --device control.sock --out frames --camera hall").expect(0);
    assert_eq!(fs::read(sandbox.path(&format!("frames/hall/{}", files[0]))).expect("a file"), b"mine");
    let line = "gallery --device control.sock --out frames --camera yard";
    sandbox.ajar_line(line).expect_error(1, "the device has no camera \"yard\"");
}
