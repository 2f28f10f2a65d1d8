//! The gallery of a device, fetched: its frames become files.

use super::remote::{Address, Device};
use anyhow::{Context, Result, bail};
use jiff::Timestamp;
use serde::Deserialize;
use std::fs;
use std::io::{Write, stdout};
use std::path::Path;

#[derive(Deserialize)]
struct Gallery {
    frames: Vec<Frame>,
}

#[derive(Deserialize)]
struct Frame {
    id: String,
    time: Timestamp,
    uncertain: bool,
}

impl Frame {
    /// Begins with the time, which training reads, where that is known.
    fn file_name(&self) -> String {
        let time =
            if self.uncertain { String::new() } else { self.time.strftime("%Y%m%d-%H%M%S-").to_string() };
        format!("{time}{}.jpg", self.id)
    }
}

/// Writes frames that are not there yet as OUT/CAMERA/TIME-ID.jpg.
pub fn fetch(address: &Address, camera: Option<&str>, out: &Path) -> Result<()> {
    let device = Device::open(address)?;
    let status = device.get("/v1/status")?;
    let cameras = status["cameras"].as_array().into_iter().flatten().filter_map(|name| name.as_str());
    let cameras: Vec<&str> = cameras.filter(|name| camera.is_none_or(|camera| camera == *name)).collect();
    if cameras.is_empty() {
        bail!("the device has no camera{}", camera.map(|name| format!(" {name:?}")).unwrap_or_default());
    }
    for camera in cameras {
        let Gallery { frames } =
            serde_json::from_value(device.get(&format!("/v1/cameras/{camera}/gallery"))?)
                .context("the device's answer is not a list of frames; is its ajard older than this ajar?")?;
        let directory = out.join(camera);
        fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        let mut fetched = 0;
        for frame in &frames {
            fetched += usize::from(fetch_frame(&device, camera, frame, &directory)?);
        }
        let (all, place) = (frames.len(), directory.display());
        writeln!(stdout(), "{camera}: {fetched} new of {all} frames in {place}")?;
    }
    Ok(())
}

/// `false` if it is there already, or has just left the gallery.
fn fetch_frame(device: &Device, camera: &str, frame: &Frame, directory: &Path) -> Result<bool> {
    // The device may not be one's own: its words do not become paths.
    if !frame.id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
        bail!("the device names a frame {:?}, which is no id", frame.id);
    }
    let path = directory.join(frame.file_name());
    if path.exists() {
        return Ok(false);
    }
    let url = format!("/v1/cameras/{camera}/gallery/{}", frame.id);
    let jpeg = match device.get_bytes(&url) {
        Ok(jpeg) => jpeg,
        Err(error) => {
            log::warn!("{camera}: {error:#}");
            return Ok(false);
        }
    };
    let part = path.with_extension("part");
    let written = fs::write(&part, jpeg).and_then(|()| fs::rename(&part, &path));
    written.with_context(|| path.display().to_string())?;
    Ok(true)
}
