//! The improve loop: what a device saw lately becomes examples; pictures, states and models are put in order.

use crate::browser;
use crate::cli::Sandbox;
use crate::device::Device;
use crate::garage::{self, Sight};
use crate::visit::Visit;
use fantoccini::key::Key;
use std::fs;
use std::path::{Path, PathBuf};

pub fn jpeg(open: bool, hour: f32, seed: u32) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let picture = garage::draw(Sight { open, hour, seed });
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a picture");
    bytes.into_inner()
}

/// A model that was trained and deployed by the page, and the device that runs it.
pub fn deployed() -> (Visit, Device, Vec<(PathBuf, bool)>) {
    let sandbox = Sandbox::new();
    let mut device = Device::start(&sandbox, "porch", jpeg(true, 12.0, 3));
    let album = garage::album(&sandbox.path("porch"), 5);
    let visit = Visit::start(sandbox, &["--device", "control.sock", "--pictures", "porch"]);
    visit.define("Garage door", &["open", "closed"]);
    visit.draw(garage::CROP);
    let browser = &visit.browser;
    browser.click("#next");
    browser.wait_for("#assign");
    let truth = Visit::door_truth(&album);
    visit.assign(&["open", "closed"], |id| if id.starts_with("2026-03") { truth(id) } else { "open".into() });
    drop(truth);
    browser.wait_for_path("/models/garage-door");
    browser.press("Make a key and sign");
    browser.wait_for("#signed");
    visit.sandbox.ajar_line("key trust k/ajar.pub --trusted-keys trusted").expect(0);
    let crop = garage::CROP;
    let watch = format!(
        "[classification.custom.garage-door.state_config]\ninterval = 1\n\
         [classification.custom.garage-door.state_config.cameras.porch]\ncrop = {crop:?}\n"
    );
    device.configure(&visit.sandbox, &watch);
    browser.press("Install");
    browser.wait_for_text("#toasts", "Installed on shed");
    browser.wait_for_text("#now", "open");
    (visit, device, album)
}

fn labels(model: &Path) -> String {
    fs::read_to_string(model.join("labels.tsv")).expect("labels")
}

/// The tile of a picture.
fn tile(key: &str) -> String {
    format!("[data-key=\"{key}\"]")
}

fn pictures_below(folder: &Path) -> usize {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { pictures_below(&entry.path()) } else { 1 }).sum()
}

