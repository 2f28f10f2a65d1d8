//! `ajar train`: what it makes of a dataset, and what it says of a wrong one.

use crate::cli::{self, Output, Sandbox};
use crate::pictures::{self, Gate, encode, gate};
use image::ImageFormat;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

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
    for says in [
        "closed: 6 pictures",
        "open: 6 pictures",
        "cross-validated in 6 folds, 12 pictures: accuracy 100.0 % (",
        "Promising, on few pictures: 12 of 12 pictures right",
        "Give more pictures of closed: it has 6, want 10 at least.",
        "may flatter",
        "gate.ajb (",
    ] {
        assert!(output.stdout.contains(says), "want {says:?} in {}", output.stdout);
    }
    let report = report(&sandbox, "gate");
    let mut keys: Vec<&str> = report.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let want = [
        "blocks",
        "champion",
        "cross_validation",
        "looks",
        "near_duplicates",
        "outcomes",
        "penalty",
        "pictures",
        "quarantined",
        "seconds",
        "seed",
        "small",
        "states",
        "suspects",
        "temperature",
        "times",
        "unseen",
        "verdict",
    ];
    assert_eq!(keys, want);
    assert_eq!(report["states"], serde_json::json!(["closed", "open"]));
    assert_eq!(report["pictures"], serde_json::json!([6, 6]));
    assert_eq!(report["quarantined"], serde_json::json!([]));
    // The generated states are easy to tell apart.
    assert_eq!(report["cross_validation"]["balanced_error"], 0.0);
    assert_eq!(report["outcomes"].as_array().expect("a list").len(), 12);
    assert_eq!(report["suspects"], serde_json::json!([]));
    assert_eq!(report["verdict"]["works"], false, "six pictures are few");
}

/// The page shows itself: nothing in it is fetched from elsewhere.
#[test]
fn the_page_is_complete_in_itself() {
    let sandbox = sandbox(12);
    // One of each is in the wrong folder.
    fs::rename(sandbox.path("pictures/open/03.jpg"), sandbox.path("pictures/closed/x.jpg"))
        .expect("a moved file");
    train(&sandbox, "gate", "--report gate.html").expect(0);
    let page = fs::read_to_string(sandbox.path("gate.html")).expect("a page");
    for says in ["<!DOCTYPE html>", "These look mislabelled", "pictures/closed/x.jpg", "Reliability diagram"]
    {
        assert!(page.contains(says), "want {says:?} in the page");
    }
    assert!(page.contains("src=\"data:image/jpeg;base64,"), "no picture in the page");
    for outside in ["http://", "https://", "<script", "<link", "url("] {
        assert!(!page.contains(outside), "{outside} in the page");
    }
    assert_eq!(report(&sandbox, "gate")["outcomes"].as_array().expect("a list").len(), 24);
    train(&sandbox, "again", "--report gate.txt").expect_error(2, "want a name that ends in .html or .json");
}

/// Names of states come from folders, and anything may be in a folder's name.
#[test]
fn names_are_escaped_in_the_page() {
    let sandbox = sandbox(3);
    fs::rename(sandbox.path("pictures/open"), sandbox.path("pictures/<b>&")).expect("a renamed folder");
    train(&sandbox, "gate", "--report gate.html").expect(0);
    let page = fs::read_to_string(sandbox.path("gate.html")).expect("a page");
    assert!(page.contains("&lt;b&gt;&amp;") && !page.contains("<b>"), "{page}");
}

