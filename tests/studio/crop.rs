//! Step 2: the crop is drawn, dragged, resized and moved by keys; drawn anew, it keeps the labels.

use crate::browser::{self, Browser};
use crate::cli::Sandbox;
use crate::garage::{self, CROP};
use crate::visit::{PHONE, Visit};
use fantoccini::key::Key;
use std::fs;

/// Edges of the rectangle on the page, in fractions of the picture.
fn edges(browser: &Browser) -> [f64; 4] {
    let [left, top, width, height] = browser.place("#still");
    let [x, y, w, h] = browser.place("#rect");
    [(x - left) / width, (y - top) / height, (x - left + w) / width, (y - top + h) / height]
}

#[track_caller]
fn near(edges: [f64; 4], wanted: [f64; 4]) {
    let far = edges.iter().zip(wanted).any(|(edge, wanted)| (edge - wanted).abs() > 0.004);
    assert!(!far, "{edges:.4?} instead of {wanted:.4?}");
}

/// A point of the picture in the window.
fn at(browser: &Browser, x: f64, y: f64) -> (f64, f64) {
    let [left, top, width, height] = browser.place("#still");
    (left + x * width, top + y * height)
}

fn started() -> Visit {
    let sandbox = Sandbox::new();
    garage::album(&sandbox.path("drive"), 1);
    garage::album(&sandbox.path("yard"), 1);
    let visit = Visit::start(sandbox, &["--pictures", "drive", "--pictures", "yard"]);
    visit.define("Garage door", &["open", "closed"]);
    // Of several cameras none is used unasked.
    assert!(!visit.browser.sees("#rect"));
    assert_eq!(visit.browser.script("return document.querySelector('#next').disabled"), true);
    visit.browser.click("#use");
    visit.browser.wait_for("#rect");
    visit
}

#[test]
fn it_is_drawn_dragged_resized_and_moved_by_keys() {
    if !browser::is_there() {
        return;
    }
    let visit = started();
    let browser = &visit.browser;
    // In the middle to begin with.
    near(edges(browser), [0.3, 0.3, 0.7, 0.7]);

    // Drawn outside of it; then dragged from its inside, against the border.
    browser.drag(at(browser, 0.05, 0.1), at(browser, 0.25, 0.5));
    near(edges(browser), [0.05, 0.1, 0.25, 0.5]);
    browser.drag(at(browser, 0.15, 0.3), at(browser, 0.45, 0.4));
    near(edges(browser), [0.35, 0.2, 0.55, 0.6]);
    browser.drag(at(browser, 0.45, 0.4), at(browser, 0.99, 0.4));
    near(edges(browser), [0.8, 0.2, 1.0, 0.6]);
    browser.drag(at(browser, 0.9, 0.4), at(browser, 0.5, 0.5));
    near(edges(browser), [0.4, 0.3, 0.6, 0.7]);

    // All eight handles, by 0.05 outwards.
    let handles = [
        ("top left", -0.05, -0.05, [0.35, 0.25, 0.6, 0.7]),
        ("top", 0.0, -0.05, [0.35, 0.2, 0.6, 0.7]),
        ("top right", 0.05, -0.05, [0.35, 0.15, 0.65, 0.7]),
        ("right", 0.05, 0.0, [0.35, 0.15, 0.7, 0.7]),
        ("bottom right", 0.05, 0.05, [0.35, 0.15, 0.75, 0.75]),
        ("bottom", 0.0, 0.05, [0.35, 0.15, 0.75, 0.8]),
        ("bottom left", -0.05, 0.05, [0.3, 0.15, 0.75, 0.85]),
        ("left", -0.05, 0.0, [0.25, 0.15, 0.75, 0.85]),
    ];
    let [_, _, width, height] = browser.place("#still");
    for (handle, dx, dy, wanted) in handles {
        let [x, y, w, h] = browser.place(&format!("[data-handle=\"{handle}\"]"));
        let from = (x + w / 2.0, y + h / 2.0);
        browser.drag(from, (from.0 + dx * width, from.1 + dy * height));
        near(edges(browser), wanted);
    }

    // By keys: arrows move, with Alt they change the size; a handle moves its edges.
    browser.focus("#rect");
    let [left, up, right, down] = [Key::Left, Key::Up, Key::Right, Key::Down].map(char::from);
    browser.keys(&format!("{right}{right}{down}"));
    near(edges(browser), [0.27, 0.16, 0.77, 0.86]);
    browser.keys(&format!("{}{left}{up}", char::from(Key::Alt)));
    near(edges(browser), [0.27, 0.16, 0.76, 0.85]);
    browser.focus("[data-handle=\"top left\"]");
    browser.keys(&format!("{right}{down}"));
    near(edges(browser), [0.28, 0.17, 0.76, 0.85]);
    browser.wait_for_text("#size", "pixels of 960 × 540");

    // What is kept is what is seen.
    let file = visit.sandbox.path("studio/models/garage-door/model.toml");
    let kept = || {
        let text = fs::read_to_string(&file).expect("a model");
        let model: toml::Table = text.parse().expect("TOML");
        let crop = model.get("crops")?.get("drive")?.get("crop")?.as_array()?;
        Some([0, 1, 2, 3].map(|i| crop[i].as_float().expect("a number")))
    };
    browser.until("the crop in model.toml", || kept().is_some_and(|crop| (crop[0] - 0.28).abs() < 0.004));
    near(kept().expect("a crop"), edges(browser));
}

