//! The gate: when a watch looks, and why.
//!
//! Each watch has its own. A start, a pending change, motion in the crop, the end of that motion and
//! the interval all open it; a gate that heard motion only would never look
//! again once the door has stopped.

use super::motion::MotionSettings;
use embassy_time::{Duration, Instant};

/// Motion opens the gate at most this often.
pub const MOTION_PERIOD: Duration = Duration::from_secs(1);
/// Time from the last motion to the look that sees where things came to rest.
pub const SETTLE: Duration = Duration::from_millis(1000);
/// Time between looks while a change is pending.
pub const RECHECK_PERIOD: Duration = Duration::from_millis(500);
/// Frames do not arrive to the millisecond: a re-check this much early is better than one a whole
/// frame late.
const RECHECK_SLACK: Duration = Duration::from_millis(50);
/// Looks in a row that a pending change may ask for; then only motion or the interval open the gate.
pub const RECHECK_LIMIT: u8 = 20;

/// Why an attempt was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The first look, or the first after a camera came back.
    Start,
    /// A change waits for agreeing attempts.
    Verification,
    Motion,
    Interval,
}

impl Reason {
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Start => "start",
            Reason::Verification => "verification",
            Reason::Motion => "motion",
            Reason::Interval => "interval",
        }
    }
}

/// When to look, from the watch's configuration.
#[derive(Clone, Copy, Debug)]
pub struct GateSettings {
    /// Look when something moves in the crop, which is told by these; `None` not to.
    pub motion: Option<MotionSettings>,
    /// Look at least this often.
    pub interval: Duration,
}

#[derive(Debug)]
pub struct Gate {
    settings: GateSettings,
    start: bool,
    last_look: Option<Instant>,
    last_motion: Option<Instant>,
    rechecks: u8,
}

impl Gate {
    /// A gate that opens on the first crop.
    pub fn new(settings: GateSettings) -> Gate {
        Gate { settings, start: true, last_look: None, last_motion: None, rechecks: 0 }
    }

    /// Opens on the next crop, whatever came before.
    pub fn restart(&mut self) {
        self.start = true;
    }

    pub fn settings(&self) -> GateSettings {
        self.settings
    }

    /// Whether something moved so recently that looks are still owed to it.
    pub fn astir(&self, now: Instant) -> bool {
        let until = |motion: Instant| motion.saturating_add(SETTLE).saturating_add(MOTION_PERIOD);
        self.last_motion.is_some_and(|motion| now < until(motion))
    }

    /// When it opens next if nothing moves.
    pub fn next_look(&self) -> Instant {
        let look = self.last_look.filter(|_| !self.start);
        look.map_or(Instant::MIN, |look| look.saturating_add(self.settings.interval))
    }

    /// Whether to look at the crop that just arrived. `moving`: motion was found in it;
    /// `pending`: the decision waits for more attempts.
    pub fn ask(&mut self, now: Instant, moving: bool, pending: bool) -> Option<Reason> {
        if moving && self.settings.motion.is_some() {
            self.last_motion = self.last_motion.max(Some(now));
        }
        if !pending {
            self.rechecks = 0;
        }
        let reason = self.reason(now, pending)?;
        match reason {
            Reason::Verification => self.rechecks += 1,
            _ => self.rechecks = 0,
        }
        self.start = false;
        self.last_look = Some(now);
        Some(reason)
    }

