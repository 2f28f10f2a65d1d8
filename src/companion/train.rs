//! The recipe: spatial features of the int8 backbone, looks, and a cross-validated ridge regression.
//!
//! ```text
//! pictures -> embeddings -> kernels -> folds -> blocks, penalty -> temperature, limit -> head
//! ```
//!
//! Everything that is chosen is chosen on pictures held out by time. docs/training.md has the measurements.

use super::cache::Cache;
use super::calibrate;
use super::champion::Comparison;
use super::dataset::{Dataset, Example};
use super::embed::{Embedded, Quarantined, embed, start};
use super::evaluate::{Evaluation, Outcome};
use super::groups::Groups;
use super::light;
use super::moment;
use super::picture;
use super::rows::{Blend, Rows};
use super::suspects::{Suspect, suspects};
use super::verdict::Verdict;
use crate::bundle::golden::Golden;
use crate::bundle::manifest::UnseenSpec;
use crate::bundle::sha256_hex;
use crate::engine::Engine;
use crate::engine::features::Block;
use crate::engine::head::Head;
use crate::engine::unseen::Unseen;
use crate::exit::UsageError;
use anyhow::{Result, anyhow};
use indicatif::ProgressBar;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Instant, SystemTime};

/// What may be chosen, the cheapest on the device first: where in the crop something is; that, finer, and what is in it
/// at all; mostly the latter, for a camera that is not fixed.
const CANDIDATES: [Blend; 3] = [
    &[(Block::Mid, 1.0)],
    &[(Block::Gap, 1.0), (Block::P3, 1.0), (Block::Mid, 1.0)],
    &[(Block::Gap, 9.0), (Block::P3, 1.0), (Block::Mid, 1.0)],
];
/// Penalties that may be chosen, in units of the features' variance; the first one unless another is better.
const PENALTIES: [f64; 3] = [0.03, 0.01, 0.1];
/// Folds that distances are measured with. Fewer and longer ones than for the scores: what makes a picture unlike the
/// others, such as the weather, lasts longer than a fold of ten.
const DISTANCE_FOLDS: usize = 5;
/// What is taken where a state has too few pictures to cross-validate.
const FALLBACK: Blend = CANDIDATES[1];
const FALLBACK_TEMPERATURE: f32 = 0.25;
/// Threshold and verification that a new model starts with.
pub const THRESHOLD: f32 = 0.8;
pub const VERIFICATION: u8 = 3;
/// Each costs 49 KB in the bundle.
const GOLDEN_STATES: usize = 2;
/// Least side of a crop, in pixels, that shows anything to an engine that looks at 128.
pub const MIN_SIDE: u32 = 64;

/// What the user may set.
pub struct Settings {
    /// Most pictures of each state.
    pub per_state: Option<usize>,
    pub seed: u64,
    /// Share of familiar pictures that may be taken for unseen, above 0 and below 1.
    pub false_alarms: f64,
    /// Whoever wants to see how far it is keeps a copy.
    pub bar: ProgressBar,
}

/// Share of familiar pictures that may be taken for unseen, unless the user says otherwise.
pub const FALSE_ALARMS: f64 = 0.01;

/// A trained head and how it came about.
pub struct Trained {
    pub head: Head,
    pub unseen: Option<(Unseen, UnseenSpec)>,
    /// A line for each picture, as [`dataset_line`] writes it.
    pub dataset: String,
    /// For the device's self-test: a picture of each state that the head is sure of.
    pub golden: Vec<Golden>,
    pub report: Report,
}

