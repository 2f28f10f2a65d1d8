//! Step 3: every picture gets a state before anything is trained.

use crate::browser;
use crate::cli::Sandbox;
use crate::garage;
use crate::visit::Visit;
use fantoccini::key::Key;
use std::fs;
use std::path::PathBuf;

/// At step 3, with the pictures of the drawn garage.
fn started(days: u32) -> (Visit, Vec<(PathBuf, bool)>) {
    let sandbox = Sandbox::new();
    let album = garage::album(&sandbox.path("drive"), days);
    let visit = Visit::start(sandbox, &["--pictures", "drive"]);
    visit.define("Garage door", &["open", "closed"]);
    visit.draw(garage::CROP);
    visit.browser.click("#next");
    visit.browser.wait_for_text("#waiting", "without a state");
    (visit, album)
}

#[test]
fn training_waits_for_the_last_picture_and_then_begins_by_itself() {
    if !browser::is_there() {
        return;
    }
    let (visit, album) = started(4);
    let browser = &visit.browser;
    let truth = Visit::door_truth(&album);
    browser.press("All at once");
    let ids = visit.tiles();
    assert_eq!(ids.len(), 24);
    // With the number keys: the tile under the focus, one after the other.
    browser.click(&format!("[data-key=\"{}\"]", ids[0]));
    browser.keys(char::from(Key::Escape).to_string().as_str());
    for (i, id) in ids.iter().enumerate().take(23) {
        let tile = format!("[data-key=\"{id}\"]");
        browser.focus(&tile);
        browser.keys(if truth(id) == "open" { "1" } else { "2" });
        browser.wait_for_text("#waiting", &left(23 - i));
        browser.wait_for_text(&tile, &truth(id));
    }
    // One is left: nothing may train, not even when asked past the page.
    assert!(browser.sees("#assign"));
    let asked = browser.script_async(
        "const done = arguments[0]; fetch('/api/models/garage-door/train', { method: 'POST' }) \
         .then(async (answer) => done([answer.status, await answer.text()]))",
    );
    assert_eq!(asked[0], 422, "{asked}");
    assert!(asked[1].as_str().is_some_and(|why| why.contains("1 picture has no state yet")), "{asked}");
    assert!(!visit.sandbox.path("studio/models/garage-door/versions").exists());

    browser.focus(&format!("[data-key=\"{}\"]", ids[23]));
    browser.keys(if truth(&ids[23]) == "open" { "1" } else { "2" });
    browser.wait_for_path("/models/garage-door");
    browser.wait_for_text(".verdict", "right");
}

#[test]
fn what_was_assigned_outlives_the_page_and_the_studio() {
    if !browser::is_there() {
        return;
    }
    let (mut visit, _) = started(3);
    let first = visit.tiles()[0].clone();
    visit.browser.click(&format!("[data-key=\"{first}\"]"));
    visit.browser.wait_for_text("#waiting", "23 pictures without a state");
    visit.browser.close_and_open_tab();
    visit.studio = crate::studio::Studio::start(&visit.sandbox, &["--pictures", "drive"]);
    let browser = &visit.browser;
    browser.open(&visit.studio.url);
    browser.press("Garage door");
    browser.wait_for_path("/models/garage-door/examples");
    browser.wait_for_text("#waiting", "23 pictures without a state");
    browser.wait_for_text(&format!("[data-key=\"{first}\"]"), "open");
    // Back in the browser loses nothing either.
    visit.open("/models/garage-door/crop");
    browser.back();
    browser.wait_for_text("#waiting", "23 pictures without a state");
}

#[test]
fn a_skipped_picture_can_be_brought_back_and_an_empty_state_is_named() {
    if !browser::is_there() {
        return;
    }
    let (visit, _) = started(3);
    let browser = &visit.browser;
    browser.press("All at once");
    let ids = visit.tiles();
    browser.click(&format!("[data-key=\"{}\"]", ids[3]));
    browser.press("Skip");
    browser.wait_for_text("#waiting", "23 pictures without a state");
    assert!(!visit.tiles().contains(&ids[3]));
    browser.press("Undo");
    browser.wait_for_text("#waiting", "24 pictures without a state");
    assert!(visit.tiles().contains(&ids[3]));

    // All of one state: the page says what is missing, and trains nothing.
    browser.click(&format!("[data-key=\"{}\"]", ids[0]));
    browser.keys(&format!("{}a", char::from(Key::Control)));
    browser.keys(&char::from(Key::Null).to_string());
    browser.keys("2");
    browser.wait_for_text("#lacking", "No picture shows open yet");
    browser.wait_for_text("#waiting", "All pictures have a state");
    assert_eq!(browser.count("#states .primary"), 0, "nothing can be trained");
}

#[test]
fn training_that_did_not_happen_or_failed_can_be_begun() {
    if !browser::is_there() {
        return;
    }
    let (visit, album) = started(3);
    let browser = &visit.browser;
    let truth = Visit::door_truth(&album);
    let ids = visit.tiles();
    // All have a state and nothing is trained, as after an import. It begins by itself, and fails.
    visit.open("/");
    let folder = visit.sandbox.path("studio/models/garage-door");
    let labels: String = ids.iter().map(|id| format!("{id}\t{}\n", truth(id))).collect();
    fs::write(folder.join("labels.tsv"), labels).expect("labels");
    fs::write(folder.join("versions"), "no folder").expect("a file in the way");
    visit.open("/models/garage-door/examples");
    browser.wait_for_text("#problem", "versions");
    // What failed is not begun by itself again, and is said to who comes later.
    browser.reload();
    browser.wait_for_text("#problem", "versions");
    browser.wait_for_text("#waiting", "All pictures have a state");
    fs::remove_file(folder.join("versions")).expect("nothing in the way");
    browser.press("Train");
    browser.wait_for_path("/models/garage-door");
    browser.wait_for_text(".verdict", "right");
}

