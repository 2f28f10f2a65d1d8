//! JPEG files, made on the caller's own thread and at its priority.
//!
//! Their colours are JPEG's own (BT.601, full range) whatever the camera's are, so that whatever reads such a file sees what
//! the device saw. GStreamer's converter is not asked: between two I420 pictures it overlooks the range.

use crate::camera::Reader;
use crate::watch::crop::{CropBuffer, PixelRect, Region};
use crate::watch::frame::{Chroma, Colour, Frame, Matrix, Range};
use embassy_time::Instant;
use gstreamer::prelude::*;
use gstreamer_app::AppSink;
use gstreamer_video::prelude::*;
use gstreamer_video::{VideoFormat, VideoFrameRef, VideoInfo};

const PIPELINE: &str = "jpegenc quality=90 ! appsink name=out sync=false async=false";

/// Of a frame as a camera's pipeline has put it out.
pub fn of_sample(sample: &gstreamer::SampleRef) -> Result<Vec<u8>, String> {
    let jpeg = Reader::default().read(sample, Instant::MIN, |frame| of_frame(frame, Region::FULL));
    jpeg.map_err(|error| error.to_string())?
}

/// Of a part of a frame, at its own size.
pub fn of_frame(frame: &Frame, region: Region) -> Result<Vec<u8>, String> {
    let rect = region.pixels(frame.width, frame.height).ok_or("it is smaller than 2 x 2 pixels")?;
    let info = VideoInfo::builder(VideoFormat::I420, rect.width as u32, rect.height as u32).build();
    let info = info.map_err(|error| error.to_string())?;
    let buffer = convert(frame, rect, &info).map_err(|error| error.to_string())?;
    encode(&info.to_caps().map_err(|error| error.to_string())?, buffer)
}

/// Of a crop that was looked at.
pub fn of_crop(crop: &CropBuffer) -> Result<Vec<u8>, String> {
    of_frame(&crop.as_frame(), Region::FULL)
}

/// Copies `rect` out of the frame, in JPEG's colours. Chroma stays where it is, as for the engine.
fn convert(
    frame: &Frame,
    rect: PixelRect,
    info: &VideoInfo,
) -> Result<gstreamer::Buffer, gstreamer::glib::BoolError> {
    let colours = ToJpeg::new(frame.colour);
    let mut buffer = gstreamer::Buffer::with_size(info.size())?;
    let mut to = VideoFrameRef::from_buffer_ref_writable(buffer.make_mut(), info)?;
    let strides = [0, 1, 2].map(|plane| to.plane_stride()[plane] as usize);
    let [luma, u, v, _] = to.planes_data_mut();
    for y in 0..rect.height {
        let (half_x, half_y, half_width) = (rect.x / 2, (rect.y + y) / 2, rect.width / 2);
        let (from_u, from_v, step) = match frame.chroma {
            Chroma::Planar { u, v } => {
                (u.row(half_y, half_x, half_width), v.row(half_y, half_x, half_width), 1)
            }
            Chroma::Interleaved(uv) => {
                let row = uv.row(half_y, rect.x, rect.width);
                (row, &row[1..], 2)
            }
        };
        let row = frame.luma.row(rect.y + y, rect.x, rect.width);
        let to_luma = &mut luma[y * strides[0]..][..rect.width];
        let to_u = &mut u[y / 2 * strides[1]..][..half_width];
        let to_v = &mut v[y / 2 * strides[2]..][..half_width];
        for x in 0..half_width {
            let chroma = [from_u[step * x], from_v[step * x]];
            let shift = colours.luma_shift(chroma);
            for (to, from) in to_luma[2 * x..][..2].iter_mut().zip(&row[2 * x..]) {
                *to = colours.luma(*from, shift);
            }
            [to_u[x], to_v[x]] = colours.chroma(chroma);
        }
    }
    drop(to);
    Ok(buffer)
}

/// From a frame's colours to JPEG's, in units of 1 / `ONE`. Grey stays grey, so that only luma depends on all three.
struct ToJpeg {
    gain: i32,
    /// Of a luma of 0, and what rounds.
    offset: i32,
    /// Y, U and V of one unit of U, and of V.
    of_u: [i32; 3],
    of_v: [i32; 3],
}

const ONE: f32 = 65536.0;

