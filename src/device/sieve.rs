//! The sieve: which pictures of a compressed stream are decoded.
//!
//! Decoding is most of what a camera costs, and most of it is for pictures between two keyframes. Where nothing
//! happens, keyframes are enough, and without motion detection one for each look. The sieve sits behind the parser,
//! so that nothing is rebuilt when it changes its mind.

use super::appetite::{Appetite, Wish};
use embassy_time::{Duration, Instant};
use gstreamer::prelude::*;
use gstreamer::{BufferFlags, PadProbeData, PadProbeReturn, PadProbeType};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Pauses between keyframes that are remembered; the longest counts.
const MEMORY: usize = 4;

/// What the sieve sees of a stream, in microseconds of the monotonic clock.
#[derive(Default)]
pub struct Meter {
    /// Arrival of the newest picture, decoded or not; 0 before the first.
    last: AtomicU64,
    /// Pause between the newest two; 0 before the second.
    pause: AtomicU64,
    /// Longest of the newest pauses between keyframes; 0 before the second.
    keyframe_interval: AtomicU64,
    passed: AtomicU64,
    dropped: AtomicU64,
}

impl Meter {
    pub fn last(&self) -> Option<Instant> {
        let last = self.last.load(Ordering::Relaxed);
        (last > 0).then(|| Instant::from_micros(last))
    }

    pub fn pause(&self) -> Option<Duration> {
        let pause = self.pause.load(Ordering::Relaxed);
        (pause > 0).then(|| Duration::from_micros(pause))
    }

    pub fn keyframe_interval(&self) -> Option<Duration> {
        let interval = self.keyframe_interval.load(Ordering::Relaxed);
        (interval > 0).then(|| Duration::from_micros(interval))
    }

    /// A new pipeline begins.
    pub fn forget(&self) {
        [&self.last, &self.pause, &self.keyframe_interval]
            .iter()
            .for_each(|value| value.store(0, Ordering::Relaxed));
    }

