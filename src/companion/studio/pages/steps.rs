//! The wizard's second and third step.

use super::Frame;
use crate::companion::studio::calls::pictures::examples as all_examples;
use crate::companion::studio::calls::stills::{all_cameras, problems};
use crate::companion::studio::{Studio, collect};
use crate::companion::train::MIN_SIDE;
use crate::companion::workspace::ModelFolder;
use anyhow::Result;
use maud::{Markup, html};
use serde_json::json;

const NAMES: [&str; 3] = ["Name and define", "Select the crop", "Assign examples"];

/// Where in the wizard a page is, counted from 0. `model`: once it exists, steps can be gone back to.
pub fn steps(current: usize, model: Option<&str>) -> Markup {
    let link = |step: usize| match (step, model) {
        (1, Some(model)) => Some(format!("/models/{model}/crop")),
        (2, Some(model)) => Some(format!("/models/{model}/examples")),
        _ => None,
    };
    html! {
        nav aria-label="Steps" {
            ol.steps {
                @for (step, name) in NAMES.iter().enumerate() {
                    li aria-current=[(step == current).then_some("step")] .done[step < current] {
                        @match link(step).filter(|_| step < current) {
                            Some(link) => a href=(link) { span.count { (step + 1) } span.name { (name) } },
                            None => span { span.count { (step + 1) } span.name { (name) } },
                        }
                    }
                }
            }
        }
    }
}

pub fn crop(studio: &Studio, model: &ModelFolder) -> Result<Markup> {
    let cameras = all_cameras(studio, model)?;
    let data = json!({ "model": model.name, "cameras": cameras, "least": MIN_SIDE });
    let frame = Frame {
        title: "Select the crop",
        module: Some(if cameras.is_empty() { "begin" } else { "crop" }),
        navigation: steps(1, Some(&model.name)),
        data,
    };
    Ok(frame.around(&html! {
        div.heading {
            h1 { "Where is it in the picture?" }
            p.lead { "Draw a rectangle around the thing that changes, with a little room. " (model.title()) " looks at nothing else." }
        }
        (notices(&problems(studio)))
        @if cameras.is_empty() { (no_camera()) } @else {
            div.crop-step {
                section aria-label="Camera picture" {
                    div #cameras.chips role="group" aria-label="Cameras" {}
                    div #stage.stage {
                        img #still alt="Picture of the camera" draggable="false";
                        div #rect.rect role="group" tabindex="0"
                            aria-label="Crop. Arrow keys move it, with Alt they change its size, with Shift in small steps." {}
                    }
                    div.under {
                        p #size.hint aria-live="polite" {}
                        p #unused.hint hidden { "It is not used. Draw a rectangle if the model is to look here." }
                        p #cut-outs.hint {}
                        div.row {
                            label.check { input #use type="checkbox"; " Use this camera" }
                            button.button.quiet #fresh type="button" { "Fresh picture" }
                        }
                    }
                }
                aside.card.preview {
                    h2 { "What the model sees" }
                    img #preview width="128" height="128" alt="The crop as the model sees it, 128 by 128 pixels";
                    p.hint { "128 × 128 pixels, made exactly as on the device." }
                    p #warning.warning role="status" {}
                    p #problem.problem role="alert" {}
                }
            }
            div.actions {
                a.button.quiet href="/" { "Later" }
                button.button.primary #next type="button" { "Continue" }
            }
        }
    }))
}

fn no_camera() -> Markup {
    html! {
        section.card.empty {
            h2 { "No camera yet" }
            p { "Start the studio with a device, a video or a folder of pictures:" }
            pre { code { "ajar studio --device ssh://pi@garage-pi\najar studio --video yesterday.mp4\najar studio --pictures DIR" } }
            p { "Or begin with pictures from this computer or phone. They must all be from the same fixed camera." }
            (upload(&[]))
            p #problem.problem role="alert" {}
        }
    }
}

/// Chooses files and sends them, as pictures of one of these cameras.
pub fn upload(cameras: &[&String]) -> Markup {
    html! {
        @if cameras.len() > 1 {
            label.sr for="upload-camera" { "Camera of the pictures to add" }
            select #upload-camera { @for camera in cameras { option { (camera) } } }
        }
        label.button.upload {
            span.words { "Add pictures" }
            input #upload type="file" accept="image/jpeg,image/png,image/webp" multiple;
        }
    }
}

pub fn notices(problems: &[String]) -> Markup {
    html! { @for problem in problems { p.notice role="alert" { (problem) } } }
}

pub fn examples(studio: &Studio, model: &ModelFolder) -> Result<Markup> {
    let file = model.file()?;
    if file.crops.is_empty() {
        return crop(studio, model);
    }
    let sourced = file.crops.keys().any(|camera| collect::source_of(studio, camera).is_some());
    let live = file
        .crops
        .keys()
        .filter(|camera| collect::source_of(studio, camera).is_some_and(|s| s.link().is_some()));
    let live: Vec<&String> = live.collect();
    let data = json!({
        "model": model.name, "examples": all_examples(studio, model)?, "sourced": sourced, "live": live,
        "trained": file.version.is_some(),
    });
    let frame = Frame {
        title: "Assign examples",
        module: Some("assign"),
        navigation: steps(2, Some(&model.name)),
        data,
    };
    Ok(frame.around(&html! {
        div.heading {
            h1 { "Which state does each picture show?" }
            p.lead {
                "Give every picture the state that is actually there, also where something is in the way. "
                "Training begins by itself when all have one."
            }
        }
        (notices(&problems(studio)))
        section #working.card.working hidden aria-live="polite" {
            h2 #stage-name { "Looking for the most different pictures" }
            progress #bar max="1" {}
            p #left.hint {}
        }
        section #assign hidden {
            div.toolbar {
                p #waiting.waiting role="status" {}
                div.segments role="group" aria-label="Way of assigning" {
                    button #by-state type="button" aria-pressed="true" { "State by state" }
                    button #all-at-once type="button" aria-pressed="false" { "All at once" }
                }
                div.row {
                    @if sourced { button.button.quiet #more type="button" { "Find more" } }
                    @for camera in &live { button.button.quiet.take type="button" data-camera=(camera) { "Take a picture now" } }
                    (upload(&file.crops.keys().collect::<Vec<_>>()))
                }
            }
            p #question.question {}
            div #grid.grid role="group" aria-label="Pictures" {}
            p #lacking.problem role="status" {}
            p #problem.problem role="alert" {}
            div #states.states-bar role="toolbar" aria-label="States" {}
        }
    }))
}
