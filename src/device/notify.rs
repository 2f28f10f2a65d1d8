//! systemd: READY, STATUS, WATCHDOG, and the heartbeats the watchdog depends on.

use embassy_time::{Duration, Instant};
use sd_notify::NotifyState;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A thread that makes no round for this long does not come back. As long as systemd's unit would wait.
const HANG_LIMIT: Duration = Duration::from_secs(30);
/// The loop itself passes several times a second.
const SLEPT: Duration = Duration::from_secs(5);

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
    last_pass: Instant,
    threads: Vec<Watched>,
}

struct Watched {
    beat: Heartbeat,
    seen: u64,
    /// When it was last seen to advance.
    alive: Instant,
}

impl Watchdog {
    /// `threads`: those that must advance between two pings.
    pub fn new(threads: Vec<Heartbeat>, now: Instant) -> Watchdog {
        let limit = sd_notify::watchdog_enabled();
        // Half the limit, as sd_watchdog_enabled(3) advises.
        let period = limit.map(|limit| Duration::from_micros(limit.as_micros() as u64 / 2));
        let watch = |beat| Watched { beat, seen: 0, alive: now };
        let threads = threads.into_iter().map(watch).collect();
        Watchdog { period, last_ping: now, last_pass: now, threads }
    }

    /// Also ends the program if a thread hangs, which may be in a driver for ever: whoever started it can start it anew.
    pub fn pass(&mut self, now: Instant) {
        // The machine slept, or the program was stopped: nobody could advance.
        let slept = now.saturating_duration_since(self.last_pass) > SLEPT;
        self.last_pass = now;
        for Watched { beat, seen, alive } in &mut self.threads {
            let beats = beat.0.load(Ordering::Relaxed);
            if beats != *seen || slept {
                (*seen, *alive) = (beats, now);
            }
            if now.saturating_duration_since(*alive) > HANG_LIMIT {
                log::error!("a thread hangs for {} s; ending", HANG_LIMIT.as_secs());
                std::process::abort();
            }
        }
        let due = self.period.is_some_and(|period| now.saturating_duration_since(self.last_ping) >= period);
        if due && self.threads.iter().all(|thread| thread.alive > self.last_ping) {
            self.last_ping = now;
            notify(&[NotifyState::Watchdog]);
        }
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
