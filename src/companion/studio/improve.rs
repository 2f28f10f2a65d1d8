//! The improve loop: what devices saw lately, and which of it is worth a label.

use super::Studio;
use super::calls::devices::{ask_all, link};
use super::collect::{self, features_of};
use super::link::{Extent, Link, of_time, plain_id};
use super::sources::Still;
use crate::companion::moment::Moment;
use crate::companion::picture;
use crate::companion::shipped_plan;
use crate::companion::suggest::{NEAR, suggest};
use crate::companion::workspace::model::{CropFile, ModelFile};
use crate::companion::workspace::names::slug;
use crate::companion::workspace::pictures::Added;
use crate::companion::workspace::seen::Seen;
use crate::companion::workspace::{ModelFolder, make_folder};
use crate::engine::Engine;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use indicatif::ProgressBar;
use serde::Serialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// Pictures that are looked at for their worth, the newest first.
const LOOKED_AT: usize = 120;

/// An attempt of a device, as the page wants it.
#[derive(Clone, Debug, Serialize)]
pub struct Attempt {
    pub device: usize,
    /// Names it for ever: camera, time and the device's own id.
    pub key: String,
    pub camera: String,
    time: String,
    #[serde(skip)]
    pub moment: Option<Moment>,
    state: String,
    probability: f64,
    /// By state of the model that looked, which may have had others.
    probabilities: BTreeMap<String, f64>,
    reason: String,
    agreeing: u64,
    needed: u64,
    seq: Option<u64>,
    /// Whether the device has kept its picture.
    picture: bool,
    #[serde(skip)]
    extent: Extent,
    /// Its picture among the examples, and the state that it has there.
    example: Option<String>,
    label: Option<String>,
    #[serde(skip)]
    id: Option<String>,
}

/// The newest attempts of a model on all devices, the newest first, and what kept others from being here.
pub fn attempts(studio: &Studio, model: &ModelFolder) -> Result<(Vec<Attempt>, Vec<String>)> {
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for (link, told) in ask_all(studio, |device, link| (link, told_by(device, link, model))) {
        match told {
            Ok(attempts) => all.extend(attempts),
            Err(why) => problems.push(format!("{}: {why:#}", link.name())),
        }
    }
    all.sort_by(|a: &Attempt, b| b.time.cmp(&a.time));
    Ok((without_dealt_with(model, all)?, problems))
}

/// What one device tells of a model.
fn told_by(device: usize, link: &Link, model: &ModelFolder) -> Result<Vec<Attempt>> {
    let recent = link.recent()?;
    let rows = recent["attempts"].as_array().into_iter().flatten();
    let own = rows.filter(|row| row["model"] == *model.name);
    Ok(own.filter_map(|row| of_row(device, row)).collect())
}

/// Those that are not put away, and what became of each.
fn without_dealt_with(model: &ModelFolder, mut all: Vec<Attempt>) -> Result<Vec<Attempt>> {
    let seen = model.seen()?;
    let labels: BTreeMap<String, Option<String>> =
        model.pictures()?.into_iter().map(|picture| (picture.id, picture.state)).collect();
    all.retain_mut(|attempt| match seen.get(&attempt.key) {
        Some(Seen::PutAway) => false,
        Some(Seen::Example(id)) => {
            // One that was deleted since is an attempt like any other.
            attempt.label = labels.get(id).cloned().flatten();
            attempt.example = labels.contains_key(id).then(|| id.clone());
            true
        }
        None => true,
    });
    Ok(all)
}

