//! The inbox: a directory whose bundles are installed, for USB sticks and configuration management.
//!
//! Beside `NAME.ajb` comes `NAME.ajb.result.json`, which says what became of it. The bundle stays; one that has
//! its result already is left alone until it changes.

use super::keeper::Receipt;
use crate::bundle::verify::read_file;
use crate::bundle::{Refusal, sha256_hex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub struct Inbox {
    directory: PathBuf,
    /// Size and time of change of each bundle when it was last seen.
    seen: BTreeMap<PathBuf, Seen>,
}

#[derive(Clone, Copy, PartialEq)]
struct Seen {
    length: u64,
    changed: Option<SystemTime>,
    done: bool,
}

/// The content of a result.
#[derive(Serialize, Deserialize)]
struct Outcome {
    /// Of the bundle's file.
    sha256: String,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    message: String,
}

impl Inbox {
    pub fn new(directory: PathBuf) -> Inbox {
        // Best effort: without a directory nothing is ever put there.
        let _ = fs::create_dir_all(&directory);
        Inbox { directory, seen: BTreeMap::new() }
    }

    /// Hands every new bundle to `install`, once it has stopped growing.
    pub fn look(&mut self, mut install: impl FnMut(&[u8]) -> Result<Receipt, Refusal>) {
        let paths = self.bundles();
        self.seen.retain(|path, _| paths.contains(path));
        for path in paths {
            let Ok(meta) = fs::metadata(&path) else { continue };
            let now = Seen { length: meta.len(), changed: meta.modified().ok(), done: false };
            match self.seen.get(&path) {
                Some(seen) if Seen { done: false, ..*seen } == now => {
                    if !seen.done {
                        take(&path, &mut install);
                        self.seen.insert(path, Seen { done: true, ..now });
                    }
                }
                _ => drop(self.seen.insert(path, now)),
            }
        }
    }

    fn bundles(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "ajb"));
        paths.sort();
        paths
    }
}

fn take(path: &Path, install: impl FnOnce(&[u8]) -> Result<Receipt, Refusal>) {
    let result_path = PathBuf::from(format!("{}.result.json", path.display()));
    let bytes = read_file(path);
    let sha256 = bytes.as_ref().map(|bytes| sha256_hex(bytes)).unwrap_or_default();
    let before = fs::read(&result_path).ok().and_then(|text| serde_json::from_slice::<Outcome>(&text).ok());
    if before.is_some_and(|before| !sha256.is_empty() && before.sha256 == sha256) {
        return;
    }
    let outcome = match bytes.and_then(|bytes| install(&bytes)) {
        Ok(Receipt { model, seq, id, outcome }) => Outcome {
            sha256,
            ok: true,
            code: None,
            message: format!("{model} (sequence number {seq}): {outcome} as {id}"),
        },
        Err(Refusal { code, why }) => {
            Outcome { sha256, ok: false, code: Some(format!("{code:?}")), message: why }
        }
    };
    log::info!("inbox: {}: {}", path.display(), outcome.message);
    let text = serde_json::to_vec_pretty(&outcome).unwrap_or_default();
    if let Err(error) = fs::write(&result_path, text) {
        // A write-protected stick: the log has it.
        log::warn!("{}: {error}", result_path.display());
    }
}
