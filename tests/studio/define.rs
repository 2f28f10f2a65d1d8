//! Step 1: every rule of a definition, as the page says it.

use crate::browser::{self, Browser};
use crate::cli::Sandbox;
use crate::studio::Studio;
use crate::visit::{DESKTOP, Visit};
use std::net::{IpAddr, UdpSocket};

const FIRST: &str = "#states li:nth-child(1)";
const SECOND: &str = "#states li:nth-child(2)";

/// Types into a field; waits for what is said in `place`, and that Continue cannot be pressed.
#[track_caller]
fn refused(browser: &Browser, field: &str, text: &str, place: &str, why: &str) {
    browser.fill(field, text);
    browser.wait_for_text(place, why);
    assert_eq!(browser.script("return document.querySelector('#next').disabled"), true, "{text:?}");
}

/// Waits until nothing is wrong any more.
#[track_caller]
fn accepted(browser: &Browser) {
    browser.until("Continue that can be pressed", || {
        browser.script("return document.querySelector('#next').disabled") == false
    });
    assert!(!browser.sees(".problem:not(:empty)"), "{}", browser.text("#define"));
}

#[test]
fn each_rule_is_said_while_typing() {
    if !browser::is_there() {
        return;
    }
    let visit = Visit::start(Sandbox::new(), &[]);
    let browser = &visit.browser;
    visit.open("/new");
    // An empty page does not complain before anything was typed.
    assert_eq!(browser.script("return document.querySelector('#next').disabled"), true);
    assert!(!browser.sees(".problem:not(:empty)"));

    browser.fill("#title", "Gate");
    browser.until("a name made of the title", || {
        browser.script("return document.querySelector('#name').value") == "gate"
    });
    browser.fill(&format!("{FIRST} input"), "open");
    browser.fill(&format!("{SECOND} input"), "closed");
    accepted(browser);

    let name = |text: &str, why: &str| refused(browser, "#name", text, "#name-problem", why);
    name("", "Give it a name.");
    name("My gate", "Use only small letters");
    name("Gate", "Use only small letters");
    name("../gate", "Use only small letters");
    name("tör", "Use only small letters");
    name("1234", "Only digits: add a letter.");
    name(&"g".repeat(65), "Too long: at most 64 characters.");
    browser.fill("#name", &"g".repeat(64));
    accepted(browser);
    refused(browser, "#title", &"T".repeat(65), "#title-problem", "Too long: at most 64 characters.");
    browser.fill("#title", "Gate");

    let second = format!("{SECOND} input");
    let problem = format!("{SECOND} .problem");
    let state = |text: &str, why: &str| refused(browser, &second, text, &problem, why);
    state("Open", "is there twice");
    state("  OPEN ", "is there twice");
    state("unknown", "is reserved");
    state("None", "is reserved");
    state(&"s".repeat(33), "Too long: at most 32 letters.");
    state("", "Give this state a name.");
    browser.fill(&second, "closed");
    accepted(browser);

    browser.click(&format!("{SECOND} button"));
    browser.wait_for_text("#states-problem", "at least two states");
    browser.press("Add a state");
    browser.fill(&second, "half open");
    accepted(browser);
    for _ in 2..17 {
        browser.press("Add a state");
    }
    browser.wait_for_text("#states-problem", "at most 16 states");
}

#[test]
fn a_used_name_is_refused_and_nothing_is_lost() {
    if !browser::is_there() {
        return;
    }
    let sandbox = Sandbox::new();
    crate::garage::album(&sandbox.path("drive"), 1);
    let visit = Visit::start(sandbox, &["--pictures", "drive"]);
    let browser = &visit.browser;
    visit.define("Gate", &["open", "closed"]);
    let file = visit.sandbox.path("studio/models/gate/model.toml");
    let before = std::fs::read(&file).expect("a model");
    visit.open("/new");
    browser.fill("#title", "Gate");
    browser.wait_for_text("#name-problem", "There is a model \"gate\" already");
    assert_eq!(browser.script("return document.querySelector('#next').disabled"), true);
    assert_eq!(std::fs::read(&file).expect("the same model"), before);
}

