//! Recent: what devices saw lately.

use super::{Answer, answer, lasting, work};
use crate::companion::studio::Studio;
use crate::companion::studio::failure::Failure;
use crate::companion::studio::improve::{self, Attempt};
use crate::companion::studio::server::Shared;
use crate::companion::workspace::ModelFolder;
use crate::companion::workspace::pictures::Added;
use crate::companion::workspace::seen::Seen;
use crate::exit::UsageError;
use anyhow::Result;
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

/// Recent pictures become examples with a state: all of them, or none.
pub async fn label(
    studio: Shared,
    Path(model): Path<String>,
    Json(Label { pictures, state }): Json<Label>,
) -> Answer {
    answer(studio, move |studio| {
        let model = studio.workspace.model(&model)?;
        let file = model.file()?;
        if !file.states.contains(&state) {
            return Err(UsageError(format!("there is no state {state:?}")).into());
        }
        let attempts = fetched(studio, &model, &pictures)?;
        for attempt in &attempts {
            improve::crop_for(&file, attempt)?;
        }
        let (mut new, mut ids, mut seen) = (Vec::new(), Vec::new(), Vec::new());
        for attempt in &attempts {
            let added = improve::keep(studio, &model, attempt)?;
            let id = added.id().to_string();
            seen.push((attempt.key.clone(), Some(Seen::Example(id.clone()))));
            if matches!(added, Added::New(_)) {
                new.push(id.clone());
            }
            // Two attempts may have the very same picture.
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        let mut before = model.label(&ids, Some(&state))?;
        before.retain(|(id, _)| !new.contains(id));
        model.remember_seen(&seen)?;
        Ok(json!({ "before": before, "new": new }))
    })
    .await
}

/// These attempts, once the pictures of all are here. An error says which cannot be had.
fn fetched(studio: &Studio, model: &ModelFolder, pictures: &[(usize, String)]) -> Result<Vec<Attempt>> {
    let all = improve::attempts(studio, model)?.0;
    let (mut found, mut gone) = (Vec::new(), Vec::new());
    for (device, key) in pictures {
        let attempt = all.iter().find(|one| one.device == *device && one.key == *key);
        match attempt.filter(|attempt| improve::frame_file(studio, model, attempt).is_ok()) {
            Some(attempt) => found.push(attempt.clone()),
            None => gone.push(key.as_str()),
        }
    }
    match gone[..] {
        [] => Ok(found),
        _ => Err(UsageError(format!(
            "nothing was given a state: the device does not have {} of these {} pictures any more ({})",
            gone.len(),
            pictures.len(),
            gone.join(", ")
        ))
        .into()),
    }
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
