//! The keeper: the one thread that changes the store, while the loop goes on.
//!
//! ```text
//! control socket, inbox, loop -> orders -> keeper -> store
//!                                            |-> swaps -> loop, between two frames
//! ```

use super::inbox::Inbox;
use super::models::Ready;
use super::probation::{Probation, Review};
use crate::bundle::manifest::Manifest;
use crate::bundle::store::install::{Allow, Installed};
use crate::bundle::store::state::State;
use crate::bundle::store::{Standing, Store};
use crate::bundle::verify::{Verified, trusted_keys, verify};
use crate::bundle::{Code, Refusal};
use crate::config::{Config, TrialConfig};
use crate::selftest;
use embassy_time::Instant;
use serde::Serialize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often the inbox is looked into.
const ROUND: Duration = Duration::from_secs(1);

/// What an installation came to, for whoever asked for it.
#[derive(Clone, Debug, Serialize)]
pub struct Receipt {
    pub model: String,
    pub seq: u64,
    pub id: String,
    /// `installed`, `mended` or `already`.
    pub outcome: &'static str,
}

/// Something to be done to the store. Each is answered, if anyone still listens.
pub enum Order {
    Install {
        bundle: Vec<u8>,
        allow: Allow,
        reply: Reply<Receipt>,
    },
    /// A generation on trial has proved itself, or the user vouches for it.
    Confirm {
        model: String,
        id: Option<String>,
        reply: Reply<String>,
    },
    /// A generation on trial failed.
    Reject {
        model: String,
        id: String,
        why: String,
    },
    /// The user wants the generation before.
    GoBack {
        model: String,
        reply: Reply<String>,
    },
    Generations {
        reply: Reply<State>,
    },
    /// The service stops in an orderly way.
    Stop,
}

pub type Reply<T> = Box<dyn FnOnce(Result<T, Refusal>) + Send>;

/// A model that takes the place of another, or why there is none now.
pub struct Swap {
    pub model: String,
    pub ready: Result<Ready, String>,
    /// Why the one before had to go, if not for a newer one.
    pub because: Option<String>,
}

/// Models that wait for the loop.
#[derive(Default)]
pub struct Swaps {
    any: AtomicBool,
    waiting: Mutex<Vec<Swap>>,
}

impl Swaps {
    /// What has come since the last time. Costs the loop one load where there is nothing.
    pub fn take(&self) -> Vec<Swap> {
        if !self.any.swap(false, Ordering::Acquire) {
            return Vec::new();
        }
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, swap: Swap) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(swap);
        self.any.store(true, Ordering::Release);
    }
}

/// What the keeper knows of the device.
pub struct Keeper {
    store: Store,
    trusted_keys: PathBuf,
    /// Board, device id and CPU, as bundles' `targets` name them.
    names: Vec<String>,
    config: Config,
    boot: String,
    swaps: Arc<Swaps>,
}

/// The rest of the program's side of the keeper.
pub struct Desk {
    pub orders: Sender<Order>,
    pub swaps: Arc<Swaps>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    pub fn new(config: &Config, names: Vec<String>) -> Keeper {
        Keeper {
            store: Store::new(&config.device.store),
            trusted_keys: config.device.trusted_keys.clone(),
            names,
            config: config.clone(),
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
                .unwrap_or_default()
                .trim()
                .into(),
            swaps: Arc::default(),
        }
    }

    /// What the service begins with, for each model of the configuration. Counts an attempt of each on trial.
    pub fn begin(&self) -> Vec<Swap> {
        self.store.tidy();
        self.config.classification.custom.keys().map(|model| self.swap(model, None)).collect()
    }

    pub fn start(self) -> std::io::Result<Desk> {
        let (orders, inbound) = mpsc::channel();
        let swaps = self.swaps.clone();
        let thread = std::thread::Builder::new().name("keeper".into()).spawn(move || self.serve(&inbound))?;
        Ok(Desk { orders, swaps, thread: Some(thread) })
    }

