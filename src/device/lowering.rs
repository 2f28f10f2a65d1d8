//! The plan of a stored backbone: mapped from the store, made anew where it is missing or damaged.
//!
//! Making it takes tract and tens of megabytes, so a child process does that: the service never holds them.

use crate::bundle::store::Store;
use crate::child;
use crate::engine::plan::{Plan, PlanError};
use crate::engine::{Engine, EngineError, lower};
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::io::{ErrorKind, Write, stdout};
use std::path::Path;
use std::time::Duration;

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
    let failed = |why: String| EngineError::Load(format!("ajard lower: {why}"));
    let mut command = child::this_program();
    command.arg("lower").arg(onnx);
    let ended = child::run(command, CHILD_LIMIT).map_err(|error| failed(error.to_string()))?;
    if ended.status.success() {
        return Ok(Ok(ended.stdout));
    }
    match ended.death() {
        None => Ok(Err(ended.last_words().to_string())),
        Some(death) => Err(failed(format!("{death}; is there too little memory?"))),
    }
}

/// What the child does: prints the plan's bytes.
pub fn print_plan(onnx: &Path) -> Result<()> {
    let bytes = std::fs::read(onnx).with_context(|| onnx.display().to_string())?;
    let plan = lower(&bytes).with_context(|| onnx.display().to_string())?;
    Ok(stdout().write_all(&plan)?)
}
