//! The models of a device, and one engine for each backbone they share.

use crate::bundle::store::Store;
use crate::bundle::verify::TrustedKey;
use crate::engine::features::deepest_tap;
use crate::engine::{Engine, EngineError, Tap, Taps};
use crate::model::Model;
use crate::watch::crop::Input;
use crate::watch::decision::Probabilities;
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
    /// None where a backbone does not load; then none of its models is there.
    engines: Vec<Option<Engine>>,
    taps: Taps,
}

impl Models {
    /// Loads the active generation of each name. A model that is missing or refused does not
    /// keep the others from running.
    pub fn load<'a>(names: impl Iterator<Item = &'a str>, store: &Store, keys: &[TrustedKey]) -> Models {
        let mut backbones: Vec<(String, Vec<u8>, Vec<String>)> = Vec::new();
        let mut by_name = BTreeMap::new();
        for name in names {
            let loaded = load_one(name, store, keys).map(|(model, id, backbone)| {
                let sha256 = model.manifest.backbone.sha256.clone();
                let known = backbones.iter().position(|(known, ..)| *known == sha256);
                let engine = known.unwrap_or_else(|| {
                    backbones.push((sha256, backbone, Vec::new()));
                    backbones.len() - 1
                });
                backbones[engine].2.push(name.to_string());
                Loaded { model, id, engine }
            });
            by_name.insert(name.to_string(), loaded);
        }
        let mut engines = Vec::new();
        for (_, onnx, users) in &backbones {
            let models = users.iter().filter_map(|name| by_name.get(name)?.as_ref().ok());
            let deepest = models.map(|user| deepest_tap(&user.model.manifest.head.blocks)).max();
            let engine = Engine::load(onnx, deepest.unwrap_or(Tap::Last));
            if let Err(error) = &engine {
                for name in users {
                    by_name.insert(name.clone(), Err(error.to_string()));
                }
            }
            engines.push(engine.ok());
        }
        Models { by_name, engines, taps: Taps::default() }
    }

    /// Classifies a crop by the model of this name; `None` if it is not there.
    pub fn classify(&mut self, name: &str, input: &Input) -> Option<Result<Probabilities, EngineError>> {
        let loaded = self.by_name.get_mut(name)?.as_mut().ok()?;
        let run = self.engines[loaded.engine].as_mut()?.run(input, &mut self.taps);
        Some(run.map(|()| loaded.model.probabilities(&self.taps)))
    }

    pub fn get(&self, name: &str) -> Option<&Loaded> {
        self.by_name.get(name)?.as_ref().ok()
    }
}

fn load_one(name: &str, store: &Store, keys: &[TrustedKey]) -> Result<(Model, String, Vec<u8>), String> {
    let stored = store.load(name, keys).map_err(|refusal| refusal.to_string())?;
    let stored = stored.ok_or("no bundle is installed; to install one: ajar deploy --store DIR FILE")?;
    let model = Model::new(stored.manifest, &stored.head).map_err(|refusal| refusal.to_string())?;
    Ok((model, stored.id, stored.backbone))
}
