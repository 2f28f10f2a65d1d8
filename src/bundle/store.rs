//! The store: where a device keeps the models it has verified.
//!
//! ```text
//! <id>/           manifest.toml, manifest.toml.minisig, parts: immutable, mode 0444;
//!                 id = first 32 hex digits of the manifest's SHA-256
//! blobs/<sha256>  backbones, shared by all models
//! plans/<sha256>  the same, lowered for the engine: made from the blob, and made anew where one is damaged
//! staging/        unfinished installations; emptied before each one
//! state           which id is active for each model; a checksum in its last line
//! lock            held while something is installed
//! ```
//!
//! An installation is complete on disk before the state names it, and the state is replaced by
//! one rename: whenever the power goes, the old model or the new one is there.

use super::manifest::{Manifest, Role};
use super::verify::{TrustedKey, Verified, signature_text, verify_manifest};
use super::{Code, Refusal, sha256_hex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "manifest.toml";
const SIGNATURE: &str = "manifest.toml.minisig";

pub struct Store {
    root: PathBuf,
}

/// The content of the file `state`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    #[serde(default)]
    models: BTreeMap<String, Generations>,
}

/// The generations of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Generations {
    active: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    /// For each signing key, the highest sequence number that has been active.
    floors: BTreeMap<String, u64>,
}

/// What an installation did.
#[derive(Debug, PartialEq, Eq)]
pub enum Installed {
    New {
        id: String,
    },
    /// This very bundle was active, but damaged on disk.
    Mended {
        id: String,
    },
    /// This very bundle was active before.
    Already {
        id: String,
    },
}

/// A model read back from the store, verified again.
pub struct StoredModel {
    pub id: String,
    pub manifest: Manifest,
    pub key_id: String,
    pub head: Vec<u8>,
    pub unseen: Option<Vec<u8>>,
    pub backbone: Vec<u8>,
}

