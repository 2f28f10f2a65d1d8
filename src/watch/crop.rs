//! The crop: where it is, the fixed buffer that holds it, and its way into the engine's input.
//!
//! A dataset's picture takes the same way (see `companion::picture`), so training never sees
//! anything the device would not have produced.

use super::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use embassy_time::Instant;

/// Longest side of a buffered crop in pixels. A larger crop is averaged down by the smallest
/// whole factor that fits, which still leaves twice [`INPUT_SIDE`].
pub const MAX_CROP_SIDE: usize = 512;
/// Side of the engine's square input in pixels.
pub const INPUT_SIDE: usize = 128;
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

/// Resized samples keep this many bits below one code value.
const FRACTION_BITS: u32 = 6;
const WEIGHT_BITS: u32 = 14;
const WEIGHT_ONE: i32 = 1 << WEIGHT_BITS;
/// Source samples under one output sample: a triangle twice `MAX_CROP_SIDE / INPUT_SIDE` wide.
const MAX_TAPS: usize = 2 * MAX_CROP_SIDE / INPUT_SIDE + 2;

/// Where one output sample's weights lie in the source.
#[derive(Clone, Copy)]
struct Taps {
    first: u16,
    count: u16,
    weight: [i16; MAX_TAPS],
}

/// Area-correct resize of one plane to [`INPUT_SIDE`] squared: a separable triangle filter as
/// wide as the reduction (bilinear when enlarging), in whole numbers so that every machine gets
/// the same bytes. The filter is Pillow's `BILINEAR` with reducing support.
struct Resize {
    width: usize,
    across: [Taps; INPUT_SIDE],
    down: [Taps; INPUT_SIDE],
}

impl Resize {
    fn new(width: usize, height: usize) -> Resize {
        let taps = |size| core::array::from_fn(|i| Taps::new(i, size));
        Resize { width, across: taps(width), down: taps(height) }
    }

    /// Output row `row`, each sample with [`FRACTION_BITS`] below the code value.
    fn row(&self, plane: &[u8], row: usize, out: &mut [u16; INPUT_SIDE]) {
        let mut column = [0i32; MAX_CROP_SIDE];
        let column = &mut column[..self.width];
        let down = &self.down[row];
        for tap in 0..down.count as usize {
            let weight = i32::from(down.weight[tap]);
            let source = &plane[(down.first as usize + tap) * self.width..][..self.width];
            for (sum, &sample) in column.iter_mut().zip(source) {
                *sum += weight * i32::from(sample);
            }
        }
        for (out, across) in out.iter_mut().zip(&self.across) {
            let source = &column[across.first as usize..][..across.count as usize];
            let weights = &across.weight[..across.count as usize];
            // 8 + 14 bits, less 8, times 14 bits: the sum stays below 2^28.
            let sum: i32 = source.iter().zip(weights).map(|(&s, &w)| (s >> 8) * i32::from(w)).sum();
            let shift = WEIGHT_BITS + WEIGHT_BITS - 8 - FRACTION_BITS;
            *out = ((sum + (1 << (shift - 1))) >> shift) as u16;
        }
    }
}

impl Taps {
    /// The weights of output sample `i` over `size` source samples; they add up to
    /// [`WEIGHT_ONE`].
    fn new(i: usize, size: usize) -> Taps {
        let scale = size as f32 / INPUT_SIDE as f32;
        let support = scale.max(1.0);
        let centre = (i as f32 + 0.5) * scale;
        let first = if centre > support { (centre - support + 0.5) as usize } else { 0 };
        let last = ((centre + support + 0.5) as usize).min(size);
        let first = first.min(size - 1);
        let count = (last - first).clamp(1, MAX_TAPS);
        let mut exact = [0f32; MAX_TAPS];
        let mut total = 0.0;
        for (k, exact) in exact[..count].iter_mut().enumerate() {
            let distance = ((first + k) as f32 + 0.5 - centre).abs() / support;
            *exact = (1.0 - distance).max(0.0);
            total += *exact;
        }
        let mut taps = Taps { first: first as u16, count: count as u16, weight: [0; MAX_TAPS] };
        let mut left = WEIGHT_ONE;
        let mut largest = 0;
        for (k, &exact) in exact[..count].iter().enumerate() {
            let weight = if total > 0.0 { (exact / total * WEIGHT_ONE as f32 + 0.5) as i32 } else { 0 };
            taps.weight[k] = weight as i16;
            left -= weight;
            if taps.weight[k] > taps.weight[largest] {
                largest = k;
            }
        }
        // Rounding leaves a few units; the largest weight takes them, so flat stays flat.
        taps.weight[largest] += left as i16;
        taps
    }
}

