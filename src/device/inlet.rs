//! The inlet: where a camera's frames come in, and what is known of when they did.

use super::mailbox::Mailbox;
use crate::camera::Reader;
use crate::watch::crop::Region;
use crate::watch::thumbnail::Thumbnail;
use embassy_time::{Duration, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the supervisor sees of a camera's frames, in microseconds of the monotonic clock.
#[derive(Default)]
pub struct Pulse {
    /// Arrival of the newest usable frame, 0 before the first.
    last: AtomicU64,
    /// Pause between the newest two, 0 before the second.
    pause: AtomicU64,
}

impl Pulse {
    pub fn last(&self) -> Option<Instant> {
        let last = self.last.load(Ordering::Relaxed);
        (last > 0).then(|| Instant::from_micros(last))
    }

    pub fn pause(&self) -> Option<Duration> {
        let pause = self.pause.load(Ordering::Relaxed);
        (pause > 0).then(|| Duration::from_micros(pause))
    }

    /// A new pipeline begins.
    pub fn forget(&self) {
        self.last.store(0, Ordering::Relaxed);
        self.pause.store(0, Ordering::Relaxed);
    }

    fn beat(&self, now: Instant) {
        let now = now.as_micros().max(1);
        match self.last.swap(now, Ordering::Relaxed) {
            0 => {}
            before => self.pause.store(now.saturating_sub(before).max(1), Ordering::Relaxed),
        }
    }
}

/// Where a camera's frames come in: each watch's crop is cut out and the frame is let go. Runs on
/// GStreamer's thread for every frame and allocates nothing.
pub struct Inlet {
    camera: String,
    watches: Vec<(usize, Region)>,
    mailbox: Arc<Mailbox>,
    reader: Reader,
    thumbnail: Box<Thumbnail>,
    pulse: Arc<Pulse>,
    complained: bool,
}

impl Inlet {
    /// `watches`: slots in the mailbox and their crops.
    pub fn new(
        camera: &str,
        watches: Vec<(usize, Region)>,
        mailbox: Arc<Mailbox>,
        pulse: Arc<Pulse>,
    ) -> Inlet {
        let camera = camera.to_string();
        let (reader, thumbnail) = (Reader::default(), Box::default());
        Inlet { camera, watches, mailbox, reader, thumbnail, pulse, complained: false }
    }

    pub fn accept(&mut self, sample: &gstreamer::SampleRef, now: Instant) {
        let read = self.reader.read(sample, now, |frame| {
            let thumbnail = &mut self.thumbnail;
            thumbnail.take(frame);
            let refused =
                |(watch, region): &&(usize, Region)| !self.mailbox.put(*watch, frame, *region, thumbnail);
            self.watches.iter().filter(refused).count() == 0
        });
        let error = match read {
            Ok(true) => return self.pulse.beat(now),
            Ok(false) => "it is smaller than 2 x 2 pixels".into(),
            Err(error) => error.to_string(),
        };
        // Every frame would say the same.
        if !self.complained {
            self.complained = true;
            log::warn!("camera {}: a frame cannot be used: {error}", self.camera);
        }
    }
}
