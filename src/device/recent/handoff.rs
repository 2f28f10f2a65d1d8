//! The handoff: pictures of attempts on their way from the loop to the curator, in fixed memory. The loop never waits.

use crate::device::journal::Record;
use crate::watch::crop::{CropBuffer, Region};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError, TryLockError};
use std::time::Duration;

pub struct Handoff {
    slots: Mutex<Vec<Slot>>,
    arrived: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct Slot {
    crop: Box<CropBuffer>,
    attempt: Option<Record>,
}

impl Handoff {
    /// All memory is allocated here.
    pub fn new(slots: usize) -> Handoff {
        let slots = std::iter::repeat_with(Slot::default).take(slots).collect();
        Handoff { slots: Mutex::new(slots), arrived: Condvar::new(), dropped: AtomicU64::new(0) }
    }

    /// Hands the crop over in exchange for another buffer, or drops the picture.
    pub fn put(&self, crop: &mut Box<CropBuffer>, attempt: Record) {
        if self.try_put(crop, attempt).is_none() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn try_put(&self, crop: &mut Box<CropBuffer>, attempt: Record) -> Option<()> {
        let mut slots = match self.slots.try_lock() {
            Ok(slots) => slots,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        let slot = slots.iter_mut().find(|slot| slot.attempt.is_none())?;
        std::mem::swap(&mut slot.crop, crop);
        slot.attempt = Some(attempt);
        drop(slots);
        self.arrived.notify_one();
        Some(())
    }

    /// The oldest that waits, its crop in exchange for `spare`; waits for one, at most for `limit`.
    pub fn take(&self, spare: &mut Box<CropBuffer>, limit: Duration) -> Option<Record> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let empty = |slots: &mut Vec<Slot>| slots.iter().all(|slot| slot.attempt.is_none());
        let waited = self.arrived.wait_timeout_while(slots, limit, empty);
        let (mut slots, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let filled = slots.iter_mut().filter(|slot| slot.attempt.is_some());
        let slot = filled.min_by_key(|slot| slot.attempt.as_ref().map(|attempt| attempt.number))?;
        std::mem::swap(&mut slot.crop, spare);
        slot.attempt.take()
    }

    /// Pictures that found no room, since the start.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// Copies a crop as it is.
pub fn copy(from: &CropBuffer, to: &mut CropBuffer) {
    if let Some(whole) = Region::FULL.pixels(from.width(), from.height()) {
        to.copy_from(&from.as_frame(), whole);
    }
}
