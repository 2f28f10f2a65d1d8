//! Snapshots: the newest frame of a camera as a JPEG file, when somebody asks for one.

use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Time that the conversion may take.
const LIMIT: Option<gstreamer::ClockTime> = Some(gstreamer::ClockTime::from_seconds(5));

/// Where each camera's frames come out, while it runs. GStreamer keeps the newest one there.
#[derive(Default)]
pub struct Snapshots {
    sinks: Mutex<BTreeMap<String, Option<AppSink>>>,
}

impl Snapshots {
    pub fn put(&self, camera: &str, sink: Option<AppSink>) {
        self.lock().insert(camera.to_string(), sink);
    }

    /// `None` if there is no such camera; the error says why it has no picture.
    pub fn jpeg(&self, camera: &str) -> Option<Result<Vec<u8>, String>> {
        let sink = self.lock().get(camera)?.clone();
        Some(sink.ok_or_else(|| "the camera is down".to_string()).and_then(|sink| jpeg(&sink)))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<AppSink>>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn jpeg(sink: &AppSink) -> Result<Vec<u8>, String> {
    let sample: Option<gstreamer::Sample> = sink.property("last-sample");
    let sample = sample.ok_or("no frame has come yet")?;
    let caps = gstreamer::Caps::new_empty_simple("image/jpeg");
    let converted =
        gstreamer_video::convert_sample(&sample, &caps, LIMIT).map_err(|error| error.to_string())?;
    let buffer = converted.buffer().ok_or("the picture is empty")?;
    Ok(buffer.map_readable().map_err(|error| error.to_string())?.to_vec())
}
