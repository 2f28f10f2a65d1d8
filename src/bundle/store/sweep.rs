//! Garbage collection: what no state names, and what unfinished installations left.

use super::{MANIFEST, Store, is_id};
use crate::bundle::Refusal;
use crate::bundle::manifest::Manifest;
use std::collections::BTreeSet;

impl Store {
    /// Removes staging, generations that neither the state nor its backup names, and backbones and plans that no
    /// generation needs. The lock must be held. Only space is lost where it fails.
    pub(super) fn sweep(&self) {
        if let Err(refusal) = self.try_sweep() {
            log::warn!("the store keeps what it does not need: {refusal}");
        }
    }

    /// The same for a service that starts: an installation may have been cut off.
    pub fn tidy(&self) {
        if self.disk.list(&self.root).is_err() {
            return;
        }
        match self.lock() {
            Ok(_lock) => self.sweep(),
            Err(refusal) => log::info!("the store is not tidied: {refusal}"),
        }
    }

    fn try_sweep(&self) -> Result<(), Refusal> {
        self.discard(&self.root.join("staging"))?;
        let Some(named) = self.named()? else { return Ok(()) };
        let mut backbones = BTreeSet::new();
        for id in self.list(&self.root)?.into_iter().filter(|name| is_id(name)) {
            let directory = self.root.join(&id);
            if !named.contains(&id) {
                self.discard(&directory)?;
                continue;
            }
            let bytes = self.disk.read(&directory.join(MANIFEST)).unwrap_or_default();
            // A generation that cannot say what it needs may need anything.
            let Ok(manifest) = Manifest::parse(&bytes) else { return Ok(()) };
            backbones.insert(manifest.backbone.sha256);
        }
        for directory in ["blobs", "plans"].map(|name| self.root.join(name)) {
            for name in self.disk.list(&directory).unwrap_or_default() {
                if !backbones.contains(&name) {
                    self.discard(&directory.join(name))?;
                }
            }
        }
        Ok(())
    }
}
