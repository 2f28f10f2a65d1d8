//! Sources: where the studio's pictures come from. Devices, videos, folders of pictures.

use crate::companion::dataset::pictures_below;
use crate::companion::footage;
use crate::companion::moment::{self, Moment};
use crate::companion::picture;
use crate::companion::remote::{Address, Device, Refused};
use crate::companion::workspace::names::slug;
use crate::exit::UsageError;
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the user named on the command line.
#[derive(Clone, Debug, PartialEq)]
pub enum Place {
    Device(Address),
    Pictures(PathBuf),
    Video(PathBuf),
}

pub enum Source {
    Device(Link),
    /// One camera, whose pictures they are.
    Pictures {
        camera: String,
        folder: PathBuf,
    },
    Video {
        camera: String,
        file: PathBuf,
    },
}

/// A picture of a source, and when it was taken.
pub struct Still {
    pub bytes: Vec<u8>,
    pub moment: Option<Moment>,
    /// A whole frame; else it is the crop already, from a device that shows nothing around it.
    pub whole: bool,
}

impl Still {
    const fn frame(bytes: Vec<u8>, moment: Option<Moment>) -> Still {
        Still { bytes, moment, whole: true }
    }
}

/// A picture that a device has kept.
struct Kept {
    path: String,
    moment: Option<Moment>,
    whole: bool,
}

/// A device that is asked again and again, by one connection.
pub struct Link {
    address: Address,
    open: Mutex<Option<Arc<Device>>>,
    cameras: Mutex<Option<Cameras>>,
    recent: Mutex<Option<(Instant, Arc<Value>)>>,
}

/// The cameras of a device, or why it did not say: a page asks many times, and a device that is gone lets each wait.
struct Cameras {
    asked: Instant,
    names: Result<Vec<String>, String>,
}

/// How long they are taken for true.
const CAMERAS_LAST: Duration = Duration::from_secs(5);
/// How long a list of recent attempts is: the page asks for each of its pictures.
const RECENT_LASTS: Duration = Duration::from_secs(2);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Link {
    pub fn new(address: Address) -> Link {
        Link { address, open: Mutex::new(None), cameras: Mutex::new(None), recent: Mutex::new(None) }
    }

    pub fn name(&self) -> String {
        match &self.address {
            Address::Socket(path) => path.display().to_string(),
            Address::Ssh { destination, .. } => destination.clone(),
        }
    }

    /// Asks the device. A connection that broke is made anew, once.
    fn ask<T>(&self, question: impl Fn(&Device) -> Result<T>) -> Result<T> {
        let known = lock(&self.open).clone();
        if let Some(device) = known {
            match question(&device) {
                Err(error) if !error.is::<Refused>() => {
                    lock(&self.open).take_if(|open| Arc::ptr_eq(open, &device));
                }
                answered => return answered,
            }
        }
        let device = self.connect()?;
        question(&device)
    }

    /// One connection for all who ask at the same time.
    fn connect(&self) -> Result<Arc<Device>> {
        let mut open = lock(&self.open);
        if let Some(device) = &*open {
            return Ok(device.clone());
        }
        let device = Arc::new(Device::open(&self.address)?);
        *open = Some(device.clone());
        Ok(device)
    }

    pub fn get(&self, path: &str) -> Result<Value> {
        self.ask(|device| device.get(path))
    }

    pub fn get_bytes(&self, path: &str) -> Result<Vec<u8>> {
        self.ask(|device| device.get_bytes(path))
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Result<Value> {
        self.ask(|device| device.post(path, body.to_vec()))
    }

    /// What it saw lately, the newest first.
    pub fn recent(&self) -> Result<Arc<Value>> {
        let mut known = lock(&self.recent);
        if let Some((asked, recent)) = &*known
            && asked.elapsed() < RECENT_LASTS
        {
            return Ok(recent.clone());
        }
        let recent = Arc::new(self.get("/v1/recent")?);
        *known = Some((Instant::now(), recent.clone()));
        Ok(recent)
    }

    fn cameras(&self) -> Result<Vec<String>> {
        let mut known = lock(&self.cameras);
        if known.as_ref().is_none_or(|known| known.asked.elapsed() > CAMERAS_LAST) {
            let names = self.get("/v1/status").map(|status| {
                let names = status["cameras"].as_array().into_iter().flatten().filter_map(Value::as_str);
                names.map(str::to_string).collect()
            });
            let names = names.map_err(|why| format!("{why:#}"));
            // Counted from the answer: it may have taken long.
            *known = Some(Cameras { asked: Instant::now(), names });
        }
        let known = known.as_ref().context("they were just asked for")?;
        known.names.clone().map_err(|why| anyhow::anyhow!(why))
    }

    /// What the device has kept of a camera, the oldest first: whole frames, and crops of this model. Empty from a device
    /// that keeps nothing.
    fn gallery(&self, camera: &str, model: &str) -> Result<Vec<Kept>> {
        let list = match self.get(&format!("/v1/cameras/{camera}/gallery")) {
            Err(error) if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == 404) => {
                return Ok(Vec::new());
            }
            list => list?,
        };
        let kept = |row: &Value| {
            let id = plain_id(&row["id"])?;
            let own = row["model"].as_str().is_none_or(|of| of == model);
            own.then(|| Kept {
                path: format!("/v1/cameras/{camera}/gallery/{id}"),
                // A clock that was not set tells nothing.
                moment: of_time(&row["time"]).filter(|_| row["uncertain"] != true),
                whole: row["model"].is_null(),
            })
        };
        Ok(list["frames"].as_array().into_iter().flatten().filter_map(kept).collect())
    }
}

