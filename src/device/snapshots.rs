//! Snapshots: the newest frame of a camera, when somebody asks for it.

use super::jpeg;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a camera's small stream is called.
pub fn sub(camera: &str) -> String {
    format!("{camera}/sub")
}

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
        Some(self.sample(camera)?.and_then(|sample| jpeg::of_sample(&sample)))
    }

    /// The same as it came.
    pub fn sample(&self, camera: &str) -> Option<Result<gstreamer::Sample, String>> {
        let sinks = self.lock();
        // Of a camera that is only watched by its small stream, that.
        let sink = sinks.get(camera).or_else(|| sinks.get(&sub(camera)))?.clone();
        drop(sinks);
        let newest = |sink: AppSink| sink.property::<Option<gstreamer::Sample>>("last-sample");
        let sample = sink.ok_or("the camera is down").map(newest);
        Some(sample.and_then(|sample| sample.ok_or("no frame has come yet")).map_err(str::to_string))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Option<AppSink>>> {
        self.sinks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
