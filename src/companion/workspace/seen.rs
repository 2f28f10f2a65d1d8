//! `recent.tsv`: which of a device's recent pictures were dealt with, and how.

use super::{ModelFolder, names};
use crate::companion::pack::write_whole;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;

const FILE: &str = "recent.tsv";
const HEAD: &str = "# recent picture\tits picture among the examples, or - if it was put away\n";
const AWAY: &str = "-";
/// A device forgets its recent pictures, and so may this list: the oldest first.
const MOST: usize = 20_000;

/// What became of a recent picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Example(String),
    PutAway,
}

impl ModelFolder {
    pub fn seen(&self) -> Result<BTreeMap<String, Seen>> {
        let path = self.path().join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
            text => text.with_context(|| path.display().to_string())?,
        };
        let line = |line: &str| {
            let (key, what) = line.split_once('\t').filter(|_| !line.starts_with('#'))?;
            let seen = if what == AWAY { Seen::PutAway } else { Seen::Example(what.into()) };
            Some((key.to_string(), seen))
        };
        Ok(text.lines().filter_map(line).collect())
    }

    /// Remembers what became of some; `None` forgets it.
    pub fn remember_seen(&self, keys: &[(String, Option<Seen>)]) -> Result<()> {
        let _lock = self.workspace().lock()?;
        let mut all = self.seen()?;
        for (key, seen) in keys {
            names::check_id(key).map_err(UsageError)?;
            match seen {
                Some(seen) => drop(all.insert(key.clone(), seen.clone())),
                None => drop(all.remove(key)),
            }
        }
        while all.len() > MOST {
            all.pop_first();
        }
        let what = |seen: &Seen| match seen {
            Seen::Example(id) => id.clone(),
            Seen::PutAway => AWAY.into(),
        };
        let lines: String = all.iter().map(|(key, seen)| format!("{key}\t{}\n", what(seen))).collect();
        write_whole(&self.path().join(FILE), (HEAD.to_string() + &lines).as_bytes())
    }
}
