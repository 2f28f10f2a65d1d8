//! Cameras: from a source's text to borrowed frames, by GStreamer. `ajard` and `ajar` share it.
//!
//! ```text
//! source  where frames come from, and the pipeline that brings them
//! reader  from GStreamer's samples to borrowed frames
//! ```

mod reader;
mod source;

use crate::board::Decoder;
use crate::config::Codec;
use gstreamer::glib;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
pub use reader::Reader;
pub use source::{Pacing, Source, redact, split_login};

#[derive(Debug, thiserror::Error)]
pub enum CameraError {
    #[error("GStreamer does not start: {0}")]
    Start(glib::Error),
    #[error("the pipeline cannot be built: {0}")]
    Pipeline(String),
    #[error("{0}")]
    Stream(String),
    /// It will say the same until a person changes something.
    #[error("{0}")]
    Refused(String),
    #[error("the camera sends {0}, which is not a 4:2:0 picture")]
    Format(String),
}

impl CameraError {
    pub const WRONG_PASSWORD: &str = "the camera refuses the user name or the password of its URL";
    pub const NO_SUCH_STREAM: &str = "the camera has no such stream: check the path of its URL";

    /// What an element of GStreamer says of itself.
    fn of_element(error: &gstreamer::message::Error, source: &Source) -> CameraError {
        use gstreamer::ResourceError::{NotAuthorized, NotFound};
        let failure = error.error();
        let details = error.debug().unwrap_or_default();
        match source {
            Source::File(path) | Source::V4l2(path) if failure.matches(NotFound) => {
                CameraError::Stream(format!("{}: no such file or device", path.display()))
            }
            Source::Rtsp { .. } | Source::Http(_) => {
                if failure.matches(NotAuthorized) || details.contains("(401)") {
                    CameraError::Refused(CameraError::WRONG_PASSWORD.into())
                } else if failure.matches(NotFound) {
                    CameraError::Refused(CameraError::NO_SUCH_STREAM.into())
                } else if details.contains("TLS") || details.contains("certificate") {
                    CameraError::Refused(format!("the camera's certificate is not accepted: {failure}"))
                } else {
                    CameraError::Stream(format!("{failure} Does {} answer?", source.redacted()))
                }
            }
            _ => CameraError::Stream(failure.to_string()),
        }
    }
}

/// A built pipeline, not yet playing, and the sink its frames arrive at.
pub struct Capture {
    pub pipeline: gstreamer::Pipeline,
    pub frames: AppSink,
    source: Source,
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
        let failed = |why: String| CameraError::Pipeline(redact(&format!("{why} (in: {text})")));
        let element = gstreamer::parse::launch(&text).map_err(|error| failed(error.to_string()))?;
        let pipeline = element.downcast::<gstreamer::Pipeline>();
        let pipeline = pipeline.map_err(|_| failed("not a pipeline".into()))?;
        if let Some(element) = pipeline.by_name("source") {
            source.locate(&element);
        }
        let frames = pipeline.by_name("frames").and_then(|sink| sink.downcast::<AppSink>().ok());
        let frames = frames.ok_or_else(|| failed("no appsink".into()))?;
        Ok(Capture { pipeline, frames, source: source.clone() })
    }

    /// Where a receiver of its own puts the stream's pictures; see [`Source::Rtsp`].
    pub fn inlet(&self) -> Option<AppSrc> {
        self.pipeline.by_name("source")?.downcast().ok()
    }

    pub fn play(&self) -> Result<(), CameraError> {
        let refused = |_| self.error().unwrap_or_else(|| CameraError::Stream("does not start".into()));
        self.pipeline.set_state(gstreamer::State::Playing).map(drop).map_err(refused)
    }

    /// The first error that waits on the pipeline's bus.
    pub fn error(&self) -> Option<CameraError> {
        let message = self.pipeline.bus()?.pop_filtered(&[gstreamer::MessageType::Error])?;
        match message.view() {
            gstreamer::MessageView::Error(error) => Some(CameraError::of_element(error, &self.source)),
            _ => None,
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // A pipeline that is dropped while it plays leaks its threads.
        let _ = self.pipeline.set_state(gstreamer::State::Null);
    }
}
