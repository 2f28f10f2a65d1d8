//! The plan of a stored backbone: mapped from the store, made anew where it is missing or damaged.
//!
//! Making it takes tract and tens of megabytes, so a child process does that: the service never holds them.

use crate::bundle::store::Store;
use crate::engine::plan::{Plan, PlanError};
use crate::engine::{Engine, EngineError, lower};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::io::{self, ErrorKind, Read, Write, stdout};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// Lowering takes a second or two on the slowest board; what takes longer than this hangs.
const CHILD_LIMIT: Duration = Duration::from_secs(60);

/// The engine of a backbone whose ONNX file is in the store: `sha256` in hex, and its bytes.
pub(super) fn engine(store: &Store, sha256: &str, onnx: &[u8]) -> Result<Engine, EngineError> {
    let path = store.plan(sha256);
    match Plan::open(&path, &Sha256::digest(onnx).into()) {
        Ok(plan) => return Ok(Engine::new(plan)),
        Err(PlanError::Io(error)) if error.kind() == ErrorKind::NotFound => {
            log::info!("{}: not there yet, making it", path.display());
        }
        Err(error) => log::warn!("{}: {error}; making it anew", path.display()),
    }
    let plan = match lower_apart(&store.blob(sha256))? {
        Ok(plan) => plan,
        Err(why) => return Engine::by_tract(onnx, &why),
    };
    match store.write_plan(sha256, &plan) {
        Ok(()) => match Plan::open(&path, &Sha256::digest(onnx).into()) {
            Ok(plan) => return Ok(Engine::new(plan)),
            Err(error) => log::warn!("{}: {error}", path.display()),
        },
        Err(refusal) => {
            log::info!("the plan stays in memory, as the store cannot be written: {refusal}");
        }
    }
    Ok(Engine::new(Plan::from_bytes(&plan)?))
}

/// The plan of an ONNX file, by `ajard lower` in a process of its own. The inner `Err`: why there can be none, as the
/// child says. The outer one: the child did not come to an end of its own, and neither would tract in this process.
fn lower_apart(onnx: &Path) -> Result<Result<Vec<u8>, String>, EngineError> {
    let ended = run_child(onnx).map_err(|error| EngineError::Load(format!("ajard lower: {error}")))?;
    let (status, plan, said) = ended;
    if status.success() {
        return Ok(Ok(plan));
    }
    match status.code() {
        Some(_) => Ok(Err(said.lines().last().unwrap_or_default().trim_start_matches("error: ").to_string())),
        None => {
            Err(EngineError::Load(format!("ajard lower was killed ({status}); is there too little memory?")))
        }
    }
}

/// How the child ended, what it wrote and what it said.
fn run_child(onnx: &Path) -> io::Result<(ExitStatus, Vec<u8>, String)> {
    // Not the path of the program's file, which an upgrade may have replaced.
    let mut child = Command::new("/proc/self/exe")
        .arg("lower")
        .arg(onnx)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let (mut stdout, mut stderr) = (child.stdout.take(), child.stderr.take());
    // Read at the same time, as a pipe holds less than a plan.
    let plan = thread::spawn(move || {
        let mut plan = Vec::new();
        stdout.as_mut().map(|stdout| stdout.read_to_end(&mut plan)).transpose().map(|_| plan)
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if start.elapsed() > CHILD_LIMIT {
            child.kill()?;
        }
        thread::sleep(Duration::from_millis(20));
    };
    let plan = plan.join().map_err(|_| io::Error::other("its output cannot be read"))??;
    let mut said = String::new();
    stderr.as_mut().map(|stderr| stderr.read_to_string(&mut said)).transpose()?;
    Ok((status, plan, said))
}

/// What the child does: prints the plan's bytes.
pub fn print_plan(onnx: &Path) -> Result<()> {
    let bytes = std::fs::read(onnx).with_context(|| onnx.display().to_string())?;
    let plan = lower(&bytes).with_context(|| onnx.display().to_string())?;
    Ok(stdout().write_all(&plan)?)
}
