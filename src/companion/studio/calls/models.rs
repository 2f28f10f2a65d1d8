//! Models: the draft, the definition, states and crops.

use super::{Answer, answer};
use crate::companion::studio::server::Shared;
use crate::companion::workspace::draft::Draft;
use crate::companion::workspace::model::{CropFile, Definition};
use crate::companion::workspace::names;
use axum::Json;
use axum::extract::Path;
use serde::Deserialize;
use serde_json::json;

/// Keeps what was typed so far, if there is anything, and says what is wrong with it.
pub async fn keep_draft(studio: Shared, Json(draft): Json<Draft>) -> Answer {
    answer(studio, move |studio| {
        let definition = draft.definition.clone().tidy();
        let all = definition.states.iter().chain([&definition.title, &draft.name]);
        if all.map(|text| text.trim()).all(str::is_empty) {
            studio.workspace.drop_draft()?;
        } else {
            studio.workspace.keep_draft(&draft)?;
        }
        Ok(names::check(draft.name.trim(), &definition, &studio.workspace))
    })
    .await
}

pub async fn drop_draft(studio: Shared) -> Answer {
    answer(studio, |studio| studio.workspace.drop_draft()).await
}

pub async fn create(studio: Shared, Json(draft): Json<Draft>) -> Answer {
    answer(studio, move |studio| {
        let model = studio.workspace.create(draft.name.trim(), draft.definition)?;
        studio.workspace.drop_draft()?;
        Ok(json!({ "next": format!("/models/{}/crop", model.name) }))
    })
    .await
}

pub async fn remove(studio: Shared, Path(model): Path<String>) -> Answer {
    answer(studio, move |studio| {
        studio.jobs.check_idle(&model)?;
        Ok(json!({ "undo": studio.workspace.model(&model)?.remove()? }))
    })
    .await
}

#[derive(Deserialize)]
pub struct Undo {
    undo: String,
}

/// Brings a deleted model back.
pub async fn undo(studio: Shared, Json(Undo { undo }): Json<Undo>) -> Answer {
    answer(studio, move |studio| Ok(json!({ "next": format!("/models/{}", studio.workspace.undo(&undo)?) })))
        .await
}

#[derive(Deserialize)]
pub struct StateName {
    state: String,
    /// What it is called from now on.
    #[serde(default)]
    to: String,
}

pub async fn add_state(studio: Shared, Path(model): Path<String>, Json(name): Json<StateName>) -> Answer {
    answer(studio, move |studio| studio.workspace.model(&model)?.add_state(&name.state)).await
}

pub async fn rename_state(studio: Shared, Path(model): Path<String>, Json(name): Json<StateName>) -> Answer {
    answer(studio, move |studio| studio.workspace.model(&model)?.rename_state(&name.state, &name.to)).await
}

pub async fn remove_state(studio: Shared, Path(model): Path<String>, Json(name): Json<StateName>) -> Answer {
    answer(studio, move |studio| {
        Ok(json!({ "undo": studio.workspace.model(&model)?.remove_state(&name.state)? }))
    })
    .await
}

#[derive(Deserialize)]
pub struct Drawn {
    crop: [f64; 4],
    frame_size: [u32; 2],
}

pub async fn set_crop(
    studio: Shared,
    Path((model, camera)): Path<(String, String)>,
    Json(Drawn { crop, frame_size }): Json<Drawn>,
) -> Answer {
    answer(studio, move |studio| {
        studio.workspace.model(&model)?.set_crop(&camera, CropFile::new(crop, frame_size)?)
    })
    .await
}

pub async fn forget_crop(studio: Shared, Path((model, camera)): Path<(String, String)>) -> Answer {
    answer(studio, move |studio| studio.workspace.model(&model)?.forget_crop(&camera)).await
}

/// For pages: a definition as it stands.
pub fn definition(draft: Option<Draft>) -> Draft {
    let blank = Draft {
        name: String::new(),
        definition: Definition { title: String::new(), states: vec![String::new(); 2] },
    };
    draft.unwrap_or(blank)
}
