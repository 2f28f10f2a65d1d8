//! Every page by axe-core, in light and dark, on a phone and on a desktop; nothing jumps; many pictures scroll.

use crate::browser::{self, Browser};
use crate::cli::Sandbox;
use crate::improve;
use crate::visit::{DESKTOP, PHONE, Visit};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Fetched by scripts/install-axe.
const AXE: &str = "target/axe/axe.min.js";

fn axe() -> Option<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(AXE)).ok();
    if text.is_none() {
        browser::skip("no axe-core; scripts/install-axe fetches it");
    }
    text
}

/// What axe-core finds serious or critical on the page.
fn findings(browser: &Browser, axe: &str) -> Vec<String> {
    browser.script(axe);
    let result = browser.script_async(
        "const done = arguments[0]; axe.run(document, { resultTypes: ['violations'] }).then((all) => done( \
         all.violations.map((one) => [one.impact, one.id, one.nodes.map((node) => node.html + ' ' + \
         node.any.map((check) => check.message).join('; ')).join('\\n')])), (error) => done(String(error)))",
    );
    let rows = result.as_array().unwrap_or_else(|| panic!("axe-core: {result}"));
    let serious = |row: &&Value| ["serious", "critical"].contains(&row[0].as_str().unwrap_or_default());
    rows.iter()
        .filter(serious)
        .map(|row| format!("{}: {}", row[1], row[2].as_str().unwrap_or_default()))
        .collect()
}

/// Every page of a studio with a trained model, and what is seen when it is there.
const PAGES: [(&str, &str); 9] = [
    ("/", ".card.model"),
    ("/import", "#go"),
    ("/new", "#next"),
    ("/models/garage-door", ".verdict"),
    ("/models/garage-door/crop", "#stage.there"),
    ("/models/garage-door/examples", "#assign"),
    ("/models/garage-door/dataset", ".tile"),
    ("/models/garage-door/recent", "h1"),
    ("/models/nothing", "h1"),
];

