//! `ajar`: the companion. Everything that needs more than a small board, or a person.
//!
//! ```text
//! clip        the frames of a source, with their times
//! cut         a stream becomes pictures of the crop
//! tune        a clip goes through motion and gate; tune_page shows what they found
//! timeline    what state the thing was in, and when
//! dataset     folders of pictures, one a state
//! picture     a picture becomes the engine's input, as on the device
//! augment     a picture's other looks
//! embed       pictures and their looks become features; cache keeps them
//! moment      when a picture was taken; light, by day or by night
//! groups      which pictures count as one, and which are tested together
//! rows, ridge features become scores
//! calibrate   scores become probabilities, distances a limit
//! train       the recipe
//! evaluate    how good it is; suspects, verdict: what that means and what would help
//! champion    whether it is better than the one before
//! report      all of that as a page, or as data
//! suggest     which pictures to label next
//! keys, pack  the head becomes a signed bundle
//! bundles     bundle files, ready to run; bundle_files, as a person handles them
//! deploy      bundles to devices, which are reached by remote; signed, what they should have
//! gallery     frames from devices
//! frigate     import from Frigate
//! export      a model becomes one ONNX file for other programs, exact in the engine's arithmetic; onnx writes it
//! workspace   models, pictures and labels in one folder; footage, diverse: where the pictures come from, and which
//! studio      all of that on a page in the browser
//! engine      how fast this machine is, and plans
//! commands    what the user typed
//! ```

mod augment;
mod bundle_files;
mod bundles;
mod cache;
mod calibrate;
mod champion;
mod clip;
pub mod commands;
mod cut;
pub mod dataset;
mod deploy;
mod diverse;
mod embed;
mod engine;
pub mod evaluate;
mod exact;
pub mod export;
mod footage;
mod frigate;
mod gallery;
mod groups;
pub mod keys;
mod light;
mod moment;
mod onnx;
pub mod pack;
pub mod picture;
mod remote;
mod report;
mod ridge;
mod rows;
mod said;
mod signed;
mod studio;
mod suggest;
mod suspects;
pub mod timeline;
mod train;
mod tune;
mod tune_page;
mod verdict;
pub mod workspace;

use crate::bundle::hex;
use crate::engine::plan::{self, Plan, PlanError};

/// The backbone that every model of this version is trained on (see models/README.md).
pub const BACKBONE: &[u8] = include_bytes!("../../models/mobilenetv2-128-int8.onnx");

/// The same, lowered.
static PLAN: &Aligned<[u8]> = &Aligned(*include_bytes!("../../models/mobilenetv2-128-int8.plan"));

#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

/// The plan of [`BACKBONE`].
pub fn shipped_plan() -> Result<Plan, PlanError> {
    Plan::from_static(&PLAN.0)
}

/// Whether this hex SHA-256 is that of [`BACKBONE`]. Reads neither the backbone nor its whole plan.
fn is_shipped(sha256: &str) -> bool {
    plan::source_of(&PLAN.0).is_some_and(|source| hex(source) == sha256)
}
