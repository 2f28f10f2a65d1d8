//! The report: what a device says of a watch, the same in every output.

use crate::watch::decision::{Change, Unknown, Verdict};
use jiff::Timestamp;
use serde::Serialize;

/// What is published of one watch. Also the JSON attributes on MQTT.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// When it became so, by the wall clock.
    pub time: Timestamp,
    pub model: String,
    pub camera: String,
    pub state: String,
    /// Why the state is `unknown`.
    pub reason: Option<&'static str>,
    pub previous: String,
    /// Of the attempt that decided.
    pub probability: f32,
    /// Counts the changes of this watch since the program started.
    pub sequence: u64,
    /// Id of the bundle that decided.
    pub bundle: Option<String>,
    /// The bundle's sequence number, and when it was signed, by the signer's clock. A device cannot tell whether there is
    /// a newer one; whoever reads this can.
    pub seq: Option<u64>,
    pub signed: Option<String>,
}

impl Report {
    /// What is said before anything is known.
    pub fn first(model: &str, camera: &str, why: &'static str) -> Report {
        Report {
            time: now(),
            model: model.into(),
            camera: camera.into(),
            state: UNKNOWN.into(),
            reason: Some(why),
            previous: UNKNOWN.into(),
            probability: 0.0,
            sequence: 0,
            bundle: None,
            seq: None,
            signed: None,
        }
    }

    /// Nothing is known any more.
    pub fn forget(&mut self, why: &'static str) {
        if self.state != UNKNOWN {
            self.time = now();
            self.sequence += 1;
            self.previous = std::mem::replace(&mut self.state, UNKNOWN.into());
        }
        self.reason = Some(why);
        self.probability = 0.0;
    }

    /// Takes in a change.
    pub fn update(&mut self, change: &Change, states: &[String]) {
        self.time = now();
        self.previous = state_name(change.from, states).into();
        self.state = state_name(change.to, states).into();
        self.reason = change.to.unknown().map(Unknown::name);
        self.probability = change.probability;
        self.sequence += 1;
    }
}

pub const UNKNOWN: &str = "unknown";
/// Reason of a watch whose model is not installed, or was refused.
pub const NO_MODEL: &str = "no_model";
pub const STARTING: &str = Unknown::Starting.name();

pub fn state_name(verdict: Verdict, states: &[String]) -> &str {
    match verdict {
        Verdict::State(state) => states.get(usize::from(state)).map_or(UNKNOWN, String::as_str),
        Verdict::Unknown(_) => UNKNOWN,
    }
}

/// The wall clock in milliseconds: for people's eyes, never for decisions.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    now.round(jiff::Unit::Millisecond).unwrap_or(now)
}
