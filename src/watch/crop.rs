//! The crop: the fixed buffer that holds it between the camera's thread and the loop.
//!
//! A dataset's picture takes the same way (see `companion::picture`), so training never sees
//! anything the device would not have produced.

use super::colour::ToRgb;
use super::frame::{Chroma, Colour, Frame, Plane};
use super::input::sample;
pub use super::input::{INPUT_SIDE, Input};
pub use super::region::{PixelRect, Region};
use super::shrink::shrink;
use embassy_time::Instant;

/// Longest side of a buffered crop in pixels.
///
/// A larger crop is averaged down in boxes, by the smallest whole factor that fits, so that memory is
/// fixed whatever the camera sends. At least 256 pixels stay of its longer side, twice what the
/// engine sees: the boxes cost next to no sharpness. Pixels at the right and lower edge that do not
/// fill two boxes are left out.
pub const MAX_CROP_SIDE: usize = 512;
const CHROMA_SIDE: usize = MAX_CROP_SIDE / 2;

/// One crop in fixed memory: I420 planes of at most [`MAX_CROP_SIDE`] pixels a side.
pub struct CropBuffer {
    luma: [u8; MAX_CROP_SIDE * MAX_CROP_SIDE],
    u: [u8; CHROMA_SIDE * CHROMA_SIDE],
    v: [u8; CHROMA_SIDE * CHROMA_SIDE],
    width: usize,
    height: usize,
    colour: Colour,
    /// Width and height of the frame it was cut from.
    frame_size: (usize, usize),
    arrival: Instant,
}

impl Default for CropBuffer {
    fn default() -> Self {
        CropBuffer {
            luma: [0; MAX_CROP_SIDE * MAX_CROP_SIDE],
            u: [0; CHROMA_SIDE * CHROMA_SIDE],
            v: [0; CHROMA_SIDE * CHROMA_SIDE],
            width: 0,
            height: 0,
            colour: Colour::JPEG,
            frame_size: (0, 0),
            arrival: Instant::MIN,
        }
    }
}

impl CropBuffer {
    /// Copies `rect` out of `frame`, replacing what was there. `rect` must lie inside the frame
    /// (see [`Region::pixels`]).
    pub fn copy_from(&mut self, frame: &Frame, rect: PixelRect) {
        let factor = rect.width.max(rect.height).div_ceil(MAX_CROP_SIDE);
        // A side too short to be divided keeps two samples.
        let factors = (factor.min(rect.width / 2), factor.min(rect.height / 2));
        self.width = (rect.width / factors.0) & !1;
        self.height = (rect.height / factors.1) & !1;
        self.colour = frame.colour;
        self.frame_size = (frame.width, frame.height);
        self.arrival = frame.arrival;
        let (w, h) = (self.width, self.height);
        let luma = &mut self.luma[..w * h];
        shrink(frame.luma, (rect.x, rect.y), factors, [luma], w);
        let at = (rect.x / 2, rect.y / 2);
        let (u, v) = (&mut self.u[..w * h / 4], &mut self.v[..w * h / 4]);
        match frame.chroma {
            Chroma::Planar { u: from_u, v: from_v } => {
                shrink(from_u, at, factors, [u], w / 2);
                shrink(from_v, at, factors, [v], w / 2);
            }
            Chroma::Interleaved(uv) => shrink(uv, at, factors, [u, v], w / 2),
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// Width and height of the frame it was cut from.
    pub fn frame_size(&self) -> (usize, usize) {
        self.frame_size
    }

    /// A number that crops of the same bytes share, and others practically never.
    pub fn fingerprint(&self) -> u64 {
        let (samples, quarter) = (self.width * self.height, self.width * self.height / 4);
        let planes = [&self.luma[..samples], &self.u[..quarter], &self.v[..quarter]];
        planes.iter().fold(self.width as u64, |hash, plane| fingerprint(hash, plane))
    }

    /// When the frame it was cut from arrived.
    pub fn arrival(&self) -> Instant {
        self.arrival
    }

    pub fn luma(&self) -> Plane<'_> {
        Plane { bytes: &self.luma[..self.width * self.height], stride: self.width }
    }

    /// The buffer's own planes as a picture.
    pub fn as_frame(&self) -> Frame<'_> {
        let (width, height) = (self.width, self.height);
        let half = |bytes| Plane { bytes, stride: width / 2 };
        let chroma = Chroma::Planar { u: half(&self.u), v: half(&self.v) };
        Frame { width, height, luma: self.luma(), chroma, colour: self.colour, arrival: self.arrival }
    }

