//! The crop: where it is, the fixed buffer that holds it, and its way into the engine's input.
//!
//! A dataset's picture takes the same way (see `companion::picture`), so training never sees
//! anything the device would not have produced.

use super::colour::ToRgb;
use super::frame::{Chroma, Colour, Frame, Plane};
use super::resize::{FRACTION_BITS, Resize};
pub use super::resize::{INPUT_SIDE, MAX_CROP_SIDE};
use embassy_time::Instant;

const CHROMA_SIDE: usize = MAX_CROP_SIDE / 2;

/// A rectangle of a frame, in fractions of its width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    x1: f32,
    y1: f32,
    x2: f32,
    y2: f32,
}

/// A rectangle in whole pixels; every edge is even, so that it also cuts 4:2:0 chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Region {
    pub const FULL: Region = Region { x1: 0.0, y1: 0.0, x2: 1.0, y2: 1.0 };

    /// `[x1, y1, x2, y2]` in fractions of the frame. `None` unless all are finite,
    /// `0 <= x1 < x2 <= 1` and `0 <= y1 < y2 <= 1`.
    pub fn new([x1, y1, x2, y2]: [f32; 4]) -> Option<Region> {
        let inside = |a: f32, b: f32| 0.0 <= a && a < b && b <= 1.0;
        (inside(x1, x2) && inside(y1, y2)).then_some(Region { x1, y1, x2, y2 })
    }

    /// The pixels it covers in a frame of this size, grown outwards to even edges and kept
    /// inside. `None` if the frame is smaller than 2 x 2.
    pub fn pixels(&self, frame_width: usize, frame_height: usize) -> Option<PixelRect> {
        let (x, width) = even_span(self.x1, self.x2, frame_width)?;
        let (y, height) = even_span(self.y1, self.y2, frame_height)?;
        Some(PixelRect { x, y, width, height })
    }
}

/// Start and length, both even, of the fractions `from..to` of `size` pixels.
fn even_span(from: f32, to: f32, size: usize) -> Option<(usize, usize)> {
    let size = size & !1;
    if size < 2 {
        return None;
    }
    // Both are inside 0..=size, so truncation is floor. A thousandth of a pixel absorbs the
    // rounding of fractions that were made from whole pixels.
    let start = (from * size as f32 + 0.001) as usize & !1;
    let end_exact = to * size as f32 - 0.001;
    let end = (end_exact as usize + 2) & !1;
    let start = start.min(size - 2);
    Some((start, end.clamp(start + 2, size) - start))
}

/// One crop in fixed memory: I420 planes of at most [`MAX_CROP_SIDE`] pixels a side.
pub struct CropBuffer {
    luma: [u8; MAX_CROP_SIDE * MAX_CROP_SIDE],
    u: [u8; CHROMA_SIDE * CHROMA_SIDE],
    v: [u8; CHROMA_SIDE * CHROMA_SIDE],
    width: usize,
    height: usize,
    colour: Colour,
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
        self.arrival = frame.arrival;
        let (w, h) = (self.width, self.height);
        shrink(frame.luma, (rect.x, rect.y), 1, factors, &mut self.luma[..w * h], w);
        let (cw, ch) = (w / 2, h / 2);
        let at = (rect.x / 2, rect.y / 2);
        let (u, v) = (&mut self.u[..cw * ch], &mut self.v[..cw * ch]);
        match frame.chroma {
            Chroma::Planar { u: from_u, v: from_v } => {
                shrink(from_u, at, 1, factors, u, cw);
                shrink(from_v, at, 1, factors, v, cw);
            }
            Chroma::Interleaved(uv) => {
                let second = Plane { bytes: &uv.bytes[1..], stride: uv.stride };
                shrink(uv, at, 2, factors, u, cw);
                shrink(second, at, 2, factors, v, cw);
            }
        }
    }

    pub fn width(&self) -> usize {
        self.width
    }

    pub fn height(&self) -> usize {
        self.height
    }

    /// When the frame it was cut from arrived.
    pub fn arrival(&self) -> Instant {
        self.arrival
    }

    pub fn luma(&self) -> Plane<'_> {
        Plane { bytes: &self.luma[..self.width * self.height], stride: self.width }
    }

    /// Writes the engine's input: the whole crop resized to [`INPUT_SIDE`] squared, as RGB.
    pub fn sample(&self, input: &mut Input) {
        let mut y = [0u16; INPUT_SIDE];
        let mut u = [0u16; INPUT_SIDE];
        let mut v = [0u16; INPUT_SIDE];
        let convert = ToRgb::new(self.colour);
        let luma = Resize::new(self.width, self.height);
        let chroma = Resize::new(self.width / 2, self.height / 2);
        for (row, out) in input.rgb.chunks_exact_mut(INPUT_SIDE * 3).enumerate() {
            luma.row(&self.luma, row, &mut y);
            chroma.row(&self.u, row, &mut u);
            chroma.row(&self.v, row, &mut v);
            for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
                pixel.copy_from_slice(&convert.pixel(y[x], u[x], v[x]));
            }
        }
    }

    /// Calls `put(x, y, [r, g, b])` for every pixel at the crop's own size, chroma repeated.
    pub fn for_each_rgb(&self, mut put: impl FnMut(usize, usize, [u8; 3])) {
        let convert = ToRgb::new(self.colour);
        let wide = |code: u8| u16::from(code) << FRACTION_BITS;
        for y in 0..self.height {
            for x in 0..self.width {
                let c = y / 2 * (self.width / 2) + x / 2;
                let luma = self.luma[y * self.width + x];
                put(x, y, convert.pixel(wide(luma), wide(self.u[c]), wide(self.v[c])));
            }
        }
    }
}