/// What `--report` writes.
#[derive(Serialize)]
pub struct Report {
    pub states: Vec<String>,
    /// Pictures used, in the order of `states`.
    pub pictures: Vec<u32>,
    pub quarantined: Vec<Quarantined>,
    /// Pictures of fewer pixels a side than the engine needs to tell much.
    pub small: Vec<PathBuf>,
    /// Pictures that are nearly the same as another one of their state, and count with it as one.
    pub near_duplicates: usize,
    /// Where the times of the pictures are from.
    pub times: moment::Source,
    pub blocks: Vec<Block>,
    pub penalty: f64,
    pub temperature: f32,
    /// Looks made of each picture.
    pub looks: usize,
    pub unseen: Option<UnseenSpec>,
    /// Out of fold; none where a state has too few pictures.
    pub cross_validation: Option<CrossValidation>,
    pub suspects: Vec<Suspect>,
    pub verdict: Verdict,
    /// How it compares with the model that it would replace.
    pub champion: Option<Comparison>,
    pub seed: u64,
    pub seconds: f64,
    /// Every picture and what a head said of it that was not fitted on it; empty without cross-validation. `truth`
    /// counts in `states`.
    pub outcomes: Vec<Outcome>,
}

#[derive(Clone, Serialize)]
pub struct CrossValidation {
    pub folds: usize,
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// The training set as the recipe sees it.
struct Set {
    rows: Rows,
    labels: Vec<usize>,
    states: usize,
    groups: Groups,
}

/// What was tried, and the scores it gave to pictures that were held out.
struct Trial {
    blend: Blend,
    penalty: f64,
    scores: Vec<Vec<f64>>,
    /// Sum over the states of their scores' mean squared distance from the truth. With few pictures it tells more than
    /// the count of mistakes.
    squares: f64,
}

pub fn train(dataset: &Dataset, engine: &Engine, cache: &Cache, settings: &Settings) -> Result<Trained> {
    let started = Instant::now();
    let states = dataset.states.len();
    let examples = match settings.per_state {
        Some(limit) => pick(dataset, limit, settings.seed),
        None => dataset.examples.clone(),
    };
    let looks = Rows::looks(examples.len());
    let (embedded, quarantined) = embed(engine, cache, &examples, looks, &settings.bar, |embedded| embedded)?;
    let labels: Vec<usize> = embedded.iter().map(|picture| picture.state).collect();
    let mut counts = vec![0u32; states];
    labels.iter().for_each(|&label| counts[label] += 1);
    if let Some(empty) = counts.iter().position(|&count| count == 0) {
        let why =
            format!("no usable picture of the state {:?}; see the warnings above", dataset.states[empty]);
        return Err(UsageError(why).into());
    }
    let (moments, times) = moments(embedded.iter());
    let rows = Rows::new(&embedded, looks);
    let kernel = rows.kernel(CANDIDATES[0]);
    let groups = Groups::new(&kernel, &labels, &moments, rows.spread(&kernel));
    let set = Set { rows, labels, states, groups };

    let chosen = set.choose(&settings.bar)?;
    let (blend, penalty) =
        chosen.as_ref().map_or((FALLBACK, PENALTIES[0]), |trial| (trial.blend, trial.penalty));
    let temperature = chosen
        .as_ref()
        .map_or(FALLBACK_TEMPERATURE, |trial| calibrate::temperature(&set.labels, &trial.scores));
    let head = set.head(blend, penalty, temperature)?;
    let distances = set.distances();
    let unseen = distances.as_deref().and_then(|distances| set.unseen(distances, settings.false_alarms));

    let outcomes = chosen.as_ref().map_or_else(Vec::new, |trial| {
        let tones: Vec<_> = embedded.iter().map(|picture| picture.embedding.tones).collect();
        let lights = light::lights(&tones);
        let limit = unseen.as_ref().map(|(_, spec)| spec.limit);
        let outcome = |(i, picture): (usize, &Embedded)| Outcome {
            path: picture.path.clone(),
            sha256: picture.sha256.clone(),
            truth: picture.state,
            probabilities: calibrate::probabilities(&trial.scores[i], temperature),
            distance: limit.zip(distances.as_deref()).map(|(limit, distances)| distances[i] as f32 / limit),
            light: lights[i],
            moment: moments[i],
            burst: set.groups.bursts[i],
        };
        embedded.iter().enumerate().map(outcome).collect()
    });
    let cross_validation = set.groups.folds.as_ref().map(|folds| CrossValidation {
        folds: folds.iter().max().map_or(0, |last| last + 1),
        evaluation: Evaluation::new(&dataset.states, THRESHOLD, &outcomes),
    });
    let suspects = suspects(&dataset.states, &embedded, &outcomes, THRESHOLD);
    let small = |picture: &&Embedded| picture.embedding.size.iter().any(|&side| side < MIN_SIDE);
    let report = Report {
        verdict: Verdict::new(&dataset.states, &counts, &outcomes, &suspects),
        states: dataset.states.clone(),
        pictures: counts,
        quarantined,
        small: embedded.iter().filter(small).map(|picture| picture.path.clone()).collect(),
        near_duplicates: set.groups.near_duplicates,
        times,
        blocks: blocks_of(blend),
        penalty,
        temperature,
        looks,
        unseen: unseen.as_ref().map(|(_, spec)| spec.clone()),
        cross_validation,
        suspects,
        champion: None,
        seed: settings.seed,
        seconds: started.elapsed().as_secs_f64(),
        outcomes,
    };
    let dataset = dataset_lines(dataset, &embedded);
    let golden = golden(&head, &embedded, states);
    Ok(Trained { head, unseen, dataset, golden, report })
}

/// For each of the first states, the picture that is most probably of it, as the engine sees it, and what the head says.
fn golden(head: &Head, embedded: &[Embedded], states: usize) -> Vec<Golden> {
    let one = |state: usize| {
        let said = embedded.iter().map(|picture| (picture, head.probabilities(&picture.features())));
        let (picture, expected) = said
            .filter(|(picture, _)| picture.state == state)
            .max_by(|a, b| a.1[state].total_cmp(&b.1[state]))?;
        let input = picture::read(&fs::read(&picture.path).ok()?).ok()?;
        Some(Golden { input, expected: expected.to_vec() })
    };
    (0..states.min(GOLDEN_STATES)).filter_map(one).collect()
}

impl Set {
    /// The best candidate by cross-validation; `None` where a state has too few pictures.
    fn choose(&self, bar: &ProgressBar) -> Result<Option<Trial>> {
        let Some(folds) = &self.groups.folds else { return Ok(None) };
        start(bar, (CANDIDATES.len() + PENALTIES.len() - 1) as u64, "training");
        let mut best: Option<Trial> = None;
        for blend in CANDIDATES {
            let trial = self.cross_validate(folds, blend, PENALTIES[0])?;
            bar.inc(1);
            if best.as_ref().is_none_or(|best| trial.squares < best.squares) {
                best = Some(trial);
            }
        }
        for &penalty in &PENALTIES[1..] {
            let Some(champion) = &best else { break };
            let trial = self.cross_validate(folds, champion.blend, penalty)?;
            bar.inc(1);
            if trial.squares < champion.squares {
                best = Some(trial);
            }
        }
        bar.finish_and_clear();
        Ok(best)
    }

