//! Cameras: from a source's text to borrowed frames, by GStreamer. `ajard` and `ajar cut` share it.

use crate::board::Decoder;
use crate::config::Codec;
use crate::watch::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use embassy_time::Instant;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video::prelude::*;
use gstreamer_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameRef, VideoInfo};
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    #[error("GStreamer does not start: {0}")]
    Start(glib::Error),
    #[error("the pipeline cannot be built: {0}")]
    Pipeline(String),
    #[error("{0}")]
    Stream(String),
    #[error("the camera sends {0}, which is not a 4:2:0 picture")]
    Format(String),
}

use gstreamer::glib;

/// Where frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// `rtsp://` or `rtsps://`.
    Rtsp(String),
    /// `/dev/video*`.
    V4l2(PathBuf),
    /// GStreamer elements that end in raw video.
    Pipeline(String),
    File(PathBuf),
}

/// How fast a file is read. Other sources set their own pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pacing {
    /// As the clock goes; a late frame is dropped.
    RealTime,
    /// As fast as frames are taken; none is dropped.
    EveryFrame,
}

impl Source {
    pub fn parse(text: &str) -> Source {
        let text = text.trim();
        let v4l2 = |path: &&str| text.starts_with(path);
        if text.starts_with("rtsp://") || text.starts_with("rtsps://") {
            Source::Rtsp(text.into())
        } else if text.contains('!') {
            Source::Pipeline(text.into())
        } else if ["/dev/video", "/dev/v4l/"].iter().any(v4l2) {
            Source::V4l2(text.into())
        } else {
            Source::File(text.strip_prefix("file://").unwrap_or(text).into())
        }
    }

    /// For logs: without the password of a URL.
    pub fn redacted(&self) -> String {
        match self {
            Source::Rtsp(text) | Source::Pipeline(text) => redact(text),
            Source::V4l2(path) | Source::File(path) => path.display().to_string(),
        }
    }

    /// The pipeline in the words of gst-launch. Locations are set as properties later, so no
    /// path or URL is ever parsed as pipeline text.
    fn launch_text(&self, codec: Codec, decoder: &Decoder, pacing: Pacing) -> String {
        let (depay, decode) = match codec {
            Codec::H264 => ("rtph264depay", &decoder.h264),
            Codec::H265 => ("rtph265depay", &decoder.h265),
            Codec::Mjpeg => ("rtpjpegdepay", &decoder.mjpeg),
        };
        let head = match self {
            Source::Rtsp(_) => {
                format!("rtspsrc name=source latency=0 protocols=tcp ! {depay} ! {decode}")
            }
            Source::V4l2(_) => "v4l2src name=source ! decodebin".into(),
            Source::File(_) => "filesrc name=source ! decodebin".into(),
            Source::Pipeline(text) => text.clone(),
        };
        let sink = match (self, pacing) {
            (Source::File(_), Pacing::RealTime) => "sync=true max-buffers=1 drop=true",
            (_, Pacing::RealTime) => "sync=false max-buffers=1 drop=true",
            (_, Pacing::EveryFrame) => "sync=false max-buffers=2",
        };
        format!("{head} ! videoconvert ! video/x-raw,format={{I420,NV12}} ! appsink name=frames {sink}")
    }
}

/// A built pipeline, not yet playing, and the sink its frames arrive at.
pub struct Capture {
    pub pipeline: gstreamer::Pipeline,
    pub frames: AppSink,
}

impl Capture {
    pub fn build(
        source: &Source,
        codec: Codec,
        decoder: &Decoder,
        pacing: Pacing,
    ) -> Result<Capture, CameraError> {
        gstreamer::init().map_err(CameraError::Start)?;
        let text = source.launch_text(codec, decoder, pacing);
        let failed = |why: String| CameraError::Pipeline(format!("{why} (in: {})", redact(&text)));
        let element = gstreamer::parse::launch(&text).map_err(|error| failed(error.to_string()))?;
        let pipeline = element.downcast::<gstreamer::Pipeline>();
        let pipeline = pipeline.map_err(|_| failed("not a pipeline".into()))?;
        if let Some(source_element) = pipeline.by_name("source") {
            match source {
                Source::Rtsp(url) => source_element.set_property("location", url),
                Source::V4l2(path) => source_element.set_property("device", path),
                Source::File(path) => source_element.set_property("location", path),
                Source::Pipeline(_) => {}
            }
        }
        let frames = pipeline.by_name("frames").and_then(|sink| sink.downcast::<AppSink>().ok());
        let frames = frames.ok_or_else(|| failed("no appsink".into()))?;
        Ok(Capture { pipeline, frames })
    }

    pub fn play(&self) -> Result<(), CameraError> {
        let refused = |_| CameraError::Stream(self.error().unwrap_or_else(|| "does not start".into()));
        self.pipeline.set_state(gstreamer::State::Playing).map(drop).map_err(refused)
    }

    /// The first error that waits on the pipeline's bus.
    pub fn error(&self) -> Option<String> {
        let message = self.pipeline.bus()?.pop_filtered(&[gstreamer::MessageType::Error])?;
        match message.view() {
            gstreamer::MessageView::Error(error) => Some(error.error().to_string()),
            _ => None,
        }
    }
}

