//! The models of a device, and one engine for each backbone they share.

use super::lowering;
use super::probation::{Probation, Review};
use crate::bundle::store::{Standing, Store, StoredModel};
use crate::bundle::{Code, Refusal};
use crate::engine::{Engine, EngineError};
use crate::model::Model;
use crate::watch::decision::Classification;
use crate::watch::input::Input;
use crate::watch::thumbnail::{CELLS, Thumbnail};
use embassy_time::{Duration, Instant};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A stored model and an engine for it.
pub struct Ready {
    pub model: Model,
    /// Of the bundle it came in.
    pub id: String,
    pub standing: Standing,
    reference: Vec<u8>,
    engine: Engine,
}

/// A model in use.
pub struct Loaded {
    pub model: Model,
    pub id: String,
    pub standing: Standing,
    pub probation: Probation,
    /// The part of this name.
    reference: Vec<u8>,
}

impl Loaded {
    /// The pictures of what a camera shall look at.
    pub fn references(&self, camera: &str) -> impl Iterator<Item = Thumbnail> {
        let pictures = self.model.manifest.references.iter().zip(self.reference.chunks_exact(CELLS));
        pictures.filter(move |(spec, _)| spec.camera == camera).map(|(_, cells)| Thumbnail::of(cells))
    }
}

/// Every model by name, or why it is not there.
#[derive(Default)]
pub struct Models {
    pub by_name: BTreeMap<String, Result<Loaded, String>>,
    /// By the hash of the backbone.
    engines: BTreeMap<String, Engine>,
}

impl Ready {
    /// Takes the plan from the store, or makes it.
    pub fn new(store: &Store, stored: StoredModel) -> Result<Ready, Refusal> {
        let engine = lowering::engine(store, &stored.manifest.backbone.sha256, &stored.backbone);
        let engine = engine.map_err(|error: EngineError| Refusal::new(Code::E60, error.to_string()))?;
        let StoredModel { manifest, id, standing, head, unseen, reference, .. } = stored;
        let model = Model::new(manifest, &head, unseen.as_deref())?;
        Ok(Ready { model, id, standing, reference: reference.unwrap_or_default(), engine })
    }
}

impl Models {
    /// Takes a model in the place of the one with this name.
    pub fn put(&mut self, name: &str, ready: Result<Ready, String>, now: Instant) {
        let loaded = ready.map(|Ready { model, id, standing, reference, engine }| {
            self.engines.entry(model.manifest.backbone.sha256.clone()).or_insert(engine);
            Loaded { model, id, standing, probation: Probation::new(now), reference }
        });
        self.by_name.insert(name.to_string(), loaded);
        let needed = |sha256: &String| {
            let mut loaded = self.by_name.values().flatten();
            loaded.any(|loaded| loaded.model.manifest.backbone.sha256 == *sha256)
        };
        self.engines.retain(|sha256, _| needed(sha256));
    }

    /// What is wrong with models by which name.
    pub fn missing(&self) -> impl Iterator<Item = (&str, &str)> {
        self.by_name
            .iter()
            .filter_map(|(name, loaded)| Some((name.as_str(), loaded.as_ref().err()?.as_str())))
    }

    /// Classifies a crop by the model of this name; `None` if it is not there. An attempt that fails counts against
    /// the model and says nothing of the crop.
    pub fn classify(&mut self, name: &str, input: &Input) -> Option<Classification> {
        let loaded = self.by_name.get_mut(name)?.as_mut().ok()?;
        let engine = self.engines.get_mut(&loaded.model.manifest.backbone.sha256)?;
        let model = &loaded.model;
        let start = Instant::now();
        // What unwinds leaves nothing but numbers behind, which the next attempt overwrites.
        let run = || engine.run(input, model.blocks()).map(|features| model.classify(&features));
        let said = catch_unwind(AssertUnwindSafe(run));
        let took = Instant::now().saturating_duration_since(start);
        let limit = Duration::from_millis(model.manifest.limits.infer_ms.into());
        let (classification, fault) = match said {
            Ok(Ok(said)) if !said.is_finite() => {
                (Classification::FAILED, Some("gave no numbers".to_string()))
            }
            Ok(Ok(said)) if took > limit => {
                let why = format!("took {} ms, {} are allowed", took.as_millis(), limit.as_millis());
                (said, Some(why))
            }
            Ok(Ok(said)) => (said, None),
            Ok(Err(error)) => (Classification::FAILED, Some(error.to_string())),
            Err(_) => (Classification::FAILED, Some("crashed".to_string())),
        };
        if let Some(why) = &fault {
            log::error!("model {name}: fault in an attempt: {why}");
        }
        loaded.probation.count(fault);
        Some(classification)
    }

    pub fn get(&self, name: &str) -> Option<&Loaded> {
        self.by_name.get(name)?.as_ref().ok()
    }

    /// Asks each model on trial whether it has proved itself, or failed.
    pub fn review(&mut self, mut review: impl FnMut(&str, &str, &mut Probation) -> Review) {
        for (name, loaded) in &mut self.by_name {
            if let Ok(loaded) = loaded
                && loaded.standing == Standing::Trial
            {
                // Once it is confirmed it is the same model, and nothing is loaded again.
                if review(name, &loaded.id, &mut loaded.probation) == Review::Done {
                    loaded.standing = Standing::Active;
                }
            }
        }
    }
}
