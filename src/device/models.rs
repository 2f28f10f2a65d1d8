//! The models of a device, and one engine for each backbone they share.

use crate::bundle::store::Store;
use crate::bundle::verify::TrustedKey;
use crate::engine::features::deepest_tap;
use crate::engine::{Engine, EngineError, Taps};
use crate::model::Model;
use crate::watch::crop::Input;
use crate::watch::decision::Probabilities;
use std::collections::BTreeMap;

/// A model that is ready to run.
pub struct Installed {
    pub model: Model,
    /// Of the bundle it came in.
    pub id: String,
    engine: usize,
}

/// Every model by name, or why it is not there.
pub struct Models {
    pub by_name: BTreeMap<String, Result<Installed, String>>,
    engines: Vec<Engine>,
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
                Installed { model, id, engine }
            });
            by_name.insert(name.to_string(), loaded);
        }
        let mut engines = Vec::new();
        for (_, onnx, users) in &backbones {
            let blocks = users.iter().filter_map(|name| by_name.get(name)?.as_ref().ok());
            let deepest = blocks.map(|user| deepest_tap(&user.model.manifest.head.blocks)).max();
            let loaded = deepest.map(|deepest| Engine::load(onnx, deepest));
            match loaded {
                Some(Ok(engine)) => engines.push(engine),
                Some(Err(error)) => return Models::without_engine(by_name, &error),
                None => {}
            }
        }
        Models { by_name, engines, taps: Taps::default() }
    }

    /// Every backbone passed its hash and still does not load: nothing can run.
    fn without_engine(names: BTreeMap<String, Result<Installed, String>>, error: &EngineError) -> Models {
        let refused = names.into_keys().map(|name| (name, Err(error.to_string())));
        Models { by_name: refused.collect(), engines: Vec::new(), taps: Taps::default() }
    }

    /// Classifies a crop by the model of this name; `None` if it is not there.
    pub fn classify(&mut self, name: &str, input: &Input) -> Option<Result<Probabilities, EngineError>> {
        let installed = self.by_name.get_mut(name)?.as_mut().ok()?;
        let run = self.engines[installed.engine].run(input, &mut self.taps);
        Some(run.map(|()| installed.model.probabilities(&self.taps)))
    }

    pub fn get(&self, name: &str) -> Option<&Installed> {
        self.by_name.get(name)?.as_ref().ok()
    }
}

fn load_one(name: &str, store: &Store, keys: &[TrustedKey]) -> Result<(Model, String, Vec<u8>), String> {
    let stored = store.load(name, keys).map_err(|refusal| refusal.to_string())?;
    let stored = stored.ok_or("no bundle is installed; to install one: ajar deploy --store DIR FILE")?;
    let model = Model::new(stored.manifest, &stored.head).map_err(|refusal| refusal.to_string())?;
    Ok((model, stored.id, stored.backbone))
}