/// An id that a device gave, if it can be a part of a path.
pub fn plain_id(id: &Value) -> Option<String> {
    let text = id.as_str().map_or_else(|| id.to_string(), str::to_string);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    let good = !text.is_empty() && text.len() <= 128 && text.chars().all(plain) && !text.starts_with('.');
    good.then_some(text)
}

/// A time that a device gave, in RFC 3339.
pub fn of_time(time: &Value) -> Option<Moment> {
    Some(moment::on_the_wall(time.as_str()?.parse().ok()?))
}

impl Source {
    /// Sources with cameras that have different names.
    pub fn all(places: Vec<Place>) -> Result<Vec<Source>> {
        let mut used = BTreeSet::new();
        let mut camera = |path: &Path, name: Option<&std::ffi::OsStr>| {
            let base = slug(&name.unwrap_or(path.as_os_str()).to_string_lossy());
            let numbered = (2..).map(|n| format!("{base}-{n}"));
            let free = std::iter::once(base.clone()).chain(numbered).find(|name| !used.contains(name));
            let free = free.unwrap_or(base);
            used.insert(free.clone());
            free
        };
        let mut sources = Vec::new();
        for place in places {
            sources.push(match place {
                Place::Device(address) => Source::Device(Link::new(address)),
                Place::Pictures(folder) => {
                    let folder = fs::canonicalize(&folder)
                        .map_err(|error| UsageError(format!("--pictures {}: {error}", folder.display())))?;
                    if pictures_below(&folder)?.is_empty() {
                        let why = "no picture in it or below it; want JPEG, PNG or WebP files";
                        bail!(UsageError(format!("--pictures {}: {why}", folder.display())));
                    }
                    Source::Pictures { camera: camera(&folder, folder.file_name()), folder }
                }
                Place::Video(file) => {
                    if !file.is_file() {
                        bail!(UsageError(format!("--video {}: no such file", file.display())));
                    }
                    Source::Video { camera: camera(&file, file.file_stem()), file }
                }
            });
        }
        Ok(sources)
    }

    pub fn name(&self) -> String {
        match self {
            Source::Device(link) => link.name(),
            Source::Pictures { folder, .. } => folder.display().to_string(),
            Source::Video { file, .. } => file.display().to_string(),
        }
    }

    pub fn link(&self) -> Option<&Link> {
        match self {
            Source::Device(link) => Some(link),
            _ => None,
        }
    }

