//! The engine: the crop's codes in, features out.
//!
//! The backbone is a MobileNetV2 with int8 weights and u8 activations (`models/README.md`), cut open at two
//! places, the taps.
//!
//! ```text
//! once:       ONNX -> tract -> lower -> pack -> plan, a file
//! each look:  input codes -> executor, by kernels, in one arena -> features -> head -> probabilities
//! ```
//!
//! [`Engine`] is what the rest of the program runs. Where a backbone has a layer that cannot be lowered, tract
//! runs it.

mod check;
pub mod executor;
pub mod features;
pub mod head;
pub mod kernels;
pub mod layout;
pub mod plan;
pub mod unseen;

#[cfg(feature = "common")]
mod lower;
#[cfg(feature = "common")]
mod pack;
#[cfg(feature = "common")]
mod run;
#[cfg(feature = "common")]
pub mod tract;

#[cfg(feature = "common")]
pub use lower::{CannotLower, lower};
#[cfg(feature = "common")]
pub use run::{Engine, EngineError};

use crate::watch::crop::INPUT_SIDE;

/// A place where the backbone's activations can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tap {
    /// Output of block 13: 96 channels, 8 x 8, stride 16.
    Mid,
    /// The last map: 1280 channels, 4 x 4, stride 32.
    Last,
}

impl Tap {
    /// Name of the ONNX output.
    pub const fn name(self) -> &'static str {
        match self {
            Tap::Mid => "mid",
            Tap::Last => "last",
        }
    }

    pub const fn channels(self) -> usize {
        match self {
            Tap::Mid => 96,
            Tap::Last => 1280,
        }
    }

    /// Rows, and columns, of the map.
    pub const fn side(self) -> usize {
        match self {
            Tap::Mid => INPUT_SIDE / 16,
            Tap::Last => INPUT_SIDE / 32,
        }
    }

    pub const fn values(self) -> usize {
        self.channels() * self.side() * self.side()
    }
}
