//! Runs the built programs as a user would, in a home directory of their own.
#![allow(dead_code)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const AJAR: &str = env!("CARGO_BIN_EXE_ajar");
pub const AJARD: &str = env!("CARGO_BIN_EXE_ajard");

/// A program that takes longer hangs; it is killed and the test fails.
const LIMIT: Duration = Duration::from_secs(300);
/// What the programs read from the environment.
const VARIABLES: [&str; 8] = [
    "AJAR_DEVICE",
    "AJAR_KEY",
    "AJAR_KEY_PASSWORD",
    "AJAR_KEY_PASSWORD_FILE",
    "AJAR_TRUSTED_KEYS",
    "AJAR_WORKSPACE",
    "RUST_LOG",
    "RUST_LOG_STYLE",
];

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Output {
    /// -1 if a signal ended it.
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// Fails unless the program ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Output {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails unless the program ended with this code and said this on standard error.
    #[track_caller]
    pub fn expect_error(self, code: i32, text: &str) -> Output {
        let output = self.expect(code);
        assert!(output.stderr.contains(text), "want {text:?} in stderr:\n{}", output.stderr);
        output
    }
}

/// A directory that is home, configuration and working directory of what runs in it.
pub struct Sandbox {
    directory: TempDir,
    runs: AtomicUsize,
}

impl Sandbox {
    pub fn new() -> Sandbox {
        let directory = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(directory.path().join("home")).expect("a home directory");
        Sandbox { directory, runs: AtomicUsize::new(0) }
    }

    pub fn path(&self, relative: &str) -> PathBuf {
        self.directory.path().join(relative)
    }

    /// Writes a file and the directories above it.
    pub fn write(&self, relative: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(relative);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(&path, bytes).expect("a written file");
        path
    }

    pub fn ajar<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.run(self.command(AJAR).args(args))
    }

    /// `ajar` with the words of `line`, split at spaces.
    pub fn ajar_line(&self, line: &str) -> Output {
        self.ajar(&line.split_whitespace().collect::<Vec<_>>())
    }

    pub fn ajard<S: AsRef<OsStr>>(&self, args: &[S]) -> Output {
        self.run(self.command(AJARD).args(args))
    }

    /// A program that works in this directory and sees nothing of the user's own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(self.directory.path())
            .env("HOME", self.path("home"))
            .env("XDG_CONFIG_HOME", self.path("home/.config"))
            .env("XDG_CACHE_HOME", self.path("home/.cache"))
            .stdin(Stdio::null());
        VARIABLES.iter().for_each(|name| {
            command.env_remove(name);
        });
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &mut Command) -> Output {
        let run = self.runs.fetch_add(1, Ordering::Relaxed);
        let [stdout, stderr] = ["out", "err"].map(|stream| self.path(&format!("home/{run}.{stream}")));
        let create = |path: &Path| File::create(path).expect("a file for the output");
        let started = command.stdout(create(&stdout)).stderr(create(&stderr)).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let status = wait(&mut child, command);
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).expect("output")).into_owned();
        Output { code: status.code().unwrap_or(-1), stdout: read(&stdout), stderr: read(&stderr) }
    }
}

fn wait(child: &mut Child, command: &Command) -> ExitStatus {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            return status;
        }
        if start.elapsed() > LIMIT {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} did not end within {LIMIT:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A program of the system that the tests need.
pub fn need(program: &str) {
    let found = std::env::var_os("PATH")
        .is_some_and(|paths| std::env::split_paths(&paths).any(|path| path.join(program).is_file()));
    assert!(found, "{program} is not installed; scripts/install-deps installs what the tests need");
}
