//! Import from Frigate: the browser sends its configuration and its pictures, as this computer's own files are not the
//! page's to read; then they are taken over as by `ajar import frigate`.

use super::{Answer, answer};
use crate::companion::frigate;
use crate::companion::studio::lock;
use crate::companion::studio::server::Shared;
use crate::companion::workspace::make_folder;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use axum::body::Bytes;
use axum::extract::{Path, Query};
use rustix::fs::{FlockOperation, flock};
use serde::Deserialize;
use serde_json::json;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path as FilePath, PathBuf};
use tempfile::TempDir;

const CONFIG: &str = "config.yml";
const CLIPS: &str = "clips";
/// Begins the names of folders in the workspace's cache.
const PREFIX: &str = "import-";

/// One at a time: beginning another ends it.
pub struct Import {
    folder: TempDir,
    /// Of its config.yml, which is locked: what another studio does is not a leftover.
    _lock: File,
}

impl Import {
    fn begin(cache: &FilePath, config: &[u8]) -> Result<Import> {
        make_folder(cache)?;
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(cache)?;
        let mut file = File::create(folder.path().join(CONFIG))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        file.write_all(config)?;
        make_folder(&folder.path().join(CLIPS))?;
        Ok(Import { folder, _lock: file })
    }

    /// Names it in the calls that belong to it.
    fn id(&self) -> &str {
        self.folder.path().file_name().and_then(|name| name.to_str()).unwrap_or_default()
    }
}

/// Removes what a studio that was ended in the middle has left.
pub fn remove_leftovers(cache: &FilePath) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        let is_import = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let file = File::open(entry.path().join(CONFIG)).ok();
        let held = file.is_some_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_err());
        if is_import && !held {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Begins anew with Frigate's `config.yml`, the body.
pub async fn begin(studio: Shared, body: Bytes) -> Answer {
    answer(studio, move |studio| {
        // Whether something can be kept is said before everything is sent.
        drop(studio.workspace.lock()?);
        let import = Import::begin(&studio.workspace.cache(), &body)?;
        let id = import.id().to_string();
        *lock(&studio.import) = Some(import);
        Ok(json!({ "id": id }))
    })
    .await
}

#[derive(Deserialize)]
pub struct Place {
    /// `MODEL/dataset/CLASS/FILE` or `MODEL/train/FILE`, as below Frigate's `clips`.
    path: String,
}

/// Keeps one of Frigate's pictures, the body, until all are there.
pub async fn picture(
    studio: Shared,
    Path(id): Path<String>,
    Query(Place { path }): Query<Place>,
    body: Bytes,
) -> Answer {
    answer(studio, move |studio| {
        let path = inside(&path)?;
        let import = lock(&studio.import);
        let import = import.as_ref().filter(|import| import.id() == id).ok_or_else(not_begun)?;
        let path = import.folder.path().join(CLIPS).join(path);
        make_folder(path.parent().unwrap_or(FilePath::new("")))?;
        fs::write(&path, &body).with_context(|| path.display().to_string())
    })
    .await
}

fn not_begun() -> UsageError {
    UsageError(
        "the import was begun in another window, or the studio was started again: begin once more".into(),
    )
}

/// A path of the two known forms: never a way out of the folder.
fn inside(path: &str) -> Result<PathBuf, UsageError> {
    let parts: Vec<&str> = path.split('/').collect();
    let plain = |part: &&str| {
        let good = !part.is_empty() && part.len() <= 255 && !part.starts_with('.');
        good && !part.contains('\\') && !part.contains(char::is_control)
    };
    let known = matches!(parts[..], [_, "dataset", _, _] | [_, "train", _]);
    if known && parts.iter().all(plain) {
        Ok(parts.iter().collect())
    } else {
        Err(UsageError(format!("{path:?} is no picture of Frigate's")))
    }
}

/// Takes everything over.
pub async fn finish(studio: Shared, Path(id): Path<String>) -> Answer {
    answer(studio, move |studio| {
        let import = lock(&studio.import).take_if(|import| import.id() == id).ok_or_else(not_begun)?;
        let folder = &import.folder;
        let clips = folder.path().join(CLIPS);
        let imported = frigate::import(&folder.path().join(CONFIG), Some((&clips, &studio.workspace)))
            // Where the files lay for a moment tells the user nothing.
            .map_err(|why| match why.downcast_ref::<UsageError>() {
                Some(UsageError(why)) => {
                    UsageError(why.replace(&format!("{}/", folder.path().display()), "")).into()
                }
                None => why,
            })?;
        let place = format!("{}/", clips.display());
        let notes: Vec<String> = imported.notes.iter().map(|note| note.replace(&place, "")).collect();
        Ok(json!({ "models": imported.models, "config": imported.config, "notes": notes }))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_broken_off_is_removed_but_not_what_is_under_way() {
        let cache = tempfile::tempdir().unwrap();
        for left in ["import-abc/clips/gate", "gate/drive"] {
            fs::create_dir_all(cache.path().join(left)).unwrap();
        }
        fs::write(cache.path().join("import-abc/config.yml"), "cameras:").unwrap();
        let import = Import::begin(cache.path(), b"cameras:").unwrap();
        remove_leftovers(cache.path());
        assert!(!cache.path().join("import-abc").exists() && cache.path().join("gate/drive").exists());
        assert!(import.folder.path().join(CONFIG).exists());
    }

    #[test]
    fn only_pictures_of_frigate_have_a_place() {
        for good in ["Garage Door/dataset/open/1.png", "gate/train/1700000000.1-x-closed-0.9.png"] {
            assert_eq!(inside(good), Ok(PathBuf::from(good)));
        }
        for bad in [
            "",
            "gate",
            "gate/train/",
            "/gate/train/x",
            "../gate/train/x",
            "gate/train/..",
            "gate/dataset/../x",
            "gate/dataset/open",
            "gate/dataset/open/x/y",
            "gate/train/a\\b",
            "gate/train/.x",
            "gate/train/a\0",
        ] {
            assert!(inside(bad).is_err(), "{bad:?}");
        }
    }
}
