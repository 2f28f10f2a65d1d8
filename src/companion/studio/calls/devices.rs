//! Devices: what they say, signing for them, deployment, and the way back.

use super::train::Version;
use super::{Answer, answer, work};
use crate::bundle::{format, sha256_hex};
use crate::companion::keys;
use crate::companion::remote::Refused;
use crate::companion::studio::Studio;
use crate::companion::studio::failure::Failure;
use crate::companion::studio::link::Link;
use crate::companion::studio::server::Shared;
use crate::companion::workspace::ModelFolder;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use axum::Json;
use axum::extract::Path;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

/// What every device says of itself, or why it says nothing.
pub async fn status(studio: Shared) -> Answer {
    answer(studio, |studio| Ok(json!({ "devices": all_devices(studio) }))).await
}

pub fn all_devices(studio: &Studio) -> Vec<Value> {
    let device = |index: usize, link: &Link| {
        let asked = link.get("/v1/status").and_then(|status| Ok((status, link.get("/v1/models")?)));
        match asked {
            Ok((status, models)) => {
                json!({ "index": index, "name": link.name(), "status": status, "models": models["models"] })
            }
            Err(why) => json!({ "index": index, "name": link.name(), "why": format!("{why:#}") }),
        }
    };
    ask_all(studio, device)
}

/// Devices with their number among the sources.
pub fn links(studio: &Studio) -> impl Iterator<Item = (usize, &Link)> {
    studio.sources.iter().enumerate().filter_map(|(i, source)| Some((i, source.link()?)))
}

/// Asks all devices at the same time: none waits for one that is gone.
pub fn ask_all<'a, T: Send>(studio: &'a Studio, ask: impl Fn(usize, &'a Link) -> T + Sync) -> Vec<T> {
    let ask = &ask;
    std::thread::scope(|scope| {
        let asked: Vec<_> =
            links(studio).map(|(index, link)| scope.spawn(move || ask(index, link))).collect();
        let answers = asked.into_iter().map(|asked| asked.join());
        answers.map(|answer| answer.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

pub fn link(studio: &Studio, index: usize) -> Result<&Link, UsageError> {
    let link = studio.sources.get(index).and_then(|source| source.link());
    link.ok_or_else(|| UsageError("there is no such device; start the studio with --device".into()))
}

/// Whether there is a key to sign with, and whether it wants a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    Missing,
    Open,
    Locked,
}

impl KeyState {
    pub const fn name(self) -> &'static str {
        match self {
            KeyState::Missing => "missing",
            KeyState::Open => "open",
            KeyState::Locked => "locked",
        }
    }
}

pub fn key_state(studio: &Studio) -> KeyState {
    if !secret_file(studio).is_file() {
        return KeyState::Missing;
    }
    // Only a key with a password asks for one.
    let mut asked = false;
    let opened = keys::load_secret_with(&studio.key, || {
        asked = true;
        Ok(String::new())
    });
    if opened.is_err() && asked { KeyState::Locked } else { KeyState::Open }
}

pub fn secret_file(studio: &Studio) -> PathBuf {
    if studio.key.is_dir() { studio.key.join(keys::SECRET_FILE) } else { studio.key.clone() }
}

#[derive(Deserialize)]
pub struct Password {
    /// Empty: none.
    #[serde(default)]
    password: String,
}

pub async fn make_key(studio: Shared, Json(Password { password }): Json<Password>) -> Answer {
    answer(studio, move |studio| {
        let password = (!password.is_empty()).then_some(password);
        let key = keys::generate_with(&studio.key, || Ok(password))?;
        Ok(json!({ "id": key.id, "secret": key.secret.display().to_string() }))
    })
    .await
}

/// The public key, to be put on devices.
pub async fn public_key(studio: Shared) -> Result<Response, Failure> {
    let text = work(studio, |studio| {
        let path = secret_file(studio).with_extension("pub");
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    })
    .await?;
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"ajar.pub\""),
    ];
    Ok((headers, text).into_response())
}

