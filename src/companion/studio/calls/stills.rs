//! Stills: the cameras that a model could have, a picture of each to draw the crop on, and what the model would see of it.

use super::{Answer, answer, passing, work};
use crate::companion::dataset::pictures_below;
use crate::companion::light::Tones;
use crate::companion::picture;
use crate::companion::studio::collect::source_of;
use crate::companion::studio::failure::Failure;
use crate::companion::studio::server::Shared;
use crate::companion::studio::sources::Source;
use crate::companion::studio::{Studio, lock};
use crate::companion::workspace::model::CropFile;
use crate::companion::workspace::{ModelFolder, names};
use crate::exit::UsageError;
use crate::watch::input::{INPUT_SIDE, Input};
use anyhow::Result;
use axum::extract::{Path, Query};
use axum::response::Response;
use image::{ImageFormat, RgbImage};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Pictures among which the first to be shown is chosen: by night there may be nothing to draw on.
const CHOICE: usize = 8;
/// A page that is opened later than this gets a new still.
const LASTS: Duration = Duration::from_secs(600);

/// The still of a camera that was shown last: what is drawn on it and what is cut from it must be the same.
#[derive(Clone)]
pub struct Shown {
    bytes: Arc<Vec<u8>>,
    since: Instant,
    /// Among the pictures there are, where the camera has no more than these.
    index: usize,
}

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
    let pictures = model.pictures()?;
    let mut names: BTreeSet<String> = crops.keys().cloned().collect();
    names.extend(pictures.iter().map(|picture| picture.camera.clone()));
    names.extend(studio.sources.iter().flat_map(|source| source.cameras().unwrap_or_default()));
    let camera = |name: String| {
        let from = source_of(studio, &name).map(|source| source.name());
        // They count for the crop alone that they are of.
        let cut_outs = pictures.iter().filter(|picture| picture.camera == name && picture.crop.is_some());
        let waiting = model.waiting(&name, crops.get(&name))?;
        Ok(json!({
            "name": name,
            "from": from,
            "crop": crops.get(&name),
            "cut_outs": cut_outs.count(),
            "waiting": waiting,
        }))
    };
    names.into_iter().map(camera).collect()
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
        let known = known(studio, &model, &camera).filter(|shown| !fresh && shown.since.elapsed() < LASTS);
        let bytes = match known {
            Some(shown) => shown.bytes,
            None => another(studio, &model, &camera, fresh)?,
        };
        Ok(passing(super::kind(&bytes), bytes.to_vec()))
    })
    .await
}

/// Models share what a source shows; pictures of their own they do not.
fn key(studio: &Studio, model: &ModelFolder, camera: &str) -> String {
    match source_of(studio, camera) {
        Some(_) => camera.into(),
        None => format!("{}/{camera}", model.name),
    }
}

fn known(studio: &Studio, model: &ModelFolder, camera: &str) -> Option<Shown> {
    lock(&studio.stills).get(&key(studio, model, camera)).cloned()
}

/// A still from the camera, or one of the pictures there are: the best to draw on, or the one after the last.
fn another(studio: &Studio, model: &ModelFolder, camera: &str, next: bool) -> Result<Arc<Vec<u8>>> {
    names::check_camera(camera)?;
    let last = known(studio, model, camera).filter(|_| next).map(|shown| shown.index);
    let (index, bytes) = match source_of(studio, camera) {
        Some(Source::Pictures { folder, .. }) => next_of(&pictures_below(folder)?, last, camera)?,
        Some(source) => (0, source.still(camera)?.bytes),
        // Uploaded, or imported.
        None => {
            let pictures = model.pictures()?.into_iter();
            let frames = pictures.filter(|picture| picture.camera == camera && picture.crop.is_none());
            next_of(&frames.map(|picture| picture.path).collect::<Vec<_>>(), last, camera)?
        }
    };
    let bytes = Arc::new(bytes);
    let shown = Shown { bytes: bytes.clone(), since: Instant::now(), index };
    lock(&studio.stills).insert(key(studio, model, camera), shown);
    Ok(bytes)
}

/// The brightest of some, and then one after the other, from all times. Cameras leave files behind that are cut short.
fn next_of(pictures: &[PathBuf], last: Option<usize>, camera: &str) -> Result<(usize, Vec<u8>)> {
    let count = pictures.len();
    let readable = |index: usize| {
        let bytes = fs::read(&pictures[index]).ok()?;
        let luma = Tones::of(&picture::decode(&bytes).ok()?).luma;
        Some((index, bytes, luma))
    };
    let step = count / CHOICE + 1;
    let found = match last {
        None => {
            let some = (0..count).step_by(step).filter_map(readable);
            some.max_by(|a, b| a.2.total_cmp(&b.2)).or_else(|| (0..count).find_map(readable))
        }
        Some(last) => (1..=count).map(|n| (last + n * step) % count).find_map(readable),
    };
    let (index, bytes, _) = found.ok_or_else(|| {
        let why = "there is no whole picture of it that can be read. Add one at Dataset, or start the studio with a \
                   --device, --video or --pictures that shows it";
        UsageError(format!("camera {camera:?}: {why}"))
    })?;
    Ok((index, bytes))
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
        let bytes = match known(studio, &model, &camera) {
            Some(shown) => shown.bytes,
            None => another(studio, &model, &camera, false)?,
        };
        let cut = crop.cut(&bytes).map_err(UsageError)?;
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
