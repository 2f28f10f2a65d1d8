//! Embedding: pictures become features, on all cores, by the engine the device has.

use super::augment;
use super::cache::Cache;
use super::dataset::Example;
use super::light::Tones;
use super::moment::{self, Moment};
use super::picture;
use crate::bundle::sha256_hex;
use crate::engine::features::{ALL_VALUES, Block, Features};
use crate::engine::{Engine, EngineError};
use half::f16;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::fs;
use std::path::PathBuf;

/// What the engine makes of a picture and its looks, and what was seen on the way. Depends on the content alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Width and height in pixels.
    pub size: [u32; 2],
    pub tones: Tones,
    pub exif: Option<Moment>,
    /// Every block, [`ALL_VALUES`], exactly as the device has them.
    pub features: Vec<f32>,
    /// The same of each look, in half precision: they are made up anyway, and take most of the room.
    pub looks: Vec<f16>,
}

/// A picture as numbers.
pub struct Embedded {
    pub path: PathBuf,
    /// Index of its state.
    pub state: usize,
    /// Hex SHA-256 of the file.
    pub sha256: String,
    pub embedding: Embedding,
}

impl Embedded {
    pub fn features(&self) -> Features<'_> {
        Features::new(&self.embedding.features, &Block::ALL)
    }
}

/// A picture that cannot be used, and why. The file stays where it is.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Quarantined {
    pub path: PathBuf,
    pub why: String,
}

/// Embeds every example with `looks` looks and hands it to `then`; the order is kept. A picture that cannot be
/// read is put aside. `bar` counts the pictures.
pub fn embed<T: Send>(
    engine: &Engine,
    cache: &Cache,
    examples: &[Example],
    looks: usize,
    bar: &ProgressBar,
    then: impl Fn(Embedded) -> T + Sync,
) -> Result<(Vec<T>, Vec<Quarantined>), EngineError> {
    start(bar, examples.len() as u64, "pictures");
    let one = |engine: &mut Engine, example: &Example| {
        let embedded = embed_one(engine, cache, example, looks);
        bar.inc(1);
        embedded.map(|embedded| embedded.map(&then))
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
    cache: &Cache,
    example: &Example,
    looks: usize,
) -> Result<Result<Embedded, Quarantined>, EngineError> {
    let path = example.path.clone();
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) => return Ok(Err(Quarantined { path, why: error.to_string() })),
    };
    let sha256 = sha256_hex(&bytes);
    let embedding = match cache.get(&sha256, looks) {
        Some(embedding) => embedding,
        None => match embed_bytes(engine, &bytes, &sha256, looks)? {
            Ok(embedding) => {
                cache.put(&sha256, &embedding);
                embedding
            }
            Err(why) => return Ok(Err(Quarantined { path, why })),
        },
    };
    Ok(Ok(Embedded { path, state: example.state, sha256, embedding }))
}

fn embed_bytes(
    engine: &mut Engine,
    bytes: &[u8],
    sha256: &str,
    looks: usize,
) -> Result<Result<Embedding, String>, EngineError> {
    let read = picture::decode(bytes).and_then(|rgb| Ok((picture::input(&rgb)?, rgb)));
    let (input, rgb) = match read {
        Ok(read) => read,
        Err(why) => return Ok(Err(why)),
    };
    let features = engine.run(&input, &Block::ALL)?.gather(&Block::ALL);
    let mut of_looks = Vec::with_capacity(looks * ALL_VALUES);
    let seed = sha256.get(..16).and_then(|hex| u64::from_str_radix(hex, 16).ok()).unwrap_or_default();
    for look in augment::looks(&rgb, looks, seed) {
        let input = match picture::input(&look) {
            Ok(input) => input,
            Err(why) => return Ok(Err(why)),
        };
        let features = engine.run(&input, &Block::ALL)?;
        of_looks
            .extend(Block::ALL.iter().flat_map(|&block| features.block(block)).map(|&x| f16::from_f32(x)));
    }
    Ok(Ok(Embedding {
        size: [rgb.width(), rgb.height()],
        tones: Tones::of(&rgb),
        exif: moment::of_exif(bytes),
        features,
        looks: of_looks,
    }))
}

/// A progress bar on standard error; nothing where that is not a terminal.
pub fn terminal() -> ProgressBar {
    let style = ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len}, {eta} left");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

/// Begins a stage of the work.
pub fn start(bar: &ProgressBar, length: u64, what: &'static str) {
    bar.reset();
    bar.set_length(length);
    bar.set_message(what);
}
