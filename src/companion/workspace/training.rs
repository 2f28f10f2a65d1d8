//! Training in a workspace: its labelled pictures become a version, which must beat the one that counts.

use super::ModelFolder;
use crate::companion::cache::Cache;
use crate::companion::champion::{Comparison, compare};
use crate::companion::shipped_plan;
use crate::companion::train::{FALSE_ALARMS, Settings, train};
use crate::engine::Engine;
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;

/// What a training came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    pub version: String,
    /// Whether it is the version that counts from now on.
    pub counts: bool,
    /// How it compares with the one that counted.
    pub comparison: Option<String>,
}

impl ModelFolder {
    /// Trains on everything that has a state, and keeps what comes out.
    pub fn train(&self, cache: &Cache, bar: &ProgressBar) -> Result<Outcome> {
        let dataset = self.dataset()?;
        let settings = Settings { per_state: None, seed: 0, false_alarms: FALSE_ALARMS, bar: bar.clone() };
        let mut trained = train(&dataset, &Engine::new(shipped_plan()?), cache, &settings)?;
        cache.prune();
        let champion = self.file()?.version.and_then(|version| self.load_version(&version).ok());
        trained.report.champion =
            champion.as_ref().map(|champion| compare(champion, &trained, cache, bar)).transpose()?;
        let counts = !trained.report.champion.as_ref().is_some_and(Comparison::champion_stays);
        let version = self.keep_version(&trained)?;
        if counts {
            self.choose_version(&version)?;
        }
        let comparison = trained.report.champion.as_ref().map(Comparison::text);
        Ok(Outcome { version, counts, comparison })
    }

    /// Makes a version the one that counts.
    pub fn choose_version(&self, version: &str) -> Result<()> {
        self.report(version)?;
        self.change(|file| {
            file.version = Some(version.into());
            Ok(())
        })
    }
}
