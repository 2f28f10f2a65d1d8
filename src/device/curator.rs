//! The curator: the one thread that writes pictures, at the lowest priority.
//!
//! It looks at each camera's newest frame every few seconds, whoever else does, and of all that it has seen in the gallery's
//! `every` offers the one most unlike those that are kept. In between it writes what the loop has marked of recent attempts.

use super::gallery::choice::Traits;
use super::gallery::{Gallery, Picture, look, when};
use super::inlet::Pulse;
use super::journal::Journal;
use super::jpeg;
use super::recent::{Extent, Recent};
use super::snapshots::Snapshots;
use crate::camera::Reader;
use crate::config::{Config, Privacy};
use crate::watch::crop::{CropBuffer, Region};
use crate::watch::frame::Frame;
use embassy_time::{Duration, Instant};
use jiff::{SignedDuration, Timestamp};
use rustix::process::setpriority_process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// Longest pause between two looks at a camera's frame: a door may be open for half a minute a day.
const LOOK: Duration = Duration::from_secs(5);
/// Looks in the gallery's `every`, at least.
const LOOKS: u32 = 10;
/// Frames of a camera that are gathered ten times as fast, so that there is something to begin with.
const FIRST_FRAMES: usize = 24;
const LOWEST_PRIORITY: i32 = 19;
/// A frame whose crop differs less than this from the one that was looked at shows the same.
const SAME: u32 = 6;
/// Longest wait for an attempt's picture: bounds how late a stop is noticed.
const TICK: std::time::Duration = std::time::Duration::from_millis(250);
/// A picture that is half written at the stop is no picture at the next start.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(1);

/// What the curator needs to know of the rest of the program.
pub struct Sources {
    pub gallery: Arc<Gallery>,
    pub recent: Arc<Recent>,
    pub journal: Arc<Journal>,
    pub snapshots: Arc<Snapshots>,
    /// Name of each camera, and when its frames arrive.
    pub cameras: Vec<(String, Arc<Pulse>)>,
}

pub struct Curator {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One camera of the gallery.
struct Visit {
    camera: String,
    pulse: Arc<Pulse>,
    /// The newest frame that was looked at.
    seen: Option<Instant>,
    reader: Reader,
    subjects: Vec<Subject>,
}

/// The part of a camera's frames that is kept: all, or a watch's crop.
struct Subject {
    model: Option<String>,
    region: Region,
    /// What has been most unlike the gallery, and how much, since the last offer.
    best: Option<(u32, Picture)>,
    offered: Option<Instant>,
}

impl Curator {
    pub fn start(config: &Config, sources: Sources) -> std::io::Result<Curator> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let visits = sources.cameras.iter().map(|(camera, pulse)| visit(config, camera, pulse)).collect();
        let every = config.gallery.every;
        let extent = if config.gallery.keeps_frames() { Extent::Whole } else { Extent::Crop };
        let mut work = Work { sources, visits, every, extent, spare: Box::default() };
        let thread = std::thread::Builder::new().name("curator".into()).spawn(move || {
            // Of this thread alone. Where it is not allowed, the work is as small.
            let _ = setpriority_process(None, LOWEST_PRIORITY);
            let mut next_look = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                work.write_attempt();
                let now = Instant::now();
                if now >= next_look {
                    work.look(now);
                    next_look = now.saturating_add(LOOK.min(every / LOOKS));
                }
            }
        })?;
        Ok(Curator { stop, thread: Some(thread) })
    }
}

impl Drop for Curator {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            super::threads::join_within(thread, STOP_LIMIT);
        }
    }
}

fn visit(config: &Config, camera: &str, pulse: &Arc<Pulse>) -> Visit {
    let subject = |model: Option<String>, region| Subject { model, region, best: None, offered: None };
    let subjects = match config.gallery.privacy {
        _ if !config.gallery.enabled => Vec::new(),
        Privacy::Frame => vec![subject(None, Region::FULL)],
        Privacy::Crop => {
            let watches = config.watches().filter(|(_, watched)| *watched == camera);
            let crops = watches.filter_map(|(model, _)| Some((model, config.region(model, camera)?)));
            crops.map(|(model, region)| subject(Some(model.into()), region)).collect()
        }
    };
    Visit { camera: camera.into(), pulse: pulse.clone(), seen: None, reader: Reader::default(), subjects }
}

