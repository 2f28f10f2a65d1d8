//! What the rest of the program runs: the executor, or tract where there is no plan.

use super::Tap;
use super::executor::Executor;
use super::features::{Block, Features};
use super::kernels::{Kernels, Path};
use super::lower::{CannotLower, lower};
use super::plan::{Plan, PlanError};
use super::tract::Tract;
use crate::watch::input::Input;
use std::sync::Arc;

#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("the backbone cannot be loaded: {0}")]
    Load(String),
    #[error("the backbone cannot be lowered: {0}")]
    Lower(CannotLower),
    #[error("plan: {0}")]
    Plan(PlanError),
    #[error("inference failed: {0}")]
    Run(String),
}

impl EngineError {
    pub(super) fn load(error: &tract_onnx::prelude::TractError) -> EngineError {
        EngineError::Load(format!("{error:#}"))
    }
}

// Not thiserror's `from`: that would also make it the source, and the chain of causes would say it twice.
impl From<CannotLower> for EngineError {
    fn from(why: CannotLower) -> Self {
        EngineError::Lower(why)
    }
}

impl From<PlanError> for EngineError {
    fn from(why: PlanError) -> Self {
        EngineError::Plan(why)
    }
}

/// A loaded backbone; clones share its weights.
#[derive(Clone)]
pub enum Engine {
    Executor(Executor),
    Tract(Tract),
}

impl Engine {
    /// Runs a plan by the fastest path of this CPU.
    pub fn new(plan: Plan) -> Engine {
        Engine::Executor(Executor::best(plan))
    }

    /// Runs a plan by a given path; `None` if this CPU has not got it.
    pub fn with_path(plan: Plan, path: Path) -> Option<Engine> {
        Some(Engine::Executor(Executor::new(Arc::new(plan), Kernels::new(path)?)))
    }

    /// Lowers an ONNX file in memory. What cannot be lowered is run by tract, with a warning.
    pub fn of_onnx(onnx: &[u8]) -> Result<Engine, EngineError> {
        match lower(onnx) {
            Ok(plan) => Ok(Engine::new(Plan::from_bytes(&plan)?)),
            Err(EngineError::Lower(why)) => Engine::by_tract(onnx, &why.to_string()),
            Err(error) => Err(error),
        }
    }

    /// Runs an ONNX file by tract and warns that it does, and `why`.
    pub fn by_tract(onnx: &[u8], why: &str) -> Result<Engine, EngineError> {
        let tract = Tract::load(onnx, Tap::Last)?;
        log::warn!("the backbone runs on tract, about 20 times slower and in more memory: {why}");
        Ok(Engine::Tract(tract))
    }

    /// Runs the backbone as far as `blocks` need. No allocation, unless tract runs it.
    pub fn run<'a>(&'a mut self, input: &Input, blocks: &'a [Block]) -> Result<Features<'a>, EngineError> {
        match self {
            Engine::Executor(executor) => Ok(executor.run(input, blocks)),
            Engine::Tract(tract) => tract.run(input, blocks),
        }
    }
}
