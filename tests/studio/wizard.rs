//! The whole way: from nothing to a model that a running device publishes the state of.

use crate::browser;
use crate::cli::Sandbox;
use crate::device::Device;
use crate::lot::Lot;
use crate::visit::Visit;
use std::time::Instant;

const STATES: [&str; 2] = ["free", "occupied"];

#[test]
fn real_pictures_become_a_model_on_a_running_device() {
    let (true, Some(lot)) = (browser::is_there(), Lot::find()) else { return };
    let sandbox = Sandbox::new();
    lot.link(&sandbox.path("lot"));
    let occupied = lot.first("occupied");
    let mut device = Device::start(&sandbox, "lot", std::fs::read(&occupied.path).expect("a picture"));
    let visit = Visit::start(sandbox, &["--device", "control.sock", "--pictures", "lot"]);
    let (browser, sandbox) = (&visit.browser, &visit.sandbox);
    let started = Instant::now();

    // Nothing is there yet: the page says what to do.
    browser.wait_for_text("h1", "Is it open?");
    browser.wait_for_text("#devices", "shed");
    browser.press("New model");
    visit.define("Parking spot", &STATES);
    visit.draw(lot.crop);
    browser.wait_for_text("#size", "of 1280 × 720");
    browser.click("#next");
    browser.wait_for("#assign");
    browser.wait_for_text("#waiting", "24 pictures without a state");
    // What the camera shows now is one of the candidates, and has the time of now.
    visit.assign(&STATES, |id| lot.truth(id).unwrap_or(&occupied.state).to_string());
    browser.wait_for_path("/models/parking-spot");
    browser.wait_for_text("#outcome", "Trained");
    browser.wait_for_text(".verdict", "right");

    // What the camera showed now has the time of now, in the time of here.
    let here =
        jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d_").to_string();
    let frames = std::fs::read_dir(sandbox.path("studio/models/parking-spot/frames/lot")).expect("frames");
    let names: Vec<String> =
        frames.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    assert!(
        names.iter().all(|name| name.starts_with("2013-") || name.starts_with(&here)),
        "{here}: {names:?}"
    );

    // Try it on what the camera shows.
    browser.press("Look now");
    browser.wait_for_text("#said-state", "occupied");
    assert_eq!(browser.count("#bars li"), STATES.len());

    // Sign; the device refuses a key that it does not know, and says what to do.
    browser.press("Make a key and sign");
    browser.wait_for("#signed");
    browser.press("Install");
    browser.wait_for_text("#deploy-problem", "ajar key trust ajar.pub");
    sandbox.ajar_line("key trust k/ajar.pub --trusted-keys trusted").expect(0);
    // It does not watch with this model yet: the page has the lines for its configuration.
    browser.press("Install");
    browser.wait_for_text("#deploy-problem", "[classification.custom.parking-spot");
    let problem = browser.text("#deploy-problem");
    let lines = &problem[problem.find("\n\n").expect("the lines")..];
    device.configure(sandbox, lines);
    browser.press("Install");
    browser.wait_for_text("#toasts", "Installed on shed");
    browser.wait_for_text("#now", "occupied");
    println!("from the open page to a deployed model: {:.1} s", started.elapsed().as_secs_f64());

    // The bundle knows where the camera looks.
    let bundles = std::fs::read_dir(sandbox.path("studio/models/parking-spot/bundles")).expect("bundles");
    let bundle = bundles.flatten().next().expect("a bundle").path();
    let described =
        sandbox.ajar(&["bundle".as_ref(), "inspect".as_ref(), bundle.as_os_str()]).expect(0).stdout;
    assert!(described.contains("reference"), "{described}");

    // The device says so as well, and follows the camera.
    device.show(lot.last("free"));
    browser.wait_for_text("#now", "free");
    let status = sandbox.ajar_line("status --device control.sock").expect(0).stdout;
    assert!(status.contains("free"), "{status}");
}

#[test]
fn a_model_begins_with_pictures_of_this_computer_alone() {
    if !browser::is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    let album = crate::garage::album(&sandbox.path("photos"), 2);
    let visit = Visit::start(sandbox, &[]);
    let browser = &visit.browser;
    visit.open("/new");
    browser.fill("#title", "Garage door");
    for (i, state) in ["open", "closed"].iter().enumerate() {
        browser.fill(&format!("#states li:nth-child({}) input", i + 1), state);
    }
    browser.click("#next");
    browser.wait_for_text("main", "No camera yet");
    let files: Vec<_> = album.iter().map(|(path, _)| path.as_path()).collect();
    browser.choose_files("#upload", &files);
    browser.wait_for("#stage.there");
    visit.draw(crate::garage::CROP);
    browser.click("#next");
    browser.wait_for_text("#waiting", "24 pictures without a state");
    visit.assign(&["open", "closed"], Visit::door_truth(&album));
    browser.wait_for_path("/models/garage-door");
    browser.wait_for_text(".verdict", "right");
}
