//! What is in the picture, as the users of the service meet it: a frozen, dark, covered or moved camera, another shape
//! of its frames; and what the view says of real pictures.
#![cfg(all(feature = "companion", feature = "device"))]

#[path = "support/ajard.rs"]
mod ajard;
#[path = "support/cli.rs"]
mod cli;
#[path = "view/figures.rs"]
mod figures;
#[path = "support/mosquitto.rs"]
mod mosquitto;
#[path = "support/pictures.rs"]
mod pictures;
#[path = "support/rtsp.rs"]
mod rtsp;
#[allow(dead_code)]
#[path = "support/scene.rs"]
mod scene;

use ajard::{Ajard, LIMIT, events, wait_for_event};
use image::{Rgb, RgbImage, imageops};
use mosquitto::{Listener, Mosquitto};
use pictures::{Gate, gate};
use rtsp::Rtsp;
use scene::{Scene, encode_film};
use serde_json::Value;
use std::fs;
use std::path::Path;

const ATTRIBUTES: &str = "ajar/test/hall/lamp/attributes";
const SMALL: &str = "video/x-raw,format=I420,width=320,height=240,framerate=10/1";
const SPECK: &str = "video/x-raw,format=I420,width=16,height=16,framerate=10/1";

/// The lamp for some seconds, with a speck of noise on it that is as clear as `alpha`.
fn lamp(pattern: &str, seconds: u32, alpha: f32) -> String {
    let (frames, name) = (10 * seconds, format!("{pattern}{seconds}"));
    format!(
        "compositor name={name} sink_1::alpha={alpha} sink_1::xpos=150 sink_1::ypos=100 ! {SMALL} ! film. \
         videotestsrc pattern={pattern} num-buffers={frames} ! {SMALL} ! {name}.sink_0 \
         videotestsrc pattern=snow num-buffers={frames} ! {SPECK} ! {name}.sink_1"
    )
}

/// As a camera of little noise sees it.
fn live(pattern: &str, seconds: u32) -> String {
    lamp(pattern, seconds, 0.2)
}

/// As a camera without any.
fn still(pattern: &str, seconds: u32) -> String {
    lamp(pattern, seconds, 0.0)
}

/// The lamp's device with this camera, whose picture may be frozen.
fn start(scene: &Scene, source: &str, frozen_after: u32, mqtt: Option<u16>) -> Ajard {
    let path = scene.config(source, mqtt);
    let text = fs::read_to_string(&path).expect("a configuration");
    fs::write(&path, text.replace("frozen_after = 0", &format!("frozen_after = {frozen_after}")))
        .expect("a file");
    Ajard::start(scene, &path)
}

/// What the changes say: the reason where there is one, else the state.
fn story(scene: &Scene) -> Vec<String> {
    let changes = events(scene).into_iter().filter(|event| event["event"] == "change");
    let said = |change: Value| change["reason"].as_str().or(change["state"].as_str()).map(str::to_string);
    changes.filter_map(said).collect()
}

fn wait_for(scene: &Scene, wanted: &str) -> Value {
    wait_for_event(scene, LIMIT, |event| {
        event["event"] == "change" && (event["reason"] == wanted || event["state"] == wanted)
    })
}

