//! Clips: the frames of a source one after the other, with their times.

use crate::board::{Board, DEFAULT_BOARD};
use crate::camera::{Capture, Pacing, Reader, Source};
use crate::config::{Codec, region};
use crate::exit::UsageError;
use crate::watch::crop::{CropBuffer, Region};
use crate::watch::frame::Frame;
use anyhow::{Context, Result, bail};
use embassy_time::Instant;
use gstreamer::prelude::*;
use gstreamer::{ClockTime, Sample};
use std::time::Duration;

/// How long a source may take to its next frame.
const FRAME_LIMIT: Duration = Duration::from_secs(15);
/// How often a silent source is asked whether it failed.
const SLICE: ClockTime = ClockTime::from_mseconds(200);

/// A source that is being read, no frame left out.
pub struct Clip {
    source: Source,
    capture: Capture,
    reader: Reader,
    /// A file's frames count from its start, a live stream's from the first one seen.
    zero: Option<ClockTime>,
}

impl Clip {
    pub fn open(source: &str, codec: Codec) -> Result<Clip> {
        let source = Source::parse(source);
        if let Source::File(path) = &source
            && !path.is_file()
        {
            return Err(UsageError(format!("{}: no such file", path.display())).into());
        }
        let decoder = Board::named(DEFAULT_BOARD).map_err(UsageError)?.decoder;
        let capture = Capture::build(&source, codec, &decoder, Pacing::EveryFrame)?;
        capture.play().with_context(|| source.redacted())?;
        let zero = matches!(source, Source::File(_)).then_some(ClockTime::ZERO);
        Ok(Clip { source, capture, reader: Reader::default(), zero })
    }

    /// The next frame and its time in seconds; `None` at the end.
    pub fn next(&mut self) -> Result<Option<(f64, Sample)>> {
        let Some(sample) = self.sample().with_context(|| self.source.redacted())? else { return Ok(None) };
        let pts = sample.buffer().and_then(|buffer| buffer.pts()).unwrap_or_default();
        let since = pts.saturating_sub(*self.zero.get_or_insert(pts));
        Ok(Some((since.nseconds() as f64 / 1e9, sample)))
    }

    /// In seconds, if it has an end.
    pub fn length(&self) -> Option<f64> {
        let length = self.capture.pipeline.query_duration::<ClockTime>()?;
        Some(length.nseconds() as f64 / 1e9)
    }

    fn sample(&self) -> Result<Option<Sample>> {
        let start = std::time::Instant::now();
        loop {
            if let Some(sample) = self.capture.frames.try_pull_sample(SLICE) {
                return Ok(Some(sample));
            }
            // An error also ends the stream: it is asked for first.
            if let Some(error) = self.capture.error() {
                bail!(error);
            }
            if self.capture.frames.is_eos() {
                return Ok(None);
            }
            if start.elapsed() > FRAME_LIMIT {
                bail!("no frame for {} s", FRAME_LIMIT.as_secs());
            }
        }
    }

    /// Cuts the crop out of a frame and says where it lies. `edges`: fractions 0..1, or pixels of the source's own
    /// frames.
    pub fn cut(&mut self, sample: &Sample, edges: [f64; 4], crop: &mut CropBuffer) -> Result<Region> {
        self.reader.read(sample, Instant::now(), |frame| fill(crop, frame, edges))?
    }
}

fn fill(crop: &mut CropBuffer, frame: &Frame, edges: [f64; 4]) -> Result<Region> {
    let size = [frame.width as u32, frame.height as u32];
    let region = region(edges, Some(size)).map_err(|why| UsageError(format!("--crop {why}")))?;
    let rect = region.pixels(frame.width, frame.height).context("the frames are smaller than 2 x 2")?;
    crop.copy_from(frame, rect);
    Ok(region)
}
