//! The store: where a device keeps the models it has verified.
//!
//! ```text
//! <id>/           manifest.toml, manifest.toml.minisig, parts: immutable, mode 0444;
//!                 id = first 32 hex digits of the manifest's SHA-256
//! blobs/<sha256>  backbones, shared by all models
//! plans/<sha256>  the same, lowered for the engine: made from the blob, and made anew where one is damaged
//! staging/        unfinished installations
//! state           which id is active, previous and on trial for each model; a checksum in its last line
//! state.bak       the state before
//! lock            held while something is installed or the state changes
//! ```
//!
//! `install` puts a bundle there, `trial` decides whether it stays, `state` remembers, `sweep` removes what is not
//! needed any more, all of them by the calls of `disk`. Whenever the power goes, the old model or the
//! new one is there.

pub mod disk;
pub mod install;
pub mod state;
mod sweep;
mod trial;

use super::manifest::{Manifest, Role};
use super::verify::{TrustedKey, signature_text, verify_manifest};
use super::{Code, Refusal, sha256_hex};
use disk::{Disk, Lock, RealDisk};
use state::State;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MANIFEST: &str = "manifest.toml";
const SIGNATURE: &str = "manifest.toml.minisig";

#[derive(Clone)]
pub struct Store {
    root: PathBuf,
    disk: Arc<dyn Disk>,
}

/// Which generation of its model a stored one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    Trial,
    Active,
    Previous,
}

/// A model read back from the store, verified again.
pub struct StoredModel {
    pub id: String,
    pub standing: Standing,
    pub manifest: Manifest,
    pub key_id: String,
    pub head: Vec<u8>,
    pub unseen: Option<Vec<u8>>,
    pub selftest: Option<Vec<u8>>,
    pub reference: Option<Vec<u8>>,
    pub backbone: Vec<u8>,
}

