//! Calls: what a page asks for, answered in JSON or by a picture.

pub mod devices;
pub mod import;
pub mod label;
pub mod models;
pub mod pictures;
pub mod recent;
pub mod stills;
pub mod train;

use super::Studio;
use super::failure::Failure;
use super::server::Shared;
use anyhow::Result;
use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

pub type Answer = Result<Json<Value>, Failure>;

/// Does in a thread of its own what may wait for a disk or a device.
pub async fn work<T: Send + 'static>(
    Shared { 0: studio }: Shared,
    work: impl FnOnce(&Studio) -> Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(move || work(&studio)).await;
    let crashed = |_| Failure::new(StatusCode::INTERNAL_SERVER_ERROR, "it crashed; the terminal has more");
    Ok(done.map_err(crashed)??)
}

/// The same for a call that answers with JSON.
async fn answer<T: serde::Serialize + Send + 'static>(
    studio: Shared,
    job: impl FnOnce(&Studio) -> Result<T> + Send + 'static,
) -> Answer {
    let done = work(studio, move |studio| Ok(serde_json::to_value(job(studio)?)?)).await?;
    Ok(Json(if done.is_null() { json!({}) } else { done }))
}

fn kind(picture: &[u8]) -> &'static str {
    image::guess_format(picture).map_or("image/jpeg", |format| format.to_mime_type())
}

/// A picture that never changes at its address.
fn lasting(kind: &'static str, bytes: Vec<u8>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "private, max-age=31536000, immutable")];
    (headers, bytes).into_response()
}

/// A picture that is another one the next time.
fn passing(kind: &'static str, bytes: Vec<u8>) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "no-store")], bytes).into_response()
}
