//! Bundle files: read, verified, and ready to run.

use super::{BACKBONE, is_shipped, keys, shipped_plan};
use crate::bundle::manifest::Role;
use crate::bundle::verify::{Verified, read_file, verify};
use crate::bundle::{Code, Refusal};
use crate::engine::Engine;
use crate::exit::UsageError;
use crate::model::Model;
use anyhow::Result;
use std::path::Path;

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
        let other = match bundle.part(Role::Backbone) {
            _ if is_shipped(&bundle.manifest.backbone.sha256) => None,
            Some(backbone) => Some(backbone.to_vec()),
            None => return Err(no_backbone().into()),
        };
        let dataset = String::from_utf8_lossy(bundle.part(Role::Dataset).unwrap_or_default()).into_owned();
        Ok((model, dataset, other))
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
            None => return Err(no_backbone().into()),
        };
        Ok((model, backbone.to_vec()))
    })
}

/// Reads and verifies a bundle file.
pub fn with_bundle<T>(file: BundleFile, then: impl FnOnce(&Verified) -> Result<T>) -> Result<T> {
    // A file that is not there is a mistake of the command line, not of the bundle.
    if !file.path.exists() {
        return Err(UsageError(format!("{}: no such file", file.path.display())).into());
    }
    let bytes = read_file(file.path)?;
    then(&verify(&bytes, &keys::trusted(file.trusted_keys)?)?)
}

fn no_backbone() -> Refusal {
    Refusal::new(Code::E33, "the bundle carries no backbone, and this Ajar has another one")
}
