//! A watch: one model on one camera, from frame to change.
//!
//! ```text
//! frame -> crop -> view -> motion -> gate -> (engine) -> decision -> change
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
pub mod thumbnail;
pub mod view;

use crop::CropBuffer;
use decision::{Change, Classification, Decision, DecisionSettings, States, Unknown, Vote};
use embassy_time::{Duration, Instant};
use gate::{Gate, GateSettings, Reason};
use motion::{Motion, Movement};
use thumbnail::Thumbnail;
use view::{Sight, View, ViewSettings};

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
    view: View,
    gate: Gate,
    decision: Decision,
    /// What the newest frame was good for.
    sight: Sight,
    /// What is wrong with the picture that was asked to be classified.
    found: Option<Unknown>,
}

impl Watch {
    pub fn new(gate: GateSettings, view: ViewSettings, decision: DecisionSettings, now: Instant) -> Watch {
        Watch {
            // Without motion in the gate a jump is still worth knowing.
            motion: Motion::new(gate.motion.unwrap_or_default()),
            view: View::new(view),
            gate: Gate::new(gate),
            decision: Decision::new(decision, now),
            sight: Sight::Clear,
            found: None,
        }
    }

    /// Takes in a crop that just arrived, and its frame's thumbnail. `Some` asks the caller to classify it.
    pub fn see(&mut self, now: Instant, crop: &CropBuffer, thumbnail: &Thumbnail) -> Option<Reason> {
        let moving = self.motion.update(now, crop) != Movement::Still;
        self.sight = self.view.see(crop, thumbnail);
        if self.sight != Sight::Unusable {
            self.decision.frame(crop.arrival());
        }
        match self.sight {
            Sight::Clear => {}
            Sight::Unsettled | Sight::Unusable => {
                self.decision.start_over();
                // Whatever has become of the scene is looked at as soon as that can be done.
                self.gate.restart();
                return None;
            }
            Sight::Blind(_) => return None,
        }
        let reason = self.gate.ask(now, moving, self.decision.pending())?;
        self.found = self.view.look(crop, thumbnail);
        Some(reason)
    }

    /// Takes in what the model said of the crop it asked for.
    pub fn conclude(&mut self, now: Instant, classification: &Classification) -> (Vote, Option<Change>) {
        self.decision.attempt(now, classification, self.found.take())
    }

    pub fn wants(&self, now: Instant) -> Wants {
        let GateSettings { motion, interval } = self.gate.settings();
        let busy = match self.sight {
            Sight::Clear => self.decision.pending() || motion.is_some() && self.gate.astir(now),
            Sight::Unsettled | Sight::Unusable => true,
            // Frames that tell nothing need not be many.
            Sight::Blind(_) => false,
        };
        Wants { now: busy, motion: motion.is_some(), interval, next_look: self.gate.next_look() }
    }

    /// Goes on with another model, and looks at the next crop. Its reference pictures come after this.
    pub fn adopt(
        &mut self,
        now: Instant,
        view: ViewSettings,
        decision: DecisionSettings,
        states: States,
    ) -> Option<Change> {
        self.gate.restart();
        self.view.adopt(view);
        self.decision.adopt(decision, states, now)
    }

    /// Adds a picture of what the camera shall look at.
    pub fn refer_to(&mut self, reference: &Thumbnail) {
        self.view.refer_to(reference);
    }

    /// How often the camera's stream brings a keyframe.
    pub fn set_keyframe_interval(&mut self, interval: Duration) {
        self.view.set_keyframe_interval(interval);
    }

    /// To be called on every pass of the loop, frame or no frame: staleness is decided here, and what is wrong with
    /// the stream.
    pub fn pass(&mut self, now: Instant) -> Option<Change> {
        let fault = match self.sight {
            Sight::Blind(why) => Some(why),
            Sight::Clear | Sight::Unsettled | Sight::Unusable => None,
        };
        let change = self.decision.pass(now, fault)?;
        self.gate.restart();
        Some(change)
    }
}
