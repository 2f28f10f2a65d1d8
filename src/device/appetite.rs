//! The appetite: how much of a camera's stream its watches need decoded now.

use super::run::STALE_AFTER;
use crate::config::Decode;
use crate::watch::Wants;
use embassy_time::{Duration, Instant};
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest pause between keyframes at which motion is still looked for in keyframes alone.
const MAX_KEYFRAME_INTERVAL: Duration = Duration::from_secs(3);
/// Where only looks need frames, one is decoded at least this often, so that a camera that shows nothing new is told
/// from one that is gone.
const FRESH: Duration = Duration::from_secs(10);
/// Before a state goes stale there must have been a frame, with this to spare. It comes up to a keyframe interval late.
const LATEST: Duration = Duration::from_secs(STALE_AFTER.as_secs() - 2);
/// Where nothing happens, pictures that are all keyframes need not be decoded more often than this to see motion.
const CALM_PERIOD: Duration = Duration::from_millis(400);

/// What is to be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    Every,
    /// The keyframes from this time on.
    Keyframes {
        from: Instant,
    },
}

/// A wish that the loop sets and a camera's thread reads. At first everything is wanted.
#[derive(Default)]
pub struct Appetite {
    /// Microseconds from which on keyframes are wanted, and one; 0 for every picture.
    wish: AtomicU64,
}

impl Appetite {
    pub fn set(&self, wish: Wish) {
        let code = match wish {
            Wish::Every => 0,
            Wish::Keyframes { from } => from.as_micros().saturating_add(1),
        };
        self.wish.store(code, Ordering::Relaxed);
    }

    pub fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Relaxed) {
            0 => Wish::Every,
            code => Wish::Keyframes { from: Instant::from_micros(code - 1) },
        }
    }
}

/// What a camera's watches need together. `keyframe_interval`: as measured, `None` while it is not known;
/// `last_frame`: when the last frame was decoded.
pub fn wish(
    mode: Decode,
    watches: impl Iterator<Item = Wants> + Clone,
    keyframe_interval: Option<Duration>,
    last_frame: Instant,
) -> Wish {
    // Not known yet, or so long that states would go stale between two.
    let Some(keyframe_interval) = keyframe_interval.filter(|interval| *interval < LATEST) else {
        return Wish::Every;
    };
    let keyframes = Wish::Keyframes { from: Instant::MIN };
    let due = || {
        let look = watches.clone().map(|wants| wants.next_look).min().unwrap_or(Instant::MAX);
        let fresh = FRESH.min(LATEST - keyframe_interval);
        Wish::Keyframes { from: look.min(last_frame.saturating_add(fresh)) }
    };
    match mode {
        Decode::All => return Wish::Every,
        Decode::Keyframes => return keyframes,
        Decode::Interval => return due(),
        Decode::Auto => {}
    }
    let too_rare = |wants: Wants| {
        wants.interval < keyframe_interval || wants.motion && keyframe_interval > MAX_KEYFRAME_INTERVAL
    };
    if watches.clone().any(|wants| wants.now || too_rare(wants)) {
        return Wish::Every;
    }
    let calm = Wish::Keyframes { from: last_frame.saturating_add(CALM_PERIOD) };
    if watches.clone().any(|wants| wants.motion) { calm } else { due() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(1000 + seconds)
    }

    const CALM: Wants = Wants {
        now: false,
        motion: true,
        interval: Duration::from_secs(60),
        next_look: Instant::from_secs(1060),
    };

    fn auto(watches: &[Wants], keyframe_interval: Option<u64>) -> Wish {
        wish(Decode::Auto, watches.iter().copied(), keyframe_interval.map(Duration::from_secs), at(0))
    }

    const KEYFRAMES: Wish = Wish::Keyframes { from: Instant::MIN };
    const SPACED: Wish = Wish::Keyframes { from: Instant::from_millis(1_000_400) };

    #[test]
    fn keyframes_are_enough_while_nothing_happens() {
        assert_eq!(auto(&[CALM], Some(2)), SPACED);
        // Until it is known how often they come, everything is wanted.
        assert_eq!(auto(&[CALM], None), Wish::Every);
        // Too rare for motion, or for the interval.
        assert_eq!(auto(&[CALM], Some(4)), Wish::Every);
        assert_eq!(auto(&[Wants { interval: Duration::from_secs(1), ..CALM }], Some(2)), Wish::Every);
        // One watch that needs more is enough.
        assert_eq!(auto(&[CALM, Wants { now: true, ..CALM }], Some(2)), Wish::Every);
    }

    #[test]
    fn without_motion_one_keyframe_a_look_is_decoded() {
        let still = Wants { motion: false, ..CALM };
        assert_eq!(auto(&[still], Some(2)), Wish::Keyframes { from: at(10) });
        assert_eq!(auto(&[still], Some(4)), Wish::Keyframes { from: at(9) });
        let soon = Wants { next_look: at(5), ..still };
        assert_eq!(auto(&[still, soon], Some(2)), Wish::Keyframes { from: at(5) });
        assert_eq!(auto(&[still, CALM], Some(2)), SPACED);
    }

    #[test]
    fn no_keyframe_interval_lets_a_state_go_stale() {
        let still = Wants { motion: false, ..CALM };
        for tenths in 1..400 {
            let interval = Duration::from_millis(100 * tenths);
            for mode in [Decode::Auto, Decode::Keyframes, Decode::Interval] {
                // The keyframe right before the one that is wanted is just too early.
                let latest = match wish(mode, [still].into_iter(), Some(interval), at(0)) {
                    Wish::Every => at(0),
                    Wish::Keyframes { from } => from.max(at(0)) + interval,
                };
                assert!(latest < at(0) + STALE_AFTER, "{mode:?}, a keyframe every {tenths} tenths");
            }
        }
    }

    #[test]
    fn the_configuration_has_the_last_word() {
        let busy = Wants { now: true, ..CALM };
        let with = |mode| wish(mode, [busy].into_iter(), Some(Duration::from_secs(2)), at(0));
        assert_eq!(with(Decode::All), Wish::Every);
        assert_eq!(with(Decode::Keyframes), KEYFRAMES);
        assert_eq!(with(Decode::Interval), Wish::Keyframes { from: at(10) });
    }

    #[test]
    fn a_wish_crosses_threads_as_it_is() {
        let appetite = Appetite::default();
        assert_eq!(appetite.wish(), Wish::Every);
        for wish in [KEYFRAMES, Wish::Keyframes { from: at(3) }, Wish::Every] {
            appetite.set(wish);
            assert_eq!(appetite.wish(), wish);
        }
    }
}
