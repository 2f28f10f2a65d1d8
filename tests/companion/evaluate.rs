//! `ajar evaluate` and `ajar classify`.

use crate::cli::Sandbox;
use crate::fixture::fixture;
use crate::pictures::{self, Gate, encode, gate};
use image::{ImageFormat, RgbImage};
use serde_json::Value;
use std::fs;

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn evaluate(sandbox: &Sandbox, more: &str) -> crate::cli::Output {
    sandbox.ajar_line(&format!("evaluate --bundle gate.ajb --dataset pictures {more}"))
}

/// A sandbox with the trained bundle and pictures it has not seen.
fn sandbox() -> Sandbox {
    let sandbox = fixture().sandbox();
    pictures::dataset(&sandbox.path("pictures"), 10);
    sandbox
}

#[test]
fn evaluation_as_json_has_exactly_its_fields() {
    let sandbox = sandbox();
    let result = json(&evaluate(&sandbox, "--json").expect(0).stdout);
    let mut keys: Vec<&str> = result.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    let want = [
        "accuracy",
        "balanced_error",
        "bursts",
        "confusion",
        "days",
        "ece",
        "interval",
        "n",
        "pictures",
        "reliability",
        "slices",
        "states",
        "unknown_rate",
        "unseen_rate",
    ];
    assert_eq!(keys, want);
    let first = &result["pictures"][0];
    assert_eq!((&first["truth"], &first["picture"]), (&"closed".into(), &"pictures/closed/00.png".into()));
    assert_eq!(result["n"], 20);
    assert_eq!(result["states"], serde_json::json!(["closed", "open"]));
    assert_eq!(result["confusion"], serde_json::json!([[10, 0], [0, 10]]));
    assert_eq!((&result["accuracy"], &result["balanced_error"]), (&Value::from(1.0), &Value::from(0.0)));
    for key in ["ece", "unknown_rate"] {
        assert!((0.0..=1.0).contains(&result[key].as_f64().expect("a number")), "{key}: {result}");
    }
}

/// With the labels exchanged everything must be wrong: the folders, not the model, name the truth.
#[test]
fn exchanged_labels_are_all_wrong() {
    let sandbox = sandbox();
    let path = |name: &str| sandbox.path("pictures").join(name);
    for (from, to) in [("open", "x"), ("closed", "open"), ("x", "closed")] {
        fs::rename(path(from), path(to)).expect("a renamed folder");
    }
    let result = json(&evaluate(&sandbox, "--json").expect(0).stdout);
    assert_eq!(result["confusion"], serde_json::json!([[0, 10], [10, 0]]));
    assert_eq!((&result["accuracy"], &result["balanced_error"]), (&Value::from(0.0), &Value::from(1.0)));
}

#[test]
fn evaluation_as_text_is_for_people() {
    let sandbox = sandbox();
    let output = evaluate(&sandbox, "").expect(0).stdout;
    assert!(
        output.starts_with("20 pictures: accuracy 100.0 % (84 to 100 %), balanced error 0.0 %"),
        "{output}"
    );
    assert_eq!(output.lines().count(), 5, "{output}");
}

#[test]
fn a_folder_the_model_does_not_know_is_named() {
    let sandbox = sandbox();
    fs::rename(sandbox.path("pictures/open"), sandbox.path("pictures/ajar")).expect("a renamed folder");
    evaluate(&sandbox, "").expect_error(2, "pictures: the model has no state \"ajar\", only closed, open");
    sandbox.ajar_line("evaluate --bundle gate.ajb --dataset nosuch").expect_error(2, "nosuch: No such file");
    sandbox
        .ajar_line("evaluate --bundle nosuch.ajb --dataset pictures")
        .expect_error(2, "nosuch.ajb: no such file");
}

#[test]
fn a_broken_picture_does_not_count() {
    let sandbox = sandbox();
    sandbox.write("pictures/open/00.png", "broken");
    let output = evaluate(&sandbox, "--json").expect(0);
    assert!(output.stderr.contains("left out pictures/open/00.png"), "{}", output.stderr);
    assert_eq!(json(&output.stdout)["n"], 19);
}

#[test]
fn an_evaluation_of_nothing_is_no_success() {
    let sandbox = fixture().sandbox();
    sandbox.write("pictures/open/1.png", "broken");
    sandbox.write("pictures/closed/1.png", "broken");
    evaluate(&sandbox, "--json").expect(2);
}

