//! A running device service, and what it tells.
#![allow(dead_code)]

use crate::cli::{self, Sandbox};
use crate::scene::Scene;
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Generous: these machines are slow and shared. What takes longer does not happen at all.
pub const LIMIT: Duration = Duration::from_secs(60);

/// A running ajard, killed when the test ends.
pub struct Ajard(Child);

impl Ajard {
    pub fn start(scene: &Scene, config: &Path) -> Ajard {
        Ajard::spawn(&mut Ajard::command(scene, config))
    }

    pub fn command(scene: &Scene, config: &Path) -> Command {
        Ajard::command_in(&scene.sandbox, config)
    }

    pub fn command_in(sandbox: &Sandbox, config: &Path) -> Command {
        let mut command = sandbox.command(cli::AJARD);
        command.arg("run").arg("--config").arg(config).arg("--events").arg(sandbox.path("events.jsonl"));
        command.env_remove("NOTIFY_SOCKET").env_remove("WATCHDOG_USEC");
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    pub fn spawn(command: &mut Command) -> Ajard {
        Ajard(command.spawn().expect("ajard"))
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.0.id().to_string()).status();
        assert!(status.expect("kill").success());
    }

    /// CPU time so far in hundredths of a second.
    pub fn cpu_ticks(&self) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).expect("a running ajard");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
        fields[11].parse::<u64>().expect("utime") + fields[12].parse::<u64>().expect("stime")
    }

    /// Its TCP sockets that listen, by their local address in hex.
    pub fn listening(&self) -> Vec<String> {
        let process = format!("/proc/{}", self.0.id());
        let descriptors = std::fs::read_dir(format!("{process}/fd")).expect("a running ajard");
        let links = descriptors.filter_map(|fd| std::fs::read_link(fd.ok()?.path()).ok());
        let sockets: Vec<String> = links.map(|link| link.to_string_lossy().into_owned()).collect();
        assert!(sockets.iter().any(|link| link.starts_with("socket:")), "not even its control socket");
        let table = |name: &str| std::fs::read_to_string(format!("{process}/net/{name}")).unwrap_or_default();
        let lines = table("tcp") + &table("tcp6");
        let listens = |line: &&str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            fields.get(3) == Some(&"0A") && sockets.contains(&format!("socket:[{}]", fields[9]))
        };
        lines.lines().filter(listens).map(str::to_string).collect()
    }

    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait().expect("ajard") {
                return status;
            }
            assert!(Instant::now() < deadline, "ajard did not end in {limit:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Ajard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub fn events(scene: &Scene) -> Vec<Value> {
    let text = std::fs::read_to_string(scene.sandbox.path("events.jsonl")).unwrap_or_default();
    let lines = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    lines.map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
}

pub fn wait_for_event(scene: &Scene, limit: Duration, wanted: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = events(scene).into_iter().find(&wanted) {
            return found;
        }
        assert!(Instant::now() < deadline, "no such event in {limit:?}: {:#?}", events(scene).last());
        std::thread::sleep(Duration::from_millis(50));
    }
}
