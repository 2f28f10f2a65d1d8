//! The supervisor: keeps every camera's pipeline running and rebuilds it after any fault.
//!
//! A pipeline is never repaired: rebuilding takes a tenth of a second and leaks nothing, and an
//! `rtspsrc` pipeline cannot start again after it was stopped.

use super::appetite::Wish;
use super::backoff::Backoff;
use super::events::Events;
use super::inlet::{Inlet, Pulse};
use super::mailbox::Mailbox;
use super::notify::Heartbeat;
use super::reception::{Ended, Receivers, Reception};
use super::run::Hunger;
use super::sieve::{self, Meter, Sieve};
use super::snapshots::Snapshots;
use super::threads::join_within;
use crate::board::Decoder;
use crate::camera::{CameraError, Capture, Pacing, Source};
use crate::config::{Codec, Receiver};
use crate::watch::crop::Region;
use embassy_time::{Duration, Instant};
use gstreamer_app::AppSinkCallbacks;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

/// How often the supervisor looks at its cameras.
const ROUND: std::time::Duration = std::time::Duration::from_millis(250);
/// Time that stopping all pipelines may take.
const STOP_LIMIT: std::time::Duration = std::time::Duration::from_secs(5);
/// From the start of a pipeline to its first frame.
const FIRST_FRAME_LIMIT: Duration = Duration::from_secs(15);
/// Without a frame for this long, or for five times the last pause between two frames, a running
/// camera is taken for stalled.
const STALL_LIMIT: Duration = Duration::from_secs(5);
/// A stream of which nothing has come whole for this long is begun anew.
const BROKEN_LIMIT: Duration = Duration::from_secs(3);
/// Where pictures are left out on purpose, one is decoded at least this often.
const DECODE_LIMIT: Duration = Duration::from_secs(20);
const BACKOFF_FIRST: Duration = Duration::from_secs(1);
const BACKOFF_LONGEST: Duration = Duration::from_secs(30);
/// The same for what a person must put right. Cameras lock out who tries a wrong password too often.
const REFUSED_FIRST: Duration = Duration::from_secs(5);
const REFUSED_LONGEST: Duration = Duration::from_secs(300);
/// A camera that ran this long starts over with the shortest back-off.
const GOOD_TIME: Duration = Duration::from_secs(10);

/// A camera that sends one picture and ends is asked for the next at most this often.
const STILL_PERIOD: Duration = Duration::from_secs(1);