impl ToJpeg {
    fn new(Colour { matrix, range }: Colour) -> ToJpeg {
        let (red, blue) = match matrix {
            Matrix::Bt601 => (0.299, 0.114),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let (black, gain, chroma_gain) = match range {
            Range::Limited => (16.0, 255.0 / 219.0, 255.0 / 224.0),
            Range::Full => (0.0, 1.0, 1.0),
        };
        let green = 1.0 - red - blue;
        let fixed = |value: f32| (value * ONE).round() as i32;
        let unit = |u: f32, v: f32| {
            let (r, b) = (2.0 * (1.0 - red) * v, 2.0 * (1.0 - blue) * u);
            let g = -(red * r + blue * b) / green;
            let luma = 0.299 * r + 0.587 * g + 0.114 * b;
            [luma, (b - luma) / 1.772, (r - luma) / 1.402].map(|value| fixed(value * chroma_gain))
        };
        let offset = fixed(0.5 - black * gain);
        ToJpeg { gain: fixed(gain), offset, of_u: unit(1.0, 0.0), of_v: unit(0.0, 1.0) }
    }

    fn luma_shift(&self, [u, v]: [u8; 2]) -> i32 {
        self.of_u[0] * centred(u) + self.of_v[0] * centred(v) + self.offset
    }

    fn luma(&self, luma: u8, shift: i32) -> u8 {
        whole(i32::from(luma) * self.gain + shift)
    }

    fn chroma(&self, [u, v]: [u8; 2]) -> [u8; 2] {
        const MIDDLE: i32 = (128.5 * ONE) as i32;
        [1, 2].map(|i| whole(self.of_u[i] * centred(u) + self.of_v[i] * centred(v) + MIDDLE))
    }
}

fn centred(chroma: u8) -> i32 {
    i32::from(chroma) - 128
}

fn whole(value: i32) -> u8 {
    (value >> 16).clamp(0, 255) as u8
}

/// Elements that are pushed into from here have no threads of their own.
fn encode(caps: &gstreamer::Caps, buffer: gstreamer::Buffer) -> Result<Vec<u8>, String> {
    let bin = gstreamer::parse::bin_from_description(PIPELINE, true).map_err(|error| error.to_string())?;
    let jpeg = push(&bin, caps, buffer);
    let _ = bin.set_state(gstreamer::State::Null);
    jpeg.ok_or_else(|| "the picture cannot be turned into a JPEG file".to_string())
}

fn push(bin: &gstreamer::Bin, caps: &gstreamer::Caps, buffer: gstreamer::Buffer) -> Option<Vec<u8>> {
    let out = bin.by_name("out")?.downcast::<AppSink>().ok()?;
    let pad = gstreamer::Pad::builder(gstreamer::PadDirection::Src).name("picture").build();
    pad.link(&bin.static_pad("sink")?).ok()?;
    bin.set_state(gstreamer::State::Playing).ok()?;
    pad.set_active(true).ok()?;
    let segment = gstreamer::FormattedSegment::<gstreamer::ClockTime>::new();
    for event in [
        gstreamer::event::StreamStart::new("picture"),
        gstreamer::event::Caps::new(caps),
        gstreamer::event::Segment::new(&segment),
    ] {
        pad.push_event(event);
    }
    pad.push(buffer).ok()?;
    let jpeg = out.try_pull_sample(gstreamer::ClockTime::ZERO)?;
    Some(jpeg.buffer()?.map_readable().ok()?.to_vec())
}

#[cfg(all(test, feature = "companion"))]
mod tests {
    use super::*;
    use crate::companion::picture;
    use crate::watch::crop::Input;
    use crate::watch::frame::Plane;
    use crate::watch::input::INPUT_SIDE;

    /// Smooth colours, with an edge.
    fn crop(colour: Colour) -> Box<CropBuffer> {
        let (width, height) = (322, 200);
        let at = |i: usize, width: usize| (i % width, i / width);
        let luma: Vec<u8> = (0..width * height)
            .map(|i| at(i, width))
            .map(|(x, y)| if x > 200 { 190 } else { (30 + x / 2 + y / 4) as u8 })
            .collect();
        let chroma = |from: usize| -> Vec<u8> {
            (0..width * height / 4)
                .map(|i| at(i, width / 2))
                .map(|(x, y)| (from + x / 3 + y / 3) as u8)
                .collect()
        };
        let (u, v) = (chroma(80), chroma(100));
        let plane = |bytes| Plane { bytes, stride: width / 2 };
        let frame = Frame {
            width,
            height,
            luma: Plane { bytes: &luma, stride: width },
            chroma: Chroma::Planar { u: plane(&u), v: plane(&v) },
            colour,
            arrival: Instant::MIN,
        };
        let mut crop = Box::<CropBuffer>::default();
        crop.copy_from(&frame, Region::FULL.pixels(width, height).unwrap());
        crop
    }

    #[test]
    fn a_file_shows_the_engine_what_the_crop_showed_it() {
        gstreamer::init().unwrap();
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for range in [Range::Limited, Range::Full] {
                let crop = crop(Colour { matrix, range });
                let mut here = Input::default();
                crop.sample(&mut here);
                let there = picture::read(&of_crop(&crop).unwrap()).unwrap();
                let pairs = here.codes.iter().zip(&there.codes);
                let sum: u32 = pairs.clone().map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
                let mean = sum as f32 / (INPUT_SIDE * INPUT_SIDE * 3) as f32;
                let most = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                println!("{matrix:?} {range:?}: mean difference {mean:.2}, largest {most}");
                assert!(mean < 1.0, "{matrix:?} {range:?}: mean difference {mean}");
            }
        }
    }
}