    fn serve(&self, orders: &Receiver<Order>) {
        let mut inbox = Inbox::new(self.config.inbox());
        loop {
            match orders.recv_timeout(ROUND) {
                Ok(Order::Stop) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(order) => self.carry_out(order),
                Err(RecvTimeoutError::Timeout) => {
                    inbox.look(|bundle| self.install(bundle, Allow::default()));
                }
            }
        }
        self.rest();
    }

    fn carry_out(&self, order: Order) {
        match order {
            Order::Install { bundle, allow, reply } => reply(self.install(&bundle, allow)),
            Order::Confirm { model, id, reply } => reply(self.confirm(&model, id)),
            Order::Reject { model, id, why } => match self.store.roll_back(&model, &id, &why) {
                Ok(true) => {
                    log::error!("model {model}: {id} is rolled back: {why}");
                    self.swaps.put(self.swap(&model, Some(why)));
                }
                Ok(false) => {}
                Err(refusal) => log::error!("model {model}: {id} cannot be rolled back: {refusal}"),
            },
            Order::GoBack { model, reply } => reply(self.go_back(&model)),
            Order::Generations { reply } => reply(self.store.generations()),
            Order::Stop => {}
        }
    }

    fn install(&self, bytes: &[u8], allow: Allow) -> Result<Receipt, Refusal> {
        let installed = self.try_install(bytes, allow);
        match &installed {
            Ok(receipt) => log::info!("model {}: {} {}", receipt.model, receipt.outcome, receipt.id),
            Err(refusal) => log::error!("a bundle is refused: {refusal}"),
        }
        installed
    }

    fn try_install(&self, bytes: &[u8], allow: Allow) -> Result<Receipt, Refusal> {
        let keys = trusted_keys(&self.trusted_keys)?;
        let bundle = verify(bytes, &keys)?;
        self.check_policy(&bundle.manifest)?;
        let test = |stored: &_| selftest::test(&self.store, stored);
        let installed = self.store.install(&bundle, &keys, allow, test)?;
        let (outcome, id) = match installed {
            Installed::New { id } => ("installed", id),
            Installed::Mended { id } => ("mended", id),
            Installed::Already { id } => ("already", id),
        };
        let Verified { manifest, .. } = bundle;
        if outcome != "already" {
            self.swaps.put(self.swap(&manifest.model, None));
        }
        Ok(Receipt { model: manifest.model, seq: manifest.seq, id, outcome })
    }

