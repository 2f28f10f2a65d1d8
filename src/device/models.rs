//! The models of a device, and one engine for each backbone they share.

use super::lowering::engine;
use crate::bundle::store::Store;
use crate::bundle::verify::TrustedKey;
use crate::engine::{Engine, EngineError};
use crate::model::Model;
use crate::watch::decision::Classification;
use crate::watch::input::Input;
use std::collections::BTreeMap;

/// A model that is ready to run.
pub struct Loaded {
    pub model: Model,
    /// Of the bundle it came in.
    pub id: String,
    engine: usize,
}

/// Every model by name, or why it is not there.
pub struct Models {
    pub by_name: BTreeMap<String, Result<Loaded, String>>,
    engines: Vec<Engine>,
}

impl Models {
    /// Loads the active generation of each name. A model that is missing or refused does not
    /// keep the others from running.
    pub fn load<'a>(names: impl Iterator<Item = &'a str>, store: &Store, keys: &[TrustedKey]) -> Models {
        let mut engines: Vec<Engine> = Vec::new();
        // By the backbone's hash, so that a bad one is tried, and complained of, once.
        let mut by_backbone: BTreeMap<String, Result<usize, String>> = BTreeMap::new();
        let mut by_name = BTreeMap::new();
        for name in names {
            let loaded = load_one(name, store, keys).and_then(|(model, id, backbone)| {
                let sha256 = model.manifest.backbone.sha256.clone();
                let made = || {
                    engines.push(engine(store, &sha256, &backbone).map_err(|error| error.to_string())?);
                    Ok(engines.len() - 1)
                };
                let engine = by_backbone.entry(sha256.clone()).or_insert_with(made).clone()?;
                Ok(Loaded { model, id, engine })
            });
            by_name.insert(name.to_string(), loaded);
        }
        Models { by_name, engines }
    }

    /// Classifies a crop by the model of this name; `None` if it is not there.
    pub fn classify(&mut self, name: &str, input: &Input) -> Option<Result<Classification, EngineError>> {
        let Loaded { model, engine, .. } = self.by_name.get(name)?.as_ref().ok()?;
        let run = self.engines[*engine].run(input, model.blocks());
        Some(run.map(|features| model.classify(&features)))
    }

    pub fn get(&self, name: &str) -> Option<&Loaded> {
        self.by_name.get(name)?.as_ref().ok()
    }
}

fn load_one(name: &str, store: &Store, keys: &[TrustedKey]) -> Result<(Model, String, Vec<u8>), String> {
    let stored = store.load(name, keys).map_err(|refusal| refusal.to_string())?;
    let stored = stored.ok_or("no bundle is installed; to install one: ajar deploy --store DIR FILE")?;
    let model = Model::new(stored.manifest, &stored.head, stored.unseen.as_deref())
        .map_err(|refusal| refusal.to_string())?;
    Ok((model, stored.id, stored.backbone))
}