#[test]
fn classification_as_json_is_a_line_for_each_picture() {
    let sandbox = sandbox();
    let pictures = ["pictures/open/00.png", "pictures/closed/01.jpg"];
    let output =
        sandbox.ajar_line(&format!("classify --json --bundle gate.ajb {}", pictures.join(" "))).expect(0);
    let lines: Vec<Value> = output.stdout.lines().map(json).collect();
    assert_eq!(lines.len(), 2);
    for ((line, picture), state) in lines.iter().zip(pictures).zip(["open", "closed"]) {
        let mut keys: Vec<&str> = line.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["distance", "picture", "probabilities", "probability", "reason", "state"]);
        assert_eq!(line["picture"], picture);
        let probability = |of: &Value| of.as_f64().expect("a number");
        let all = line["probabilities"].as_object().expect("an object");
        assert_eq!(all.keys().collect::<Vec<_>>(), ["closed", "open"]);
        assert!((all.values().map(probability).sum::<f64>() - 1.0).abs() < 1e-5, "{line}");
        assert_eq!(line["probabilities"][state], line["probability"]);
        let certain = probability(&line["probability"]) >= f64::from(fixture().manifest.decision.threshold);
        assert_eq!(line["state"], if certain { state } else { "unknown" });
    }
}

/// The same model with a threshold nothing reaches, and with one everything reaches.
#[test]
fn below_the_threshold_a_picture_is_unknown() {
    let sandbox = sandbox();
    for (threshold, state) in [(1.0, "unknown, ambiguous"), (0.0, "open")] {
        sandbox.write("other.ajb", fixture().changed(|manifest| manifest.decision.threshold = threshold));
        let output = sandbox.ajar_line("classify --bundle other.ajb pictures/open/00.png").expect(0);
        assert!(
            output.stdout.starts_with(&format!("pictures/open/00.png: {state} (closed 0.")),
            "{}",
            output.stdout
        );
    }
}

#[test]
fn pictures_that_cannot_be_read_do_not_hide_the_others() {
    let sandbox = sandbox();
    sandbox.write("broken.png", "broken");
    let line = "classify --bundle gate.ajb broken.png pictures/open/00.png nosuch.png pictures/closed/00.png";
    let output = sandbox.ajar_line(line).expect_error(2, "2 of 4 pictures could not be read");
    assert_eq!(output.stdout.lines().count(), 2, "{}", output.stdout);
    for says in ["broken.png: not a JPEG", "nosuch.png: No such file"] {
        assert!(output.stderr.contains(says), "want {says:?} in {}", output.stderr);
    }
}

#[test]
fn sizes_and_kinds_of_pictures_do_not_matter() {
    let sandbox = fixture().sandbox();
    let scene = gate(Gate::Closed, 3);
    let sizes = [(2, 2), (3, 3), (97, 71), (640, 480), (1921, 1081), (2, 512), (512, 2)];
    for (i, (width, height)) in sizes.into_iter().enumerate() {
        let picture = image::imageops::resize(&scene, width, height, image::imageops::FilterType::Triangle);
        sandbox.write(&format!("{i}.png"), encode(&picture, ImageFormat::Png));
    }
    let grey = image::DynamicImage::from(scene.clone()).into_luma8();
    grey.save(sandbox.path("grey.png")).expect("a picture");
    image::DynamicImage::from(scene).into_rgba16().save(sandbox.path("deep.png")).expect("a picture");
    let names: Vec<String> = (0..sizes.len()).map(|i| format!("{i}.png")).collect();
    let line = format!("classify --bundle gate.ajb {} grey.png deep.png", names.join(" "));
    assert_eq!(sandbox.ajar_line(&line).expect(0).stdout.lines().count(), sizes.len() + 2);
}

#[test]
fn long_and_thin_pictures_are_classified() {
    let sandbox = fixture().sandbox();
    for (name, width, height) in [("thin.png", 2, 1100), ("flat.png", 1100, 2), ("flatter.png", 16_000, 5)] {
        sandbox.write(name, encode(&RgbImage::new(width, height), ImageFormat::Png));
        sandbox.ajar_line(&format!("classify --bundle gate.ajb {name}")).expect(0);
    }
}
