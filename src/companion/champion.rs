//! Champion and challenger: a new model must not be worse than the one it replaces.
//!
//! They are compared on pictures that neither was fitted on: the challenger by its cross-validation, the champion on
//! those it was not trained on, which its bundle tells. Where there are none because both have the same pictures,
//! both have a cross-validation on the same folds.

use super::bundles::Loaded;
use super::cache::Cache;
use super::dataset::Example;
use super::embed::embed;
use super::evaluate::{Outcome, most_probable};
use super::train::{Trained, dataset_line};
use crate::bundle::sha256_hex;
use anyhow::Result;
use serde::Serialize;
use std::collections::BTreeSet;

/// How the models compare.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "compared", rename_all = "snake_case")]
pub enum Comparison {
    /// Pictures right of `pictures` that the champion was not trained on.
    NewPictures {
        pictures: usize,
        champion: usize,
        challenger: usize,
    },
    /// Cross-validated accuracy on the same pictures.
    SamePictures {
        champion: f64,
        challenger: f64,
    },
    Not {
        why: &'static str,
    },
}

impl Comparison {
    pub fn champion_is_better(&self) -> bool {
        match *self {
            Comparison::NewPictures { champion, challenger, .. } => champion > challenger,
            // The manifest keeps it in f32.
            Comparison::SamePictures { champion, challenger } => champion > challenger + 1e-4,
            Comparison::Not { .. } => false,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Comparison::NewPictures { pictures, champion, challenger } => format!(
                "of {pictures} pictures that the model there was not trained on, it gets {champion} right, \
                 the new one {challenger}"
            ),
            Comparison::SamePictures { champion, challenger } => format!(
                "cross-validated on the same pictures, the model there gets {:.1} % right, the new one {:.1} %",
                champion * 100.0,
                challenger * 100.0
            ),
            Comparison::Not { why } => format!("not compared with the model there: {why}"),
        }
    }
}

pub fn compare(champion: &Loaded, challenger: &Trained, cache: &Cache) -> Result<Comparison> {
    let Some(validation) = &challenger.report.cross_validation else {
        return Ok(Comparison::Not { why: "too few pictures to cross-validate the new one" });
    };
    let calibration = &champion.model.manifest.calibration;
    if calibration.dataset_sha256 == sha256_hex(challenger.dataset.as_bytes()) {
        let accuracy = f64::from(calibration.accuracy);
        return Ok(Comparison::SamePictures {
            champion: accuracy,
            challenger: validation.evaluation.accuracy,
        });
    }
    let states = &challenger.report.states;
    let known: BTreeSet<&str> = champion.dataset.split_inclusive('\n').collect();
    let new: Vec<&Outcome> = challenger
        .report
        .outcomes
        .iter()
        .filter(|outcome| !known.contains(dataset_line(&outcome.sha256, &states[outcome.truth]).as_str()))
        .collect();
    if new.is_empty() {
        return Ok(Comparison::Not { why: "it was trained on all of these pictures" });
    }
    let example = |outcome: &&Outcome| Example { path: outcome.path.clone(), state: outcome.truth };
    let examples: Vec<Example> = new.iter().map(example).collect();
    let model = &champion.model;
    // A state that the champion does not know is one it gets wrong.
    let (right, _) = embed(&champion.engine, cache, &examples, 0, |embedded| {
        let probabilities = model.classify(&embedded.features()).probabilities;
        model.manifest.states[most_probable(&probabilities).0] == states[embedded.state]
    })?;
    Ok(Comparison::NewPictures {
        pictures: new.len(),
        champion: right.into_iter().filter(|&right| right).count(),
        challenger: new.iter().filter(|outcome| outcome.right()).count(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_worse_challenger_is_refused() {
        let on_new = |champion, challenger| Comparison::NewPictures { pictures: 10, champion, challenger };
        assert!(on_new(9, 8).champion_is_better());
        assert!(!on_new(8, 8).champion_is_better());
        let same = |champion, challenger| Comparison::SamePictures { champion, challenger };
        assert!(same(0.95, 0.94).champion_is_better());
        assert!(!same(f64::from(0.95f32), 0.95).champion_is_better());
        assert!(!Comparison::Not { why: "" }.champion_is_better());
    }
}
