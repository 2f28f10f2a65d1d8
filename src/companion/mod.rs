//! `ajar`: the companion. Everything that needs more than a small board, or a person.
//!
//! ```text
//! cut         a stream becomes pictures of the crop
//! timeline    what state the thing was in, and when
//! dataset     folders of pictures, one a state
//! picture     a picture becomes the engine's input, as on the device
//! embed       pictures become features
//! logistic    features become a head
//! train       the recipe: which features, how much regularisation
//! evaluate    how good it is
//! keys, pack  the head becomes a signed bundle
//! bundles     bundle files: inspect, verify, unpack, deploy
//! engine      how fast this machine is, and plans
//! commands    what the user typed
//! ```

mod bundles;
pub mod commands;
mod cut;
pub mod dataset;
mod embed;
mod engine;
pub mod evaluate;
pub mod keys;
pub mod logistic;
pub mod pack;
pub mod picture;
pub mod timeline;
mod train;

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
