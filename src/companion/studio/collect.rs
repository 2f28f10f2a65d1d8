//! Collecting: of everything that the sources have, the most different pictures become examples.

use super::Studio;
use super::sources::{Source, Still};
use crate::companion::diverse::{Candidate, most_different};
use crate::companion::embed::start;
use crate::companion::moment::Moment;
use crate::companion::workspace::ModelFolder;
use crate::companion::workspace::model::CropFile;
use crate::companion::workspace::names::picture_id;
use crate::companion::{picture, shipped_plan};
use crate::engine::Engine;
use crate::engine::unseen::Unseen;
use crate::exit::UsageError;
use crate::watch::input::Input;
use anyhow::Result;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

/// Examples that a person is asked about.
pub const EXAMPLES: usize = 24;
/// Pictures of a source that are looked at.
const CANDIDATES: usize = 240;

/// The source that has a camera.
pub fn source_of<'a>(studio: &'a Studio, camera: &str) -> Option<&'a Source> {
    let has = |source: &&Source| source.cameras().is_ok_and(|cameras| cameras.iter().any(|c| c == camera));
    studio.sources.iter().find(has)
}

/// Adds up to [`EXAMPLES`] pictures, evenly over the cameras that have a crop.
pub fn collect(studio: &Studio, model: &ModelFolder, bar: &ProgressBar) -> Result<Value> {
    let crops = model.file()?.crops;
    if crops.is_empty() {
        return Err(UsageError("no camera has a crop yet: draw one first".into()).into());
    }
    let each = EXAMPLES.div_ceil(crops.len());
    let (mut added, mut unreadable, mut cameras) = (0, 0, 0);
    for (camera, crop) in &crops {
        let Some(source) = source_of(studio, camera) else { continue };
        cameras += 1;
        start(bar, 0, "looking for pictures");
        let stills = source.candidates(camera, CANDIDATES)?;
        let known = known(model, camera, crop)?;
        let ids: BTreeSet<String> = model.pictures()?.into_iter().map(|picture| picture.id).collect();
        let new: Vec<Still> = stills
            .into_iter()
            .filter(|still| !ids.contains(&picture_id(&still.bytes, still.moment)))
            .collect();
        start(bar, new.len() as u64, "looking at pictures");
        let seen = see(&new, crop, bar)?;
        unreadable += seen.iter().filter(|one| one.is_none()).count();
        let (places, candidates): (Vec<usize>, Vec<Candidate>) =
            seen.into_iter().enumerate().filter_map(|(i, one)| Some((i, one?))).unzip();
        for i in most_different(&known, &candidates, each) {
            let Still { bytes, moment } = &new[places[i]];
            model.add(camera, bytes, *moment)?;
            added += 1;
        }
    }
    Ok(json!({ "added": added, "unreadable": unreadable, "cameras": cameras }))
}

/// Each picture as a candidate; `None` for one that cannot be read.
fn see(stills: &[Still], crop: &CropFile, bar: &ProgressBar) -> Result<Vec<Option<Candidate>>> {
    let engine = Engine::new(shipped_plan()?);
    let one = |engine: &mut Engine, still: &Still| {
        let seen = candidate(engine, &still.bytes, crop, still.moment);
        bar.inc(1);
        seen
    };
    stills.par_iter().map_init(|| engine.clone(), one).collect()
}

fn candidate(
    engine: &mut Engine,
    bytes: &[u8],
    crop: &CropFile,
    moment: Option<Moment>,
) -> Result<Option<Candidate>> {
    let Ok(cut) = crop.cut(bytes) else { return Ok(None) };
    let mut input = Input::default();
    cut.sample(&mut input);
    let blocks = [Unseen::BLOCK];
    let features = engine.run(&input, &blocks)?.block(Unseen::BLOCK).to_vec();
    Ok(Some(Candidate { features, moment }))
}

/// The pictures that the model has of a camera.
fn known(model: &ModelFolder, camera: &str, crop: &CropFile) -> Result<Vec<Candidate>> {
    let pictures = model.pictures()?.into_iter().filter(|picture| picture.camera == camera);
    let stills: Vec<Still> = pictures
        .filter_map(|picture| Some(Still { bytes: fs::read(&picture.path).ok()?, moment: picture.moment() }))
        .collect();
    Ok(see(&stills, crop, &ProgressBar::hidden())?.into_iter().flatten().collect())
}

/// What the engine sees of a picture's crop file.
pub fn features_of(engine: &mut Engine, file: &[u8]) -> Option<Vec<f32>> {
    let input = picture::read(file).ok()?;
    Some(engine.run(&input, &[Unseen::BLOCK]).ok()?.block(Unseen::BLOCK).to_vec())
}
