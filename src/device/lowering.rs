//! The plan of a stored backbone: mapped from the store, made anew where it is missing or damaged.
//!
//! Making it takes tract and tens of megabytes, so a child process does that: the service never holds them.

use crate::bundle::store::Store;
use crate::engine::plan::{Plan, PlanError};
use crate::engine::{Engine, EngineError, lower};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

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
    let plan = match lower_apart(&store.blob(sha256)) {
        Ok(plan) => plan,
        Err(why) => return Engine::by_tract(onnx, &why),
    };
    if let Err(refusal) = store.write_plan(sha256, &plan) {
        log::info!("the plan stays in memory, as the store cannot be written: {refusal}");
        return Ok(Engine::new(Plan::from_bytes(&plan)?));
    }
    Ok(Engine::new(Plan::open(&path, &Sha256::digest(onnx).into())?))
}

/// The plan of an ONNX file, by `ajard lower` in a process of its own. `Err`: its last words.
fn lower_apart(onnx: &Path) -> Result<Vec<u8>, String> {
    let run = || -> std::io::Result<_> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("lower").arg(onnx).stdin(Stdio::null()).stderr(Stdio::piped()).output()
    };
    let output = run().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
    Err(if last.is_empty() { output.status.to_string() } else { last.to_string() })
}

/// What the child does: prints the plan's bytes.
pub fn print_plan(onnx: &Path) -> Result<()> {
    let bytes = std::fs::read(onnx).with_context(|| onnx.display().to_string())?;
    let plan = lower(&bytes).with_context(|| onnx.display().to_string())?;
    Ok(stdout().write_all(&plan)?)
}
