//! A model ready to classify: the manifest's facts, the head and the unseen test, on features from a shared engine.

use crate::bundle::manifest::Manifest;
use crate::bundle::{Code, Refusal};
use crate::engine::features::{Block, Features};
use crate::engine::head::Head;
use crate::engine::unseen::Unseen;
use crate::watch::decision::Classification;

pub struct Model {
    pub manifest: Manifest,
    pub head: Head,
    pub unseen: Option<Unseen>,
    /// What both need.
    blocks: Vec<Block>,
}

impl Model {
    /// `head`, `unseen`: the bytes of the parts with these roles.
    pub fn new(manifest: Manifest, head: &[u8], unseen: Option<&[u8]>) -> Result<Model, Refusal> {
        let wrong = |why: String| Refusal::new(Code::E60, why);
        let (blocks, states) = (manifest.head.blocks.clone(), manifest.states.len());
        let head = Head::from_bytes(head, blocks, states, manifest.head.temperature).map_err(wrong)?;
        let unseen = match (&manifest.unseen, unseen) {
            (Some(spec), Some(means)) => Some(Unseen::from_bytes(means, states, spec.limit).map_err(wrong)?),
            (None, None) => None,
            _ => return Err(wrong("the unseen test lacks its means or its limit".into())),
        };
        let asks =
            |block: &Block| head.blocks().contains(block) || unseen.is_some() && *block == Unseen::BLOCK;
        let blocks = Block::ALL.into_iter().filter(asks).collect();
        Ok(Model { manifest, head, unseen, blocks })
    }

    /// Probability of each state, in the manifest's order, and the distance from the training.
    pub fn classify(&self, features: &Features) -> Classification {
        Classification {
            probabilities: self.head.probabilities(features),
            distance: self.unseen.as_ref().map(|unseen| unseen.distance(features)),
        }
    }

    /// What the engine must leave for it.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }
}
