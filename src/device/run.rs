//! The loop: every watch, from the newest crop to the outputs.

use super::appetite::{Appetite, wish};
use super::events::{Attempt, Events};
use super::gpio::Gpio;
use super::inlet::Pulse;
use super::journal::Journal;
use super::keeper::{Desk, Swap};
use super::mailbox::Mailbox;
use super::models::{Loaded, Models};
use super::mqtt::{Mqtt, Topic};
use super::notify::Watchdog;
use super::recent::{Agreement, Marker};
use super::report::{NO_MODEL, Report, STARTING, now as wall_clock, state_name};
use super::sieve::Meter;
use crate::bundle::manifest::{DecisionSpec, Manifest};
use crate::config::{Config, Decode, Fault, ModelConfig, StateConfig};
use crate::watch::Watch;
use crate::watch::crop::Region;
use crate::watch::decision::{Change, Classification, DecisionSettings, NO_DWELL, States, Unknown};
use crate::watch::gate::{GateSettings, Reason};
use crate::watch::input::Input;
use crate::watch::thumbnail::Thumbnail;
use crate::watch::view::ViewSettings;
use embassy_time::{Duration, Instant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest the loop sleeps: bounds how late staleness and a stop are noticed.
const TICK: std::time::Duration = std::time::Duration::from_millis(250);
/// Time without a usable frame after which a state is `unknown`.
pub const STALE_AFTER: Duration = Duration::from_secs(15);

/// One watch with everything that is said of it.
pub struct Runner {
    pub report: Report,
    states: Vec<String>,
    needed: u8,
    /// None while the model is missing: the watch stays `unknown`.
    watch: Option<Box<Watch>>,
    topics: Option<(Topic, Topic)>,
}

/// The outputs that exist. GPIO comes first: dropped in this order, the lines are at their fail-safe
/// level before MQTT's goodbye, which may wait for the network.
pub struct Outputs {
    pub gpio: Gpio,
    pub mqtt: Option<Mqtt>,
    pub events: Arc<Events>,
    pub journal: Arc<Journal>,
    /// Of attempts whose pictures are kept.
    pub marker: Marker,
}

pub struct Loop {
    pub runners: Vec<Runner>,
    pub mailbox: Arc<Mailbox>,
    pub outputs: Outputs,
    /// Of each camera.
    pub hungers: Vec<Hunger>,
    input: Box<Input>,
}

/// How much of a camera its watches need decoded, and what is known of it.
#[derive(Clone)]
pub struct Hunger {
    mode: Decode,
    /// Indices of its watches' runners.
    watches: Vec<usize>,
    pub appetite: Arc<Appetite>,
    pub meter: Arc<Meter>,
    /// When the last frame was decoded.
    pub pulse: Arc<Pulse>,
}

impl Hunger {
    pub fn new(mode: Decode, watches: Vec<usize>) -> Hunger {
        let (appetite, meter, pulse) = (Arc::default(), Arc::default(), Arc::default());
        Hunger { mode, watches, appetite, meter, pulse }
    }
}

/// One runner for each watch of the configuration, in its order.
pub fn runners(config: &Config, models: &Models, now: Instant) -> Vec<Runner> {
    let runner = |(model, camera)| {
        let mut runner = Runner::without_model(model, camera);
        runner.adopt(config, models.get(model), now);
        runner
    };
    config.watches().map(runner).collect()
}

impl Runner {
    fn without_model(model: &str, camera: &str) -> Runner {
        let report = Report::first(model, camera, NO_MODEL);
        Runner { report, states: Vec::new(), needed: 0, watch: None, topics: None }
    }

    pub fn new(
        model: &str,
        camera: &str,
        states: Vec<String>,
        gate: GateSettings,
        view: ViewSettings,
        decision: DecisionSettings,
        now: Instant,
    ) -> Runner {
        Runner {
            report: Report::first(model, camera, STARTING),
            states,
            needed: decision.verification,
            watch: Some(Box::new(Watch::new(gate, view, decision, now))),
            topics: None,
        }
    }

    /// Goes on with another generation of its model, or without one.
    fn adopt(&mut self, config: &Config, loaded: Option<&Loaded>, now: Instant) {
        let Some(settings) = config.classification.custom.get(&self.report.model) else { return };
        self.report.bundle = loaded.map(|loaded| loaded.id.clone());
        self.report.seq = loaded.map(|loaded| loaded.model.manifest.seq);
        self.report.signed = loaded.map(|loaded| loaded.model.manifest.created.clone());
        let Some(loaded) = loaded else {
            self.states.clear();
            self.watch = None;
            return self.report.forget(NO_MODEL);
        };
        let manifest = &loaded.model.manifest;
        let states = if self.states == manifest.states { States::Same } else { States::Others };
        let decision = decision(settings, manifest);
        let view = view(config, settings, manifest, &self.report.camera);
        self.needed = decision.verification;
        match &mut self.watch {
            Some(watch) => {
                // The name of a state that is given up is the old model's.
                if let Some(change) = watch.adopt(now, view, decision, states) {
                    self.report.update(&change, &self.states);
                }
            }
            None => {
                let StateConfig { motion, interval, .. } = settings.state_config;
                let gate = GateSettings { motion, interval };
                self.watch = Some(Box::new(Watch::new(gate, view, decision, now)));
                self.report.forget(STARTING);
            }
        }
        self.states.clone_from(&manifest.states);
        for reference in loaded.references(&self.report.camera.clone()) {
            self.refer_to(&reference);
        }
    }

    /// Adds a picture of what the camera shall look at.
    pub fn refer_to(&mut self, reference: &Thumbnail) {
        if let Some(watch) = &mut self.watch {
            watch.refer_to(reference);
        }
    }

    /// The states of its model; empty while that is missing.
    pub fn states(&self) -> &[String] {
        &self.states
    }

    /// What its two topics carry: the state, and the attributes as JSON.
    pub fn payloads(&self) -> [String; 2] {
        let attributes = serde_json::to_string(&self.report).unwrap_or_default();
        [self.report.state.clone(), attributes]
    }

    pub fn set_topics(&mut self, state: Topic, attributes: Topic) {
        self.topics = Some((state, attributes));
    }
}

impl Loop {
    pub fn new(runners: Vec<Runner>, mailbox: Arc<Mailbox>, outputs: Outputs) -> Loop {
        Loop { runners, mailbox, outputs, hungers: Vec::new(), input: Box::default() }
    }

    /// Runs until `stop` is set. Models are swapped between two passes.
    pub fn run(
        &mut self,
        config: &Config,
        models: &mut Models,
        desk: &Desk,
        watchdog: &mut Watchdog,
        stop: &AtomicBool,
    ) {
        while !stop.load(Ordering::Relaxed) {
            self.mailbox.wait(TICK);
            self.pass(Instant::now, |model, input| models.classify(model, input));
            models.review(|name, id, probation| desk.review(name, id, probation, &config.device.trial));
            for Swap { model, ready, because } in desk.swaps.take() {
                models.put(&model, ready, Instant::now());
                self.swap(config, models, &model, because.as_deref());
            }
            watchdog.pass(Instant::now());
        }
    }

    /// All watches of a model go on with what is there of it now.
    fn swap(&mut self, config: &Config, models: &Models, model: &str, because: Option<&str>) {
        let loaded = models.get(model);
        let why = models.missing().find(|(name, _)| *name == model).map(|(_, why)| why);
        match why {
            Some(why) => log::error!("model {model}: {why}"),
            None => log::info!("model {model}: goes on with {}", loaded.map_or("", |loaded| &loaded.id)),
        }
        let bundle = loaded.map(|loaded| (loaded.id.as_str(), loaded.model.manifest.seq));
        self.outputs.events.swap(model, bundle, why.or(because));
        for runner in self.runners.iter_mut().filter(|runner| runner.report.model == model) {
            let before = runner.report.sequence;
            runner.adopt(config, loaded, Instant::now());
            if runner.report.sequence != before {
                self.outputs.events.change(&runner.report);
            }
        }
        self.follow(config);
        for index in (0..self.runners.len()).filter(|&index| self.runners[index].report.model == model) {
            self.tell(index);
        }
    }

    /// Ties the GPIO lines to the states that there are now.
    pub fn follow(&mut self, config: &Config) {
        let runners = &self.runners;
        self.outputs.gpio.follow(config, |model, camera| {
            let index = runners.iter().position(|r| r.report.model == model && r.report.camera == camera)?;
            Some((index, runners[index].states().to_vec()))
        });
    }

    /// One pass over all watches. Allocates nothing unless a state changes or events are on;
    /// what `classify` does is its own affair.
    pub fn pass(
        &mut self,
        clock: impl Fn() -> Instant,
        mut classify: impl FnMut(&str, &Input) -> Option<Classification>,
    ) {
        for index in 0..self.runners.len() {
            let now = clock();
            let runner = &mut self.runners[index];
            let Some(watch) = &mut runner.watch else {
                // A crop that is left there would not let the loop sleep.
                self.mailbox.take(index, |_, _| ());
                continue;
            };
            let (input, marker) = (&mut *self.input, &mut self.outputs.marker);
            let asked = self.mailbox.take(index, |crop, thumbnail| {
                let reason = watch.see(now, crop, thumbnail)?;
                crop.sample(input);
                marker.look(crop);
                Some(reason)
            });
            let mut change = None;
            if let Some(reason) = asked.flatten()
                && let Some(classification) = classify(&runner.report.model, input)
            {
                change = runner.conclude(index, now, clock(), reason, &classification, &mut self.outputs);
            }
            let change = change.or_else(|| runner.watch.as_mut()?.pass(clock()));
            if let Some(change) = change {
                self.publish(index, &change);
            }
        }
        self.feed(clock());
    }

    /// Tells each camera how much is to be decoded until the next pass, and its watches how its stream is made.
    fn feed(&mut self, now: Instant) {
        for Hunger { mode, watches, appetite, meter, pulse } in &self.hungers {
            let keyframe_interval = meter.keyframe_interval();
            for &index in watches {
                if let (Some(watch), Some(interval)) = (&mut self.runners[index].watch, keyframe_interval) {
                    watch.set_keyframe_interval(interval);
                }
            }
            let watches = watches.iter().filter_map(|&index| self.runners[index].watch.as_ref());
            let wants = watches.map(|watch| watch.wants(now));
            let last_frame = pulse.last().unwrap_or(Instant::MIN);
            appetite.set(wish(*mode, wants, keyframe_interval, last_frame));
        }
    }

    fn publish(&mut self, index: usize, change: &Change) {
        let runner = &mut self.runners[index];
        runner.report.update(change, &runner.states);
        let Report { model, camera, state, reason, previous, probability, .. } = &runner.report;
        let why = reason.map(|why| format!(" ({why})")).unwrap_or_default();
        log::info!("{model} on {camera}: {previous} -> {state}{why}, probability {probability:.3}");
        self.outputs.gpio.set(index, change.to);
        self.outputs.events.change(&self.runners[index].report);
        self.tell(index);
    }

    /// Brings what is said of a watch up to date everywhere.
    fn tell(&self, index: usize) {
        let runner = &self.runners[index];
        self.outputs.journal.change(index, &runner.report);
        if runner.report.reason.is_some() {
            self.outputs.gpio.fail_safe(index);
        }
        if let (Some(mqtt), Some((state, attributes))) = (&self.outputs.mqtt, runner.topics) {
            for (topic, payload) in [state, attributes].into_iter().zip(runner.payloads()) {
                mqtt.set(topic, payload);
            }
        }
    }
}

/// What a watch decides by: the user's word before the bundle's.
fn decision(settings: &ModelConfig, manifest: &Manifest) -> DecisionSettings {
    let DecisionSpec { threshold, verification, dwell } = &manifest.decision;
    let mut dwells = NO_DWELL;
    for (state, to) in manifest.states.iter().zip(&mut dwells) {
        let seconds = dwell.get(state).copied().unwrap_or(0.0);
        *to = Duration::from_millis((seconds * 1e3) as u64);
    }
    DecisionSettings {
        threshold: settings.threshold.unwrap_or(*threshold),
        max_distance: settings.max_distance,
        verification: *verification,
        dwell: dwells,
        stale_after: STALE_AFTER,
    }
}

/// How a watch tells a picture of its scene from anything else.
fn view(config: &Config, settings: &ModelConfig, manifest: &Manifest, camera: &str) -> ViewSettings {
    let source = config.cameras.get(camera);
    let frame_size = source.and_then(|source| source.frame_size);
    let faults =
        [(Fault::Dark, Unknown::Dark), (Fault::Covered, Unknown::Covered), (Fault::Moved, Unknown::Moved)];
    let ignored = faults.into_iter().filter(|(fault, _)| settings.state_config.ignore.contains(fault));
    let declared = frame_size.map(|[width, height]| f64::from(width) / f64::from(height));
    ViewSettings {
        crop: config.region(&manifest.model, camera).unwrap_or(Region::FULL),
        aspect: manifest.frame_aspect(camera).or(declared).map(|aspect| aspect as f32),
        frozen_after: source.map_or(Duration::MIN, |source| source.frozen_after),
        ignore: ignored.map(|(_, why)| why).collect(),
    }
}

impl Runner {
    fn conclude(
        &mut self,
        index: usize,
        looked: Instant,
        now: Instant,
        reason: Reason,
        classification: &Classification,
        outputs: &mut Outputs,
    ) -> Option<Change> {
        let (vote, change) = self.watch.as_mut()?.conclude(now, classification);
        let vote_name = state_name(vote.verdict, &self.states);
        let why = vote.verdict.unknown().map(Unknown::name);
        let took_us = now.saturating_duration_since(looked).as_micros();
        log::debug!(
            "{} on {}: {} {:.3} ({}), {} of {}, {took_us} us",
            self.report.model,
            self.report.camera,
            why.unwrap_or(vote_name),
            vote.probability,
            reason.name(),
            vote.agreeing,
            self.needed
        );
        let attempt = Attempt {
            time: wall_clock(),
            model: &self.report.model,
            camera: &self.report.camera,
            reason,
            probabilities: &classification.probabilities,
            distance: classification.distance,
            states: &self.states,
            vote: vote_name,
            why,
            agreeing: vote.agreeing.min(self.needed),
            needed: self.needed,
            took_us,
            seq: self.report.seq,
        };
        outputs.events.attempt(&attempt);
        if let Some(record) = outputs.journal.attempt(index, &attempt) {
            let same = vote_name == self.report.state;
            let agreement = if same { Agreement::Same } else { Agreement::Differs };
            outputs.marker.mark(now, reason, &vote, agreement, record);
        }
        change
    }
}
