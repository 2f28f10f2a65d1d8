//! The fused step against its definition: crop, triangle filter, conversion, quantisation, each in
//! `f64` and none rounded before the end.

use ajar::watch::crop::{CropBuffer, PixelRect};
use ajar::watch::frame::{Chroma, Colour, Frame, Matrix, Plane, Range};
use ajar::watch::input::{INPUT_CHANNELS, INPUT_SIDE, Input, MAX_SAMPLE_SIDE, sample};
use ajar::watch::quantise::{INPUT_SCALE, INPUT_ZERO_POINT, MEAN, STD, code};
use embassy_time::Instant;
use proptest::prelude::*;

/// A picture of one's own. Rows are longer than their samples, and what lies between is noise.
struct Picture {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    luma_stride: usize,
    /// U and V.
    chroma: [Vec<u8>; 2],
    chroma_stride: usize,
    /// The same, in turn.
    interleaved: Vec<u8>,
    colour: Colour,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    I420,
    Nv12,
}

#[derive(Clone, Copy, Debug)]
enum Content {
    /// Every sample on its own, often at the ends of the range.
    Noise,
    /// Slow waves, an edge and a little noise, as in a camera's picture.
    Scene,
}

fn random(seed: &mut u64) -> f64 {
    *seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
    (*seed >> 40) as f64 / (1u64 << 24) as f64
}

impl Picture {
    fn new(
        (width, height): (usize, usize),
        padding: usize,
        content: Content,
        colour: Colour,
        mut seed: u64,
    ) -> Picture {
        let mut plane = |width: usize, height: usize, stride: usize| -> Vec<u8> {
            let [phase, slope, turn, edge] = [(); 4].map(|()| random(&mut seed));
            let sample = |i: usize| {
                let (x, y) = ((i % stride) as f64 / width as f64, (i / stride) as f64 / height as f64);
                let noise = random(&mut seed);
                let value = match content {
                    Content::Noise => noise * 400.0 - 70.0,
                    Content::Scene => {
                        let wave = ((x * slope + y * turn) * 9.0 + phase * 6.0).sin() * 50.0;
                        wave + if x + y * slope > edge { 170.0 } else { 80.0 } + noise * 6.0
                    }
                };
                value.clamp(0.0, 255.0) as u8
            };
            (0..stride * height).map(sample).collect()
        };
        let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
        let (luma_stride, chroma_stride) = (width + padding, half_width + padding);
        let luma = plane(width, height, luma_stride);
        let chroma = [(); 2].map(|()| plane(half_width, half_height, chroma_stride));
        let interleaved = chroma[0].iter().zip(&chroma[1]).flat_map(|(&u, &v)| [u, v]).collect();
        Picture { width, height, luma, luma_stride, chroma, chroma_stride, interleaved, colour }
    }

    fn frame(&self, layout: Layout) -> Frame<'_> {
        let plane = |bytes, stride| Plane { bytes, stride };
        let chroma = match layout {
            Layout::I420 => {
                let [u, v] = self.chroma.each_ref().map(|bytes| plane(&bytes[..], self.chroma_stride));
                Chroma::Planar { u, v }
            }
            Layout::Nv12 => Chroma::Interleaved(plane(&self.interleaved, 2 * self.chroma_stride)),
        };
        let (width, height, colour) = (self.width, self.height, self.colour);
        let luma = plane(&self.luma, self.luma_stride);
        Frame { width, height, luma, chroma, colour, arrival: Instant::MIN }
    }
}

/// Weights of the triangle over output sample `i` of `size` samples.
fn triangle(i: usize, size: usize) -> Vec<f64> {
    let scale = size as f64 / INPUT_SIDE as f64;
    let centre = (i as f64 + 0.5) * scale;
    let height = |k: usize| (1.0 - ((k as f64 + 0.5 - centre) / scale.max(1.0)).abs()).max(0.0);
    let total: f64 = (0..size).map(height).sum();
    (0..size).map(|k| height(k) / total).collect()
}

