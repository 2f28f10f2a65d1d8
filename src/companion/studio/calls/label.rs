//! Labels: which state a picture shows, and pictures that go.

use super::pictures::{Ids, JsonIds};
use super::{Answer, answer};
use crate::companion::studio::server::Shared;
use axum::Json;
use axum::extract::Path;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
pub struct Label {
    ids: Vec<String>,
    /// `None` takes the label away.
    state: Option<String>,
}

pub async fn label(
    studio: Shared,
    Path(model): Path<String>,
    Json(Label { ids, state }): Json<Label>,
) -> Answer {
    answer(studio, move |studio| {
        let before = studio.workspace.model(&model)?.label(&ids, state.as_deref())?;
        Ok(json!({ "before": before }))
    })
    .await
}

#[derive(Deserialize)]
pub struct Before {
    before: Vec<(String, Option<String>)>,
}

pub async fn relabel(
    studio: Shared,
    Path(model): Path<String>,
    Json(Before { before }): Json<Before>,
) -> Answer {
    answer(studio, move |studio| studio.workspace.model(&model)?.relabel(&before)).await
}

pub async fn delete(studio: Shared, Path(model): Path<String>, Json(Ids { ids }): JsonIds) -> Answer {
    answer(studio, move |studio| Ok(json!({ "undo": studio.workspace.model(&model)?.delete(&ids)? }))).await
}

#[derive(Deserialize)]
pub struct Undo {
    undo: String,
}

pub async fn undo(studio: Shared, Path(model): Path<String>, Json(Undo { undo }): Json<Undo>) -> Answer {
    answer(studio, move |studio| Ok(json!({ "pictures": studio.workspace.model(&model)?.undo(&undo)? })))
        .await
}
