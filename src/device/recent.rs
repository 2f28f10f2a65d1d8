//! Recent: the newest attempts of all watches, and the pictures of those that are worth a look.
//!
//! ```text
//! loop -> sampler -> handoff -> curator -> disk
//! ```
//!
//! A picture is the whole frame if the camera still shows what was looked at when the curator comes to it, so that a crop may be
//! drawn anew later; else, or where whole frames are not to be kept, it is the very crop that was looked at.

mod handoff;
mod sampler;

use super::journal::{Journal, Record};
use super::shelf::{Ids, Item, Shelf, names};
use crate::config::{Config, Privacy};
use crate::watch::crop::{CropBuffer, Region};
use crate::watch::decision::Vote;
use crate::watch::gate::Reason;
use embassy_time::Instant;
pub use handoff::Handoff;
pub use sampler::Agreement;
use sampler::Sampler;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most bytes that the pictures of a watch may have on average.
const MEAN_BYTES: u64 = 300_000;
/// Pictures that may wait for the curator.
const SLOTS: std::ops::RangeInclusive<usize> = 4..=8;

pub struct Recent {
    /// In the order of the watches.
    rooms: Vec<Room>,
    ids: Ids,
    pub handoff: Arc<Handoff>,
}

/// How much of a camera's frame a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    Whole,
    Crop,
}

/// The pictures of one watch.
struct Room {
    model: String,
    camera: String,
    region: Region,
    shelf: Shelf,
    /// The oldest first. A record is the attempt as it is told.
    pictures: Mutex<Vec<Item<Value>>>,
    most: usize,
    kept: AtomicU64,
    lost: AtomicU64,
}

/// The loop's side: marks what is to be kept, and never waits.
pub struct Marker {
    samplers: Vec<Sampler>,
    /// The crop that is looked at.
    crop: Box<CropBuffer>,
    handoff: Arc<Handoff>,
}

impl Recent {
    /// With what earlier runs have left and may still be kept.
    pub fn open(config: &Config) -> Recent {
        let directory = config.recent_directory();
        for camera in names(&directory) {
            for model in names(&directory.join(&camera)) {
                let place = directory.join(&camera).join(&model);
                let watched = config.watches().any(|watch| watch == (&model, &camera));
                if !watched && Shelf::is_one::<Value>(&place) {
                    log::warn!(
                        "recent: pictures of {model} on {camera} are removed: it is not watched any more"
                    );
                    Shelf::open::<Value>(place).0.clear();
                }
            }
        }
        let room = |(model, camera): (&str, &str)| {
            let (shelf, pictures) = Shelf::open(directory.join(camera).join(model));
            let most = config.classification.custom.get(model).map_or(0, |model| model.save_attempts);
            let room = Room {
                model: model.into(),
                camera: camera.into(),
                region: config.region(model, camera).unwrap_or(Region::FULL),
                shelf,
                pictures: Mutex::new(pictures),
                most,
                kept: AtomicU64::new(0),
                lost: AtomicU64::new(0),
            };
            if config.gallery.privacy == Privacy::Crop {
                room.forget_frames();
            }
            room.trim();
            room
        };
        let rooms: Vec<Room> = config.watches().map(room).collect();
        let ids: Vec<String> = rooms
            .iter()
            .flat_map(|room| room.lock().iter().map(|item| item.id.clone()).collect::<Vec<_>>())
            .collect();
        let slots = rooms.len().clamp(*SLOTS.start(), *SLOTS.end());
        Recent {
            rooms,
            ids: Ids::after(ids.iter().map(String::as_str)),
            handoff: Arc::new(Handoff::new(slots)),
        }
    }

    pub fn marker(&self) -> Marker {
        let samplers = self.rooms.iter().map(|_| Sampler::default()).collect();
        Marker { samplers, crop: Box::default(), handoff: self.handoff.clone() }
    }

    /// Writes the picture of an attempt, and removes the oldest that there is no room for.
    pub fn keep(&self, journal: &Journal, attempt: Record, extent: Extent, jpeg: &[u8]) {
        let Some(room) = self.rooms.get(attempt.watch) else { return };
        let id = self.ids.of(attempt.number);
        let kept =
            serde_json::to_value(journal.name(attempt)).map_err(io::Error::from).and_then(|mut record| {
                record["whole"] = (extent == Extent::Whole).into();
                record["crop"] = serde_json::json!(room.region.fractions());
                room.shelf.put(&id, &record, jpeg)?;
                Ok(record)
            });
        match kept {
            Ok(record) => {
                room.kept.fetch_add(1, Ordering::Relaxed);
                room.lock().push(Item { id, bytes: jpeg.len() as u64, record });
                room.trim();
            }
            Err(error) => room.lose(&error.to_string()),
        }
    }