/// `width` x `height` samples at `(x, y)` of a plane, resized to the engine's side.
fn resized(plane: &[u8], stride: usize, (x, y, width, height): (usize, usize, usize, usize)) -> Vec<f64> {
    let across: Vec<_> = (0..INPUT_SIDE).map(|i| triangle(i, width)).collect();
    let rows = (0..height).flat_map(|row| {
        let row = &plane[(y + row) * stride + x..][..width];
        let weighted =
            move |weights: &Vec<f64>| weights.iter().zip(row).map(|(w, &s)| w * f64::from(s)).sum::<f64>();
        across.iter().map(weighted)
    });
    let rows: Vec<f64> = rows.collect();
    let out = (0..INPUT_SIDE).flat_map(|i| {
        let mut sums = vec![0.0; INPUT_SIDE];
        for (weight, row) in triangle(i, height).iter().zip(rows.chunks_exact(INPUT_SIDE)) {
            sums.iter_mut().zip(row).for_each(|(sum, sample)| *sum += weight * sample);
        }
        sums
    });
    out.collect()
}

/// The input by definition, before rounding.
fn definition(picture: &Picture, rect: PixelRect) -> Vec<[f64; 3]> {
    let PixelRect { x, y, width, height } = rect;
    let half = (x / 2, y / 2, width / 2, height / 2);
    let luma = resized(&picture.luma, picture.luma_stride, (x, y, width, height));
    let [u, v] = picture.chroma.each_ref().map(|plane| resized(plane, picture.chroma_stride, half));
    let (kr, kb) = match picture.colour.matrix {
        Matrix::Bt601 => (0.299, 0.114),
        Matrix::Bt709 => (0.2126, 0.0722),
    };
    let kg = 1.0 - kr - kb;
    let unit = |(y, (u, v)): (&f64, (&f64, &f64))| match picture.colour.range {
        Range::Full => (y / 255.0, (u - 128.0) / 255.0, (v - 128.0) / 255.0),
        Range::Limited => ((y - 16.0) / 219.0, (u - 128.0) / 224.0, (v - 128.0) / 224.0),
    };
    let pixel = |(y, u, v): (f64, f64, f64)| {
        let (r, b) = (y + 2.0 * (1.0 - kr) * v, y + 2.0 * (1.0 - kb) * u);
        let g = (y - kr * r - kb * b) / kg;
        let channel = |c: usize, value: f64| {
            let deviations = (value.clamp(0.0, 1.0) - f64::from(MEAN[c])) / f64::from(STD[c]);
            (deviations / f64::from(INPUT_SCALE) + f64::from(INPUT_ZERO_POINT)).clamp(0.0, 255.0)
        };
        [channel(0, r), channel(1, g), channel(2, b)]
    };
    luma.iter().zip(u.iter().zip(&v)).map(unit).map(pixel).collect()
}

/// The largest difference of a code, and how many are exact.
fn compare(input: &Input, definition: &[[f64; 3]]) -> (u8, usize) {
    let pixels = input.codes.chunks_exact(INPUT_CHANNELS).zip(definition);
    let mut result = (0, 0);
    for (codes, exact) in pixels {
        assert_eq!(codes[3], 0);
        for (&code, exact) in codes.iter().zip(exact) {
            let difference = code.abs_diff(exact.round_ties_even() as u8);
            result = (result.0.max(difference), result.1 + usize::from(difference == 0));
        }
    }
    result
}

fn colours() -> impl Strategy<Value = Colour> {
    let matrix = prop_oneof![Just(Matrix::Bt601), Just(Matrix::Bt709)];
    let range = prop_oneof![Just(Range::Limited), Just(Range::Full)];
    (matrix, range).prop_map(|(matrix, range)| Colour { matrix, range })
}

fn contents() -> impl Strategy<Value = Content> {
    prop_oneof![Just(Content::Noise), Just(Content::Scene)]
}