impl Store {
    /// Uses `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Store {
        Store { root: root.into() }
    }

    /// Puts a verified bundle on disk and makes it the active generation of its model.
    pub fn install(&self, bundle: &Verified) -> Result<Installed, Refusal> {
        make_directory(&self.root)?;
        if let Some(parent) = self.root.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            sync_directory(parent)?;
        }
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let id = bundle.manifest_sha256[..32].to_string();
        let model = &bundle.manifest.model;
        let old = state.models.get(model);
        let active = old.is_some_and(|old| old.active == id);
        if active && self.holds(&id, bundle) {
            // Whoever wrote it may have been cut off before the last flush.
            sync_directory(&self.root.join("blobs"))?;
            sync_directory(&self.root)?;
            return Ok(Installed::Already { id });
        }
        if let Some(old) = old.filter(|_| !active) {
            check_floor(bundle, old)?;
        }
        let sha256 = &bundle.manifest.backbone.sha256;
        if bundle.part(Role::Backbone).is_none() && read_hashed(&self.blob(sha256), sha256).is_err() {
            let why = format!("the bundle carries no backbone and the store has no {sha256}");
            return Err(Refusal::new(Code::E33, why));
        }
        self.write_generation(&id, bundle)?;
        if active {
            return Ok(Installed::Mended { id });
        }
        let mut floors = old.map(|old| old.floors.clone()).unwrap_or_default();
        floors.insert(bundle.key_id.clone(), bundle.manifest.seq);
        let previous = old.map(|old| old.active.clone());
        let dropped = old.and_then(|old| old.previous.clone());
        state.models.insert(model.clone(), Generations { active: id.clone(), previous, floors });
        self.write_state(&state)?;
        if let Some(dropped) = dropped.filter(|dropped| *dropped != id) {
            // Only space is lost if this fails.
            let _ = fs::remove_dir_all(self.root.join(dropped));
        }
        Ok(Installed::New { id })
    }

    /// Whether everything of this bundle is on disk as it should be.
    fn holds(&self, id: &str, bundle: &Verified) -> bool {
        let directory = self.root.join(id);
        let same = |path: PathBuf, bytes: &[u8]| fs::read(path).is_ok_and(|have| have == bytes);
        same(directory.join(MANIFEST), bundle.manifest_bytes)
            && same(directory.join(SIGNATURE), bundle.signature.as_bytes())
            && bundle.manifest.parts.iter().zip(&bundle.parts).all(|(part, bytes)| match part.role {
                Role::Backbone => same(self.blob(&part.sha256), bytes),
                Role::Head | Role::Unseen | Role::Dataset => same(directory.join(&part.name), bytes),
            })
            && read_hashed(&self.blob(&bundle.manifest.backbone.sha256), &bundle.manifest.backbone.sha256)
                .is_ok()
    }

    /// Reads the active generation of `model`, verifying signature and hashes again: keys may
    /// have been removed and SD cards rot. `None` if no bundle of this model was ever installed.
    pub fn load(&self, model: &str, keys: &[TrustedKey]) -> Result<Option<StoredModel>, Refusal> {
        let Some(generations) = self.state()?.models.remove(model) else { return Ok(None) };
        let directory = self.root.join(&generations.active);
        let manifest = read_stored(&directory.join(MANIFEST))?;
        let signature = read_stored(&directory.join(SIGNATURE))?;
        let (manifest, key_id) =
            verify_manifest(&manifest, signature_text(&signature)?, keys).map_err(|refusal| match refusal
                .code
            {
                Code::E20 | Code::E23 | Code::E30 => damaged(&directory, &refusal.why),
                _ => refusal,
            })?;
        let read =
            |role| manifest.part(role).map(|part| read_hashed(&directory.join(&part.name), &part.sha256));
        let head = read(Role::Head).ok_or_else(|| damaged(&directory, "no head"))??;
        let unseen = read(Role::Unseen).transpose()?;
        let sha256 = &manifest.backbone.sha256;
        let backbone = read_hashed(&self.blob(sha256), sha256)?;
        Ok(Some(StoredModel { id: generations.active, manifest, key_id, head, unseen, backbone }))
    }

    /// Where a backbone lies, by its hex SHA-256.
    pub fn blob(&self, sha256: &str) -> PathBuf {
        self.root.join("blobs").join(sha256)
    }

    /// Where a backbone's plan lies, or will.
    pub fn plan(&self, sha256: &str) -> PathBuf {
        self.root.join("plans").join(sha256)
    }

    /// Keeps a backbone's plan, whole or not at all.
    pub fn write_plan(&self, sha256: &str, plan: &[u8]) -> Result<(), Refusal> {
        let place = self.plan(sha256);
        let directory = self.root.join("plans");
        make_directory(&directory)?;
        // Installer and service may both write one: each under a name of its own.
        let new = directory.join(format!("new.{}", std::process::id()));
        let _ = fs::remove_file(&new);
        write_new(&new, plan)?;
        fs::rename(&new, &place).map_err(io_error(&place))?;
        sync_directory(&directory)
    }

    /// Writes everything to a staging directory, then renames it into place.
    fn write_generation(&self, id: &str, bundle: &Verified) -> Result<(), Refusal> {
        let staging = self.root.join("staging");
        let blobs = self.root.join("blobs");
        if staging.exists() {
            fs::remove_dir_all(&staging).map_err(io_error(&staging))?;
        }
        make_directory(&staging)?;
        make_directory(&blobs)?;
        let write = || -> Result<(), Refusal> {
            let directory = staging.join(id);
            make_directory(&directory)?;
            write_new(&directory.join(MANIFEST), bundle.manifest_bytes)?;
            write_new(&directory.join(SIGNATURE), bundle.signature.as_bytes())?;
            for (part, bytes) in bundle.manifest.parts.iter().zip(&bundle.parts) {
                match part.role {
                    Role::Backbone => self.write_blob(&staging, &part.sha256, bytes)?,
                    Role::Head | Role::Unseen | Role::Dataset => {
                        write_new(&directory.join(&part.name), bytes)?
                    }
                }
            }
            sync_directory(&directory)?;
            let place = self.root.join(id);
            if place.exists() {
                // Damaged, or left by an installation that was cut off before the state named it.
                let aside = staging.join("old");
                fs::rename(&place, &aside).map_err(io_error(&place))?;
            }
            fs::rename(&directory, &place).map_err(io_error(&place))?;
            sync_directory(&self.root)
        };
        let written = write();
        let _ = fs::remove_dir_all(&staging);
        written
    }

    fn write_blob(&self, staging: &Path, sha256: &str, bytes: &[u8]) -> Result<(), Refusal> {
        let place = self.blob(sha256);
        if fs::read(&place).is_ok_and(|have| have == bytes) {
            return sync_directory(&self.root.join("blobs"));
        }
        let new = staging.join(sha256);
        write_new(&new, bytes)?;
        fs::rename(&new, &place).map_err(io_error(&place))?;
        sync_directory(&self.root.join("blobs"))
    }

    fn state(&self) -> Result<State, Refusal> {
        let path = self.root.join("state");
        let damaged = |why: &str| {
            damaged(&path, &format!("{why}; to start over, remove this file and deploy every model again"))
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(State::default()),
            Err(error) => return Err(damaged(&error.to_string())),
        };
        let (toml, checksum) = text.rsplit_once("# sha256 ").ok_or_else(|| damaged("no checksum"))?;
        if checksum.trim_end() != sha256_hex(toml.as_bytes()) {
            return Err(damaged("the checksum does not fit"));
        }
        toml::from_str(toml).map_err(|error| damaged(&error.to_string()))
    }

    fn write_state(&self, state: &State) -> Result<(), Refusal> {
        let path = self.root.join("state");
        let toml = toml::to_string(state)
            .map_err(|error| Refusal::new(Code::E41, format!("{}: {error}", path.display())))?;
        let text = format!("{toml}# sha256 {}\n", sha256_hex(toml.as_bytes()));
        let new = self.root.join("state.new");
        let _ = fs::remove_file(&new);
        write_new(&new, text.as_bytes())?;
        fs::rename(&new, &path).map_err(io_error(&path))?;
        sync_directory(&self.root)
    }

    fn lock(&self) -> Result<File, Refusal> {
        let path = self.root.join("lock");
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let file = file.map_err(io_error(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => {
                Err(Refusal::new(Code::E70, "another installation into this store is under way"))
            }
            Err(fs::TryLockError::Error(error)) => Err(io_error(&path)(error)),
        }
    }
}