/// Labels that are wrong are found, and few others are suspected.
#[test]
fn wrong_labels_and_copies_are_suspects() {
    let sandbox = sandbox(15);
    let moved = ["pictures/open/02.png", "pictures/open/07.jpg"];
    for (i, from) in moved.iter().enumerate() {
        let to = sandbox.path(&format!("pictures/closed/wrong{i}.png"));
        fs::rename(sandbox.path(from), to).expect("a moved file");
    }
    fs::copy(sandbox.path("pictures/open/04.png"), sandbox.path("pictures/closed/copy.png")).expect("a copy");
    let output = train(&sandbox, "gate", "").expect(0);
    let report = report(&sandbox, "gate");
    let suspects = report["suspects"].as_array().expect("a list");
    let of =
        |name: &str| suspects.iter().find(|s| s["path"].as_str().is_some_and(|path| path.ends_with(name)));
    for name in ["wrong0.png", "wrong1.png"] {
        let suspect = of(name).unwrap_or_else(|| panic!("{name} is not suspected: {suspects:?}"));
        assert_eq!((&suspect["labelled"], &suspect["looks_like"]), (&"closed".into(), &"open".into()));
        assert_eq!(suspect["copy"], false);
    }
    // A copy in two states is named whatever the model thinks.
    assert!(suspects[0]["copy"] == true, "{suspects:?}");
    assert!(suspects.len() <= 4, "{suspects:?}");
    assert!(output.stdout.contains("pictures look mislabelled:"), "{}", output.stdout);
}

#[test]
fn near_duplicates_count_as_one_and_small_pictures_are_named() {
    let sandbox = sandbox(4);
    // The same picture once more, in another file format.
    let again = image::open(sandbox.path("pictures/open/00.png")).expect("a picture").into_rgb8();
    sandbox.write("pictures/open/00.webp", encode(&again, ImageFormat::WebP));
    let small = image::imageops::resize(&gate(Gate::Open, 77), 40, 30, image::imageops::FilterType::Triangle);
    sandbox.write("pictures/open/small.png", encode(&small, ImageFormat::Png));
    let output = train(&sandbox, "gate", "").expect(0);
    let report = report(&sandbox, "gate");
    assert_eq!(report["near_duplicates"], 1);
    assert_eq!(report["small"], serde_json::json!(["pictures/open/small.png"]));
    assert!(
        output.stdout.contains("nearly the same as another, and counted with it: 1"),
        "{}",
        output.stdout
    );
    assert!(
        output.stdout.contains("less than 64 pixels a side (pictures/open/small.png)"),
        "{}",
        output.stdout
    );
}

/// Champion and challenger: what is there stays if it is better.
#[test]
fn a_better_model_is_not_replaced_unless_told() {
    let sandbox = sandbox(12);
    train(&sandbox, "gate", "").expect(0);
    let again = train(&sandbox, "gate", "").expect(0);
    assert!(
        again.stdout.contains("on the same pictures, the model there gets 100.0 % right"),
        "{}",
        again.stdout
    );
    let champion = fs::read(sandbox.path("gate.ajb")).expect("a bundle");
    // New pictures, and a third state that looks like one of the two: it can only be guessed.
    for day in 60..72 {
        for (name, state) in [("open", Gate::Open), ("closed", Gate::Closed)] {
            sandbox
                .write(&format!("pictures/{name}/n{day}.png"), encode(&gate(state, day), ImageFormat::Png));
        }
    }
    for day in 80..92 {
        sandbox.write(&format!("pictures/half/{day}.png"), encode(&gate(Gate::Open, day), ImageFormat::Png));
    }
    let kept = train(&sandbox, "gate", "--report kept.json");
    let says = "gate.ajb stays: the new model is not shown to be as good; --replace replaces it";
    let kept = kept.expect_error(3, says);
    assert!(
        kept.stdout.contains("of 24 pictures that the model there has never seen, it gets 24 right"),
        "{}",
        kept.stdout
    );
    assert_eq!(report(&sandbox, "kept")["champion"]["compared"], "new_pictures");
    assert_eq!(fs::read(sandbox.path("gate.ajb")).expect("a bundle"), champion);
    // What cannot be compared stays too: fewer pictures, one of each, other names.
    fs::remove_dir_all(sandbox.path("pictures/half")).expect("a folder");
    for (options, says) in [
        (
            "--per-state 5",
            "not compared with the model there: it was trained on 12 pictures of closed, the new one on 5",
        ),
        ("--per-state 1", "too few pictures to cross-validate the new one"),
    ] {
        let kept = train(&sandbox, "gate", options).expect(3);
        assert!(kept.stdout.contains(says), "want {says:?} in {}", kept.stdout);
    }
    fs::rename(sandbox.path("pictures/open"), sandbox.path("pictures/up")).expect("a folder");
    let renamed = train(&sandbox, "gate", "").expect(3);
    assert!(renamed.stdout.contains("the new one has no state \"open\""), "{}", renamed.stdout);
    fs::rename(sandbox.path("pictures/up"), sandbox.path("pictures/open")).expect("a folder");
    assert_eq!(fs::read(sandbox.path("gate.ajb")).expect("a bundle"), champion);
    // One new label is too little to compare on, and no reason to stay.
    let new: Vec<_> = (60..72).map(|day| sandbox.path(&format!("pictures/open/n{day}.png"))).collect();
    new[1..].iter().for_each(|path| fs::remove_file(path).expect("a picture"));
    (60..72).for_each(|day| {
        fs::remove_file(sandbox.path(&format!("pictures/closed/n{day}.png"))).expect("a picture")
    });
    let one = train(&sandbox, "gate", "").expect(0);
    assert!(
        one.stdout.contains("each on its own pictures, the model there gets 100.0 % right"),
        "{}",
        one.stdout
    );
    train(&sandbox, "gate", "--replace").expect(0);
    assert_ne!(fs::read(sandbox.path("gate.ajb")).expect("a bundle"), champion);
}

