//! A watch: one model on one camera, from frame to change.
//!
//! ```text
//! frame -> crop -> motion -> gate -> (engine) -> decision -> change
//! ```
//!
//! The centre of the product. Plain data, time passed in, sizes fixed by the constants of each
//! file. The engine is the caller's: between [`Watch::see`], which says whether to look, and
//! [`Watch::conclude`], which takes what the model said.

mod colour;
pub mod crop;
pub mod decision;
pub mod frame;
pub mod gate;
pub mod input;
mod light;
pub mod motion;
pub mod quantise;
mod region;
mod resize;
mod shrink;

use crop::CropBuffer;
use decision::{Change, Classification, Decision, DecisionSettings, States, Vote};
use embassy_time::{Duration, Instant};
use gate::{Gate, GateSettings, Reason};
use motion::{Motion, Movement};

/// What a watch needs of its camera.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Every frame, now: something moves, or a change is being verified.
    pub now: bool,
    /// It looks for motion.
    pub motion: bool,
    pub interval: Duration,
    /// When it looks next if nothing moves.
    pub next_look: Instant,
}

pub struct Watch {
    motion: Motion,
    gate: Gate,
    decision: Decision,
}

impl Watch {
    pub fn new(gate: GateSettings, decision: DecisionSettings, now: Instant) -> Watch {
        // Without motion in the gate a jump is still worth knowing.
        let motion = Motion::new(gate.motion.unwrap_or_default());
        Watch { motion, gate: Gate::new(gate), decision: Decision::new(decision, now) }
    }

    /// Takes in a crop that just arrived. `Some` asks the caller to classify it.
    pub fn see(&mut self, now: Instant, crop: &CropBuffer) -> Option<Reason> {
        self.decision.frame(crop.arrival());
        let movement = self.motion.update(now, crop);
        self.gate.ask(now, movement != Movement::Still, self.decision.pending())
    }

    /// Takes in what the model said of the crop it asked for.
    pub fn conclude(&mut self, now: Instant, classification: &Classification) -> (Vote, Option<Change>) {
        self.decision.attempt(now, classification)
    }

    pub fn wants(&self, now: Instant) -> Wants {
        let GateSettings { motion, interval } = self.gate.settings();
        let busy = self.decision.pending() || motion.is_some() && self.gate.astir(now);
        Wants { now: busy, motion: motion.is_some(), interval, next_look: self.gate.next_look() }
    }

    /// Goes on with another model, and looks at the next crop.
    pub fn adopt(&mut self, now: Instant, decision: DecisionSettings, states: States) -> Option<Change> {
        self.gate.restart();
        self.decision.adopt(decision, states, now)
    }

    /// To be called on every pass of the loop, frame or no frame: staleness is decided here.
    pub fn pass(&mut self, now: Instant) -> Option<Change> {
        let change = self.decision.pass(now)?;
        self.gate.restart();
        Some(change)
    }
}
