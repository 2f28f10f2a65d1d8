//! Import from Frigate: the browser sends its configuration and its pictures, as this computer's own files are not the
//! page's to read; then they are taken over as by `ajar import frigate`.

use super::{Answer, answer};
use crate::companion::frigate;
use crate::companion::studio::lock;
use crate::companion::studio::server::Shared;
use crate::companion::workspace::make_folder;
use crate::exit::UsageError;
use anyhow::Context;
use axum::body::Bytes;
use axum::extract::Query;
use serde::Deserialize;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const CONFIG: &str = "config.yml";
const CLIPS: &str = "clips";

/// Begins anew with Frigate's `config.yml`, the body.
pub async fn begin(studio: Shared, body: Bytes) -> Answer {
    answer(studio, move |studio| {
        let cache = studio.workspace.cache();
        make_folder(&cache)?;
        let folder = tempfile::Builder::new().prefix("import-").tempdir_in(&cache)?;
        fs::write(folder.path().join(CONFIG), &body)?;
        make_folder(&folder.path().join(CLIPS))?;
        *lock(&studio.import) = Some(folder);
        Ok(())
    })
    .await
}

#[derive(Deserialize)]
pub struct Place {
    /// `MODEL/dataset/CLASS/FILE` or `MODEL/train/FILE`, as below Frigate's `clips`.
    path: String,
}

/// Keeps one of Frigate's pictures, the body, until all are there.
pub async fn picture(studio: Shared, Query(Place { path }): Query<Place>, body: Bytes) -> Answer {
    answer(studio, move |studio| {
        let path = inside(&path)?;
        let import = lock(&studio.import);
        let folder = import.as_ref().ok_or_else(not_begun)?;
        let path = folder.path().join(CLIPS).join(path);
        make_folder(path.parent().unwrap_or(Path::new("")))?;
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
pub async fn finish(studio: Shared) -> Answer {
    answer(studio, |studio| {
        let folder: TempDir = lock(&studio.import).take().ok_or_else(not_begun)?;
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
