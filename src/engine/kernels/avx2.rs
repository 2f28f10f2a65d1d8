//! AVX2, without dot products of bytes.
//!
//! `vpmaddubsw` multiplies bytes but saturates its sums, so it is not exact. Instead both sides become 16-bit
//! and `vpmaddwd` adds two products into 32 bits. The activations of a few pixels are widened once into the
//! scratch and serve all channels; the weights are widened as they are loaded.

use super::rows::{Rows, ThreeRows};
use super::{Addition, Convolution, PIXELS, Window};
use crate::engine::layout::{LANES, Rounding};
use std::arch::x86_64::*;

/// Channels of one tile.
const TILE: usize = 8;

/// # Safety
/// The CPU must have AVX2, and the sizes must be those that `Kernels::pointwise` checks.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn pointwise(conv: &Convolution, input: &[u8], output: &mut [u8], scratch: &mut [u8]) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    let scratch = scratch.as_mut_ptr().cast::<i16>();
    let all = input.chunks(PIXELS * depth).zip(output.chunks_mut(PIXELS * channels));
    for (input, output) in all {
        let x = Activations { start: scratch, depth };
        // SAFETY: the scratch holds PIXELS pixels of the greatest depth in 16 bits each; `input` has no more.
        unsafe { widen(input, scratch) };
        // SAFETY: as many pixels as were widened, and all channels of each.
        unsafe {
            match output.len() / channels {
                6 => tiles::<6>(conv, x, output),
                5 => tiles::<5>(conv, x, output),
                4 => tiles::<4>(conv, x, output),
                3 => tiles::<3>(conv, x, output),
                2 => tiles::<2>(conv, x, output),
                _ => tiles::<1>(conv, x, output),
            }
        }
    }
}

/// Widened pixels in the scratch.
#[derive(Clone, Copy)]
struct Activations {
    start: *const i16,
    depth: usize,
}

/// # Safety
/// `wide` must have room for the input, twice as wide.
#[target_feature(enable = "avx2")]
unsafe fn widen(input: &[u8], wide: *mut i16) {
    for (i, &code) in input.iter().enumerate() {
        // SAFETY: the caller's.
        unsafe { wide.add(i).write_unaligned(i16::from(code)) };
    }
}

/// # Safety
/// `x` and `output` must have P pixels.
#[target_feature(enable = "avx2")]
unsafe fn tiles<const P: usize>(conv: &Convolution, x: Activations, output: &mut [u8]) {
    for channel in (0..conv.bias.len()).step_by(TILE) {
        // SAFETY: channels are a multiple of 16, so a whole tile is left; the pixels are the caller's.
        unsafe { tile::<P>(conv, x, channel, output) };
    }
}

/// # Safety
/// `x` and `output` must have P pixels, and [`TILE`] channels from `channel` on must exist.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn tile<const P: usize>(conv: &Convolution, x: Activations, channel: usize, output: &mut [u8]) {
    let Activations { start, depth } = x;
    let channels = conv.bias.len();
    // SAFETY: [channels / 16][depth / 4][16][4], so the groups of these 8 channels lie 64 bytes apart, and four
    // 16-bit activations of each pixel go with every group; both end with the depth.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel / LANES * LANES * depth + channel % LANES * 4);
        // Sums of even and odd pairs of four channels, of the next four.
        let mut sums = [[_mm256_setzero_si256(); 2]; P];
        for group in 0..depth / 4 {
            let at = weights.add(group * 4 * LANES);
            let w0 = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.cast()));
            let w1 = _mm256_cvtepi8_epi16(_mm_loadu_si128(at.add(16).cast()));
            for (p, sums) in sums.iter_mut().enumerate() {
                let four = start.add(p * depth + group * 4).cast::<i64>().read_unaligned();
                let a = _mm256_set1_epi64x(four);
                sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(a, w0));
                sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(a, w1));
            }
        }
        let bias = _mm256_loadu_si256(conv.bias.as_ptr().add(channel).cast());
        let multiplier = _mm256_loadu_ps(conv.multiplier.as_ptr().add(channel));
        for (p, [low, high]) in sums.into_iter().enumerate() {
            // Channels 0 1 4 5 | 2 3 6 7, then in order.
            let sum = _mm256_permute4x64_epi64(_mm256_hadd_epi32(low, high), 0b11_01_10_00);
            let sum = whole(_mm256_add_epi32(sum, bias), multiplier, conv.rounding);
            let words = _mm256_permute4x64_epi64(_mm256_packs_epi32(sum, sum), 0b10_00_10_00);
            let at = output.as_mut_ptr().add(p * channels + channel);
            _mm_storel_epi64(at.cast(), codes(words, conv.rounding));
        }
    }
}

