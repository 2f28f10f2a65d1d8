//! All models.

use super::verdict::{accuracy, when};
use super::{Frame, nothing};
use crate::companion::studio::Studio;
use crate::companion::workspace::ModelFolder;
use crate::companion::workspace::draft::Draft;
use anyhow::Result;
use maud::{Markup, html};
use serde_json::json;

pub fn page(studio: &Studio) -> Result<Markup> {
    let names = studio.workspace.models()?;
    let shown = |name: &String| card(&studio.workspace.model(name)?);
    // A mistake in one model's files must not hide the others.
    let models: Vec<Markup> =
        names.iter().map(|name| shown(name).unwrap_or_else(|why| broken_card(name, &why))).collect();
    let draft = studio.workspace.draft();
    let frame = Frame { title: "Models", module: Some("home"), navigation: nothing(), data: json!({}) };
    Ok(frame.around(&html! {
        @if models.is_empty() && draft.is_none() { (welcome()) } @else {
            div.heading.split {
                h1 { "Models" }
                div.row {
                    a.button.quiet href="/import" { "Import from Frigate" }
                    a.button.primary href="/new" { "New model" }
                }
            }
            ul.cards {
                @if let Some(draft) = &draft { (draft_card(draft)) }
                @for model in &models { (model) }
            }
        }
        section #devices.devices aria-label="Devices" {}
        p.hint.place { "Everything is kept in " code { (studio.workspace.root().display()) } }
    }))
}

fn welcome() -> Markup {
    html! {
        section.welcome {
            img src="/assets/icon.svg" alt="" width="72" height="72";
            h1 { "Is it open?" }
            p.lead {
                "Ajar looks at one thing in front of your camera and tells you what state it is in. "
                "It learns that from two dozen pictures, here, on this computer."
            }
            ol.three {
                li { strong { "Name it" } span { "and the states it can be in." } }
                li { strong { "Show where it is" } span { "in the camera's picture." } }
                li { strong { "Say what you see" } span { "on 24 pictures. Training takes seconds." } }
            }
            a.button.primary.large href="/new" { "New model" }
            a.button.quiet href="/import" { "Import from Frigate" }
        }
    }
}

fn draft_card(draft: &Draft) -> Markup {
    let title = [&draft.definition.title, &draft.name].into_iter().find(|text| !text.trim().is_empty());
    html! {
        li.card.model.unfinished {
            div.picture { span.blank aria-hidden="true" {} }
            div.body {
                h2 { a href="/new" { (title.map_or("New model", |title| title)) } }
                p.todo { "Step 1 of 3: name and define" }
                div { button.button.quiet.small.danger #discard type="button" { "Discard" } }
            }
        }
    }
}

/// Where a model is to be gone on with, and what is to be done there.
fn next(model: &ModelFolder) -> Result<(String, Option<&'static str>)> {
    let file = model.file()?;
    let at = |page: &str| format!("/models/{}{page}", model.name);
    Ok(match (file.crops.is_empty(), file.version.is_none()) {
        (true, _) => (at("/crop"), Some("Step 2 of 3: select the crop")),
        (_, true) => (at("/examples"), Some("Step 3 of 3: assign examples")),
        _ => (at(""), None),
    })
}

fn broken_card(name: &str, why: &anyhow::Error) -> Markup {
    html! {
        li.card.model.unfinished data-model=(name) {
            div.picture { span.blank aria-hidden="true" {} }
            div.body { h2 { (name) } p.problem { (format!("{why:#}")) } }
        }
    }
}

fn card(model: &ModelFolder) -> Result<Markup> {
    let (link, todo) = next(model)?;
    let file = model.file()?;
    let mut pictures = model.pictures()?.into_iter().rev();
    let cover = pictures.find_map(|picture| Some((file.crops.get(&picture.camera)?.folder(), picture.id)));
    let report = file.version.as_ref().and_then(|version| model.report(version).ok());
    Ok(html! {
        li.card.model data-model=(model.name) .unfinished[todo.is_some()] {
            div.picture {
                @match cover {
                    Some((crop, id)) => img src={ "/api/models/" (model.name) "/pictures/" (id) "/crop.jpg?crop=" (crop) } alt="" loading="lazy";,
                    None => span.blank aria-hidden="true" {},
                }
            }
            div.body {
                h2 { a href=(link) { (model.title()) } }
                p.hint { (file.states.join(" · ")) }
                @match todo {
                    Some(todo) => p.todo { (todo) },
                    None => {
                        p.now { span.hint { "No device runs it yet" } }
                        p.hint {
                            @if let Some(report) = &report { (accuracy(report)) " right · " }
                            @if let Some(version) = &file.version { "trained " (when(version)) }
                        }
                    },
                }
            }
        }
    })
}
