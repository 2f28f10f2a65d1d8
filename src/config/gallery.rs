//! `[gallery]`: which frames the device keeps for the models to come.

use embassy_time::Duration;
use serde::Deserialize;
use std::path::PathBuf;

const FRAMES: std::ops::RangeInclusive<usize> = 1..=5000;
const MAX_MB: std::ops::RangeInclusive<u64> = 1..=1_000_000;
/// So long as frames are looked at this often, one can be kept this often at most.
const MIN_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GalleryConfig {
    pub enabled: bool,
    /// Most of each camera.
    pub frames: usize,
    /// Megabytes of all cameras together; each has an equal share.
    pub max_mb: u64,
    /// One frame at most is kept in this time.
    #[serde(deserialize_with = "super::seconds")]
    pub every: Duration,
    pub privacy: Privacy,
    /// Beside the store unless given.
    pub directory: Option<PathBuf>,
}

/// What of a frame is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Privacy {
    /// All of it.
    #[default]
    Frame,
    /// What the watches look at, and nothing around it.
    Crop,
}

impl Default for GalleryConfig {
    fn default() -> Self {
        GalleryConfig {
            enabled: true,
            frames: 200,
            max_mb: 200,
            every: Duration::from_secs(300),
            privacy: Privacy::Frame,
            directory: None,
        }
    }
}

impl GalleryConfig {
    /// Whether it keeps whole frames, so that also a camera without a watch has something to give.
    pub fn keeps_frames(&self) -> bool {
        self.enabled && self.privacy == Privacy::Frame
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if !FRAMES.contains(&self.frames) {
            return Err(format!(
                "frames: {} is not within 1 and 5000; to keep none: enabled = false",
                self.frames
            ));
        }
        if !MAX_MB.contains(&self.max_mb) {
            return Err(format!("max_mb: {} is not within 1 and 1000000", self.max_mb));
        }
        if self.every < MIN_EVERY {
            return Err(format!("every: must be at least {} seconds", MIN_EVERY.as_secs()));
        }
        Ok(())
    }
}
