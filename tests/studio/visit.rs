//! A person at the studio: the browser, the studio that it shows, and the folder in which both work.

use crate::browser::Browser;
use crate::cli::Sandbox;
use crate::garage;
use crate::studio::Studio;
use std::path::PathBuf;

/// A laptop's window, in CSS pixels.
pub const DESKTOP: (u32, u32) = (1280, 900);
pub const PHONE: (u32, u32) = (390, 844);

pub struct Visit {
    // Dropped in this order: the browser first.
    pub browser: Browser,
    pub studio: Studio,
    pub sandbox: Sandbox,
}

impl Visit {
    /// Opens the studio as its printed address does.
    pub fn start(sandbox: Sandbox, words: &[&str]) -> Visit {
        let studio = Studio::start(&sandbox, words);
        let browser = Browser::start(DESKTOP.0, DESKTOP.1);
        browser.open(&studio.url);
        Visit { browser, studio, sandbox }
    }

    pub fn open(&self, path: &str) {
        self.browser.open(&format!("{}{path}", self.studio.origin()));
        self.browser.wait_for_path(path);
    }

    /// Types a definition and goes on to the crop.
    pub fn define(&self, title: &str, states: &[&str]) {
        let browser = &self.browser;
        self.open("/new");
        browser.fill("#title", title);
        for (i, state) in states.iter().enumerate() {
            if i >= 2 {
                browser.press("Add a state");
            }
            browser.fill(&format!("#states li:nth-child({}) input", i + 1), state);
        }
        browser.click("#next");
        browser.wait_for("#stage.there");
    }

    /// Gives every picture the state that `truth` says of its id, state by state. Training begins.
    pub fn assign(&self, states: &[&str], truth: impl Fn(&str) -> String) {
        let browser = &self.browser;
        for (i, state) in states.iter().enumerate() {
            browser.wait_for_text("#question", state);
            let ids = self.tiles();
            for id in ids.iter().filter(|id| truth(id) == *state) {
                if !browser.sees("#assign") {
                    return;
                }
                let tile = format!("[data-key=\"{id}\"]");
                if browser.text(&tile).starts_with(state) {
                    continue;
                }
                browser.click(&tile);
                browser.until("a state that was taken", || {
                    !browser.sees("#assign") || browser.text(&tile).contains(state) || !browser.sees(&tile)
                });
            }
            if i + 1 < states.len() {
                browser.press(&format!("Next: {}", states[i + 1]));
            }
        }
    }

    /// Ids of the pictures that are shown.
    pub fn tiles(&self) -> Vec<String> {
        let keys = self
            .browser
            .script("return [...document.querySelectorAll('.tile')].map((one) => one.dataset.key)");
        keys.as_array().into_iter().flatten().filter_map(|key| Some(key.as_str()?.to_string())).collect()
    }

    /// Of a folder with pictures of the drawn garage door, in which `drive` is the camera: an id's state.
    pub fn door_truth(album: &[(PathBuf, bool)]) -> impl Fn(&str) -> String + use<'_> {
        |id| {
            let named = |path: &PathBuf| {
                path.file_stem().is_some_and(|stem| id.starts_with(&*stem.to_string_lossy()))
            };
            let (_, open) = album.iter().find(|(path, _)| named(path)).expect("a picture of the album");
            if *open { "open" } else { "closed" }.to_string()
        }
    }

    /// A model of the garage door, trained by the wizard. Gives the pictures that there are.
    pub fn with_door(sandbox: Sandbox, words: &[&str]) -> (Visit, Vec<(PathBuf, bool)>) {
        let album = garage::album(&sandbox.path("drive"), 5);
        let visit = Visit::start(sandbox, &[words, &["--pictures", "drive"]].concat());
        visit.define("Garage door", &["open", "closed"]);
        visit.draw(garage::CROP);
        visit.browser.click("#next");
        visit.browser.wait_for("#assign");
        visit.assign(&["open", "closed"], Visit::door_truth(&album));
        visit.browser.wait_for_path("/models/garage-door");
        (visit, album)
    }

    /// Draws the crop with its corners. Fractions of the frame.
    pub fn draw(&self, [x1, y1, x2, y2]: [f64; 4]) {
        let browser = &self.browser;
        let [left, top, width, height] = browser.place("#still");
        for (handle, x, y) in [("top left", x1, y1), ("bottom right", x2, y2)] {
            let [hx, hy, w, h] = browser.place(&format!("[data-handle=\"{handle}\"]"));
            browser.drag((hx + w / 2.0, hy + h / 2.0), (left + x * width, top + y * height));
        }
        browser.until("a crop that was kept", || {
            browser.script(
                "return performance.getEntriesByType('resource').some((e) => e.name.includes('/crops/'))",
            ) == true
        });
    }
}
