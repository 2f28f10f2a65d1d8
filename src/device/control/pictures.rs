//! What the socket tells of pictures: snapshots, the gallery, recent attempts.
//!
//! Ids and names are looked up in what is known, never joined to a path.

use super::{Access, Context, Failure};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::io;

/// Of which watches; of all, if nothing is said.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    model: Option<String>,
    camera: Option<String>,
}

pub async fn recent(
    State(shared): Context,
    query: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Value>, Failure> {
    let Query(Filter { model, camera }) =
        query.map_err(|error| Failure::new(error.status(), error.body_text()))?;
    let is = |wanted: &Option<String>, name: &str| wanted.as_ref().is_none_or(|wanted| wanted == name);
    let Access { recent, journal, .. } = &shared.access;
    let attempts = recent.list(journal, |m, c| is(&model, m) && is(&camera, c));
    Ok(Json(json!({ "attempts": attempts })))
}

pub async fn attempt(State(shared): Context, Path(id): Path<String>) -> Result<Response, Failure> {
    let missing = format!("no picture of attempt {id:?}; GET /v1/recent says which have one");
    picture(missing, move || shared.access.recent.read(&id)).await
}

pub async fn gallery(State(shared): Context, Path(camera): Path<String>) -> Result<Json<Value>, Failure> {
    let frames = shared.access.gallery.list(&camera);
    let missing = || Failure::new(StatusCode::NOT_FOUND, format!("no camera {camera:?}"));
    Ok(Json(json!({ "frames": frames.ok_or_else(missing)? })))
}

pub async fn frame(
    State(shared): Context,
    Path((camera, id)): Path<(String, String)>,
) -> Result<Response, Failure> {
    let missing = no_frame(&camera, &id);
    picture(missing, move || shared.access.gallery.read(&camera, &id)).await
}

pub async fn delete(
    State(shared): Context,
    Path((camera, id)): Path<(String, String)>,
) -> Result<Json<Value>, Failure> {
    let (missing, gone) = (no_frame(&camera, &id), json!({ "id": id }));
    let deleted = aside(move || shared.access.gallery.delete(&camera, &id)).await?;
    deleted.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, missing))?;
    Ok(Json(gone))
}

fn no_frame(camera: &str, id: &str) -> String {
    format!("no frame {id:?} of camera {camera:?}; GET /v1/cameras/CAMERA/gallery lists them")
}

pub async fn snapshot(State(shared): Context, Path(camera): Path<String>) -> Result<Response, Failure> {
    let name = camera.clone();
    match aside(move || shared.access.snapshots.jpeg(&name)).await? {
        Some(Ok(bytes)) => Ok(jpeg(bytes)),
        Some(Err(why)) => {
            Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, format!("camera {camera}: {why}")))
        }
        None => Err(Failure::new(StatusCode::NOT_FOUND, format!("no camera {camera:?} is watched"))),
    }
}

async fn picture(
    missing: String,
    read: impl FnOnce() -> Option<io::Result<Vec<u8>>> + Send + 'static,
) -> Result<Response, Failure> {
    match aside(read).await? {
        Some(Ok(bytes)) => Ok(jpeg(bytes)),
        // It had to go while it was asked for.
        Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            Err(Failure::new(StatusCode::NOT_FOUND, missing))
        }
        Some(Err(error)) => Err(Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())),
        None => Err(Failure::new(StatusCode::NOT_FOUND, missing)),
    }
}

fn jpeg(bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, "image/jpeg")], bytes).into_response()
}

/// Where a slow disk, or a large frame, keeps nobody else waiting.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
