//! What was signed last on this computer, by model: `ajar status` holds devices against it.

use super::keys;
use super::pack::write_whole;
use crate::bundle::manifest::Manifest;
use crate::bundle::sha256_hex;
use anyhow::{Context, Result};
use minisign::SecretKey;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Signed {
    pub seq: u64,
    /// Of the generation, as devices call it.
    pub id: String,
    pub key: String,
    pub created: String,
}

/// Everything signed here, by model. Empty where there is no record.
pub fn record() -> Result<BTreeMap<String, Signed>> {
    let Some(path) = path() else { return Ok(BTreeMap::new()) };
    match fs::read_to_string(&path) {
        Ok(text) => toml::from_str(&text).with_context(|| path.display().to_string()),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Remembers a bundle that was just signed. Best effort: without a home there is no record.
pub fn remember(manifest: &Manifest, key: &SecretKey) -> Result<()> {
    let Some(path) = path() else { return Ok(()) };
    let mut record = record().unwrap_or_default();
    let id = sha256_hex(toml::to_string(manifest)?.as_bytes())[..32].to_string();
    let (seq, created) = (manifest.seq, manifest.created.clone());
    record.insert(manifest.model.clone(), Signed { seq, id, key: keys::public_id(key)?, created });
    let write = || {
        fs::create_dir_all(path.parent()?).ok()?;
        write_whole(&path, toml::to_string(&record).ok()?.as_bytes()).ok()
    };
    if write().is_none() {
        log::warn!("{}: cannot be written; `ajar status` will not know of this bundle", path.display());
    }
    Ok(())
}

fn path() -> Option<PathBuf> {
    Some(keys::own_directory()?.join("signed.toml"))
}
