//! Installation: from a verified bundle to a generation on trial.
//!
//! Everything is on disk and was read back before the state names it. Where a call fails, what it was about is
//! given up and removed; a failed synchronisation is never repeated, as a second one may succeed without having
//! written anything.

use super::state::{ATTEMPTS, Generations, Phase, State, Trial};
use super::{MANIFEST, SIGNATURE, Standing, Store, StoredModel};
use crate::bundle::manifest::Role;
use crate::bundle::verify::{TrustedKey, Verified};
use crate::bundle::{Code, Refusal, sha256_hex};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Bytes that an installation leaves free.
const RESERVE: u64 = 8 << 20;

/// What an installation did.
#[derive(Debug, PartialEq, Eq)]
pub enum Installed {
    /// It is on trial.
    New { id: String },
    /// This very bundle was installed, but damaged on disk.
    Mended { id: String },
    /// This very bundle was installed before.
    Already { id: String },
}

/// What the local administrator may allow, and nobody else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Allow {
    /// A sequence number below the floor.
    pub older: bool,
    /// A bundle that was rolled back.
    pub rejected: bool,
}

impl Store {
    /// Puts a verified bundle on disk, has `test` try it there, and puts it on trial. `test` runs nothing of the
    /// bundle in this process.
    pub fn install(
        &self,
        bundle: &Verified,
        keys: &[TrustedKey],
        allow: Allow,
        test: impl FnOnce(&StoredModel) -> Result<(), Refusal>,
    ) -> Result<Installed, Refusal> {
        self.make_root()?;
        let _lock = self.lock()?;
        let mut state = self.state()?;
        let id = bundle.manifest_sha256[..32].to_string();
        let old = state.models.get(&bundle.manifest.model).cloned().unwrap_or_default();
        let there = [old.active.as_ref(), old.trial.as_ref().map(|trial| &trial.id)].contains(&Some(&id));
        if there && self.holds(&id, bundle) {
            // Whoever wrote it may have been cut off before the last synchronisation.
            self.sync_directory(&self.root)?;
            return Ok(Installed::Already { id });
        }
        if !there {
            check_order(bundle, &id, &old, allow)?;
        }
        self.check_backbone(bundle)?;
        self.check_space(bundle)?;
        self.write_generation(&id, bundle, &state)?;
        if there {
            return Ok(Installed::Mended { id });
        }
        let tested = self.read_generation(&id, Standing::Trial, keys).and_then(|stored| test(&stored));
        if let Err(refusal) = tested {
            self.sweep();
            return Err(refusal);
        }
        let trial = Trial {
            id: id.clone(),
            key: bundle.key_id.clone(),
            seq: bundle.manifest.seq,
            phase: Phase::Waiting,
            attempts_left: ATTEMPTS,
            boot_id: String::new(),
        };
        let mut generations = old;
        generations.bad.retain(|bad| bad.id != id);
        generations.trial = Some(trial);
        state.models.insert(bundle.manifest.model.clone(), generations);
        self.write_state(&state)?;
        self.sweep();
        Ok(Installed::New { id })
    }

    /// The root, and durably its name.
    fn make_root(&self) -> Result<(), Refusal> {
        if self.disk.read(&self.root.join("state")).is_ok() {
            return Ok(());
        }
        let chain: Vec<&Path> = self.root.ancestors().collect();
        // Whoever made them may have been cut off before the synchronisation, so those that are there count too.
        for pair in chain.windows(2).rev() {
            self.make_directory(pair[0])?;
            let parent = if pair[1].as_os_str().is_empty() { Path::new(".") } else { pair[1] };
            match self.disk.sync_directory(parent) {
                // What this user may not open he has not made.
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
                synced => synced.map_err(super::io_error(parent))?,
            }
        }
        Ok(())
    }

    /// Whether everything of this bundle is on disk as it should be.
    fn holds(&self, id: &str, bundle: &Verified) -> bool {
        let directory = self.root.join(id);
        let same = |path: PathBuf, bytes: &[u8]| self.disk.read(&path).is_ok_and(|have| have == bytes);
        let backbone = &bundle.manifest.backbone.sha256;
        same(directory.join(MANIFEST), bundle.manifest_bytes)
            && same(directory.join(SIGNATURE), bundle.signature.as_bytes())
            && self.read_hashed(&self.blob(backbone), backbone).is_ok()
            && bundle
                .manifest
                .parts
                .iter()
                .zip(&bundle.parts)
                .filter(|(part, _)| part.role != Role::Backbone)
                .all(|(part, bytes)| same(directory.join(&part.name), bytes))
    }

    fn check_backbone(&self, bundle: &Verified) -> Result<(), Refusal> {
        let sha256 = &bundle.manifest.backbone.sha256;
        if bundle.part(Role::Backbone).is_some() || self.read_hashed(&self.blob(sha256), sha256).is_ok() {
            return Ok(());
        }
        let why = format!("the bundle carries no backbone and the store has no {sha256}");
        Err(Refusal::new(Code::E33, why))
    }

