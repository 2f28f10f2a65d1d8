//! The workspace: one folder with everything a person made, to read and to back up. docs/studio.md has its layout.
//!
//! ```text
//! names       what models, states, cameras and pictures may be called
//! model       models/NAME/model.toml: states, crops, the version that counts
//! labels      models/NAME/labels.tsv: the state of each picture, by its id
//! pictures    models/NAME/frames/CAMERA/ID.jpg: full frames; models/NAME/crops/CAMERA/CROP/ID.png: what is a crop already
//! crops       what the model sees of them, cut anew whenever the crop is drawn anew
//! trash       what was deleted, and its way back
//! references  what the cameras shall look at, for a device to tell that one was moved
//! training    labelled pictures become a version
//! seen        models/NAME/recent.tsv: which of a device's recent pictures were dealt with
//! versions    models/NAME/versions/TIME: what a training made, ready to be signed
//! draft       what was typed for a model that does not exist yet
//! ```
//!
//! Every change takes the lock, reads, and replaces whole files, so that programs that work in it at the same time
//! lose nothing of each other. Nothing is overwritten: pictures are added, or moved into the trash.

pub mod crops;
pub mod draft;
pub mod labels;
pub mod model;
pub mod names;
pub mod pictures;
mod references;
pub mod seen;
pub mod training;
pub mod trash;
pub mod versions;

use super::pack::write_whole;
use crate::bundle::names::check_model_name;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use model::{Definition, ModelFile};
use rustix::fs::{FlockOperation, flock};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

const LOCK: &str = ".lock";
const MODELS: &str = "models";
/// May be deleted at any time.
const CACHE: &str = "cache";
/// Deleted models. Deleted pictures are in their model's own.
const TRASH: &str = "trash";

#[derive(Clone)]
pub struct Workspace {
    root: PathBuf,
}

/// One model's folder in a workspace.
#[derive(Clone)]
pub struct ModelFolder {
    workspace: Workspace,
    pub name: String,
}

/// Held while something is changed; other programs wait.
pub struct Lock {
    _file: File,
}

impl Workspace {
    /// `--workspace`, else `~/ajar`.
    pub fn place(given: Option<&Path>) -> Result<PathBuf, UsageError> {
        let home = || std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from);
        let given = given.filter(|given| !given.as_os_str().is_empty());
        let place = given.map(Path::to_path_buf).or_else(|| Some(home()?.join("ajar")));
        place.ok_or_else(|| UsageError("no home directory; give --workspace DIR".into()))
    }

    /// Makes the folder if it is not there. Only its owner may look into it: it has pictures of a home.
    pub fn open(root: &Path) -> Result<Workspace> {
        make_folder(&root.join(MODELS))?;
        Ok(Workspace { root: root.canonicalize().with_context(|| root.display().to_string())? })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where files are kept that can be made again.
    pub fn cache(&self) -> PathBuf {
        self.root.join(CACHE)
    }

    /// A disk may be taken away while the studio runs.
    fn check(&self) -> Result<(), UsageError> {
        match self.root.join(MODELS).is_dir() {
            true => Ok(()),
            false => Err(UsageError(format!("the workspace {} is gone", self.root.display()))),
        }
    }

    /// The names of all models, in order.
    pub fn models(&self) -> Result<Vec<String>> {
        self.check()?;
        let folders = list(&self.root.join(MODELS))?;
        let names = folders.iter().filter(|path| path.join(model::FILE).is_file()).filter_map(|path| {
            let name = path.file_name()?.to_str()?;
            check_model_name(name).is_ok().then(|| name.to_string())
        });
        Ok(names.collect())
    }

    pub fn model(&self, name: &str) -> Result<ModelFolder, UsageError> {
        check_model_name(name).map_err(|why| UsageError(format!("model {why}")))?;
        self.check()?;
        let folder = ModelFolder { workspace: self.clone(), name: name.into() };
        match folder.path().join(model::FILE).is_file() {
            true => Ok(folder),
            false => Err(UsageError(format!("there is no model {name:?} in {}", self.root.display()))),
        }
    }

    /// Whether a new model may not have this name.
    pub fn is_used(&self, name: &str) -> bool {
        self.root.join(MODELS).join(name).exists()
    }

    /// A new model. A name that is used is refused.
    pub fn create(&self, name: &str, definition: Definition) -> Result<ModelFolder> {
        let definition = definition.tidy();
        let problems = names::check(name, &definition, self);
        if let Some(first) = problems.first() {
            return Err(UsageError(first.into()).into());
        }
        let _lock = self.lock()?;
        let folder = ModelFolder { workspace: self.clone(), name: name.into() };
        match private().create(folder.path()) {
            // Since it was checked.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(UsageError(names::used(name)).into());
            }
            made => made.with_context(|| folder.path().display().to_string())?,
        }
        folder.write(&ModelFile::new(definition))?;
        Ok(folder)
    }

    /// Waits until no other program changes anything.
    pub fn lock(&self) -> Result<Lock> {
        self.check()?;
        let path = self.root.join(LOCK);
        let file = File::options().create(true).append(true).open(&path);
        let file =
            file.with_context(|| format!("you may not write in the workspace {}", self.root.display()))?;
        flock(&file, FlockOperation::LockExclusive).with_context(|| path.display().to_string())?;
        Ok(Lock { _file: file })
    }
}

impl ModelFolder {
    pub fn path(&self) -> PathBuf {
        self.workspace.root.join(MODELS).join(&self.name)
    }

    pub fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Where files are kept that can be made again.
    pub fn cache(&self) -> PathBuf {
        self.workspace.cache().join(&self.name)
    }

    pub fn file(&self) -> Result<ModelFile> {
        let path = self.path().join(model::FILE);
        let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
        let wrong = |why: String| UsageError(format!("{}: {why}", path.display()));
        let file: ModelFile = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        for (camera, crop) in &file.crops {
            crop.region().map_err(|why| wrong(format!("camera {camera}: {why}")))?;
        }
        Ok(file)
    }

    fn write(&self, file: &ModelFile) -> Result<()> {
        write_whole(&self.path().join(model::FILE), toml::to_string(file)?.as_bytes())
    }

    /// Changes model.toml, under the lock.
    pub fn change<T>(&self, change: impl FnOnce(&mut ModelFile) -> Result<T>) -> Result<T> {
        let _lock = self.workspace.lock()?;
        let mut file = self.file()?;
        let done = change(&mut file)?;
        self.write(&file)?;
        Ok(done)
    }
}

fn private() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.mode(0o700);
    builder
}

pub fn make_folder(path: &Path) -> Result<()> {
    private().recursive(true).create(path).with_context(|| path.display().to_string())
}

/// What is in a folder, in order of the names; nothing where there is no folder.
fn list(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| folder.display().to_string())?,
    };
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

/// The time in names of files, such as `2026-03-02_07-41-16`.
fn stamp(moment: super::moment::Moment) -> String {
    let time = jiff::Timestamp::from_second(moment).unwrap_or_default();
    time.strftime("%Y-%m-%d_%H-%M-%S").to_string()
}

/// The wall clock, for names. In UTC, so that their order is that of time also when clocks are set back in autumn.
pub fn now() -> super::moment::Moment {
    jiff::Timestamp::now().as_second()
}