#[test]
fn what_is_no_bundle_of_this_model_is_not_overwritten() {
    let sandbox = sandbox(2);
    sandbox.write("gate.ajb", "my only copy");
    train(&sandbox, "gate", "").expect_error(2, "gate.ajb: is no bundle to compare with");
    assert_eq!(fs::read_to_string(sandbox.path("gate.ajb")).expect("a file"), "my only copy");
    train(&sandbox, "gate", "--replace").expect(0);
    let other = "train --name door --dataset pictures --key k --out gate.ajb";
    sandbox.ajar_line(other).expect_error(2, "holds the model \"gate\"");
}

/// A cut-off training leaves neither a bundle nor a part of one, whenever it was cut off.
#[test]
fn a_cancelled_training_leaves_nothing_behind() {
    let sandbox = sandbox(60);
    let args =
        "train --name gate --dataset pictures --key k --out gate.ajb --report gate.json --report gate.html";
    let mut cancelled = 0;
    for after in [20, 100, 300] {
        // Whoever runs the tests in the background may have turned Ctrl-C off for them.
        let mut command = sandbox.command("env");
        command.args(["--default-signal=INT", cli::AJAR]).args(args.split(' ')).stdout(Stdio::null());
        let mut running = command.spawn().expect("ajar");
        std::thread::sleep(Duration::from_millis(after));
        // As Ctrl-C does.
        let process = rustix::process::Pid::from_child(&running);
        let _ = rustix::process::kill_process(process, rustix::process::Signal::INT);
        if running.wait().expect("its end").code().is_some() {
            continue; // it was done before
        }
        cancelled += 1;
        let entries = fs::read_dir(sandbox.path("")).expect("the sandbox");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let left: Vec<String> =
            names.filter(|name| !["home", "k", "pictures"].contains(&name.as_str())).collect();
        assert!(left.is_empty(), "{left:?} after {after} ms");
        assert_eq!(fs::read_dir(sandbox.path("k")).expect("k").count(), 2, "a sequence number was used up");
    }
    assert!(cancelled > 0, "no training took long enough to be cancelled");
    train(&sandbox, "gate", "").expect(0);
}