#[derive(Deserialize)]
pub struct Sign {
    version: String,
    #[serde(default)]
    password: String,
}

pub async fn sign(
    studio: Shared,
    Path(model): Path<String>,
    Json(Sign { version, password }): Json<Sign>,
) -> Answer {
    answer(studio, move |studio| {
        let secret = keys::load_secret_with(&studio.key, || Ok(password))?;
        let bundle = studio.workspace.model(&model)?.sign(&version, &studio.key, &secret)?;
        Ok(json!({ "bundle": bundle.display().to_string() }))
    })
    .await
}

#[derive(Deserialize)]
pub struct Deploy {
    device: usize,
    #[serde(flatten)]
    version: Version,
    /// Even if it was rolled back before.
    #[serde(default)]
    again: bool,
}

pub async fn deploy(studio: Shared, Path(model): Path<String>, Json(deploy): Json<Deploy>) -> Answer {
    answer(studio, move |studio| {
        let folder = studio.workspace.model(&model)?;
        let path = folder.bundle(&deploy.version.version)?;
        let bundle = fs::read(&path).map_err(|_| UsageError("sign this version first".into()))?;
        let link = link(studio, deploy.device)?;
        let call = format!("/v1/install?older=false&again={}", deploy.again);
        let receipt = link.post(&call, &bundle).map_err(|error| explain(&folder, error))?;
        folder.choose_version(&deploy.version.version)?;
        Ok(receipt)
    })
    .await
}

/// A refusal with what a person at the page can do about it.
fn explain(folder: &ModelFolder, error: anyhow::Error) -> anyhow::Error {
    let code = error.downcast_ref::<Refused>().and_then(|refused| refused.code.clone());
    let hint = match code.as_deref() {
        Some("E21") => {
            "The device does not trust your key yet. Download the public key here, copy it to the device, \
             and run there: sudo ajar key trust ajar.pub --trusted-keys /etc/ajar/trusted-keys.d. If it trusts this key, the \
             version was signed with another one: sign it again"
                .to_string()
        }
        Some("E32") => format!(
            "The device does not watch with this model yet. Add this to its /etc/ajar/config.toml and restart ajard:\n\n{}",
            folder.device_config().unwrap_or_default()
        ),
        Some("E34" | "E35") => {
            "The device has had a version that was signed later. Sign this one again, and then install it."
                .to_string()
        }
        _ => return error,
    };
    UsageError(format!("{error:#}. {hint}")).into()
}

#[derive(Deserialize)]
pub struct Which {
    device: usize,
}

pub async fn roll_back(
    studio: Shared,
    Path(model): Path<String>,
    Json(Which { device }): Json<Which>,
) -> Answer {
    answer(studio, move |studio| {
        let folder = studio.workspace.model(&model)?;
        let link = link(studio, device)?;
        link.post(&format!("/v1/models/{}/rollback", folder.name), &[])?;
        let models = link.get("/v1/models")?;
        let bad = models["models"][&folder.name]["bad"].as_array().and_then(|bad| bad.last());
        let from = bad.and_then(|bad| bad["id"].as_str()).map(|id| version_of(&folder, id)).transpose()?;
        Ok(json!({ "version": from.flatten() }))
    })
    .await
}

/// The version that a device knows by this id. `None`: its bundle is not of this workspace.
fn version_of(folder: &ModelFolder, id: &str) -> Result<Option<String>> {
    let is_it = |version: &String| {
        let bundle = folder.bundle(version).ok().and_then(|path| fs::read(path).ok());
        bundle.is_some_and(|bundle| {
            format::split(&bundle).is_ok_and(|pieces| sha256_hex(pieces.manifest).starts_with(id))
        })
    };
    Ok(folder.versions()?.into_iter().rfind(is_it))
}
