//! Pictures: the examples, and how more come in.

use super::{Answer, answer, kind, lasting, work};
use crate::companion::light::{Tones, lights};
use crate::companion::studio::collect::source_of;
use crate::companion::studio::failure::Failure;
use crate::companion::studio::server::Shared;
use crate::companion::studio::sources::Still;
use crate::companion::studio::{Studio, lock};
use crate::companion::workspace::model::CropFile;
use crate::companion::workspace::pictures::{Added, Picture};
use crate::companion::workspace::{ModelFolder, now};
use crate::exit::UsageError;
use anyhow::Result;
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::response::Response;
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::Path as FilePath;

/// The camera of a model's first pictures, where nothing else has one.
const UPLOADS: &str = "upload";

/// All examples, for the grid.
pub async fn list(studio: Shared, Path(model): Path<String>) -> Answer {
    answer(studio, move |studio| examples(studio, &studio.workspace.model(&model)?)).await
}

pub fn examples(studio: &Studio, model: &ModelFolder) -> Result<Value> {
    let file = model.file()?;
    let pictures = model.pictures()?;
    let cut = model.cut_all(&file, &pictures)?;
    let tones: Vec<Option<Tones>> = cut.par_iter().map(|(_, path)| tones(studio, path)).collect();
    let known: Vec<Tones> = tones.iter().flatten().copied().collect();
    let mut of_known = lights(&known).into_iter();
    let rows: Vec<Value> = cut
        .iter()
        .zip(&tones)
        .map(|((i, _), tones)| {
            row(&pictures[*i], tones.and_then(|_| of_known.next()).map(|light| light.name()), &file.crops)
        })
        .collect();
    // Pictures of a camera without a crop wait, and are not lost.
    let without = pictures.iter().filter(|picture| !file.crops.contains_key(&picture.camera)).count();
    let mut other_crop = 0;
    for (camera, crop) in &file.crops {
        other_crop += model.waiting(camera, Some(crop))?.iter().map(|(_, count)| count).sum::<usize>();
    }
    Ok(json!({
        "other_crop": other_crop,
        "states": file.states,
        "pictures": rows,
        "without_crop": without,
        "quarantined": model.quarantined(),
    }))
}

/// What a crop's light is judged by. A crop never changes at its path, and thousands are asked for again and again.
fn tones(studio: &Studio, crop: &FilePath) -> Option<Tones> {
    let known = || lock(&studio.tones);
    if let Some(tones) = known().get(crop) {
        return Some(*tones);
    }
    let tones = Tones::of(&image::open(crop).ok()?.into_rgb8());
    known().insert(crop.into(), tones);
    Some(tones)
}

fn row(
    picture: &Picture,
    light: Option<&str>,
    crops: &std::collections::BTreeMap<String, CropFile>,
) -> Value {
    let time = picture.moment().and_then(|moment| jiff::Timestamp::from_second(moment).ok());
    let version = crops.get(&picture.camera).map(|crop| crop.crop.map(|edge| edge.to_string()).join(","));
    json!({
        "id": picture.id,
        "camera": picture.camera,
        "state": picture.state,
        "time": time.map(|time| time.strftime("%Y-%m-%d %H:%M").to_string()),
        "light": light,
        "crop": version,
    })
}

/// The crop of an example. Its address has the crop's edges, so that it may be kept for ever.
pub async fn crop(studio: Shared, Path((model, id)): Path<(String, String)>) -> Result<Response, Failure> {
    work(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let picture = model.picture(&id)?;
        let file = model.file()?;
        let crop = file.crops.get(&picture.camera);
        let crop = crop.ok_or_else(|| UsageError(format!("camera {:?} has no crop yet", picture.camera)))?;
        let path = model.crop_of(&picture, crop)?;
        let path =
            path.ok_or_else(|| UsageError("this picture cannot be read; it is in quarantine".into()))?;
        Ok(lasting("image/jpeg", fs::read(path)?))
    })
    .await
}

pub async fn frame(studio: Shared, Path((model, id)): Path<(String, String)>) -> Result<Response, Failure> {
    work(studio, move |studio| {
        let bytes = fs::read(studio.workspace.model(&model)?.picture(&id)?.path)?;
        Ok(lasting(kind(&bytes), bytes))
    })
    .await
}

/// Takes a picture of a camera now.
pub async fn take(studio: Shared, Path((model, camera)): Path<(String, String)>) -> Answer {
    answer(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let source = source_of(studio, &camera);
        let source =
            source.ok_or_else(|| UsageError(format!("nothing gives pictures of camera {camera:?} now")))?;
        let Still { bytes, moment, .. } = source.still(&camera)?;
        added(&model.add(&camera, &bytes, moment)?)
    })
    .await
}

#[derive(Deserialize)]
pub struct Upload {
    /// Needed where several have a crop.
    camera: Option<String>,
    /// Milliseconds since 1970, as the clock on the wall said when the file was changed.
    modified: Option<i64>,
    /// The file's name.
    name: Option<String>,
}

/// A picture from the user's own files: the body is the file.
pub async fn upload(
    studio: Shared,
    Path(model): Path<String>,
    Query(Upload { camera, modified, name }): Query<Upload>,
    body: Bytes,
) -> Answer {
    answer(studio, move |studio| {
        use crate::companion::moment;
        let model = studio.workspace.model(&model)?;
        let named = name.as_deref().and_then(moment::of_name);
        let taken = named.or_else(|| moment::of_exif(&body));
        let moment = taken.or(modified.map(|ms| ms / 1000)).filter(|moment| *moment <= now() + 86_400);
        let crops = model.file()?.crops;
        let camera = match (camera, crops.len()) {
            (Some(camera), _) => camera,
            (None, 0) => UPLOADS.to_string(),
            (None, 1) => crops.into_keys().next().unwrap_or_default(),
            (None, _) => return Err(UsageError("which camera are these pictures of?".into()).into()),
        };
        added(&model.add(&camera, &body, moment)?)
    })
    .await
}

fn added(added: &Added) -> Result<Value> {
    Ok(json!({ "id": added.id(), "new": matches!(added, Added::New(_)) }))
}

/// For [`super::label`]: ids of pictures.
#[derive(Deserialize)]
pub struct Ids {
    pub ids: Vec<String>,
}

pub type JsonIds = Json<Ids>;
