//! Sources: where the studio's pictures come from. Devices, videos, folders of pictures.

use super::link::{Extent, Kept, Link};
use super::lock;
use crate::companion::dataset::pictures_below;
use crate::companion::footage;
use crate::companion::moment::{self, Moment};
use crate::companion::picture;
use crate::companion::remote::Address;
use crate::companion::workspace::names::slug;
use crate::exit::UsageError;
use anyhow::{Context, Result, bail};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

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
        /// Found once: half of the video is decoded for it.
        still: Mutex<Option<Still>>,
    },
}

/// A picture of a source, and when it was taken.
#[derive(Clone)]
pub struct Still {
    pub bytes: Vec<u8>,
    pub moment: Option<Moment>,
    /// A whole frame; or the crop already, from a device that shows nothing around it.
    pub extent: Extent,
}

impl Still {
    const fn frame(bytes: Vec<u8>, moment: Option<Moment>) -> Still {
        Still { bytes, moment, extent: Extent::Whole }
    }
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
                    check_video(&file)
                        .map_err(|why| UsageError(format!("--video {}: {why:#}", file.display())))?;
                    Source::Video { camera: camera(&file, file.file_stem()), file, still: Mutex::default() }
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
                    let Some(Kept { path, moment, .. }) =
                        kept.into_iter().rfind(|kept| kept.extent == Extent::Whole)
                    else {
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
                Ok(Still::frame(bytes, moment::of_file(path)))
            }
            Source::Video { file, still, .. } => {
                let mut still = lock(still);
                if let Some(still) = &*still {
                    return Ok(still.clone());
                }
                let frame = footage::frames(file, 1)?.pop();
                let frame = frame.with_context(|| format!("{}: no picture", file.display()))?;
                Ok(still.insert(Still::frame(frame.jpeg, frame.moment)).clone())
            }
        }
    }

    /// At most `most` pictures for a model, evenly over all there are. What cannot be had is left out.
    pub fn candidates(&self, camera: &str, model: &str, most: usize) -> Result<Vec<Still>> {
        match self {
            Source::Device(link) => {
                let kept = link.gallery(camera, model)?;
                let still = |Kept { path, moment, extent }: &Kept| {
                    let bytes = link.get_bytes(path).ok()?;
                    Some(Still { bytes, moment: *moment, extent: extent.clone() })
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
                let files = read.iter().map(|(path, _)| moment::of_file(path)).collect();
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

fn check_video(file: &Path) -> Result<()> {
    if file.is_dir() {
        bail!("is a folder; give its files one by one, or a folder of pictures with --pictures");
    }
    if !file.exists() {
        bail!("no such file");
    }
    footage::check(file)
}

/// At most `most` of them, evenly over all.
fn evenly<T>(all: &[T], most: usize) -> impl Iterator<Item = &T> {
    let count = all.len().min(most);
    (0..count).map(move |i| &all[i * all.len() / count])
}
