//! The trash: what was deleted, with what it takes to bring it back.
//!
//! An entry is a folder with the files and `trash.toml`, which is written before anything is moved: whatever happens in
//! between, every picture is either where it was or there.

use super::labels::Labels;
use super::pictures::Picture;
use super::{ModelFolder, TRASH, Workspace, list, make_folder, names, now, stamp};
use crate::companion::pack::write_whole;
use crate::exit::UsageError;
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const FILE: &str = "trash.toml";

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// A state that was deleted, and its place among the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<GoneState>,
    #[serde(default)]
    pub pictures: Vec<Gone>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct GoneState {
    name: String,
    at: usize,
}

/// A picture that was deleted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gone {
    id: String,
    camera: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    crop: Option<String>,
    file: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    state: Option<String>,
}

impl Gone {
    pub fn new(picture: &Picture) -> Gone {
        let file = picture.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let Picture { id, camera, crop, state, .. } = picture.clone();
        Gone { id, camera, crop, file, state }
    }
}

impl Entry {
    pub fn of_pictures(pictures: Vec<Gone>) -> Entry {
        Entry { state: None, pictures }
    }

    pub fn of_state(state: &str, at: usize, pictures: Vec<Gone>) -> Entry {
        Entry { state: Some(GoneState { name: state.into(), at }), pictures }
    }
}

impl ModelFolder {
    fn trash(&self) -> PathBuf {
        self.path().join(TRASH)
    }

    /// Moves the pictures of an entry into the trash and forgets their labels. The lock must be held.
    pub(super) fn throw_away(&self, entry: Entry) -> Result<String> {
        let (id, folder) = new_entry(&self.trash())?;
        write_whole(&folder.join(FILE), toml::to_string(&entry)?.as_bytes())?;
        let mut labels = Labels::read(self)?;
        for gone in &entry.pictures {
            let from = self.place(&gone.camera, gone.crop.as_deref()).join(&gone.file);
            fs::rename(&from, folder.join(&gone.file)).with_context(|| from.display().to_string())?;
            labels.set(&gone.id, None);
        }
        labels.write(self)?;
        Ok(id)
    }

    /// The pictures that were deleted and not brought back.
    pub fn thrown_away(&self) -> Result<BTreeSet<String>> {
        let mut ids = BTreeSet::new();
        for folder in list(&self.trash())? {
            // One that was brought back has none any more.
            let Ok(text) = fs::read_to_string(folder.join(FILE)) else { continue };
            let entry: Entry = toml::from_str(&text).with_context(|| folder.display().to_string())?;
            ids.extend(entry.pictures.into_iter().map(|gone| gone.id));
        }
        Ok(ids)
    }

    /// Brings an entry back, with its labels.
    pub fn undo(&self, id: &str) -> Result<usize> {
        names::check_id(id).map_err(UsageError)?;
        let _lock = self.workspace.lock()?;
        let folder = self.trash().join(id);
        let Ok(text) = fs::read_to_string(folder.join(FILE)) else {
            return Err(UsageError("this was brought back already".into()).into());
        };
        let entry: Entry = toml::from_str(&text)?;
        if let Some(GoneState { name, at }) = &entry.state {
            let mut file = self.file()?;
            if !file.states.contains(name) {
                file.states.insert((*at).min(file.states.len()), name.clone());
                names::check_states(&file.states).map_err(UsageError)?;
                self.write(&file)?;
            }
        }
        let mut labels = Labels::read(self)?;
        for gone in &entry.pictures {
            names::check_camera(&gone.camera)?;
            names::check_id(&gone.id).map_err(UsageError)?;
            let Some(file) = Path::new(&gone.file).file_name() else { continue };
            if let Some(crop) = &gone.crop {
                names::check_crop(crop).map_err(UsageError)?;
            }
            let (from, to) = (folder.join(file), self.place(&gone.camera, gone.crop.as_deref()));
            make_folder(&to)?;
            // It may have come back by another way, with a state of its own.
            if from.exists() && !to.join(file).exists() {
                fs::rename(&from, to.join(file)).with_context(|| from.display().to_string())?;
                labels.set(&gone.id, gone.state.as_deref());
            }
        }
        labels.write(self)?;
        fs::remove_file(folder.join(FILE)).with_context(|| folder.display().to_string())?;
        // What is still in it came back by another way; it stays there.
        let _ = fs::remove_dir(&folder);
        Ok(entry.pictures.len())
    }

    /// A state has another name: what comes back has it, too. The lock must be held.
    pub(super) fn rename_in_trash(&self, old: &str, new: &str) -> Result<()> {
        for path in list(&self.trash())?.iter().map(|folder| folder.join(FILE)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let mut entry: Entry = toml::from_str(&text).with_context(|| path.display().to_string())?;
            let deleted = entry.state.iter_mut().map(|state| &mut state.name);
            let of_pictures = entry.pictures.iter_mut().filter_map(|gone| gone.state.as_mut());
            deleted.chain(of_pictures).filter(|name| *name == old).for_each(|name| *name = new.into());
            let renamed = toml::to_string(&entry)?;
            if renamed != text {
                write_whole(&path, renamed.as_bytes())?;
            }
        }
        Ok(())
    }

    /// Moves the whole model into the workspace's trash. Gives the entry's id.
    pub fn remove(&self) -> Result<String> {
        let _lock = self.workspace.lock()?;
        let (id, folder) = new_entry(&self.workspace.root.join(TRASH))?;
        let to = folder.join(&self.name);
        fs::rename(self.path(), &to).with_context(|| to.display().to_string())?;
        Ok(id)
    }
}

impl Workspace {
    /// Brings a deleted model back, unless its name is used by now. Gives its name.
    pub fn undo(&self, id: &str) -> Result<String> {
        names::check_id(id).map_err(UsageError)?;
        let _lock = self.lock()?;
        let folder = self.root.join(TRASH).join(id);
        let models = list(&folder)?;
        let Some((path, name)) = models.first().and_then(|path| Some((path, path.file_name()?.to_str()?)))
        else {
            return Err(UsageError("this was brought back already".into()).into());
        };
        if self.is_used(name) {
            bail!(UsageError(names::used(name)));
        }
        fs::rename(path, self.root.join(super::MODELS).join(name))
            .with_context(|| path.display().to_string())?;
        let _ = fs::remove_dir(&folder);
        Ok(name.to_string())
    }
}

/// A folder of its own, named by the time.
fn new_entry(trash: &Path) -> Result<(String, PathBuf)> {
    make_folder(trash)?;
    for count in 0.. {
        let id = format!("{}_{count}", stamp(now()));
        let folder = trash.join(&id);
        match super::private().create(&folder) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => {
                made.with_context(|| folder.display().to_string())?;
                return Ok((id, folder));
            }
        }
    }
    bail!("{}: no name is left", trash.display())
}