struct Work {
    sources: Sources,
    visits: Vec<Visit>,
    every: Duration,
    /// Of attempts, at most.
    extent: Extent,
    /// Exchanged for crops of the loop.
    spare: Box<CropBuffer>,
}

impl Work {
    fn write_attempt(&mut self) {
        let Sources { recent, journal, .. } = &self.sources;
        let Some(attempt) = recent.handoff.take(&mut self.spare, TICK) else { return };
        let Some((camera, region)) = recent.place(attempt.watch) else { return };
        let whole = (self.extent == Extent::Whole).then(|| self.whole(camera, region)).flatten();
        let (extent, jpeg) = match whole {
            Some(jpeg) => (Extent::Whole, jpeg),
            None => (Extent::Crop, jpeg::of_crop(&self.spare)),
        };
        match jpeg {
            Ok(jpeg) => recent.keep(journal, attempt, extent, &jpeg),
            Err(why) => recent.lose(&attempt, &why),
        }
    }

    /// The camera's newest frame, if it shows in its crop what was looked at.
    fn whole(&self, camera: &str, region: Region) -> Option<Result<Vec<u8>, String>> {
        let sample = self.sources.snapshots.sample(camera)?.ok()?;
        let crop = self.spare.as_frame();
        let then = look::of(&crop, Region::FULL.pixels(crop.width, crop.height)?).0;
        let same = |frame: &Frame| {
            let now = look::of(frame, region.pixels(frame.width, frame.height)?).0;
            (now.distance(&then) < SAME).then(|| jpeg::of_frame(frame, Region::FULL))
        };
        Reader::default().read(&sample, Instant::MIN, same).ok().flatten()
    }

    fn look(&mut self, now: Instant) {
        let Work { sources, visits, every, .. } = self;
        for visit in visits {
            visit.look(now, sources);
            for subject in &mut visit.subjects {
                subject.offer(now, *every, &visit.camera, &sources.gallery);
            }
        }
    }
}

impl Visit {
    fn look(&mut self, now: Instant, sources: &Sources) {
        let arrived = self.pulse.last();
        if self.subjects.is_empty() || arrived.is_none() || arrived == self.seen {
            return;
        }
        let Some(Ok(sample)) = sources.snapshots.sample(&self.camera) else { return };
        self.seen = arrived;
        let age = now.saturating_duration_since(arrived.unwrap_or(now));
        let time = super::report::now() - SignedDuration::from_micros(age.as_micros() as i64);
        let (camera, subjects) = (&self.camera, &mut self.subjects);
        // A frame that cannot be read is the camera's to complain of.
        let _ = self.reader.read(&sample, now, |frame| {
            subjects.iter_mut().for_each(|subject| subject.look(frame, time, camera, &sources.gallery));
        });
    }
}

impl Subject {
    fn look(&mut self, frame: &Frame, time: Timestamp, camera: &str, gallery: &Gallery) {
        let Some(rect) = self.region.pixels(frame.width, frame.height) else { return };
        let (look, light) = look::of(frame, rect);
        let traits = Traits { when: when(time), light, look, model: self.model.clone() };
        // What would not be kept is not worth a JPEG file.
        let Some(novelty) = gallery.novelty(camera, &traits) else { return };
        // A little more is not worth another JPEG file.
        if self.best.as_ref().is_some_and(|(best, _)| novelty <= best.saturating_add(best / 4)) {
            return;
        }
        match jpeg::of_frame(frame, self.region) {
            Ok(jpeg) => {
                let crop = traits.model.is_some().then_some(self.region);
                let picture = Picture { jpeg, time, width: rect.width, height: rect.height, crop, traits };
                self.best = Some((novelty, picture));
            }
            Err(why) => log::warn!("gallery: a frame of {camera}: {why}"),
        }
    }

    fn offer(&mut self, now: Instant, every: Duration, camera: &str, gallery: &Gallery) {
        let pause = match gallery.count(camera) {
            0 => Duration::from_ticks(0),
            few if few < FIRST_FRAMES => every / LOOKS,
            _ => every,
        };
        if self.offered.is_some_and(|offered| now.saturating_duration_since(offered) < pause) {
            return;
        }
        if let Some((_, picture)) = self.best.take() {
            self.offered = Some(now);
            gallery.offer(camera, picture);
        }
    }
}
