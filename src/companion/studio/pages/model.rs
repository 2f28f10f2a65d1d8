//! One model: how good it is, where it runs, what devices saw lately, and what it learnt from.

use super::Frame;
use super::steps::{notices, upload};
use super::verdict::{accuracy, confusion, verdict, when};
use crate::companion::studio::calls::devices::{KeyState, key_state, links, secret_file};
use crate::companion::studio::calls::pictures::examples;
use crate::companion::studio::calls::stills::problems;
use crate::companion::studio::{Studio, collect};
use crate::companion::workspace::ModelFolder;
use anyhow::Result;
use maud::{Markup, html};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;

const TABS: [(&str, &str); 4] =
    [("", "Overview"), ("/recent", "Recent"), ("/dataset", "Dataset"), ("/crop", "Crop")];

fn tabs(model: &ModelFolder, current: &str) -> Markup {
    html! {
        // On its first page it is the heading.
        @if !current.is_empty() { p.of { (model.title()) } }
        nav.tabs aria-label=(model.title()) {
            @for (page, name) in TABS {
                a href={ "/models/" (model.name) (page) } aria-current=[(page == current).then_some("page")] { (name) }
            }
        }
    }
}

pub fn overview(studio: &Studio, model: &ModelFolder) -> Result<Markup> {
    let file = model.file()?;
    let versions = model.versions()?;
    // A version may have lost files; there are others.
    let report = file.version.as_ref().and_then(|version| model.report(version).ok());
    let cameras: Vec<&String> =
        file.crops.keys().filter(|camera| collect::source_of(studio, camera).is_some()).collect();
    let secret = secret_file(studio);
    let signed = file.version.as_ref().map(|version| model.is_signed(version, &secret)).transpose()?;
    let signed = signed.unwrap_or(false);
    let key = key_state(studio);
    let data = json!({
        "model": model.name, "version": file.version, "signed": signed, "key": key.name(), "cameras": cameras,
        "devices": links(studio).map(|(index, link)| json!({ "index": index, "name": link.name() })).collect::<Vec<_>>(),
    });
    let title = model.title();
    let frame = Frame { title: &title, module: Some("model"), navigation: tabs(model, ""), data };
    Ok(frame.around(&html! {
        div.heading.split {
            div { h1 { (title) } p.lead { (file.states.join(" · ")) } }
            div.row {
                button.button #train type="button" { "Train again" }
                button.button.quiet.danger #remove type="button" { "Delete" }
            }
        }
        section #working.card.working hidden aria-live="polite" {
            h2 #stage-name { "Training" }
            progress #bar max="1" {}
            p #left.hint {}
        }
        p #problem.problem role="alert" {}
        div #outcome.notice.good hidden role="status" {}
        @match &report {
            None => section.card.empty {
                h2 { "Nothing is trained yet" }
                p { "Give each example picture its state; training begins by itself." }
                a.button.primary href={ "/models/" (model.name) "/examples" } { "Assign examples" }
            },
            Some(report) => {
                div.columns {
                    div { (verdict(report)) (confusion(report)) }
                    div { (now()) (try_it(&cameras)) (deploy(studio, signed, key, &file.version)) }
                }
            },
        }
        (version_table(model, &versions, file.version.as_deref()))
    }))
}

fn now() -> Markup {
    html! {
        section.card {
            h2 { "Now" }
            div #now { p.hint { "Asking the devices …" } }
            p #now-problem.problem role="alert" {}
        }
    }
}