    fn reason(&self, now: Instant, pending: bool) -> Option<Reason> {
        let Some(last_look) = self.last_look.filter(|_| !self.start) else {
            return Some(Reason::Start);
        };
        let since_look = now.saturating_duration_since(last_look);
        if pending && self.rechecks < RECHECK_LIMIT {
            let due = since_look.as_ticks() + RECHECK_SLACK.as_ticks() >= RECHECK_PERIOD.as_ticks();
            return due.then_some(Reason::Verification);
        }
        // Once more after the motion has ended: only then are things where they stay.
        let settled_unseen = |motion: Instant| {
            last_look < motion.saturating_add(SETTLE) && now >= motion.saturating_add(SETTLE)
        };
        let moved = self.last_motion.is_some_and(|motion| motion > last_look || settled_unseen(motion));
        if moved && since_look >= MOTION_PERIOD {
            return Some(Reason::Motion);
        }
        (since_look >= self.settings.interval).then_some(Reason::Interval)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOTION_ONLY: GateSettings =
        GateSettings { motion: Some(MotionSettings::DEFAULT), interval: Duration::from_secs(3600) };

    fn at(ms: u64) -> Instant {
        Instant::from_millis(100_000 + ms)
    }

    /// Asks every 100 ms and lists (ms, reason).
    fn looks(
        settings: GateSettings,
        until_ms: u64,
        moving: impl Fn(u64) -> bool,
        pending: impl Fn(u64) -> bool,
    ) -> Vec<(u64, Reason)> {
        let mut gate = Gate::new(settings);
        let times = (0..=until_ms).step_by(100);
        times.filter_map(|ms| Some((ms, gate.ask(at(ms), moving(ms), pending(ms))?))).collect()
    }

    #[test]
    fn first_crop_opens_it_and_the_interval_after() {
        let settings = GateSettings { motion: None, interval: Duration::from_secs(2) };
        let seen = looks(settings, 5000, |_| true, |_| false);
        assert_eq!(seen, [(0, Reason::Start), (2000, Reason::Interval), (4000, Reason::Interval)]);
    }

    #[test]
    fn motion_opens_it_once_a_second_and_once_after_it_ends() {
        let seen = looks(MOTION_ONLY, 10_000, |ms| (2000..4500).contains(&ms), |_| false);
        let times: Vec<u64> = seen.iter().map(|(ms, _)| *ms).collect();
        assert_eq!(times, [0, 2000, 3000, 4000, 5000, 6000]);
        assert!(seen[1..].iter().all(|(_, reason)| *reason == Reason::Motion));
    }

    #[test]
    fn a_single_moving_frame_is_followed_by_the_settling_look() {
        let seen = looks(MOTION_ONLY, 9000, |ms| ms == 3000, |_| false);
        let want = [(0, Reason::Start), (3000, Reason::Motion), (4000, Reason::Motion)];
        assert_eq!(seen, want);
    }

    #[test]
    fn a_pending_change_is_rechecked_but_not_for_ever() {
        let seen = looks(MOTION_ONLY, 60_000, |_| false, |ms| ms >= 1000);
        assert_eq!(seen.len(), 1 + usize::from(RECHECK_LIMIT));
        assert_eq!(seen[1], (1000, Reason::Verification));
        assert_eq!(seen[2], (1500, Reason::Verification));
    }

    #[test]
    fn motion_gives_a_pending_change_another_burst() {
        let seen = looks(MOTION_ONLY, 60_000, |ms| ms == 30_000, |ms| ms >= 1000);
        let bursts = seen.iter().filter(|(_, reason)| *reason == Reason::Verification).count();
        assert!(bursts > usize::from(RECHECK_LIMIT), "{seen:?}");
    }

    #[test]
    fn restart_opens_it_at_once() {
        let mut gate = Gate::new(MOTION_ONLY);
        assert_eq!(gate.ask(at(0), false, false), Some(Reason::Start));
        assert_eq!(gate.ask(at(100), false, false), None);
        gate.restart();
        assert_eq!(gate.ask(at(200), false, false), Some(Reason::Start));
    }

    #[test]
    fn time_that_stands_still_or_runs_back_is_harmless() {
        let mut gate = Gate::new(MOTION_ONLY);
        gate.ask(at(5000), true, true);
        assert_eq!(gate.ask(at(0), true, true), None);
        assert_eq!(gate.ask(Instant::MIN, false, false), None);
        assert_eq!(gate.ask(Instant::MAX, false, false), Some(Reason::Motion));
    }
}
