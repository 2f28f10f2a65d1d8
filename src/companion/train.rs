//! The recipe: spatial features of the int8 backbone and cross-validated logistic regression.

use super::dataset::{Dataset, Example};
use super::embed::{Embedded, Quarantined, embed, progress};
use super::evaluate::Evaluation;
use super::logistic::{Fit, Span};
use crate::bundle::sha256_hex;
use crate::engine::Engine;
use crate::engine::features::{Block, feature_len};
use crate::engine::head::{Head, softmax};
use crate::exit::UsageError;
use anyhow::{Context, Result, bail};
use nalgebra::DMatrix;
use serde::Serialize;
use std::time::Instant;

/// Every block there is, in the order the embedding keeps them.
const BLOCKS: [Block; 3] = Block::ALL;
/// What may be chosen, the cheapest on the device first.
const CANDIDATES: [&[Block]; 4] =
    [&[Block::Mid], &[Block::P3], &[Block::P3, Block::Mid], &[Block::Gap, Block::P3, Block::Mid]];
/// Regularisation strengths that may be chosen (scikit-learn's `C`).
const STRENGTHS: [f64; 5] = [1.0, 10.0, 100.0, 1000.0, 10_000.0];
/// Losses this close are taken for equal: with a handful of pictures the rest is chance, and the
/// boldest fit of a separable set always wins by a hair.
const LOSS_MARGIN: f64 = 0.02;
/// What is taken where a state has too few pictures to cross-validate.
const FALLBACK: (&[Block], f64) = (&[Block::P3, Block::Mid], 100.0);
const MAX_FOLDS: usize = 5;
/// Threshold and verification that a new model starts with.
pub const THRESHOLD: f32 = 0.8;
pub const VERIFICATION: u8 = 3;

/// A trained head and how it came about.
pub struct Trained {
    pub head: Head,
    pub dataset_sha256: String,
    pub report: Report,
}

/// What `--report` writes.
#[derive(Serialize)]
pub struct Report {
    pub states: Vec<String>,
    /// Pictures used, in the order of `states`.
    pub pictures: Vec<u32>,
    pub quarantined: Vec<Quarantined>,
    pub blocks: Vec<Block>,
    pub strength: f64,
    /// Out of fold; none where a state has too few pictures.
    pub cross_validation: Option<CrossValidation>,
    pub seed: u64,
    pub seconds: f64,
}

#[derive(Clone, Serialize)]
pub struct CrossValidation {
    pub folds: usize,
    /// Mean negative log of the true state's probability, states weighing the same.
    pub log_loss: f64,
    #[serde(flatten)]
    pub evaluation: Evaluation,
}

/// Trains on at most `per_state` pictures of each state, picked by `seed`.
pub fn train(dataset: &Dataset, engine: &Engine, per_state: Option<usize>, seed: u64) -> Result<Trained> {
    let start = Instant::now();
    let states = dataset.states.len();
    let examples = match per_state {
        Some(limit) => pick(dataset, limit, seed),
        None => dataset.examples.clone(),
    };
    let (embedded, quarantined) = embed(engine, &BLOCKS, &examples)?;
    let mut counts = vec![0u32; states];
    embedded.iter().for_each(|picture| counts[picture.state] += 1);
    if let Some(empty) = counts.iter().position(|&count| count == 0) {
        let why =
            format!("no usable picture of the state {:?}; see the warnings above", dataset.states[empty]);
        return Err(UsageError(why).into());
    }
    let labels: Vec<usize> = embedded.iter().map(|picture| picture.state).collect();
    let grams = BLOCKS.map(|block| gram(&embedded, block));
    let folds = folds(&labels, &counts);
    let (blocks, strength, cross_validation) = choose(dataset, &grams, &labels, folds.as_deref())?;
    let span = span(&grams, blocks)?;
    let everything: Vec<usize> = (0..labels.len()).collect();
    let fit = span.fit(&everything, &labels, states, strength)?;
    let head = head(&span, &fit, &embedded, blocks, states)?;
    let report = Report {
        states: dataset.states.clone(),
        pictures: counts,
        quarantined,
        blocks: blocks.to_vec(),
        strength,
        cross_validation,
        seed,
        seconds: start.elapsed().as_secs_f64(),
    };
    Ok(Trained { head, dataset_sha256: dataset_sha256(dataset, &embedded), report })
}

/// At most `limit` pictures of each state: those whose content, hashed with the seed, comes
/// first. The choice depends on nothing else, not even on the files' names.
fn pick(dataset: &Dataset, limit: usize, seed: u64) -> Vec<Example> {
    let (mut hashed, mut unreadable) = (Vec::new(), Vec::new());
    for example in &dataset.examples {
        match std::fs::read(&example.path) {
            Ok(mut bytes) => {
                bytes.extend(seed.to_le_bytes());
                hashed.push((example.state, sha256_hex(&bytes), example.clone()));
            }
            // Named and put aside like any other, later.
            Err(_) => unreadable.push(example.clone()),
        }
    }
    hashed.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    let mut taken = vec![0; dataset.states.len()];
    hashed.retain(|(state, ..)| {
        taken[*state] += 1;
        taken[*state] <= limit
    });
    let picked = hashed.into_iter().map(|(.., example)| example);
    let mut picked: Vec<Example> = picked.chain(unreadable).collect();
    picked.sort_by(|a, b| (a.state, &a.path).cmp(&(b.state, &b.path)));
    picked
}

