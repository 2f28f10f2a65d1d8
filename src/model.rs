//! A model ready to classify: the manifest's facts and the head, on taps from a shared engine.

use crate::bundle::manifest::Manifest;
use crate::bundle::{Code, Refusal};
use crate::engine::Taps;
use crate::engine::features::{feature_len, write_features};
use crate::engine::head::Head;
use crate::watch::decision::Probabilities;

pub struct Model {
    pub manifest: Manifest,
    head: Head,
    features: Vec<f32>,
}

impl Model {
    /// `head`: the bytes of the part with that role.
    pub fn new(manifest: Manifest, head: &[u8]) -> Result<Model, Refusal> {
        let blocks = manifest.head.blocks.clone();
        let features = vec![0.0; feature_len(&blocks)];
        let head = Head::from_bytes(head, blocks, manifest.states.len(), manifest.head.temperature)
            .map_err(|why| Refusal::new(Code::E60, why))?;
        Ok(Model { manifest, head, features })
    }

    /// Probability of each state, in the manifest's order.
    pub fn probabilities(&mut self, taps: &Taps) -> Probabilities {
        write_features(self.head.blocks(), taps, &mut self.features);
        self.of_features(&self.features)
    }

    /// The same, of features that were computed before.
    pub fn of_features(&self, features: &[f32]) -> Probabilities {
        self.head.probabilities(features)
    }
}
