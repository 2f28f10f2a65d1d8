//! The mailbox: the newest crop of each watch and its frame's thumbnail, between the cameras' threads and the loop.

use crate::watch::crop::{CropBuffer, Region};
use crate::watch::frame::Frame;
use crate::watch::thumbnail::Thumbnail;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A crop and its frame's thumbnail.
#[derive(Default)]
struct Letter {
    crop: Box<CropBuffer>,
    thumbnail: Box<Thumbnail>,
}

/// One watch's crop. A newer one replaces it, looked at or not.
#[derive(Default)]
struct Slot {
    letter: Letter,
    fresh: bool,
    replaced: u64,
}

pub struct Mailbox {
    slots: Mutex<Vec<Slot>>,
    arrived: Condvar,
    /// What the loop looks at, while the cameras' threads go on.
    open: Mutex<Letter>,
}

impl Mailbox {
    /// One slot for each watch, all memory allocated here.
    pub fn new(watches: usize) -> Mailbox {
        let slots = std::iter::repeat_with(Slot::default).take(watches).collect();
        Mailbox { slots: Mutex::new(slots), arrived: Condvar::new(), open: Mutex::default() }
    }

    /// Cuts `region` out of the frame into the watch's slot. `thumbnail`: of this frame. `false` if the frame is too
    /// small for a crop.
    pub fn put(&self, watch: usize, frame: &Frame, region: Region, thumbnail: &Thumbnail) -> bool {
        let Some(rect) = region.pixels(frame.width, frame.height) else { return false };
        let mut slots = self.lock();
        let slot = &mut slots[watch];
        slot.letter.crop.copy_from(frame, rect);
        slot.letter.thumbnail.as_mut().clone_from(thumbnail);
        slot.replaced += u64::from(slot.fresh);
        slot.fresh = true;
        self.arrived.notify_one();
        true
    }

    /// Waits until a crop is there, at most for `limit`.
    pub fn wait(&self, limit: Duration) {
        let empty = |slots: &mut Vec<Slot>| !slots.iter().any(|slot| slot.fresh);
        drop(self.arrived.wait_timeout_while(self.lock(), limit, empty));
    }

    /// Hands the watch's crop and its thumbnail to `look` if new ones have arrived.
    pub fn take<T>(&self, watch: usize, look: impl FnOnce(&CropBuffer, &Thumbnail) -> T) -> Option<T> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let mut slots = self.lock();
        let slot = &mut slots[watch];
        let fresh = std::mem::take(&mut slot.fresh);
        if fresh {
            std::mem::swap(&mut slot.letter, &mut open);
        }
        drop(slots);
        fresh.then(|| look(&open.crop, &open.thumbnail))
    }

    /// Crops that were replaced before the loop came to them, since the start.
    pub fn replaced(&self) -> u64 {
        self.lock().iter().map(|slot| slot.replaced).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        // A panic elsewhere leaves at worst a half-copied crop.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