#[test]
fn axe_core_finds_nothing_serious_and_nothing_is_wider_than_the_window() {
    if !browser::is_there() {
        return;
    }
    let axe = axe();
    let first = [("/", "", ".welcome"), ("/login", "", "h1")];
    let mut found = look_at(&Visit::start(Sandbox::new(), &[]), &axe, &first);
    let (visit, _) = Visit::with_door(Sandbox::new(), &[]);
    let pages = PAGES.map(|(path, seen)| (path, "", seen));
    found.extend(look_at(&visit, &axe, &pages));
    assert!(found.is_empty(), "{}", found.join("\n\n"));

    // The longest names that there may be, without a space.
    let file = visit.sandbox.path("studio/models/garage-door/model.toml");
    let text = fs::read_to_string(&file).expect("a model");
    let long = |letter: &str, count| letter.repeat(count);
    fs::write(&file, text.replace("Garage door", &long("W", 64))).expect("another title");
    for (state, letter) in [("open", "m"), ("closed", "w")] {
        let body = format!(r#"{{"state":"{state}","to":"{}"}}"#, long(letter, 32));
        let renamed = visit.browser.script_async(&format!(
            "const done = arguments[0]; fetch('/api/models/garage-door/states/rename', {{ method: 'POST', \
             headers: {{ 'Content-Type': 'application/json' }}, body: '{body}' }}).then((answer) => done(answer.status), String)"
        ));
        assert_eq!(renamed, 200);
    }
    let found = look_at(&visit, &None, &pages);
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

#[test]
fn axe_core_finds_nothing_serious_where_a_device_is_shown_or_something_is_asked() {
    if !browser::is_there() {
        return;
    }
    let (visit, _device, _) = improve::deployed();
    let model = "/models/garage-door";
    let pages = [
        ("/", "", ".watch"),
        (model, "", ".device-row"),
        (model, "#remove", "dialog"),
        ("/models/garage-door/recent", "input[name=useful]", ".tile"),
        ("/models/garage-door/dataset", "#state-list button", "dialog"),
    ];
    let found = look_at(&visit, &axe(), &pages);
    assert!(found.is_empty(), "{}", found.join("\n\n"));
}

/// What is wrong with pages of all widths and tones: of each its path, what is clicked there if anything is, and what
/// is seen then.
fn look_at(visit: &Visit, axe: &Option<String>, pages: &[(&str, &str, &str)]) -> Vec<String> {
    let browser = &visit.browser;
    let mut found = Vec::new();
    for (width, height) in [DESKTOP, PHONE, (320, 640)] {
        browser.resize(width, height);
        for dark in [false, true] {
            browser.dark(dark);
            for (path, clicked, seen) in pages {
                browser.open(&format!("{}{path}", visit.studio.origin()));
                if !clicked.is_empty() {
                    browser.click(clicked);
                }
                browser.wait_for(seen);
                let at = format!("{path}, {width} wide, {}", if dark { "dark" } else { "light" });
                let page = browser.script("return document.documentElement.scrollWidth").as_u64();
                if page.is_none_or(|page| page > u64::from(width)) {
                    found.push(format!("{at}: {page:?} pixels wide"));
                }
                let serious = axe.iter().flat_map(|axe| findings(browser, axe));
                found.extend(serious.map(|finding| format!("{at}: {finding}")));
            }
        }
    }
    found
}

#[test]
fn every_control_can_be_reached_with_tab_and_is_seen_to_have_the_focus() {
    if !browser::is_there() {
        return;
    }
    let (visit, _) = Visit::with_door(Sandbox::new(), &[]);
    let browser = &visit.browser;
    for (path, seen) in PAGES {
        browser.open(&format!("{}{path}", visit.studio.origin()));
        browser.wait_for(seen);
        let wanted = browser.script(
            "window.seen = new Set(); return [...document.querySelectorAll('a[href], button, input, select, [tabindex=\"0\"]')] \
             .filter((one) => one.checkVisibility({ visibilityProperty: true }) && !one.disabled && one.tabIndex >= 0).length",
        );
        let wanted = wanted.as_u64().expect("a number");
        browser.script("document.activeElement.blur()");
        for _ in 0..wanted + 4 {
            browser.tab();
            browser.script(
                "const one = document.activeElement; if (one === document.body) return; window.seen.add(one); \
                 const style = getComputedStyle(one); const ring = style.outlineStyle !== 'none' || style.boxShadow !== 'none'; \
                 const label = one.closest('label'); \
                 const around = label && (getComputedStyle(label).outlineStyle !== 'none' || getComputedStyle(label).boxShadow !== 'none'); \
                 if (!ring && !around) window.blind = one.outerHTML.slice(0, 200)",
            );
        }
        let reached = browser.script("return window.seen.size").as_u64();
        assert!(reached >= Some(wanted), "{path}: {reached:?} of {wanted} controls");
        assert_eq!(
            browser.script("return window.blind ?? null"),
            Value::Null,
            "{path}: a focus that is not seen"
        );
    }
}

#[test]
fn nothing_jumps_while_a_page_comes() {
    if !browser::is_there() {
        return;
    }
    let (visit, _) = Visit::with_door(Sandbox::new(), &[]);
    let browser = &visit.browser;
    for (width, height) in [DESKTOP, PHONE] {
        browser.resize(width, height);
        for (path, seen) in PAGES {
            browser.open(&format!("{}{path}", visit.studio.origin()));
            browser.wait_for(seen);
            // Layout shifts since the page began (web.dev/cls): 0.1 is called good.
            let shift = browser.script_async(
                "const done = arguments[0]; let sum = 0; \
                 new PerformanceObserver((list) => list.getEntries().forEach((one) => { if (!one.hadRecentInput) sum += one.value; })) \
                 .observe({ type: 'layout-shift', buffered: true }); setTimeout(() => done(sum), 500)",
            );
            assert!(
                shift.as_f64().is_some_and(|shift| shift < 0.1),
                "{path}, {width} wide: a shift of {shift}"
            );
        }
    }
}

#[test]
fn two_thousand_pictures_are_loaded_as_they_come_near() {
    if !browser::is_there() {
        return;
    }
    let (visit, album) = Visit::with_door(Sandbox::new(), &[]);
    let folder = visit.sandbox.path("studio/models/garage-door");
    // Copies that differ in their last bytes, as real pictures would in all of theirs.
    let bytes = fs::read(&album[0].0).expect("a picture");
    let mut labels = fs::read_to_string(folder.join("labels.tsv")).expect("labels");
    for i in 0..2000u32 {
        let id = format!("2026-04-{:02}_{:02}-{:02}-00_{i:08}", 1 + i / 100, i % 24, i % 60);
        let letters: String = id[20..].bytes().map(|digit| char::from(b'a' + digit - b'0')).collect();
        let id = format!("{}{letters}", &id[..20]);
        fs::write(folder.join(format!("frames/drive/{id}.jpg")), [&bytes[..], &i.to_le_bytes()].concat())
            .expect("a picture");
        labels += &format!("{id}\tclosed\n");
    }
    fs::write(folder.join("labels.tsv"), labels).expect("labels");
    let browser = &visit.browser;
    visit.open("/models/garage-door/dataset");
    browser.wait_for_text("#count", "2024 pictures");
    let loaded = || {
        browser.script("return performance.getEntriesByType('resource').filter((e) => e.name.includes('crop.jpg')).length")
    };
    assert!(loaded().as_u64().is_some_and(|count| count < 400), "{} pictures are loaded at once", loaded());
    assert!(visit.tiles().len() <= 600, "{} tiles at once", visit.tiles().len());
    // To the end, a window's height at a time: the longest that a frame took, and the most that came in one.
    let worst = browser.script_async(
        "const done = arguments[0]; let last = performance.now(); let worst = 0; let still = 0; \
         const tiles = document.querySelector('#grid').children; let count = tiles.length; let most = 0; \
         const step = (now) => { worst = Math.max(worst, now - last); last = now; const before = scrollY; \
         most = Math.max(most, tiles.length - count); count = tiles.length; \
         scrollBy(0, 700); still = scrollY === before ? still + 1 : 0; \
         if (still > 20) done([worst, most]); else requestAnimationFrame(step); }; requestAnimationFrame(step)",
    );
    let [longest, most] = [0, 1].map(|i| worst[i].as_f64().unwrap_or_else(|| panic!("{worst}")));
    println!("2,024 pictures: the longest frame while scrolling took {longest:.0} ms");
    assert!(most <= 240.0, "{most} tiles came in one frame");
    assert_eq!(visit.tiles().len(), 2024);
}
