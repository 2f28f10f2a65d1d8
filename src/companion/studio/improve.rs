//! The improve loop: what devices saw lately, and which of it is worth a label.

use super::Studio;
use super::calls::devices::{link, links};
use super::collect::{self, features_of};
use super::link::{of_time, plain_id};
use super::sources::Still;
use crate::companion::moment::Moment;
use crate::companion::picture;
use crate::companion::shipped_plan;
use crate::companion::suggest::{NEAR, suggest};
use crate::companion::workspace::names::slug;
use crate::companion::workspace::pictures::Added;
use crate::companion::workspace::seen::Seen;
use crate::companion::workspace::{ModelFolder, make_folder};
use crate::engine::Engine;
use crate::exit::UsageError;
use anyhow::{Context, Result};
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
    /// By state, as the model of that time had them.
    probabilities: BTreeMap<String, f64>,
    reason: String,
    agreeing: u64,
    needed: u64,
    seq: Option<u64>,
    /// Whether the device has kept its picture.
    picture: bool,
    /// Its picture is a whole frame; else the very crop that was looked at.
    #[serde(skip)]
    whole: bool,
    /// Its picture among the examples, and the state that it has there.
    example: Option<String>,
    label: Option<String>,
    #[serde(skip)]
    id: Option<String>,
}

/// The newest attempts of a model on all devices, the newest first, and what kept others from being here.
pub fn attempts(studio: &Studio, model: &ModelFolder) -> Result<(Vec<Attempt>, Vec<String>)> {
    let seen = model.seen()?;
    let labels: BTreeMap<String, Option<String>> =
        model.pictures()?.into_iter().map(|picture| (picture.id, picture.state)).collect();
    let (mut all, mut problems) = (Vec::new(), Vec::new());
    for (device, link) in links(studio) {
        let recent = match link.recent() {
            Ok(recent) => recent,
            Err(why) => {
                problems.push(format!("{}: {why:#}", link.name()));
                continue;
            }
        };
        let rows = recent["attempts"].as_array().into_iter().flatten();
        let own = rows.filter(|row| row["model"] == *model.name);
        all.extend(own.filter_map(|row| of_row(device, row)));
    }
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
    all.sort_by(|a, b| b.time.cmp(&a.time));
    Ok((all, problems))
}

fn of_row(device: usize, row: &Value) -> Option<Attempt> {
    let text = |key: &str| row[key].as_str().map(str::to_string);
    let (camera, time) = (text("camera")?, text("time")?);
    let id = plain_id(&row["id"]).filter(|id| id != "null");
    let said: Vec<f64> = row["probabilities"].as_array()?.iter().filter_map(Value::as_f64).collect();
    let states = row["states"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let key: String = slug(&format!("{time}-{}-{camera}", id.as_deref().unwrap_or_default()));
    Some(Attempt {
        device,
        key,
        moment: of_time(&row["time"]),
        state: text("vote").unwrap_or_default(),
        probability: said.iter().copied().fold(0.0, f64::max),
        probabilities: states.map(str::to_string).zip(said).collect(),
        reason: text("reason").unwrap_or_default(),
        agreeing: row["agreeing"].as_u64().unwrap_or(0),
        needed: row["needed"].as_u64().unwrap_or(0),
        seq: row["seq"].as_u64(),
        picture: row["picture"] == true && id.is_some(),
        whole: row["whole"] == true,
        example: None,
        label: None,
        camera,
        time,
        id,
    })
}

pub fn attempt(studio: &Studio, model: &ModelFolder, device: usize, key: &str) -> Result<Attempt> {
    let found = attempts(studio, model)?.0.into_iter().find(|one| one.device == device && one.key == key);
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
    let crop = model.file()?.crops.get(&attempt.camera).copied().filter(|_| attempt.whole);
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

/// Makes an example of an attempt's picture.
pub fn keep(studio: &Studio, model: &ModelFolder, attempt: &Attempt) -> Result<Added> {
    let bytes = fs::read(frame_file(studio, model, attempt)?)?;
    let crop = model.file()?.crops.get(&attempt.camera).copied();
    let crop = crop.ok_or_else(|| {
        UsageError(format!(
            "this model has no crop of camera {:?} yet: draw it on the Crop page",
            attempt.camera
        ))
    })?;
    let still = Still { bytes, moment: attempt.moment, whole: attempt.whole };
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
    let useful = suggest(&loaded, &studio.cache, paths, files.len())?;
    let useful: BTreeSet<PathBuf> = useful.label.into_iter().map(|one| one.picture).collect();
    let nothing: Vec<&str> =
        files.iter().filter(|(_, path)| !useful.contains(path)).map(|(one, _)| one.key.as_str()).collect();
    Ok(json!({ "like": like, "adds_nothing": nothing }))
}

fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum()
}
