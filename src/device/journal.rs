//! The journal: what the watches have said so far, for whoever asks by the control socket.
//!
//! Its memory is fixed: the newest attempts push out the oldest.

use super::events::Attempt;
use super::report::Report;
use crate::watch::decision::Probabilities;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Attempts that are remembered, of all watches together.
pub const RECENT: usize = 256;

pub struct Journal {
    started: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    watches: Vec<Line>,
    recent: Box<heapless::Deque<Record, RECENT>>,
    /// Attempts so far.
    count: u64,
}

/// One watch.
#[derive(Clone, Serialize)]
pub struct Line {
    #[serde(flatten)]
    pub report: Report,
    pub attempts: u64,
    /// Attempts that came to nothing.
    pub failed: u64,
    /// Time that all attempts took together.
    #[serde(skip)]
    took_us: u64,
    /// Of the model that made the newest attempt.
    #[serde(skip)]
    states: Arc<[String]>,
}

/// An attempt with nothing of its own on the heap.
#[derive(Clone, Serialize)]
pub struct Record {
    time: Timestamp,
    /// Counts the attempts of all watches.
    #[serde(skip)]
    pub number: u64,
    /// Counts in the journal's watches.
    #[serde(skip)]
    pub watch: usize,
    reason: &'static str,
    probabilities: Probabilities,
    #[serde(serialize_with = "names")]
    states: Arc<[String]>,
    distance: Option<f32>,
    pub vote: heapless::String<32>,
    why: Option<&'static str>,
    agreeing: u8,
    needed: u8,
    took_us: u64,
    seq: Option<u64>,
}

fn names<S: serde::Serializer>(names: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(names)
}

/// An attempt with the names that it belongs to.
#[derive(Serialize)]
pub struct Named {
    pub model: String,
    pub camera: String,
    #[serde(flatten)]
    pub attempt: Record,
}

impl Journal {
    /// One line for each watch, in the order of the configuration.
    pub fn new(reports: impl Iterator<Item = Report>) -> Journal {
        let line = |report| Line { report, attempts: 0, failed: 0, took_us: 0, states: Arc::default() };
        let inner = Inner { watches: reports.map(line).collect(), recent: Box::default(), count: 0 };
        Journal { started: Instant::now(), inner: Mutex::new(inner) }
    }

    /// Takes in an attempt, and gives it its number. `None` if there is no such watch.
    pub fn attempt(&self, watch: usize, attempt: &Attempt) -> Option<Record> {
        let mut inner = self.lock();
        let number = inner.count;
        inner.count += 1;
        let line = inner.watches.get_mut(watch)?;
        line.attempts += 1;
        line.failed += u64::from(attempt.probabilities.is_empty());
        line.took_us += attempt.took_us;
        // Only another model has others.
        if *line.states != *attempt.states {
            line.states = attempt.states.into();
        }
        let states = line.states.clone();
        if inner.recent.is_full() {
            inner.recent.pop_front();
        }
        let record = Record {
            time: attempt.time,
            number,
            watch,
            reason: attempt.reason.name(),
            probabilities: attempt.probabilities.clone(),
            states,
            distance: attempt.distance,
            vote: attempt.vote.try_into().unwrap_or_default(),
            why: attempt.why,
            agreeing: attempt.agreeing,
            needed: attempt.needed,
            took_us: attempt.took_us,
            seq: attempt.seq,
        };
        let _ = inner.recent.push_back(record.clone());
        Some(record)
    }

    pub fn change(&self, watch: usize, report: &Report) {
        if let Some(line) = self.lock().watches.get_mut(watch) {
            line.report.clone_from(report);
        }
    }

    pub fn watches(&self) -> Vec<Line> {
        self.lock().watches.clone()
    }

    /// The newest first.
    pub fn recent(&self) -> Vec<Named> {
        let inner = self.lock();
        inner.recent.iter().rev().map(|record| inner.name(record.clone())).collect()
    }

    pub fn name(&self, attempt: Record) -> Named {
        self.lock().name(attempt)
    }

    pub fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().as_secs()
    }

    /// In the text format of Prometheus, version 0.0.4.
    pub fn metrics(&self) -> String {
        let lines = self.watches();
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Line) -> Option<String>| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for line in &lines {
                let Report { model, camera, .. } = &line.report;
                if let Some(value) = value(line) {
                    let _ = writeln!(text, "{name}{{model=\"{model}\",camera=\"{camera}\"{value}");
                }
            }
        };
        family("ajar_attempts_total", "counter", "Attempts.", &|l| Some(format!("}} {}", l.attempts)));
        family("ajar_attempts_failed_total", "counter", "Attempts that came to nothing.", &|l| {
            Some(format!("}} {}", l.failed))
        });
        family("ajar_attempt_seconds_total", "counter", "Time that attempts took.", &|l| {
            Some(format!("}} {}", l.took_us as f64 / 1e6))
        });
        family("ajar_changes_total", "counter", "Published changes.", &|l| {
            Some(format!("}} {}", l.report.sequence))
        });
        family("ajar_state", "gauge", "1 for the state that is published.", &|l| {
            let state = l.report.state.replace('\\', "\\\\").replace('"', "\\\"");
            Some(format!(",state=\"{state}\"}} 1"))
        });
        family("ajar_bundle_seq", "gauge", "Sequence number of the bundle that decides.", &|l| {
            Some(format!("}} {}", l.report.seq?))
        });
        let _ = writeln!(
            text,
            "# HELP ajar_uptime_seconds Since ajard started.\n# TYPE ajar_uptime_seconds gauge\najar_uptime_seconds {}",
            self.uptime_seconds()
        );
        text
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn name(&self, attempt: Record) -> Named {
        let report = &self.watches[attempt.watch].report;
        Named { model: report.model.clone(), camera: report.camera.clone(), attempt }
    }
}
