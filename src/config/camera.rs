//! Cameras in the configuration.

use super::seconds;
use crate::camera::redact;
use embassy_time::Duration;
use serde::Deserialize;

/// Time without any change in the crop after which a camera is taken for frozen.
const DEFAULT_FROZEN_AFTER: Duration = Duration::from_secs(30);

#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CameraConfig {
    /// `rtsp://...`, `http://...`, a V4L2 device, a video file, or a GStreamer pipeline.
    pub source: String,
    /// The same pictures at another size, for the watches that want it.
    pub substream: Option<String>,
    /// What receives an RTSP stream: the lean one where it can.
    pub receiver: Option<Receiver>,
    /// What carries an RTSP stream.
    #[serde(default)]
    pub transport: Transport,
    /// What an RTSP camera sends. The lean receiver finds out.
    pub codec: Option<Codec>,
    /// How much of the stream is decoded.
    #[serde(default)]
    pub decode: Decode,
    /// Width and height that crops in pixels refer to.
    pub frame_size: Option<[u32; 2]>,
    /// Bit-identical for this long, its picture is frozen; never if it is 0.
    #[serde(default = "default_frozen_after", deserialize_with = "seconds")]
    pub frozen_after: Duration,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    #[default]
    H264,
    H265,
    Mjpeg,
}

/// What receives an RTSP stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Receiver {
    /// Ajar's own use of a library that only receives: by TCP, without TLS.
    Lean,
    /// GStreamer's.
    Rtspsrc,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
}

/// Which of a camera's streams a watch looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StreamName {
    /// The camera's `source`.
    #[default]
    Main,
    /// Its `substream`.
    Sub,
}

/// How much of a compressed stream is decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Keyframes while nothing happens, everything while something does or where keyframes are rare; one keyframe a
    /// look where motion is off.
    #[default]
    Auto,
    Keyframes,
    All,
    /// One keyframe a look, even where motion is on.
    Interval,
}

fn default_frozen_after() -> Duration {
    DEFAULT_FROZEN_AFTER
}

/// What serde cannot see of a camera.
pub(super) fn check(camera: &CameraConfig) -> Result<(), String> {
    check_source(&camera.source).map_err(|why| format!("source: {why}"))?;
    if let Some(substream) = &camera.substream {
        check_source(substream).map_err(|why| format!("substream: {why}"))?;
    }
    if camera.frame_size.is_some_and(|size| size.contains(&0)) {
        return Err("frame_size: want [width, height] in pixels".into());
    }
    check_reception(camera)
}

/// The keys that say how an RTSP stream is received.
fn check_reception(camera: &CameraConfig) -> Result<(), String> {
    let schemes =
        || [Some(&camera.source), camera.substream.as_ref()].into_iter().flatten().map(|s| scheme(s));
    if camera.receiver == Some(Receiver::Lean) {
        if camera.transport == Transport::Udp {
            return Err("receiver: the lean one receives by TCP only; leave it out".into());
        }
        if !schemes().all(|scheme| scheme.as_deref() == Some("rtsp")) {
            return Err("receiver: the lean one receives rtsp:// only; leave it out".into());
        }
    }
    let rtsp = schemes().any(|scheme| scheme.is_some_and(|scheme| scheme.starts_with("rtsp")));
    for (key, given) in [
        ("receiver", camera.receiver.is_some()),
        ("transport", camera.transport != Transport::default()),
        ("codec", camera.codec.is_some()),
    ] {
        if given && !rtsp {
            return Err(format!("{key}: only RTSP cameras have one; leave it out"));
        }
    }
    Ok(())
}

fn check_source(source: &str) -> Result<(), String> {
    if source.trim().is_empty() {
        return Err("is empty".into());
    }
    // Everything else with a scheme would be taken for a file of that name.
    let readable = scheme(source)
        .is_none_or(|scheme| ["rtsp", "rtsps", "http", "https", "file"].contains(&scheme.as_str()));
    if !readable && !source.contains('!') {
        let why =
            "want rtsp://, http://, a file, a V4L2 device, or a GStreamer pipeline, which can read more";
        return Err(format!("{:?} cannot be read: {why}", redact(source)));
    }
    Ok(())
}

/// What stands before `://`, in small letters.
fn scheme(source: &str) -> Option<String> {
    source.trim().split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase())
}
