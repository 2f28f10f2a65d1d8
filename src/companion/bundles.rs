//! What the companion does with bundle files: load, inspect, verify, unpack, deploy.

use super::{BACKBONE, is_shipped, keys, shipped_plan};
use crate::bundle::manifest::Role;
use crate::bundle::store::{Installed, Store};
use crate::bundle::verify::{Verified, read_file, verify};
use crate::bundle::{Code, Refusal};
use crate::engine::plan::Plan;
use crate::engine::{Engine, lower};
use crate::exit::UsageError;
use crate::model::Model;
use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

/// A bundle file, and the directory of the keys it is verified with, if not this computer's own.
#[derive(Clone, Copy)]
pub struct BundleFile<'a> {
    pub path: &'a Path,
    pub trusted_keys: Option<&'a Path>,
}

/// A verified bundle, ready to run.
pub struct Loaded {
    pub model: Model,
    /// For its backbone.
    pub engine: Engine,
    /// A line for each picture it was trained on: its hash and its state.
    pub dataset: String,
}

pub fn load(file: BundleFile) -> Result<Loaded> {
    // The bundle leaves memory before the plan comes in: together they would take twice as much.
    let (model, dataset, other) = with_bundle(file, |bundle| {
        let head = bundle.part(Role::Head).unwrap_or_default();
        let model = Model::new(bundle.manifest.clone(), head, bundle.part(Role::Unseen))?;
        let backbone = bundle
            .part(Role::Backbone)
            .ok_or_else(|| Refusal::new(Code::E33, "the bundle carries no backbone"))?;
        let other = !is_shipped(&bundle.manifest.backbone.sha256);
        let dataset = String::from_utf8_lossy(bundle.part(Role::Dataset).unwrap_or_default()).into_owned();
        Ok((model, dataset, other.then(|| backbone.to_vec())))
    })?;
    let engine = match other {
        Some(backbone) => Engine::of_onnx(&backbone)?,
        None => Engine::new(shipped_plan()?),
    };
    Ok(Loaded { model, engine, dataset })
}

/// A verified bundle's model, and the ONNX file of its backbone.
pub fn model_and_backbone(file: BundleFile) -> Result<(Model, Vec<u8>)> {
    with_bundle(file, |bundle| {
        let head = bundle.part(Role::Head).unwrap_or_default();
        let model = Model::new(bundle.manifest.clone(), head, bundle.part(Role::Unseen))?;
        let backbone = match bundle.part(Role::Backbone) {
            Some(backbone) => backbone,
            None if is_shipped(&bundle.manifest.backbone.sha256) => BACKBONE,
            None => {
                let why = "the bundle carries no backbone, and this Ajar has another one";
                return Err(Refusal::new(Code::E33, why).into());
            }
        };
        Ok((model, backbone.to_vec()))
    })
}

pub fn inspect(file: BundleFile) -> Result<()> {
    with_bundle(file, |bundle| {
        writeln!(stdout(), "# signed by {}, manifest {}", bundle.key_id, bundle.manifest_sha256)?;
        write!(stdout(), "{}", String::from_utf8_lossy(bundle.manifest_bytes))?;
        Ok(())
    })
}

pub fn check(file: BundleFile) -> Result<()> {
    with_bundle(file, |bundle| {
        let manifest = &bundle.manifest;
        writeln!(
            stdout(),
            "{}: good; model {}, sequence number {}, signed by {}",
            file.path.display(),
            manifest.model,
            manifest.seq,
            bundle.key_id
        )?;
        Ok(())
    })
}

/// `out`: the directory to make; the bundle's name without its extension unless given.
pub fn unpack(file: BundleFile, out: Option<PathBuf>) -> Result<()> {
    with_bundle(file, |bundle| {
        let directory = out.unwrap_or_else(|| file.path.with_extension(""));
        if directory.exists() {
            return Err(UsageError(format!("{} exists; choose another --out", directory.display())).into());
        }
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let write = |name: &str, bytes: &[u8]| {
            let path = directory.join(name);
            fs::write(&path, bytes).with_context(|| path.display().to_string())
        };
        write("manifest.toml", bundle.manifest_bytes)?;
        write("manifest.toml.minisig", bundle.signature.as_bytes())?;
        let mut sums = String::new();
        for (part, bytes) in bundle.manifest.parts.iter().zip(&bundle.parts) {
            write(&part.name, bytes)?;
            sums += &format!("{}  {}\n", part.sha256, part.name);
        }
        write("SHA256SUMS", sums.as_bytes())?;
        writeln!(stdout(), "{}", directory.display())?;
        Ok(())
    })
}

pub fn deploy(file: BundleFile, store: &Path) -> Result<()> {
    with_bundle(file, |bundle| {
        let what = format!("{} (sequence number {})", bundle.manifest.model, bundle.manifest.seq);
        let store = Store::new(store);
        let installed = store.install(bundle)?;
        if let Err(why) = keep_plan(&store, &bundle.manifest.backbone.sha256) {
            log::warn!("the plan is not kept, ajard will make it at its start: {why:#}");
        }
        match installed {
            Installed::New { id } => {
                writeln!(stdout(), "{what} is installed as {id}; ajard runs it from its next start")?
            }
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

/// Reads and verifies a bundle file.
fn with_bundle<T>(file: BundleFile, then: impl FnOnce(&Verified) -> Result<T>) -> Result<T> {
    // A file that is not there is a mistake of the command line, not of the bundle.
    if !file.path.exists() {
        return Err(UsageError(format!("{}: no such file", file.path.display())).into());
    }
    let bytes = read_file(file.path)?;
    then(&verify(&bytes, &keys::trusted(file.trusted_keys)?)?)
}