#[test]
fn what_a_device_saw_becomes_examples_and_a_better_model() {
    if !browser::is_there() {
        return;
    }
    let (visit, device, _) = deployed();
    let browser = &visit.browser;
    // Now and since when, by which bundle, on all models' page and on this one's.
    browser.wait_for_text("#now", "on porch of shed");
    browser.wait_for_text("#now .drift", "No drift: unsure in 0 of the last");
    visit.open("/");
    browser.wait_for_text(".card.model .now", "open");

    // Live: the page shows what comes while it is open.
    visit.open("/models/garage-door/recent");
    browser.wait_for(".tile");
    device.camera.show(jpeg(false, 13.0, 40));
    browser.click("input[name=useful]");
    browser.until("an attempt that saw it closed", || browser.text("#grid").contains("closed"));
    assert!(browser.text(".tile").contains("porch"), "{}", browser.text(".tile"));

    // Filters.
    browser.select("select[name=state]", "closed");
    browser.until("closed ones only", || !browser.text("#grid").contains("open "));
    browser.wait_for_text("#count", "are filtered out");
    browser.select("select[name=camera]", "porch");
    assert!(browser.sees(".tile"));
    browser.select("select[name=state]", "");

    // Label several: shift selects a row, the number gives the state. Undo takes it back.
    let model = visit.sandbox.path("studio/models/garage-door");
    let frames = || pictures_below(&model.join("frames")) + pictures_below(&model.join("crops"));
    let closed = || labels(&model).matches("\tclosed\n").count();
    let clear = || browser.script("document.querySelector('#toasts').replaceChildren()");
    let (before, closed_before) = (frames(), closed());
    let with_picture = ".tile:has(img)";
    let pair = || {
        let script = "return document.querySelector('.tile:has(img):has(+ .tile img)')?.dataset.key ?? null";
        browser.script(script).as_str().map(tile)
    };
    browser.until("two with pictures beside each other", || pair().is_some());
    let first = pair().expect("two with pictures");
    let row = |key: &str| {
        browser.click(&first);
        browser.keys(&format!("{}{}", char::from(Key::Shift), char::from(Key::Right)));
        browser.wait_for_text("#states", "2 selected");
        browser.keys(key);
    };
    row("2");
    browser.wait_for_text("#toasts", "2 pictures became closed. Train again when you are done.");
    browser.wait_for_text(&first, "✓ closed");
    // A scene that stays the same gives the very same picture twice; that is one example.
    let added = frames() - before;
    assert!((1..=2).contains(&added), "{added} examples");
    assert_eq!(closed(), closed_before + added);
    browser.press("Undo");
    browser.until("examples that are gone", || frames() == before);
    browser.until("no state on its tile", || !browser.text(&first).contains('✓'));
    row("2");
    browser.until("examples again", || frames() == before + added);

    // Another state for what is an example already: its undo gives back the state before, and nothing goes.
    browser.wait_for_text(&first, "✓ closed");
    clear();
    row("1");
    browser.wait_for_text("#toasts", "2 pictures became open");
    browser.wait_for_text(&first, "✓ open");
    assert_eq!(closed(), closed_before);
    browser.press("Undo");
    browser.wait_for_text(&first, "✓ closed");
    assert_eq!((frames(), closed()), (before + added, closed_before + added));

    // What comes while somebody looks at a picture does not take the key that is pressed for it.
    clear();
    browser.click(&first);
    browser.keys(&char::from(Key::Escape).to_string());
    let newest = visit.tiles()[0].clone();
    device.camera.show(jpeg(true, 9.0, 41));
    browser.until("a newer attempt", || visit.tiles()[0] != newest);
    browser.keys("1");
    browser.wait_for_text(&first, "✓ open");
    browser.wait_for_text("#toasts", "1 picture became open");
    browser.press("Undo");
    browser.wait_for_text(&first, "✓ closed");

    // All or nothing: a picture that the device does not have is named, and no other gets a state.
    let refused = browser.script_async(&format!(
        "const done = arguments[0]; const key = document.querySelector('{first}').dataset.key; \
         fetch('/api/models/garage-door/recent/label', {{ method: 'POST', headers: {{ 'Content-Type': 'application/json' }}, \
         body: JSON.stringify({{ pictures: [[0, key], [0, 'never-seen']], state: 'open' }}) }}) \
         .then(async (answer) => done([answer.status, await answer.text()]))"
    ));
    assert_eq!(refused[0], 422, "{refused}");
    assert!(
        refused[1].as_str().is_some_and(|why| why.contains("1 of these 2 pictures any more (never-seen)")),
        "{refused}"
    );
    assert_eq!(closed(), closed_before + added);

    // Something that there is no state for yet. A name that will not do is refused.
    let without_state = ".tile:has(img):has(.tag:not([class*=state-]))";
    browser.wait_for(without_state);
    clear();
    browser.click(without_state);
    for (name, answer) in [("OPEN", "is there twice"), ("half open", "became half open")] {
        browser.press("New state");
        browser.fill("dialog input", name);
        browser.press("Save");
        browser.until(answer, || (browser.text("#problem") + &browser.text("#toasts")).contains(answer));
        if name == "OPEN" {
            // The reason is there to be read, also when the page has asked the device again.
            std::thread::sleep(std::time::Duration::from_secs(6));
            browser.wait_for_text("#problem", answer);
        }
    }
    let file = fs::read_to_string(model.join("model.toml")).expect("a model");
    assert!(file.contains("half open"), "{file}");
    browser.press("Undo");
    browser.until("the example that is gone", || frames() == before + added);
    // A state without a picture cannot be trained: the page says so. It goes again.
    visit.open("/models/garage-door");
    browser.press("Train again");
    browser.wait_for_text("#problem", "half open");
    visit.open("/models/garage-door/dataset");
    browser.click("#state-list li:nth-child(3) button:last-child");
    browser.click("dialog [value=yes]");
    browser.wait_for_text("#toasts", "half open is deleted.");
    visit.open("/models/garage-door/recent");
    browser.click("input[name=useful]");
    browser.wait_for(with_picture);

    // Put away, and back.
    let last = visit.tiles().pop().expect("an attempt");
    browser.click(&tile(&last));
    browser.press("Put away");
    browser.wait_for_text("#toasts", "1 attempt put away.");
    browser.until("one fewer", || !visit.tiles().contains(&last));
    browser.press("Undo");
    browser.until("it is back", || visit.tiles().contains(&last));

    // Train again: the new one must beat the old one, or the old one stays; the page says which, and why.
    let counts = || {
        let text = fs::read_to_string(model.join("model.toml")).expect("a model");
        text.parse::<toml::Table>().expect("TOML")["version"].as_str().expect("a version").to_string()
    };
    let old = counts();
    visit.open("/models/garage-door");
    browser.press("Train again");
    browser.until("an outcome", || !browser.text("#outcome").is_empty());
    let said = browser.text("#outcome");
    let begins = if counts() == old { "The model before stays" } else { "Trained." };
    assert!(said.starts_with(begins), "{said}");
    assert!(said.contains("the new one"), "the comparison: {said}");
    assert_eq!(browser.count(".choose"), 1, "one version counts, the other can be chosen");
    // Whichever counts, the other can be chosen.
    let was = counts();
    browser.press("Use");
    browser.until("the other version in model.toml", || counts() != was);
    browser.until("a page that was loaded again", || browser.text("#outcome").is_empty());
    assert_eq!(browser.count(".choose"), 1);
}

