//! Import from Frigate: configurations as people have them, and its folders of pictures.
#![cfg(all(feature = "companion", feature = "device"))]

#[path = "support/cli.rs"]
mod cli;
#[path = "support/pictures.rs"]
mod pictures;

use ajar::companion::workspace::Workspace;
use ajar::companion::workspace::model::CropFile;
use ajar::config::Config;
use cli::{Output, Sandbox};
use image::ImageFormat;
use pictures::{Gate, encode, gate};
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

fn import(sandbox: &Sandbox, config: &Path, line: &str) -> Output {
    let mut words = vec!["import", "frigate", "--config", config.to_str().expect("a path")];
    words.extend(line.split_whitespace());
    sandbox.ajar(&words)
}

/// What is said of a configuration that begins with two good cameras.
fn mistake(sandbox: &Sandbox, rest: &str) -> String {
    let head = "cameras:\n  front:\n    ffmpeg:\n      inputs:\n        - path: rtsp://10.0.0.1/a\n";
    let path = sandbox.write("config.yml", format!("{head}{rest}"));
    import(sandbox, &path, "").expect(2).stderr
}

#[test]
fn configurations_become_those_of_ajard() {
    let sandbox = Sandbox::new();
    for name in ["wizard", "by_hand"] {
        let output = import(&sandbox, &fixture(&format!("{name}.yml")), "").expect(0);
        let golden = fs::read_to_string(fixture(&format!("{name}.toml"))).expect("a golden file");
        assert_eq!(output.stdout, golden, "{name}");
        Config::parse(&output.stdout).unwrap_or_else(|why| panic!("{name}: {why}"));
    }
}

#[test]
fn what_is_not_taken_over_is_said() {
    let sandbox = Sandbox::new();
    let notes = import(&sandbox, &fixture("wizard.yml"), "").expect(0).stderr;
    for note in [
        "renamed: the model \"Garage Door\" is garage-door in Ajar\n",
        "renamed: the camera \"Driveway\" is driveway in Ajar\n",
        "left out: the model \"couriers\" has no state_config",
        "fill in: the source of Driveway has a placeholder for what Frigate's environment has\n",
        "fill in: the source of back_yard is a stream of Frigate's own go2rtc",
    ] {
        assert!(notes.contains(note), "want {note:?} in\n{notes}");
    }
    assert_eq!(notes.matches("Driveway").count(), 2, "each thing once:\n{notes}");
    let notes = import(&sandbox, &fixture("by_hand.yml"), "").expect(0).stderr;
    assert!(notes.contains("left out: the model old_gate is disabled in Frigate"), "{notes}");
}

#[test]
fn mistakes_are_named_by_line_and_key() {
    let sandbox = Sandbox::new();
    let door = |rest: &str| mistake(&sandbox, &format!("classification:\n  custom:\n    door:\n{rest}"));
    let crop = "        cameras:\n          front:\n            crop: ";
    for (rest, want) in [
        (
            "      threshold: high\n      state_config:\n".to_string() + crop + "[0, 0, 1, 1]\n",
            "config.yml: line 9: classification.custom.door.threshold: want a number\n",
        ),
        (
            "      threshold: 80\n      state_config:\n".to_string() + crop + "[0, 0, 1, 1]\n",
            "line 9: classification.custom.door.threshold: 80 is not within 0 and 1\n",
        ),
        (
            "      state_config:\n".to_string() + crop + "[0, 0, 1]\n",
            "line 12: classification.custom.door.state_config.cameras.front.crop: want four numbers, [x1, y1, x2, y2]\n",
        ),
        (
            "      state_config:\n".to_string() + crop + "[0, 180, 220, 400]\n",
            "front.crop: it is in pixels, so give cameras.front.detect width and height\n",
        ),
        (
            "      state_config:\n".to_string() + crop + "[0.5, 0, 0.2, 1]\n",
            "front.crop: [0.5, 0.0, 0.2, 1.0]: want x1 < x2 and y1 < y2\n",
        ),
        (
            "      state_config:\n        motion: maybe\n".to_string() + crop + "[0, 0, 1, 1]\n",
            "line 10: classification.custom.door.state_config.motion: want true or false\n",
        ),
        (
            "      state_config:\n        cameras:\n          yard:\n            crop: [0, 0, 1, 1]\n"
                .to_string(),
            "state_config.cameras.yard: there is no camera cameras.yard\n",
        ),
        ("      state_config:\n        motion: true\n".to_string(), "state_config: cameras is missing\n"),
        (
            "      state_config:\n".to_string()
                + crop
                + "[0, 0, 1, 1]\n    Door:\n      state_config:\n"
                + crop
                + "[0, 0, 1, 1]\n",
            "classification.custom.Door: \"door\" is also what \"door\" becomes; rename one of them\n",
        ),
    ] {
        let have = door(&rest);
        assert!(have.starts_with("error: ") && have.contains(want), "want {want:?} in\n{have}");
    }
    let have = mistake(&sandbox, "mqtt:\n  host: a\n");
    assert!(have.contains("no state classification: want classification.custom.NAME"), "{have}");
    let have = mistake(&sandbox, "mqtt: [\n");
    assert!(have.contains("config.yml: line ") && have.contains(": not YAML: "), "{have}");
    let missing = sandbox.path("nosuch.yml");
    import(&sandbox, &missing, "").expect_error(2, "nosuch.yml: No such file or directory");
    let empty = sandbox.write("empty.yml", "");
    import(&sandbox, &empty, "").expect_error(2, "empty.yml: is empty; want Frigate's config.yml");
    import(&sandbox, &fixture("wizard.yml"), "--clips nosuch").expect_error(2, "want Frigate's clips");
}

