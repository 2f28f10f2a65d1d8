//! Cutting: a stream becomes pictures of the crop.

use super::clip::Clip;
use super::picture;
use super::timeline::Timeline;
use crate::camera::Source;
use crate::config::Codec;
use crate::exit::UsageError;
use crate::watch::crop::CropBuffer;
use anyhow::{Context, Result};
use std::fs;
use std::path::{Path, PathBuf};

/// Frame times are rounded to less than this many seconds.
const ROUNDING: f64 = 1e-6;

pub struct Cut {
    pub source: String,
    /// Fractions 0..1, or pixels of the source's own frames.
    pub crop: [f64; 4],
    /// Seconds between two pictures.
    pub every: f64,
    pub from: f64,
    pub to: Option<f64>,
    pub out: PathBuf,
    pub codec: Codec,
}

/// Pictures written, by state where there is a timeline.
pub type Counts = std::collections::BTreeMap<String, usize>;

impl Cut {
    pub fn timeline(&self, path: &Path) -> Result<Timeline, UsageError> {
        Timeline::load(path, &self.source)
    }

    /// Writes a picture every so many seconds of the stream, into `out`, or with a timeline into
    /// a folder of `out` for each state.
    pub fn run(&self, timeline: Option<&Timeline>) -> Result<Counts> {
        let mut clip = Clip::open(&self.source, self.codec)?;
        let mut counts = Counts::new();
        let mut crop = Box::<CropBuffer>::default();
        let mut next = self.from;
        while let Some((seconds, sample)) = clip.next()? {
            if self.to.is_some_and(|to| seconds >= to) {
                break;
            }
            if seconds + ROUNDING < next {
                continue;
            }
            while next <= seconds + ROUNDING {
                next += self.every;
            }
            let Some(state) = timeline.map_or(Some(""), |timeline| timeline.state(seconds)) else { continue };
            clip.cut(&sample, self.crop, &mut crop)?;
            self.write(&crop, state, seconds)?;
            *counts.entry(state.to_string()).or_default() += 1;
        }
        Ok(counts)
    }

    fn write(&self, crop: &CropBuffer, state: &str, seconds: f64) -> Result<()> {
        let folder = self.out.join(state);
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        let name = match Source::parse(&self.source) {
            Source::File(path) => path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            _ => "crop".into(),
        };
        let path = folder.join(format!("{name}_{seconds:08.2}.jpg"));
        picture::write(crop, &path).with_context(|| path.display().to_string())
    }
}

/// `x1,y1,x2,y2`.
pub fn parse_crop(text: &str) -> Result<[f64; 4], String> {
    let edges: Option<Vec<f64>> = text.split(',').map(|edge| edge.trim().parse().ok()).collect();
    let crop: [f64; 4] = edges.and_then(|edges| edges.try_into().ok()).ok_or("want x1,y1,x2,y2")?;
    let crop_is_a_rectangle = crop[0] < crop[2] && crop[1] < crop[3] && crop[0] >= 0.0 && crop[1] >= 0.0;
    if crop_is_a_rectangle { Ok(crop) } else { Err("want x1 < x2 and y1 < y2, none below 0".into()) }
}

/// Seconds above zero.
pub fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = parse_start(text).ok().filter(|seconds| *seconds > 0.0);
    seconds.ok_or_else(|| "want a number of seconds above 0".into())
}

/// Seconds from zero.
pub fn parse_start(text: &str) -> Result<f64, String> {
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s >= 0.0);
    seconds.ok_or_else(|| "want a number of seconds, 0 or more".into())
}