    /// What the manifest asks of the device, and the device of the model.
    fn check_policy(&self, manifest: &Manifest) -> Result<(), Refusal> {
        manifest.check_target(&self.names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let watched = &self.config.classification.custom;
        if !watched.contains_key(&manifest.model) {
            let have = watched.keys().cloned().collect::<Vec<_>>().join(", ");
            let why = format!("model {:?}; this device watches with {have}", manifest.model);
            return Err(Refusal::new(Code::E32, why));
        }
        let states = &manifest.states;
        for (i, line) in self.config.gpio.lines.iter().enumerate() {
            if line.model == manifest.model && !states.contains(&line.state) {
                let have = states.join(", ");
                let why =
                    format!("gpio.lines[{i}] waits for {:?}; the model's states are {have}", line.state);
                return Err(Refusal::new(Code::E32, why));
            }
        }
        Ok(())
    }

    /// `id`: only this generation.
    fn confirm(&self, model: &str, id: Option<String>) -> Result<String, Refusal> {
        let trial = || {
            let trial = self.store.generations()?.models.remove(model).and_then(|model| model.trial);
            trial.map(|trial| trial.id).ok_or_else(|| nothing(model, "is on trial"))
        };
        let id = id.map_or_else(trial, Ok)?;
        if !self.store.confirm(model, &id)? {
            // Somebody else may have vouched for it.
            let active = self.store.generations()?.models.remove(model).and_then(|model| model.active);
            return if active.as_ref() == Some(&id) { Ok(id) } else { Err(nothing(model, "is on trial")) };
        }
        log::info!("model {model}: {id} has proved itself and is active");
        Ok(id)
    }

    fn go_back(&self, model: &str) -> Result<String, Refusal> {
        let Some((from, to)) = self.store.go_back(model)? else {
            return Err(nothing(model, "came before"));
        };
        let to = to.unwrap_or_else(|| "no model".into());
        log::warn!("model {model}: back from {from} to {to}, as the user asked");
        self.swaps.put(self.swap(model, Some("rolled back by the user".into())));
        Ok(to)
    }

    fn swap(&self, model: &str, because: Option<String>) -> Swap {
        let ready = self.load(model).map_err(|refusal| refusal.to_string());
        Swap { model: model.into(), ready, because }
    }

    fn load(&self, model: &str) -> Result<Ready, Refusal> {
        let keys = trusted_keys(&self.trusted_keys)?;
        let none = || Refusal::new(Code::E33, "no bundle is installed; to install one: ajar deploy FILE");
        loop {
            let stored = self.store.begin(model, &keys, &self.boot)?.ok_or_else(none)?;
            let (id, standing) = (stored.id.clone(), stored.standing);
            // It may have come by another way than through this service.
            let ready = self.check_policy(&stored.manifest).and_then(|()| Ready::new(&self.store, stored));
            match ready {
                Ok(ready) => {
                    self.compare_crops(&ready.model.manifest);
                    return Ok(ready);
                }
                // Then the one before is begun with.
                Err(refusal) if standing == Standing::Trial => {
                    log::error!("model {model}: {id} is rolled back: {refusal}");
                    self.store.roll_back(model, &id, &refusal.to_string())?;
                }
                Err(refusal) => return Err(refusal),
            }
        }
    }

    /// A model sees best what it was trained on.
    fn compare_crops(&self, manifest: &Manifest) {
        for (camera, spec) in &manifest.crops {
            let Some(here) = self.config.region(&manifest.model, camera) else { continue };
            let here = here.edges();
            if here.iter().zip(&spec.crop).any(|(here, there)| (f64::from(*here) - there).abs() > MAX_SHIFT) {
                let (model, there) = (&manifest.model, spec.crop);
                log::warn!(
                    "model {model}: trained on the crop {there:?} of {camera}, which is {here:?} here"
                );
            }
        }
    }

    /// Gives back the attempts of models on trial, as nothing went wrong.
    fn rest(&self) {
        let Ok(state) = self.store.generations() else { return };
        for (model, generations) in state.models {
            if let Some(trial) = generations.trial
                && let Err(refusal) = self.store.rest(&model, &trial.id)
            {
                log::warn!("model {model}: this stop counts as an attempt: {refusal}");
            }
        }
    }
}

/// Largest difference of a crop's edge, in fractions of the frame, that is not worth a word.
const MAX_SHIFT: f64 = 0.01;

fn nothing(model: &str, what: &str) -> Refusal {
    Refusal::new(Code::E33, format!("model {model:?}: no generation {what}"))
}

impl Desk {
    /// Has the keeper act on what a trial has come to. Asked again and again until the keeper has done it.
    pub fn review(&self, model: &str, id: &str, probation: &mut Probation, settings: &TrialConfig) -> Review {
        let now = Instant::now();
        let review = probation.review(now, settings);
        if !matches!(review, Review::Proved | Review::Failed) || !probation.ask(now) {
            return review;
        }
        let (model, id) = (model.to_string(), id.to_string());
        let order = match review {
            Review::Proved => {
                let confirmed = probation.confirmed();
                let reply: Reply<String> = Box::new(move |result| match result {
                    Ok(_) => confirmed.store(true, Ordering::Release),
                    // Another one took its place in the store.
                    Err(Refusal { code: Code::E33, .. }) => confirmed.store(true, Ordering::Release),
                    Err(refusal) => log::warn!("a trial cannot be ended yet: {refusal}"),
                });
                Order::Confirm { model, id: Some(id), reply }
            }
            _ => Order::Reject { model, id, why: format!("{:?}: {}", Code::W64, probation.last_fault()) },
        };
        let _ = self.orders.send(order);
        review
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::Stop);
        if let Some(thread) = self.thread.take() {
            super::threads::join_within(thread, STOP_LIMIT);
        }
    }
}

/// An installation that is under way when the service stops is given up: it left nothing that counts.
const STOP_LIMIT: Duration = Duration::from_secs(3);
