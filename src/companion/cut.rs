//! Cutting: a stream becomes pictures of the crop.

use super::picture;
use super::timeline::Timeline;
use crate::board::Board;
use crate::camera::{Capture, Pacing, Reader, Source};
use crate::config::{Codec, region};
use crate::exit::UsageError;
use crate::watch::crop::CropBuffer;
use crate::watch::frame::Frame;
use anyhow::{Context, Result, bail};
use embassy_time::Instant;
use gstreamer::ClockTime;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a source may take to its next frame.
const FRAME_LIMIT: Duration = Duration::from_secs(15);
/// How often a silent source is asked whether it failed.
const SLICE: ClockTime = ClockTime::from_mseconds(200);
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
        let source = Source::parse(&self.source);
        if let Source::File(path) = &source
            && !path.is_file()
        {
            return Err(UsageError(format!("{}: no such file", path.display())).into());
        }
        let decoder = Board::named(crate::board::DEFAULT_BOARD).map_err(UsageError)?.decoder;
        let capture = Capture::build(&source, self.codec, &decoder, Pacing::EveryFrame)?;
        capture.play().with_context(|| source.redacted())?;
        let mut counts = Counts::new();
        let mut crop = Box::<CropBuffer>::default();
        let mut reader = Reader::default();
        // A file's frames count from its start, a live stream's from the first one seen.
        let mut zero = matches!(source, Source::File(_)).then_some(ClockTime::ZERO);
        let mut next = self.from;
        while let Some(sample) = next_sample(&capture).with_context(|| source.redacted())? {
            let pts = sample.buffer().and_then(|buffer| buffer.pts()).unwrap_or_default();
            let since = pts.saturating_sub(*zero.get_or_insert(pts));
            let seconds = since.nseconds() as f64 / 1e9;
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
            reader.read(&sample, Instant::now(), |frame| self.fill(&mut crop, frame))??;
            self.write(&crop, state, seconds)?;
            *counts.entry(state.to_string()).or_default() += 1;
        }
        Ok(counts)
    }

    fn fill(&self, crop: &mut CropBuffer, frame: &Frame) -> Result<()> {
        let size = [frame.width as u32, frame.height as u32];
        let region = region(self.crop, Some(size)).map_err(|why| UsageError(format!("--crop {why}")))?;
        let rect = region.pixels(frame.width, frame.height).context("the frames are smaller than 2 x 2")?;
        crop.copy_from(frame, rect);
        Ok(())
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

/// The next sample; `None` at the end of the stream.
pub fn next_sample(capture: &Capture) -> Result<Option<gstreamer::Sample>> {
    let start = std::time::Instant::now();
    loop {
        if let Some(sample) = capture.frames.try_pull_sample(SLICE) {
            return Ok(Some(sample));
        }
        // An error also ends the stream: it is asked for first.
        if let Some(error) = capture.error() {
            bail!(error);
        }
        if capture.frames.is_eos() {
            return Ok(None);
        }
        if start.elapsed() > FRAME_LIMIT {
            bail!("no frame for {} s", FRAME_LIMIT.as_secs());
        }
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
