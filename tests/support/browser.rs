//! A real browser: Debian's Chromium, driven by chromedriver.
#![allow(dead_code)]

use fantoccini::actions::{InputSource, KeyAction, KeyActions, MouseActions, PointerAction};
use fantoccini::elements::Element;
use fantoccini::error::CmdError;
use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Generous: these machines are slow and shared.
const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(30);

/// Whether there is a browser; says so if there is none, and fails where tests count.
pub fn is_there() -> bool {
    let lacking = ["chromium", "chromedriver"].into_iter().find(|program| !installed(program));
    if let Some(program) = lacking {
        skip(&format!("{program} is not installed; scripts/install-deps --browser installs it"));
    }
    lacking.is_none()
}

/// On a server that builds, a test that is skipped is one that nobody misses.
#[track_caller]
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "{why}");
    println!("skipped: {why}");
}

fn installed(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|path| path.join(program).is_file())
}

pub struct Browser {
    runtime: Runtime,
    client: Client,
    driver: Child,
    /// Profile, cookies and all; gone with the test.
    _profile: TempDir,
}

impl Browser {
    /// Opens a window of this size in CSS pixels.
    pub fn start(width: u32, height: u32) -> Browser {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver");
        let said = BufReader::new(driver.stdout.take().expect("its output"));
        let port = said.lines().map_while(Result::ok).find_map(|line| {
            let (_, port) = line.split_once("started successfully on port ")?;
            Some(port.trim_end_matches('.').to_string())
        });
        let url = format!("http://127.0.0.1:{}", port.expect("a port of chromedriver"));
        let profile = tempfile::tempdir().expect("a profile");
        let arguments = [
            "--headless=new",
            // Chromium does not run as root otherwise; all that it shows here is Ajar's own.
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-device-scale-factor=1",
            "--force-prefers-reduced-motion",
            "--lang=en",
            &format!("--user-data-dir={}", profile.path().display()),
        ]
        .map(str::to_string);
        let capabilities = json!({ "goog:chromeOptions": { "args": arguments } });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let client = runtime
            .block_on(
                ClientBuilder::new(HttpConnector::new())
                    .capabilities(capabilities.as_object().expect("an object").clone())
                    .connect(&url),
            )
            .expect("a browser");
        let browser = Browser { runtime, client, driver, _profile: profile };
        browser.resize(width, height);
        browser
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, CmdError>>) -> Result<T, CmdError> {
        self.runtime.block_on(work)
    }

    /// Chromium's own commands.
    fn cdp(&self, command: &str, parameters: Value) {
        let command = Cdp(json!({ "cmd": command, "params": parameters }));
        self.wait(self.client.issue_cmd(command)).expect("a command of Chromium's");
    }

