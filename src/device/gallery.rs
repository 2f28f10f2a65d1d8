//! The gallery: frames that a device keeps, before it has a model and after, for whoever trains the next one.
//!
//! ```text
//! look     what a frame looks like, and its light
//! choice   which frames can be spared
//! ```

pub mod choice;
pub mod look;

use super::shelf::{Ids, Item, Shelf, names};
use crate::config::{Config, Privacy};
use crate::watch::crop::Region;
use choice::{Traits, When, is_repetition, novelty, spare};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder, Encoder};
use jiff::Timestamp;
use look::{CELLS, Light, Look};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// 2025: a clock that says less has not been set since the device was switched on.
const CLOCK_IS_SET: i64 = 1_735_689_600;

pub struct Gallery {
    rooms: BTreeMap<String, Room>,
    ids: Ids,
    /// Of each camera.
    most_frames: usize,
    most_bytes: u64,
}

/// The frames of one camera.
struct Room {
    shelf: Shelf,
    frames: Mutex<Vec<Kept>>,
    kept: AtomicU64,
    lost: AtomicU64,
}

struct Kept {
    item: Item<Record>,
    traits: Traits,
}

/// What is known of a frame, in its file and to whoever asks.
#[derive(Clone, Serialize, Deserialize)]
pub struct Record {
    pub time: Timestamp,
    /// The clock had not been set: the time only tells which of two frames came first.
    pub uncertain: bool,
    pub light: Light,
    pub width: usize,
    pub height: usize,
    /// Whose crop it is; none of a whole frame.
    pub model: Option<String>,
    /// Its edges in fractions of the frame. None of one that was kept before they were told.
    #[serde(default)]
    pub crop: Option<[f64; 4]>,
    #[serde(default)]
    look: String,
}

/// A frame that may be kept.
pub struct Picture {
    pub jpeg: Vec<u8>,
    pub time: Timestamp,
    pub width: usize,
    pub height: usize,
    /// Where it was cut, if it is no whole frame.
    pub crop: Option<Region>,
    pub traits: Traits,
}

/// A frame, as it is told.
#[derive(Serialize)]
pub struct Listed {
    id: String,
    bytes: u64,
    #[serde(flatten)]
    record: Record,
}

/// What an offered frame came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Kept,
    /// It shows nothing that the others do not.
    Spared,
    /// The disk would not take it.
    Lost,
}

impl Gallery {
    /// With what earlier runs have left.
    pub fn open(config: &Config) -> Gallery {
        let directory = config.gallery_directory();
        // A camera that was renamed, or is away for a while, has its frames still: they count as others do.
        let gone = names(&directory).into_iter().filter(|name| {
            !config.cameras.contains_key(name) && Shelf::is_one::<Record>(&directory.join(name))
        });
        let rooms: BTreeMap<_, _> = config
            .cameras
            .keys()
            .cloned()
            .chain(gone)
            .map(|camera| (camera.clone(), Room::open(Shelf::open(directory.join(camera)))))
            .collect();
        let most_bytes = config.gallery.max_mb * 1_000_000 / rooms.len().max(1) as u64;
        for (camera, room) in &rooms {
            if config.gallery.privacy == Privacy::Crop {
                room.forget_frames(camera);
            }
            room.trim(config.gallery.frames, most_bytes);
        }
        let ids: Vec<String> = rooms.values().flat_map(|room| room.ids()).collect();
        Gallery {
            rooms,
            ids: Ids::after(ids.iter().map(String::as_str)),
            most_frames: config.gallery.frames,
            most_bytes,
        }
    }

    /// The frames of a camera, the oldest first; `None` if there is no such camera.
    pub fn list(&self, camera: &str) -> Option<Vec<Listed>> {
        let listed = |Kept { item, .. }: &Kept| {
            let record = Record { look: String::new(), ..item.record.clone() };
            Listed { id: item.id.clone(), bytes: item.bytes, record }
        };
        Some(self.rooms.get(camera)?.lock().iter().map(listed).collect())
    }

    /// The JPEG file of a frame; `None` if there is no such frame.
    pub fn read(&self, camera: &str, id: &str) -> Option<io::Result<Vec<u8>>> {
        let room = self.rooms.get(camera)?;
        // Only what is listed is ever looked for on the disk.
        let listed = room.lock().iter().any(|kept| kept.item.id == id);
        listed.then(|| room.shelf.read(id))
    }

    /// `None` if there is no such frame.
    pub fn delete(&self, camera: &str, id: &str) -> Option<()> {
        let room = self.rooms.get(camera)?;
        let mut frames = room.lock();
        let index = frames.iter().position(|kept| kept.item.id == id)?;
        frames.remove(index);
        drop(frames);
        room.shelf.remove(id);
        Some(())
    }

