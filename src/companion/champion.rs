//! Champion and challenger: a new model takes another's place only if it is not worse.
//!
//! They are compared on pictures that neither was fitted on: the challenger by its cross-validation, the champion on
//! those it was not trained on, which its bundle tells. Where those are too few, their cross-validations are compared.
//! What cannot be compared stays.

use super::bundles::Loaded;
use super::cache::Cache;
use super::dataset::Example;
use super::embed::embed;
use super::evaluate::{Outcome, most_probable};
use super::train::Trained;
use crate::bundle::sha256_hex;
use anyhow::Result;
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeSet;

/// New pictures of each state that a comparison needs.
const ENOUGH: usize = 5;

/// How the models compare.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "compared", rename_all = "snake_case")]
pub enum Comparison {
    /// On pictures that the champion was not trained on.
    NewPictures {
        pictures: usize,
        champion: Score,
        challenger: Score,
    },
    /// Cross-validated on the same pictures: accuracies.
    SamePictures {
        champion: f64,
        challenger: f64,
    },
    /// Each cross-validated on its own pictures, as there are too few new ones: accuracies, and the upper end of the
    /// challenger's confidence interval.
    OwnPictures {
        champion: f64,
        challenger: f64,
        at_most: f64,
    },
    /// The champion has a state that the challenger has not.
    OtherStates {
        gone: String,
    },
    Not {
        why: String,
    },
}

/// What a model makes of the pictures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Score {
    /// Pictures.
    pub right: usize,
    /// Mean over the states of the share that is right.
    pub balanced: f64,
}

impl Comparison {
    /// Whether the champion stays unless the user says otherwise.
    pub fn champion_stays(&self) -> bool {
        match *self {
            Comparison::NewPictures { champion, challenger, .. } => champion.balanced > challenger.balanced,
            // The manifest keeps it in f32.
            Comparison::SamePictures { champion, challenger } => champion > challenger + 1e-4,
            Comparison::OwnPictures { champion, at_most, .. } => champion > at_most + 1e-4,
            Comparison::OtherStates { .. } | Comparison::Not { .. } => true,
        }
    }

    pub fn text(&self) -> String {
        match self {
            Comparison::NewPictures { pictures, champion, challenger } => format!(
                "of {pictures} pictures that the model there has never seen, it gets {} right, the new one {}",
                champion.right, challenger.right
            ),
            Comparison::SamePictures { champion, challenger } => format!(
                "cross-validated on the same pictures, the model there gets {:.1} % right, the new one {:.1} %",
                champion * 100.0,
                challenger * 100.0
            ),
            Comparison::OwnPictures { champion, challenger, .. } => format!(
                "cross-validated, each on its own pictures, the model there gets {:.1} % right, the new one {:.1} %",
                champion * 100.0,
                challenger * 100.0
            ),
            Comparison::OtherStates { gone } => {
                format!("not compared with the model there: the new one has no state {gone:?}")
            }
            Comparison::Not { why } => format!("not compared with the model there: {why}"),
        }
    }
}

pub fn compare(
    champion: &Loaded,
    challenger: &Trained,
    cache: &Cache,
    bar: &ProgressBar,
) -> Result<Comparison> {
    let no = |why: String| Ok(Comparison::Not { why });
    let report = &challenger.report;
    let (old, new) = (&champion.model.manifest.states, &report.states);
    // A state may be added; what became of one that is gone, or has another name, is not known.
    if let Some(gone) = old.iter().find(|state| !new.contains(state)) {
        return Ok(Comparison::OtherStates { gone: gone.clone() });
    }
    let Some(validation) = &report.cross_validation else {
        return no("too few pictures to cross-validate the new one".into());
    };
    let evaluation = &validation.evaluation;
    let calibration = &champion.model.manifest.calibration;
    let accuracy = f64::from(calibration.accuracy);
    if calibration.dataset_sha256 == sha256_hex(challenger.dataset.as_bytes()) {
        return Ok(Comparison::SamePictures { champion: accuracy, challenger: evaluation.accuracy });
    }
    let common: Vec<usize> = (0..new.len()).filter(|&state| old.contains(&new[state])).collect();
    let unseen = never_seen(champion, &report.outcomes, &common);
    let of_state = |state: usize| unseen.iter().filter(|outcome| outcome.truth == state).count();
    if common.iter().all(|&state| of_state(state) >= ENOUGH) {
        return on_new_pictures(champion, &unseen, new, cache, bar);
    }
    if common.len() < new.len() {
        return no(format!("it has a new state, and fewer than {ENOUGH} new pictures of each of the others"));
    }
    // In the order of `new`, which is that of the names, and so of `old`.
    let fewer = calibration.pictures.iter().zip(&report.pictures).position(|(old, new)| new < old);
    if let Some(state) = fewer {
        let (name, old, new) = (&new[state], calibration.pictures[state], report.pictures[state]);
        return no(format!("it was trained on {old} pictures of {name}, the new one on {new}"));
    }
    let [_, at_most] = evaluation.interval;
    Ok(Comparison::OwnPictures { champion: accuracy, challenger: evaluation.accuracy, at_most })
}

