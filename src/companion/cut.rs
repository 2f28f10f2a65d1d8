//! Cutting: a stream becomes pictures of the crop.

use super::picture;
use super::timeline::Timeline;
use crate::board::Board;
use crate::camera::{Capture, Pacing, Reader, Source};
use crate::config::{Codec, region};
use crate::exit::UsageError;
use crate::watch::crop::CropBuffer;
use anyhow::{Context, Result, bail};
use embassy_time::Instant;
use gstreamer::ClockTime;
use gstreamer::prelude::*;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// How long a source may take to its next frame.
const FRAME_LIMIT: ClockTime = ClockTime::from_seconds(15);

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
    /// Writes a picture every so many seconds of the stream, into `out`, or with a timeline into
    /// a folder of `out` for each state.
    pub fn run(&self, timeline: Option<&Timeline>) -> Result<Counts> {
        let source = Source::parse(&self.source);
        if let Source::File(path) = &source
            && !path.is_file()
        {
            return Err(UsageError(format!("{}: no such file", path.display())).into());
        }
        let decoder = Board::named(crate::board::DEFAULT_BOARD).map_err(UsageError)?.decoder;
        let capture = Capture::build(&source, self.codec, &decoder, Pacing::EveryFrame)?;
        let bus = capture.pipeline.bus().context("no bus")?;
        let error =
            || bus.timed_pop_filtered(ClockTime::from_mseconds(200), &[gstreamer::MessageType::Error]);
        let why = || match error().as_ref().map(|message| message.view()) {
            Some(gstreamer::MessageView::Error(error)) => error.error().to_string(),
            _ => "no frame arrived in time".into(),
        };
        if capture.pipeline.set_state(gstreamer::State::Playing).is_err() {
            bail!("{}: {}", source.redacted(), why());
        }
        let mut counts = Counts::new();
        let mut crop = Box::<CropBuffer>::default();
        let mut reader = Reader::default();
        let (mut first, mut next) = (None, self.from);
        loop {
            let Some(sample) = capture.frames.try_pull_sample(FRAME_LIMIT) else {
                if capture.frames.is_eos() && first.is_some() {
                    return Ok(counts);
                }
                bail!("{}: {}", source.redacted(), why());
            };
            let step = reader.read(&sample, Instant::now(), |frame, pts| -> Result<ControlFlow<()>> {
                let pts = pts.unwrap_or_default();
                // A file's frames count from its start, a live stream's from the first one seen.
                let zero = match source {
                    Source::File(_) => ClockTime::ZERO,
                    _ => *first.get_or_insert(pts),
                };
                first.get_or_insert(pts);
                let seconds = pts.saturating_sub(zero).nseconds() as f64 / 1e9;
                if self.to.is_some_and(|to| seconds >= to) {
                    return Ok(ControlFlow::Break(()));
                }
                if seconds + 1e-6 < next {
                    return Ok(ControlFlow::Continue(()));
                }
                while next <= seconds + 1e-6 {
                    next += self.every;
                }
                let state = match timeline {
                    Some(timeline) => match timeline.state(seconds) {
                        Some(state) => state,
                        None => return Ok(ControlFlow::Continue(())),
                    },
                    None => "",
                };
                let size = [frame.width as u32, frame.height as u32];
                let rect =
                    region(self.crop, Some(size)).map_err(|why| UsageError(format!("--crop {why}")))?;
                let rect =
                    rect.pixels(frame.width, frame.height).context("the frames are smaller than 2 x 2")?;
                crop.copy_from(frame, rect);
                self.write(&crop, state, seconds)?;
                *counts.entry(state.to_string()).or_default() += 1;
                Ok(ControlFlow::Continue(()))
            })??;
            if step.is_break() {
                return Ok(counts);
            }
        }
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
    let seconds = text.parse::<f64>().ok().filter(|s| s.is_finite() && *s > 0.0);
    seconds.ok_or_else(|| "want a number of seconds above 0".into())
}

impl Cut {
    pub fn timeline(&self, path: &Path) -> Result<Timeline, UsageError> {
        Timeline::load(path, &self.source)
    }
}
