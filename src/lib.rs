//! Ajar tells people and machines what state a thing in front of a camera is in.
//!
//! ```text
//! frame -> crop -> motion -> gate -> engine -> decision -> change -> outputs             (ajard)
//! dataset -> features -> head -> evaluation -> bundle -> signature -> device              (ajar)
//! ```
//!
//! The words, the same in code, config and documentation:
//!
//! | word | meaning |
//! |---|---|
//! | camera | a named video source |
//! | crop | a fixed rectangle of a camera's frame |
//! | state | one of a model's mutually exclusive classes; `unknown` is reserved |
//! | model | a named state classifier: states, backbone, head, threshold |
//! | watch | one (model, camera) pair running on a device |
//! | view | whether a frame is a picture of the scene at all, and of the right one |
//! | reference | a small picture of a whole frame, as its camera shall look |
//! | gate | decides when a watch looks, and why |
//! | attempt | one classification |
//! | verification | N agreeing attempts before a state is published |
//! | bundle | one signed file that carries a model to a device |
//! | backbone | the shared, frozen, int8 MobileNetV2 that turns a crop into features |
//! | head | the small trained part that turns features into probabilities |
//! | gallery | frames that a device keeps before it has a model and after |
//! | recent | the newest attempts of a watch, with pictures |
//!
//! [`watch`] is the part that must be right. It has no I/O, no allocation and no clock, and
//! builds without the standard library: `cargo check --lib --no-default-features`.
#![cfg_attr(not(any(test, feature = "executor")), no_std)]

pub mod watch;

#[cfg(feature = "companion")]
pub mod allocations;
#[cfg(feature = "common")]
pub mod board;
#[cfg(feature = "common")]
pub mod bundle;
#[cfg(feature = "common")]
pub mod camera;
#[cfg(feature = "common")]
pub mod child;
#[cfg(feature = "companion")]
pub mod companion;
#[cfg(feature = "common")]
pub mod config;
#[cfg(feature = "device")]
pub mod device;
#[cfg(feature = "executor")]
pub mod engine;
#[cfg(feature = "common")]
pub mod exit;
#[cfg(feature = "common")]
pub mod model;
#[cfg(feature = "common")]
pub mod selftest;