/// Waits until the changes are these.
fn wait_for_story(scene: &Scene, wanted: &[&str]) {
    let deadline = std::time::Instant::now() + LIMIT;
    while story(scene) != wanted {
        assert!(std::time::Instant::now() < deadline, "want {wanted:?}, have {:?}", story(scene));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
}

#[test]
fn a_frozen_stream_is_unknown_everywhere_until_it_lives_again() {
    let scene = Scene::new();
    let film = scene.sandbox.path("frozen.mkv");
    // H.264 by RTSP, of which keyframes are decoded.
    encode_film(&film, &[live("smpte75", 6), still("smpte75", 14), live("checkers-8", 20)]);
    let camera = Rtsp::serve_file(&film);
    let broker = Mosquitto::start(&scene.sandbox.path(""));
    let listener = Listener::connect(broker.port);
    let _ajard = start(&scene, &camera.url, 5, Some(broker.port));
    let frozen = wait_for(&scene, "frozen");
    assert_eq!((&frozen["state"], &frozen["previous"]), (&"unknown".into(), &"on".into()));
    listener.wait_for(ATTRIBUTES, LIMIT, |payloads| {
        payloads.iter().any(|payload| payload.contains("\"reason\":\"frozen\""))
    });
    wait_for_story(&scene, &["on", "frozen", "off"]);
}

#[test]
fn a_camera_of_little_noise_is_not_frozen_and_zero_turns_it_off() {
    for (source, frozen_after) in [(live("smpte75", 14), 3), (still("smpte75", 14), 0)] {
        let scene = Scene::new();
        let film = scene.sandbox.path("alive.mkv");
        encode_film(&film, &[source]);
        let camera = Rtsp::serve_file(&film);
        let _ajard = start(&scene, &camera.url, frozen_after, None);
        // The film's end comes long after.
        wait_for_event(&scene, LIMIT, |event| event["status"] == "down");
        assert_eq!(story(&scene), ["on"], "{frozen_after}");
    }
}

#[test]
fn black_and_white_pictures_are_dark_and_covered() {
    let scene = Scene::new();
    let film = scene.sandbox.path("covered.mkv");
    encode_film(&film, &[live("smpte75", 6), still("black", 8), still("white", 8), live("checkers-8", 12)]);
    let camera = Rtsp::serve_file(&film);
    let _ajard = start(&scene, &camera.url, 30, None);
    wait_for_story(&scene, &["on", "dark", "covered", "off"]);
    // Each by attempts that say why.
    let whys: Vec<Value> = events(&scene).into_iter().map(|event| event["why"].clone()).collect();
    for why in ["dark", "covered"] {
        assert!(whys.iter().filter(|have| **have == why).count() >= 3, "{whys:?}");
    }
}

#[test]
fn another_size_goes_on_and_another_shape_is_unknown() {
    let scene = Scene::new();
    let size = |frames: u32, width: u32, height: u32| {
        format!(
            "videotestsrc pattern=smpte75 num-buffers={frames} ! \
             video/x-raw,format=I420,width={width},height={height},framerate=10/1 ! size. "
        )
    };
    // 320 x 240, larger, wide, and as before.
    let source = size(60, 320, 240)
        + &size(60, 640, 480)
        + &size(60, 640, 360)
        + &size(100, 320, 240)
        + "concat name=size ! identity sync=true";
    let _ajard = start(&scene, &source, 0, None);
    wait_for_story(&scene, &["on", "geometry", "on"]);
}

#[test]
fn after_a_jump_of_the_light_it_takes_its_time_before_it_looks() {
    let scene = Scene::new();
    let film = scene.sandbox.path("light.mkv");
    encode_film(&film, &[live("smpte75", 8), live("checkers-8", 12)]);
    let camera = Rtsp::serve_file(&film);
    let _ajard = start(&scene, &camera.url, 30, None);
    wait_for_story(&scene, &["on", "off"]);
    let attempts = || events(&scene).into_iter().filter(|event| event["event"] == "attempt");
    let time = |attempt: &Value| -> jiff::Timestamp {
        attempt["time"].as_str().and_then(|time| time.parse().ok()).expect("a time")
    };
    let last = attempts().rfind(|attempt| attempt["vote"] == "on").expect("attempts");
    let first = attempts().find(|attempt| attempt["vote"] == "off").expect("attempts");
    // Without the light it would be a second at most, the interval.
    let pause = time(&first).duration_since(time(&last)).as_secs_f64();
    assert!(pause > 1.9, "{pause} s");
}

/// A wall of boxes with a gate in it, seen by a camera that was turned to the side by part of the frame.
fn yard(state: Gate, day: u32, aside: f32) -> RgbImage {
    let (width, height) = (320, 180);
    let shift = (aside * width as f32) as u32;
    let boxes =
        |x: u32, y: u32, side: u32| ((x / side) * 73 + (y / side) * 151 + (x / side) * (y / side) * 29) % 60;
    let mut yard = RgbImage::from_fn(width, height, |x, y| {
        let x = x + shift;
        Rgb([60 + (boxes(x, y, 41) + boxes(x, y, 17) + boxes(x, y, 11) / 2) as u8; 3])
    });
    let light = day % 2 * 20;
    yard.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|code| code + light as u8));
    imageops::overlay(&mut yard, &gate(state, day), 110 - i64::from(shift), 54);
    yard
}

#[test]
fn a_camera_that_is_turned_is_moved_until_it_is_turned_back() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let save = |picture: &RgbImage, path: &Path| {
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        picture.save(path).expect("a picture");
    };
    // A lamp that is a gate: its states are those of the scene's model.
    for (name, state) in [("on", Gate::Open), ("off", Gate::Closed)] {
        for day in 0..12 {
            let frame = yard(state, 2 * day + u32::from(state == Gate::Open), 0.0);
            let crop = imageops::crop_imm(&frame, 110, 54, 96, 72).to_image();
            save(&crop, &sandbox.path(&format!("gates/{name}/{day}.png")));
        }
    }
    save(&yard(Gate::Closed, 2, 0.0), &sandbox.path("reference.png"));
    for (name, aside) in [("here", 0.0), ("there", 0.15)] {
        save(&yard(Gate::Open, 5, aside), &sandbox.path(&format!("{name}.png")));
    }
    for line in [
        "train --name lamp --dataset gates --key k --out gate.ajb --reference hall=reference.png",
        "deploy --store store gate.ajb",
    ] {
        sandbox.ajar_line(line).expect(0);
    }
    let inspected = sandbox.ajar_line("bundle inspect gate.ajb").expect(0).stdout;
    assert!(inspected.contains("[[reference]]\ncamera = \"hall\"\nframe_aspect = 1.7"), "{inspected}");
    let still = |name: &str, frames: u32| {
        let path = sandbox.path(&format!("{name}.png"));
        format!(
            "filesrc location=\"{}\" ! pngdec ! videoconvert ! imagefreeze num-buffers={frames} ! \
             video/x-raw,format=I420,width=320,height=180,framerate=10/1 ! yard. ",
            path.display()
        )
    };
    let source = still("here", 80)
        + &still("there", 80)
        + &still("here", 100)
        + "concat name=yard ! identity sync=true";
    let path = scene.config(&source, None);
    let text = fs::read_to_string(&path).expect("a configuration");
    let text = text
        .replace("frame_size = [320, 240]", "frame_size = [320, 180]")
        .replace("crop = [20, 20, 300, 200]", "crop = [110, 54, 206, 126]");
    fs::write(&path, text).expect("a configuration");
    let _ajard = Ajard::start(&scene, &path);
    wait_for_story(&scene, &["on", "moved", "on"]);
}