    /// A picture that could not even be made.
    pub fn lose(&self, attempt: &Record, why: &str) {
        if let Some(room) = self.rooms.get(attempt.watch) {
            room.lose(why);
        }
    }

    /// Camera and crop of a watch; `None` if no pictures of it are wanted.
    pub fn place(&self, watch: usize) -> Option<(&str, Region)> {
        let room = self.rooms.get(watch).filter(|room| room.most > 0)?;
        Some((&room.camera, room.region))
    }

    /// Attempts of this run, and those of earlier ones that have a picture; the newest first.
    pub fn list(&self, journal: &Journal, wanted: impl Fn(&str, &str) -> bool) -> Vec<Value> {
        let mut attempts = BTreeMap::new();
        for named in journal.recent().into_iter().filter(|named| wanted(&named.model, &named.camera)) {
            let id = self.ids.of(named.attempt.number);
            attempts.insert(id, (serde_json::to_value(named).unwrap_or_default(), false));
        }
        for room in self.rooms.iter().filter(|room| wanted(&room.model, &room.camera)) {
            for Item { id, record, .. } in room.lock().iter() {
                attempts.insert(id.clone(), (record.clone(), true));
            }
        }
        let tell = |(id, (mut attempt, picture)): (String, (Value, bool))| {
            attempt["id"] = id.into();
            attempt["picture"] = picture.into();
            attempt
        };
        attempts.into_iter().rev().map(tell).collect()
    }

    /// The JPEG file of an attempt; `None` if there is none.
    pub fn read(&self, id: &str) -> Option<io::Result<Vec<u8>>> {
        // Only what is listed is ever looked for on the disk.
        let room = self.rooms.iter().find(|room| room.lock().iter().any(|item| item.id == id))?;
        Some(room.shelf.read(id))
    }

    /// In the text format of Prometheus.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Room) -> u64| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for room in &self.rooms {
                let Room { model, camera, .. } = room;
                let _ = writeln!(text, "{name}{{model=\"{model}\",camera=\"{camera}\"}} {}", value(room));
            }
        };
        family("ajar_recent_pictures", "gauge", "Attempts whose picture is there.", &|room| {
            room.lock().len() as u64
        });
        family("ajar_recent_bytes", "gauge", "Bytes of the pictures of attempts.", &|room| room.bytes());
        family("ajar_recent_kept_total", "counter", "Pictures of attempts that were written.", &|room| {
            room.kept.load(Ordering::Relaxed)
        });
        family(
            "ajar_recent_lost_total",
            "counter",
            "Pictures of attempts that the disk would not take.",
            &|room| room.lost.load(Ordering::Relaxed),
        );
        let (name, help) =
            ("ajar_recent_dropped_total", "Pictures of attempts that came too fast to be written.");
        let _ =
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}", self.handoff.dropped());
        text
    }
}

impl Room {
    /// Removes what is too much: the oldest of the vote that has most pictures, so that no vote drives out the others.
    fn trim(&self) {
        let most_bytes = self.most as u64 * MEAN_BYTES;
        while self.lock().len() > self.most || self.bytes() > most_bytes {
            let mut pictures = self.lock();
            let mut votes = BTreeMap::new();
            pictures.iter().for_each(|item| *votes.entry(vote(item)).or_insert(0) += 1);
            let Some(fullest) =
                votes.into_iter().max_by_key(|(_, count)| *count).map(|(vote, _)| vote.to_string())
            else {
                return;
            };
            let Some(oldest) = pictures.iter().position(|item| vote(item) == fullest) else { return };
            let gone = pictures.remove(oldest);
            drop(pictures);
            self.shelf.remove(&gone.id);
        }
    }

    /// Whole frames are not to be kept any more: those that were go, too.
    fn forget_frames(&self) {
        let whole: Vec<_> = self.lock().extract_if(.., |item| item.record["whole"] == true).collect();
        if !whole.is_empty() {
            let (count, Room { model, camera, .. }) = (whole.len(), self);
            log::warn!(
                "recent: {count} whole frames of {model} on {camera} are removed, as privacy is \"crop\""
            );
        }
        whole.iter().for_each(|item| self.shelf.remove(&item.id));
    }

    fn bytes(&self) -> u64 {
        self.lock().iter().map(|item| item.bytes).sum()
    }

