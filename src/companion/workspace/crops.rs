//! Crops: what a model sees of its pictures, cut out of the full frames as the device would.
//!
//! They are kept in the workspace's cache by the crop they were cut with, so a crop that is drawn anew finds none and
//! cuts them again, and one that is drawn back finds them.

use super::model::{CropFile, ModelFile};
use super::pictures::Picture;
use super::training::Basis;
use super::{ModelFolder, make_folder};
use crate::companion::dataset::{Dataset, Example};
use crate::companion::picture;
use crate::exit::UsageError;
use crate::watch::crop::CropBuffer;
use anyhow::{Context, Result};
use rayon::prelude::*;
use std::fs;
use std::path::PathBuf;

impl CropFile {
    /// The crop's name among folders.
    pub fn folder(&self) -> String {
        self.crop.map(|edge| format!("{edge:.5}")).join(",")
    }

    /// Cuts a picture's file bytes. `Err` says why the picture cannot be used.
    pub fn cut(&self, bytes: &[u8]) -> Result<Box<CropBuffer>, String> {
        picture::cut(&picture::decode(bytes)?, self.region().map_err(|why| why.0)?)
    }
}

impl ModelFolder {
    /// The file with a picture's crop, cut now if it is not there. `None` if the picture cannot be read: it is in
    /// quarantine from then on.
    pub fn crop_of(&self, picture: &Picture, crop: &CropFile) -> Result<Option<PathBuf>> {
        if picture.crop.is_some() {
            return Ok(Some(picture.path.clone()));
        }
        let folder = self.cache().join(&picture.camera).join(crop.folder());
        let path = folder.join(&picture.id).with_extension("jpg");
        if path.is_file() {
            return Ok(Some(path));
        }
        make_folder(&folder)?;
        let bytes = fs::read(&picture.path).with_context(|| picture.path.display().to_string())?;
        match crop.cut(&bytes) {
            Ok(cut) => {
                // Under another name first: another thread may be about to read it.
                let new = tempfile::Builder::new().prefix(".ajar-").suffix(".jpg").tempfile_in(&folder)?;
                picture::write(&cut, new.path())?;
                new.persist(&path).with_context(|| path.display().to_string())?;
                Ok(Some(path))
            }
            Err(why) => {
                self.quarantine(picture, &why)?;
                Ok(None)
            }
        }
    }

    /// The crops of pictures whose camera has one, with the index of each picture.
    pub fn cut_all(&self, file: &ModelFile, pictures: &[Picture]) -> Result<Vec<(usize, PathBuf)>> {
        let one = |(i, picture): (usize, &Picture)| {
            let crop = file.crops.get(&picture.camera)?;
            self.crop_of(picture, crop).map(|path| Some((i, path?))).transpose()
        };
        pictures.par_iter().enumerate().filter_map(one).collect()
    }

    /// What a training is given. Everything must have a state.
    pub fn dataset(&self, Basis { file, pictures, .. }: &Basis) -> Result<Dataset> {
        // Pictures of a camera without a crop are seen by nobody: they wait.
        let seen = pictures.iter().filter(|picture| file.crops.contains_key(&picture.camera));
        let why = match seen.filter(|picture| picture.state.is_none()).count() {
            0 => None,
            1 => Some("1 picture has no state yet: give it one, or skip it".to_string()),
            waiting => Some(format!("{waiting} pictures have no state yet: give each one, or skip it")),
        };
        if let Some(why) = why {
            return Err(UsageError(why).into());
        }
        // As a folder for each state would be read.
        let mut states = file.states.clone();
        states.sort();
        let mut examples = Vec::new();
        for (i, path) in self.cut_all(file, pictures)? {
            let state = states.iter().position(|state| Some(state) == pictures[i].state.as_ref());
            examples.extend(state.map(|state| Example { path, state }));
        }
        if let Some(empty) = (0..states.len()).find(|&state| examples.iter().all(|one| one.state != state)) {
            let why = format!("there is no picture of the state {:?}: add one that shows it", states[empty]);
            return Err(UsageError(why).into());
        }
        examples.sort_by(|a, b| (a.state, &a.path).cmp(&(b.state, &b.path)));
        Ok(Dataset { states, examples })
    }
}
