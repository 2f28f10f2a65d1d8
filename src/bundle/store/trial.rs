//! The trial: a new generation proves itself on the device, or the one before comes back.
//!
//! ```text
//! install -> waiting -> running -> confirmed: active
//!               ^  |       |
//!               |  +-------+-> no attempts left, live faults, or the user: bad, the active one goes on
//!               +-- stopped in an orderly way, or by a power cut: no attempt is lost
//! ```

use super::state::{ATTEMPTS, Generations, Phase, State, Trial};
use super::{Standing, Store, StoredModel};
use crate::bundle::verify::TrustedKey;
use crate::bundle::{Code, Refusal};

impl Store {
    /// What a service that starts now runs of `model`: the generation on trial, whose attempt is counted before it
    /// is loaded, else the active one, else the previous. `None` if no bundle of this model was ever installed.
    ///
    /// `boot`: an id of this boot of the machine.
    pub fn begin(
        &self,
        model: &str,
        keys: &[TrustedKey],
        boot: &str,
    ) -> Result<Option<StoredModel>, Refusal> {
        let refusal = match self.count_attempt(model, boot) {
            Ok(None) => return self.load_proven(model, keys),
            Ok(Some(id)) => match self.read_generation(&id, Standing::Trial, keys) {
                Ok(stored) => return Ok(Some(stored)),
                Err(refusal) => {
                    // It never ran: a key that is missing or a rotted part says nothing of the model.
                    self.rest(model, &id)?;
                    refusal
                }
            },
            // What cannot be counted is not tried.
            Err(refusal) => refusal,
        };
        log::error!("model {model}: the generation on trial cannot run: {refusal}");
        self.load_proven(model, keys)?.map(Some).ok_or(refusal)
    }

    /// Counts a start of the generation on trial, durably, and gives its id if it may run.
    fn count_attempt(&self, model: &str, boot: &str) -> Result<Option<String>, Refusal> {
        if self.state()?.models.get(model).is_none_or(|generations| generations.trial.is_none()) {
            return Ok(None);
        }
        self.change(|state| {
            let Some(generations) = state.models.get_mut(model) else { return Outcome::Nothing };
            let Some(trial) = &mut generations.trial else { return Outcome::Nothing };
            if trial.phase == Phase::Running && trial.boot_id != boot {
                trial.attempts_left = (trial.attempts_left + 1).min(ATTEMPTS);
            }
            let id = trial.id.clone();
            if trial.attempts_left == 0 {
                let why = format!("{:?}: ajard ended {ATTEMPTS} times while it ran", Code::W64);
                log::error!("model {model}: {id} is rolled back: {why}");
                generations.reject(&id, &why);
                return Outcome::Changed(None);
            }
            trial.attempts_left -= 1;
            (trial.phase, trial.boot_id) = (Phase::Running, boot.into());
            Outcome::Changed(Some(id))
        })
        .map(Option::flatten)
    }

    /// Gives back the attempt of a generation on trial that is stopped in an orderly way.
    pub fn rest(&self, model: &str, id: &str) -> Result<(), Refusal> {
        self.change(|state| {
            match on_trial(state, model, id).and_then(|generations| generations.trial.as_mut()) {
                Some(trial) if trial.phase == Phase::Running => {
                    trial.phase = Phase::Waiting;
                    trial.attempts_left = (trial.attempts_left + 1).min(ATTEMPTS);
                    Outcome::Changed(())
                }
                _ => Outcome::Nothing,
            }
        })
        .map(drop)
    }

    /// The generation on trial has proved itself: it becomes the active one, and nothing older of its key is taken
    /// from now on. `false` if it is not on trial any more.
    pub fn confirm(&self, model: &str, id: &str) -> Result<bool, Refusal> {
        self.change(|state| {
            let Some(generations) = on_trial(state, model, id) else { return Outcome::Nothing };
            let Some(Trial { key, seq, .. }) = generations.trial.take() else { return Outcome::Nothing };
            let floor = generations.floors.entry(key).or_default();
            *floor = seq.max(*floor);
            let before = generations.active.replace(id.into()).filter(|before| before != id);
            generations.previous = before.or(generations.previous.take()).filter(|previous| previous != id);
            generations.bad.retain(|bad| bad.id != id);
            Outcome::Changed(())
        })
        .map(|changed| changed.is_some())
    }

    /// The generation on trial failed: it is not tried again. `false` if it is not on trial any more.
    pub fn roll_back(&self, model: &str, id: &str, why: &str) -> Result<bool, Refusal> {
        self.change(|state| {
            let Some(generations) = on_trial(state, model, id) else { return Outcome::Nothing };
            generations.reject(id, why);
            Outcome::Changed(())
        })
        .map(|changed| changed.is_some())
    }

    /// The user wants the generation before: ends a trial, or else makes the previous one active again. Gives the
    /// ids it went from and to; `None` if there is nothing to go back to.
    pub fn go_back(&self, model: &str) -> Result<Option<(String, Option<String>)>, Refusal> {
        self.change(|state| {
            let Some(generations) = state.models.get_mut(model) else { return Outcome::Nothing };
            if let Some(Trial { id, .. }) = generations.trial.clone() {
                generations.reject(&id, "rolled back by the user");
                return Outcome::Changed((id, generations.active.clone()));
            }
            let (Some(active), Some(previous)) = (generations.active.clone(), generations.previous.take())
            else {
                return Outcome::Nothing;
            };
            generations.reject(&active, "rolled back by the user");
            generations.active = Some(previous.clone());
            Outcome::Changed((active, Some(previous)))
        })
    }

    /// Reads the state, lets `change` change it, and writes it if it did.
    pub(super) fn change<T>(
        &self,
        change: impl FnOnce(&mut State) -> Outcome<T>,
    ) -> Result<Option<T>, Refusal> {
        let _lock = self.lock()?;
        let mut state = self.state()?;
        match change(&mut state) {
            Outcome::Nothing => Ok(None),
            Outcome::Changed(result) => {
                self.write_state(&state)?;
                self.sweep();
                Ok(Some(result))
            }
        }
    }
}

pub(super) enum Outcome<T> {
    Nothing,
    Changed(T),
}

fn on_trial<'a>(state: &'a mut State, model: &str, id: &str) -> Option<&'a mut Generations> {
    let generations = state.models.get_mut(model)?;
    generations.trial.as_ref().is_some_and(|trial| trial.id == id).then_some(generations)
}
