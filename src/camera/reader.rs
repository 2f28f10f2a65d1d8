//! From GStreamer's samples to borrowed frames.

use super::CameraError;
use crate::watch::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use embassy_time::Instant;
use gstreamer_video::prelude::*;
use gstreamer_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameRef, VideoInfo};

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
