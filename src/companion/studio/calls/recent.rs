//! Recent: what devices saw lately.

use super::{Answer, answer, lasting, work};
use crate::companion::studio::failure::Failure;
use crate::companion::studio::improve::{self, Attempt};
use crate::companion::studio::server::Shared;
use crate::companion::workspace::seen::Seen;
use axum::Json;
use axum::extract::Path;
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use std::fs;

pub async fn list(studio: Shared, Path(model): Path<String>) -> Answer {
    answer(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let (attempts, problems) = improve::attempts(studio, &model)?;
        Ok(json!({ "attempts": attempts, "problems": problems, "states": model.file()?.states }))
    })
    .await
}

/// Which of them would teach something, and which are nearly the same.
pub async fn worth(studio: Shared, Path(model): Path<String>) -> Answer {
    answer(studio, move |studio| improve::worth(studio, &studio.workspace.model(&model)?)).await
}

pub async fn picture(
    studio: Shared,
    Path((model, device, key)): Path<(String, usize, String)>,
) -> Result<Response, Failure> {
    work(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let attempt = improve::attempt(studio, &model, device, &key)?;
        Ok(lasting("image/jpeg", fs::read(improve::crop_file(studio, &model, &attempt)?)?))
    })
    .await
}

#[derive(Deserialize)]
pub struct Label {
    /// Device and key of each.
    pictures: Vec<(usize, String)>,
    state: String,
}

/// Recent pictures become examples with a state.
pub async fn label(
    studio: Shared,
    Path(model): Path<String>,
    Json(Label { pictures, state }): Json<Label>,
) -> Answer {
    answer(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let (mut ids, mut seen) = (Vec::new(), Vec::new());
        for (device, key) in &pictures {
            let attempt: Attempt = improve::attempt(studio, &model, *device, key)?;
            let id = improve::keep(studio, &model, &attempt)?;
            seen.push((key.clone(), Some(Seen::Example(id.clone()))));
            ids.push(id);
        }
        model.label(&ids, Some(&state))?;
        model.remember_seen(&seen)?;
        Ok(json!({ "ids": ids }))
    })
    .await
}

#[derive(Deserialize)]
pub struct Hide {
    keys: Vec<String>,
    /// Brings them back.
    #[serde(default)]
    back: bool,
}

/// Puts recent pictures away, or brings them back. On the device nothing changes.
pub async fn hide(
    studio: Shared,
    Path(model): Path<String>,
    Json(Hide { keys, back }): Json<Hide>,
) -> Answer {
    answer(studio, move |studio| {
        let seen = (!back).then_some(Seen::PutAway);
        let keys: Vec<_> = keys.into_iter().map(|key| (key, seen.clone())).collect();
        studio.workspace.model(&model)?.remember_seen(&keys)
    })
    .await
}