#[test]
fn a_model_goes_back_on_a_device_and_forward_again() {
    if !browser::is_there() {
        return;
    }
    let (visit, _device, _) = deployed();
    let browser = &visit.browser;
    browser.wait_for_text("#devices", "active");
    browser.press("Go back");
    browser.wait_for_text("dialog", "Go back on shed?");
    browser.press("Cancel");
    browser.until("no dialog", || !browser.sees("dialog"));
    browser.press("Go back");
    browser.click("dialog [value=yes]");
    // There is nothing before the first: the device says so, and the page passes it on.
    browser.until("an answer", || {
        !browser.text("#deploy-problem").is_empty() || browser.text("#toasts").contains("went back")
    });
    assert!(!browser.text("#deploy-problem").is_empty(), "there was nothing to go back to");

    browser.press("Train again");
    browser.until("an outcome", || !browser.text("#outcome").is_empty());
    if browser.text("#outcome").starts_with("The model before stays") {
        browser.press("Use");
        browser.until("a page that was loaded again", || browser.text("#outcome").is_empty());
    }
    browser.press("Sign");
    browser.wait_for("#signed");
    browser.press("Install");
    browser.wait_for_text("#toasts", "Installed on shed");
    assert!(!browser.sees("#outcome"), "what was to be done is done");

    // The page is at the first version again, the device at the second. What is undone is what the device did.
    browser.press("Use");
    browser.until("a page that was loaded again", || browser.text("#toasts").is_empty());
    browser.press("Go back");
    browser.click("dialog [value=yes]");
    browser.wait_for_text("#toasts", "shed went back.");
    browser.press("Undo");
    browser.wait_for_text("#toasts", "Installed on shed: it runs on trial.");

    // One that the device went back from is installed again only for who says so.
    browser.reload();
    browser.press("Go back");
    browser.click("dialog [value=yes]");
    browser.wait_for_text("#toasts", "shed went back.");
    browser.press("Install");
    browser.wait_for_text("dialog", "Install it once more?");
    browser.click("dialog [value=no]");
    browser.until("no dialog", || !browser.sees("dialog"));
    assert_eq!(browser.text("#deploy-problem"), "");
    browser.press("Install");
    browser.click("dialog [value=yes]");
    browser.wait_for_text("#toasts", "Installed on shed: it runs on trial.");
}

