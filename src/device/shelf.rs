//! A shelf: a directory of pictures, each with its record beside it.
//!
//! ```text
//! ID.jpg    the picture: whole, or not there
//! ID.json   one line of JSON: what is known of it
//! ```
//!
//! A power cut costs at most the picture that was being written; what is not whole is removed at the next start. A card that
//! is full or broken costs pictures and nothing else.

use rustix::fs::statvfs;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes that pictures leave free on the disk: models go first.
const RESERVE: u64 = 64 << 20;
const START_OF_IMAGE: [u8; 2] = [0xFF, 0xD8];
const END_OF_IMAGE: [u8; 2] = [0xFF, 0xD9];

pub struct Shelf {
    directory: PathBuf,
}

/// A picture that is there.
pub struct Item<R> {
    pub id: String,
    pub bytes: u64,
    pub record: R,
}

/// The content of a record's file.
#[derive(Serialize, Deserialize)]
struct Line<R> {
    /// Of the picture.
    bytes: u64,
    #[serde(flatten)]
    record: R,
}

impl Shelf {
    /// What is whole in a directory, the oldest first. What Ajar left there and is not whole is removed.
    pub fn open<R: DeserializeOwned>(directory: PathBuf) -> (Shelf, Vec<Item<R>>) {
        let shelf = Shelf { directory };
        let mut items = Vec::new();
        for id in shelf.ids() {
            match shelf.item(&id) {
                Some(item) => items.push(item),
                None => {
                    log::warn!("{}: removed, as it is not whole", shelf.path(&id, "jpg").display());
                    shelf.remove(&id);
                }
            }
        }
        (shelf, items)
    }

    /// Whether a directory has pictures of Ajar's, by whatever name.
    pub fn is_one<R: DeserializeOwned>(directory: &Path) -> bool {
        let shelf = Shelf { directory: directory.into() };
        shelf.ids().iter().any(|id| shelf.item::<R>(id).is_some())
    }

    /// Removes a shelf that nobody uses any more, but other files in its directory.
    pub fn clear(&self) {
        self.ids().iter().for_each(|id| self.remove(id));
        let _ = fs::remove_dir(&self.directory);
    }

    fn ids(&self) -> BTreeSet<String> {
        let names = names(&self.directory);
        names.iter().filter_map(|name| id_of(name)).map(str::to_string).collect()
    }

    fn item<R: DeserializeOwned>(&self, id: &str) -> Option<Item<R>> {
        let text = fs::read(self.path(id, "json")).ok()?;
        let Line { bytes, record } = serde_json::from_slice(&text).ok()?;
        is_whole(&self.path(id, "jpg"), bytes).ok()?.then(|| Item { id: id.into(), bytes, record })
    }

    /// Puts a picture there for good, or leaves nothing behind.
    pub fn put<R: Serialize>(&self, id: &str, record: &R, jpeg: &[u8]) -> io::Result<()> {
        let put = self.try_put(id, record, jpeg);
        if put.is_err() {
            self.remove(id);
        }
        put
    }

    fn try_put<R: Serialize>(&self, id: &str, record: &R, jpeg: &[u8]) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        let stat = statvfs(&self.directory)?;
        if stat.f_bavail.saturating_mul(stat.f_frsize) < RESERVE + jpeg.len() as u64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let mut line = serde_json::to_vec(&Line { bytes: jpeg.len() as u64, record })?;
        line.push(b'\n');
        write(&self.path(id, "json"), &line)?;
        let new = self.path(id, "new");
        write(&new, jpeg)?;
        // The picture comes last: where it is, its record is.
        fs::rename(new, self.path(id, "jpg"))?;
        File::open(&self.directory)?.sync_all()
    }

    pub fn read(&self, id: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(id, "jpg"))
    }

    pub fn remove(&self, id: &str) {
        // The picture goes first, for the same reason.
        for extension in ["jpg", "new", "json"] {
            match fs::remove_file(self.path(id, extension)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    log::warn!("{}: {error}", self.path(id, extension).display())
                }
                _ => {}
            }
        }
    }

    fn path(&self, id: &str, extension: &str) -> PathBuf {
        self.directory.join(format!("{id}.{extension}"))
    }
}

