//! The sieve: which pictures of a compressed stream are decoded.
//!
//! Decoding is most of what a camera costs, and most of it is for pictures between two keyframes. Where nothing
//! happens, keyframes are enough, and without motion detection one for each look. The sieve sits before the decoder, in
//! the lean receiver or as a pad probe behind GStreamer's parser, so that nothing is rebuilt when it changes its mind.

use super::appetite::{Appetite, Wish};
use embassy_time::{Duration, Instant};
use gstreamer::prelude::*;
use gstreamer::{BufferFlags, PadProbeData, PadProbeReturn, PadProbeType};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Pauses between keyframes that are remembered; the longest counts.
const MEMORY: usize = 4;
/// A stream that shows no keyframe for so long has none.
const KEYLESS_AFTER: Duration = Duration::from_secs(12);

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
    damaged: AtomicU64,
    late: AtomicU64,
    /// Since when every picture came damaged; 0 if the newest did not.
    broken: AtomicU64,
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

    /// Pictures that found the decoder busy.
    pub fn late(&self) -> u64 {
        self.late.load(Ordering::Relaxed)
    }

    /// Since when no picture has come whole.
    pub fn broken(&self) -> Option<Instant> {
        let broken = self.broken.load(Ordering::Relaxed);
        (broken > 0).then(|| Instant::from_micros(broken))
    }

    /// For a camera whose pictures come when they are asked for.
    pub fn set_keyframe_interval(&self, interval: Duration) {
        self.keyframe_interval.store(interval.as_micros(), Ordering::Relaxed);
    }

    /// A new pipeline begins.
    pub fn forget(&self) {
        [&self.last, &self.pause, &self.keyframe_interval, &self.broken]
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

    /// Gaps: pictures that came without a part of the stream in or before them.
    pub fn damaged(&self) -> u64 {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// What is to be known of a picture before it is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// It can be decoded without any other.
    Key,
    /// It refers to those before it.
    Delta,
    /// A part of the stream was lost, in it or right before it.
    Damaged,
    /// The decoder has not come to those before it.
    Late,
}

/// The state of one stream's sieve. Asked for every picture, on the thread that receives it; allocates nothing.
pub struct Sieve {
    appetite: Arc<Appetite>,
    meter: Arc<Meter>,
    since: Option<Instant>,
    /// Everything since the last keyframe was decoded, so that what refers to it can be.
    whole: bool,
    last_keyframe: Option<Instant>,
    pauses: [u64; MEMORY],
    next: usize,
}

/// Puts a sieve before the decoder of a pipeline, now or as soon as the pipeline finds out which it needs. Raw video
/// has none, and nothing to be saved.
pub fn install(pipeline: &gstreamer::Pipeline, appetite: Arc<Appetite>, meter: Arc<Meter>) {
    let installed = AtomicBool::new(false);
    let put = move |element: &gstreamer::Element| {
        let name = element.factory().map(|factory| factory.name());
        let place = match name.as_deref() {
            Some("h264parse" | "h265parse") => Some(("src", Gaps::Loss)),
            Some("jpegparse") => Some(("src", Gaps::Normal)),
            Some("jpegdec") => Some(("sink", Gaps::Normal)),
            _ => None,
        };
        let pad = place.and_then(|(pad, gaps)| Some((element.static_pad(pad)?, gaps)));
        if let Some((pad, gaps)) = pad.filter(|_| !installed.swap(true, Ordering::Relaxed)) {
            attach(Sieve::new(appetite.clone(), meter.clone()), &pad, gaps);
        }
    };
    pipeline.iterate_recurse().into_iter().flatten().for_each(|element| put(&element));
    pipeline.connect_deep_element_added(move |_, _, element| put(element));
}

/// What a gap in a stream means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Gaps {
    /// Packets were lost.
    Loss,
    /// Nothing: between two JPEG pictures there may be anything.
    Normal,
}

fn attach(sieve: Sieve, pad: &gstreamer::Pad, gaps: Gaps) {
    let sieve = Mutex::new(sieve);
    pad.add_probe(PadProbeType::BUFFER, move |_, info| {
        let Some(PadProbeData::Buffer(buffer)) = &info.data else { return PadProbeReturn::Ok };
        let mut sieve = sieve.lock().unwrap_or_else(PoisonError::into_inner);
        let flags = buffer.flags();
        // Before the first picture there is one, too.
        let gap = gaps == Gaps::Loss && flags.contains(BufferFlags::DISCONT) && sieve.since.is_some();
        let picture = match flags.contains(BufferFlags::DELTA_UNIT) {
            true if gap => Picture::Damaged,
            true => Picture::Delta,
            false => Picture::Key,
        };
        if gap && picture == Picture::Key {
            sieve.meter.damaged.fetch_add(1, Ordering::Relaxed);
        }
        if sieve.passes(Instant::now(), picture) { PadProbeReturn::Ok } else { PadProbeReturn::Drop }
    });
}

impl Sieve {
    pub fn new(appetite: Arc<Appetite>, meter: Arc<Meter>) -> Sieve {
        let pauses = [0; MEMORY];
        Sieve { appetite, meter, since: None, whole: false, last_keyframe: None, pauses, next: 0 }
    }