    fn cross_validate(&self, folds: &[usize], blend: Blend, penalty: f64) -> Result<Trial> {
        let scores =
            self.rows.out_of_fold(&self.labels, &self.groups.weights, self.states, folds, blend, penalty);
        let scores = scores.ok_or_else(not_finite)?;
        let (mut squares, mut counts) = (vec![0.0; self.states], vec![0.0; self.states]);
        for (&label, scores) in self.labels.iter().zip(&scores) {
            let off = |(state, score): (usize, &f64)| (score - f64::from(u8::from(state == label))).powi(2);
            squares[label] += scores.iter().enumerate().map(off).sum::<f64>();
            counts[label] += 1.0;
        }
        let means = squares.iter().zip(&counts).map(|(sum, n)| sum / n);
        Ok(Trial { blend, penalty, squares: means.sum(), scores })
    }

    fn head(&self, blend: Blend, penalty: f64, temperature: f32) -> Result<Head> {
        let weights = self.rows.fit(&self.labels, &self.groups.weights, self.states, blend, penalty);
        let (weights, bias) = weights.ok_or_else(not_finite)?;
        Head::new(blocks_of(blend), temperature, weights, bias)
            .map_err(|why| anyhow!("training failed: {why}"))
    }

    /// Distance of each picture to the nearest mean of the states, without its fold.
    fn distances(&self) -> Option<Vec<f64>> {
        let folds = self.groups.folds.as_ref()?;
        let all = folds.iter().max()? + 1;
        let count = all.min(DISTANCE_FOLDS);
        let folds: Vec<usize> = folds.iter().map(|fold| fold * count / all).collect();
        let mut distances = vec![0.0; self.labels.len()];
        for fold in 0..count {
            let rest = |i: usize| folds[i] != fold;
            let means = self.rows.means(Unseen::BLOCK, &self.labels, &self.groups.weights, self.states, rest);
            for i in (0..self.labels.len()).filter(|&i| folds[i] == fold) {
                distances[i] = self.rows.distance(Unseen::BLOCK, &means, i);
            }
        }
        Some(distances)
    }