fn try_it(cameras: &[&String]) -> Markup {
    html! {
        section.card.try-it {
            h2 { "Try it" }
            @if cameras.is_empty() {
                p.hint { "Start the studio with --device, --video or --pictures to try it on a current picture." }
            } @else {
                div.row {
                    @if cameras.len() > 1 {
                        label.sr for="try-camera" { "Camera" }
                        select #try-camera { @for camera in cameras { option { (camera) } } }
                    }
                    button.button #try type="button" { "Look now" }
                    label.check { input #keep-trying type="checkbox"; " every 2 seconds" }
                }
                div #said.said hidden aria-live="polite" {
                    img #tried width="160" height="160" alt="The crop that was looked at";
                    div { p #said-state.state {} ul #bars.bars {} }
                }
                p #try-problem.problem role="alert" {}
            }
        }
    }
}

fn deploy(studio: &Studio, signed: bool, key: KeyState, version: &Option<String>) -> Markup {
    html! {
        section.card.deploy {
            h2 { "Bring it to a device" }
            ol.todo-list {
                li.done[signed] {
                    h3 { "Sign" }
                    p.hint { "A device runs only what your key has signed." }
                    form #sign hidden[signed] {
                        @match key {
                            KeyState::Missing => {
                                p { "There is no key yet. It will be made as " code { (studio.key.display()) } "; keep a copy of it in a drawer." }
                                label for="key-password" { "New password for it, or empty for none" }
                                input #key-password type="password" autocomplete="new-password";
                            },
                            KeyState::Locked => {
                                label for="key-password" { "Password of the signing key" }
                                input #key-password type="password" autocomplete="current-password" required;
                            },
                            KeyState::Open => {},
                        }
                        button.button.primary disabled[version.is_none()] {
                            (if key == KeyState::Missing { "Make a key and sign" } else { "Sign" })
                        }
                    }
                    p #signed.good hidden[!signed] {
                        "Signed. " a href="/api/key.pub" { "Public key" } " "
                        button.button.quiet.small #sign-again type="button" { "Sign again" }
                    }
                }
                li {
                    h3 { "Install" }
                    p.hint { "It runs on trial, and the one before comes back if it fails." }
                    div #devices.device-list { p.hint { "Start the studio with --device ssh://user@host to install it from here." } }
                }
            }
            pre #deploy-problem.problem role="alert" {}
        }
    }
}

