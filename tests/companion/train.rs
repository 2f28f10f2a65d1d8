//! `ajar train`: what it makes of a dataset, and what it says of a wrong one.

use crate::cli::{Output, Sandbox};
use crate::pictures::{self, Gate, encode, gate};
use image::ImageFormat;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A sandbox with a key and `count` pictures of each state.
fn sandbox(count: u32) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ajar_line("key new --out k --no-password").expect(0);
    pictures::dataset(&sandbox.path("pictures"), count);
    sandbox
}

/// Trains into `NAME.ajb` and `NAME.json`.
fn train(sandbox: &Sandbox, name: &str, more: &str) -> Output {
    let line =
        format!("train --name gate --dataset pictures --key k --out {name}.ajb --report {name}.json {more}");
    sandbox.ajar_line(&line)
}

fn report(sandbox: &Sandbox, name: &str) -> Value {
    let text = fs::read_to_string(sandbox.path(&format!("{name}.json"))).expect("a report");
    serde_json::from_str(&text).expect("JSON")
}

/// The bytes of the head part of `NAME.ajb`, and the hash of the pictures it was made from.
fn head(sandbox: &Sandbox, name: &str) -> (Vec<u8>, String) {
    sandbox.ajar_line(&format!("bundle unpack {name}.ajb")).expect(0);
    let manifest = fs::read_to_string(sandbox.path(&format!("{name}/manifest.toml"))).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("TOML");
    let dataset = manifest["calibration"]["dataset_sha256"].as_str().expect("a hash").to_string();
    (fs::read(sandbox.path(&format!("{name}/head.f32"))).expect("a head"), dataset)
}

#[test]
fn the_report_says_what_was_found() {
    let sandbox = sandbox(6);
    let output = train(&sandbox, "gate", "").expect(0);
    for says in
        ["closed: 6 pictures", "open: 6 pictures", "cross-validated in 5 folds, 12 pictures", "gate.ajb ("]
    {
        assert!(output.stdout.contains(says), "want {says:?} in {}", output.stdout);
    }
    let report = report(&sandbox, "gate");
    let mut keys: Vec<&str> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let want =
        ["blocks", "cross_validation", "pictures", "quarantined", "seconds", "seed", "states", "strength"];
    assert_eq!(keys, want);
    assert_eq!(report["states"], serde_json::json!(["closed", "open"]));
    assert_eq!(report["pictures"], serde_json::json!([6, 6]));
    assert_eq!(report["quarantined"], serde_json::json!([]));
    // The generated states are easy to tell apart.
    assert_eq!(report["cross_validation"]["balanced_error"], 0.0);
}

#[test]
fn broken_pictures_are_left_out_by_name() {
    let sandbox = sandbox(3);
    let picture = gate(Gate::Open, 99);
    let (jpeg, png) = (encode(&picture, ImageFormat::Jpeg), encode(&picture, ImageFormat::Png));
    let tiny = encode(&image::RgbImage::new(1, 1), ImageFormat::Png);
    let broken: [(&str, &[u8], &str); 6] = [
        ("cut_off.jpg", &jpeg[..jpeg.len() / 2], "truncated"),
        ("cut_off.png", &png[..png.len() / 2], ""),
        ("empty.jpg", b"", "not a JPEG, PNG or WebP picture"),
        ("text.png", b"a note that was named like a picture", "not a JPEG, PNG or WebP picture"),
        ("tiny.png", &tiny, "smaller than 2 x 2 pixels"),
        ("zeros.webp", &[0; 4096], "not a JPEG, PNG or WebP picture"),
    ];
    for (name, bytes, _) in broken {
        sandbox.write(&format!("pictures/open/{name}"), bytes);
    }
    let output = train(&sandbox, "gate", "").expect(0);
    let report = report(&sandbox, "gate");
    assert_eq!(report["pictures"], serde_json::json!([3, 3]));
    let quarantined = report["quarantined"].as_array().expect("a list");
    assert_eq!(quarantined.len(), broken.len(), "{quarantined:?}");
    for ((name, _, why), entry) in broken.iter().zip(quarantined) {
        let path = format!("pictures/open/{name}");
        assert_eq!(entry["path"], path.as_str());
        assert!(entry["why"].as_str().expect("text").contains(why), "{entry}");
        assert!(output.stdout.contains(&format!("left out: {path} (")), "{}", output.stdout);
        assert!(output.stderr.contains(&path), "{}", output.stderr);
        assert!(sandbox.path(&path).exists(), "{path} was removed");
    }
}

/// A JPEG under another picture's name is read for what it is; what is no picture by name is left alone.
#[test]
fn contents_count_and_other_files_do_not() {
    let sandbox = sandbox(2);
    sandbox.write("pictures/open/named.png", encode(&gate(Gate::Open, 50), ImageFormat::Jpeg));
    sandbox.write("pictures/open/CAPITALS.JPG", encode(&gate(Gate::Open, 51), ImageFormat::Jpeg));
    sandbox.write("pictures/open/small.webp", encode(&gate(Gate::Open, 52), ImageFormat::WebP));
    sandbox.write("pictures/open/notes.txt", "not a picture");
    sandbox.write("pictures/labels.tsv", "not a folder");
    sandbox.write("pictures/.thumbnails/open.jpg", "hidden");
    train(&sandbox, "gate", "").expect(0);
    let report = report(&sandbox, "gate");
    assert_eq!(report["pictures"], serde_json::json!([2, 5]));
    assert_eq!(report["quarantined"], serde_json::json!([]));
}

