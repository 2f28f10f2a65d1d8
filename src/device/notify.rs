//! systemd: READY, STATUS, WATCHDOG, and the heartbeats the watchdog depends on.

use embassy_time::{Duration, Instant};
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the rounds of one thread.
#[derive(Clone, Default)]
pub struct Heartbeat(Arc<AtomicU64>);

impl Heartbeat {
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Feeds systemd's watchdog, but only while every other thread makes its rounds too.
pub struct Watchdog {
    period: Option<Duration>,
    last_ping: Instant,
    threads: Vec<(Heartbeat, u64)>,
}

impl Watchdog {
    /// `threads`: those that must advance between two pings.
    pub fn new(threads: Vec<Heartbeat>, now: Instant) -> Watchdog {
        let limit = sd_notify::watchdog_enabled();
        // Half the limit, as sd_watchdog_enabled(3) advises.
        let period = limit.map(|limit| Duration::from_micros(limit.as_micros() as u64 / 2));
        let threads = threads.into_iter().map(|thread| (thread, 0)).collect();
        Watchdog { period, last_ping: now, threads }
    }

    pub fn pass(&mut self, now: Instant) {
        let due = self.period.is_some_and(|period| now.saturating_duration_since(self.last_ping) >= period);
        if !due || !self.threads.iter().all(|(beat, seen)| beat.0.load(Ordering::Relaxed) != *seen) {
            return;
        }
        for (beat, seen) in &mut self.threads {
            *seen = beat.0.load(Ordering::Relaxed);
        }
        self.last_ping = now;
        notify(&[NotifyState::Watchdog]);
    }
}

pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

fn notify(state: &[NotifyState]) {
    // Not under systemd is the common case outside a service, not an error.
    if let Err(error) = sd_notify::notify(state) {
        log::debug!("sd_notify: {error}");
    }
}
