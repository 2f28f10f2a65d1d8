//! Events: one JSON object a line, for programs that follow a device without a broker.

use super::report::{Report, now};
use crate::exit::UsageError;
use crate::watch::decision::Probabilities;
use crate::watch::gate::Reason;
use jiff::Timestamp;
use serde::{Serialize, Serializer};
use std::fs::OpenOptions;
use std::io::{self, LineWriter, Write};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Where events go; nowhere unless asked.
#[derive(Default)]
pub struct Events {
    to: Option<Mutex<Box<dyn Write + Send>>>,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Event<'a> {
    Camera {
        time: Timestamp,
        camera: &'a str,
        status: &'a str,
        why: Option<&'a str>,
    },
    Attempt(&'a Attempt<'a>),
    Change(&'a Report),
    /// Another bundle decides from now on, or none. `why`: there is none, or the one before failed.
    Swap {
        time: Timestamp,
        model: &'a str,
        bundle: Option<&'a str>,
        seq: Option<u64>,
        why: Option<&'a str>,
    },
}

/// One classification, as it is told.
#[derive(Serialize)]
pub struct Attempt<'a> {
    pub time: Timestamp,
    pub model: &'a str,
    pub camera: &'a str,
    #[serde(serialize_with = "reason_name")]
    pub reason: Reason,
    /// In the order of `states`.
    pub probabilities: &'a Probabilities,
    /// From what the training saw; above the watch's `max_distance` it votes for `unknown`.
    pub distance: Option<f32>,
    pub states: &'a [String],
    /// The state it votes for, or `unknown`.
    pub vote: &'a str,
    /// Why it votes for `unknown`.
    pub why: Option<&'static str>,
    pub agreeing: u8,
    pub needed: u8,
    /// From the crop to its probabilities.
    pub took_us: u64,
    /// Sequence number of the bundle that said it.
    pub seq: Option<u64>,
}

fn reason_name<S: Serializer>(reason: &Reason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.name())
}

impl Events {
    /// Appends to a file; `-` is standard output, `None` is nowhere.
    pub fn open(path: Option<&Path>) -> Result<Events, UsageError> {
        let Some(path) = path else { return Ok(Events::default()) };
        let to: Box<dyn Write + Send> = if path == "-" {
            Box::new(io::stdout())
        } else {
            let file = OpenOptions::new().create(true).append(true).open(path);
            let file = file.map_err(|error| UsageError(format!("--events {}: {error}", path.display())))?;
            Box::new(LineWriter::new(file))
        };
        Ok(Events { to: Some(Mutex::new(to)) })
    }

    pub fn camera(&self, camera: &str, status: &str, why: Option<&str>) {
        self.write(&Event::Camera { time: now(), camera, status, why });
    }

    pub fn attempt(&self, attempt: &Attempt) {
        self.write(&Event::Attempt(attempt));
    }

    pub fn swap(&self, model: &str, bundle: Option<(&str, u64)>, why: Option<&str>) {
        let (bundle, seq) = bundle.unzip();
        self.write(&Event::Swap { time: now(), model, bundle, seq, why });
    }

    pub fn change(&self, report: &Report) {
        self.write(&Event::Change(report));
    }

    fn write(&self, event: &Event) {
        let Some(to) = &self.to else { return };
        let mut to = to.lock().unwrap_or_else(PoisonError::into_inner);
        let written = serde_json::to_writer(&mut *to, event).map_err(io::Error::from);
        if let Err(error) = written.and_then(|()| to.write_all(b"\n")).and_then(|()| to.flush()) {
            log::warn!("an event was lost: {error}");
        }
    }
}
