//! Footage: full frames out of a video file, as pictures.

use super::cut::next_sample;
use super::moment::{self, Moment};
use crate::board::{Board, DEFAULT_BOARD};
use crate::camera::{Capture, Pacing, Source};
use crate::config::Codec;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use gstreamer::prelude::*;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// Time that the conversion of a frame may take.
const CONVERSION: Option<gstreamer::ClockTime> = Some(gstreamer::ClockTime::from_seconds(5));

/// A frame of a video.
pub struct Frame {
    /// A JPEG file.
    pub jpeg: Vec<u8>,
    /// When it was taken, if the start of the video is known.
    pub moment: Option<Moment>,
}

/// Whole frames of a video file, evenly over its length, `count` of them.
pub fn frames(path: &Path, count: usize) -> Result<Vec<Frame>> {
    let name = || path.display().to_string();
    if !path.is_file() {
        return Err(UsageError(format!("{}: no such file", name())).into());
    }
    let start = start(path);
    let source = Source::File(path.into());
    let decoder = Board::named(DEFAULT_BOARD).map_err(UsageError)?.decoder;
    let capture = Capture::build(&source, Codec::H264, &decoder, Pacing::EveryFrame)?;
    capture.play().with_context(name)?;
    // Only once it plays does a file tell its length.
    let Some(first) = next_sample(&capture).with_context(name)? else { return Ok(Vec::new()) };
    let length = capture.pipeline.query_duration::<gstreamer::ClockTime>();
    let every = length.map_or(1.0, |length| length.nseconds() as f64 / 1e9 / count.max(1) as f64);
    let mut frames = Vec::new();
    // The middle of each stretch: the first and the last frame of a video are often black.
    let mut next = every / 2.0;
    let mut sample = Some(first);
    while let Some(this) = sample.filter(|_| frames.len() < count) {
        let pts = this.buffer().and_then(|buffer| buffer.pts()).unwrap_or_default();
        let seconds = pts.nseconds() as f64 / 1e9;
        if seconds >= next {
            next = seconds + every;
            let moment = start.map(|start| start + seconds as Moment);
            frames.push(Frame { jpeg: jpeg(&this).with_context(name)?, moment });
        }
        sample = next_sample(&capture).with_context(name)?;
    }
    Ok(frames)
}

/// When a video began: by its name, or by its file, which is written until it ends.
fn start(path: &Path) -> Option<Moment> {
    let named = moment::of_name(&path.file_name()?.to_string_lossy());
    named.or_else(|| {
        let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
        Some(modified.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs() as Moment)
    })
}

fn jpeg(sample: &gstreamer::Sample) -> Result<Vec<u8>> {
    let caps = gstreamer::Caps::new_empty_simple("image/jpeg");
    let converted = gstreamer_video::convert_sample(sample, &caps, CONVERSION)?;
    let buffer = converted.buffer().context("a frame without a picture")?;
    Ok(buffer.map_readable()?.to_vec())
}
