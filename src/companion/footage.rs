//! Footage: full frames out of a video file, as pictures.

use super::clip::Clip;
use super::moment::{self, Moment};
use crate::config::Codec;
use crate::exit::UsageError;
use anyhow::{Context, Result};
use std::path::Path;

/// Time that the conversion of a frame may take.
const CONVERSION: Option<gstreamer::ClockTime> = Some(gstreamer::ClockTime::from_seconds(5));

/// A frame of a video.
pub struct Frame {
    /// A JPEG file.
    pub jpeg: Vec<u8>,
    /// When it was taken, if the start of the video is known.
    pub moment: Option<Moment>,
}

/// Whether a file is a video that can be played; the reason if not.
pub fn check(path: &Path) -> Result<()> {
    let first = Clip::open(&path.display().to_string(), Codec::H264)?.next()?;
    first.map(drop).context("no picture in it")
}

/// Whole frames of a video file, evenly over its length, `count` of them.
pub fn frames(path: &Path, count: usize) -> Result<Vec<Frame>> {
    let name = || path.display().to_string();
    if !path.is_file() {
        return Err(UsageError(format!("{}: no such file", name())).into());
    }
    // By its name, or by its file, which is written until it ends.
    let start = moment::of_file(path);
    let mut clip = Clip::open(&name(), Codec::H264)?;
    // Only once it plays does a file tell its length.
    let mut next_one = clip.next()?;
    let every = clip.length().map_or(1.0, |length| length / count.max(1) as f64);
    let mut frames = Vec::new();
    // The middle of each stretch: the first and the last frame of a video are often black.
    let mut next = every / 2.0;
    while let Some((seconds, sample)) = next_one.filter(|_| frames.len() < count) {
        if seconds >= next {
            next = seconds + every;
            let moment = start.map(|start| start + seconds as Moment);
            frames.push(Frame { jpeg: jpeg(&sample).with_context(name)?, moment });
        }
        next_one = clip.next()?;
    }
    Ok(frames)
}

fn jpeg(sample: &gstreamer::Sample) -> Result<Vec<u8>> {
    let caps = gstreamer::Caps::new_empty_simple("image/jpeg");
    let converted = gstreamer_video::convert_sample(sample, &caps, CONVERSION)?;
    let buffer = converted.buffer().context("a frame without a picture")?;
    Ok(buffer.map_readable()?.to_vec())
}