    fn check_space(&self, bundle: &Verified) -> Result<(), Refusal> {
        let size: u64 = bundle.manifest.parts.iter().map(|part| part.size).sum();
        let (want, free) = (size + RESERVE, self.disk.free(&self.root).unwrap_or(u64::MAX));
        if free < want {
            let root = self.root.display();
            return Err(Refusal::new(Code::E40, format!("{root}: {free} bytes are free, {want} are needed")));
        }
        Ok(())
    }

    /// Writes everything to a staging directory, then renames it into place.
    fn write_generation(&self, id: &str, bundle: &Verified, state: &State) -> Result<(), Refusal> {
        let named = state.models.values().any(|generations| generations.ids().any(|other| other == id));
        if named && self.holds(id, bundle) {
            return Ok(());
        }
        let staging = self.root.join("staging");
        self.discard(&staging)?;
        let written = self.stage(&staging, id, bundle);
        let _ = self.discard(&staging);
        if written.is_err() && !named {
            let _ = self.discard(&self.root.join(id));
        }
        written
    }

    fn stage(&self, staging: &Path, id: &str, bundle: &Verified) -> Result<(), Refusal> {
        let directory = staging.join(id);
        let blobs = self.root.join("blobs");
        [staging, &directory, &blobs].into_iter().try_for_each(|path| self.make_directory(path))?;
        let write = |path: &Path, bytes: &[u8]| {
            self.create(path, bytes)?;
            self.sync_file(path)
        };
        write(&directory.join(MANIFEST), bundle.manifest_bytes)?;
        write(&directory.join(SIGNATURE), bundle.signature.as_bytes())?;
        let mut blob = None;
        for (part, bytes) in bundle.manifest.parts.iter().zip(&bundle.parts) {
            let path = match part.role {
                Role::Backbone if self.read_hashed(&self.blob(&part.sha256), &part.sha256).is_ok() => {
                    continue;
                }
                Role::Backbone => blob.insert(staging.join(&part.sha256)),
                _ => &mut directory.join(&part.name),
            };
            write(path, bytes)?;
        }
        self.sync_directory(&directory)?;
        self.read_back(&directory, blob.as_deref(), bundle)?;
        if let Some(blob) = blob {
            self.rename(&blob, &self.blob(&bundle.manifest.backbone.sha256))?;
        }
        // Also for a blob that is there: whoever wrote it may have been cut off.
        self.sync_directory(&blobs)?;
        let place = self.root.join(id);
        if self.disk.list(&place).is_ok() {
            // Damaged, or left by an installation that was cut off before the state named it.
            self.rename(&place, &staging.join("old"))?;
        }
        self.rename(&directory, &place)?;
        self.sync_directory(&self.root)
    }

    /// A card that takes a write and keeps something else is noticed now, not at the next start.
    fn read_back(&self, directory: &Path, blob: Option<&Path>, bundle: &Verified) -> Result<(), Refusal> {
        let same = |path: &Path, sha256: &str| {
            let bytes = self.disk.reread(path).map_err(super::io_error(path))?;
            if sha256_hex(&bytes) != sha256 {
                let why = format!("{}: the disk gives back other bytes than were written", path.display());
                return Err(Refusal::new(Code::E41, why));
            }
            Ok(())
        };
        same(&directory.join(MANIFEST), &bundle.manifest_sha256)?;
        for part in &bundle.manifest.parts {
            match (part.role, blob) {
                (Role::Backbone, Some(blob)) => same(blob, &part.sha256)?,
                (Role::Backbone, None) => {}
                _ => same(&directory.join(&part.name), &part.sha256)?,
            }
        }
        Ok(())
    }
}

/// Refuses a bundle that is not newer than what its key has signed for this model before, or that was rolled back.
fn check_order(bundle: &Verified, id: &str, old: &Generations, allow: Allow) -> Result<(), Refusal> {
    if let Some(bad) = old.bad.iter().find(|bad| bad.id == id && !allow.rejected) {
        let why = format!("this bundle was rolled back ({}); --again tries it once more", bad.why);
        return Err(Refusal::new(Code::W64, why));
    }
    let (seq, key) = (bundle.manifest.seq, &bundle.key_id);
    if let Some(trial) = old.trial.as_ref().filter(|trial| trial.key == *key && trial.seq == seq) {
        let why = format!("sequence number {seq} was used for another bundle, {} (key {key})", trial.id);
        return Err(Refusal::new(Code::E35, why));
    }
    let Some(&floor) = old.floors.get(key) else { return Ok(()) };
    if seq < floor && !allow.older {
        let why = format!("sequence number {seq} is older than {floor}, which was active (key {key})");
        return Err(Refusal::new(Code::E34, why));
    }
    // After the user went back, the bundle of that number may return.
    let returns = old.bad.iter().any(|bad| bad.id == id);
    if seq == floor && !returns {
        let why = format!("sequence number {seq} was used for another bundle of this model (key {key})");
        return Err(Refusal::new(Code::E35, why));
    }
    if seq < floor {
        log::warn!(
            "{}: sequence number {seq} is below {floor}, allowed by the administrator",
            bundle.manifest.model
        );
    }
    Ok(())
}