impl Store {
    /// Uses `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Store {
        Store::on(root, Arc::new(RealDisk))
    }

    /// The same on another disk.
    pub fn on(root: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> Store {
        Store { root: root.into(), disk }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What the store says of its models.
    pub fn generations(&self) -> Result<State, Refusal> {
        self.state()
    }

    /// Reads what a service that started now would run, without counting an attempt. Signature and hashes are
    /// verified again: keys may have been removed and SD cards rot.
    pub fn load(&self, model: &str, keys: &[TrustedKey]) -> Result<Option<StoredModel>, Refusal> {
        let trial = self.state()?.models.remove(model).and_then(|generations| generations.trial);
        let Some(trial) = trial.filter(|trial| trial.attempts_left > 0) else {
            return self.load_proven(model, keys);
        };
        match self.read_generation(&trial.id, Standing::Trial, keys) {
            Ok(stored) => Ok(Some(stored)),
            Err(refusal) => self.load_proven(model, keys)?.map(Some).ok_or(refusal),
        }
    }

    /// The active generation, or the previous one where that cannot be used.
    fn load_proven(&self, model: &str, keys: &[TrustedKey]) -> Result<Option<StoredModel>, Refusal> {
        let generations = self.state()?.models.remove(model).unwrap_or_default();
        let Some(active) = generations.active else { return Ok(None) };
        let refusal = match self.read_generation(&active, Standing::Active, keys) {
            Ok(stored) => return Ok(Some(stored)),
            Err(refusal) => refusal,
        };
        let Some(previous) = generations.previous else { return Err(refusal) };
        match self.read_generation(&previous, Standing::Previous, keys) {
            Ok(stored) => {
                log::error!("model {model}: {refusal}; the previous generation runs instead");
                Ok(Some(stored))
            }
            Err(_) => Err(refusal),
        }
    }

    fn read_generation(
        &self,
        id: &str,
        standing: Standing,
        keys: &[TrustedKey],
    ) -> Result<StoredModel, Refusal> {
        let directory = self.root.join(id);
        let manifest = self.read_stored(&directory.join(MANIFEST))?;
        let signature = self.read_stored(&directory.join(SIGNATURE))?;
        let (manifest, key_id) =
            verify_manifest(&manifest, signature_text(&signature)?, keys).map_err(|refusal| match refusal
                .code
            {
                Code::E20 | Code::E23 | Code::E30 => damaged(&directory, &refusal.why),
                _ => refusal,
            })?;
        let read = |role| {
            manifest.part(role).map(|part| self.read_hashed(&directory.join(&part.name), &part.sha256))
        };
        let head = read(Role::Head).ok_or_else(|| damaged(&directory, "no head"))??;
        let unseen = read(Role::Unseen).transpose()?;
        let selftest = read(Role::Selftest).transpose()?;
        let reference = read(Role::Reference).transpose()?;
        let sha256 = &manifest.backbone.sha256;
        let backbone = self.read_hashed(&self.blob(sha256), sha256)?;
        let id = id.into();
        Ok(StoredModel { id, standing, manifest, key_id, head, unseen, selftest, reference, backbone })
    }

    /// Where a backbone lies, by its hex SHA-256.
    pub fn blob(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs").join(sha256)
    }

    /// Where a backbone's plan lies, or will.
    pub fn plan(&self, sha256: &str) -> PathBuf {
        self.root.join("plans").join(sha256)
    }

    /// Keeps a backbone's plan. Not durably: a plan has a checksum of its own and can be made anew.
    pub fn write_plan(&self, sha256: &str, plan: &[u8]) -> Result<(), Refusal> {
        let directory = self.root.join("plans");
        self.make_directory(&directory)?;
        // Installer and service may both write one: each under a name of its own.
        let new = directory.join(format!("new.{}", std::process::id()));
        self.discard(&new)?;
        self.create(&new, plan)?;
        self.rename(&new, &self.plan(sha256))
    }

    fn lock(&self) -> Result<Lock, Refusal> {
        let path = self.root.join("lock");
        let lock = self.disk.lock(&path).map_err(io_error(&path))?;
        lock.ok_or_else(|| Refusal::new(Code::E70, "another installation into this store is under way"))
    }

    fn read_stored(&self, path: &Path) -> Result<Vec<u8>, Refusal> {
        self.disk.read(path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => io_error(path)(error),
            _ => damaged(path, &error.to_string()),
        })
    }

    fn read_hashed(&self, path: &Path, sha256: &str) -> Result<Vec<u8>, Refusal> {
        let bytes = self.read_stored(path)?;
        if sha256_hex(&bytes) != sha256 {
            return Err(damaged(path, "differs from what was signed"));
        }
        Ok(bytes)
    }

    /// Removes a file or directory; one that is not there is fine.
    fn discard(&self, path: &Path) -> Result<(), Refusal> {
        match self.disk.remove(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io_error(path)(error)),
            _ => Ok(()),
        }
    }

    fn make_directory(&self, path: &Path) -> Result<(), Refusal> {
        self.disk.make_directory(path).map_err(io_error(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<String>, Refusal> {
        match self.disk.list(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            listed => listed.map_err(io_error(path)),
        }
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
        self.disk.create(path, bytes).map_err(io_error(path))
    }

    fn sync_file(&self, path: &Path) -> Result<(), Refusal> {
        self.disk.sync_file(path).map_err(io_error(path))
    }

    fn sync_directory(&self, path: &Path) -> Result<(), Refusal> {
        self.disk.sync_directory(path).map_err(io_error(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), Refusal> {
        self.disk.rename(from, to).map_err(io_error(to))
    }
}

/// Whether a name in the store is that of a generation.
fn is_id(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn damaged(path: &Path, why: &str) -> Refusal {
    Refusal::new(Code::E51, format!("{}: {why}", path.display()))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> Refusal {
    move |error| {
        let code = match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Code::E40,
            _ => Code::E41,
        };
        Refusal::new(code, format!("{}: {error}", path.display()))
    }
}