/// Sums to whole numbers in steps of the output.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn whole(sum: __m256i, multiplier: __m256, rounding: Rounding) -> __m256i {
    rounded(_mm256_mul_ps(_mm256_cvtepi32_ps(sum), multiplier), rounding)
}

/// Values in steps of the output to whole numbers, half to even, plus its zero point.
#[target_feature(enable = "avx2")]
#[inline]
fn rounded(value: __m256, rounding: Rounding) -> __m256i {
    _mm256_add_epi32(_mm256_cvtps_epi32(value), _mm256_set1_epi32(rounding.zero.into()))
}

/// 16 whole numbers of 16 bits to codes.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn codes(words: __m256i, rounding: Rounding) -> __m128i {
    let bytes = _mm256_packus_epi16(words, words);
    let codes = _mm_unpacklo_epi64(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    let codes = _mm_max_epu8(codes, _mm_set1_epi8(rounding.low as i8));
    _mm_min_epu8(codes, _mm_set1_epi8(rounding.high as i8))
}

/// Pairs of taps that one `vpmaddwd` takes together, as (row, column); the last pair is one tap and nothing.
const PAIRS: [[(i32, usize); 2]; 5] =
    [[(0, 0), (1, 0)], [(0, 1), (1, 1)], [(0, 2), (1, 2)], [(2, 0), (2, 1)], [(2, 2), (3, 2)]];

/// The weights, bias and multiplier of 16 channels, in the order that unpacking leaves: channels 0-3 and 8-11,
/// then 4-7 and 12-15.
struct Taps {
    weights: [[__m256i; 2]; 5],
    bias: [__m256i; 2],
    multiplier: [__m256; 2],
    rounding: Rounding,
}

/// The three rows of one column: rows 0 and 1 interleaved, in both orders of channels, and row 2.
#[derive(Clone, Copy)]
struct Column {
    above: [__m256i; 2],
    below: __m256i,
}

/// # Safety
/// The CPU must have AVX2, and the sizes must be those that `Kernels::depthwise` checks.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn depthwise(
    conv: &Convolution,
    window: &Window,
    input: &[u8],
    output: &mut [u8],
    border: &[u8],
) {
    let channels = conv.bias.len();
    let rows = Rows { input, border, side: window.side, channels };
    for channel in (0..channels).step_by(LANES) {
        let taps = Taps::new(conv, channel);
        let row_bytes = window.side / window.stride * channels;
        for (row, output) in output.chunks_exact_mut(row_bytes).enumerate() {
            let rows = rows.three(row * window.stride, channel);
            let output = &mut output[channel..];
            // SAFETY: the rows lie in the input, and `output` is the row of the output that belongs to them.
            unsafe {
                match window.stride {
                    1 => depthwise_row::<1>(&taps, rows, output, channels),
                    _ => depthwise_row::<2>(&taps, rows, output, channels),
                }
            }
        }
    }
}

/// # Safety
/// `output` must begin at the first of the 16 channels in a row of the output, and end with it.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn depthwise_row<const STRIDE: usize>(
    taps: &Taps,
    rows: ThreeRows,
    output: &mut [u8],
    channels: usize,
) {
    // SAFETY: every column exists.
    let column = |x: usize| unsafe { Column::load(rows.at(x)) };
    let (mut c0, mut c1) = (column(0), column(1));
    for (x, output) in output.chunks_mut(channels).enumerate() {
        let c2 = column(x * STRIDE + 2);
        // SAFETY: 16 channels of this pixel are left.
        unsafe { _mm_storeu_si128(output.as_mut_ptr().cast(), taps.apply(c0, c1, c2)) };
        (c0, c1) = match STRIDE {
            1 => (c1, c2),
            _ => (c2, column(x * STRIDE + 3)),
        };
    }
}

impl Column {
    /// # Safety
    /// 16 bytes must lie at each of the pointers.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(rows: [*const u8; 3]) -> Column {
        // SAFETY: the caller's.
        let [r0, r1, r2] = rows.map(|row| unsafe { _mm256_cvtepu8_epi16(_mm_loadu_si128(row.cast())) });
        Column { above: [_mm256_unpacklo_epi16(r0, r1), _mm256_unpackhi_epi16(r0, r1)], below: r2 }
    }
}

