//! Import from Frigate at the page.

use crate::browser;
use crate::cli::Sandbox;
use crate::garage::{self, Sight};
use crate::studio::Studio;
use crate::visit::Visit;
use serde_json::Value;
use std::fs;

const CONFIG: &str = "\
cameras:
  Drive:
    ffmpeg:
      inputs:
        - path: rtsp://viewer:secret@10.0.0.7/live
          roles: [detect]
    detect:
      width: 960
      height: 540
classification:
  custom:
    Garage Door:
      threshold: 0.8
      state_config:
        motion: true
        cameras:
          Drive:
            crop: [317, 189, 643, 421]
";

/// The second ends the first, which is told so, and gets none of its pictures.
#[test]
fn two_windows_do_not_mix_their_imports() {
    let sandbox = Sandbox::new();
    let config = format!("@{}", sandbox.write("config.yml", CONFIG).display());
    let studio = Studio::start(&sandbox, &[]);
    studio.let_in(&sandbox);
    let ask = |words: &[&str], path: &str| {
        let url = format!("{}/api/import{path}", studio.origin());
        studio.curl(&sandbox, &[words, &[&url]].concat()).stdout
    };
    let begin = || {
        let said = ask(&["--data-binary", &config], "");
        let said: Value = serde_json::from_str(said.strip_prefix("200 ").expect("an import")).expect("JSON");
        said["id"].as_str().expect("an id").to_string()
    };
    let (first, second) = (begin(), begin());
    let place = |id: &str| format!("/{id}/picture?path=Garage%20Door/dataset/open/1.png");
    let picture = ["-X", "PUT", "--data-binary", "no picture"];
    for refused in [ask(&picture, &place(&first)), ask(&["-X", "POST"], &format!("/{first}"))] {
        assert!(refused.starts_with("422") && refused.contains("in another window"), "{refused}");
    }
    for state in ["open", "closed"] {
        let answer = ask(&picture, &place(&second).replace("open", state));
        assert!(answer.starts_with("200"), "{answer}");
    }
    let done = ask(&["-X", "POST"], &format!("/{second}"));
    assert!(
        done.contains("0 closed, 0 open") && done.contains("cannot be read"),
        "only what was kept: {done}"
    );
}

#[test]
fn what_frigate_has_becomes_models() {
    if !browser::is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let config = sandbox.write("frigate/config.yml", CONFIG);
    for (place, open, seeds) in
        [("dataset/open", true, 0..4), ("dataset/closed", false, 0..5), ("train", true, 4..6)]
    {
        let folder = sandbox.path(&format!("frigate/media/clips/Garage Door/{place}"));
        fs::create_dir_all(&folder).expect("a folder");
        for seed in seeds {
            let frame = garage::draw(Sight { open, hour: 9.0 + seed as f32, seed });
            let crop = image::imageops::crop_imm(&frame, 317, 189, 326, 232).to_image();
            crop.save(folder.join(format!("177240{seed:04}.5-x.png"))).expect("a picture");
        }
    }
    // What Frigate keeps beside them is not sent.
    sandbox.write("frigate/media/clips/Drive-1772400000.1-x.jpg", b"a snapshot");
    let visit = Visit::start(sandbox, &[]);
    let browser = &visit.browser;
    browser.press("Import from Frigate");
    browser.wait_for_path("/import");
    browser.choose_files("#config", &[&config]);
    browser.choose_files("#clips", &[&visit.sandbox.path("frigate/media")]);
    browser.click("#go");
    browser.wait_for_text("#done", "Imported");
    browser.wait_for_text("#models", "garage-door");
    browser.wait_for_text("#notes", "5 closed, 4 open, 2 without a state");
    browser.wait_for_text("#device-config", "[cameras.drive]");
    let workspace = visit.sandbox.path("studio");
    let model = fs::read_to_string(workspace.join("models/garage-door/model.toml")).expect("a model");
    assert!(model.contains("[crops.drive]") && !model.contains("secret"), "{model}");
    let left = fs::read_dir(workspace.join("cache")).into_iter().flatten().flatten();
    let left: Vec<_> =
        left.filter(|entry| entry.file_name().to_string_lossy().starts_with("import-")).collect();
    assert!(left.is_empty(), "{left:?}");

    // The two without a state are what is asked for next.
    browser.press("garage-door");
    browser.wait_for_text("#waiting", "2 pictures without a state");

    // They are cut-outs: there is nothing to draw on, and what is drawn elsewhere does not take them along in silence.
    let crops = || {
        let text = fs::read_to_string(workspace.join("models/garage-door/model.toml")).expect("a model");
        text.split_once("crop = ").expect("a crop").1.to_string()
    };
    let imported = crops();
    visit.open("/models/garage-door/crop");
    browser.wait_for_text("#problem", "there is no whole picture of it");
    browser.wait_for_text("#cut-outs", "11 pictures of this camera show the crop and nothing around it");
    let frames = workspace.join("models/garage-door/frames/drive");
    fs::create_dir_all(&frames).expect("a folder");
    let frame = garage::draw(Sight { open: true, hour: 9.0, seed: 9 });
    frame.save(frames.join("undated_abcdefghijkl.jpg")).expect("a picture");
    browser.reload();
    browser.wait_for_text("#size", "of 960 × 540");
    browser.focus("#rect");
    browser.keys("\u{e014}");
    browser.wait_for_text("#toasts", "11 pictures of the crop before count no longer.");
    browser.until("another crop", || crops() != imported);
    browser.press("Undo");
    browser.until("the crop before", || crops() == imported);
    // Also later, when the note is gone.
    browser.focus("#rect");
    browser.keys("\u{e014}");
    browser.until("another crop", || crops() != imported);
    browser.reload();
    browser.wait_for_text("#cut-outs", "11 pictures wait for a crop from before.");
    browser.press("Use that crop");
    browser.until("the crop before", || crops() == imported);

    // The same once more: refused, and nothing is changed.
    let before = fs::read(workspace.join("models/garage-door/labels.tsv")).expect("labels");
    visit.open("/import");
    browser.choose_files("#config", &[&config]);
    browser.choose_files("#clips", &[&visit.sandbox.path("frigate/media/clips")]);
    browser.click("#go");
    browser.wait_for_text("#problem", "There is a model \"garage-door\" already");
    assert_eq!(fs::read(workspace.join("models/garage-door/labels.tsv")).expect("labels"), before);

    // A folder without any of it, and a file that is no configuration.
    fs::create_dir(visit.sandbox.path("empty")).expect("a folder");
    fs::write(visit.sandbox.path("empty/note.txt"), "nothing").expect("a file");
    visit.open("/import");
    browser.choose_files("#config", &[&visit.sandbox.path("empty/note.txt")]);
    browser.choose_files("#clips", &[&visit.sandbox.path("empty")]);
    browser.click("#go");
    browser.wait_for_text("#problem", "In this folder are no pictures of classifications");
    browser.choose_files("#clips", &[&visit.sandbox.path("frigate/media")]);
    browser.click("#go");
    browser.wait_for_text("#problem", "config.yml: ");
}
