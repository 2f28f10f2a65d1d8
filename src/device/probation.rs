//! Probation: what a model on trial shows while it runs, and what follows from it.

use crate::config::TrialConfig;
use embassy_time::{Duration, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Faults in a row that end a trial.
const MAX_FAULTS: u32 = 3;

/// What a generation has shown since it was loaded.
pub struct Probation {
    since: Instant,
    attempts: u32,
    faults: u32,
    /// Since the last attempt without one.
    faults_in_row: u32,
    last_fault: String,
    /// When the keeper was last asked to act on it.
    asked: Option<Instant>,
    /// Set once the store has it as active.
    confirmed: Arc<AtomicBool>,
}

/// Time after which the keeper is asked again: the store may have been busy.
const ASK_AGAIN: Duration = Duration::from_secs(30);

/// What a trial has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Review {
    Pending,
    /// It has shown enough.
    Proved,
    Failed,
    /// The store has it as active.
    Done,
}

impl Probation {
    pub fn new(now: Instant) -> Probation {
        Probation {
            since: now,
            attempts: 0,
            faults: 0,
            faults_in_row: 0,
            last_fault: String::new(),
            asked: None,
            confirmed: Arc::default(),
        }
    }

    /// Counts an attempt, and what was wrong with it.
    pub fn count(&mut self, fault: Option<String>) {
        self.attempts += 1;
        match fault {
            None => self.faults_in_row = 0,
            Some(why) => {
                self.faults += 1;
                self.faults_in_row += 1;
                self.last_fault = why;
            }
        }
    }

    /// Faults so far.
    pub fn faults(&self) -> u32 {
        self.faults
    }

    /// Whether it is time to ask the keeper.
    pub fn ask(&mut self, now: Instant) -> bool {
        let due = self.asked.is_none_or(|asked| now.saturating_duration_since(asked) >= ASK_AGAIN);
        if due {
            self.asked = Some(now);
        }
        due
    }

    /// To be set when the store has it as active.
    pub fn confirmed(&self) -> Arc<AtomicBool> {
        self.confirmed.clone()
    }

    pub fn last_fault(&self) -> &str {
        &self.last_fault
    }

    pub fn review(&self, now: Instant, settings: &TrialConfig) -> Review {
        let time = Duration::from_micros((settings.minutes * 60e6) as u64);
        if self.confirmed.load(Ordering::Acquire) {
            return Review::Done;
        }
        if self.faults_in_row >= MAX_FAULTS {
            return Review::Failed;
        }
        let good = self.attempts - self.faults;
        let lasted = now.saturating_duration_since(self.since) >= time;
        let proved = self.faults_in_row == 0 && good >= settings.attempts && lasted;
        if proved { Review::Proved } else { Review::Pending }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: TrialConfig = TrialConfig { attempts: 4, minutes: 1.0 };

    fn at(seconds: u64) -> Instant {
        Instant::from_secs(1000 + seconds)
    }

    #[test]
    fn a_trial_needs_both_attempts_and_time() {
        let mut probation = Probation::new(at(0));
        assert_eq!(probation.review(at(600), &SETTINGS), Review::Pending);
        (0..4).for_each(|_| probation.count(None));
        assert_eq!(probation.review(at(59), &SETTINGS), Review::Pending);
        assert_eq!(probation.review(at(60), &SETTINGS), Review::Proved);
    }

    #[test]
    fn three_faults_in_a_row_end_it_and_two_do_not() {
        let mut probation = Probation::new(at(0));
        for fault in [true, true, false, true, true] {
            probation.count(fault.then(|| "slow".into()));
            assert_ne!(probation.review(at(600), &SETTINGS), Review::Failed);
        }
        probation.count(Some("slow".into()));
        assert_eq!(probation.review(at(600), &SETTINGS), Review::Failed);
        assert_eq!((probation.faults(), probation.last_fault()), (5, "slow"));
    }
}