/// Outcomes of pictures of these states that the champion was not trained on, whatever their label was.
fn never_seen<'a>(champion: &Loaded, outcomes: &'a [Outcome], states: &[usize]) -> Vec<&'a Outcome> {
    let known: BTreeSet<&str> =
        champion.dataset.lines().filter_map(|line| Some(line.split_once(' ')?.0)).collect();
    let new =
        |outcome: &&Outcome| states.contains(&outcome.truth) && !known.contains(outcome.sha256.as_str());
    outcomes.iter().filter(new).collect()
}

fn on_new_pictures(
    champion: &Loaded,
    new: &[&Outcome],
    states: &[String],
    cache: &Cache,
    bar: &ProgressBar,
) -> Result<Comparison> {
    let example = |outcome: &&Outcome| Example { path: outcome.path.clone(), state: outcome.truth };
    let examples: Vec<Example> = new.iter().map(example).collect();
    let (said, _) = embed(&champion.engine, cache, &examples, 0, bar, |embedded| {
        let probabilities = champion.model.classify(&embedded.features()).probabilities;
        let said = &champion.model.manifest.states[most_probable(&probabilities).0];
        (embedded.state, *said == states[embedded.state])
    })?;
    Ok(Comparison::NewPictures {
        pictures: new.len(),
        champion: Score::of(said.into_iter(), states.len()),
        challenger: Score::of(new.iter().map(|outcome| (outcome.truth, outcome.right())), states.len()),
    })
}

impl Score {
    /// From the true state of each picture and whether it was found.
    fn of(pictures: impl Iterator<Item = (usize, bool)>, states: usize) -> Score {
        let mut counts = vec![(0usize, 0usize); states];
        for (state, right) in pictures {
            counts[state].0 += 1;
            counts[state].1 += usize::from(right);
        }
        let shares = counts.iter().filter(|(n, _)| *n > 0).map(|(n, right)| *right as f64 / *n as f64);
        let there = counts.iter().filter(|(n, _)| *n > 0).count().max(1);
        Score {
            right: counts.iter().map(|(_, right)| right).sum(),
            balanced: shares.sum::<f64>() / there as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_challenger_that_is_not_worse_takes_over() {
        let score = |balanced| Score { right: 0, balanced };
        let on_new =
            |old, new| Comparison::NewPictures { pictures: 10, champion: score(old), challenger: score(new) };
        assert!(on_new(0.9, 0.8).champion_stays());
        assert!(!on_new(0.8, 0.8).champion_stays());
        let same = |champion, challenger| Comparison::SamePictures { champion, challenger };
        assert!(same(0.95, 0.94).champion_stays());
        assert!(!same(f64::from(0.95f32), 0.95).champion_stays());
        let own = |champion, at_most| Comparison::OwnPictures { champion, challenger: 0.9, at_most };
        assert!(own(0.99, 0.97).champion_stays());
        assert!(!own(0.99, 0.995).champion_stays());
        assert!(Comparison::Not { why: String::new() }.champion_stays());
    }

    #[test]
    fn scores_weigh_states_alike() {
        let pictures = [(0, true), (0, true), (0, true), (1, false)];
        assert_eq!(Score::of(pictures.into_iter(), 3), Score { right: 3, balanced: 0.5 });
    }
}
