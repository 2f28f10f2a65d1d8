//! Pictures: the full frames of a model, as they came from the camera; crops, where there never was more.

use super::labels::Labels;
use super::model::{CropFile, ModelFile};
use super::trash::{Entry, Gone};
use super::{ModelFolder, list, make_folder, names};
use crate::companion::moment::{self, Moment};
use crate::companion::picture;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

const FRAMES: &str = "frames";
/// Pictures that are crops already, in a folder of the crop they are of: drawn anew, it is another one, and they wait.
const CROPS: &str = "crops";
const QUARANTINE: &str = "quarantine";
const EXTENSIONS: [&str; 3] = ["jpg", "png", "webp"];

#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    pub id: String,
    pub camera: String,
    /// The full frame, or the crop.
    pub path: PathBuf,
    /// The name of the crop that it is; none of a full frame.
    pub crop: Option<String>,
    /// `None`: nobody has said yet.
    pub state: Option<String>,
}

impl Picture {
    pub fn moment(&self) -> Option<Moment> {
        moment::of_name(&self.id)
    }
}

/// A picture was added, or was there before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Added {
    New(String),
    Known(String),
}

impl Added {
    pub fn id(&self) -> &str {
        match self {
            Added::New(id) | Added::Known(id) => id,
        }
    }
}

impl ModelFolder {
    /// All pictures in order of their ids, and so of time.
    pub fn pictures(&self) -> Result<Vec<Picture>> {
        self.pictures_of(&self.file()?, &Labels::read(self)?)
    }

    pub(super) fn pictures_of(&self, file: &ModelFile, labels: &Labels) -> Result<Vec<Picture>> {
        let ModelFile { states, crops, .. } = file;
        // A label of a state that is gone, as after an edit by hand, counts for nothing and stays in the file.
        let state = |id: &str| labels.get(id).filter(|state| states.iter().any(|s| s == state));
        let mut pictures = Vec::new();
        for folder in list(&self.path().join(FRAMES))? {
            let Some(camera) = folder.file_name().and_then(|name| name.to_str()) else { continue };
            if names::check_camera(camera).is_err() || !folder.is_dir() {
                continue;
            }
            for path in list(&folder)? {
                let Some(id) = id_of(&path) else { continue };
                let state = state(&id).map(str::to_string);
                pictures.push(Picture { id, camera: camera.into(), path, crop: None, state });
            }
        }
        for (camera, crop) in crops {
            let crop = crop.folder();
            for path in list(&self.place(camera, Some(&crop)))? {
                let Some(id) = id_of(&path) else { continue };
                let state = state(&id).map(str::to_string);
                pictures.push(Picture { id, camera: camera.clone(), path, crop: Some(crop.clone()), state });
            }
        }
        pictures.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(pictures)
    }

    /// Pictures that are crops already, of a crop that the camera had before: its edges, and how many.
    pub fn waiting(&self, camera: &str, now: Option<&CropFile>) -> Result<Vec<([f64; 4], usize)>> {
        let now = now.map(CropFile::folder);
        let mut waiting = Vec::new();
        for folder in list(&self.path().join(CROPS).join(camera))? {
            let Some(name) = folder.file_name().and_then(|name| name.to_str()) else { continue };
            if names::check_crop(name).is_err() || !folder.is_dir() || now.as_deref() == Some(name) {
                continue;
            }
            let edges: Vec<f64> = name.split(',').filter_map(|edge| edge.parse().ok()).collect();
            let count = list(&folder)?.iter().filter(|path| id_of(path).is_some()).count();
            waiting.extend(edges.try_into().ok().filter(|_| count > 0).map(|edges| (edges, count)));
        }
        Ok(waiting)
    }

    /// Looks for this one only: a page asks for hundreds.
    pub fn picture(&self, id: &str) -> Result<Picture> {
        let missing = || UsageError(format!("there is no picture {id:?}"));
        names::check_id(id).map_err(|_| missing())?;
        let camera = |folder: &Path| Some(folder.file_name()?.to_str()?.to_string());
        let frames = list(&self.path().join(FRAMES))?.into_iter().filter_map(|folder| {
            let camera = camera(&folder).filter(|camera| names::check_camera(camera).is_ok())?;
            Some((camera, None, file_of(&folder, id)?))
        });
        let crops = self.file()?.crops;
        let crops = crops.iter().filter_map(|(camera, crop)| {
            let crop = crop.folder();
            let path = file_of(&self.place(camera, Some(&crop)), id)?;
            Some((camera.clone(), Some(crop), path))
        });
        let found = frames.chain(crops).next();
        let (camera, crop, path) = found.ok_or_else(missing)?;
        let state = Labels::read(self)?.get(id).map(str::to_string);
        Ok(Picture { id: id.into(), camera, path, crop, state })
    }

    /// Where pictures of a camera are: full frames, or those that are crops already.
    pub(super) fn place(&self, camera: &str, crop: Option<&str>) -> PathBuf {
        match crop {
            None => self.path().join(FRAMES).join(camera),
            Some(crop) => self.path().join(CROPS).join(camera).join(crop),
        }
    }

    /// Keeps a full frame. `Err` of a [`UsageError`] says why it is no picture; then nothing is kept.
    pub fn add(&self, camera: &str, bytes: &[u8], moment: Option<Moment>) -> Result<Added> {
        self.add_to(&self.place(camera, None), camera, bytes, moment)
    }