/// What the engine made of a picture is kept, and gives the same model again.
#[test]
fn a_retraining_uses_what_is_there_and_gives_the_same() {
    let sandbox = sandbox(5);
    train(&sandbox, "cold", "").expect(0);
    let cache = sandbox.path("home/.cache/ajar/embeddings");
    let kept: Vec<_> =
        fs::read_dir(&cache).expect("a cache").map(|entry| entry.expect("an entry").path()).collect();
    assert_eq!(kept.len(), 10);
    // One is damaged, one is gone: both are made anew.
    fs::write(&kept[0], "rubbish").expect("a damaged file");
    fs::remove_file(&kept[1]).expect("a removed file");
    train(&sandbox, "warm", "").expect(0);
    assert_eq!(head(&sandbox, "cold"), head(&sandbox, "warm"));
    assert_eq!(fs::read_dir(&cache).expect("a cache").count(), 10);
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
    assert!(output.stdout.contains("never `unseen`"), "{}", output.stdout);
    assert_eq!(report(&sandbox, "gate")["unseen"], Value::Null);
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
    for share in ["0", "1", "-1", "nan", "x"] {
        train(&sandbox, "gate", &format!("--false-alarms={share}")).expect_error(2, "--false-alarms");
    }
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

#[test]
fn reference_pictures_go_into_the_bundle() {
    let sandbox = sandbox(2);
    // A frame of boxes; one that shows nothing.
    let boxes = |x: u32, y: u32| image::Rgb([(x / 20 * 37 + y / 15 * 51 + x / 20 * (y / 15) * 13) as u8; 3]);
    sandbox.write("frame.png", encode(&image::RgbImage::from_fn(320, 180, boxes), ImageFormat::Png));
    sandbox.write(
        "fog.png",
        encode(&image::RgbImage::from_pixel(320, 240, image::Rgb([128; 3])), ImageFormat::Png),
    );
    let more = "--crop drive=0.1,0.2,0.8,0.9 --reference drive=frame.png --reference drive=frame.png --reference yard=fog.png";
    let output = train(&sandbox, "gate", more).expect(0);
    assert!(output.stderr.contains("--reference yard: shows too little"), "{}", output.stderr);
    assert!(!output.stderr.contains("--reference drive"), "{}", output.stderr);
    sandbox.ajar_line("bundle unpack gate.ajb").expect(0);
    let text = fs::read_to_string(sandbox.path("gate/manifest.toml")).expect("a manifest");
    let manifest: toml::Table = text.parse().expect("TOML");
    let names = manifest["reference"].as_array().expect("pictures").iter().map(|r| r["camera"].as_str());
    assert_eq!(names.collect::<Vec<_>>(), [Some("drive"), Some("drive"), Some("yard")]);
    let aspect = manifest["crops"]["drive"]["frame_aspect"].as_float().expect("an aspect");
    assert!((aspect - 16.0 / 9.0).abs() < 1e-9);
    let cells = fs::read(sandbox.path("gate/reference.y8")).expect("a part");
    assert_eq!(cells.len(), 3 * 160 * 90);
    // The boxes' luma, then fog.
    assert_eq!(
        (cells[0], cells[160 * 90 - 1], cells[3 * 160 * 90 - 1]),
        (boxes(0, 0).0[0], boxes(319, 179).0[0], 128)
    );
    // It can be taken apart and signed again.
    sandbox.ajar_line("bundle pack gate --key k --out again.ajb").expect(0);

    for (more, says) in [
        ("--reference frame.png", "want CAMERA=FRAME.jpg"),
        ("--reference drive=nothing.png", "--reference nothing.png: No such file or directory"),
        ("--reference drive=gate.json", "--reference gate.json: not a JPEG, PNG or WebP picture"),
        (&"--reference drive=frame.png ".repeat(5), "--reference: more than 4 pictures of drive"),
    ] {
        train(&sandbox, "wrong", more).expect_error(2, says);
    }
}