#[test]
fn pictures_become_a_model_of_the_workspace() {
    let sandbox = Sandbox::new();
    let put = |place: &str, state: Gate, day: u32, format: ImageFormat| {
        sandbox.write(&format!("media/clips/Garage Door/{place}"), encode(&gate(state, day), format));
    };
    for day in 0..12 {
        // As Frigate names them: by the time at which they were sorted in.
        for (name, state) in [("open", Gate::Open), ("closed", Gate::Closed)] {
            let file = format!("dataset/{name}/{name}-17{day:08}.{day}12345-q7x{day:03}.png");
            put(&file, state, 2 * day + u32::from(state == Gate::Open), ImageFormat::Png);
        }
    }
    put("dataset/none/none-1762345678.5-aaaaaa.png", Gate::Open, 90, ImageFormat::Png);
    put("train/none-none-1762345678.123456-open-0.98.webp", Gate::Open, 91, ImageFormat::WebP);
    sandbox.write("media/clips/Garage Door/dataset/open/.nomedia", "");

    sandbox.write("media/clips/Garage Door/dataset/open/open-1762345679.5-bbbbbb.png", "not a picture");

    let output = import(&sandbox, &fixture("wizard.yml"), "--clips media --workspace work").expect(0);
    for said in [
        "garage-door: 12 closed, 12 open, 2 without a state, in ",
        "open-1762345679.5-bbbbbb.png: this picture cannot be read",
        "look: 1 pictures of garage-door of the class none",
        "left out: pool_cover is not in the workspace, as its classes will not do: A model needs at least two states.",
    ] {
        assert!(output.stderr.contains(said), "want {said:?} in\n{}", output.stderr);
    }
    assert!(output.stdout.contains("[classification.custom.pool_cover]"), "it is watched all the same");

    let workspace = Workspace::open(&sandbox.path("work")).expect("a workspace");
    assert_eq!(workspace.models().expect("models"), ["garage-door"]);
    let model = workspace.model("garage-door").expect("the model");
    let file = model.file().expect("model.toml");
    assert_eq!(
        (file.title.as_str(), file.states),
        ("Garage Door", vec!["closed".to_string(), "open".to_string()])
    );
    let crop = file.crops["driveway"];
    assert_eq!((crop.crop, crop.frame_size), ([0.3021, 0.2, 0.7, 0.8533], [640, 360]));
    let pictures = model.pictures().expect("pictures");
    let of =
        |state: Option<&str>| pictures.iter().filter(|picture| picture.state.as_deref() == state).count();
    assert_eq!((of(Some("open")), of(Some("closed")), of(None)), (12, 12, 2));
    let times: Vec<_> = pictures.iter().filter_map(|picture| picture.moment()).collect();
    assert_eq!(times, [1_762_345_678], "of the attempt alone");

    // What has no state is deleted, and brought back: the crops are where they were.
    let waiting: Vec<String> =
        pictures.iter().filter(|picture| picture.state.is_none()).map(|picture| picture.id.clone()).collect();
    let entry = model.delete(&waiting).expect("deleted");
    let dataset = model.dataset(&model.basis().expect("a basis")).expect("a dataset");
    assert_eq!((dataset.states.len(), dataset.examples.len()), (2, 24));
    model.undo(&entry).expect("brought back");
    assert_eq!(model.pictures().expect("pictures"), pictures);
    // Drawn anew, the crop is another one, and back again.
    let elsewhere = CropFile::new([0.1, 0.1, 0.5, 0.5], [640, 360]).expect("a crop");
    model.set_crop("driveway", elsewhere).expect("a crop");
    assert_eq!(model.pictures().expect("pictures").len(), 0);
    model.set_crop("driveway", crop).expect("a crop");
    assert_eq!(model.pictures().expect("pictures"), pictures);

    // Nothing is overwritten.
    import(&sandbox, &fixture("wizard.yml"), "--clips media/clips --workspace work")
        .expect_error(2, "There is a model \"garage-door\" already.");
}
