//! `ajar suggest`: which pictures to label next.

use crate::cli::Sandbox;
use crate::fixture::fixture;
use crate::pictures::{Gate, encode, gate};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::Value;

/// Pictures like those of the training, one that is half open, and one of something else, twice.
fn sandbox() -> Sandbox {
    let sandbox = fixture().sandbox();
    for day in 60..70 {
        sandbox.write(&format!("new/day/{day}.png"), encode(&gate(Gate::Open, day), ImageFormat::Png));
    }
    let mut half = gate(Gate::Open, 71);
    let closed = gate(Gate::Closed, 71);
    for (x, y, pixel) in closed.enumerate_pixels().filter(|(x, ..)| *x < 48) {
        half.put_pixel(x, y, *pixel);
    }
    sandbox.write("new/half.png", encode(&half, ImageFormat::Png));
    let mut other = RgbImage::from_fn(96, 72, |x, y| Rgb([(x * 37 % 256) as u8, (y * 91 % 256) as u8, 200]));
    sandbox.write("new/other.png", encode(&other, ImageFormat::Png));
    other.put_pixel(0, 0, Rgb([0, 0, 0]));
    sandbox.write("new/other-again.png", encode(&other, ImageFormat::Png));
    sandbox
}

fn suggest(sandbox: &Sandbox, more: &str) -> Value {
    let line = format!("suggest --bundle gate.ajb --pictures new --json {more}");
    serde_json::from_str(&sandbox.ajar_line(&line).expect(0).stdout).expect("JSON")
}

#[test]
fn what_the_model_has_never_seen_comes_first_and_its_copy_never() {
    let sandbox = sandbox();
    let found = suggest(&sandbox, "");
    let label = found["label"].as_array().expect("a list");
    let place = |name: &str| label.iter().position(|one| one["picture"] == format!("new/{name}").as_str());
    let (other, again) = (place("other.png"), place("other-again.png"));
    // A copy of what was taken adds nothing more.
    let place = other.xor(again).unwrap_or_else(|| panic!("want one of the two: {label:?}"));
    assert!(place < 2, "{label:?}");
    assert_eq!(label[place]["why"], "unseen");
    let known = found["known"].as_u64().expect("a number");
    assert_eq!(label.len() as u64 + found["add_nothing"].as_u64().expect("a number") + known, 13);
}

#[test]
fn pictures_of_the_training_are_not_named_again() {
    let sandbox = sandbox();
    // As the fixture's dataset has it.
    sandbox.write("new/known.png", encode(&gate(Gate::Open, 1), ImageFormat::Png));
    assert_eq!(suggest(&sandbox, "")["known"], 1);
}

#[test]
fn as_many_as_asked_for_and_text_for_people() {
    let sandbox = sandbox();
    assert_eq!(suggest(&sandbox, "--count 1")["label"].as_array().expect("a list").len(), 1);
    let text = sandbox.ajar_line("suggest --bundle gate.ajb --pictures new --count 1").expect(0).stdout;
    assert!(text.contains("1 pictures to label;"), "{text}");
}

#[test]
fn mistakes_are_named() {
    let sandbox = sandbox();
    sandbox.ajar_line("suggest --bundle gate.ajb --pictures nosuch").expect_error(2, "nosuch: No such file");
    std::fs::create_dir(sandbox.path("empty")).expect("a directory");
    sandbox.ajar_line("suggest --bundle gate.ajb --pictures empty").expect_error(2, "empty: has no .jpg");
    sandbox.write("new/broken.jpg", "broken");
    assert_eq!(suggest(&sandbox, "")["quarantined"].as_array().expect("a list").len(), 1);
}
