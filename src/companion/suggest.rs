//! Suggestions: which pictures without a label would teach a model most.
//!
//! One after the other, the picture is taken whose state is most in doubt and which is least like those already
//! taken: uncertainty times distance, as in core-set active learning (Sener, Savarese 2018).

use super::bundles::Loaded;
use super::cache::Cache;
use super::dataset::Example;
use super::embed::{Quarantined, embed};
use super::evaluate::most_probable;
use crate::engine::EngineError;
use crate::engine::unseen::Unseen;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Need below which a picture adds nothing.
const LEAST_NEED: f32 = 0.1;
/// Squared distance between two pictures below which the second adds nothing.
pub const NEAR: f32 = 0.02;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suggestion {
    pub picture: PathBuf,
    /// What the model takes it for, and how sure it is.
    pub state: String,
    pub probability: f32,
    pub distance: Option<f32>,
    pub why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// Unlike what the training saw.
    Unseen,
    /// Between states.
    Ambiguous,
}

/// What was found among the pictures.
#[derive(Debug, Serialize)]
pub struct Suggestions {
    /// The most useful first.
    pub label: Vec<Suggestion>,
    /// Pictures that add nothing: the model is sure of them and has seen their like.
    pub add_nothing: usize,
    /// Pictures that the model was trained on.
    pub known: usize,
    pub quarantined: Vec<Quarantined>,
}

struct Candidate {
    suggestion: Suggestion,
    need: f32,
    features: Vec<f32>,
    /// Squared distance to the nearest one that was taken.
    away: f32,
}

/// At most `count` of `pictures`.
pub fn suggest(
    model: &Loaded,
    cache: &Cache,
    pictures: Vec<PathBuf>,
    count: usize,
    bar: &ProgressBar,
) -> Result<Suggestions, EngineError> {
    let examples: Vec<Example> = pictures.into_iter().map(|path| Example { path, state: 0 }).collect();
    let hashes: BTreeSet<&str> = model.dataset.lines().filter_map(|line| line.split(' ').next()).collect();
    let (looked_at, quarantined) = embed(&model.engine, cache, &examples, 0, bar, |embedded| {
        let known = hashes.contains(embedded.sha256.as_str());
        (!known).then(|| {
            let classification = model.model.classify(&embedded.features());
            let (best, probability) = most_probable(&classification.probabilities);
            let others = classification.probabilities.iter().enumerate().filter(|(state, _)| *state != best);
            let second = others.map(|(_, &p)| p).fold(0.0, f32::max);
            let doubt = 1.0 - (probability - second);
            // From three quarters of the way to the limit on, a picture is unlike the others.
            let novelty = (4.0 * classification.distance.unwrap_or(0.0) - 3.0).clamp(0.0, 1.0);
            let suggestion = Suggestion {
                picture: embedded.path.clone(),
                state: model.model.manifest.states[best].clone(),
                probability,
                distance: classification.distance,
                why: if novelty > doubt { Why::Unseen } else { Why::Ambiguous },
            };
            let features = embedded.features().block(Unseen::BLOCK).to_vec();
            Candidate { suggestion, need: doubt.max(novelty), features, away: 2.0 }
        })
    })?;
    let known = looked_at.iter().filter(|candidate| candidate.is_none()).count();
    let all: Vec<Candidate> = looked_at.into_iter().flatten().collect();
    let total = all.len();
    let mut candidates: Vec<Candidate> = all.into_iter().filter(|one| one.need >= LEAST_NEED).collect();
    let mut add_nothing = total - candidates.len();
    let mut label = Vec::new();
    while label.len() < count {
        let value = |one: &Candidate| one.need * one.away.sqrt();
        let best =
            (0..candidates.len()).max_by(|&a, &b| value(&candidates[a]).total_cmp(&value(&candidates[b])));
        let Some(best) = best else { break };
        let taken = candidates.swap_remove(best);
        for candidate in &mut candidates {
            let squares = candidate.features.iter().zip(&taken.features).map(|(a, b)| (a - b).powi(2));
            candidate.away = candidate.away.min(squares.sum());
        }
        let before = candidates.len();
        candidates.retain(|candidate| candidate.away >= NEAR);
        add_nothing += before - candidates.len();
        label.push(taken.suggestion);
    }
    Ok(Suggestions { label, add_nothing, known, quarantined })
}