    pub fn cameras(&self) -> Result<Vec<String>> {
        match self {
            Source::Device(link) => link.cameras(),
            Source::Pictures { camera, .. } | Source::Video { camera, .. } => Ok(vec![camera.clone()]),
        }
    }

    /// A whole frame as fresh as there is.
    pub fn still(&self, camera: &str) -> Result<Still> {
        match self {
            Source::Device(link) => match link.get_bytes(&format!("/v1/cameras/{camera}/snapshot")) {
                Ok(bytes) => Ok(Still::frame(bytes, Some(moment::on_the_wall(jiff::Timestamp::now())))),
                // A camera that is down: the newest frame that the device kept.
                Err(error) => {
                    let kept = link.gallery(camera, "").unwrap_or_default();
                    let Some(Kept { path, moment, .. }) = kept.into_iter().rfind(|kept| kept.whole) else {
                        return Err(error);
                    };
                    Ok(Still::frame(link.get_bytes(&path)?, moment))
                }
            },
            Source::Pictures { folder, .. } => {
                // Cameras leave files behind that are cut short.
                let whole =
                    |path: &PathBuf| fs::read(path).ok().filter(|bytes| picture::decode(bytes).is_ok());
                let paths = pictures_below(folder)?;
                let newest = paths.iter().rev().find_map(|path| Some((path, whole(path)?)));
                let (path, bytes) =
                    newest.with_context(|| format!("{}: no picture that can be read", folder.display()))?;
                Ok(Still::frame(bytes, moment_of_file(path)))
            }
            Source::Video { file, .. } => {
                let frame = footage::frames(file, 1)?.pop();
                let frame = frame.with_context(|| format!("{}: no picture", file.display()))?;
                Ok(Still::frame(frame.jpeg, frame.moment))
            }
        }
    }

    /// At most `most` pictures for a model, evenly over all there are. What cannot be had is left out.
    pub fn candidates(&self, camera: &str, model: &str, most: usize) -> Result<Vec<Still>> {
        match self {
            Source::Device(link) => {
                let kept = link.gallery(camera, model)?;
                let still = |Kept { path, moment, whole }: &Kept| {
                    Some(Still { bytes: link.get_bytes(path).ok()?, moment: *moment, whole: *whole })
                };
                let mut stills: Vec<Still> = evenly(&kept, most).filter_map(still).collect();
                // What it shows now is one more. A camera that is down has none.
                stills.extend(self.still(camera).ok().filter(|_| stills.len() < most));
                Ok(stills)
            }
            Source::Pictures { folder, .. } => {
                let paths = pictures_below(folder)?;
                let paths: Vec<&PathBuf> = evenly(&paths, most).collect();
                let read: Vec<(&PathBuf, Vec<u8>)> =
                    paths.into_iter().filter_map(|path| Some((path, fs::read(path).ok()?))).collect();
                let own = |(path, bytes): &(&PathBuf, Vec<u8>)| {
                    moment::of_name(&path.file_name()?.to_string_lossy()).or_else(|| moment::of_exif(bytes))
                };
                let files = read.iter().map(|(path, _)| moment_of_file(path)).collect();
                let (moments, _) = moment::choose(read.iter().map(own).collect(), files);
                let still = |((_, bytes), moment)| Still::frame(bytes, moment);
                Ok(read.into_iter().zip(moments).map(still).collect())
            }
            Source::Video { file, .. } => {
                let still = |frame: footage::Frame| Still::frame(frame.jpeg, frame.moment);
                Ok(footage::frames(file, most)?.into_iter().map(still).collect())
            }
        }
    }
}

fn moment_of_file(path: &Path) -> Option<Moment> {
    let named = moment::of_name(&path.file_name()?.to_string_lossy());
    named.or_else(|| {
        let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
        Some(moment::on_the_wall(modified.try_into().ok()?))
    })
}

/// At most `most` of them, evenly over all.
fn evenly<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = all.len().min(most);
    (0..count).map(move |i| &all[i * all.len() / count])
}
