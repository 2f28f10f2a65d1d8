//! The loop: every watch, from the newest crop to the outputs.

use super::events::{Attempt, Events};
use super::gpio::Gpio;
use super::mailbox::Mailbox;
use super::models::Models;
use super::mqtt::{Mqtt, Topic};
use super::notify::Watchdog;
use super::report::{NO_MODEL, Report, STARTING, now as wall_clock, state_name};
use crate::config::Config;
use crate::watch::Watch;
use crate::watch::decision::{Change, Classification, DecisionSettings};
use crate::watch::gate::{GateSettings, Reason};
use crate::watch::input::Input;
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
}

pub struct Loop {
    pub runners: Vec<Runner>,
    pub mailbox: Arc<Mailbox>,
    pub outputs: Outputs,
    input: Box<Input>,
}

/// One runner for each watch of the configuration, in its order.
pub fn runners(config: &Config, models: &Models, now: Instant) -> Vec<Runner> {
    config.watches().map(|(model, camera)| runner(config, models, model, camera, now)).collect()
}

fn runner(config: &Config, models: &Models, model: &str, camera: &str, now: Instant) -> Runner {
    let (Some(loaded), Some(settings)) = (models.get(model), config.classification.custom.get(model)) else {
        let report = Report::first(model, camera, None, NO_MODEL);
        return Runner { report, states: Vec::new(), needed: 0, watch: None, topics: None };
    };
    let manifest = &loaded.model.manifest;
    let state = &settings.state_config;
    let gate = GateSettings { motion: state.motion, interval: state.interval };
    let decision = DecisionSettings {
        threshold: settings.threshold.unwrap_or(manifest.decision.threshold),
        max_distance: settings.max_distance,
        verification: manifest.decision.verification,
        stale_after: STALE_AFTER,
    };
    let mut runner = Runner::new(model, camera, manifest.states.clone(), gate, decision, now);
    runner.report.bundle = Some(loaded.id.clone());
    runner
}

impl Runner {
    pub fn new(
        model: &str,
        camera: &str,
        states: Vec<String>,
        gate: GateSettings,
        decision: DecisionSettings,
        now: Instant,
    ) -> Runner {
        Runner {
            report: Report::first(model, camera, None, STARTING),
            states,
            needed: decision.verification,
            watch: Some(Box::new(Watch::new(gate, decision, now))),
            topics: None,
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
        Loop { runners, mailbox, outputs, input: Box::default() }
    }

    /// Runs until `stop` is set.
    pub fn run(&mut self, models: &mut Models, watchdog: &mut Watchdog, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            self.mailbox.wait(TICK);
            let classify = |model: &str, input: &Input| match models.classify(model, input)? {
                Ok(classification) => Some(classification),
                Err(error) => {
                    log::error!("{model}: {error}");
                    None
                }
            };
            self.pass(Instant::now, classify);
            watchdog.pass(Instant::now());
        }
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
            let Some(watch) = &mut runner.watch else { continue };
            let input = &mut *self.input;
            let asked = self.mailbox.take(index, |crop| {
                let reason = watch.see(now, crop)?;
                crop.sample(input);
                Some(reason)
            });
            let mut change = None;
            if let Some(reason) = asked.flatten()
                && let Some(classification) = classify(&runner.report.model, input)
            {
                change = runner.conclude(now, clock(), reason, &classification, &self.outputs.events);
            }
            let change = change.or_else(|| runner.watch.as_mut()?.pass(clock()));
            if let Some(change) = change {
                self.publish(index, &change);
            }
        }
    }

    fn publish(&mut self, index: usize, change: &Change) {
        let runner = &mut self.runners[index];
        runner.report.update(change, &runner.states);
        let Report { model, camera, state, reason, previous, probability, .. } = &runner.report;
        let why = reason.map(|why| format!(" ({why})")).unwrap_or_default();
        log::info!("{model} on {camera}: {previous} -> {state}{why}, probability {probability:.3}");
        self.outputs.gpio.set(index, change.to);
        if let (Some(mqtt), Some((state, attributes))) = (&self.outputs.mqtt, runner.topics) {
            let payloads = runner.payloads();
            for (topic, payload) in [state, attributes].into_iter().zip(payloads) {
                mqtt.set(topic, payload);
            }
        }
        self.outputs.events.change(&runner.report);
    }
}

impl Runner {
    fn conclude(
        &mut self,
        looked: Instant,
        now: Instant,
        reason: Reason,
        classification: &Classification,
        events: &Events,
    ) -> Option<Change> {
        let (vote, change) = self.watch.as_mut()?.conclude(now, classification);
        let vote_name = state_name(vote.verdict, &self.states);
        let took_us = now.saturating_duration_since(looked).as_micros();
        log::debug!(
            "{} on {}: {vote_name} {:.3} ({}), {} of {}, {took_us} us",
            self.report.model,
            self.report.camera,
            vote.probability,
            reason.name(),
            vote.agreeing,
            self.needed
        );
        events.attempt(Attempt {
            time: wall_clock(),
            model: &self.report.model,
            camera: &self.report.camera,
            reason,
            probabilities: &classification.probabilities,
            distance: classification.distance,
            states: &self.states,
            vote: vote_name,
            agreeing: vote.agreeing.min(self.needed),
            needed: self.needed,
            took_us,
        });
        change
    }
}
