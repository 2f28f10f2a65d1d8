//! A picture that never changes: the camera sends, but it does not look any more.

use super::super::crop::CropBuffer;
use embassy_time::{Duration, Instant};

/// Frames that must be the same, however rarely they come.
const MIN_FRAMES: u32 = 4;

/// Keyframes' pauses that it must last at least. In between, an encoder that sees no change sends none: a quiet scene
/// is the same to the bit. Each keyframe is made anew of what the sensor sees then.
const KEYFRAMES: u32 = 2;

/// The newest crop's fingerprint and since when it is that.
pub struct Frozen {
    fingerprint: u64,
    since: Instant,
    frames: u32,
    /// Between two keyframes, as far as that is known.
    keyframe_interval: Duration,
}

impl Default for Frozen {
    fn default() -> Self {
        Frozen { fingerprint: 0, since: Instant::MIN, frames: 0, keyframe_interval: Duration::MIN }
    }
}

impl Frozen {
    pub fn set_keyframe_interval(&mut self, interval: Duration) {
        self.keyframe_interval = interval;
    }

    /// Whether every bit of the crop has been the same for at least `limit`. One bit of noise says that it lives.
    pub fn see(&mut self, crop: &CropBuffer, limit: Duration) -> bool {
        if limit == Duration::MIN {
            return false;
        }
        let fingerprint = crop.fingerprint();
        if self.frames == 0 || fingerprint != self.fingerprint {
            *self = Frozen { fingerprint, since: crop.arrival(), frames: 0, ..*self };
        }
        self.frames = self.frames.saturating_add(1);
        let limit = limit.max(self.keyframe_interval * KEYFRAMES);
        self.frames >= MIN_FRAMES && crop.arrival().saturating_duration_since(self.since) >= limit
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::crop::Region;
    use super::super::scene::{Picture, noise};
    use super::*;

    /// Shows a picture every `pause` for two minutes; the second at which it is frozen.
    fn run(pause: u64, limit: u64, luma: impl Fn(u64, usize) -> u8) -> Option<u64> {
        run_with(Frozen::default(), pause, limit, luma)
    }

    fn run_with(mut frozen: Frozen, pause: u64, limit: u64, luma: impl Fn(u64, usize) -> u8) -> Option<u64> {
        (0..120_000).step_by(pause as usize * 1000).find_map(|ms| {
            let pixel = |x: usize, y: usize| luma(ms, y * 64 + x);
            let picture = Picture::new(ms, (64, 36), Region::FULL, pixel);
            frozen.see(&picture.crop, Duration::from_secs(limit)).then_some(ms / 1000)
        })
    }

    #[test]
    fn it_takes_its_time_and_some_frames() {
        assert_eq!(run(1, 30, |_, i| i as u8), Some(30));
        assert_eq!(run(1, 3, |_, i| i as u8), Some(3));
        // One every twenty seconds: two alike are no proof.
        assert_eq!(run(20, 30, |_, i| i as u8), Some(60));
        assert_eq!(run(1, 0, |_, i| i as u8), None);
    }

    #[test]
    fn where_keyframes_are_rare_it_waits_for_two() {
        let mut frozen = Frozen::default();
        frozen.set_keyframe_interval(Duration::from_secs(25));
        // Nothing but copies between two keyframes.
        let quiet = |ms: u64, i: usize| noise(i, (ms / 25_000) as u32, 1);
        assert_eq!(run_with(frozen, 1, 20, quiet), None);
        let mut frozen = Frozen::default();
        frozen.set_keyframe_interval(Duration::from_secs(25));
        assert_eq!(run_with(frozen, 1, 20, |_, i| i as u8), Some(50));
    }

    #[test]
    fn the_least_noise_says_that_it_lives() {
        // One pixel by one code, every ten seconds.
        assert_eq!(run(1, 30, |ms, i| if i == 99 { (ms / 10_000 % 2) as u8 } else { 60 }), None);
        assert_eq!(run(1, 30, |ms, i| 60 + noise(i, ms as u32, 1)), None);
    }
}