/// Averages boxes of `factors` (across, down) samples of `from`, starting at sample `(x, y)`, into
/// rows of `width`; `step` is the distance of two samples of one component in a row.
fn shrink(
    from: Plane,
    (x, y): (usize, usize),
    step: usize,
    factors: (usize, usize),
    to: &mut [u8],
    width: usize,
) {
    let (across, down) = factors;
    for (row, out) in to.chunks_exact_mut(width).enumerate() {
        if factors == (1, 1) && step == 1 {
            out.copy_from_slice(from.row(y + row, x, width));
            continue;
        }
        for (column, out) in out.iter_mut().enumerate() {
            let mut sum = 0u32;
            for dy in 0..down {
                let start = (y + row * down + dy) * from.stride + (x + column * across) * step;
                sum +=
                    from.bytes[start..].iter().step_by(step).take(across).map(|&s| u32::from(s)).sum::<u32>();
            }
            let count = (across * down) as u32;
            *out = ((sum + count / 2) / count) as u8;
        }
    }
}

/// The engine's input: 128 x 128 x 3, RGB, 0..=255, row by row.
#[derive(Clone)]
pub struct Input {
    pub rgb: [u8; INPUT_SIDE * INPUT_SIDE * 3],
}

impl Default for Input {
    fn default() -> Self {
        Input { rgb: [0; INPUT_SIDE * INPUT_SIDE * 3] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_are_not_rectangles_are_refused() {
        for bad in [
            [0.5, 0.0, 0.5, 1.0],
            [0.6, 0.0, 0.5, 1.0],
            [-0.1, 0.0, 0.5, 1.0],
            [0.0, 0.0, 1.1, 1.0],
            [f32::NAN, 0.0, 1.0, 1.0],
            [0.0, 0.0, f32::INFINITY, 1.0],
        ] {
            assert_eq!(Region::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn pixels_are_even_and_inside() {
        let rect = |r: [f32; 4], w, h| Region::new(r).unwrap().pixels(w, h);
        let full = PixelRect { x: 0, y: 0, width: 640, height: 480 };
        assert_eq!(rect([0.0, 0.0, 1.0, 1.0], 640, 480), Some(full));
        // Made from whole pixels 330,40..570,400 of 768 x 432.
        let fractions = [330.0 / 768.0, 40.0 / 432.0, 570.0 / 768.0, 400.0 / 432.0];
        let exact = PixelRect { x: 330, y: 40, width: 240, height: 360 };
        assert_eq!(rect(fractions, 768, 432), Some(exact));
        // Odd edges grow outwards.
        let grown = PixelRect { x: 2, y: 4, width: 6, height: 4 };
        assert_eq!(rect([0.3, 0.5, 0.7, 0.7], 10, 10), Some(grown));
        assert_eq!(rect([0.0, 0.0, 1.0, 1.0], 1, 480), None);
        // A sliver is still two pixels.
        let sliver = PixelRect { x: 638, y: 478, width: 2, height: 2 };
        assert_eq!(rect([0.9999, 0.9999, 1.0, 1.0], 640, 480), Some(sliver));
    }

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
            input.rgb
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
}
