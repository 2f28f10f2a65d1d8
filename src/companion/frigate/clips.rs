//! Frigate's pictures of a model: `clips/NAME/dataset/CLASS/*` are labelled, `clips/NAME/train/*` are not.

use crate::companion::dataset::is_picture;
use crate::companion::moment::{Moment, of_name};
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Classes that are no state in Ajar: it says `unknown` by itself.
const NO_STATES: [&str; 2] = ["none", "unknown"];

/// What is there of one model.
#[derive(Debug, Default, PartialEq)]
pub struct Clips {
    /// In the order of their names.
    pub states: Vec<String>,
    pub pictures: Vec<Picture>,
    /// Pictures of classes that are no states; they have no label.
    pub unlabelled: usize,
}

#[derive(Debug, PartialEq)]
pub struct Picture {
    pub path: PathBuf,
    pub state: Option<String>,
    /// Names in `dataset` have the time at which a picture was sorted in, which says nothing.
    pub taken: Option<Moment>,
}

/// The pictures of a model; none if Frigate has no folder of it.
pub fn read(clips: &Path, model: &str) -> Result<Clips> {
    let mut found = Clips::default();
    let folder = clips.join(model);
    for class in list(&folder.join("dataset"))?.into_iter().filter(|path| path.is_dir()) {
        let name = class.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let pictures: Vec<PathBuf> = list(&class)?.into_iter().filter(|path| is_picture(path)).collect();
        let state = (!NO_STATES.contains(&name.to_lowercase().as_str())).then_some(name);
        match &state {
            Some(state) => found.states.push(state.clone()),
            None => found.unlabelled += pictures.len(),
        }
        let labelled = pictures.into_iter().map(|path| Picture { path, state: state.clone(), taken: None });
        found.pictures.extend(labelled);
    }
    for path in list(&folder.join("train"))?.into_iter().filter(|path| is_picture(path)) {
        let taken = of_name(&path.file_name().unwrap_or_default().to_string_lossy());
        found.pictures.push(Picture { path, state: None, taken });
    }
    Ok(found)
}

/// What is in a directory, sorted; nothing if there is none.
fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.with_context(|| directory.display().to_string())?,
    };
    let paths: Result<Vec<PathBuf>, _> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.with_context(|| directory.display().to_string())?;
    paths.sort();
    Ok(paths)
}