#[test]
fn a_studio_that_ends_while_it_works_is_noticed() {
    if !browser::is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let folder = sandbox.path("drive");
    let album = garage::album(&folder, 1);
    // Many, so that looking at them takes long: copies that differ in their last bytes.
    let bytes = fs::read(&album[0].0).expect("a picture");
    for i in 0..1500u32 {
        let name = format!("2026-04-{:02}_{:02}-{:02}-00.jpg", 1 + i / 100, i % 24, i % 60);
        fs::write(folder.join(name), [&bytes[..], &i.to_le_bytes()].concat()).expect("a picture");
    }
    let visit = Visit::start(sandbox, &["--pictures", "drive"]);
    visit.define("Garage door", &["open", "closed"]);
    visit.draw(garage::CROP);
    let Visit { browser, studio, sandbox: _sandbox } = visit;
    browser.click("#next");
    browser.wait_for("#working");
    drop(studio);
    browser.wait_for_text("#problem", "Start it again with: ajar studio");
    assert!(!browser.sees("#working"));
}

#[test]
fn pictures_are_skipped_by_a_tap_and_by_a_key_with_caps_lock() {
    if !browser::is_there() {
        return;
    }
    let (visit, _) = started(3);
    let browser = &visit.browser;
    let ids = visit.tiles();
    browser.press("Skip");
    browser.wait_for_text("#question", "of no use");
    browser.click(&format!("[data-key=\"{}\"]", ids[1]));
    browser.wait_for_text("#waiting", "23 pictures without a state");
    browser.press("Skip");
    browser.wait_for_text("#question", "that shows open");
    browser.focus(&format!("[data-key=\"{}\"]", ids[4]));
    browser.keys("S");
    browser.wait_for_text("#waiting", "22 pictures without a state");
    assert_eq!(visit.tiles().len(), 22);
    assert!(!visit.tiles().contains(&ids[1]) && !visit.tiles().contains(&ids[4]));
}

#[test]
fn two_months_of_pictures_give_examples_of_all_days_and_hours() {
    if !browser::is_there() {
        return;
    }
    // 60 days, four pictures a day.
    let sandbox = Sandbox::new();
    let folder = sandbox.path("drive");
    fs::create_dir_all(&folder).expect("a folder");
    for day in 0..60u32 {
        for hour in [3, 9, 15, 21] {
            let sight =
                garage::Sight { open: (day + hour) % 3 == 0, hour: hour as f32, seed: day * 24 + hour };
            let (month, date) = (3 + day / 30, 1 + day % 30);
            let name = format!("2026-{month:02}-{date:02}_{hour:02}-00-00.jpg");
            garage::draw(sight).save(folder.join(name)).expect("a written picture");
        }
    }
    let visit = Visit::start(sandbox, &["--pictures", "drive"]);
    visit.define("Garage door", &["open", "closed"]);
    visit.draw(garage::CROP);
    visit.browser.click("#next");
    visit.browser.wait_for_text("#waiting", "24 pictures without a state");
    let ids = visit.tiles();
    // Each fifth of the time, and each hour, has some.
    for fifth in 0..5 {
        let days = (fifth * 12)..(fifth * 12 + 12);
        let of_days = ids.iter().filter(|id| {
            let number = |range: std::ops::Range<usize>| id[range].parse::<u32>().expect("a number");
            days.contains(&((number(5..7) - 3) * 30 + number(8..10) - 1))
        });
        assert!(of_days.count() >= 2, "days {days:?} of {ids:?}");
    }
    for hour in ["03", "09", "15", "21"] {
        assert!(ids.iter().filter(|id| &id[11..13] == hour).count() >= 2, "hour {hour} of {ids:?}");
    }
}

#[test]
fn broken_pictures_are_put_aside_and_training_succeeds() {
    if !browser::is_there() {
        return;
    }
    let (visit, album) = started(3);
    let browser = &visit.browser;
    // A card that went bad after the pictures were kept.
    let folder = visit.sandbox.path("studio/models/garage-door/frames/drive");
    let gone = visit.tiles()[5].clone();
    fs::write(folder.join(format!("{gone}.jpg")), b"\xFF\xD8 and no more").expect("a broken picture");
    // With the page away: pictures that it still asks for would be cut again.
    visit.open("/new");
    fs::remove_dir_all(visit.sandbox.path("studio/cache")).expect("a cache");
    visit.open("/models/garage-door/examples");
    browser.wait_for_text("#waiting", "23 pictures without a state");
    visit.assign(&["open", "closed"], Visit::door_truth(&album));
    browser.wait_for_path("/models/garage-door");
    visit.open("/models/garage-door/dataset");
    browser.wait_for_text("main", "1 cannot be read and are left out (quarantine)");
}

fn left(count: usize) -> String {
    match count {
        0 => "All pictures have a state".into(),
        1 => "1 picture without a state".into(),
        count => format!("{count} pictures without a state"),
    }
}
