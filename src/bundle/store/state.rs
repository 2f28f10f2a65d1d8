//! The file `state`: which generation of each model is which.
//!
//! TOML and, in the last line, its SHA-256. It is replaced by a rename, and the one before stays as `state.bak`.
//! Where neither can be read, the generations on disk tell the rest.

use super::{MANIFEST, SIGNATURE, Store, is_id};
use crate::bundle::manifest::{Manifest, Role};
use crate::bundle::verify::key_id;
use crate::bundle::{Code, Refusal, sha256_hex};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::ErrorKind;

const STATE: &str = "state";
const BACKUP: &str = "state.bak";
/// Room for every model of a large device; what is larger is no state.
const MAX_STATE: usize = 256 << 10;
/// Bundles remembered as bad, for each model.
const MAX_BAD: usize = 16;
/// Starts that a generation on trial is given.
pub const ATTEMPTS: u8 = 3;

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    #[serde(default)]
    pub models: BTreeMap<String, Generations>,
}

/// The generations of one model, each by its id.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Generations {
    /// The newest that has proved itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// The one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    /// For each signing key, the highest sequence number that has been active. Never falls, unless state and backup are
    /// both lost.
    #[serde(default)]
    pub floors: BTreeMap<String, u64>,
    /// Rolled back and not to be tried again, the newest last.
    #[serde(default)]
    pub bad: Vec<Bad>,
}

/// A generation that has not proved itself yet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    pub id: String,
    /// By this key, and with this number.
    pub key: String,
    pub seq: u64,
    pub phase: Phase,
    /// Starts it has left. Counted down before it is loaded.
    pub attempts_left: u8,
    /// The boot in which it was started last: a start that a power cut ended does not count.
    #[serde(default)]
    pub boot_id: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Not started, or stopped in an orderly way.
    Waiting,
    Running,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bad {
    pub id: String,
    pub why: String,
}

impl Generations {
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        let trial = self.trial.iter().map(|trial| &trial.id);
        trial.chain(&self.active).chain(&self.previous)
    }

    /// Ends the trial for good.
    pub(super) fn reject(&mut self, id: &str, why: &str) {
        self.trial = None;
        self.bad.retain(|bad| bad.id != id);
        self.bad.push(Bad { id: id.into(), why: why.into() });
        let surplus = self.bad.len().saturating_sub(MAX_BAD);
        self.bad.drain(..surplus);
    }
}

impl State {
    /// Reads the file's bytes; the error says what is wrong with them.
    pub fn parse(bytes: &[u8]) -> Result<State, String> {
        if bytes.len() > MAX_STATE {
            return Err(format!("{} bytes, at most {MAX_STATE}", bytes.len()));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
        let (toml, checksum) = text.rsplit_once("# sha256 ").ok_or("no checksum")?;
        if checksum.strip_suffix('\n') != Some(&sha256_hex(toml.as_bytes())) {
            return Err("the checksum does not fit".into());
        }
        toml::from_str(toml).map_err(|error| error.message().to_string())
    }

    pub fn to_bytes(&self) -> Result<Vec<u8>, String> {
        let toml = toml::to_string(self).map_err(|error| error.to_string())?;
        Ok(format!("{toml}# sha256 {}\n", sha256_hex(toml.as_bytes())).into_bytes())
    }
}

impl Store {
    /// The state; where its file is lost, its backup; where that is lost too, what the generations on disk tell.
    pub(super) fn state(&self) -> Result<State, Refusal> {
        let why = match self.read_state(STATE)? {
            Found::Whole(state) => return Ok(state),
            Found::Damaged(why) => Some(why),
            Found::Nothing => None,
        };
        let (state, from) = match self.read_state(BACKUP)? {
            Found::Whole(state) => (state, BACKUP),
            _ => (self.rescan()?, "the generations on disk"),
        };
        // Without either, nothing was ever installed. With a backup only, the power went while it was replaced.
        if let Some(why) = why {
            log::warn!("{:?}: {}: {why}; going on with {from}", Code::W50, self.root.join(STATE).display());
        }
        Ok(state)
    }

