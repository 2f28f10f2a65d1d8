//! The cache: what the engine made of a picture, by the picture's content.
//!
//! One file a picture: a line of JSON, then the features of the picture (f32) and of its looks (f16), little endian.
//! Losing one costs a millisecond of work; a damaged one is made anew.

use super::embed::Embedding;
use super::light::Tones;
use super::moment::Moment;
use crate::bundle::sha256_hex;
use crate::engine::features::ALL_VALUES;
use half::f16;
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

/// To be changed with anything that changes an embedding: augmentation, the way of a picture, the features.
const RECIPE: &str = "ajar embedding 1";
/// Beyond this the cache forgets what was not used for longest.
const MAX_BYTES: u64 = 2 << 30;
const EXTENSION: &str = "features";

/// Where embeddings are kept; nowhere if there is no home.
pub struct Cache {
    directory: Option<PathBuf>,
    /// Of the recipe and the backbone.
    salt: String,
}

#[derive(Serialize, Deserialize)]
struct Header {
    /// Of the rest of the file.
    sha256: String,
    size: [u32; 2],
    tones: Tones,
    exif: Option<Moment>,
}

impl Cache {
    /// In `$XDG_CACHE_HOME/ajar` or `~/.cache/ajar`. `backbone`: its hex SHA-256.
    pub fn open(backbone: &str) -> Cache {
        let absolute =
            |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
        Cache::at(base.map(|base| base.join("ajar/embeddings")), backbone)
    }

    fn at(directory: Option<PathBuf>, backbone: &str) -> Cache {
        let directory = directory.filter(|directory| fs::create_dir_all(directory).is_ok());
        Cache { directory, salt: format!("{RECIPE} {backbone}") }
    }

    fn path(&self, picture: &str) -> Option<PathBuf> {
        let name = sha256_hex(format!("{} {picture}", self.salt).as_bytes());
        Some(self.directory.as_ref()?.join(&name[..40]).with_extension(EXTENSION))
    }

    /// The embedding of a picture by its hex SHA-256, if it is there with at least `looks` looks.
    pub fn get(&self, picture: &str, looks: usize) -> Option<Embedding> {
        let path = self.path(picture)?;
        let bytes = fs::read(&path).ok()?;
        let line = bytes.iter().position(|&byte| byte == b'\n')?;
        let header: Header = serde_json::from_slice(&bytes[..line]).ok()?;
        let body = &bytes[line + 1..];
        let (features, rest) = body.split_at_checked(4 * ALL_VALUES)?;
        let wanted = rest.get(..2 * ALL_VALUES * looks)?;
        if sha256_hex(body) != header.sha256 {
            return None;
        }
        // For the pruning; that it fails on a read-only cache does not matter.
        let _ = fs::File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
        let f32s = features.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let f16s = wanted.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]));
        Some(Embedding {
            size: header.size,
            tones: header.tones,
            exif: header.exif,
            features: f32s.collect(),
            looks: f16s.collect(),
        })
    }

    /// Keeps an embedding, whole or not at all. A full disk only costs the time of making it again.
    pub fn put(&self, picture: &str, embedding: &Embedding) {
        let Some(path) = self.path(picture) else { return };
        let f32s = embedding.features.iter().flat_map(|x| x.to_le_bytes());
        let body: Vec<u8> = f32s.chain(embedding.looks.iter().flat_map(|x| x.to_le_bytes())).collect();
        let header = Header {
            sha256: sha256_hex(&body),
            size: embedding.size,
            tones: embedding.tones,
            exif: embedding.exif,
        };
        let Ok(mut bytes) = serde_json::to_vec(&header) else { return };
        bytes.push(b'\n');
        bytes.extend(body);
        // Two threads may have the same picture, and two programs. What cannot be written is only slower.
        let Some(directory) = path.parent() else { return };
        if let Ok(mut new) = tempfile::NamedTempFile::new_in(directory)
            && new.write_all(&bytes).is_ok()
        {
            let _ = new.persist(&path);
        }
    }

    /// Forgets what was used longest ago until the cache is no larger than it may be.
    pub fn prune(&self) {
        if let Some(directory) = &self.directory {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            prune(entries.map(|entry| entry.path()), MAX_BYTES);
        }
    }
}

/// Removes the oldest of these files until no more bytes are left than there may be.
pub fn prune(files: impl Iterator<Item = PathBuf>, most: u64) {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = files
        .filter_map(|path| {
            let meta = fs::metadata(&path).ok()?;
            Some((meta.modified().ok()?, meta.len(), path))
        })
        .collect();
    files.sort();
    let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
    for (_, size, path) in files {
        if total <= most {
            return;
        }
        let _ = fs::remove_file(path);
        total -= size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;
    use std::time::Duration;

    fn embedding(looks: usize) -> Embedding {
        Embedding {
            size: [640, 480],
            tones: Tones { luma: 90.5, colour: 12.25 },
            exif: Some(1_700_000_000),
            features: (0..ALL_VALUES).map(|i| i as f32 / 3.0).collect(),
            looks: (0..looks * ALL_VALUES).map(|i| f16::from_f32(i as f32 / 70_000.0)).collect(),
        }
    }

    fn cache(directory: &Path, backbone: &str) -> Cache {
        Cache::at(Some(directory.to_path_buf()), backbone)
    }

    #[test]
    fn what_was_put_comes_back_with_as_many_looks_as_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path(), "a");
        cache.put("p", &embedding(2));
        let got = |looks| cache.get("p", looks);
        assert_eq!(got(2), Some(embedding(2)));
        assert_eq!(got(0), Some(embedding(0)));
        assert_eq!(got(3), None);
        assert_eq!(cache.get("q", 0), None);
        // Of another backbone.
        assert_eq!(self::cache(directory.path(), "b").get("p", 0), None);
        assert_eq!(Cache::at(None, "a").get("p", 0), None);
    }

    #[test]
    fn damaged_files_are_not_believed() {
        let directory = tempfile::tempdir().unwrap();
        let cache = cache(directory.path(), "a");
        cache.put("p", &embedding(1));
        let path = cache.path("p").unwrap();
        let good = fs::read(&path).unwrap();
        for length in [0, 10, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            assert_eq!(cache.get("p", 1), None, "{length} bytes");
        }
        let mut changed = good.clone();
        *changed.last_mut().unwrap() ^= 1;
        fs::write(&path, changed).unwrap();
        assert_eq!(cache.get("p", 1), None);
        cache.put("p", &embedding(1));
        assert!(cache.get("p", 1).is_some());
    }

    #[test]
    fn pruning_forgets_what_was_used_longest_ago() {
        let directory = tempfile::tempdir().unwrap();
        for (age, name) in [(30, "old"), (20, "mid"), (10, "new")] {
            let path = directory.path().join(name);
            fs::write(&path, [0; 100]).unwrap();
            let when = SystemTime::now() - Duration::from_secs(age);
            fs::File::open(&path).unwrap().set_modified(when).unwrap();
        }
        prune(["old", "mid", "new"].map(|name| directory.path().join(name)).into_iter(), 200);
        let left = |name: &str| directory.path().join(name).exists();
        assert_eq!([left("old"), left("mid"), left("new")], [false, true, true]);
    }
}