/// What the supervisor needs to know of one camera, or of one of its streams.
pub struct CameraPlan {
    pub name: String,
    pub source: Source,
    /// What an RTSP camera sends, as far as it is known.
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
        let is_lean =
            |plan: &CameraPlan| matches!(plan.source, Source::Rtsp { receiver: Receiver::Lean, .. });
        let receivers = plans.iter().any(is_lean).then(Receivers::start).transpose()?.map(Arc::new);
        let thread = std::thread::Builder::new().name("cameras".into()).spawn(move || {
            let around = Around { mailbox, events, snapshots, receivers };
            let camera = |plan| Camera::new(plan, around.clone());
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

/// What all cameras share.
#[derive(Clone)]
struct Around {
    mailbox: Arc<Mailbox>,
    events: Arc<Events>,
    snapshots: Arc<Snapshots>,
    /// There if one of the cameras needs it.
    receivers: Option<Arc<Receivers>>,
}

struct Camera {
    plan: CameraPlan,
    around: Around,
    backoff: Backoff,
    refused: Backoff,
    /// Since when frames come.
    up: Option<Instant>,
    phase: Phase,
}

enum Phase {
    /// Until it is built anew.
    Waiting(Instant),
    Running(Running),
}

/// A pipeline. Dropped in this order: nothing may put pictures into one that is gone.
struct Running {
    reception: Option<Reception>,
    capture: Capture,
    since: Instant,
    pulse: Arc<Pulse>,
    meter: Arc<Meter>,
    /// The camera sends one picture and ends.
    one_by_one: bool,
    /// Its newest frame can be asked for.
    shown: bool,
}

impl Camera {
    fn new(plan: CameraPlan, around: Around) -> Camera {
        around.snapshots.put(&plan.name, None);
        let backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_LONGEST);
        let refused = Backoff::new(REFUSED_FIRST, REFUSED_LONGEST);
        Camera { plan, around, backoff, refused, up: None, phase: Phase::Waiting(Instant::MIN) }
    }

    /// One round: start it if its time has come, or see whether it still runs.
    fn supervise(&mut self, now: Instant) {
        let ended = match &self.phase {
            Phase::Waiting(until) if now < *until => return,
            Phase::Waiting(_) => return self.start(now),
            Phase::Running(running) => running.ended(now),
        };
        self.welcome(now);
        match ended {
            None => {}
            Some(Ended::Picture) if !self.is_due(now) => {}
            Some(Ended::Picture) => self.start(now),
            Some(Ended::OtherCodec(codec)) => {
                log::info!("camera {}: it sends {codec:?}", self.plan.name);
                self.plan.codec = codec;
                self.start(now);
            }
            Some(Ended::Failed(why)) => self.failed(now, &why),
        }
    }

    /// Takes notice of the first frame.
    fn welcome(&mut self, now: Instant) {
        let Phase::Running(running) = &mut self.phase else { return };
        if !running.has_frame() {
            return;
        }
        let CameraPlan { name, .. } = &self.plan;
        if !running.shown {
            running.shown = true;
            self.around.snapshots.put(name, Some(running.capture.frames.clone()));
        }
        let since = *self.up.get_or_insert_with(|| {
            log::info!("camera {name}: up");
            self.around.events.camera(name, "up", None);
            now
        });
        if now.saturating_duration_since(since) > GOOD_TIME {
            self.backoff.reset();
            self.refused.reset();
        }
    }

    /// Whether a camera that sends one picture at a time is asked for the next.
    fn is_due(&self, now: Instant) -> bool {
        let Hunger { appetite, pulse, meter, .. } = &self.plan.hunger;
        // Its pictures are keyframes, and come as often as that.
        meter.set_keyframe_interval(STILL_PERIOD);
        let rested = pulse.last().is_none_or(|last| now >= last.saturating_add(STILL_PERIOD));
        rested && !matches!(appetite.wish(), Wish::Keyframes { from } if now < from)
    }

    fn failed(&mut self, now: Instant, why: &CameraError) {
        let backoff = match why {
            CameraError::Refused(_) => &mut self.refused,
            _ => &mut self.backoff,
        };
        let wait = backoff.step();
        let CameraPlan { name, source, hunger, .. } = &self.plan;
        log::warn!(
            "camera {name}: {why}; again in {:.1} s ({})",
            wait.as_millis() as f32 / 1e3,
            source.redacted()
        );
        self.around.events.camera(name, "down", Some(&why.to_string()));
        self.around.snapshots.put(name, None);
        self.up = None;
        self.phase = Phase::Waiting(now.saturating_add(wait));
        hunger.pulse.forget();
        hunger.meter.forget();
    }

    fn start(&mut self, now: Instant) {
        match self.build(now) {
            Ok(running) => self.phase = Phase::Running(running),
            Err(why) => self.failed(now, &why),
        }
    }

    fn build(&self, now: Instant) -> Result<Running, CameraError> {
        let CameraPlan { name, source, codec, decoder, watches, hunger } = &self.plan;
        let Hunger { appetite, pulse, meter, .. } = hunger;
        let capture = Capture::build(source, *codec, decoder, Pacing::RealTime)?;
        let mut inlet = Inlet::new(name, watches.clone(), self.around.mailbox.clone(), pulse.clone());
        let on_sample = move |sink: &gstreamer_app::AppSink| {
            let sample = sink.pull_sample().map_err(|_| gstreamer::FlowError::Eos)?;
            inlet.accept(&sample, Instant::now());
            Ok(gstreamer::FlowSuccess::Ok)
        };
        capture.frames.set_callbacks(AppSinkCallbacks::builder().new_sample(on_sample).build());
        let lean = match (source, &self.around.receivers, capture.inlet()) {
            (Source::Rtsp { url, receiver: Receiver::Lean, .. }, Some(receivers), Some(to)) => {
                Some((receivers, url, to))
            }
            _ => None,
        };
        // A file is read ahead of its time: what the sieve would leave out now is due later.
        if lean.is_none() && !matches!(source, Source::File(_)) {
            sieve::install(&capture.pipeline, appetite.clone(), meter.clone());
        }
        capture.play()?;
        let reception = lean.map(|(receivers, url, to)| {
            receivers.receive(url, *codec, to, Sieve::new(appetite.clone(), meter.clone()))
        });
        let (pulse, meter) = (pulse.clone(), meter.clone());
        let one_by_one = matches!(source, Source::Http(_));
        Ok(Running { reception, capture, since: now, pulse, meter, one_by_one, shown: false })
    }
}

impl Running {
    fn has_frame(&self) -> bool {
        self.pulse.last().is_some_and(|last| last >= self.since)
    }

    /// Whether it is over, and why.
    fn ended(&self, now: Instant) -> Option<Ended> {
        if let Some(ended) = self.reception.as_ref().and_then(Reception::ended) {
            return Some(ended);
        }
        let failed = |why: String| Ended::Failed(CameraError::Stream(why));
        if let Some(error) = self.capture.error() {
            return Some(Ended::Failed(error));
        }
        // Also what a camera does that was switched off: a live source has no end.
        if self.capture.frames.is_eos() {
            let one_by_one = self.one_by_one && self.has_frame();
            return Some(if one_by_one { Ended::Picture } else { failed("the stream ended".into()) });
        }
        self.stall(now).map(failed)
    }

    /// What has not come for too long.
    fn stall(&self, now: Instant) -> Option<String> {
        // Pictures that are left out on purpose tell, too, that the camera is there.
        let (last, pause) = match self.meter.last() {
            Some(last) => (Some(last), self.meter.pause()),
            None => (self.pulse.last(), self.pulse.pause()),
        };
        let over = |from: Instant, limit: Duration, what: &str| {
            let age = now.saturating_duration_since(from.max(self.since));
            (age > limit).then(|| format!("{what} for {} s", age.as_secs()))
        };
        let silent = match (last, pause) {
            (None, _) => over(self.since, FIRST_FRAME_LIMIT, "no first frame"),
            (Some(last), None) => over(last, FIRST_FRAME_LIMIT, "no second frame"),
            (Some(last), Some(pause)) => over(last, STALL_LIMIT.max(pause * 5), "stalled: no frame"),
        };
        let broken =
            self.meter.broken().and_then(|since| over(since, BROKEN_LIMIT, "every picture is damaged"));
        silent.or(broken).or_else(|| {
            self.meter.last()?;
            let interval = self.meter.keyframe_interval().unwrap_or_default();
            let decoded = self.pulse.last().unwrap_or(self.since);
            over(decoded, DECODE_LIMIT.max(interval * 3), "pictures come, but none was decoded")
        })
    }
}