impl Taps {
    #[target_feature(enable = "avx2")]
    fn new(conv: &Convolution, channel: usize) -> Taps {
        let packed = &conv.weights[channel * 12..][..LANES * 12];
        // SAFETY: three columns of 64 bytes: four rows of 8 channels, of the other 8.
        let columns = [0, 1, 2].map(|x| unsafe {
            let column = packed.as_ptr().add(x * 4 * LANES);
            [_mm256_loadu_si256(column.cast()), _mm256_loadu_si256(column.add(32).cast())]
        });
        let weights = PAIRS.map(|[(row_a, column_a), (row_b, column_b)]| {
            let [low, high] = [0, 1].map(|half| {
                // One row of each channel, its sign in all of 32 bits.
                let row = |column: __m256i, row: i32| {
                    _mm256_srai_epi32(_mm256_sll_epi32(column, _mm_cvtsi32_si128(24 - 8 * row)), 24)
                };
                let (a, b) = (row(columns[column_a][half], row_a), row(columns[column_b][half], row_b));
                _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0b1010_1010)
            });
            [_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31)]
        });
        // SAFETY: 16 channels from `channel` on exist, as channels are a multiple of 16.
        let (bias, multiplier) = unsafe {
            let bias = conv.bias.as_ptr().add(channel);
            let multiplier = conv.multiplier.as_ptr().add(channel);
            (
                [_mm256_loadu_si256(bias.cast()), _mm256_loadu_si256(bias.add(8).cast())],
                [_mm256_loadu_ps(multiplier), _mm256_loadu_ps(multiplier.add(8))],
            )
        };
        let [b0, b1] = bias;
        let [m0, m1] = multiplier;
        Taps {
            weights,
            bias: [_mm256_permute2x128_si256(b0, b1, 0x20), _mm256_permute2x128_si256(b0, b1, 0x31)],
            multiplier: [_mm256_permute2f128_ps(m0, m1, 0x20), _mm256_permute2f128_ps(m0, m1, 0x31)],
            rounding: conv.rounding,
        }
    }

    /// The codes of 16 channels of one pixel, in order.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn apply(&self, c0: Column, c1: Column, c2: Column) -> __m128i {
        let none = _mm256_setzero_si256();
        let last = [
            [_mm256_unpacklo_epi16(c0.below, c1.below), _mm256_unpackhi_epi16(c0.below, c1.below)],
            [_mm256_unpacklo_epi16(c2.below, none), _mm256_unpackhi_epi16(c2.below, none)],
        ];
        let pairs = [c0.above, c1.above, c2.above, last[0], last[1]];
        let [low, high] = [0, 1].map(|half| {
            let products = |i: usize| _mm256_madd_epi16(pairs[i][half], self.weights[i][half]);
            let sum = _mm256_add_epi32(_mm256_add_epi32(products(0), products(1)), self.bias[half]);
            let sum = _mm256_add_epi32(_mm256_add_epi32(products(2), products(3)), sum);
            whole(_mm256_add_epi32(products(4), sum), self.multiplier[half], self.rounding)
        });
        codes(_mm256_packs_epi32(low, high), self.rounding)
    }
}

/// # Safety
/// The CPU must have AVX2, and the sizes must be those that `Kernels::add` checks.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn add(addition: &Addition, [a, b]: [&[u8]; 2], output: &mut [u8]) {
    let zero = addition.zero.map(|zero| _mm256_set1_epi32(zero.into()));
    let ratio = addition.ratio.map(|ratio| _mm256_set1_ps(ratio));
    for at in (0..output.len()).step_by(LANES) {
        // SAFETY: all three have as many bytes, a multiple of 16.
        let [low, high] = [at, at + 8].map(|at| unsafe {
            let term = |codes: *const u8, i: usize| {
                let code = _mm256_cvtepu8_epi32(_mm_loadl_epi64(codes.add(at).cast()));
                _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(code, zero[i])), ratio[i])
            };
            rounded(_mm256_add_ps(term(a.as_ptr(), 0), term(b.as_ptr(), 1)), addition.rounding)
        });
        let words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0b11_01_10_00);
        // SAFETY: as above.
        unsafe { _mm_storeu_si128(output.as_mut_ptr().add(at).cast(), codes(words, addition.rounding)) };
    }
}