/// Refuses a bundle that is not newer than what its key has signed for this model before.
fn check_floor(bundle: &Verified, generations: &Generations) -> Result<(), Refusal> {
    let Some(&floor) = generations.floors.get(&bundle.key_id) else { return Ok(()) };
    let seq = bundle.manifest.seq;
    if seq < floor {
        let why = format!(
            "sequence number {seq} is older than {floor}, which is installed (key {})",
            bundle.key_id
        );
        return Err(Refusal::new(Code::E34, why));
    }
    if seq == floor {
        let why = format!(
            "sequence number {seq} was used for another bundle of this model (key {})",
            bundle.key_id
        );
        return Err(Refusal::new(Code::E35, why));
    }
    Ok(())
}

/// Readable for the service whatever the umask of whoever installs: models are no secret.
fn make_directory(path: &Path) -> Result<(), Refusal> {
    let open = fs::Permissions::from_mode(0o755);
    fs::create_dir_all(path).and_then(|()| fs::set_permissions(path, open)).map_err(io_error(path))
}

fn damaged(path: &Path, why: &str) -> Refusal {
    Refusal::new(Code::E51, format!("{}: {why}", path.display()))
}

fn read_stored(path: &Path) -> Result<Vec<u8>, Refusal> {
    fs::read(path).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => io_error(path)(error),
        _ => damaged(path, &error.to_string()),
    })
}

fn read_hashed(path: &Path, sha256: &str) -> Result<Vec<u8>, Refusal> {
    let bytes = read_stored(path)?;
    if sha256_hex(&bytes) != sha256 {
        return Err(damaged(path, "differs from what was signed"));
    }
    Ok(bytes)
}

/// Creates a file that nobody writes again and makes it durable.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(0o444))?;
        file.sync_all()
    };
    write().map_err(io_error(path))
}

fn sync_directory(path: &Path) -> Result<(), Refusal> {
    File::open(path).and_then(|directory| directory.sync_all()).map_err(io_error(path))
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> Refusal {
    move |error| Refusal::new(Code::E41, format!("{}: {error}", path.display()))
}
