//! Pictures of every page, for the documentation and for eyes: `make screenshots`.

use crate::browser::{self, Browser};
use crate::cli::Sandbox;
use crate::device::Device;
use crate::garage::{self, Sight};
use crate::improve::jpeg;
use crate::visit::{DESKTOP, PHONE, Visit};
use std::path::{Path, PathBuf};

/// Where they go; none are made without it.
const VARIABLE: &str = "AJAR_SCREENSHOTS";

struct Album {
    folder: PathBuf,
}

impl Album {
    /// What is seen now, on a desktop and a phone, in light and dark.
    fn take(&self, browser: &Browser, name: &str) {
        for (kind, (width, height)) in [("phone", PHONE), ("desktop", DESKTOP)] {
            browser.resize(width, height);
            for (tone, dark) in [("dark", true), ("light", false)] {
                browser.dark(dark);
                browser.script_async("const done = arguments[0]; setTimeout(done, 250)");
                let loaded =
                    "return [...document.images].every((one) => one.complete || one.loading === 'lazy')";
                browser.until("pictures", || browser.script(loaded) == true);
                browser.picture(&self.folder.join(format!("studio-{name}-{kind}-{tone}.jpg")));
            }
        }
    }
}

#[test]
fn every_page_is_photographed() {
    let Some(folder) = std::env::var_os(VARIABLE).map(PathBuf::from) else {
        println!("skipped: make screenshots takes them");
        return;
    };
    assert!(browser::is_there(), "there is no browser");
    std::fs::create_dir_all(&folder).expect("a folder");
    walk(&Album { folder: Path::new(env!("CARGO_MANIFEST_DIR")).join(folder) });
}

/// Through all pages, as somebody would who has a garage.
fn walk(shots: &Album) {
    let sandbox = Sandbox::new();
    let mut device = Device::start(&sandbox, "drive", jpeg(false, 9.5, 4));
    let album = garage::album(&sandbox.path("drive"), 6);
    let visit = Visit::start(sandbox, &["--device", "control.sock", "--pictures", "drive"]);
    let browser = &visit.browser;
    browser.wait_for_text("#devices", "shed");
    // A phone's page is laid out as one from its start.
    browser.resize(PHONE.0, PHONE.1);
    browser.reload();
    browser.wait_for_text("#devices", "shed");
    shots.take(browser, "welcome");

    visit.open("/new");
    browser.fill("#title", "Garage door");
    browser.fill("#states li:nth-child(1) input", "open");
    browser.fill("#states li:nth-child(2) input", "Open");
    browser.wait_for_text("#states", "is there twice");
    shots.take(browser, "define-problem");
    browser.fill("#states li:nth-child(2) input", "closed");
    browser.until("no problem", || !browser.text("#states").contains("twice"));
    shots.take(browser, "define");

    browser.click("#next");
    browser.wait_for("#stage.there");
    visit.draw(garage::CROP);
    shots.take(browser, "crop");

    browser.click("#next");
    browser.wait_for_text("#waiting", "24 pictures");
    let truth = Visit::door_truth(&album);
    let state = |id: &str| if id.starts_with("2026-03") { truth(id) } else { "closed".into() };
    for id in visit.tiles().iter().filter(|id| state(id) == "open").take(5) {
        browser.click(&format!("[data-key=\"{id}\"]"));
    }
    browser.until("some that have a state", || browser.text("#waiting").starts_with("19"));
    shots.take(browser, "assign");
    visit.assign(&["open", "closed"], state);
    browser.wait_for_path("/models/garage-door");
    browser.press("Look now");
    browser.wait_for_text("#said-state", "closed");
    shots.take(browser, "verdict");

    browser.press("Make a key and sign");
    browser.wait_for("#signed");
    visit.sandbox.ajar_line("key trust k/ajar.pub --trusted-keys trusted").expect(0);
    let crop = garage::CROP;
    device.configure(
        &visit.sandbox,
        &format!(
            "[classification.custom.garage-door.state_config]\ninterval = 1\n\
             [classification.custom.garage-door.state_config.cameras.drive]\ncrop = {crop:?}\n"
        ),
    );
    browser.press("Install");
    browser.wait_for_text("#now", "closed");
    shots.take(browser, "model");
    visit.open("/");
    browser.wait_for_text(".card.model .now", "closed");
    // Where this test happens to run is nothing for the documentation.
    browser.script("document.querySelector('.place').remove()");
    shots.take(browser, "home");

    visit.open("/models/garage-door/recent");
    browser.click("input[name=useful]");
    for (i, (open, hour)) in [(true, 8.0), (false, 14.0), (true, 17.5), (false, 23.0)].into_iter().enumerate()
    {
        let mut bytes = std::io::Cursor::new(Vec::new());
        let picture = garage::draw(Sight { open, hour, seed: 60 + i as u32 });
        picture.write_to(&mut bytes, image::ImageFormat::Jpeg).expect("a picture");
        device.camera.show(bytes.into_inner());
        std::thread::sleep(std::time::Duration::from_secs(8));
    }
    browser.wait_for(".tile:has(img)");
    browser.click(".tile:has(img)");
    shots.take(browser, "recent");

    visit.open("/models/garage-door/dataset");
    browser.wait_for(".tile");
    shots.take(browser, "dataset");
    browser.script("document.querySelector('#filters').scrollIntoView()");
    browser.click(".tile:nth-child(3)");
    shots.take(browser, "dataset-grid");
    visit.open("/import");
    shots.take(browser, "import");
}