/// Inner products of one block's features over all pairs of pictures.
fn gram(embedded: &[Embedded], block: Block) -> DMatrix<f64> {
    let before = BLOCKS.iter().take_while(|&&other| other != block);
    let from: usize = before.map(|other| other.values()).sum();
    let features = |picture: &Embedded| picture.features[from..from + block.values()].to_vec();
    let columns: Vec<f32> = embedded.iter().flat_map(features).collect();
    let columns = DMatrix::from_vec(block.values(), embedded.len(), columns);
    columns.tr_mul(&columns).map(f64::from)
}

/// The sum of its blocks' inner products is that of a set of blocks.
fn span(grams: &[DMatrix<f64>; 3], blocks: &[Block]) -> Result<Span> {
    let pairs = BLOCKS.iter().zip(grams).filter(|(block, _)| blocks.contains(block));
    let sum = pairs.map(|(_, gram)| gram.clone()).reduce(|a, b| a + b);
    sum.as_ref().and_then(Span::new).context("the features are not finite")
}

/// The fold of each example: every state is cut into runs of neighbours by name, so that pictures
/// of one moment stay together. `None` if a state has fewer than two pictures.
fn folds(labels: &[usize], counts: &[u32]) -> Option<Vec<usize>> {
    let smallest = *counts.iter().min()? as usize;
    let count = smallest.min(MAX_FOLDS);
    if count < 2 {
        return None;
    }
    let mut seen = vec![0; counts.len()];
    let fold = |&label: &usize| {
        let fold = seen[label] * count / counts[label] as usize;
        seen[label] += 1;
        fold
    };
    Some(labels.iter().map(fold).collect())
}

/// The first candidate, from cheap to costly and from tame to bold, whose out-of-fold loss is as good
/// as the least.
fn choose(
    dataset: &Dataset,
    grams: &[DMatrix<f64>; 3],
    labels: &[usize],
    folds: Option<&[usize]>,
) -> Result<(&'static [Block], f64, Option<CrossValidation>)> {
    let Some(folds) = folds else { return Ok((FALLBACK.0, FALLBACK.1, None)) };
    let mut tried: Vec<(&'static [Block], f64, CrossValidation)> = Vec::new();
    let bar = progress((CANDIDATES.len() * STRENGTHS.len()) as u64, "training");
    for blocks in CANDIDATES {
        let span = span(grams, blocks)?;
        for strength in STRENGTHS {
            tried.push((blocks, strength, cross_validate(dataset, &span, labels, folds, strength)?));
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    let least = tried.iter().map(|(.., cv)| cv.log_loss).fold(f64::INFINITY, f64::min);
    let mut good = tried.into_iter().filter(|(.., cv)| cv.log_loss <= least + LOSS_MARGIN);
    let (blocks, strength, validation) = good.next().context("the loss is not finite")?;
    Ok((blocks, strength, Some(validation)))
}

fn cross_validate(
    dataset: &Dataset,
    span: &Span,
    labels: &[usize],
    folds: &[usize],
    strength: f64,
) -> Result<CrossValidation> {
    let states = dataset.states.len();
    let count = folds.iter().max().map_or(0, |last| last + 1);
    let mut results = Vec::new();
    for fold in 0..count {
        let (held_out, rest): (Vec<usize>, Vec<usize>) = (0..labels.len()).partition(|&i| folds[i] == fold);
        let fit = span.fit(&rest, labels, states, strength)?;
        for i in held_out {
            let mut probabilities = span.scores(&fit, i);
            softmax(&mut probabilities);
            results.push((labels[i], probabilities));
        }
    }
    let mut loss = vec![(0.0, 0usize); states];
    for (truth, probabilities) in &results {
        loss[*truth].0 -= f64::from(probabilities[*truth].max(1e-7)).ln();
        loss[*truth].1 += 1;
    }
    let log_loss = loss.iter().map(|(sum, n)| sum / *n as f64).sum::<f64>() / states as f64;
    let evaluation = Evaluation::new(&dataset.states, THRESHOLD, &results);
    Ok(CrossValidation { folds: count, log_loss, evaluation })
}

/// The weights on the features themselves.
fn head(span: &Span, fit: &Fit, embedded: &[Embedded], blocks: &[Block], states: usize) -> Result<Head> {
    let coefficients = span.coefficients(fit).context("the weights cannot be solved for")?;
    let length = feature_len(blocks);
    let mut weights = vec![0.0f64; states * length];
    for (i, picture) in embedded.iter().enumerate() {
        for state in 0..states {
            let coefficient = coefficients[(i, state)];
            let row = &mut weights[state * length..][..length];
            let mut at = 0;
            let mut from = 0;
            for block in BLOCKS {
                if blocks.contains(&block) {
                    let features = &picture.features[from..from + block.values()];
                    let part = &mut row[at..at + block.values()];
                    part.iter_mut().zip(features).for_each(|(w, &x)| *w += coefficient * f64::from(x));
                    at += block.values();
                }
                from += block.values();
            }
        }
    }
    let weights = weights.into_iter().map(|w| w as f32).collect();
    let bias = fit.bias.iter().map(|&b| b as f32).collect();
    match Head::new(blocks.to_vec(), 1.0, weights, bias) {
        Ok(head) => Ok(head),
        Err(why) => bail!("training failed: {why}"),
    }
}

/// Over the pictures' hashes and states, independent of names and order.
fn dataset_sha256(dataset: &Dataset, embedded: &[Embedded]) -> String {
    let mut lines: Vec<String> = embedded
        .iter()
        .map(|picture| format!("{} {}\n", picture.sha256, dataset.states[picture.state]))
        .collect();
    lines.sort();
    sha256_hex(lines.concat().as_bytes())
}