#[test]
fn a_small_crop_is_warned_of_and_the_preview_is_what_the_model_sees() {
    if !browser::is_there() {
        return;
    }
    let visit = started();
    let browser = &visit.browser;
    assert_eq!(browser.text("#warning"), "");
    let preview = "const image = document.querySelector('#preview'); \
        return image.complete && image.naturalWidth === 128 && image.naturalHeight === 128";
    browser.until("a preview of 128 by 128 pixels", || browser.script(preview) == true);
    let source = || browser.script("return document.querySelector('#preview').src");
    let before = source();
    visit.draw([0.5, 0.5, 0.55, 0.6]);
    browser.wait_for_text("#warning", "pixels on its short side. Under 64");
    browser.until("another preview", || source() != before && browser.script(preview) == true);
    visit.draw(CROP);
    browser.until("no warning", || browser.text("#warning").is_empty());
}

#[test]
fn several_cameras_have_a_crop_each() {
    if !browser::is_there() {
        return;
    }
    let visit = started();
    let browser = &visit.browser;
    visit.draw(CROP);
    browser.press("yard");
    browser.wait_for("#stage:not(.loading)");
    browser.wait_for("#unused:not([hidden])");
    assert!(!browser.sees("#rect"));
    browser.drag(at(browser, 0.05, 0.1), at(browser, 0.25, 0.5));
    browser.press("drive ✓");
    browser.until("the first crop again", || (edges(browser)[0] - CROP[0]).abs() < 0.004);
    near(edges(browser), CROP);
    browser.press("yard ✓");
    browser.until("the second crop again", || (edges(browser)[0] - 0.05).abs() < 0.004);
    near(edges(browser), [0.05, 0.1, 0.25, 0.5]);

    // A camera that is not used any more has no rectangle; used again, it has the same.
    let file = visit.sandbox.path("studio/models/garage-door/model.toml");
    let kept = |camera: &str| {
        fs::read_to_string(&file).is_ok_and(|text| text.contains(&format!("[crops.{camera}]")))
    };
    browser.click("#use");
    browser.until("no crop in model.toml", || !kept("yard"));
    browser.until("no rectangle", || !browser.sees("#rect"));
    browser.click("#use");
    browser.until("the crop in model.toml", || kept("yard"));
    near(edges(browser), [0.05, 0.1, 0.25, 0.5]);
    browser.click("#use");
    browser.until("no crop in model.toml", || !kept("yard"));

    // What is seen to be used is used, and nothing else.
    browser.click("#next");
    browser.wait_for_path("/models/garage-door/examples");
    assert!(kept("drive") && !kept("yard"));
}

#[test]
fn drawn_anew_it_keeps_the_labels() {
    if !browser::is_there() {
        return;
    }
    let (visit, _) = Visit::with_door(Sandbox::new(), &[]);
    let browser = &visit.browser;
    let folder = visit.sandbox.path("studio/models/garage-door");
    let labels = fs::read(folder.join("labels.tsv")).expect("labels");
    let picture = "return document.querySelector('.tile img').src";
    visit.open("/models/garage-door/dataset");
    browser.wait_for(".tile");
    let before = browser.script(picture);

    visit.open("/models/garage-door/crop");
    browser.wait_for("#stage.there");
    visit.draw([0.2, 0.2, 0.8, 0.9]);
    visit.open("/models/garage-door/dataset");
    browser.wait_for_text("#count", "24 pictures");
    assert!(!browser.sees(".tag.none"), "a picture lost its state");
    assert_ne!(browser.script(picture), before, "the pictures are cut anew");
    assert_eq!(fs::read(folder.join("labels.tsv")).expect("labels"), labels);
}

#[test]
fn on_a_phone_it_is_drawn_with_a_finger_wide_handle() {
    if !browser::is_there() {
        return;
    }
    let visit = started();
    let browser = &visit.browser;
    let file = visit.sandbox.path("studio/models/garage-door/model.toml");
    browser.until("a crop that was kept", || {
        fs::read_to_string(&file).is_ok_and(|text| text.contains("[crops.drive]"))
    });
    browser.resize(PHONE.0, PHONE.1);
    browser.reload();
    browser.wait_for("#stage.there");
    visit.draw(CROP);
    near(edges(browser), CROP);
    let [_, _, width, height] = browser.place("[data-handle=\"top left\"]");
    assert!(width >= 24.0 && height >= 24.0, "a handle of {width} by {height} pixels");
}
