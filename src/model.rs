//! A model ready to classify: the manifest's facts and the head, on features from a shared engine.

use crate::bundle::manifest::Manifest;
use crate::bundle::{Code, Refusal};
use crate::engine::features::{Block, Features};
use crate::engine::head::Head;
use crate::watch::decision::Probabilities;

pub struct Model {
    pub manifest: Manifest,
    head: Head,
}

impl Model {
    /// `head`: the bytes of the part with that role.
    pub fn new(manifest: Manifest, head: &[u8]) -> Result<Model, Refusal> {
        let blocks = manifest.head.blocks.clone();
        let head = Head::from_bytes(head, blocks, manifest.states.len(), manifest.head.temperature)
            .map_err(|why| Refusal::new(Code::E60, why))?;
        Ok(Model { manifest, head })
    }

    /// Probability of each state, in the manifest's order.
    pub fn probabilities(&self, features: &Features) -> Probabilities {
        self.head.probabilities(features)
    }

    /// The same, of its blocks' features gathered before.
    pub fn probabilities_of_gathered(&self, features: &[f32]) -> Probabilities {
        self.head.probabilities_of_gathered(features)
    }

    /// What the engine must leave for it.
    pub fn blocks(&self) -> &[Block] {
        self.head.blocks()
    }
}
