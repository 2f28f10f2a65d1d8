//! The draft: what was typed for a model that does not exist yet. It survives a closed page and a restart.

use super::Workspace;
use super::model::Definition;
use crate::companion::pack::write_whole;
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

const FILE: &str = "draft.toml";

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    pub name: String,
    #[serde(flatten)]
    pub definition: Definition,
}

impl Workspace {
    fn draft_path(&self) -> PathBuf {
        self.root.join(FILE)
    }

    /// What was typed last; `None` if nothing waits.
    pub fn draft(&self) -> Option<Draft> {
        toml::from_str(&fs::read_to_string(self.draft_path()).ok()?).ok()
    }

    pub fn keep_draft(&self, draft: &Draft) -> Result<()> {
        let _lock = self.lock()?;
        write_whole(&self.draft_path(), toml::to_string(draft)?.as_bytes())
    }

    pub fn drop_draft(&self) -> Result<()> {
        let _lock = self.lock()?;
        match fs::remove_file(self.draft_path()) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error).context(FILE),
            _ => Ok(()),
        }
    }
}
