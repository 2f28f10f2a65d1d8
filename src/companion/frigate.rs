//! Import from Frigate: its `config.yml` and its pictures become a workspace and a configuration of `ajard`.
//!
//! ```text
//! yaml           a file in which every value knows its line
//! config         cameras and state classifications in it
//! clips          the pictures of each model
//! device_config  the same cameras and classifications for ajard
//! ```
//!
//! Frigate keeps crops, not frames, so what comes of them is bound to the crop in its configuration.

mod clips;
mod config;
mod device_config;
mod yaml;

use super::picture;
use super::workspace::model::{CropFile, Definition};
use super::workspace::{ModelFolder, Workspace, names};
use crate::config::{Config, region};
use crate::exit::UsageError;
use anyhow::{Context, Result};
use clips::{Clips, Picture};
use config::{Frigate, Model, Usage};
use std::fs;
use std::path::{Path, PathBuf};

/// What came of an import.
pub struct Imported {
    /// Models of the workspace that there are now.
    pub models: Vec<String>,
    /// A configuration of `ajard`.
    pub config: String,
    /// What was renamed, left out or needs a look, a line each.
    pub notes: Vec<String>,
}

/// Reads Frigate's configuration; with a workspace also its pictures, from `clips` or the directory that is in.
pub fn import(config: &Path, pictures: Option<(&Path, &Workspace)>) -> Result<Imported> {
    let mut frigate = config::load(config)?;
    let mut models = Vec::new();
    if let Some((clips, workspace)) = pictures {
        let clips = clips_directory(clips)?;
        // All or nothing, as far as can be seen before.
        if let Some(model) = frigate.models.iter().find(|model| workspace.is_used(&model.name)) {
            return Err(UsageError(names::used(&model.name)).into());
        }
        for index in 0..frigate.models.len() {
            let notes = take_over(workspace, &frigate, &frigate.models[index], &clips)?;
            frigate.notes.extend(notes);
        }
        let made = frigate.models.iter().map(|model| model.name.clone());
        models.extend(made.filter(|name| workspace.model(name).is_ok()));
    }
    let config = device_config::write(&frigate);
    let mut notes = frigate.notes;
    for model in frigate.models.iter().filter(|model| model.usage == Usage::Disabled) {
        let why = "is disabled in Frigate, so it is not in the configuration";
        notes.push(format!("left out: the model {} {why}", model.name));
    }
    if let Err(why) = Config::parse(&config) {
        notes.push(format!("fill in: ajard would refuse this configuration as it is: {why}"));
    }
    Ok(Imported { models, config, notes })
}

/// Frigate's `clips` directory.
fn clips_directory(given: &Path) -> Result<PathBuf, UsageError> {
    let below = given.join("clips");
    let clips = if below.is_dir() { below } else { given.to_path_buf() };
    match clips.is_dir() {
        true => Ok(clips),
        false => {
            Err(UsageError(format!("--clips {}: no such directory; want Frigate's clips", given.display())))
        }
    }
}

/// Makes a model of the workspace. Gives what there is to say of it.
fn take_over(workspace: &Workspace, frigate: &Frigate, model: &Model, clips: &Path) -> Result<Vec<String>> {
    let found = clips::read(clips, &model.frigate_name)?;
    let name = &model.name;
    let definition = Definition { title: model.frigate_name.clone(), states: found.states.clone() };
    if let Some(why) = names::check(name, &definition, workspace).first() {
        return Ok(vec![format!(
            "left out: {name} is not in the workspace, as its classes will not do: {why}"
        )]);
    }
    let folder = workspace.create(name, definition)?;
    let mut notes = Vec::new();
    for (camera, crop) in &model.crops {
        match crop_file(frigate, camera, *crop, &found)? {
            Some(crop) => folder.set_crop(camera, crop)?,
            None => notes
                .push(format!("fill in: draw the crop of {name} on {camera}; its frame's size is not known")),
        }
    }
    let (counts, unreadable) = copy(&folder, &found)?;
    notes.push(format!("{name}: {counts}, in {}", folder.path().display()));
    notes.extend(unreadable);
    if model.crops.len() > 1 && !found.pictures.is_empty() {
        let first = model.crops.keys().next().map_or("", String::as_str);
        notes.push(format!(
            "look: Frigate does not say which camera a picture of {name} is from; all are with {first}"
        ));
    }
    if found.unlabelled > 0 {
        let why = "of the class none or unknown have no state now: Ajar says unknown by itself";
        notes.push(format!("look: {} pictures of {name} {why}", found.unlabelled));
    }
    Ok(notes)
}

/// A crop in fractions. The frame's size is `detect`'s, or follows from that of a picture of the crop.
fn crop_file(frigate: &Frigate, camera: &str, crop: [f64; 4], found: &Clips) -> Result<Option<CropFile>> {
    let size = frigate.cameras.get(camera).and_then(|camera| camera.frame_size);
    let edges = region(crop, size).map_err(UsageError)?.edges().map(f64::from);
    let [x1, y1, x2, y2] = edges;
    let whole = |part: u32, share: f64| (f64::from(part) / share).round() as u32;
    let from_picture = || {
        let first = fs::read(&found.pictures.first()?.path).ok()?;
        let picture = picture::decode(&first).ok()?;
        Some([whole(picture.width(), x2 - x1), whole(picture.height(), y2 - y1)])
    };
    Ok(size.or_else(from_picture).map(|size| CropFile::new(edges, size)).transpose()?)
}

/// Copies all pictures and labels them. Gives how many of each there are now, and what cannot be read.
fn copy(folder: &ModelFolder, found: &Clips) -> Result<(String, Vec<String>)> {
    let crops = folder.file()?.crops;
    let mut notes = Vec::new();
    let mut labelled = vec![Vec::new(); found.states.len()];
    let mut unlabelled = 0;
    // Without a crop nobody knows what they show.
    let pictures = crops
        .first_key_value()
        .into_iter()
        .flat_map(|crop| found.pictures.iter().map(move |one| (crop, one)));
    for ((camera, crop), Picture { path, state, taken }) in pictures {
        let bytes = fs::read(path).with_context(|| path.display().to_string())?;
        let added = match folder.add_crop(camera, crop, &bytes, *taken) {
            Ok(added) => added,
            Err(why) if why.is::<UsageError>() => {
                notes.push(format!("left out: {}: {why}", path.display()));
                continue;
            }
            Err(error) => return Err(error),
        };
        match found.states.iter().position(|known| Some(known) == state.as_ref()) {
            Some(state) => labelled[state].push(added.id().to_string()),
            None => unlabelled += 1,
        }
    }
    let mut counts = Vec::new();
    for (state, ids) in found.states.iter().zip(&labelled) {
        folder.label(ids, Some(state))?;
        counts.push(format!("{} {state}", ids.len()));
    }
    counts.push(format!("{unlabelled} without a state"));
    Ok((counts.join(", "), notes))
}
