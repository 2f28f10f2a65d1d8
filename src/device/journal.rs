//! The journal: what the watches have said so far, for whoever asks by the control socket.
//!
//! Its memory is fixed: the newest attempts push out the oldest.

use super::events::Attempt;
use super::report::Report;
use crate::watch::decision::Probabilities;
use jiff::Timestamp;
use serde::Serialize;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Attempts that are remembered, of all watches together.
pub const RECENT: usize = 256;

pub struct Journal {
    started: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    watches: Vec<Line>,
    recent: Box<heapless::Deque<Recent, RECENT>>,
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
}

/// An attempt without anything on the heap.
#[derive(Clone, Serialize)]
pub struct Recent {
    time: Timestamp,
    /// Counts in the journal's watches.
    #[serde(skip)]
    watch: usize,
    reason: &'static str,
    probabilities: Probabilities,
    distance: Option<f32>,
    vote: heapless::String<32>,
    why: Option<&'static str>,
    agreeing: u8,
    needed: u8,
    took_us: u64,
    seq: Option<u64>,
}

/// An attempt with the names that it belongs to.
#[derive(Serialize)]
pub struct Named {
    model: String,
    camera: String,
    #[serde(flatten)]
    attempt: Recent,
}

impl Journal {
    /// One line for each watch, in the order of the configuration.
    pub fn new(reports: impl Iterator<Item = Report>) -> Journal {
        let watches = reports.map(|report| Line { report, attempts: 0, failed: 0, took_us: 0 }).collect();
        Journal { started: Instant::now(), inner: Mutex::new(Inner { watches, recent: Box::default() }) }
    }

    pub fn attempt(&self, watch: usize, attempt: &Attempt) {
        let mut inner = self.lock();
        let Some(line) = inner.watches.get_mut(watch) else { return };
        line.attempts += 1;
        line.failed += u64::from(attempt.probabilities.is_empty());
        line.took_us += attempt.took_us;
        if inner.recent.is_full() {
            inner.recent.pop_front();
        }
        let recent = Recent {
            time: attempt.time,
            watch,
            reason: attempt.reason.name(),
            probabilities: attempt.probabilities.clone(),
            distance: attempt.distance,
            vote: attempt.vote.try_into().unwrap_or_default(),
            why: attempt.why,
            agreeing: attempt.agreeing,
            needed: attempt.needed,
            took_us: attempt.took_us,
            seq: attempt.seq,
        };
        let _ = inner.recent.push_back(recent);
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
        let named = |attempt: &Recent| {
            let report = &inner.watches[attempt.watch].report;
            Named { model: report.model.clone(), camera: report.camera.clone(), attempt: attempt.clone() }
        };
        inner.recent.iter().rev().map(named).collect()
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
