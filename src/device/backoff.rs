//! Waiting longer after each failure, with jitter so that devices do not come back in step.

use embassy_time::Duration;

pub struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    /// Doubles from `first` up to `longest`.
    pub fn new(first: Duration, longest: Duration) -> Backoff {
        Backoff { first, longest, next: first }
    }

    pub fn reset(&mut self) {
        self.next = self.first;
    }

    /// How long to wait now: the current step, up to a fifth more or less.
    pub fn step(&mut self) -> Duration {
        let step = self.next;
        self.next = (step * 2).min(self.longest);
        let mut byte = [0u8];
        // Without randomness there is no jitter, which is no reason to fail.
        let _ = getrandom::fill(&mut byte);
        Duration::from_micros(step.as_micros() * (205 + u64::from(byte[0]) * 2 / 5) / 256)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_longest_within_a_fifth() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        for want in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            let got = backoff.step().as_micros() as f64 / 1e6;
            assert!((want * 0.8..=want * 1.21).contains(&got), "{got}, want {want}");
        }
        backoff.reset();
        assert!(backoff.step() < Duration::from_millis(1300));
    }
}