    /// Keeps a picture that is the crop already, as from a program that keeps no frames.
    pub fn add_crop(
        &self,
        camera: &str,
        crop: &CropFile,
        bytes: &[u8],
        moment: Option<Moment>,
    ) -> Result<Added> {
        self.add_to(&self.place(camera, Some(&crop.folder())), camera, bytes, moment)
    }

    fn add_to(&self, folder: &Path, camera: &str, bytes: &[u8], moment: Option<Moment>) -> Result<Added> {
        names::check_camera(camera)?;
        picture::decode(bytes).map_err(|why| UsageError(format!("this picture cannot be read: {why}")))?;
        let id = names::picture_id(bytes, moment);
        let _lock = self.workspace.lock()?;
        // The model may have been deleted meanwhile.
        self.workspace.model(&self.name)?;
        if let Some(known) = self.with_content(folder, &id)? {
            return Ok(Added::Known(known));
        }
        make_folder(folder)?;
        let path = folder.join(&id).with_extension(extension(bytes));
        let mut new = tempfile::Builder::new().prefix(".ajar-").tempfile_in(folder)?;
        new.write_all(bytes).and_then(|()| new.as_file().sync_all())?;
        new.persist_noclobber(&path).with_context(|| path.display().to_string())?;
        Ok(Added::New(id))
    }

    /// The picture among the frames, or in a folder, that is the same file as `id`, whenever it was taken.
    fn with_content(&self, folder: &Path, id: &str) -> Result<Option<String>> {
        let mut folders = list(&self.path().join(FRAMES))?;
        folders.push(folder.into());
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            let mut ids = list(folder)?.into_iter().filter_map(|path| id_of(&path));
            if let Some(same) = ids.find(|known| names::content(known) == names::content(id)) {
                return Ok(Some(same));
            }
        }
        Ok(None)
    }

    /// Moves pictures into the trash. Gives the entry's id.
    pub fn delete(&self, ids: &[String]) -> Result<String> {
        let wanted: BTreeSet<&String> = ids.iter().collect();
        let _lock = self.workspace.lock()?;
        let pictures = self.pictures()?.into_iter().filter(|picture| wanted.contains(&picture.id));
        let gone: Vec<Gone> = pictures.map(|picture| Gone::new(&picture)).collect();
        if gone.is_empty() {
            return Err(UsageError("these pictures are not there any more".into()).into());
        }
        self.throw_away(Entry::of_pictures(gone))
    }

    /// Deletes a state with its pictures; those of other states are left alone. Gives the entry's id.
    pub fn remove_state(&self, state: &str) -> Result<String> {
        let _lock = self.workspace.lock()?;
        let mut file = self.file()?;
        let Some(at) = file.states.iter().position(|known| known == state) else {
            return Err(UsageError(format!("there is no state {state:?}")).into());
        };
        if file.states.len() <= 2 {
            let why =
                "A model needs at least two states: add another one first, or give this one another name.";
            return Err(UsageError(why.into()).into());
        }
        let pictures = self.pictures()?.into_iter().filter(|picture| picture.state.as_deref() == Some(state));
        let gone = pictures.map(|picture| Gone::new(&picture)).collect();
        let id = self.throw_away(Entry::of_state(state, at, gone))?;
        file.states.remove(at);
        self.write(&file)?;
        Ok(id)
    }

    /// Puts a picture that cannot be read where it does no harm, and says why beside it.
    pub fn quarantine(&self, picture: &Picture, why: &str) -> Result<()> {
        let _lock = self.workspace.lock()?;
        self.workspace.model(&self.name)?;
        let folder = self.path().join(QUARANTINE).join(&picture.camera);
        make_folder(&folder)?;
        let Some(name) = picture.path.file_name() else { return Ok(()) };
        match fs::rename(&picture.path, folder.join(name)) {
            // Somebody else has done so.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            moved => moved.with_context(|| picture.path.display().to_string())?,
        }
        log::warn!("{}: put into {}: {why}", picture.path.display(), folder.display());
        let reasons = self.path().join(QUARANTINE).join("reasons.tsv");
        let mut file = fs::File::options().create(true).append(true).open(&reasons)?;
        writeln!(file, "{}\t{}\t{}", picture.camera, picture.id, why.replace(['\t', '\n'], " "))?;
        Ok(())
    }

    /// How many pictures are there.
    pub fn quarantined(&self) -> usize {
        let folders = list(&self.path().join(QUARANTINE)).unwrap_or_default();
        folders.iter().filter_map(|folder| Some(fs::read_dir(folder).ok()?.count())).sum()
    }
}

fn file_of(folder: &Path, id: &str) -> Option<PathBuf> {
    let mut paths = EXTENSIONS.iter().map(|extension| folder.join(id).with_extension(extension));
    paths.find(|path| is_plain(path))
}

fn id_of(path: &Path) -> Option<String> {
    let extension = path.extension()?.to_str()?;
    let id = path.file_stem()?.to_str()?;
    let good = EXTENSIONS.contains(&extension) && names::check_id(id).is_ok() && is_plain(path);
    good.then(|| id.to_string())
}

/// A file of the workspace's own: a link might lead out of it.
fn is_plain(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|file| file.is_file())
}

fn extension(bytes: &[u8]) -> &'static str {
    match image::guess_format(bytes) {
        Ok(image::ImageFormat::Png) => "png",
        Ok(image::ImageFormat::WebP) => "webp",
        _ => "jpg",
    }
}