fn of_row(device: usize, row: &Value) -> Option<Attempt> {
    let text = |key: &str| row[key].as_str().map(str::to_string);
    let (camera, time) = (text("camera")?, text("time")?);
    let id = plain_id(&row["id"]).filter(|id| id != "null");
    let said: Vec<f64> = row["probabilities"].as_array()?.iter().filter_map(Value::as_f64).collect();
    let states: Vec<&str> =
        row["states"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let named = said.len() == states.len();
    let key: String = slug(&format!("{time}-{}-{camera}", id.as_deref().unwrap_or_default()));
    Some(Attempt {
        device,
        key,
        moment: of_time(&row["time"]),
        state: text("vote").unwrap_or_default(),
        probability: said.iter().copied().fold(0.0, f64::max),
        probabilities: states.into_iter().map(str::to_string).zip(said).filter(|_| named).collect(),
        reason: text("reason").unwrap_or_default(),
        agreeing: row["agreeing"].as_u64().unwrap_or(0),
        needed: row["needed"].as_u64().unwrap_or(0),
        seq: row["seq"].as_u64(),
        picture: row["picture"] == true && id.is_some(),
        extent: Extent::told(row["whole"] == true, &row["crop"]),
        example: None,
        label: None,
        camera,
        time,
        id,
    })
}

pub fn attempt(studio: &Studio, model: &ModelFolder, device: usize, key: &str) -> Result<Attempt> {
    let all = without_dealt_with(model, told_by(device, link(studio, device)?, model)?)?;
    let found = all.into_iter().find(|one| one.key == key);
    found.ok_or_else(|| UsageError("the device does not have this picture any more".into()).into())
}

/// The file with an attempt's picture as the device gave it.
pub fn frame_file(studio: &Studio, model: &ModelFolder, attempt: &Attempt) -> Result<PathBuf> {
    let folder = model.cache().join("recent").join(attempt.device.to_string());
    let path = folder.join(&attempt.key).with_extension("jpg");
    if !path.is_file() {
        let id = attempt.id.as_deref().filter(|_| attempt.picture);
        let id = id.ok_or_else(|| UsageError("the device has kept no picture of this attempt".into()))?;
        let bytes = link(studio, attempt.device)?.get_bytes(&format!("/v1/recent/{id}/picture"))?;
        make_folder(&folder)?;
        crate::companion::pack::write_whole(&path, &bytes)?;
    }
    Ok(path)
}

/// The file with what an attempt looked at. Where this model has no crop of the camera it is the whole picture.
pub fn crop_file(studio: &Studio, model: &ModelFolder, attempt: &Attempt) -> Result<PathBuf> {
    let frame = frame_file(studio, model, attempt)?;
    let crop = model.file()?.crops.get(&attempt.camera).copied().filter(|_| attempt.extent == Extent::Whole);
    let Some(crop) = crop else { return Ok(frame) };
    let folder = frame.with_file_name(crop.folder());
    let path = folder.join(&attempt.key).with_extension("jpg");
    if !path.is_file() {
        make_folder(&folder)?;
        let cut = crop.cut(&fs::read(&frame)?).map_err(UsageError)?;
        crate::companion::pack::write_whole(&path, &picture::jpeg(&cut)?)?;
    }
    Ok(path)
}

/// The crop by which an attempt's picture can be an example.
pub fn crop_for(file: &ModelFile, attempt: &Attempt) -> Result<CropFile, UsageError> {
    let Some(crop) = file.crops.get(&attempt.camera) else {
        return Err(UsageError(format!(
            "this model has no crop of camera {:?} yet: draw it on the Crop page",
            attempt.camera
        )));
    };
    match attempt.extent.gives(crop) {
        true => Ok(*crop),
        false => Err(UsageError(collect::OTHER_CROP.into())),
    }
}

/// Makes an example of an attempt's picture.
pub fn keep(studio: &Studio, model: &ModelFolder, attempt: &Attempt) -> Result<Added> {
    let bytes = fs::read(frame_file(studio, model, attempt)?)?;
    let crop = crop_for(&model.file()?, attempt)?;
    let still = Still { bytes, moment: attempt.moment, extent: attempt.extent.clone() };
    collect::keep(model, &attempt.camera, &crop, &still)
}

/// Of the newest pictures without a label: those that would teach something, and for each the first that it is nearly
/// the same as.
pub fn worth(studio: &Studio, model: &ModelFolder) -> Result<Value> {
    let (all, _) = attempts(studio, model)?;
    let open = all.iter().filter(|one| one.picture && one.example.is_none()).take(LOOKED_AT);
    let files: Vec<(&Attempt, PathBuf)> =
        open.filter_map(|one| Some((one, crop_file(studio, model, one).ok()?))).collect();
    let mut engine = Engine::new(shipped_plan()?);
    let mut leaders: Vec<(&str, Vec<f32>)> = Vec::new();
    let mut like: BTreeMap<&str, &str> = BTreeMap::new();
    for (attempt, path) in &files {
        let Some(features) = features_of(&mut engine, &fs::read(path)?) else { continue };
        match leaders.iter().find(|(_, leader)| squared_distance(leader, &features) < NEAR) {
            Some((leader, _)) => drop(like.insert(&attempt.key, leader)),
            None => leaders.push((&attempt.key, features)),
        }
    }
    let Some(version) = model.file()?.version else {
        return Ok(json!({ "like": like, "adds_nothing": [] }));
    };
    let loaded = model.load_version(&version).context("the version that counts cannot be used")?;
    let paths = files.iter().map(|(_, path)| path.clone()).collect();
    let useful = suggest(&loaded, &studio.cache, paths, files.len(), &ProgressBar::hidden())?;
    let useful: BTreeSet<PathBuf> = useful.label.into_iter().map(|one| one.picture).collect();
    let nothing: Vec<&str> =
        files.iter().filter(|(_, path)| !useful.contains(path)).map(|(one, _)| one.key.as_str()).collect();
    Ok(json!({ "like": like, "adds_nothing": nothing }))
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_of_the_states_that_the_device_names() {
        let row = json!({
            "camera": "drive", "time": "2026-03-02T07:41:15.730Z", "vote": "shut", "model": "gate",
            "probabilities": [0.25, 0.75], "states": ["shut", "ajar"], "picture": true, "id": "000001-0",
            "whole": false, "crop": [0.1, 0.2, 0.30000001, 0.4],
        });
        let attempt = of_row(0, &row).unwrap();
        let said = [("ajar".to_string(), 0.75), ("shut".to_string(), 0.25)];
        assert_eq!(attempt.probabilities, BTreeMap::from(said));
        let of = |edges| attempt.extent.gives(&CropFile::new(edges, [0, 0]).unwrap());
        assert!(of([0.1, 0.2, 0.3, 0.4]) && !of([0.1, 0.2, 0.32, 0.4]));
    }
}
