//! The supervisor: keeps every camera's pipeline running and rebuilds it after any fault.
//!
//! A pipeline is never repaired: rebuilding takes a tenth of a second and leaks nothing, and an
//! `rtspsrc` pipeline cannot start again after it was stopped.

use super::backoff::Backoff;
use super::events::Events;
use super::mailbox::Mailbox;
use super::notify::Heartbeat;
use super::run::Hunger;
use super::sieve::{self, Meter};
use super::snapshots::Snapshots;
use super::threads::join_within;
use crate::board::Decoder;
use crate::camera::{Capture, Pacing, Reader, Source};
use crate::config::Codec;
use crate::watch::crop::Region;
use crate::watch::thumbnail::Thumbnail;
use embassy_time::{Duration, Instant};
use gstreamer_app::AppSinkCallbacks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

/// How often the supervisor looks at its cameras.
const ROUND: std::time::Duration = std::time::Duration::from_millis(100);
/// Time that stopping all pipelines may take.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);
/// From the start of a pipeline to its first frame.
const FIRST_FRAME_LIMIT: Duration = Duration::from_secs(15);
/// Without a frame for this long, or for five times the last pause between two frames, a running
/// camera is taken for stalled.
const STALL_LIMIT: Duration = Duration::from_secs(5);
/// Where pictures are left out on purpose, one is decoded at least this often.
const DECODE_LIMIT: Duration = Duration::from_secs(20);
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);
/// A camera that ran this long starts over with the shortest back-off.
const GOOD_TIME: Duration = Duration::from_secs(60);

/// What the supervisor needs to know of one camera.
pub struct CameraPlan {
    pub name: String,
    pub source: Source,
    pub codec: Codec,
    pub decoder: Decoder,
    /// The watches that look at it: their slot in the mailbox and their crop.
    pub watches: Vec<(usize, Region)>,
    pub hunger: Hunger,
}

pub struct Supervisor {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Supervisor {
    pub fn start(
        plans: Vec<CameraPlan>,
        mailbox: Arc<Mailbox>,
        events: Arc<Events>,
        snapshots: Arc<Snapshots>,
        heartbeat: Heartbeat,
    ) -> std::io::Result<Supervisor> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::Builder::new().name("cameras".into()).spawn(move || {
            let camera = |plan| Camera::new(plan, mailbox.clone(), events.clone(), snapshots.clone());
            let mut cameras: Vec<Camera> = plans.into_iter().map(camera).collect();
            while !stopped.load(Ordering::Relaxed) {
                for camera in &mut cameras {
                    camera.supervise(Instant::now());
                    heartbeat.beat();
                }
                heartbeat.beat();
                std::thread::sleep(ROUND);
            }
        })?;
        Ok(Supervisor { stop, thread: Some(thread) })
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            join_within(thread, STOP_LIMIT);
        }
    }
}

struct Camera {
    plan: CameraPlan,
    mailbox: Arc<Mailbox>,
    events: Arc<Events>,
    snapshots: Arc<Snapshots>,
    backoff: Backoff,
    phase: Phase,
}

enum Phase {
    /// Until it is built anew.
    Waiting(Instant),
    Running(Running),
}

struct Running {
    capture: Capture,
    since: Instant,
    pulse: Arc<Pulse>,
    /// Of a stream whose pictures are not all decoded.
    sieve: Option<Arc<Meter>>,
    up: bool,
}