    /// The size of what is seen; up to 600 pixels wide it is a phone.
    pub fn resize(&self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width <= 600 });
        self.cdp("Emulation.setDeviceMetricsOverride", size);
    }

    pub fn dark(&self, dark: bool) {
        let scheme = if dark { "dark" } else { "light" };
        let feature = json!({ "name": "prefers-color-scheme", "value": scheme });
        self.cdp("Emulation.setEmulatedMedia", json!({ "features": [feature] }));
    }

    pub fn open(&self, url: &str) {
        self.wait(self.client.goto(url)).expect("a page");
    }

    pub fn reload(&self) {
        self.wait(self.client.refresh()).expect("the page again");
    }

    pub fn back(&self) {
        self.wait(self.client.back()).expect("the page before");
    }

    /// Without the host.
    pub fn path(&self) -> String {
        let url = self.wait(self.client.current_url()).expect("an address");
        url.path().to_string()
    }

    #[track_caller]
    pub fn wait_for_path(&self, path: &str) {
        self.until(&format!("the page {path}"), || self.path() == path);
        self.until("a page that is there", || {
            self.script("return document.readyState === 'complete'") == true
        });
    }

    /// Waits for something to be so.
    #[track_caller]
    pub fn until(&self, what: &str, done: impl Fn() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !done() {
            if Instant::now() >= deadline {
                let text = self.script("return document.body.innerText");
                panic!("waited {LIMIT:?} for {what} on {}:\n{}", self.path(), text.as_str().unwrap_or("?"));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Runs a script in the page; gives what it returns, null where the page is just changing.
    pub fn script(&self, script: &str) -> Value {
        self.script_with(script, Vec::new())
    }

    pub fn script_with(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.wait(self.client.execute(script, arguments)).unwrap_or(Value::Null)
    }

    /// Runs a script that calls its last argument with the result.
    pub fn script_async(&self, script: &str) -> Value {
        self.wait(self.client.execute_async(script, Vec::new())).expect("a script")
    }

    /// How many elements match and are seen.
    pub fn count(&self, css: &str) -> usize {
        let script = "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility()).length";
        self.script_with(script, vec![css.into()]).as_u64().unwrap_or(0) as usize
    }

    pub fn sees(&self, css: &str) -> bool {
        self.count(css) > 0
    }

    #[track_caller]
    pub fn wait_for(&self, css: &str) {
        self.until(css, || self.sees(css));
    }

    /// What an element says; empty if it is not there.
    pub fn text(&self, css: &str) -> String {
        let script = "return document.querySelector(arguments[0])?.innerText ?? ''";
        self.script_with(script, vec![css.into()]).as_str().unwrap_or_default().to_string()
    }

    #[track_caller]
    pub fn wait_for_text(&self, css: &str, part: &str) {
        self.until(&format!("{part:?} in {css}, which says {:?}", self.text(css)), || {
            self.text(css).contains(part)
        });
    }

    #[track_caller]
    fn element(&self, css: &str) -> Element {
        self.until(css, || self.wait(self.client.find(Locator::Css(css))).is_ok());
        self.wait(self.client.find(Locator::Css(css))).expect("an element")
    }

    /// Clicks it as a user would: it must be seen, enabled, and not behind anything.
    #[track_caller]
    pub fn click(&self, css: &str) {
        self.until(&format!("{css} that can be clicked"), || {
            self.sees(css) && self.script_with(ENABLED, vec![css.into()]) == true && self.try_click(css)
        });
    }

    fn try_click(&self, css: &str) -> bool {
        self.wait(async { self.client.find(Locator::Css(css)).await?.click().await }).is_ok()
    }

    /// Clicks the button with this text, or whose text ends so.
    #[track_caller]
    pub fn press(&self, text: &str) {
        let mark = "const wanted = arguments[0]; \
            document.querySelectorAll('[data-pressed]').forEach((one) => one.removeAttribute('data-pressed')); \
            const all = [...document.querySelectorAll('dialog[open] button, button, a, label.upload')]; \
            const one = all.find((one) => one.checkVisibility() && !one.disabled && one.innerText.trim().endsWith(wanted)); \
            if (!one) return false; one.setAttribute('data-pressed', ''); return true";
        self.until(&format!("the button {text:?}"), || {
            self.script_with(mark, vec![text.into()]) == true && self.try_click("[data-pressed]")
        });
    }

    /// Empties a field and types into it.
    #[track_caller]
    pub fn fill(&self, css: &str, text: &str) {
        let field = self.element(css);
        let all =
            format!("{}a{}{}", char::from(Key::Control), char::from(Key::Control), char::from(Key::Delete));
        self.wait(field.send_keys(&format!("{all}{text}"))).expect("a field to type into");
    }

    /// Keys to whatever has the focus.
    pub fn keys(&self, text: &str) {
        let keys = async { self.client.active_element().await?.send_keys(text).await };
        self.wait(keys).expect("something with the focus");
    }

    /// Gives a file field files.
    #[track_caller]
    pub fn choose_files(&self, css: &str, files: &[&Path]) {
        let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        self.wait(self.element(css).send_keys(&names.join("\n"))).expect("a file field");
    }

    /// Chooses an option by its value, which is its text where it has no other.
    #[track_caller]
    pub fn select(&self, css: &str, value: &str) {
        let choose = "const [css, value] = arguments; const list = document.querySelector(css); \
            if (![...list.options].some((option) => option.value === value)) return false; \
            list.value = value; list.dispatchEvent(new Event('change', { bubbles: true })); return true";
        self.until(&format!("an option {value:?}"), || {
            self.script_with(choose, vec![css.into(), value.into()]) == true
        });
    }

    /// Presses Tab.
    pub fn tab(&self) {
        let value = char::from(Key::Tab);
        let press =
            KeyActions::new("keyboard".into()).then(KeyAction::Down { value }).then(KeyAction::Up { value });
        self.wait(self.client.perform_actions(press)).expect("a key");
    }

    pub fn focus(&self, css: &str) {
        self.script_with("document.querySelector(arguments[0]).focus()", vec![css.into()]);
    }

    /// Left, top, width and height of an element in the window.
    pub fn place(&self, css: &str) -> [f64; 4] {
        let script = "const box = document.querySelector(arguments[0]).getBoundingClientRect(); \
            return [box.x, box.y, box.width, box.height]";
        let place = self.script_with(script, vec![css.into()]);
        [0, 1, 2, 3].map(|i| place[i].as_f64().expect("an element with a place"))
    }

    /// Drags from one point of the window to another.
    pub fn drag(&self, from: (f64, f64), to: (f64, f64)) {
        let at = |(x, y): (f64, f64)| PointerAction::MoveTo {
            duration: Some(Duration::from_millis(20)),
            x: x.round(),
            y: y.round(),
        };
        let middle = ((from.0 + to.0) / 2.0, (from.1 + to.1) / 2.0);
        let actions = MouseActions::new("mouse".into())
            .then(at(from))
            .then(PointerAction::Down { button: 0 })
            .then(at(middle))
            .then(at(to))
            .then(PointerAction::Up { button: 0 });
        self.wait(self.client.perform_actions(actions)).expect("a drag");
    }

    /// Writes what is seen as a JPEG file.
    pub fn picture(&self, path: &Path) {
        let png = self.wait(self.client.screenshot()).expect("a screenshot");
        let picture = image::load_from_memory(&png).expect("a picture").into_rgb8();
        let file = std::fs::File::create(path).expect("a file");
        let encoder = image::codecs::jpeg::JpegEncoder::new_with_quality(file, 88);
        picture.write_with_encoder(encoder).expect("a written screenshot");
    }

    /// A tab of its own, as after closing the one before.
    pub fn close_and_open_tab(&self) {
        let new = self.wait(self.client.new_window(true)).expect("a tab");
        self.wait(self.client.close_window()).expect("a closed tab");
        self.wait(self.client.switch_to_window(new.handle)).expect("the new tab");
    }
}

const ENABLED: &str =
    "const one = document.querySelector(arguments[0]); return Boolean(one) && !one.disabled";

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.runtime.block_on(self.client.clone().close());
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

/// A command of the Chrome DevTools Protocol, by way of chromedriver.
#[derive(Debug)]
struct Cdp(Value);

impl WebDriverCompatibleCommand for Cdp {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (hyper::Method, Option<String>) {
        (hyper::Method::POST, Some(self.0.to_string()))
    }
}
