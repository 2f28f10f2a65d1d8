//! Training, its progress, and trying what came out.

use super::{Answer, answer, work};
use crate::companion::picture;
use crate::companion::said::Said;
use crate::companion::studio::collect::{collect as collect_examples, source_of};
use crate::companion::studio::failure::Failure;
use crate::companion::studio::jobs::{Kind, Progress};
use crate::companion::studio::server::Shared;
use crate::exit::UsageError;
use anyhow::Context;
use axum::Json;
use axum::extract::Path;
use axum::response::sse::{Event, KeepAlive, Sse};
use ct_codecs::{Base64, Encoder};
use futures_util::{Stream, stream};
use serde::Deserialize;
use serde_json::json;
use std::convert::Infallible;
use std::path::Path as FilePath;
use std::time::Duration;

/// How often a page hears of a job.
const PULSE: Duration = Duration::from_millis(250);

pub async fn collect(studio: Shared, Path(model): Path<String>) -> Answer {
    let shared = studio.0.clone();
    answer(studio, move |studio| {
        let folder = studio.workspace.model(&model)?;
        let job = move |bar: &_| collect_examples(&shared, &folder, bar);
        Ok(studio.jobs.start(&model, Kind::Collect, job)?)
    })
    .await
}

pub async fn train(studio: Shared, Path(model): Path<String>) -> Answer {
    let shared = studio.0.clone();
    answer(studio, move |studio| {
        let folder = studio.workspace.model(&model)?;
        // What is missing is said now, not by a job that fails.
        folder.dataset(&folder.basis()?)?;
        let job = move |bar: &_| Ok(serde_json::to_value(folder.train(&shared.cache, bar)?)?);
        Ok(studio.jobs.start(&model, Kind::Train, job)?)
    })
    .await
}

pub async fn progress(studio: Shared, Path(model): Path<String>) -> Json<Progress> {
    Json(studio.jobs.progress(&model))
}

/// The progress whenever it has changed.
pub async fn events(
    Shared { 0: studio }: Shared,
    Path(model): Path<String>,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let next = move |last: Option<Progress>| {
        let (studio, model) = (studio.clone(), model.clone());
        async move {
            loop {
                let now = studio.jobs.progress(&model);
                if last.as_ref() != Some(&now) {
                    let event = Event::default().json_data(&now).unwrap_or_default();
                    return Some((Ok(event), Some(now)));
                }
                tokio::time::sleep(PULSE).await;
            }
        }
    };
    Sse::new(stream::unfold(None, next)).keep_alive(KeepAlive::default())
}

#[derive(Deserialize)]
pub struct Version {
    pub version: String,
}

pub async fn choose(
    studio: Shared,
    Path(model): Path<String>,
    Json(Version { version }): Json<Version>,
) -> Answer {
    answer(studio, move |studio| studio.workspace.model(&model)?.choose_version(&version)).await
}

/// What the version that counts says of a camera's picture now, and the picture's crop.
pub async fn try_it(
    studio: Shared,
    Path((model, camera)): Path<(String, String)>,
) -> Result<Json<serde_json::Value>, Failure> {
    let said = work(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let file = model.file()?;
        let version = file.version.ok_or_else(|| UsageError("nothing is trained yet".into()))?;
        let crop = file.crops.get(&camera);
        let crop = crop.ok_or_else(|| UsageError(format!("camera {camera:?} has no crop")))?;
        let source = source_of(studio, &camera);
        let source =
            source.ok_or_else(|| UsageError(format!("nothing gives pictures of camera {camera:?} now")))?;
        let cut = crop.cut(&source.still(&camera)?.bytes).map_err(UsageError)?;
        let jpeg = picture::jpeg(&cut)?;
        let mut loaded = model.load_version(&version)?;
        let input = picture::read(&jpeg).map_err(UsageError)?;
        let features = loaded.engine.run(&input, loaded.model.blocks())?;
        let classification = loaded.model.classify(&features);
        let said = Said::new(&loaded.model.manifest, FilePath::new(&camera), &classification);
        let picture = Base64::encode_to_string(jpeg).context("the picture cannot be shown")?;
        Ok(json!({ "said": said, "picture": format!("data:image/jpeg;base64,{picture}") }))
    })
    .await?;
    Ok(Json(said))
}