impl Camera {
    fn new(
        plan: CameraPlan,
        mailbox: Arc<Mailbox>,
        events: Arc<Events>,
        snapshots: Arc<Snapshots>,
    ) -> Camera {
        snapshots.put(&plan.name, None);
        let backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST);
        Camera { plan, mailbox, events, snapshots, backoff, phase: Phase::Waiting(Instant::MIN) }
    }

    /// One round: start it if its time has come, or see whether it still runs.
    fn supervise(&mut self, now: Instant) {
        let outcome = match &mut self.phase {
            Phase::Waiting(until) if now < *until => return,
            Phase::Waiting(_) => self.start(now).map(|running| self.phase = Phase::Running(running)),
            Phase::Running(running) => running.fault(now).map_or(Ok(()), Err),
        };
        if let Err(why) = outcome {
            self.failed(now, &why);
            return;
        }
        if let Phase::Running(running) = &mut self.phase {
            let first_frame = running.pulse.last().is_some();
            if first_frame && !running.up {
                running.up = true;
                log::info!("camera {}: up", self.plan.name);
                self.events.camera(&self.plan.name, "up", None);
            }
            if running.up && now.saturating_duration_since(running.since) > GOOD_TIME {
                self.backoff.reset();
            }
        }
    }

    fn failed(&mut self, now: Instant, why: &str) {
        let wait = self.backoff.step();
        log::warn!(
            "camera {}: {why}; again in {:.1} s ({})",
            self.plan.name,
            wait.as_millis() as f32 / 1e3,
            self.plan.source.redacted()
        );
        self.events.camera(&self.plan.name, "down", Some(why));
        self.snapshots.put(&self.plan.name, None);
        self.phase = Phase::Waiting(now.saturating_add(wait));
    }

    fn start(&self, now: Instant) -> Result<Running, String> {
        let CameraPlan { name, source, codec, decoder, watches, hunger } = &self.plan;
        let capture = Capture::build(source, *codec, decoder, Pacing::RealTime).map_err(|e| e.to_string())?;
        let Hunger { appetite, pulse, meter, .. } = hunger;
        pulse.forget();
        meter.forget();
        let sieved = sieve::install(&capture.pipeline, appetite.clone(), meter.clone()).is_some();
        let mut inlet = Inlet::new(name, watches.clone(), self.mailbox.clone(), pulse.clone());
        let on_sample = move |sink: &gstreamer_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gstreamer::FlowError::Eos)?;
            inlet.accept(&sample, Instant::now());
            Ok(gstreamer::FlowSuccess::Ok)
        };
        capture.frames.set_callbacks(AppSinkCallbacks::builder().new_sample(on_sample).build());
        capture.play().map_err(|error| error.to_string())?;
        self.snapshots.put(name, Some(capture.frames.clone()));
        let sieve = sieved.then(|| meter.clone());
        Ok(Running { capture, since: now, pulse: pulse.clone(), sieve, up: false })
    }
}

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

    fn pause(&self) -> Option<Duration> {
        let pause = self.pause.load(Ordering::Relaxed);
        (pause > 0).then(|| Duration::from_micros(pause))
    }

    /// A new pipeline begins.
    fn forget(&self) {
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

impl Running {
    /// What is wrong with it, if anything.
    fn fault(&self, now: Instant) -> Option<String> {
        if let Some(error) = self.capture.error() {
            return Some(error);
        }
        // Also what a camera does that was switched off: a live source has no end.
        if self.capture.frames.is_eos() {
            return Some("the stream ended".into());
        }
        // Where not every picture is decoded, those that arrive tell whether the camera is there.
        let (last, pause) = match &self.sieve {
            Some(meter) => (meter.last(), meter.pause()),
            None => (self.pulse.last(), self.pulse.pause()),
        };
        let (since, limit, what) = match (last, pause) {
            (None, _) => (self.since, FIRST_FRAME_LIMIT, "no first frame"),
            (Some(last), None) => (last, FIRST_FRAME_LIMIT, "no second frame"),
            (Some(last), Some(pause)) => (last, STALL_LIMIT.max(pause * 5), "stalled: no frame"),
        };
        let over = |since: Instant, limit: Duration, what: &str| {
            let age = now.saturating_duration_since(since);
            (age > limit).then(|| format!("{what} for {} s", age.as_secs()))
        };
        over(since, limit, what).or_else(|| {
            let interval = self.sieve.as_ref()?.keyframe_interval().unwrap_or_default();
            let decoded = self.pulse.last().unwrap_or(self.since);
            over(decoded, DECODE_LIMIT.max(interval * 3), "pictures come, but none was decoded")
        })
    }
}
