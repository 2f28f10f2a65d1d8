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
//! commands    what the user typed
//! ```

mod bundles;
pub mod commands;
mod cut;
pub mod dataset;
mod embed;
pub mod evaluate;
pub mod keys;
pub mod logistic;
pub mod pack;
pub mod picture;
pub mod timeline;
mod train;

/// The backbone that every model of this version is trained on (see models/README.md).
pub const BACKBONE: &[u8] = include_bytes!("../../models/mobilenetv2-128-int8.onnx");
