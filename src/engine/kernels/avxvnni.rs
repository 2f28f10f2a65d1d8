//! AVX-VNNI: `vpdpbusd` in 256 bits, for CPUs without AVX-512 such as Alder Lake and the N100.

use super::avx2::{codes, whole};
use super::rows::{Rows, ThreeRows};
use super::{Convolution, Window};
use crate::engine::layout::LANES;
use std::arch::x86_64::*;

/// Pixels of one tile: with two registers of channels each, 12 of 16 hold sums.
const TILE: usize = 6;

/// # Safety
/// The CPU must have AVX2 and AVX-VNNI, and the sizes must be those that `Kernels::pointwise` checks.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn pointwise(conv: &Convolution, input: &[u8], output: &mut [u8], _scratch: &mut [u8]) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    for channel in (0..channels).step_by(LANES) {
        for (input, output) in input.chunks(TILE * depth).zip(output.chunks_mut(TILE * channels)) {
            // SAFETY: as many pixels as each tile takes, and 16 channels from `channel` on.
            unsafe {
                match output.len() / channels {
                    6 => tile::<6>(conv, channel, input, output),
                    5 => tile::<5>(conv, channel, input, output),
                    4 => tile::<4>(conv, channel, input, output),
                    3 => tile::<3>(conv, channel, input, output),
                    2 => tile::<2>(conv, channel, input, output),
                    _ => tile::<1>(conv, channel, input, output),
                }
            }
        }
    }
}

/// # Safety
/// `input` and `output` must have P pixels, and 16 channels from `channel` on must exist.
#[target_feature(enable = "avx2,avxvnni")]
#[inline]
unsafe fn tile<const P: usize>(conv: &Convolution, channel: usize, input: &[u8], output: &mut [u8]) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    // SAFETY: [channels / 16][depth / 4][16][4]: a group is 64 bytes, four activations of each pixel go with it.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel * depth);
        let constants = Constants::load(conv, channel);
        let mut sums = [constants.bias; P];
        for group in 0..depth / 4 {
            let at = weights.add(group * 4 * LANES);
            let (w0, w1) = (_mm256_loadu_si256(at.cast()), _mm256_loadu_si256(at.add(32).cast()));
            for (p, sums) in sums.iter_mut().enumerate() {
                let four = input.as_ptr().add(p * depth + group * 4).cast::<i32>().read_unaligned();
                let a = _mm256_set1_epi32(four);
                sums[0] = _mm256_dpbusd_avx_epi32(sums[0], a, w0);
                sums[1] = _mm256_dpbusd_avx_epi32(sums[1], a, w1);
            }
        }
        for (p, sums) in sums.into_iter().enumerate() {
            let at = output.as_mut_ptr().add(p * channels + channel);
            _mm_storeu_si128(at.cast(), constants.codes(conv, sums));
        }
    }
}

/// Bias and multiplier of 16 channels.
struct Constants {
    bias: [__m256i; 2],
    multiplier: [__m256; 2],
}

impl Constants {
    /// # Safety
    /// 16 channels from `channel` on must exist.
    #[target_feature(enable = "avx2")]
    #[inline]
    unsafe fn load(conv: &Convolution, channel: usize) -> Constants {
        // SAFETY: the caller's.
        unsafe {
            let (bias, multiplier) = (conv.bias.as_ptr().add(channel), conv.multiplier.as_ptr().add(channel));
            Constants {
                bias: [_mm256_loadu_si256(bias.cast()), _mm256_loadu_si256(bias.add(8).cast())],
                multiplier: [_mm256_loadu_ps(multiplier), _mm256_loadu_ps(multiplier.add(8))],
            }
        }
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    fn codes(&self, conv: &Convolution, [low, high]: [__m256i; 2]) -> __m128i {
        let low = whole(low, self.multiplier[0], conv.rounding);
        let high = whole(high, self.multiplier[1], conv.rounding);
        // Packing works in halves of 128 bits: channels 0-3, 8-11, 4-7, 12-15, then in order.
        let words = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0b11_01_10_00);
        codes(words, conv.rounding)
    }
}

/// # Safety
/// The CPU must have AVX2 and AVX-VNNI, and the sizes must be those that `Kernels::depthwise` checks.
#[target_feature(enable = "avx2,avxvnni")]
pub(super) unsafe fn depthwise(
    conv: &Convolution,
    window: &Window,
    input: &[u8],
    output: &mut [u8],
    border: &[u8],
) {
    let channels = conv.bias.len();
    let rows = Rows { input, border, side: window.side, channels };
    let row_bytes = window.side / window.stride * channels;
    for channel in (0..channels).step_by(LANES) {
        for (row, output) in output.chunks_exact_mut(row_bytes).enumerate() {
            let rows = rows.three(row * window.stride, channel);
            // SAFETY: the rows lie in the input, and `output` is the row of the output that belongs to them.
            unsafe { depthwise_row(conv, channel, window.stride, rows, &mut output[channel..]) }
        }
    }
}

/// # Safety
/// 16 channels from `channel` on must exist, and `output` must begin at the first of them in a row of the output
/// and end with it.
#[target_feature(enable = "avx2,avxvnni")]
#[inline]
unsafe fn depthwise_row(
    conv: &Convolution,
    channel: usize,
    stride: usize,
    rows: ThreeRows,
    output: &mut [u8],
) {
    // SAFETY: weights are [channels / 16][3 columns][16][4 rows]; every column exists.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel * 12);
        let weights = [0, 1, 2].map(|x| {
            let column = weights.add(x * 4 * LANES);
            [_mm256_loadu_si256(column.cast()), _mm256_loadu_si256(column.add(32).cast())]
        });
        let constants = Constants::load(conv, channel);
        let column = |x: usize| {
            let rows = rows.at(x);
            [interleave(rows), interleave(rows.map(|row| row.add(8)))]
        };
        let (mut c0, mut c1) = (column(0), column(1));
        for (x, output) in output.chunks_mut(conv.bias.len()).enumerate() {
            let c2 = column(x * stride + 2);
            let mut sums = constants.bias;
            for (half, sum) in sums.iter_mut().enumerate() {
                *sum = _mm256_dpbusd_avx_epi32(*sum, c0[half], weights[0][half]);
                *sum = _mm256_dpbusd_avx_epi32(*sum, c1[half], weights[1][half]);
                *sum = _mm256_dpbusd_avx_epi32(*sum, c2[half], weights[2][half]);
            }
            _mm_storeu_si128(output.as_mut_ptr().cast(), constants.codes(conv, sums));
            (c0, c1) = if stride == 1 { (c1, c2) } else { (c2, column(x * 2 + 3)) };
        }
    }
}

/// Three rows of 8 channels as groups of four bytes, the last 0.
///
/// # Safety
/// 8 bytes must lie at each of the pointers.
#[target_feature(enable = "avx2")]
#[inline]
unsafe fn interleave(rows: [*const u8; 3]) -> __m256i {
    // SAFETY: the caller's.
    let [r0, r1, r2] = rows.map(|row| unsafe { _mm256_cvtepu8_epi32(_mm_loadl_epi64(row.cast())) });
    _mm256_or_si256(_mm256_or_si256(r0, _mm256_slli_epi32(r1, 8)), _mm256_slli_epi32(r2, 16))
}