fn even(value: usize) -> usize {
    value & !1
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..Default::default() })]

    /// Any rectangle of any picture: at most one code from the definition, and the same bytes from
    /// both layouts.
    #[test]
    fn the_fused_step_is_its_definition(
        size in (2usize..400, 2usize..400),
        padding in 0usize..40,
        content in contents(),
        colour in colours(),
        seed in any::<u64>(),
        [left, top, right, bottom] in proptest::array::uniform4(0.0f64..1.0),
    ) {
        let picture = Picture::new(size, padding, content, colour, seed);
        let span = |from: f64, to: f64, size: usize| {
            let start = even((from * (size - 1) as f64) as usize).min(even(size) - 2);
            (start, even((to * (size - start) as f64) as usize).max(2))
        };
        let ((x, width), (y, height)) = (span(left, right, size.0), span(top, bottom, size.1));
        let rect = PixelRect { x, y, width, height };
        let mut inputs = [Input::default(), Input::default()];
        for (input, layout) in inputs.iter_mut().zip([Layout::I420, Layout::Nv12]) {
            sample(&picture.frame(layout), rect, input);
        }
        prop_assert!(inputs[0].codes == inputs[1].codes);
        prop_assert!(compare(&inputs[0], &definition(&picture, rect)).0 <= 1);
    }

    /// A crop that fits the buffer loses nothing by it.
    #[test]
    fn the_buffer_changes_nothing(
        size in (2usize..256, 2usize..256).prop_map(|(w, h)| (2 * w, 2 * h)),
        seed in any::<u64>(),
        nv12 in any::<bool>(),
    ) {
        let picture = Picture::new(size, 7, Content::Scene, Colour::JPEG, seed);
        let frame = picture.frame(if nv12 { Layout::Nv12 } else { Layout::I420 });
        let rect = PixelRect { x: 0, y: 0, width: size.0, height: size.1 };
        let mut inputs = [Input::default(), Input::default()];
        sample(&frame, rect, &mut inputs[0]);
        let mut crop = Box::<CropBuffer>::default();
        crop.copy_from(&frame, rect);
        crop.sample(&mut inputs[1]);
        prop_assert!(inputs[0].codes == inputs[1].codes);
    }
}

#[test]
fn sizes_from_two_pixels_to_the_largest_are_exact_to_a_code() {
    for content in [Content::Noise, Content::Scene] {
        let (mut worst, mut exact, mut count) = (0, 0, 0);
        for (i, side) in
            [2, 4, 6, 14, 16, 18, 100, 128, 130, 220, 256, 480, 720, 1000, 1400, 4096].into_iter().enumerate()
        {
            let matrix = if i % 2 == 0 { Matrix::Bt709 } else { Matrix::Bt601 };
            let range = if i % 4 < 2 { Range::Limited } else { Range::Full };
            let colour = Colour { matrix, range };
            let (width, height) = (side, even(side * 3 / 4).clamp(2, 720));
            let picture = Picture::new((width + 9, height + 5), 3, content, colour, i as u64);
            let rect = PixelRect { x: 8, y: 4, width, height };
            let mut input = Input::default();
            sample(&picture.frame(Layout::Nv12), rect, &mut input);
            let (difference, same) = compare(&input, &definition(&picture, rect));
            assert!(difference <= 1, "{width} x {height}, {content:?}: {difference}");
            (worst, exact, count) =
                (worst.max(difference), exact + same, count + 3 * INPUT_SIDE * INPUT_SIDE);
        }
        let share = 100.0 * exact as f64 / count as f64;
        println!("{content:?}: at most {worst} code from the definition, {share:.2} % exact, of {count}");
    }
}

#[test]
fn codes_are_those_of_the_quantiser() {
    for channel in 0..3 {
        for value in 0..=255u8 {
            let real = (f64::from(value) / 255.0 - f64::from(MEAN[channel])) / f64::from(STD[channel]);
            let exact = real / f64::from(INPUT_SCALE) + f64::from(INPUT_ZERO_POINT);
            assert_eq!(f64::from(code(channel, value)), exact.round_ties_even(), "{channel}, {value}");
        }
    }
    assert_eq!([code(0, 0), code(1, 0), code(2, 0)], [1, 5, 17]);
    assert_eq!([code(0, 255), code(1, 255), code(2, 255)], [234, 244, 255]);
}

#[test]
#[should_panic(expected = "too many")]
fn more_than_the_largest_is_refused() {
    let picture = Picture::new((MAX_SAMPLE_SIDE + 2, 2), 0, Content::Noise, Colour::JPEG, 1);
    let rect = PixelRect { x: 0, y: 0, width: MAX_SAMPLE_SIDE + 2, height: 2 };
    sample(&picture.frame(Layout::I420), rect, &mut Input::default());
}