#[test]
fn a_title_in_other_letters_asks_for_a_short_name() {
    if !browser::is_there() {
        return;
    }
    let visit = Visit::start(Sandbox::new(), &[]);
    let browser = &visit.browser;
    visit.open("/new");
    browser.fill(&format!("{FIRST} input"), "открыт");
    browser.fill(&format!("{SECOND} input"), "закрыт");
    browser.fill("#title", "Гараж");
    browser.wait_for_text("#name-problem", "type one, such as garage-door");
    browser.fill("#name", "garage");
    accepted(browser);
    browser.click("#next");
    browser.wait_for_path("/models/garage/crop");
}

#[test]
fn a_draft_is_kept_once_something_is_typed_and_can_be_discarded() {
    if !browser::is_there() {
        return;
    }
    let visit = Visit::start(Sandbox::new(), &[]);
    let browser = &visit.browser;
    let draft = visit.sandbox.path("studio/draft.toml");
    // The page asks what is wrong with the empty fields: after that, nothing is kept.
    visit.open("/new");
    let asked = "return performance.getEntriesByType('resource').some((e) => e.name.endsWith('/api/draft'))";
    browser.until("an answer", || browser.script(asked) == true);
    assert!(!draft.exists());
    visit.open("/");
    browser.wait_for(".welcome");

    visit.open("/new");
    browser.fill("#title", "Pool cover");
    browser.until("a draft", || draft.exists());
    visit.open("/");
    browser.press("Discard");
    browser.click("dialog [value=no]");
    assert!(draft.exists());
    browser.press("Discard");
    browser.click("dialog [value=yes]");
    browser.wait_for(".welcome");
    assert!(!draft.exists());
}

#[test]
fn a_draft_outlives_the_page_and_the_studio() {
    if !browser::is_there() {
        return;
    }
    let mut visit = Visit::start(Sandbox::new(), &[]);
    visit.open("/new");
    visit.browser.fill("#title", "Pool cover");
    visit.browser.fill(&format!("{FIRST} input"), "on");
    // Closed at once: what was typed last must be kept all the same.
    visit.browser.close_and_open_tab();
    visit.open("/");
    visit.browser.wait_for_text(".card.unfinished", "Pool cover");

    visit.studio = crate::studio::Studio::start(&visit.sandbox, &[]);
    let browser = &visit.browser;
    browser.open(&visit.studio.url);
    browser.press("Pool cover");
    browser.wait_for_path("/new");
    let value = |css: &str| browser.script(&format!("return document.querySelector('{css}').value"));
    assert_eq!(value("#title"), "Pool cover");
    assert_eq!(value("#name"), "pool-cover");
    assert_eq!(value(&format!("{FIRST} input")), "on");
}

/// This machine's address in its network. Nothing is sent.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_loopback())
}

#[test]
fn a_model_is_defined_from_another_device_by_plain_http() {
    let (true, Some(address)) = (browser::is_there(), own_address()) else {
        println!("skipped: no browser, or no network");
        return;
    };
    let sandbox = Sandbox::new();
    let listen = format!("{address}:0");
    let studio =
        Studio::start_with(&sandbox, &["--listen", &listen], &[("AJAR_STUDIO_PASSWORD", "open sesame")]);
    let browser = Browser::start(DESKTOP.0, DESKTOP.1);
    browser.open(&format!("{}/login", studio.origin()));
    let status = browser.script_async(
        "const done = arguments[0]; fetch('/login', { method: 'POST', body: new URLSearchParams({ password: 'open sesame' }) }) \
         .then((answer) => done(answer.status), String)",
    );
    assert_eq!(status, 200);
    // Here a browser gives a page less than on a computer's own address.
    assert_eq!(browser.script("return isSecureContext"), false);
    let visit = Visit { browser, studio, sandbox };
    let browser = &visit.browser;
    visit.open("/new");
    browser.fill("#title", "Gate");
    browser.fill(&format!("{FIRST} input"), "open");
    browser.fill(&format!("{SECOND} input"), "closed");
    browser.press("Add a state");
    browser.fill("#states li:nth-child(3) input", "half open");
    accepted(browser);
    browser.click("#next");
    browser.wait_for_path("/models/gate/crop");
}