    fn lose(&self, why: &str) {
        // Again and again, if the disk is full; the counter has them all.
        if self.lost.fetch_add(1, Ordering::Relaxed) == 0 {
            log::warn!("{} on {}: the picture of an attempt cannot be kept: {why}", self.model, self.camera);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Item<Value>>> {
        self.pictures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn vote(item: &Item<Value>) -> &str {
    item.record["vote"].as_str().unwrap_or_default()
}

impl Marker {
    /// Takes a copy of a crop that is about to be classified.
    pub fn look(&mut self, crop: &CropBuffer) {
        handoff::copy(crop, &mut self.crop);
    }

    /// Hands the picture on if it is worth keeping.
    pub fn mark(&mut self, now: Instant, reason: Reason, vote: &Vote, agreement: Agreement, attempt: Record) {
        let Some(sampler) = self.samplers.get_mut(attempt.watch) else { return };
        if sampler.takes(now, reason, vote, agreement) {
            self.handoff.put(&mut self.crop, attempt);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::events::Attempt;
    use crate::device::report::{Report, now};
    use crate::watch::decision::Probabilities;
    use std::path::Path;

    const JPEG: &[u8] = b"\xFF\xD8 a picture \xFF\xD9";

    fn recent(directory: &Path, save_attempts: usize) -> Recent {
        let text = format!(
            "[gallery]\ndirectory = {:?}\n[cameras.hall]\nsource = \"clip.avi\"\n\
             [classification.custom.lamp]\nsave_attempts = {save_attempts}\n\
             [classification.custom.lamp.state_config.cameras.hall]\ncrop = [0.1, 0.1, 0.5, 0.5]\n",
            directory.join("gallery")
        );
        Recent::open(&Config::parse(&text).unwrap())
    }

    fn journal() -> Journal {
        Journal::new(std::iter::once(Report::first("lamp", "hall", "starting")))
    }

    fn keep(recent: &Recent, journal: &Journal, vote: &str, count: usize) {
        let states = ["off".to_string(), "on".to_string()];
        for _ in 0..count {
            let attempt = Attempt {
                time: now(),
                model: "lamp",
                camera: "hall",
                reason: Reason::Motion,
                probabilities: &Probabilities::from_slice(&[0.5, 0.5]).unwrap(),
                distance: None,
                why: None,
                states: &states,
                vote,
                agreeing: 1,
                needed: 3,
                took_us: 1000,
                seq: Some(7),
            };
            recent.keep(journal, journal.attempt(0, &attempt).unwrap(), Extent::Crop, JPEG);
        }
    }

    /// Votes of the attempts that have a picture, the oldest first.
    fn pictured(recent: &Recent, journal: &Journal) -> Vec<String> {
        let listed = recent.list(journal, |_, _| true).into_iter().rev();
        let pictured = listed.filter(|attempt| attempt["picture"] == true);
        pictured.map(|attempt| attempt["vote"].as_str().unwrap().to_string()).collect()
    }

    #[test]
    fn ten_minutes_of_an_ambiguous_scene_leave_the_other_states() {
        let directory = tempfile::tempdir().unwrap();
        let (recent, journal) = (recent(directory.path(), 20), journal());
        keep(&recent, &journal, "on", 5);
        keep(&recent, &journal, "off", 4);
        // Also if the sampler took each of a look a second.
        keep(&recent, &journal, "unknown", 600);
        let votes = pictured(&recent, &journal);
        let count = |vote: &str| votes.iter().filter(|have| *have == vote).count();
        assert_eq!((count("on"), count("off"), count("unknown")), (5, 4, 11));
        // Of one vote it is the oldest that goes.
        keep(&recent, &journal, "off", 30);
        let votes = pictured(&recent, &journal);
        let count = |vote: &str| votes.iter().filter(|have| *have == vote).count();
        assert_eq!((count("on"), count("off") + count("unknown")), (5, 15));
    }

    #[test]
    fn pictures_of_earlier_runs_are_listed_and_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let first = journal();
        keep(&recent(directory.path(), 20), &first, "on", 12);
        let (again, second) = (recent(directory.path(), 20), journal());
        keep(&again, &second, "off", 1);
        let listed = again.list(&second, |model, camera| (model, camera) == ("lamp", "hall"));
        let ids: Vec<&str> = listed.iter().filter_map(|attempt| attempt["id"].as_str()).collect();
        assert!(ids.len() == 13 && ids.is_sorted_by(|newer, older| newer > older), "{ids:?}");
        assert_eq!(
            (&listed[0]["vote"], &listed[0]["states"][1], &listed[12]["seq"]),
            (&"off".into(), &"on".into(), &7.into())
        );
        assert!(again.read(ids[12]).is_some_and(|read| read.is_ok_and(|jpeg| jpeg == JPEG)));
        assert!(again.list(&second, |_, camera| camera == "yard").is_empty());
        // Fewer are wanted from now on, then none.
        assert_eq!(pictured(&recent(directory.path(), 3), &journal()).len(), 3);
        assert_eq!(pictured(&recent(directory.path(), 0), &journal()).len(), 0);
        let left = std::fs::read_dir(directory.path().join("recent/hall/lamp")).unwrap().count();
        assert_eq!(left, 0);
    }
}