#[test]
fn training_is_repeatable_and_the_seed_picks_the_pictures() {
    let sandbox = sandbox(6);
    for (name, more) in [
        ("one", "--per-state 3 --seed 7"),
        ("two", "--per-state 3 --seed 7"),
        ("three", "--per-state 3 --seed 8"),
    ] {
        train(&sandbox, name, more).expect(0);
        assert_eq!(report(&sandbox, name)["pictures"], serde_json::json!([3, 3]));
    }
    let [one, two, three] = ["one", "two", "three"].map(|name| head(&sandbox, name));
    assert_eq!(one, two);
    assert_ne!(one.1, three.1, "another seed picked the same pictures");
    assert_ne!(one.0, three.0);
}

/// `--per-state` chooses by content: renaming files changes nothing.
#[test]
fn names_of_pictures_do_not_matter_for_the_choice() {
    let sandbox = sandbox(6);
    train(&sandbox, "before", "--per-state 2").expect(0);
    let folder = sandbox.path("pictures/open");
    for (from, to) in [("00.png", "x.png"), ("01.jpg", "a.jpg"), ("02.png", "00.png")] {
        fs::rename(folder.join(from), folder.join(to)).expect("a renamed file");
    }
    train(&sandbox, "after", "--per-state 2").expect(0);
    assert_eq!(head(&sandbox, "before").1, head(&sandbox, "after").1);
}

#[test]
fn one_picture_each_trains_without_cross_validation() {
    let sandbox = sandbox(1);
    let output = train(&sandbox, "gate", "").expect(0);
    assert!(output.stdout.contains("not cross-validated: at least two pictures"), "{}", output.stdout);
    assert_eq!(report(&sandbox, "gate")["cross_validation"], Value::Null);
}

#[test]
fn more_asked_for_than_there_is_takes_all() {
    let sandbox = sandbox(2);
    train(&sandbox, "gate", "--per-state 1000").expect(0);
    assert_eq!(report(&sandbox, "gate")["pictures"], serde_json::json!([2, 2]));
}

/// A mistake made in a dataset of two good states, and what must be said of it.
type Mistake = (&'static str, fn(&Path), &'static str);

const MISTAKES: [Mistake; 8] = [
    (
        "an empty folder",
        |d| fs::create_dir(d.join("half")).unwrap(),
        "pictures/half: has no .jpg, .jpeg, .png or .webp picture",
    ),
    (
        "one state only",
        |d| fs::remove_dir_all(d.join("open")).unwrap(),
        "pictures: 1 states; a model has 2 to 16",
    ),
    (
        "no folders",
        |d| {
            fs::remove_dir_all(d).unwrap();
            fs::create_dir(d).unwrap();
        },
        "pictures: 0 states; a model has 2 to 16",
    ),
    ("no directory", |d| fs::remove_dir_all(d).unwrap(), "pictures: No such file or directory"),
    (
        "a reserved name",
        |d| fs::rename(d.join("open"), d.join("unknown")).unwrap(),
        "pictures: \"unknown\" is reserved",
    ),
    (
        "a reserved name in capitals",
        |d| fs::rename(d.join("open"), d.join("None")).unwrap(),
        "pictures: \"None\" is reserved",
    ),
    ("names that differ in case", |d| fs::rename(d.join("open"), d.join("Closed")).unwrap(), "twice"),
    (
        "too many states",
        |d| (0..15).for_each(|i| fs::create_dir(d.join(format!("s{i}"))).unwrap()),
        "pictures: 17 states; a model has 2 to 16",
    ),
];

#[test]
fn mistakes_in_a_dataset_are_named() {
    for (name, change, says) in MISTAKES {
        let sandbox = sandbox(1);
        change(&sandbox.path("pictures"));
        let output = train(&sandbox, "gate", "");
        assert_eq!(output.code, 2, "{name}: {}", output.stderr);
        assert!(output.stderr.contains(says), "{name}: want {says:?} in {}", output.stderr);
        assert!(!sandbox.path("gate.ajb").exists(), "{name}");
    }
}

#[test]
fn a_state_without_a_usable_picture_is_named() {
    let sandbox = sandbox(1);
    sandbox.write("pictures/open/00.png", "broken");
    train(&sandbox, "gate", "").expect_error(2, "no usable picture of the state \"open\"");
}

#[test]
fn mistakes_in_the_arguments_are_named() {
    let sandbox = sandbox(1);
    let line = "train --dataset pictures --key k --out gate.ajb --name";
    for name in ["Gate", "front/door", "42", ".."] {
        sandbox.ajar_line(&format!("{line} {name}")).expect_error(2, &format!("--name {name:?}: "));
    }
    train(&sandbox, "gate", "--per-state 0").expect_error(2, "0 is not in 1..");
    train(&sandbox, "gate", "--seed x").expect_error(2, "--seed");
    assert!(!sandbox.path("gate.ajb").exists());
}

/// The training takes minutes; where its result cannot be written must be said before it.
#[test]
fn a_place_that_cannot_be_written_is_named_first() {
    let sandbox = sandbox(1);
    train(&sandbox, "nosuch/gate", "").expect_error(2, "nosuch");
    assert_eq!(fs::read_dir(sandbox.path("k")).expect("k").count(), 2, "a sequence number was used up");
}

#[test]
fn a_picture_that_cannot_be_opened_is_left_out_with_and_without_per_state() {
    for more in ["", "--per-state 5"] {
        let sandbox = sandbox(2);
        // A regular file whose first read fails, even for root.
        let path = sandbox.path("pictures/open/unreadable.jpg");
        std::os::unix::fs::symlink("/proc/self/mem", path).expect("a link");
        train(&sandbox, "gate", more).expect(0);
    }
}