/// The text with `***` for every password in it: before the `@` of a URL, and as a parameter.
fn redact(text: &str) -> String {
    const PARAMETERS: [&str; 5] = ["password=", "passwd=", "pass=", "pwd=", "user-pw="];
    let mut safe = redact_urls(text);
    for parameter in PARAMETERS {
        let mut from = 0;
        while let Some(found) = safe[from..].to_ascii_lowercase().find(parameter) {
            let start = from + found + parameter.len();
            let length = safe[start..].find(['&', ' ', '"', '\'', '/']).unwrap_or(safe.len() - start);
            safe.replace_range(start..start + length, "***");
            from = start;
        }
    }
    safe
}

fn redact_urls(text: &str) -> String {
    let mut parts = text.split("://");
    let mut safe = parts.next().unwrap_or_default().to_string();
    for part in parts {
        // An address ends at white space or a quotation mark.
        let end = part.find([' ', '"', '\'']).unwrap_or(part.len());
        let (address, rest) = part.split_at(end);
        let visible = address.rfind('@').map_or(address.to_string(), |at| format!("***{}", &address[at..]));
        safe += &format!("://{visible}{rest}");
    }
    safe
}

impl Drop for Capture {
    fn drop(&mut self) {
        // A pipeline that is dropped while it plays leaks its threads.
        let _ = self.pipeline.set_state(gstreamer::State::Null);
    }
}

/// Turns samples into frames; remembers the format between samples, which is parsed only when
/// it changes.
#[derive(Default)]
pub struct Reader {
    known: Option<(gstreamer::Caps, VideoInfo)>,
}

impl Reader {
    /// Calls `then` with the sample's frame, borrowed from GStreamer's buffer.
    pub fn read<T>(
        &mut self,
        sample: &gstreamer::SampleRef,
        arrival: Instant,
        then: impl FnOnce(&Frame) -> T,
    ) -> Result<T, CameraError> {
        let unusable = |what: &str| CameraError::Format(what.into());
        let caps = sample.caps().ok_or_else(|| unusable("no format"))?;
        let same = |known: &gstreamer::Caps| known.as_ptr() == caps.as_mut_ptr();
        if !self.known.as_ref().is_some_and(|(known, _)| same(known)) {
            let info = VideoInfo::from_caps(caps).map_err(|_| unusable(&caps.to_string()))?;
            self.known = Some((caps.to_owned(), info));
        }
        let (_, info) = self.known.as_ref().ok_or_else(|| unusable("no format"))?;
        let buffer = sample.buffer().ok_or_else(|| unusable("no picture"))?;
        let picture = VideoFrameRef::from_buffer_ref_readable(buffer, info)
            .map_err(|_| unusable("a buffer that cannot be mapped"))?;
        let plane = |index: u32| -> Result<Plane, CameraError> {
            let bytes = picture.plane_data(index).map_err(|_| unusable("a missing plane"))?;
            Ok(Plane { bytes, stride: picture.plane_stride()[index as usize] as usize })
        };
        let chroma = match info.format() {
            VideoFormat::I420 => Chroma::Planar { u: plane(1)?, v: plane(2)? },
            VideoFormat::Nv12 => Chroma::Interleaved(plane(1)?),
            other => return Err(CameraError::Format(other.to_string())),
        };
        let frame = Frame {
            width: info.width() as usize,
            height: info.height() as usize,
            luma: plane(0)?,
            chroma,
            colour: colour(info),
            arrival,
        };
        Ok(then(&frame))
    }
}

fn colour(info: &VideoInfo) -> Colour {
    let colorimetry = info.colorimetry();
    let matrix = match colorimetry.matrix() {
        VideoColorMatrix::Bt601 | VideoColorMatrix::Fcc | VideoColorMatrix::Smpte240m => Matrix::Bt601,
        VideoColorMatrix::Bt709 => Matrix::Bt709,
        // Unsaid: HD is BT.709 by convention.
        _ if info.height() >= 720 => Matrix::Bt709,
        _ => Matrix::Bt601,
    };
    let range = match colorimetry.range() {
        VideoColorRange::Range0_255 => Range::Full,
        _ => Range::Limited,
    };
    Colour { matrix, range }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_told_apart() {
        assert_eq!(Source::parse(" rtsp://a/b!c "), Source::Rtsp("rtsp://a/b!c".into()));
        assert_eq!(Source::parse("/dev/video0"), Source::V4l2("/dev/video0".into()));
        let by_id = "/dev/v4l/by-id/usb-cam-index0";
        assert_eq!(Source::parse(by_id), Source::V4l2(by_id.into()));
        assert_eq!(Source::parse("file:///a b.mp4"), Source::File("/a b.mp4".into()));
        assert_eq!(Source::parse("clip.avi"), Source::File("clip.avi".into()));
        let pipeline = "videotestsrc ! videorate";
        assert_eq!(Source::parse(pipeline), Source::Pipeline(pipeline.into()));
    }

    #[test]
    fn passwords_do_not_reach_the_log() {
        let source = Source::parse("rtsp://admin:p@ss@10.0.0.2:554/live");
        assert_eq!(source.redacted(), "rtsp://***@10.0.0.2:554/live");
        assert_eq!(Source::parse("rtsp://10.0.0.2/live").redacted(), "rtsp://10.0.0.2/live");
        let query = Source::parse("rtsp://10.0.0.2/user=admin&password=hunter2&channel=1");
        assert_eq!(query.redacted(), "rtsp://10.0.0.2/user=admin&password=***&channel=1");
        let pipeline = Source::parse("souphttpsrc location=\"http://me:secret@cam/a.jpg\" ! jpegdec");
        assert_eq!(pipeline.redacted(), "souphttpsrc location=\"http://***@cam/a.jpg\" ! jpegdec");
    }
}
