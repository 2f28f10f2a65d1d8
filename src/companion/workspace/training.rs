//! Training in a workspace: its labelled pictures become a version, which must beat the one that counts.

use super::ModelFolder;
use super::labels::Labels;
use super::model::ModelFile;
use super::pictures::Picture;
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

/// What a training is made of, as it was at one moment: crops are drawn and labels are given while it runs.
pub struct Basis {
    pub file: ModelFile,
    pub labels: Labels,
    pub pictures: Vec<Picture>,
}

impl ModelFolder {
    pub fn basis(&self) -> Result<Basis> {
        let _lock = self.workspace.lock()?;
        let (file, labels) = (self.file()?, Labels::read(self)?);
        let pictures = self.pictures_of(&file, &labels)?;
        Ok(Basis { file, labels, pictures })
    }

    /// Trains on everything that has a state, and keeps what comes out.
    pub fn train(&self, cache: &Cache, bar: &ProgressBar) -> Result<Outcome> {
        let basis = self.basis()?;
        let dataset = self.dataset(&basis)?;
        let settings = Settings { per_state: None, seed: 0, false_alarms: FALSE_ALARMS, bar: bar.clone() };
        let mut trained = train(&dataset, &Engine::new(shipped_plan()?), cache, &settings)?;
        cache.prune();
        let before = self.file()?.version;
        let champion = before.as_ref().and_then(|version| self.load_version(version).ok());
        let comparison =
            champion.as_ref().map(|champion| compare(champion, &trained, cache, bar)).transpose()?;
        let text = comparison.as_ref().map(Comparison::text);
        let stays = match &comparison {
            // States were renamed or given up on purpose: the model before tells what nobody asks for any more.
            Some(Comparison::OtherStates { .. }) | None => false,
            Some(comparison) => comparison.champion_stays(),
        };
        trained.report.champion = comparison;
        let version = self.keep_version(&trained, &basis)?;
        let counts = !stays && self.take_over(&before, &version)?;
        let comparison = match counts || stays {
            true => text,
            false => Some("another version was chosen meanwhile".to_string()),
        };
        Ok(Outcome { version, counts, comparison })
    }

    /// Makes a version the one that counts, unless another one than `before` does by now.
    fn take_over(&self, before: &Option<String>, version: &str) -> Result<bool> {
        self.change(|file| {
            let same = file.version == *before;
            if same {
                file.version = Some(version.into());
            }
            Ok(same)
        })
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
