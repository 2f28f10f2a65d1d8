//! Jobs: work that takes longer than a page may wait. At most one a model at a time.

use super::lock;
use crate::companion::studio::failure::said;
use crate::exit::UsageError;
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Looks for the most different pictures.
    Collect,
    Train,
}

#[derive(Default)]
pub struct Jobs {
    by_model: Mutex<BTreeMap<String, Arc<Job>>>,
}

pub struct Job {
    kind: Kind,
    bar: ProgressBar,
    end: Mutex<Option<Result<Value, String>>>,
}

/// What the page is told of a job.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Progress {
    pub kind: Option<Kind>,
    /// `idle`, `running`, `done` or `failed`.
    pub phase: &'static str,
    pub stage: String,
    pub position: u64,
    pub length: u64,
    /// Seconds that this stage still takes.
    pub left: u64,
    pub result: Option<Value>,
    pub why: Option<String>,
}

impl Jobs {
    /// Begins a job in a thread of its own. One that has ended makes room.
    pub fn start(
        &self,
        model: &str,
        kind: Kind,
        work: impl FnOnce(&ProgressBar) -> Result<Value> + Send + 'static,
    ) -> Result<(), UsageError> {
        let mut jobs = self.lock();
        check(&jobs, model)?;
        let job = Arc::new(Job { kind, bar: ProgressBar::hidden(), end: Mutex::new(None) });
        jobs.insert(model.into(), job.clone());
        std::thread::spawn(move || {
            let end = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(&job.bar)));
            let end = end.unwrap_or_else(|_| Err(anyhow::anyhow!("it crashed; the terminal has more")));
            *lock(&job.end) = Some(end.map_err(|error| said(&error)));
        });
        Ok(())
    }

    /// Whether nothing is at work on a model.
    pub fn check_idle(&self, model: &str) -> Result<(), UsageError> {
        check(&self.lock(), model)
    }

    pub fn progress(&self, model: &str) -> Progress {
        let idle = Progress { phase: "idle", ..Progress::default() };
        self.lock().get(model).map_or(idle, |job| job.progress())
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Job>>> {
        lock(&self.by_model)
    }
}

fn check(jobs: &BTreeMap<String, Arc<Job>>, model: &str) -> Result<(), UsageError> {
    match jobs.get(model).is_some_and(|job| job.progress().phase == "running") {
        true => Err(UsageError("this model is being worked on; wait until that is done".into())),
        false => Ok(()),
    }
}

impl Job {
    fn progress(&self) -> Progress {
        let mut progress = Progress {
            kind: Some(self.kind),
            phase: "running",
            stage: self.bar.message(),
            position: self.bar.position(),
            length: self.bar.length().unwrap_or(0),
            left: self.bar.eta().as_secs(),
            ..Progress::default()
        };
        match &*lock(&self.end) {
            None => {}
            Some(Ok(result)) => (progress.phase, progress.result) = ("done", Some(result.clone())),
            Some(Err(why)) => (progress.phase, progress.why) = ("failed", Some(why.clone())),
        }
        progress
    }
}
