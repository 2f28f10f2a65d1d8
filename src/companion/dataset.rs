//! Datasets: one folder for each state, with pictures of the crop.

use crate::bundle::names::check_states;
use crate::exit::UsageError;
use std::fs;
use std::path::{Path, PathBuf};

const EXTENSIONS: [&str; 4] = ["jpg", "jpeg", "png", "webp"];

/// One picture and the state it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    pub path: PathBuf,
    /// Index into [`Dataset::states`].
    pub state: usize,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// The folders' names, in order.
    pub states: Vec<String>,
    /// By state, then by name: pictures whose names carry a time stay in its order.
    pub examples: Vec<Example>,
}

impl Dataset {
    /// Lists `directory/STATE/*.{jpg,jpeg,png,webp}`. Hidden folders and other files are left
    /// alone; a folder without pictures is a mistake.
    pub fn open(directory: &Path) -> Result<Dataset, UsageError> {
        let wrong = |path: &Path, why: &str| UsageError(format!("{}: {why}", path.display()));
        let mut states = Vec::new();
        for path in list(directory).map_err(|error| wrong(directory, &error.to_string()))? {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() && !name.starts_with('.') {
                states.push(name);
            }
        }
        let layout = "want one folder for each state, as in DIR/open/1.jpg and DIR/closed/2.jpg";
        check_states(&states).map_err(|why| wrong(directory, &format!("{why}; {layout}")))?;
        let mut examples = Vec::new();
        for (state, name) in states.iter().enumerate() {
            let folder = directory.join(name);
            let paths = list(&folder).map_err(|error| wrong(&folder, &error.to_string()))?;
            let before = examples.len();
            examples.extend(
                paths.into_iter().filter(|path| is_picture(path)).map(|path| Example { path, state }),
            );
            if examples.len() == before {
                return Err(wrong(&folder, "has no .jpg, .jpeg, .png or .webp picture"));
            }
        }
        Ok(Dataset { states, examples })
    }
}

/// Every picture below a directory, in order of their paths; hidden folders are left alone.
pub fn pictures_below(directory: &Path) -> Result<Vec<PathBuf>, UsageError> {
    let wrong = |error| UsageError(format!("{}: {error}", directory.display()));
    let mut found = Vec::new();
    for path in list(directory).map_err(wrong)? {
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_dir() && !hidden {
            found.extend(pictures_below(&path)?);
        } else if is_picture(&path) {
            found.push(path);
        }
    }
    Ok(found)
}

/// Whether the name is that of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    let extension = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    path.is_file() && extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str()))
}

fn list(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths =
        fs::read_dir(directory)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}
