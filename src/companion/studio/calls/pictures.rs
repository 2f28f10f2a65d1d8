//! Pictures: stills of the cameras, what the model would see of them, and the examples.

use super::{Answer, answer, lasting, passing, work};
use crate::companion::light::{Tones, lights};
use crate::companion::picture;
use crate::companion::studio::collect::source_of;
use crate::companion::studio::failure::Failure;
use crate::companion::studio::server::Shared;
use crate::companion::studio::sources::Still;
use crate::companion::studio::{Studio, lock};
use crate::companion::workspace::model::CropFile;
use crate::companion::workspace::pictures::{Added, Picture};
use crate::companion::workspace::{ModelFolder, names, now};
use crate::exit::UsageError;
use crate::watch::input::{INPUT_SIDE, Input};
use anyhow::{Context, Result};
use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query};
use axum::response::Response;
use image::{ImageFormat, RgbImage};
use rayon::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::Path as FilePath;
use std::sync::Arc;

/// The camera of a model's first pictures, where nothing else has one.
const UPLOADS: &str = "upload";

/// Every camera that a model could have, where its pictures come from, and its crop.
pub async fn cameras(studio: Shared, Path(model): Path<String>) -> Answer {
    answer(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        Ok(json!({ "cameras": all_cameras(studio, &model)?, "problems": problems(studio) }))
    })
    .await
}

pub fn all_cameras(studio: &Studio, model: &ModelFolder) -> Result<Vec<Value>> {
    let crops = model.file()?.crops;
    let mut names: BTreeSet<String> = crops.keys().cloned().collect();
    names.extend(model.pictures()?.into_iter().map(|picture| picture.camera));
    names.extend(studio.sources.iter().flat_map(|source| source.cameras().unwrap_or_default()));
    let camera = |name: String| {
        let from = source_of(studio, &name).map(|source| source.name());
        json!({ "name": name, "from": from, "crop": crops.get(&name) })
    };
    Ok(names.into_iter().map(camera).collect())
}

/// Sources that do not answer, and why.
pub fn problems(studio: &Studio) -> Vec<String> {
    studio
        .sources
        .iter()
        .filter_map(|source| source.cameras().err().map(|why| format!("{}: {why:#}", source.name())))
        .collect()
}

#[derive(Deserialize)]
pub struct Freshness {
    #[serde(default)]
    fresh: bool,
}

/// A still of a camera, whole.
pub async fn still(
    studio: Shared,
    Path((model, camera)): Path<(String, String)>,
    Query(Freshness { fresh }): Query<Freshness>,
) -> Result<Response, Failure> {
    work(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let bytes =
            if fresh { fresh_still(studio, &model, &camera)? } else { known_still(studio, &model, &camera)? };
        Ok(passing(kind(&bytes), bytes.to_vec()))
    })
    .await
}

fn kind(bytes: &[u8]) -> &'static str {
    image::guess_format(bytes).map_or("image/jpeg", |format| format.to_mime_type())
}

/// The still that was shown last: what is drawn on it and what is cut from it must be the same.
fn known_still(studio: &Studio, model: &ModelFolder, camera: &str) -> Result<Arc<Vec<u8>>> {
    let stills = lock(&studio.stills);
    let known = stills.get(camera).cloned();
    drop(stills);
    known.map_or_else(|| fresh_still(studio, model, camera), Ok)
}

fn fresh_still(studio: &Studio, model: &ModelFolder, camera: &str) -> Result<Arc<Vec<u8>>> {
    names::check_camera(camera)?;
    let bytes = match source_of(studio, camera) {
        Some(source) => source.still(camera)?.bytes,
        // Uploaded, or imported: the newest of the model's own.
        None => {
            let newest = model.pictures()?.into_iter().rfind(|picture| picture.camera == camera);
            let newest = newest.with_context(|| format!("there is no picture of camera {camera:?}"))?;
            fs::read(&newest.path)?
        }
    };
    let bytes = Arc::new(bytes);
    let mut stills = lock(&studio.stills);
    stills.insert(camera.into(), bytes.clone());
    Ok(bytes)
}

#[derive(Deserialize)]
pub struct Preview {
    /// `x1,y1,x2,y2`.
    crop: String,
}

/// Exactly what a model would see of the still: its input, made by the device's own way.
pub async fn preview(
    studio: Shared,
    Path((model, camera)): Path<(String, String)>,
    Query(Preview { crop }): Query<Preview>,
) -> Result<Response, Failure> {
    work(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let crop = CropFile::new(crate::companion::cut::parse_crop(&crop).map_err(UsageError)?, [0, 0])?;
        let cut = crop.cut(&known_still(studio, &model, &camera)?).map_err(UsageError)?;
        let mut input = Input::default();
        cut.sample(&mut input);
        Ok(passing("image/png", png(&picture::of_input(&input))?))
    })
    .await
}

fn png(picture: &RgbImage) -> Result<Vec<u8>> {
    debug_assert_eq!(picture.width() as usize, INPUT_SIDE);
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, ImageFormat::Png)?;
    Ok(bytes.into_inner())
}

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
    Ok(json!({
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