    pub fn count(&self, camera: &str) -> usize {
        self.rooms.get(camera).map_or(0, |room| room.lock().len())
    }

    /// How unlike all frames of the camera a new one is; `None` if one shows the same already.
    pub fn novelty(&self, camera: &str, new: &Traits) -> Option<u32> {
        let frames = self.rooms.get(camera)?.lock();
        let kept = || frames.iter().map(|kept| &kept.traits);
        (!is_repetition(kept(), new)).then(|| novelty(kept(), new))
    }

    /// Keeps a frame if it shows something new, in the place of others if there is no room.
    pub fn offer(&self, camera: &str, picture: Picture) -> Outcome {
        let Some(room) = self.rooms.get(camera) else { return Outcome::Spared };
        let Picture { jpeg, time, width, height, crop, traits } = picture;
        let Some(spared) = self.make_room(room, &traits, jpeg.len() as u64) else { return Outcome::Spared };
        let record = Record {
            time,
            uncertain: traits.when.is_none(),
            light: traits.light,
            width,
            height,
            model: traits.model.clone(),
            crop: crop.map(|crop| crop.fractions()),
            look: Base64UrlSafeNoPadding::encode_to_string(traits.look.0.as_slice()).unwrap_or_default(),
        };
        let id = self.ids.next();
        if let Err(error) = room.shelf.put(&id, &record, &jpeg) {
            // Again and again, if the disk is full; the counter has them all.
            if room.lost.fetch_add(1, Ordering::Relaxed) == 0 {
                log::warn!("gallery: a frame of {camera} cannot be kept: {error}");
            }
            return Outcome::Lost;
        }
        room.kept.fetch_add(1, Ordering::Relaxed);
        let mut frames = room.lock();
        frames.retain(|kept| !spared.contains(&kept.item.id));
        frames.push(Kept { item: Item { id, bytes: jpeg.len() as u64, record }, traits });
        drop(frames);
        spared.iter().for_each(|id| room.shelf.remove(id));
        Outcome::Kept
    }

    /// The frames that have to go for a new one; `None` if it is the new one.
    fn make_room(&self, room: &Room, new: &Traits, bytes: u64) -> Option<Vec<String>> {
        let frames = room.lock();
        if is_repetition(frames.iter().map(|kept| &kept.traits), new) {
            return None;
        }
        let mut left: Vec<&Kept> = frames.iter().collect();
        let mut total = bytes + left.iter().map(|kept| kept.item.bytes).sum::<u64>();
        let mut spared = Vec::new();
        while left.len() >= self.most_frames || total > self.most_bytes {
            let mut traits: Vec<&Traits> = left.iter().map(|kept| &kept.traits).collect();
            traits.push(new);
            let index = spare(&traits)?;
            if index == left.len() {
                return None;
            }
            let gone = left.remove(index);
            total -= gone.item.bytes;
            spared.push(gone.item.id.clone());
        }
        Some(spared)
    }

    /// In the text format of Prometheus.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let mut family = |name: &str, kind: &str, help: &str, value: &dyn Fn(&Room) -> u64| {
            let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
            for (camera, room) in &self.rooms {
                let _ = writeln!(text, "{name}{{camera=\"{camera}\"}} {}", value(room));
            }
        };
        family("ajar_gallery_frames", "gauge", "Frames in the gallery.", &|room| room.lock().len() as u64);
        family("ajar_gallery_bytes", "gauge", "Bytes of the frames in the gallery.", &|room| {
            room.lock().iter().map(|kept| kept.item.bytes).sum()
        });
        family("ajar_gallery_kept_total", "counter", "Frames that were written to the gallery.", &|room| {
            room.kept.load(Ordering::Relaxed)
        });
        family("ajar_gallery_lost_total", "counter", "Frames that the disk would not take.", &|room| {
            room.lost.load(Ordering::Relaxed)
        });
        text
    }
}

