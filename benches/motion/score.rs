//! The score: what the detector said against what happened.

use super::scene::{Event, What};
use ajar::watch::crop::{CropBuffer, Region};
use ajar::watch::frame::Frame;
use ajar::watch::motion::{Motion, Movement};
use embassy_time::{Duration, Instant};
use std::ops::AddAssign;

/// After an event the background still remembers it for so many seconds, or for two frames where they are rarer.
const MEMORY: f64 = 4.0;
/// The gate looks no more often than once in so many seconds.
const ONE_TRIGGER: f64 = 1.0;

#[derive(Clone, Copy, Default)]
pub struct Score {
    pub detected: usize,
    pub events: usize,
    pub false_triggers: usize,
    pub minutes: f64,
}

impl AddAssign for Score {
    fn add_assign(&mut self, other: Score) {
        self.detected += other.detected;
        self.events += other.events;
        self.false_triggers += other.false_triggers;
        self.minutes += other.minutes;
    }
}

/// A detector, and what it said when.
#[derive(Default)]
pub struct Witness {
    motion: Box<Motion>,
    crop: Box<CropBuffer>,
    said: Vec<(f64, Movement)>,
}

impl Witness {
    pub fn see(&mut self, seconds: f64, frame: &Frame, region: Region) {
        self.crop.copy_from(frame, region.pixels(frame.width, frame.height).expect("a crop"));
        let now = Instant::from_secs(100) + Duration::from_micros((seconds * 1e6) as u64);
        self.said.push((seconds, self.motion.update(now, &self.crop)));
    }

    pub fn score(&self, name: &str, events: &[Event]) -> Score {
        let list = |what: &str, at: f64| {
            if std::env::var_os("AJAR_BENCH_LIST").is_some() {
                println!("  {name}: {what} at {at:.1} s");
            }
        };
        let end = self.said.last().map_or(0.0, |(time, _)| *time);
        let mut score = Score { minutes: end / 60.0, ..Score::default() };
        for event in events.iter().filter(|event| matches!(event.what, What::Motion | What::Light)) {
            // What lies between two frames cannot be seen.
            let mut shown =
                self.said.iter().filter(|(time, _)| (event.from..=event.to).contains(time)).peekable();
            if shown.peek().is_none() {
                continue;
            }
            score.events += 1;
            match shown.any(|(_, said)| {
                *said == Movement::Jump || *said == Movement::Motion && event.what == What::Motion
            }) {
                true => score.detected += 1,
                false => list("missed", event.from),
            }
        }
        let memory = MEMORY.max(2.0 * end / self.said.len() as f64);
        let mut last = f64::MIN;
        for &(time, said) in self.said.iter().filter(|(_, said)| *said != Movement::Still) {
            let due = |event: &&Event| {
                (event.from - event.margin..=event.to + event.margin + memory).contains(&time)
            };
            let explained =
                events.iter().filter(due).any(|event| event.what != What::Flash || said == Movement::Jump);
            let lit = |event: &Event| matches!(event.what, What::Light | What::Flash);
            if explained && said == Movement::Jump && !events.iter().filter(due).any(lit) {
                list("motion told as a jump", time);
            }
            if !explained && time >= last + ONE_TRIGGER {
                last = time;
                score.false_triggers += 1;
                list(if said == Movement::Jump { "false jump" } else { "false motion" }, time);
            }
        }
        score
    }
}
