//! Reference pictures: what the cameras shall look at, by which a device tells that one was moved.
//!
//! The part is a row of thumbnails: 160 x 90 cells each, row by row, a byte of luma for each.

use super::manifest::{Manifest, Role};
use super::names::check_model_name;
use crate::watch::thumbnail::CELLS;
use crate::watch::view::MAX_REFERENCES;
use serde::{Deserialize, Serialize};

/// Required by a bundle with reference pictures: a reader that skipped them would publish states of a moved camera.
pub const REFERENCE: &str = "reference";
/// Most pictures of all cameras.
pub const MAX_PICTURES: usize = 16;

/// What the manifest says of one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceSpec {
    pub camera: String,
    /// Width divided by height of the picture before it was made small.
    pub frame_aspect: f64,
}

/// Whether a manifest's pictures and its part for them fit.
pub fn check(manifest: &Manifest) -> Result<(), String> {
    let references = &manifest.references;
    let count = references.len();
    if count > MAX_PICTURES {
        return Err(format!("reference: {count} pictures, at most {MAX_PICTURES}"));
    }
    for (i, ReferenceSpec { camera, frame_aspect }) in references.iter().enumerate() {
        check_model_name(camera).map_err(|why| format!("reference[{i}].camera: {why}"))?;
        if !(0.01..=100.0).contains(frame_aspect) {
            return Err(format!("reference[{i}].frame_aspect: {frame_aspect} is not within 0.01 and 100"));
        }
        if references.iter().filter(|spec| spec.camera == *camera).count() > MAX_REFERENCES {
            return Err(format!("reference: more than {MAX_REFERENCES} pictures of {camera}"));
        }
    }
    if count > 0 && !manifest.requires.iter().any(|name| name == REFERENCE) {
        return Err(format!("reference: a reader must know of it, so requires must name {REFERENCE:?}"));
    }
    let size = manifest.part(Role::Reference).map(|part| part.size);
    let want = (count > 0).then_some((count * CELLS) as u64);
    if size != want {
        let [size, want] = [size, want].map(Option::unwrap_or_default);
        return Err(format!("the part reference has {size} bytes, {count} pictures need {want}"));
    }
    Ok(())
}
