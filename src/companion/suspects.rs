//! Suspects: pictures whose label is probably wrong.

use super::embed::Embedded;
use super::evaluate::{Outcome, most_probable};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Suspect {
    pub path: PathBuf,
    pub labelled: String,
    pub looks_like: String,
    /// Probability of `looks_like`, by a head that was not fitted on this picture; 1 for a copy.
    pub probability: f32,
    /// Whether the same file is also labelled as `looks_like`.
    pub copy: bool,
}

/// Copies that are in two states, then what a head that had not seen the picture is sure is another state: the
/// surest first.
pub fn suspects(states: &[String], embedded: &[Embedded], outcomes: &[Outcome], sure: f32) -> Vec<Suspect> {
    let mut suspects = Vec::new();
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    let mut copies = vec![false; embedded.len()];
    for (i, picture) in embedded.iter().enumerate() {
        let other = *first.entry(&picture.sha256).or_insert(i);
        if embedded[other].state != picture.state {
            copies[i] = true;
            copies[other] = true;
            suspects.push(Suspect {
                path: picture.path.clone(),
                labelled: states[picture.state].clone(),
                looks_like: states[embedded[other].state].clone(),
                probability: 1.0,
                copy: true,
            });
        }
    }
    let mut sure_of: Vec<Suspect> = outcomes
        .iter()
        .zip(&copies)
        .filter(|(_, copy)| !**copy)
        .filter_map(|(outcome, _)| {
            let (best, probability) = most_probable(&outcome.probabilities);
            (best != outcome.truth && probability >= sure).then(|| Suspect {
                path: outcome.path.clone(),
                labelled: states[outcome.truth].clone(),
                looks_like: states[best].clone(),
                probability,
                copy: false,
            })
        })
        .collect();
    sure_of.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    suspects.extend(sure_of);
    suspects
}
