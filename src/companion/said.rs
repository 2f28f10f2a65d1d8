//! What a model says of one picture.

use crate::bundle::manifest::Manifest;
use crate::watch::decision::{Classification, DecisionSettings, NO_DWELL, Verdict};
use embassy_time::Duration;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

/// What one picture alone would count for.
#[derive(Serialize)]
pub struct Said<'a> {
    pub picture: &'a Path,
    /// Of a labelled picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub truth: Option<&'a str>,
    /// `unknown` below the threshold, and of what was never seen.
    pub state: &'a str,
    /// Why it is `unknown`.
    pub reason: Option<&'static str>,
    pub probability: f32,
    pub probabilities: BTreeMap<&'a str, f32>,
    pub distance: Option<f32>,
}

impl<'a> Said<'a> {
    pub fn new(manifest: &'a Manifest, picture: &'a Path, classification: &Classification) -> Said<'a> {
        let settings = DecisionSettings {
            threshold: manifest.decision.threshold,
            max_distance: 1.0,
            verification: manifest.decision.verification,
            dwell: NO_DWELL,
            stale_after: Duration::MAX,
        };
        let (verdict, probability) = settings.judge(classification);
        let (state, reason) = match verdict {
            Verdict::State(state) => (manifest.states[usize::from(state)].as_str(), None),
            Verdict::Unknown(why) => ("unknown", Some(why.name())),
        };
        let names = manifest.states.iter().map(String::as_str);
        let probabilities = names.zip(classification.probabilities.iter().copied()).collect();
        Said {
            picture,
            truth: None,
            state,
            reason,
            probability,
            probabilities,
            distance: classification.distance,
        }
    }
}