/// YUV to RGB with the stream's own matrix and range (ITU-R BT.601-7, BT.709-6, JFIF).
struct ToRgb {
    black: i32,
    luma: i32,
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

const COEFFICIENT_BITS: u32 = 14;

impl ToRgb {
    fn new(colour: Colour) -> ToRgb {
        let (kr, kb) = match colour.matrix {
            Matrix::Bt601 => (0.299f32, 0.114f32),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let (black, luma, chroma) = match colour.range {
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            Range::Full => (0, 1.0, 1.0),
        };
        let kg = 1.0 - kr - kb;
        let fixed = |c: f32| (c * (1 << COEFFICIENT_BITS) as f32 + 0.5) as i32;
        ToRgb {
            black: black << FRACTION_BITS,
            luma: fixed(luma),
            red_v: fixed(chroma * 2.0 * (1.0 - kr)),
            green_u: fixed(chroma * 2.0 * (1.0 - kb) * kb / kg),
            green_v: fixed(chroma * 2.0 * (1.0 - kr) * kr / kg),
            blue_u: fixed(chroma * 2.0 * (1.0 - kb)),
        }
    }

    fn pixel(&self, y: u16, u: u16, v: u16) -> [u8; 3] {
        let centre = 128 << FRACTION_BITS;
        let y = (i32::from(y) - self.black) * self.luma;
        let (u, v) = (i32::from(u) - centre, i32::from(v) - centre);
        let shift = COEFFICIENT_BITS + FRACTION_BITS;
        let code = |sum: i32| ((sum + (1 << (shift - 1))) >> shift).clamp(0, 255) as u8;
        [code(y + self.red_v * v), code(y - self.green_u * u - self.green_v * v), code(y + self.blue_u * u)]
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

    /// `Resize` in f64, straight from the definition.
    fn reference(plane: &[u8], width: usize, height: usize, x: usize, y: usize) -> f64 {
        let weights = |i: usize, size: usize| {
            let scale = size as f64 / INPUT_SIDE as f64;
            let support = scale.max(1.0);
            let centre = (i as f64 + 0.5) * scale;
            let raw: Vec<f64> =
                (0..size).map(|k| (1.0 - ((k as f64 + 0.5 - centre) / support).abs()).max(0.0)).collect();
            let total: f64 = raw.iter().sum();
            raw.into_iter().map(move |w| w / total).collect::<Vec<_>>()
        };
        let (across, down) = (weights(x, width), weights(y, height));
        (0..height)
            .map(|r| down[r] * (0..width).map(|c| across[c] * f64::from(plane[r * width + c])).sum::<f64>())
            .sum()
    }

    #[test]
    fn resize_is_within_one_code_value_of_the_definition() {
        let mut seed = 1u32;
        for (width, height) in [(2, 2), (64, 40), (128, 128), (130, 300), (512, 512)] {
            let plane: Vec<u8> = (0..width * height)
                .map(|_| {
                    seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                    (seed >> 24) as u8
                })
                .collect();
            let resize = Resize::new(width, height);
            for y in [0, 1, 63, 126, 127] {
                let mut row = [0; INPUT_SIDE];
                resize.row(&plane, y, &mut row);
                for x in [0, 1, 64, 127] {
                    let want = reference(&plane, width, height, x, y);
                    let got = f64::from(row[x]) / f64::from(1 << FRACTION_BITS);
                    assert!((want - got).abs() < 0.5, "{width}x{height} at {x},{y}: {got}, want {want}");
                }
            }
        }
    }

    #[test]
    fn colours_follow_matrix_and_range() {
        let wide = |c: [u8; 3]| c.map(|c| u16::from(c) << FRACTION_BITS);
        let rgb = |matrix, range, yuv: [u8; 3]| {
            let [y, u, v] = wide(yuv);
            ToRgb::new(Colour { matrix, range }).pixel(y, u, v)
        };
        assert_eq!(rgb(Matrix::Bt601, Range::Limited, [16, 128, 128]), [0, 0, 0]);
        assert_eq!(rgb(Matrix::Bt601, Range::Limited, [235, 128, 128]), [255, 255, 255]);
        assert_eq!(rgb(Matrix::Bt601, Range::Full, [235, 128, 128]), [235, 235, 235]);
        // Pure red: BT.601 limited (81, 90, 240), BT.709 limited (63, 102, 240).
        let near = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near(rgb(Matrix::Bt601, Range::Limited, [81, 90, 240]), [255, 0, 0]));
        assert!(near(rgb(Matrix::Bt709, Range::Limited, [63, 102, 240]), [255, 0, 0]));
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
