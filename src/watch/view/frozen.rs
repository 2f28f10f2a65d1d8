//! A picture that never changes: the camera sends, but it does not look any more.

use super::super::crop::CropBuffer;
use embassy_time::{Duration, Instant};

/// Frames that must be the same, however rarely they come.
const MIN_FRAMES: u32 = 4;

/// The newest crop's fingerprint and since when it is that.
pub struct Frozen {
    fingerprint: u64,
    since: Instant,
    frames: u32,
}

impl Default for Frozen {
    fn default() -> Self {
        Frozen { fingerprint: 0, since: Instant::MIN, frames: 0 }
    }
}

impl Frozen {
    /// Whether every bit of the crop has been the same for at least `limit`. One bit of noise says that it lives.
    pub fn see(&mut self, crop: &CropBuffer, limit: Duration) -> bool {
        if limit == Duration::MIN {
            return false;
        }
        let fingerprint = crop.fingerprint();
        if self.frames == 0 || fingerprint != self.fingerprint {
            *self = Frozen { fingerprint, since: crop.arrival(), frames: 0 };
        }
        self.frames = self.frames.saturating_add(1);
        self.frames >= MIN_FRAMES && crop.arrival().saturating_duration_since(self.since) >= limit
    }
}