    /// Writes the engine's input: the whole crop, by the fused step ([`sample`]).
    pub fn sample(&self, input: &mut Input) {
        let whole = PixelRect { x: 0, y: 0, width: self.width, height: self.height };
        sample(&self.as_frame(), whole, input);
    }

    /// Calls `put(x, y, [r, g, b])` for every pixel at the crop's own size, chroma repeated.
    pub fn for_each_rgb(&self, mut put: impl FnMut(usize, usize, [u8; 3])) {
        let convert = ToRgb::new(self.colour);
        for y in 0..self.height {
            for x in 0..self.width {
                let c = y / 2 * (self.width / 2) + x / 2;
                let luma = self.luma[y * self.width + x];
                put(x, y, convert.pixel(luma, self.u[c], self.v[c]));
            }
        }
    }
}

/// Multiplication spreads each bit upwards, rotation brings it back down.
fn fingerprint(hash: u64, bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    let mix = |hash: u64, word: u64| (hash ^ word).wrapping_mul(ODD).rotate_left(29);
    let (words, rest) = bytes.as_chunks();
    let hash = words.iter().fold(hash, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    rest.iter().fold(hash, |hash, &byte| mix(hash, u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame<'a>(width: usize, height: usize, y: &'a [u8], uv: Chroma<'a>) -> Frame<'a> {
        let luma = Plane { bytes: y, stride: width };
        Frame { width, height, luma, chroma: uv, colour: Colour::JPEG, arrival: Instant::MIN }
    }

    #[test]
    fn nv12_and_i420_give_the_same_crop() {
        let (w, h) = (20, 12);
        let y: Vec<u8> = (0..w * h).map(|i| i as u8).collect();
        let u: Vec<u8> = (0..w * h / 4).map(|i| (i * 3) as u8).collect();
        let v: Vec<u8> = (0..w * h / 4).map(|i| (255 - i) as u8).collect();
        let uv: Vec<u8> = u.iter().zip(&v).flat_map(|(&u, &v)| [u, v]).collect();
        let plane = |bytes| Plane { bytes, stride: w / 2 };
        let i420 = frame(w, h, &y, Chroma::Planar { u: plane(&u), v: plane(&v) });
        let nv12 = frame(w, h, &y, Chroma::Interleaved(Plane { bytes: &uv, stride: w }));
        let rect = Region::new([0.2, 0.2, 0.8, 0.9]).unwrap().pixels(w, h).unwrap();
        let inputs = [i420, nv12].map(|frame| {
            let mut crop = Box::<CropBuffer>::default();
            crop.copy_from(&frame, rect);
            let mut input = Input::default();
            crop.sample(&mut input);
            input.codes
        });
        assert!(inputs[0] == inputs[1]);
    }

    #[test]
    fn a_large_crop_is_averaged_into_the_buffer() {
        let (w, h) = (1600, 1200);
        let y: Vec<u8> = (0..w * h).map(|i| if i % w < w / 2 { 40 } else { 200 }).collect();
        let c = vec![128; w * h / 4];
        let plane = Plane { bytes: &c, stride: w / 2 };
        let mut crop = Box::<CropBuffer>::default();
        let rect = Region::FULL.pixels(w, h).unwrap();
        crop.copy_from(&frame(w, h, &y, Chroma::Planar { u: plane, v: plane }), rect);
        assert_eq!((crop.width(), crop.height()), (400, 300));
        let luma = crop.luma();
        assert_eq!((luma.row(7, 10, 1)[0], luma.row(7, 390, 1)[0]), (40, 200));
    }

    #[test]
    fn every_byte_of_a_crop_is_in_its_fingerprint() {
        let (w, h) = (22, 14);
        let show = |at: usize, by: u8| {
            let mut bytes = vec![100u8; w * h * 3 / 2];
            bytes[at] += by;
            let (y, c) = bytes.split_at(w * h);
            let (u, v) = c.split_at(w * h / 4);
            let plane = |bytes| Plane { bytes, stride: w / 2 };
            let mut crop = Box::<CropBuffer>::default();
            let whole = Region::FULL.pixels(w, h).unwrap();
            crop.copy_from(&frame(w, h, y, Chroma::Planar { u: plane(u), v: plane(v) }), whole);
            crop.fingerprint()
        };
        let still = show(0, 0);
        assert_eq!(show(5, 0), still);
        for at in 0..w * h * 3 / 2 {
            assert_ne!(show(at, 1), still, "byte {at}");
        }
    }
}
