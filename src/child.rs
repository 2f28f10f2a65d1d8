//! Work that may crash, grow or never end, done by a process of its own.

use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(20);

/// How a child ended, what it wrote and what it said.
pub struct Ended {
    pub status: ExitStatus,
    pub timed_out: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    /// Its last words, for a message.
    pub fn last_words(&self) -> &str {
        let line = self.stderr.lines().rfind(|line| !line.is_empty() && !line.starts_with("note: "));
        line.unwrap_or_default().trim_start_matches("error: ")
    }

    /// Why it did not come to an end of its own; `None` if it did.
    pub fn death(&self) -> Option<String> {
        if self.timed_out {
            return Some("came to no end".into());
        }
        if ["memory allocation of", "failed to allocate"].iter().any(|words| self.stderr.contains(words)) {
            return Some("ran out of memory".into());
        }
        match (self.status.signal(), self.status.code()) {
            (Some(24), _) => Some("took too much CPU time".into()),
            (Some(signal), _) => Some(format!("was ended by signal {signal}")),
            // A panic.
            (_, Some(101)) => Some(format!("crashed: {}", self.last_words())),
            _ => None,
        }
    }
}

/// Runs this program with other arguments, for at most `limit`.
pub fn run(mut command: Command, limit: Duration) -> io::Result<Ended> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // Read at the same time, as a pipe holds little.
    let stdout = child.stdout.take().map(drain);
    let stderr = child.stderr.take().map(drain);
    let start = Instant::now();
    let mut timed_out = false;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > limit && !timed_out {
            timed_out = true;
            child.kill()?;
        }
        thread::sleep(POLL);
    };
    let stdout = stdout.map(join).transpose()?.unwrap_or_default();
    let stderr = stderr.map(join).transpose()?.unwrap_or_default();
    Ok(Ended { status, timed_out, stdout, stderr: String::from_utf8_lossy(&stderr).into_owned() })
}

/// This very program. Not the path of its file, which an upgrade may have replaced.
pub fn this_program() -> Command {
    Command::new("/proc/self/exe")
}

type Drain = thread::JoinHandle<io::Result<Vec<u8>>>;

fn drain(mut pipe: impl Read + Send + 'static) -> Drain {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        pipe.read_to_end(&mut bytes).map(|_| bytes)
    })
}

fn join(drain: Drain) -> io::Result<Vec<u8>> {
    drain.join().map_err(|_| io::Error::other("its output cannot be read"))?
}