impl Room {
    fn open((shelf, items): (Shelf, Vec<Item<Record>>)) -> Room {
        let (frames, unknown): (Vec<_>, Vec<_>) = items
            .into_iter()
            .map(|item| match traits(&item.record) {
                Some(traits) => Ok(Kept { item, traits }),
                None => Err(item.id),
            })
            .partition(Result::is_ok);
        unknown.into_iter().filter_map(Result::err).for_each(|id| shelf.remove(&id));
        let frames = Mutex::new(frames.into_iter().flatten().collect());
        Room { shelf, frames, kept: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    fn ids(&self) -> Vec<String> {
        self.lock().iter().map(|kept| kept.item.id.clone()).collect()
    }

    /// Whole frames are not to be kept any more: those that were go, too.
    fn forget_frames(&self, camera: &str) {
        let mut frames = self.lock();
        let (crops, whole): (Vec<_>, Vec<_>) =
            frames.drain(..).partition(|kept| kept.item.record.model.is_some());
        *frames = crops;
        drop(frames);
        if !whole.is_empty() {
            log::warn!(
                "gallery: {} whole frames of {camera} are removed, as privacy is \"crop\"",
                whole.len()
            );
        }
        whole.iter().for_each(|kept| self.shelf.remove(&kept.item.id));
    }

    /// Where less may be kept than before, the oldest go.
    fn trim(&self, most_frames: usize, most_bytes: u64) {
        let mut frames = self.lock();
        let mut bytes: u64 = frames.iter().map(|kept| kept.item.bytes).sum();
        while frames.len() > most_frames || bytes > most_bytes {
            let gone = frames.remove(0);
            bytes -= gone.item.bytes;
            self.shelf.remove(&gone.item.id);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn traits(record: &Record) -> Option<Traits> {
    let mut cells = Box::new([0; CELLS]);
    let read = Base64UrlSafeNoPadding::decode(cells.as_mut_slice(), record.look.as_bytes(), None).ok()?;
    let full = read.len() == CELLS;
    let when = if record.uncertain { None } else { when(record.time) };
    full.then(|| Traits { when, light: record.light, look: Look(cells), model: record.model.clone() })
}

/// Day and hour, if the clock has been set.
pub fn when(time: Timestamp) -> Option<When> {
    let seconds = time.as_second();
    let when = When { day: seconds.div_euclid(86_400), hour: (seconds.rem_euclid(86_400) / 3600) as u8 };
    (seconds >= CLOCK_IS_SET).then_some(when)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const SET: i64 = 1_800_000_000;

    fn gallery(directory: &Path, settings: &str) -> Gallery {
        let text = format!(
            "[gallery]\ndirectory = {directory:?}\n{settings}\n[cameras.hall]\nsource = \"clip.avi\"\n\
             [classification.custom.lamp.state_config.cameras.hall]\ncrop = [0.1, 0.1, 0.5, 0.5]\n"
        );
        Gallery::open(&Config::parse(&text).unwrap())
    }

    fn picture(second: i64, cells: u8, bytes: usize) -> Picture {
        let time = Timestamp::from_second(second).unwrap();
        let look = Look(Box::new([cells; CELLS]));
        let traits = Traits { when: when(time), light: Light::Day, look, model: None };
        let mut jpeg = vec![0; bytes];
        jpeg[..2].copy_from_slice(&[0xFF, 0xD8]);
        jpeg[bytes - 2..].copy_from_slice(&[0xFF, 0xD9]);
        Picture { jpeg, time, width: 640, height: 360, crop: None, traits }
    }

    fn listed(gallery: &Gallery) -> Vec<Listed> {
        gallery.list("hall").unwrap()
    }

    #[test]
    fn bytes_are_bounded_as_frames_are() {
        let directory = tempfile::tempdir().unwrap();
        let gallery = gallery(directory.path(), "frames = 100\nmax_mb = 1");
        for n in 0..40 {
            gallery.offer("hall", picture(SET + 60 * n, (n * 6) as u8, 90_000));
            assert!(listed(&gallery).iter().map(|frame| frame.bytes).sum::<u64>() <= 1_000_000);
        }
        assert_eq!(listed(&gallery).len(), 11);
        // One that is larger than all that may be there has no place.
        let outcome = gallery.offer("hall", picture(SET, 255, 1_000_001));
        assert_eq!((outcome, listed(&gallery).len()), (Outcome::Spared, 11));
        let files = std::fs::read_dir(directory.path().join("hall")).unwrap().count();
        assert_eq!(files, 22, "a picture and a record of each");
    }

    #[test]
    fn a_clock_that_was_never_set_makes_times_uncertain_and_keeps_the_order() {
        let directory = tempfile::tempdir().unwrap();
        // Since it was switched on for the second time, the clock says less than before.
        for (start, cells) in [(500, 10), (100, 100)] {
            let gallery = gallery(directory.path(), "");
            for n in 0..3 {
                let outcome = gallery.offer("hall", picture(start + n, cells + 20 * n as u8, 5000));
                assert_eq!(outcome, Outcome::Kept);
            }
        }
        let gallery = gallery(directory.path(), "");
        assert_eq!(gallery.offer("hall", picture(SET, 10, 5000)), Outcome::Kept);
        let frames = listed(&gallery);
        let seconds: Vec<_> = frames.iter().map(|frame| frame.record.time.as_second()).collect();
        assert_eq!(seconds, [500, 501, 502, 100, 101, 102, SET]);
        assert!(frames.is_sorted_by(|a, b| a.id < b.id));
        let uncertain: Vec<_> = frames.iter().map(|frame| frame.record.uncertain).collect();
        assert_eq!(uncertain, [true, true, true, true, true, true, false]);
    }

    #[test]
    fn a_disk_that_takes_nothing_costs_frames_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let gallery = gallery(&directory.path().join("gallery"), "");
        std::fs::write(directory.path().join("gallery"), "in the way").unwrap();
        for n in 0..3 {
            assert_eq!(gallery.offer("hall", picture(SET + n, 40 * n as u8, 5000)), Outcome::Lost);
        }
        assert!(listed(&gallery).is_empty());
        assert!(gallery.metrics().contains("ajar_gallery_lost_total{camera=\"hall\"} 3\n"));
    }

    #[test]
    fn whole_frames_go_when_only_crops_may_be_kept() {
        let directory = tempfile::tempdir().unwrap();
        let before = gallery(directory.path(), "");
        let mut crop = picture(SET, 200, 5000);
        crop.traits.model = Some("lamp".into());
        assert_eq!(before.offer("hall", picture(SET, 10, 5000)), Outcome::Kept);
        assert_eq!(before.offer("hall", crop), Outcome::Kept);
        assert_eq!(listed(&gallery(directory.path(), "enabled = false")).len(), 2);
        let frames = listed(&gallery(directory.path(), "privacy = \"crop\""));
        assert_eq!(
            frames.iter().map(|frame| frame.record.model.as_deref()).collect::<Vec<_>>(),
            [Some("lamp")]
        );
        assert_eq!(listed(&gallery(directory.path(), "")).len(), 1, "from the disk, too");
    }

    /// What a camera on a roof saw from a morning to the night of the next day.
    #[test]
    fn a_real_day_and_night_are_spanned() {
        let shared =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/roofcam_timeline_full_frames");
        let Ok(entries) = std::fs::read_dir(shared) else { return println!("skipped: no shared data") };
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
        paths.sort();
        let directory = tempfile::tempdir().unwrap();
        let gallery = gallery(directory.path(), "frames = 40");
        let (mut hours, mut outcomes) = (BTreeMap::new(), BTreeMap::new());
        for path in &paths {
            let Some(picture) = real(path) else { continue };
            *hours.entry(picture.traits.when.unwrap().hour).or_insert(0) += 1;
            *outcomes.entry(format!("{:?}", gallery.offer("hall", picture))).or_insert(0) += 1;
        }
        let frames = listed(&gallery);
        let kept: std::collections::BTreeSet<u8> =
            frames.iter().map(|frame| when(frame.record.time).unwrap().hour).collect();
        println!(
            "{} frames of {hours:?}: {outcomes:?}; {} kept of {} hours",
            paths.len(),
            frames.len(),
            kept.len()
        );
        assert_eq!(frames.len(), 40);
        assert_eq!(kept.len(), hours.len(), "{kept:?}");
        assert!(frames.iter().any(|frame| frame.record.light == Light::Infrared));
    }

    /// A frame by its file, ten years later. `None` if the file is broken, as some are.
    fn real(path: &Path) -> Option<Picture> {
        use crate::camera::{Capture, Pacing, Reader, Source};
        let name = path.file_stem()?.to_str()?.strip_prefix("snapshot-")?;
        let time = jiff::civil::DateTime::strptime("%Y-%m-%d_%H-%M-%S", name).ok()?;
        let time =
            jiff::tz::TimeZone::UTC.to_timestamp(time.with().year(time.year() + 10).build().ok()?).ok()?;
        let decoder = crate::board::Board::named("generic-x86-64").ok()?.decoder;
        let source = Source::File(path.into());
        let capture =
            Capture::build(&source, crate::config::Codec::H264, &decoder, Pacing::EveryFrame).ok()?;
        capture.play().ok()?;
        let sample = capture.frames.pull_sample().ok()?;
        let read = Reader::default().read(&sample, embassy_time::Instant::MIN, |frame| {
            let whole = crate::watch::crop::Region::FULL.pixels(frame.width, frame.height)?;
            let (look, light) = look::of(frame, whole);
            let traits = Traits { when: when(time), light, look, model: None };
            let jpeg = std::fs::read(path).ok()?;
            Some(Picture { jpeg, time, width: frame.width, height: frame.height, crop: None, traits })
        });
        read.ok()?
    }
}
