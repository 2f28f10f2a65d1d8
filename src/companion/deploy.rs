//! Deployment: bundles to devices, and what the devices say of them.

use super::bundles::{BundleFile, with_bundle};
use super::keys;
use super::remote::{Address, Device};
use super::signed::{Signed, record};
use super::{is_shipped, shipped_plan};
use crate::bundle::store::Store;
use crate::bundle::store::install::{Allow, Installed};
use crate::bundle::store::state::{Generations, State};
use crate::bundle::verify::read_file;
use crate::engine::lower;
use crate::engine::plan::Plan;
use crate::exit::UsageError;
use crate::selftest;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

/// Sends a bundle to a device, which verifies it by its own keys.
pub fn to_device(file: &Path, address: &Address, allow: Allow) -> Result<()> {
    if !file.exists() {
        return Err(UsageError(format!("{}: no such file", file.display())).into());
    }
    let bundle = read_file(file)?;
    let device = Device::open(address)?;
    let path = format!("/v1/install?older={}&again={}", allow.older, allow.rejected);
    let receipt = device.post(&path, bundle)?;
    let text = |key: &str| receipt[key].as_str().unwrap_or_default().to_string();
    let what = format!("{} (sequence number {})", text("model"), receipt["seq"]);
    let id = text("id");
    match text("outcome").as_str() {
        "installed" => writeln!(
            stdout(),
            "{what} is installed as {id} and runs on trial; it stays once it has proved itself (`ajar status`)"
        )?,
        "mended" => writeln!(stdout(), "{what} was damaged in the store and is whole again as {id}")?,
        _ => writeln!(stdout(), "{what} was installed before as {id}; nothing changed")?,
    }
    Ok(())
}

/// Installs a bundle into the store of an `ajard` that does not run, on this computer.
pub fn to_store(file: BundleFile, root: &Path, allow: Allow) -> Result<()> {
    with_bundle(file, |bundle| {
        let what = format!("{} (sequence number {})", bundle.manifest.model, bundle.manifest.seq);
        let store = Store::new(root);
        let keys = keys::trusted(file.trusted_keys)?;
        let installed = store.install(bundle, &keys, allow, |stored| selftest::test(&store, stored))?;
        if let Err(why) = keep_plan(&store, &bundle.manifest.backbone.sha256) {
            log::warn!("the plan is not kept, ajard will make it at its start: {why:#}");
        }
        match installed {
            Installed::New { id } => writeln!(
                stdout(),
                "{what} is installed as {id}; ajard runs it from its next start, on trial"
            )?,
            Installed::Mended { id } => {
                writeln!(stdout(), "{what} was damaged in the store and is whole again as {id}")?
            }
            Installed::Already { id } => writeln!(
                stdout(),
                "{what} was installed before as {id}; nothing changed, ajard runs it from its next start"
            )?,
        }
        Ok(())
    })
}

/// Lowers a stored backbone, so that `ajard` need not.
fn keep_plan(store: &Store, sha256: &str) -> Result<()> {
    let path = store.blob(sha256);
    let onnx = fs::read(&path).with_context(|| path.display().to_string())?;
    if Plan::open(&store.plan(sha256), &Sha256::digest(&onnx).into()).is_ok() {
        return Ok(());
    }
    if is_shipped(sha256) {
        return Ok(store.write_plan(sha256, shipped_plan()?.bytes())?);
    }
    Ok(store.write_plan(sha256, &lower(&onnx)?)?)
}

/// Prints what a device watches and runs. An error if it is behind what was signed last on this computer.
pub fn status(address: &Address) -> Result<()> {
    let device = Device::open(address)?;
    let status = device.get("/v1/status")?;
    let state: State = serde_json::from_value(device.get("/v1/models")?)?;
    let mut out = stdout().lock();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    writeln!(
        out,
        "device {}: ajard {}, up for {}",
        text(&status["device"]),
        text(&status["version"]),
        duration(status["uptime_s"].as_u64().unwrap_or(0))
    )?;
    for watch in status["watches"].as_array().into_iter().flatten() {
        let why = watch["reason"].as_str().map(|why| format!(" ({why})")).unwrap_or_default();
        let (model, camera, state) = (text(&watch["model"]), text(&watch["camera"]), text(&watch["state"]));
        let (time, attempts) = (text(&watch["time"]), &watch["attempts"]);
        writeln!(out, "{model} on {camera}: {state}{why} since {time}, {attempts} attempts")?;
    }
    let signed = record()?;
    let mut behind = Vec::new();
    for (model, generations) in &state.models {
        writeln!(out, "model {model}: {}", generations_text(generations))?;
        behind.extend(signed.get(model).and_then(|signed| lag(model, signed, generations)));
    }
    for (model, signed) in &signed {
        let watched = status["watches"].as_array().into_iter().flatten().any(|w| w["model"] == **model);
        if watched && !state.models.contains_key(model) {
            behind.push(format!("{model} was signed as {} and is not installed", signed.seq));
        }
    }
    drop(out);
    if !behind.is_empty() {
        bail!("behind: {}", behind.join("; "));
    }
    Ok(())
}

/// Why a device is not at what was signed; `None` if it is, or is ahead.
fn lag(model: &str, signed: &Signed, have: &Generations) -> Option<String> {
    if have.ids().any(|id| *id == signed.id) && have.previous.as_ref() != Some(&signed.id) {
        return None;
    }
    let Signed { seq, created, .. } = signed;
    if let Some(bad) = have.bad.iter().find(|bad| bad.id == signed.id) {
        return Some(format!("{model} was signed as {seq} and is rolled back on the device: {}", bad.why));
    }
    let trial = have.trial.as_ref().filter(|trial| trial.key == signed.key).map(|trial| trial.seq);
    let newest = trial.max(have.floors.get(&signed.key).copied());
    if newest.is_some_and(|newest| newest > *seq) {
        return None;
    }
    let newest = newest.map_or("nothing of this key".to_string(), |newest| newest.to_string());
    Some(format!("{model} was signed as {seq} on {created}, the device has {newest}"))
}

fn generations_text(generations: &Generations) -> String {
    let mut parts = Vec::new();
    if let Some(trial) = &generations.trial {
        parts.push(format!("{} on trial ({} starts left)", trial.id, trial.attempts_left));
    }
    parts.extend(generations.active.iter().map(|id| format!("{id} active")));
    parts.extend(generations.previous.iter().map(|id| format!("{id} previous")));
    parts.extend(generations.floors.iter().map(|(key, seq)| format!("nothing below {seq} of key {key}")));
    parts.extend(generations.bad.iter().map(|bad| format!("{} rolled back: {}", bad.id, bad.why)));
    parts.join("; ")
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds / 60),
        3600..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

pub fn roll_back(address: &Address, model: &str) -> Result<()> {
    let answer = Device::open(address)?.post(&format!("/v1/models/{model}/rollback"), Vec::new())?;
    writeln!(stdout(), "{model} goes on with {}", answer["id"].as_str().unwrap_or("no model"))?;
    Ok(())
}

pub fn confirm(address: &Address, model: &str) -> Result<()> {
    let answer = Device::open(address)?.post(&format!("/v1/models/{model}/confirm"), Vec::new())?;
    writeln!(stdout(), "{model}: {} is active", answer["id"].as_str().unwrap_or_default())?;
    Ok(())
}