#[test]
fn pictures_and_states_are_put_in_order_and_every_step_has_a_way_back() {
    if !browser::is_there() {
        return;
    }
    let (visit, album) = Visit::with_door(Sandbox::new(), &[]);
    let browser = &visit.browser;
    let truth = Visit::door_truth(&album);
    visit.open("/models/garage-door/dataset");
    browser.wait_for_text("#count", "24 pictures");
    let ids = visit.tiles();
    let open = ids.iter().filter(|id| truth(id) == "open").count();
    browser.wait_for_text("main table", &format!("open\t{open}"));

    // Another state for one.
    let one = format!("[data-key=\"{}\"]", ids[0]);
    let (was, other) = if truth(&ids[0]) == "open" { ("open", "2") } else { ("closed", "1") };
    browser.click(&one);
    browser.keys(other);
    browser.until("another state", || !browser.text(&one).starts_with(was));
    browser.press("Undo");
    browser.until("the state before", || browser.text(&one).starts_with(was));

    // Delete by id, and back.
    browser.focus(&one);
    browser.click(&one);
    browser.click("#states .danger");
    browser.wait_for_text("#count", "23 pictures");
    assert!(!visit.tiles().contains(&ids[0]));
    browser.press("Undo");
    browser.wait_for_text("#count", "24 pictures");

    // Filters.
    browser.select("select[name=state]", "open");
    browser.wait_for_text("#count", &format!("{open} of 24 pictures"));
    browser.select("select[name=light]", "night");
    browser.until("fewer", || !browser.text("#count").starts_with(&format!("{open} ")));
    browser.select("select[name=light]", "");
    browser.select("select[name=state]", "");

    // A third state in front of nobody's pictures, renamed, deleted; the others keep theirs.
    browser.fill("#new-state", "half open");
    browser.press("Add");
    browser.wait_for_text("#state-list", "half open");
    browser.fill("#new-state", "OPEN");
    browser.press("Add");
    browser.wait_for_text("#problem", "is there twice");
    browser.click("#state-list li:nth-child(1) button");
    browser.fill("dialog input", "wide open");
    browser.press("Save");
    browser.wait_for_text("#state-list", "wide open");
    browser.select("select[name=state]", "");
    browser.wait_for_text("#count", "24 pictures");
    let folder = visit.sandbox.path("studio/models/garage-door");
    let labels = || labels(&folder);
    assert_eq!(labels().matches("\twide open\n").count(), open);

    // The first of three goes with its pictures; those of the others stay.
    browser.click("#state-list li:nth-child(1) button:last-child");
    browser.wait_for_text("dialog", "Delete the state wide open?");
    browser.click("dialog [value=yes]");
    browser.wait_for_text("#count", &format!("{} pictures", 24 - open));
    assert_eq!(labels().matches("\tclosed\n").count(), 24 - open);
    browser.press("Undo");
    browser.wait_for_text("#count", "24 pictures");
    assert_eq!(labels().matches("\twide open\n").count(), open);
}

#[test]
fn a_deleted_model_asks_before_and_comes_back() {
    if !browser::is_there() {
        return;
    }
    let (visit, _) = Visit::with_door(Sandbox::new(), &[]);
    let browser = &visit.browser;
    let folder = visit.sandbox.path("studio/models/garage-door");
    browser.press("Delete");
    browser.click("dialog [value=no]");
    assert!(folder.exists());
    browser.press("Delete");
    browser.click("dialog [value=yes]");
    browser.wait_for_text("#toasts", "in the trash");
    assert!(!folder.exists());
    browser.press("Undo");
    browser.until("the model", || folder.join("model.toml").exists());
    browser.wait_for_path("/models/garage-door");
}
