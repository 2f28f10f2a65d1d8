//! One running `ajard` that watches one camera, and everything that it has said.

use crate::camera::Lamp;
use crate::cli::{AJARD, Sandbox};
use crate::scene::Scene;
use serde_json::Value;
use std::fs::File;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What takes longer does not happen at all.
const LIMIT: Duration = Duration::from_secs(90);

pub struct Rig {
    pub sandbox: Sandbox,
    process: Child,
    log: File,
    unread: String,
    pub events: Vec<Event>,
}

pub struct Event {
    /// When it was read, at most a few hundredths of a second after it was said.
    pub seen: Instant,
    pub value: Value,
}

impl Event {
    pub fn is_state(&self, state: &str) -> bool {
        self.value["event"] == "change" && self.value["state"] == state
    }

    pub fn is_unknown(&self, reason: &str) -> bool {
        self.is_state("unknown") && self.value["reason"] == reason
    }

    pub fn is_camera(&self, status: &str) -> bool {
        self.value["event"] == "camera" && self.value["status"] == status
    }
}

/// How `ajard` is started.
#[derive(Default)]
pub struct Around<'a> {
    /// Runs it, such as `ip netns exec NAME`.
    pub words: Vec<String>,
    pub variables: Vec<(&'a str, String)>,
    /// More keys of the camera.
    pub camera: &'a str,
    /// `frozen_after` of the camera in seconds: the lamp is without noise, so a living camera would not do.
    pub frozen_after: u32,
}

impl Rig {
    pub fn start(scene: &Scene, source: &str, around: &Around) -> Rig {
        Rig::watch(scene, source, around, "store", ([320, 240], [20, 20, 300, 200]))
    }

    /// With the model of a gate in a yard that lies in `gates/store`.
    pub fn start_gate(scene: &Scene, source: &str) -> Rig {
        Rig::watch(scene, source, &Around::default(), "gates/store", ([320, 180], [110, 54, 206, 126]))
    }

    fn watch(
        scene: &Scene,
        source: &str,
        around: &Around,
        models: &str,
        (frame, crop): ([u32; 2], [u32; 4]),
    ) -> Rig {
        let sandbox = Sandbox::new();
        // A store of its own: what one watch does to its model must not reach another.
        let store = sandbox.path("store");
        let copied = Command::new("cp").arg("-r").arg(scene.sandbox.path(models)).arg(&store).status();
        assert!(copied.expect("cp").success());
        let (keys, control) = (scene.sandbox.path("k"), sandbox.path("control.sock"));
        let Around { camera, frozen_after, .. } = around;
        let config = format!(
            "[device]\nid = \"test\"\nstore = {store:?}\ntrusted_keys = {keys:?}\ncontrol_socket = {control:?}\n\
             [cameras.hall]\nsource = {source:?}\nframe_size = {frame:?}\nfrozen_after = {frozen_after}\n{camera}\n\
             [classification.custom.lamp.state_config]\ninterval = 1\n\
             [classification.custom.lamp.state_config.cameras.hall]\ncrop = {crop:?}\n"
        );
        let config = sandbox.write("config.toml", config);
        let events = sandbox.path("events.jsonl");
        let log = File::options().create(true).append(true).read(true).open(&events).expect("a file");
        let (program, words) = match around.words.split_first() {
            Some((program, words)) => (program.as_str(), [words, &[AJARD.to_string()]].concat()),
            None => (AJARD, Vec::new()),
        };
        let mut command = sandbox.command(program);
        command.args(words).arg("run").arg("--config").arg(config).arg("--events").arg(events);
        command.envs(around.variables.iter().map(|(name, value)| (*name, value.as_str())));
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC").env("RUST_LOG", "info");
        let errors = File::create(sandbox.path("log")).expect("a file");
        let process = command.stdout(Stdio::null()).stderr(errors).spawn().expect("ajard");
        Rig { sandbox, process, log, unread: String::new(), events: Vec::new() }
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Takes in what was said since.
    pub fn listen(&mut self) {
        let mut text = Vec::new();
        self.log.read_to_end(&mut text).expect("a file");
        self.unread += &String::from_utf8_lossy(&text);
        while let Some(end) = self.unread.find('\n') {
            let line: String = self.unread.drain(..=end).collect();
            let value = serde_json::from_str(&line).expect("a line of JSON");
            self.events.push(Event { seen: Instant::now(), value });
        }
    }

    /// A mark: what is waited for must come behind it.
    pub fn now(&mut self) -> usize {
        self.listen();
        self.events.len()
    }

    /// Waits for an event behind the mark; gives when it came.
    pub fn wait(&mut self, mark: usize, what: &str, is: impl Fn(&Event) -> bool) -> Result<Instant, String> {
        let deadline = Instant::now() + LIMIT;
        loop {
            self.listen();
            if let Some(event) = self.events[mark..].iter().find(|event| is(event)) {
                return Ok(event.seen);
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.sandbox.path("log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(8).collect();
                return Err(format!("{what} did not come within {LIMIT:?}; the log ends: {tail:#?}"));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn wait_state(&mut self, mark: usize, lamp: Lamp) -> Result<Instant, String> {
        self.wait(mark, lamp.state(), |event| event.is_state(lamp.state()))
    }

    /// A line of its metrics.
    pub fn metric(&self, name: &str) -> Result<f64, String> {
        let socket = self.sandbox.path("control.sock");
        let output = Command::new("curl")
            .arg("-s")
            .arg("--unix-socket")
            .arg(socket)
            .arg("http://d/v1/metrics")
            .output();
        let text = output.map_err(|error| format!("curl: {error}"))?.stdout;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|value| value.trim().parse().ok()).ok_or(format!("no metric {name} in: {text}"))
    }

    /// What is published now.
    pub fn state(&self) -> String {
        let change = self.events.iter().rev().find(|event| event.value["event"] == "change");
        change.and_then(|event| event.value["state"].as_str()).unwrap_or("unknown").to_string()
    }

    /// Published states that the lamp never had behind the mark; `unknown` is never wrong.
    pub fn wrong(&self, mark: usize, true_ones: &[Lamp]) -> usize {
        let wrong = |event: &&Event| {
            let state = event.value["state"].as_str().unwrap_or_default();
            event.value["event"] == "change"
                && state != "unknown"
                && !true_ones.iter().any(|lamp| lamp.state() == state)
        };
        self.events[mark..].iter().filter(wrong).count()
    }

    /// Resident memory in MiB, threads, open descriptors.
    pub fn weight(&self) -> [f64; 3] {
        let process = format!("/proc/{}", self.id());
        let status = std::fs::read_to_string(format!("{process}/status")).expect("a running ajard");
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok()).expect("a number")
        };
        let descriptors = std::fs::read_dir(format!("{process}/fd")).expect("a running ajard").count();
        [field("VmRSS:") / 1024.0, field("Threads:"), descriptors as f64]
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
