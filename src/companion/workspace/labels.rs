//! `labels.tsv`: the state of each picture, a line each, by the picture's id.

use super::{ModelFolder, names};
use crate::companion::pack::write_whole;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

pub const FILE: &str = "labels.tsv";
const HEAD: &str = "# picture\tstate\n";

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Labels {
    states: BTreeMap<String, String>,
}

impl Labels {
    pub fn read(folder: &ModelFolder) -> Result<Labels> {
        let path = folder.path().join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Labels::default()),
            text => text.with_context(|| path.display().to_string())?,
        };
        // Whoever edits the file by hand hears of a mistake before anything is written over it.
        Labels::parse(&text).map_err(|why| UsageError(format!("{}: {why}", path.display())).into())
    }

    fn parse(text: &str) -> Result<Labels, String> {
        let mut states = BTreeMap::new();
        for (i, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (id, state) =
                line.split_once('\t').ok_or_else(|| format!("line {}: want PICTURE, a tab, STATE", i + 1))?;
            names::check_id(id).map_err(|why| format!("line {}: {why}", i + 1))?;
            states.insert(id.to_string(), state.to_string());
        }
        Ok(Labels { states })
    }

    pub(super) fn text(&self) -> String {
        let lines = self.states.iter().map(|(id, state)| format!("{id}\t{state}\n"));
        HEAD.to_string() + &lines.collect::<String>()
    }

    /// The lock must be held, since before they were read.
    pub fn write(&self, folder: &ModelFolder) -> Result<()> {
        write_whole(&folder.path().join(FILE), self.text().as_bytes())
    }

    pub fn get(&self, id: &str) -> Option<&str> {
        self.states.get(id).map(String::as_str)
    }

    /// `None`: it is not known any more.
    pub fn set(&mut self, id: &str, state: Option<&str>) {
        match state {
            Some(state) => drop(self.states.insert(id.into(), state.into())),
            None => drop(self.states.remove(id)),
        }
    }

    pub fn rename(&mut self, old: &str, new: &str) {
        self.states.values_mut().filter(|state| *state == old).for_each(|state| *state = new.into());
    }
}

impl ModelFolder {
    /// Gives pictures a state, or takes it from them. Gives what they had before, for an undo.
    pub fn label(&self, ids: &[String], state: Option<&str>) -> Result<Vec<(String, Option<String>)>> {
        let _lock = self.workspace.lock()?;
        let known = self.file()?.states;
        if let Some(state) = state.filter(|state| !known.iter().any(|known| known == state)) {
            return Err(UsageError(format!("there is no state {state:?}, only {}", known.join(", "))).into());
        }
        let mut labels = Labels::read(self)?;
        let mut before = Vec::new();
        for id in ids {
            names::check_id(id).map_err(UsageError)?;
            before.push((id.clone(), labels.get(id).map(str::to_string)));
            labels.set(id, state);
        }
        labels.write(self)?;
        Ok(before)
    }

    /// The labels that some programs had before, put back.
    pub fn relabel(&self, before: &[(String, Option<String>)]) -> Result<()> {
        let _lock = self.workspace.lock()?;
        let mut labels = Labels::read(self)?;
        for (id, state) in before {
            names::check_id(id).map_err(UsageError)?;
            labels.set(id, state.as_deref());
        }
        labels.write(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_reads_back_as_it_was_written() {
        let mut labels = Labels::default();
        labels.set("2026-03-02_07-41-16_kfja", Some("half open"));
        labels.set("undated_abcd", Some("open"));
        assert_eq!(Labels::parse(&labels.text()), Ok(labels.clone()));
        labels.rename("open", "wide open");
        assert_eq!(labels.get("undated_abcd"), Some("wide open"));
        assert_eq!(labels.get("2026-03-02_07-41-16_kfja"), Some("half open"));
    }

    #[test]
    fn a_mistake_is_named_by_its_line() {
        assert!(Labels::parse("# x\nundated_a open\n").unwrap_err().starts_with("line 2: want PICTURE"));
        assert!(Labels::parse("../x\topen\n").unwrap_err().starts_with("line 1: "));
    }
}
