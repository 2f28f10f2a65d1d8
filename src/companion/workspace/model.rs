//! `model.toml`: what a person said of a model.

use super::ModelFolder;
use super::labels::Labels;
use super::names;
use crate::config::region;
use crate::exit::UsageError;
use crate::watch::crop::Region;
use anyhow::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub const FILE: &str = "model.toml";
/// Crops are kept to a hundred-thousandth of the frame, so that they have one name.
const DECIMALS: f64 = 1e5;

/// What the first step of the wizard asks for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Definition {
    /// What people call it; its name unless given.
    pub title: String,
    pub states: Vec<String>,
}

impl Definition {
    /// Without outer space, which nobody means.
    pub fn tidy(mut self) -> Definition {
        self.title = self.title.trim().into();
        self.states.iter_mut().for_each(|state| *state = state.trim().into());
        self
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelFile {
    pub title: String,
    pub states: Vec<String>,
    /// The folder in `versions` that counts: what is deployed, and what a new one must beat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// By camera.
    #[serde(default)]
    pub crops: BTreeMap<String, CropFile>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropFile {
    /// `[x1, y1, x2, y2]` in fractions of the frame.
    pub crop: [f64; 4],
    /// Width and height of the frame it was drawn on.
    pub frame_size: [u32; 2],
}

impl CropFile {
    pub fn new(crop: [f64; 4], frame_size: [u32; 2]) -> Result<CropFile, UsageError> {
        let crop = CropFile { crop: crop.map(|edge| (edge * DECIMALS).round() / DECIMALS), frame_size };
        crop.region()?;
        Ok(crop)
    }

    /// The part of the frame that it is. A person may have written the file.
    pub fn region(&self) -> Result<Region, UsageError> {
        let CropFile { crop, frame_size } = *self;
        if crop.iter().any(|edge| *edge > 1.0) {
            return Err(UsageError(format!("crop {crop:?}: want fractions of the frame, 0 to 1")));
        }
        let region = region(crop, None).map_err(|why| UsageError(format!("crop {why}")))?;
        let [width, height] = frame_size.map(f64::from);
        let pixels = [(crop[2] - crop[0]) * width, (crop[3] - crop[1]) * height];
        // An imported model may not know the size.
        if pixels.iter().any(|side| *side > 0.0 && *side < 2.0) {
            let why = format!("is smaller than 2 x 2 pixels of a frame of {width} x {height}");
            return Err(UsageError(format!("crop {crop:?} {why}")));
        }
        Ok(region)
    }
}

impl ModelFile {
    pub fn new(Definition { title, states }: Definition) -> ModelFile {
        ModelFile { title, states, version: None, crops: BTreeMap::new() }
    }
}

impl ModelFolder {
    /// What people call it.
    pub fn title(&self) -> String {
        let title = self.file().map(|file| file.title).unwrap_or_default();
        if title.is_empty() { self.name.clone() } else { title }
    }

    /// Draws a camera's crop. Labels stay: the pictures are full frames.
    pub fn set_crop(&self, camera: &str, crop: CropFile) -> Result<()> {
        names::check_camera(camera)?;
        self.change(|file| {
            file.crops.insert(camera.into(), crop);
            Ok(())
        })
    }

    /// Forgets a camera's crop. Its pictures stay, and wait for another one.
    pub fn forget_crop(&self, camera: &str) -> Result<()> {
        self.change(|file| {
            file.crops.remove(camera);
            Ok(())
        })
    }

    /// What a device's configuration needs to watch with it.
    pub fn device_config(&self) -> Result<String> {
        let mut text = String::new();
        for (camera, CropFile { crop, .. }) in self.file()?.crops {
            let key = format!("classification.custom.{}.state_config.cameras.{camera}", self.name);
            text += &format!("[{key}]\ncrop = {crop:?}\n");
        }
        Ok(text)
    }

    pub fn add_state(&self, state: &str) -> Result<()> {
        let state = state.trim();
        self.change(|file| {
            file.states.push(state.into());
            names::check_states(&file.states).map_err(UsageError)?;
            Ok(())
        })
    }

    /// Gives a state another name, and its pictures with it.
    pub fn rename_state(&self, old: &str, new: &str) -> Result<()> {
        let new = new.trim();
        let _lock = self.workspace.lock()?;
        let mut file = self.file()?;
        let Some(at) = file.states.iter().position(|state| state == old) else {
            return Err(UsageError(format!("there is no state {old:?}")).into());
        };
        let mut renamed = file.states.clone();
        renamed[at] = new.into();
        names::check_states(&renamed).map_err(UsageError)?;
        // For a moment there are both, so that no label ever names a state that is not there.
        if old != new {
            file.states.insert(at, new.into());
            self.write(&file)?;
            let mut labels = Labels::read(self)?;
            labels.rename(old, new);
            labels.write(self)?;
            self.rename_in_trash(old, new)?;
        }
        file.states = renamed;
        self.write(&file)
    }
}
