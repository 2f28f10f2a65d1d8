//! Versions: what each training made, unsigned, in the form of `ajar bundle unpack`; and the bundles signed from them.

use super::training::Basis;
use super::{ModelFolder, list, make_folder, names, now, stamp};
use crate::bundle::manifest::{Manifest, Role};
use crate::companion::bundles::Loaded;
use crate::companion::pack::{self, Carry, Label, write_whole};
use crate::companion::train::Trained;
use crate::companion::{BACKBONE, bundle_files, is_shipped, shipped_plan};
use crate::engine::Engine;
use crate::exit::UsageError;
use crate::model::Model;
use anyhow::{Context, Result, bail};
use minisign::SecretKey;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

const VERSIONS: &str = "versions";
const BUNDLES: &str = "bundles";
const REPORT: &str = "report.json";
/// Of a version that nobody has signed: the smallest there is.
const UNSIGNED: u64 = 1;

impl ModelFolder {
    fn version_path(&self, version: &str) -> Result<PathBuf, UsageError> {
        names::check_id(version).map_err(UsageError)?;
        Ok(self.path().join(VERSIONS).join(version))
    }

    /// The names of all versions, the oldest first.
    pub fn versions(&self) -> Result<Vec<String>> {
        let named = |path: &PathBuf| path.file_name()?.to_str().map(str::to_string);
        // Others were being written when a program was killed.
        let name = |path: &PathBuf| named(path).filter(|name| names::check_id(name).is_ok());
        let whole = |path: &&PathBuf| path.join(REPORT).is_file();
        Ok(list(&self.path().join(VERSIONS))?.iter().filter(whole).filter_map(name).collect())
    }

    /// Keeps what a training made, whole or not at all. Gives the version's name.
    pub(super) fn keep_version(&self, trained: &Trained, basis: &Basis) -> Result<String> {
        let Basis { file, labels, .. } = basis;
        let aspect =
            |size: [u32; 2]| if size[1] == 0 { 0.0 } else { f64::from(size[0]) / f64::from(size[1]) };
        let spec = |crop: &super::model::CropFile| crate::bundle::manifest::CropSpec {
            crop: crop.crop,
            frame_aspect: aspect(crop.frame_size),
        };
        let label = Label {
            name: self.name.clone(),
            seq: UNSIGNED,
            crops: file.crops.iter().map(|(camera, crop)| (camera.clone(), spec(crop))).collect(),
            references: self.references(basis),
            ..Label::default()
        };
        let (manifest, parts) = pack::describe(label, trained, BACKBONE, Carry::Backbone);
        let versions = self.path().join(VERSIONS);
        make_folder(&versions)?;
        let new = tempfile::Builder::new().prefix(".ajar-").tempdir_in(&versions)?;
        for (part, bytes) in manifest.parts.iter().zip(&parts) {
            write_whole(&new.path().join(&part.name), bytes)?;
        }
        write_whole(&new.path().join(bundle_files::MANIFEST), toml::to_string(&manifest)?.as_bytes())?;
        write_whole(&new.path().join(REPORT), &serde_json::to_vec_pretty(&trained.report)?)?;
        write_whole(&new.path().join(super::labels::FILE), labels.text().as_bytes())?;
        let _lock = self.workspace().lock()?;
        for count in 0.. {
            let name = format!("{}_{count}", stamp(now()));
            if !versions.join(&name).exists() {
                fs::rename(new.keep(), versions.join(&name))?;
                return Ok(name);
            }
        }
        bail!("{}: no name is left", versions.display())
    }

    /// The report of a version, as `ajar train --report FILE.json` writes it.
    pub fn report(&self, version: &str) -> Result<Value> {
        let path = self.version_path(version)?.join(REPORT);
        let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string())
    }

    fn manifest(&self, version: &str) -> Result<Manifest> {
        let path = self.version_path(version)?.join(bundle_files::MANIFEST);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        toml::from_str(&text).with_context(|| path.display().to_string())
    }

    /// A version ready to run, signed or not: it never leaves this computer.
    pub fn load_version(&self, version: &str) -> Result<Loaded> {
        let folder = self.version_path(version)?;
        let manifest = self.manifest(version)?;
        let part = |role: Role| {
            let name = &manifest.parts.iter().find(|part| part.role == role)?.name;
            fs::read(folder.join(name)).ok()
        };
        let head = part(Role::Head).with_context(|| format!("{}: has no head", folder.display()))?;
        let (unseen, dataset) = (part(Role::Unseen), part(Role::Dataset).unwrap_or_default());
        let engine = match part(Role::Backbone) {
            Some(backbone) if !is_shipped(&manifest.backbone.sha256) => Engine::of_onnx(&backbone)?,
            _ => Engine::new(shipped_plan()?),
        };
        let dataset = String::from_utf8_lossy(&dataset).into_owned();
        Ok(Loaded { model: Model::new(manifest, &head, unseen.as_deref())?, engine, dataset })
    }

    /// Signs a version, anew if it was signed before: a device takes none that is older than what it had. Gives the
    /// bundle's place.
    pub fn sign(&self, version: &str, key_file: &Path, key: &SecretKey) -> Result<PathBuf> {
        let _lock = self.workspace().lock()?;
        let folder = self.version_path(version)?;
        let out = self.bundle(version)?;
        make_folder(&self.path().join(BUNDLES))?;
        bundle_files::sign_directory(&folder, key_file, key, &out, Carry::Backbone)?;
        Ok(out)
    }

    /// Whether a device could take the version: signed since the key was made, and after all others.
    pub fn is_signed(&self, version: &str, secret_key: &Path) -> Result<bool> {
        let time = |path: &Path| path.metadata().and_then(|file| file.modified()).ok();
        let Some(signed) = time(&self.bundle(version)?) else { return Ok(false) };
        let bundles = list(&self.path().join(BUNDLES))?;
        let last = bundles.iter().filter_map(|path| time(path)).max();
        Ok(last == Some(signed) && time(secret_key).is_some_and(|made| made <= signed))
    }

    /// Where the bundle of a version is, once it is signed.
    pub fn bundle(&self, version: &str) -> Result<PathBuf, UsageError> {
        names::check_id(version).map_err(UsageError)?;
        Ok(self.path().join(BUNDLES).join(format!("{}-{version}.ajb", self.name)))
    }
}