    /// Whether a picture that has just arrived is decoded.
    pub fn passes(&mut self, now: Instant, picture: Picture) -> bool {
        self.measure(now, picture);
        let key = picture == Picture::Key;
        // Some encoders refresh a picture bit by bit and send no keyframe after the first.
        let since = *self.since.get_or_insert(now);
        let last = self.last_keyframe.unwrap_or(since);
        let keyless =
            self.meter.keyframe_interval().is_none() && now.saturating_duration_since(last) > KEYLESS_AFTER;
        let passes = match self.appetite.wish() {
            _ if matches!(picture, Picture::Damaged | Picture::Late) => false,
            Wish::Every => key || self.whole || keyless,
            Wish::Keyframes { from } => key && now >= from,
        };
        self.whole = passes && (self.whole || key || keyless);
        let count = if passes { &self.meter.passed } else { &self.meter.dropped };
        count.fetch_add(1, Ordering::Relaxed);
        passes
    }

    fn measure(&mut self, now: Instant, picture: Picture) {
        let micros = now.as_micros().max(1);
        match self.meter.last.swap(micros, Ordering::Relaxed) {
            0 => {}
            before => self.meter.pause.store(micros.saturating_sub(before).max(1), Ordering::Relaxed),
        }
        let Meter { damaged, late, broken, .. } = &*self.meter;
        match picture {
            Picture::Damaged => {
                damaged.fetch_add(1, Ordering::Relaxed);
                let _ = broken.compare_exchange(0, micros, Ordering::Relaxed, Ordering::Relaxed);
            }
            Picture::Late => {
                late.fetch_add(1, Ordering::Relaxed);
            }
            Picture::Key | Picture::Delta => broken.store(0, Ordering::Relaxed),
        }
        if picture != Picture::Key {
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
        Sieve::new(Arc::default(), Arc::default())
    }

    fn at(tenths: u64) -> Instant {
        Instant::from_millis(1000 + 100 * tenths)
    }

    fn kind(picture: u64) -> Picture {
        if picture.is_multiple_of(10) { Picture::Key } else { Picture::Delta }
    }

    /// Ten pictures a second, a keyframe each second; `wish` is set before the picture it names. Gives those decoded.
    fn run(pictures: u64, wishes: &[(u64, Wish)]) -> Vec<u64> {
        let mut sieve = sieve();
        let mut decoded = Vec::new();
        for picture in 0..pictures {
            for (_, wish) in wishes.iter().filter(|(from, _)| *from == picture) {
                sieve.appetite.set(*wish);
            }
            if sieve.passes(at(picture), kind(picture)) {
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
    fn behind_a_loss_nothing_is_decoded_until_the_next_keyframe() {
        let mut sieve = sieve();
        let lost = |picture| if picture == 3 { Picture::Damaged } else { kind(picture) };
        let decoded: Vec<u64> = (0..13).filter(|&picture| sieve.passes(at(picture), lost(picture))).collect();
        assert_eq!(decoded, [0, 1, 2, 10, 11, 12]);
        assert_eq!(sieve.meter.damaged(), 1);
    }

    #[test]
    fn a_stream_that_only_comes_damaged_is_broken() {
        let mut sieve = sieve();
        for (tenths, picture, broken) in [
            (0, Picture::Key, None),
            (1, Picture::Damaged, Some(at(1))),
            (2, Picture::Damaged, Some(at(1))),
            (3, Picture::Late, Some(at(1))),
            (4, Picture::Delta, None),
        ] {
            sieve.passes(at(tenths), picture);
            assert_eq!(sieve.meter.broken(), broken, "{tenths}");
        }
        assert_eq!((sieve.meter.damaged(), sieve.meter.late()), (2, 1));
    }

    #[test]
    fn a_stream_without_keyframes_is_decoded_as_it_comes() {
        let mut sieve = sieve();
        let decoded: Vec<u64> = (0..130).filter(|&tenths| sieve.passes(at(tenths), Picture::Delta)).collect();
        assert_eq!(decoded, (121..130).collect::<Vec<_>>());
        // Also behind its only keyframe, once a picture was lost.
        let mut sieve = self::sieve();
        let picture = |tenths| match tenths {
            0 => Picture::Key,
            5 => Picture::Damaged,
            _ => Picture::Delta,
        };
        let decoded: Vec<u64> =
            (0..125).filter(|&tenths| sieve.passes(at(tenths), picture(tenths))).collect();
        assert_eq!(decoded, [0, 1, 2, 3, 4, 121, 122, 123, 124]);
    }

    #[test]
    fn the_longest_of_the_last_pauses_between_keyframes_counts() {
        let mut sieve = sieve();
        assert_eq!(sieve.meter.keyframe_interval(), None);
        for (tenths, want) in [(0, None), (10, Some(1000)), (50, Some(4000)), (60, Some(4000))] {
            sieve.passes(at(tenths), Picture::Key);
            assert_eq!(sieve.meter.keyframe_interval(), want.map(Duration::from_millis), "{tenths}");
        }
        for second in 7..12 {
            sieve.passes(at(10 * second), Picture::Key);
        }
        assert_eq!(sieve.meter.keyframe_interval(), Some(Duration::from_millis(1000)));
        assert_eq!(sieve.meter.pause(), Some(Duration::from_millis(1000)));
        assert_eq!(sieve.meter.last(), Some(at(110)));
    }
}