fn version_table(model: &ModelFolder, versions: &[String], current: Option<&str>) -> Markup {
    html! {
        @if !versions.is_empty() {
            section.card {
                h2 { "Versions" }
                div.scroll tabindex="0" role="region" aria-label="Versions" {
                    table {
                        thead { tr { th scope="col" { "Trained" } th scope="col" { "Right" } th scope="col" { "Pictures" } th scope="col" { "Counts" } } }
                        tbody {
                            @for version in versions.iter().rev() {
                                @let report = model.report(version).unwrap_or_default();
                                tr {
                                    th scope="row" { (when(version)) }
                                    td { (accuracy(&report)) }
                                    td { (pictures_of(&report)) }
                                    td {
                                        @if Some(version.as_str()) == current { span.badge { "this one" } }
                                        @else { button.button.quiet.small.choose type="button" data-version=(version) { "Use" } }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn pictures_of(report: &Value) -> u64 {
    report["pictures"].as_array().into_iter().flatten().filter_map(Value::as_u64).sum()
}

pub fn recent(studio: &Studio, model: &ModelFolder) -> Result<Markup> {
    let has_device = links(studio).next().is_some();
    let data = json!({ "model": model.name, "states": model.file()?.states });
    let title = format!("Recent · {}", model.title());
    let frame = Frame {
        title: &title,
        module: has_device.then_some("recent"),
        navigation: tabs(model, "/recent"),
        data,
    };
    Ok(frame.around(&html! {
        div.heading { h1 { "Recent" } p.lead { "What the devices saw lately. Say what is right where they were in doubt." } }
        @if has_device {
            div #problems {}
            form #filters.filters aria-label="Filters" {
                label { "State" select name="state" { option value="" { "any" } } }
                label { "Camera" select name="camera" { option value="" { "any" } } }
                label { "Reason" select name="reason" { option value="" { "any" } } }
                label { "Sure at most" select name="most" {
                    option value="1" { "any" } option value="0.99" { "99 %" } option value="0.9" { "90 %" } option value="0.8" { "80 %" }
                } }
                label.check { input type="checkbox" name="useful" checked; " only what adds something" }
            }
            p #count.hint role="status" {}
            p #worth-problem.problem role="alert" {}
            div #grid.grid role="group" aria-label="Recent pictures" {}
            p #problem.problem role="alert" {}
            div #states.states-bar role="toolbar" aria-label="States" hidden {}
        } @else {
            section.card.empty {
                h2 { "No device" }
                p { "Start the studio with the device that runs this model:" }
                pre { code { "ajar studio --device ssh://pi@garage-pi" } }
            }
        }
    }))
}

pub fn dataset(studio: &Studio, model: &ModelFolder) -> Result<Markup> {
    let file = model.file()?;
    let examples = examples(studio, model)?;
    let report = file.version.as_ref().and_then(|version| model.report(version).ok()).unwrap_or_default();
    let doubts = doubts(&report);
    let data = json!({ "model": model.name, "examples": examples, "doubts": doubts });
    let title = format!("Dataset · {}", model.title());
    let frame = Frame { title: &title, module: Some("dataset"), navigation: tabs(model, "/dataset"), data };
    Ok(frame.around(&html! {
        div.heading.split {
            div { h1 { "Dataset" } p.lead { "What the model learns from." } }
            div.row { (upload(&file.crops.keys().collect::<Vec<_>>())) a.button href={ "/models/" (model.name) "/examples" } { "Assign" } }
        }
        (notices(&problems(studio)))
        (health(&examples, &report))
        section.card {
            h2 { "States" }
            ul #state-list.state-list {}
            form #add-state.row { label.sr for="new-state" { "New state" } input #new-state type="text" placeholder="New state" autocomplete="off"; button.button.quiet { "Add" } }
            p #problem.problem role="alert" {}
        }
        form #filters.filters aria-label="Filters" {
            label { "State" select name="state" { option value="" { "any" } option value="-" { "none yet" } @for state in &file.states { option { (state) } } } }
            label { "Day" select name="day" { option value="" { "any" } } }
            label { "Light" select name="light" { option value="" { "any" } option { "day" } option { "night" } } }
            label.check { input type="checkbox" name="doubtful" disabled[doubts.is_empty()]; " only doubtful labels (" (doubts.len()) ")" }
        }
        p #count.hint role="status" {}
        div #grid.grid role="group" aria-label="Pictures" {}
        div #states.states-bar role="toolbar" aria-label="States" hidden {}
    }))
}

/// What the last training found wrong with labels: by picture, what it looks like.
fn doubts(report: &Value) -> BTreeMap<String, String> {
    let rows = report["suspects"].as_array().into_iter().flatten();
    let row = |row: &Value| {
        let id = Path::new(row["path"].as_str()?).file_stem()?.to_str()?;
        Some((id.to_string(), row["looks_like"].as_str()?.to_string()))
    };
    rows.filter_map(row).collect()
}

/// Counts by state and light, and what is not as it should be.
fn health(examples: &Value, report: &Value) -> Markup {
    let rows = || examples["pictures"].as_array().into_iter().flatten();
    let states: Vec<&str> =
        examples["states"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let count = |state: &str, light: &str| {
        rows().filter(|row| row["state"] == state && (light.is_empty() || row["light"] == light)).count()
    };
    let days = |state: &str| {
        let of_state = rows().filter(|row| row["state"] == state);
        let days = of_state.filter_map(|row| row["time"].as_str()?.get(..10));
        days.collect::<std::collections::BTreeSet<_>>().len()
    };
    let (near, small) =
        (report["near_duplicates"].as_u64().unwrap_or(0), report["small"].as_array().map_or(0, Vec::len));
    html! {
        section.card {
            h2 { "How many" }
            div.scroll tabindex="0" role="region" aria-label="Pictures by state" {
                table {
                    thead { tr { th scope="col" { "State" } th scope="col" { "Pictures" } th scope="col" { "By day" } th scope="col" { "By night" } th scope="col" { "Days" } } }
                    tbody {
                        @for state in &states {
                            tr { th scope="row" { (state) } td { (count(state, "")) } td { (count(state, "day")) } td { (count(state, "night")) } td { (days(state)) } }
                        }
                    }
                }
            }
            ul.facts {
                @if near > 0 { li { (near) " are nearly the same as another and count with it" } }
                @if small > 0 { li { (small) " are very small; a closer crop tells more" } }
                @if let Some(n) = examples["quarantined"].as_u64().filter(|n| *n > 0) { li { (n) " cannot be read and are left out (quarantine)" } }
                @if let Some(n) = examples["other_crop"].as_u64().filter(|n| *n > 0) { li { (n) " are of a crop from before: the Crop page can bring it back" } }
                @if let Some(n) = examples["without_crop"].as_u64().filter(|n| *n > 0) { li { (n) " are of cameras without a crop" } }
            }
        }
    }
}