    pub(super) fn write_state(&self, state: &State) -> Result<(), Refusal> {
        let path = self.root.join(STATE);
        let bytes = state.to_bytes().map_err(|why| Refusal::new(Code::E41, why))?;
        let new = self.root.join("state.new");
        self.discard(&new)?;
        self.create(&new, &bytes)?;
        self.sync_file(&new)?;
        // A damaged one must not take the place of a good backup.
        if matches!(self.read_state(STATE)?, Found::Whole(_)) {
            self.rename(&path, &self.root.join(BACKUP))?;
        }
        self.rename(&new, &path)?;
        self.sync_directory(&self.root)
    }

    /// What the state and its backup name. None if either cannot be read: then nothing is known to be unnamed.
    pub(super) fn named(&self) -> Result<Option<Vec<String>>, Refusal> {
        let mut ids = Vec::new();
        for name in [STATE, BACKUP] {
            match self.read_state(name)? {
                Found::Whole(state) => ids
                    .extend(state.models.values().flat_map(|model| model.ids().cloned().collect::<Vec<_>>())),
                Found::Nothing => {}
                Found::Damaged(_) => return Ok(None),
            }
        }
        Ok(Some(ids))
    }

    fn read_state(&self, name: &str) -> Result<Found, Refusal> {
        let path = self.root.join(name);
        match self.disk.read(&path) {
            Ok(bytes) => Ok(State::parse(&bytes).map_or_else(Found::Damaged, Found::Whole)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Found::Nothing),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(super::io_error(&path)(error)),
            Err(error) => Ok(Found::Damaged(error.to_string())),
        }
    }

    /// The newest generation of each model goes on trial again, the one before it is active: which of them had
    /// proved itself is not known any more. Whether their signatures are good is seen when they are loaded.
    fn rescan(&self) -> Result<State, Refusal> {
        let mut found: Vec<(u64, String, Trial)> = Vec::new();
        for id in self.list(&self.root)?.into_iter().filter(|name| is_id(name)) {
            found.extend(self.describe(&id));
        }
        found.sort_by(|a, b| (b.0, &b.2.id).cmp(&(a.0, &a.2.id)));
        let mut state = State::default();
        for (seq, model, generation) in found {
            let model = state.models.entry(model).or_default();
            if model.trial.is_none() {
                model.trial = Some(generation);
            } else if model.active.is_none() {
                model.floors.insert(generation.key, seq);
                model.active = Some(generation.id);
            }
        }
        Ok(state)
    }

    /// What a generation's directory says of itself; `None` if it is not whole.
    fn describe(&self, id: &str) -> Option<(u64, String, Trial)> {
        let directory = self.root.join(id);
        let bytes = self.disk.read(&directory.join(MANIFEST)).ok()?;
        let signature = String::from_utf8(self.disk.read(&directory.join(SIGNATURE)).ok()?).ok()?;
        if !sha256_hex(&bytes).starts_with(id) {
            return None;
        }
        let manifest = Manifest::parse(&bytes).ok()?;
        let mut own = manifest.parts.iter().filter(|part| part.role != Role::Backbone);
        let backbone = &manifest.backbone.sha256;
        let whole = own.all(|part| self.read_hashed(&directory.join(&part.name), &part.sha256).is_ok())
            && self.read_hashed(&self.blob(backbone), backbone).is_ok();
        if !whole {
            return None;
        }
        let key = key_id(signature.lines().nth(1)?)?;
        let trial = Trial {
            id: id.into(),
            key,
            seq: manifest.seq,
            phase: Phase::Waiting,
            attempts_left: ATTEMPTS,
            boot_id: String::new(),
        };
        Some((manifest.seq, manifest.model, trial))
    }
}

enum Found {
    Whole(State),
    Damaged(String),
    Nothing,
}