    /// Pictures that were decoded, since the program started.
    pub fn decoded(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Pictures that were not.
    pub fn skipped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// The state of one pipeline's sieve. Runs on GStreamer's thread for every picture and allocates nothing.
struct Sieve {
    appetite: Arc<Appetite>,
    meter: Arc<Meter>,
    /// Everything since the last keyframe was decoded, so that what refers to it can be.
    whole: bool,
    last_keyframe: Option<Instant>,
    pauses: [u64; MEMORY],
    next: usize,
}

/// Puts a sieve behind the parser of a pipeline; `None` if it has none that is known.
pub fn install(pipeline: &gstreamer::Pipeline, appetite: Arc<Appetite>, meter: Arc<Meter>) -> Option<()> {
    let is_parser = |element: &gstreamer::Element| {
        let name = element.factory().map(|factory| factory.name());
        name.is_some_and(|name| ["h264parse", "h265parse"].contains(&name.as_str()))
    };
    let parser = pipeline.iterate_elements().into_iter().flatten().find(is_parser)?;
    let mut sieve =
        Sieve { appetite, meter, whole: false, last_keyframe: None, pauses: [0; MEMORY], next: 0 };
    let sieve = std::sync::Mutex::new(move |delta: bool| sieve.passes(Instant::now(), delta));
    parser.static_pad("src")?.add_probe(PadProbeType::BUFFER, move |_, info| {
        let Some(PadProbeData::Buffer(buffer)) = &info.data else { return PadProbeReturn::Ok };
        let delta = buffer.flags().contains(BufferFlags::DELTA_UNIT);
        let mut passes = sieve.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if passes(delta) { PadProbeReturn::Ok } else { PadProbeReturn::Drop }
    })?;
    Some(())
}

impl Sieve {
    /// Whether a picture is decoded. `delta`: it refers to others.
    fn passes(&mut self, now: Instant, delta: bool) -> bool {
        self.measure(now, delta);
        let passes = match self.appetite.wish() {
            Wish::Every => !delta || self.whole,
            Wish::Keyframes { from } => !delta && now >= from,
        };
        self.whole = passes && (self.whole || !delta);
        let count = if passes { &self.meter.passed } else { &self.meter.dropped };
        count.fetch_add(1, Ordering::Relaxed);
        passes
    }

    fn measure(&mut self, now: Instant, delta: bool) {
        let micros = now.as_micros().max(1);
        match self.meter.last.swap(micros, Ordering::Relaxed) {
            0 => {}
            before => self.meter.pause.store(micros.saturating_sub(before).max(1), Ordering::Relaxed),
        }
        if delta {
            return;
        }
        if let Some(before) = self.last_keyframe.replace(now) {
            self.pauses[self.next] = now.saturating_duration_since(before).as_micros().max(1);
            self.next = (self.next + 1) % MEMORY;
            let longest = self.pauses.iter().copied().max().unwrap_or(0);
            self.meter.keyframe_interval.store(longest, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sieve() -> Sieve {
        Sieve {
            appetite: Arc::default(),
            meter: Arc::default(),
            whole: false,
            last_keyframe: None,
            pauses: [0; MEMORY],
            next: 0,
        }
    }

    fn at(tenths: u64) -> Instant {
        Instant::from_millis(1000 + 100 * tenths)
    }

    /// Ten pictures a second, a keyframe each second; `wish` is set before the picture it names. Gives those decoded.
    fn run(pictures: u64, wishes: &[(u64, Wish)]) -> Vec<u64> {
        let mut sieve = sieve();
        let mut decoded = Vec::new();
        for picture in 0..pictures {
            for (_, wish) in wishes.iter().filter(|(from, _)| *from == picture) {
                sieve.appetite.set(*wish);
            }
            if sieve.passes(at(picture), picture % 10 != 0) {
                decoded.push(picture);
            }
        }
        decoded
    }

    const KEYFRAMES: Wish = Wish::Keyframes { from: Instant::MIN };

    #[test]
    fn every_picture_or_keyframes_only() {
        assert_eq!(run(12, &[(0, Wish::Every)]), (0..12).collect::<Vec<_>>());
        assert_eq!(run(31, &[(0, KEYFRAMES)]), [0, 10, 20, 30]);
        assert_eq!(run(31, &[(0, Wish::Keyframes { from: at(15) })]), [20, 30]);
    }

    #[test]
    fn a_picture_whose_reference_was_dropped_is_never_decoded() {
        // Right behind a keyframe nothing is missing yet.
        assert_eq!(run(15, &[(0, KEYFRAMES), (11, Wish::Every)]), [0, 10, 11, 12, 13, 14]);
        // Later it is, until the next keyframe.
        assert_eq!(run(23, &[(0, KEYFRAMES), (14, Wish::Every)]), [0, 10, 20, 21, 22]);
        assert_eq!(
            run(16, &[(0, Wish::Every), (3, KEYFRAMES), (5, Wish::Every)]),
            [0, 1, 2, 10, 11, 12, 13, 14, 15]
        );
    }

    #[test]
    fn the_longest_of_the_last_pauses_between_keyframes_counts() {
        let mut sieve = sieve();
        assert_eq!(sieve.meter.keyframe_interval(), None);
        for (tenths, want) in [(0, None), (10, Some(1000)), (50, Some(4000)), (60, Some(4000))] {
            sieve.passes(at(tenths), false);
            assert_eq!(sieve.meter.keyframe_interval(), want.map(Duration::from_millis), "{tenths}");
        }
        for second in 7..12 {
            sieve.passes(at(10 * second), false);
        }
        assert_eq!(sieve.meter.keyframe_interval(), Some(Duration::from_millis(1000)));
        assert_eq!(sieve.meter.pause(), Some(Duration::from_millis(1000)));
        assert_eq!(sieve.meter.last(), Some(at(110)));
    }
}
