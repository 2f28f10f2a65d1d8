//! Collecting: of everything that the sources have, the most different pictures become examples.

use super::Studio;
use super::sources::{Source, Still};
use crate::companion::diverse::{Candidate, most_different};
use crate::companion::embed::start;
use crate::companion::workspace::ModelFolder;
use crate::companion::workspace::model::CropFile;
use crate::companion::workspace::names::picture_id;
use crate::companion::workspace::pictures::Added;
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

/// The sources that have a camera, in the order of the command line.
fn sources_of<'a>(studio: &'a Studio, camera: &str) -> impl Iterator<Item = &'a Source> {
    let has = move |source: &&Source| {
        source.cameras().is_ok_and(|cameras| cameras.iter().any(|known| known == camera))
    };
    studio.sources.iter().filter(has)
}

/// The first source that has a camera; devices come first.
pub fn source_of<'a>(studio: &'a Studio, camera: &str) -> Option<&'a Source> {
    sources_of(studio, camera).next()
}

/// Adds up to [`EXAMPLES`] pictures, evenly over the cameras that have a crop.
pub fn collect(studio: &Studio, model: &ModelFolder, bar: &ProgressBar) -> Result<Value> {
    let crops = model.file()?.crops;
    if crops.is_empty() {
        return Err(UsageError("no camera has a crop yet: draw one first".into()).into());
    }
    let each = EXAMPLES.div_ceil(crops.len());
    let (mut added, mut unreadable) = (0, 0);
    for (camera, crop) in &crops {
        start(bar, 0, "looking for pictures");
        let mut stills = Vec::new();
        for source in sources_of(studio, camera) {
            stills.extend(source.candidates(camera, &model.name, CANDIDATES)?);
        }
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
            keep(model, camera, crop, &new[places[i]])?;
            added += 1;
        }
    }
    Ok(json!({ "added": added, "unreadable": unreadable }))
}

/// Makes an example of a picture, whole or not.
pub fn keep(model: &ModelFolder, camera: &str, crop: &CropFile, still: &Still) -> Result<Added> {
    if still.whole {
        model.add(camera, &still.bytes, still.moment)
    } else {
        model.add_crop(camera, crop, &still.bytes, still.moment)
    }
}

/// Each picture as a candidate; `None` for one that cannot be read.
fn see(stills: &[Still], crop: &CropFile, bar: &ProgressBar) -> Result<Vec<Option<Candidate>>> {
    let engine = Engine::new(shipped_plan()?);
    let one = |engine: &mut Engine, still: &Still| {
        let seen = candidate(engine, still, crop);
        bar.inc(1);
        seen
    };
    stills.par_iter().map_init(|| engine.clone(), one).collect()
}

fn candidate(engine: &mut Engine, still: &Still, crop: &CropFile) -> Result<Option<Candidate>> {
    let mut input = Input::default();
    if still.whole {
        let Ok(cut) = crop.cut(&still.bytes) else { return Ok(None) };
        cut.sample(&mut input);
    } else {
        let Ok(read) = picture::read(&still.bytes) else { return Ok(None) };
        input = read;
    }
    let features = engine.run(&input, &[Unseen::BLOCK])?.block(Unseen::BLOCK).to_vec();
    Ok(Some(Candidate { features, moment: still.moment }))
}

/// The pictures that the model has of a camera.
fn known(model: &ModelFolder, camera: &str, crop: &CropFile) -> Result<Vec<Candidate>> {
    let pictures = model.pictures()?.into_iter().filter(|picture| picture.camera == camera);
    let stills: Vec<Still> = pictures
        .filter_map(|picture| {
            let (moment, whole) = (picture.moment(), picture.crop.is_none());
            Some(Still { bytes: fs::read(&picture.path).ok()?, moment, whole })
        })
        .collect();
    Ok(see(&stills, crop, &ProgressBar::hidden())?.into_iter().flatten().collect())
}

/// What the engine sees of a picture's crop file.
pub fn features_of(engine: &mut Engine, file: &[u8]) -> Option<Vec<f32>> {
    let input = picture::read(file).ok()?;
    Some(engine.run(&input, &[Unseen::BLOCK]).ok()?.block(Unseen::BLOCK).to_vec())
}