/// What is in a directory.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// The id in a name that a shelf gives; other files are left alone.
fn id_of(name: &str) -> Option<&str> {
    let (id, extension) = name.rsplit_once('.')?;
    let plain = id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    (plain && ["jpg", "new", "json"].contains(&extension)).then_some(id)
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Whether a file begins and ends as a JPEG of so many bytes does. After a power cut a file may be all there but its content.
fn is_whole(path: &Path, bytes: u64) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let (mut first, mut last) = ([0; 2], [0; 2]);
    file.read_exact(&mut first)?;
    file.seek(SeekFrom::End(-2))?;
    file.read_exact(&mut last)?;
    Ok(file.stream_position()? == bytes && first == START_OF_IMAGE && last == END_OF_IMAGE)
}

/// Gives ids that sort by age, also across restarts, and are never given twice: the number of the run, four random digits, and
/// a number.
pub struct Ids {
    run: String,
    next: AtomicU64,
}

impl Ids {
    /// After all that there are.
    pub fn after<'a>(ids: impl Iterator<Item = &'a str>) -> Ids {
        let run = |id: &str| id.split('-').next().and_then(|run| run.parse::<u32>().ok());
        let newest = ids.filter_map(run).max().unwrap_or(0);
        let mut salt = [0; 2];
        // Without it, ids could only be those of a run that left nothing.
        let _ = getrandom::fill(&mut salt);
        let run = format!("{:06}-{:04x}", newest.saturating_add(1), u16::from_le_bytes(salt));
        Ids { run, next: AtomicU64::new(0) }
    }

    pub fn next(&self) -> String {
        self.of(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Of what is counted elsewhere.
    pub fn of(&self, number: u64) -> String {
        format!("{}-{number:08}", self.run)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = b"\xFF\xD8 a picture \xFF\xD9";

    fn ids(directory: &Path) -> Vec<String> {
        let (_, items) = Shelf::open::<Numbered>(directory.into());
        items.into_iter().map(|item| item.id).collect()
    }

    #[derive(Serialize, Deserialize)]
    struct Numbered {
        value: u32,
    }

    #[test]
    fn what_is_not_whole_is_removed_and_the_rest_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let (shelf, none) = Shelf::open::<Numbered>(directory.path().into());
        assert!(none.is_empty());
        for (value, id) in ["000001-0", "000001-1", "000001-2", "000001-3", "000001-4"].iter().enumerate() {
            shelf.put(id, &Numbered { value: value as u32 }, JPEG).unwrap();
        }
        fs::write(at("000001-1.jpg"), &JPEG[..6]).unwrap();
        fs::write(at("000001-2.jpg"), vec![0; JPEG.len()]).unwrap();
        fs::write(at("000001-3.json"), "{").unwrap();
        // Cuts while they were written, and somebody else's file.
        fs::write(at("000001-5.json"), "{\"bytes\":16,\"value\":1}").unwrap();
        fs::write(at("000001-6.new"), JPEG).unwrap();
        fs::write(at("notes.json"), "mine").unwrap();
        assert_eq!(ids(directory.path()), ["000001-0", "000001-4"]);
        let mut left: Vec<_> =
            fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["000001-0.jpg", "000001-0.json", "000001-4.jpg", "000001-4.json", "notes.json"]);
    }

    #[test]
    fn a_picture_that_cannot_be_written_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (shelf, _) = Shelf::open::<Numbered>(directory.path().into());
        // The picture's place is taken.
        fs::create_dir(directory.path().join("000001-0.jpg")).unwrap();
        fs::write(directory.path().join("000001-0.jpg/full"), "").unwrap();
        assert!(shelf.put("000001-0", &Numbered { value: 1 }, JPEG).is_err());
        assert!(!directory.path().join("000001-0.json").exists());
        assert!(!directory.path().join("000001-0.new").exists());
    }

    #[test]
    fn ids_sort_by_age() {
        let first = Ids::after(std::iter::empty());
        let ids = [first.next(), first.next(), first.of(11)];
        assert!(ids.is_sorted(), "{ids:?}");
        let second = Ids::after(ids.iter().map(String::as_str));
        assert!(second.next() > ids[2]);
        assert!(id_of(&format!("{}.jpg", ids[0])).is_some());
    }
}