    fn unseen(&self, distances: &[f64], false_alarms: f64) -> Option<(Unseen, UnseenSpec)> {
        let means = self.rows.means(Unseen::BLOCK, &self.labels, &self.groups.weights, self.states, |_| true);
        // Pictures of one quiet hour are all alike. What a little shaking or light makes of them is familiar too.
        let limit =
            calibrate::limit(distances, false_alarms)?.max(self.rows.look_distance(Unseen::BLOCK, &means));
        let spec = UnseenSpec { limit, false_alarms: false_alarms as f32 };
        Some((Unseen::new(means, limit).ok()?, spec))
    }
}

fn blocks_of(blend: Blend) -> Vec<Block> {
    blend.iter().map(|(block, _)| *block).collect()
}

fn not_finite() -> anyhow::Error {
    anyhow!("training failed: the features are not finite")
}

/// When each picture was taken, and where that is known from.
pub fn moments<'a>(
    embedded: impl Iterator<Item = &'a Embedded> + Clone,
) -> (Vec<Option<moment::Moment>>, moment::Source) {
    let name =
        |picture: &Embedded| picture.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let own = |picture: &Embedded| moment::of_name(&name(picture)).or(picture.embedding.exif);
    let file = |picture: &Embedded| {
        let modified = fs::metadata(&picture.path).and_then(|meta| meta.modified()).ok()?;
        Some(modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs() as moment::Moment)
    };
    moment::choose(embedded.clone().map(own).collect(), embedded.map(file).collect())
}

/// At most `limit` pictures of each state: those whose content, hashed with the seed, comes
/// first. The choice depends on nothing else, not even on the files' names.
fn pick(dataset: &Dataset, limit: usize, seed: u64) -> Vec<Example> {
    let (mut hashed, mut unreadable) = (Vec::new(), Vec::new());
    for example in &dataset.examples {
        match fs::read(&example.path) {
            Ok(mut bytes) => {
                bytes.extend(seed.to_le_bytes());
                hashed.push((example.state, sha256_hex(&bytes), example.clone()));
            }
            // Named and put aside like any other, later.
            Err(_) => unreadable.push(example.clone()),
        }
    }
    hashed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    hashed.retain(|(state, ..)| {
        let taken = taken.entry(*state).or_default();
        *taken += 1;
        *taken <= limit
    });
    let picked = hashed.into_iter().map(|(.., example)| example);
    let mut picked: Vec<Example> = picked.chain(unreadable).collect();
    picked.sort_by(|a, b| (a.state, &a.path).cmp(&(b.state, &b.path)));
    picked
}

/// What a bundle remembers of a picture it was trained on: its hash and its state.
pub fn dataset_line(sha256: &str, state: &str) -> String {
    format!("{sha256} {state}\n")
}

/// One line for each picture, in an order that does not depend on names.
fn dataset_lines(dataset: &Dataset, embedded: &[Embedded]) -> String {
    let line = |picture: &Embedded| dataset_line(&picture.sha256, &dataset.states[picture.state]);
    let mut lines: Vec<String> = embedded.iter().map(line).collect();
    lines.sort();
    lines.concat()
}
