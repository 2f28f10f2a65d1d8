//! Encoding a piece of a video.

use anyhow::{Context, Result, bail};
use gstreamer::prelude::*;
use gstreamer::{ClockTime, MessageView, PadProbeData, PadProbeReturn, PadProbeType, State};
use std::path::Path;

/// Writes the seconds `from..to` of `source` as H.264 in Matroska. Does nothing if that was done
/// before.
pub fn encode(source: &Path, from: f64, to: f64, target: &Path) -> Result<()> {
    if target.is_file() {
        return Ok(());
    }
    gstreamer::init()?;
    let unfinished = target.with_extension("part");
    let text = "filesrc name=source ! decodebin ! videoconvert name=raw ! video/x-raw,format=I420 \
                ! x264enc tune=zerolatency speed-preset=faster bitrate=1500 key-int-max=20 \
                ! h264parse ! matroskamux offset-to-zero=true ! filesink name=target";
    let pipeline = gstreamer::parse::launch(text)?.downcast::<gstreamer::Pipeline>();
    let Ok(pipeline) = pipeline else { bail!("not a pipeline") };
    for (name, path) in [("source", source), ("target", unfinished.as_path())] {
        pipeline.by_name(name).context(name)?.set_property("location", path);
    }
    let raw = pipeline.by_name("raw").and_then(|raw| raw.static_pad("src")).context("raw")?;
    raw.add_probe(PadProbeType::BUFFER, move |_, info| {
        let Some(PadProbeData::Buffer(buffer)) = &info.data else { return PadProbeReturn::Ok };
        let seconds = buffer.pts().unwrap_or_default().nseconds() as f64 / 1e9;
        // Half a millisecond for the rounding of frame times.
        let wanted = (from - 5e-4..to - 5e-4).contains(&seconds);
        if wanted { PadProbeReturn::Ok } else { PadProbeReturn::Drop }
    });
    let encoded = play(&pipeline);
    pipeline.set_state(State::Null)?;
    encoded?;
    std::fs::rename(unfinished, target)?;
    Ok(())
}

fn play(pipeline: &gstreamer::Pipeline) -> Result<()> {
    pipeline.set_state(State::Playing)?;
    let bus = pipeline.bus().context("no bus")?;
    for message in bus.iter_timed(ClockTime::from_seconds(120)) {
        match message.view() {
            MessageView::Eos(_) => return Ok(()),
            MessageView::Error(error) => bail!("encoding: {}", error.error()),
            _ => {}
        }
    }
    bail!("encoding took too long")
}
