//! Import from Frigate: its `config.yml` and its pictures become datasets and a configuration of `ajard`.
//!
//! ```text
//! yaml           a file in which every value knows its line
//! config         cameras and state classifications in it
//! clips          the pictures of each model
//! device_config  the same cameras and classifications for ajard
//! ```
//!
//! Frigate keeps crops, not frames, so what comes of them is bound to the crop in its configuration.

mod clips;
mod config;
mod device_config;
mod yaml;

use crate::bundle::names::check_states;
use crate::config::Config;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use clips::{Clips, Picture};
use config::{Frigate, Usage};
use std::fs;
use std::io::{Write, stdout};
use std::path::{Path, PathBuf};

/// Folder of the pictures without a label, beside `pictures`.
const UNLABELLED: &str = "unlabelled";
const PICTURES: &str = "pictures";

/// Where things are.
pub struct Places<'a> {
    pub config: &'a Path,
    /// Frigate's `clips`, or the directory it is in.
    pub clips: Option<&'a Path>,
    /// Nothing is written without it.
    pub out: Option<&'a Path>,
}

/// Prints the configuration of `ajard`; everything else is said on standard error.
pub fn import(places: &Places) -> Result<()> {
    let mut frigate = config::load(places.config)?;
    let clips = places.clips.map(clips_directory).transpose()?;
    if let Some(out) = places.out {
        check_free(out, &frigate)?;
    }
    let mut lines = Vec::new();
    for (index, model) in frigate.models.iter().enumerate() {
        let Some(clips) = &clips else { break };
        let found = clips::read(clips, &model.frigate_name)?;
        let mut line = format!("{}: {}", model.name, in_words(&found));
        if let Some(out) = places.out {
            let directory = out.join(&model.name);
            copy(&found, &directory)?;
            line += &format!(", in {}", directory.display());
        }
        lines.push((index, line, found));
    }
    let notes = lines.iter().flat_map(|(index, _, found)| clip_notes(&frigate.models[*index].name, found));
    let notes: Vec<String> = notes.collect();
    frigate.notes.extend(notes);
    let text = device_config::write(&frigate);
    for model in frigate.models.iter().filter(|model| model.usage == Usage::Disabled) {
        let why = "is disabled in Frigate, so it is not in the configuration";
        frigate.notes.push(format!("left out: the model {} {why}", model.name));
    }
    if let Err(why) = Config::parse(&text) {
        frigate.notes.push(format!("fill in: ajard would refuse this configuration as it is: {why}"));
    }
    lines.iter().for_each(|(_, line, _)| eprintln!("{line}"));
    frigate.notes.iter().for_each(|note| eprintln!("{note}"));
    stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Frigate's `clips` directory.
fn clips_directory(given: &Path) -> Result<PathBuf, UsageError> {
    let below = given.join("clips");
    let clips = if below.is_dir() { below } else { given.to_path_buf() };
    match clips.is_dir() {
        true => Ok(clips),
        false => {
            Err(UsageError(format!("--clips {}: no such directory; want Frigate's clips", given.display())))
        }
    }
}

/// What is there is never overwritten.
fn check_free(out: &Path, frigate: &Frigate) -> Result<(), UsageError> {
    let taken = frigate.models.iter().map(|model| out.join(&model.name)).find(|directory| directory.exists());
    taken.map_or(Ok(()), |taken| Err(UsageError(format!("{} exists; choose another --out", taken.display()))))
}

fn in_words(found: &Clips) -> String {
    let of_state = |state: &String| {
        let count = found.pictures.iter().filter(|picture| picture.state.as_ref() == Some(state)).count();
        format!("{count} {state}")
    };
    let mut counts: Vec<String> = found.states.iter().map(of_state).collect();
    let unlabelled = found.pictures.iter().filter(|picture| picture.state.is_none()).count();
    counts.push(format!("{unlabelled} without a label"));
    counts.join(", ")
}

fn clip_notes(model: &str, found: &Clips) -> Vec<String> {
    let mut notes = Vec::new();
    if found.pictures.is_empty() {
        notes.push(format!("look: {model} has no pictures in --clips"));
    } else if let Err(why) = check_states(&found.states) {
        notes.push(format!("look: {model} cannot be trained as it is: {why}"));
    }
    if found.unlabelled > 0 {
        let why = "of the class none or unknown have no label now: Ajar says unknown by itself";
        notes.push(format!("look: {} pictures of {model} {why}", found.unlabelled));
    }
    notes
}

/// Copies pictures to `DIRECTORY/pictures/STATE`, for `ajar train`, and `DIRECTORY/unlabelled`, for `ajar suggest`.
fn copy(found: &Clips, directory: &Path) -> Result<()> {
    for (index, Picture { path, state }) in found.pictures.iter().enumerate() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let extension = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let (folder, name) = match state {
            // Its name has the time at which it was sorted in, which training would take for that of the picture.
            Some(state) => (directory.join(PICTURES).join(state), format!("{index:05}.{extension}")),
            None => (directory.join(UNLABELLED), name.into_owned()),
        };
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let to = folder.join(name);
        fs::copy(path, &to).with_context(|| format!("{} to {}", path.display(), to.display()))?;
    }
    Ok(())
}
