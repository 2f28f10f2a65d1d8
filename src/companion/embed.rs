//! Embedding: pictures become features, on all cores, by the engine the device has.

use super::dataset::Example;
use super::picture;
use crate::bundle::sha256_hex;
use crate::engine::features::Block;
use crate::engine::{Engine, EngineError};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::fs;
use std::path::PathBuf;

/// A picture as numbers.
pub struct Embedded {
    /// Index of its state.
    pub state: usize,
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// The blocks asked for, one after the other.
    pub features: Vec<f32>,
}

/// A picture that cannot be used, and why. The file stays where it is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Quarantined {
    pub path: PathBuf,
    pub why: String,
}

/// Embeds every example; the order is kept. A picture that cannot be read is put aside.
pub fn embed(
    engine: &Engine,
    blocks: &[Block],
    examples: &[Example],
) -> Result<(Vec<Embedded>, Vec<Quarantined>), EngineError> {
    let bar = progress(examples.len() as u64, "pictures");
    let one = |engine: &mut Engine, example: &Example| {
        let embedded = embed_one(engine, blocks, example);
        bar.inc(1);
        embedded
    };
    let all: Vec<_> = examples.par_iter().map_init(|| engine.clone(), one).collect::<Result<_, _>>()?;
    bar.finish_and_clear();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for result in all {
        match result {
            Ok(embedded) => good.push(embedded),
            Err(quarantined) => bad.push(quarantined),
        }
    }
    for Quarantined { path, why } in &bad {
        log::warn!("left out {}: {why}", path.display());
    }
    Ok((good, bad))
}

fn embed_one(
    engine: &mut Engine,
    blocks: &[Block],
    example: &Example,
) -> Result<Result<Embedded, Quarantined>, EngineError> {
    let path = example.path.clone();
    let read = fs::read(&path).map_err(|error| error.to_string());
    let read = read.and_then(|bytes| Ok((sha256_hex(&bytes), picture::read(&bytes)?)));
    let (sha256, input) = match read {
        Ok(read) => read,
        Err(why) => return Ok(Err(Quarantined { path, why })),
    };
    let features = engine.run(&input, blocks)?.gather(blocks);
    Ok(Ok(Embedded { state: example.state, sha256, features }))
}

/// A progress bar on standard error; nothing where that is not a terminal.
pub fn progress(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} {eta}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(what)
}
