//! AVX-512 with VNNI: `vpdpbusd` adds four products of a u8 and an i8 to each of 16 sums.

use super::rows::{Rows, ThreeRows};
use super::{Addition, Convolution, Window};
use crate::engine::layout::{LANES, Rounding};
use std::arch::x86_64::*;

/// # Safety
/// The CPU must have AVX-512 F, BW, VL and VNNI, and the sizes must be those that `Kernels::pointwise` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn pointwise(conv: &Convolution, input: &[u8], output: &mut [u8], _scratch: &mut [u8]) {
    let blocks = conv.bias.len() / LANES;
    let mut block = 0;
    // Tiles of pixels x blocks that fill the 32 registers.
    while block < blocks {
        let width = match blocks - block {
            5..=7 => 3,
            left => left.min(4),
        };
        // SAFETY: `width` blocks from `block` on exist; sizes are the caller's.
        unsafe {
            match width {
                4 => column::<6, 4>(conv, block, input, output),
                3 => column::<8, 3>(conv, block, input, output),
                2 => column::<12, 2>(conv, block, input, output),
                _ => column::<14, 1>(conv, block, input, output),
            }
        }
        block += width;
    }
}

/// All pixels of N blocks of channels, P at a time.
///
/// # Safety
/// N blocks from `block` on must exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn column<const P: usize, const N: usize>(
    conv: &Convolution,
    block: usize,
    input: &[u8],
    output: &mut [u8],
) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    let mut pixel = 0;
    let pixels = output.len() / channels;
    while pixel < pixels {
        let (x, y) = (&input[pixel * depth..], &mut output[pixel * channels..]);
        // SAFETY: as many pixels are left as each tile takes.
        unsafe {
            pixel += match pixels - pixel {
                left if left >= P => tile::<P, N>(conv, block, x, y),
                left if left >= 4 => tile::<4, N>(conv, block, x, y),
                _ => tile::<1, N>(conv, block, x, y),
            };
        }
    }
}

/// Returns P, the pixels it did.
///
/// # Safety
/// `input` and `output` must have P pixels, and N blocks from `block` on must exist.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn tile<const P: usize, const N: usize>(
    conv: &Convolution,
    block: usize,
    input: &[u8],
    output: &mut [u8],
) -> usize {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    // SAFETY: [channels / 16][depth / 4][16][4]: a group of a block is 64 bytes, the blocks lie 16 * depth apart.
    unsafe {
        let weights = conv.weights.as_ptr().add(block * LANES * depth);
        let bias: [__m512i; N] =
            std::array::from_fn(|n| _mm512_loadu_si512(conv.bias.as_ptr().add((block + n) * LANES).cast()));
        let mut sums = [bias; P];
        for group in 0..depth / 4 {
            let mut w = [_mm512_setzero_si512(); N];
            for (n, w) in w.iter_mut().enumerate() {
                *w = _mm512_loadu_si512(weights.add(n * LANES * depth + group * 4 * LANES).cast());
            }
            for (p, sums) in sums.iter_mut().enumerate() {
                let four = input.as_ptr().add(p * depth + group * 4).cast::<i32>().read_unaligned();
                let a = _mm512_set1_epi32(four);
                for n in 0..N {
                    sums[n] = _mm512_dpbusd_epi32(sums[n], a, w[n]);
                }
            }
        }
        for n in 0..N {
            let channel = (block + n) * LANES;
            let multiplier = _mm512_loadu_ps(conv.multiplier.as_ptr().add(channel));
            for (p, sums) in sums.iter().enumerate() {
                let at = output.as_mut_ptr().add(p * channels + channel);
                _mm_storeu_si128(at.cast(), codes(sums[n], multiplier, conv.rounding));
            }
        }
    }
    P
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn codes(sum: __m512i, multiplier: __m512, rounding: Rounding) -> __m128i {
    rounded(_mm512_mul_ps(_mm512_cvtepi32_ps(sum), multiplier), rounding)
}

/// Values in steps of the output to codes.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn rounded(value: __m512, rounding: Rounding) -> __m128i {
    let whole = _mm512_add_epi32(_mm512_cvtps_epi32(value), _mm512_set1_epi32(rounding.zero.into()));
    let codes = _mm512_cvtusepi32_epi8(_mm512_max_epi32(whole, _mm512_setzero_si512()));
    let codes = _mm_max_epu8(codes, _mm_set1_epi8(rounding.low as i8));
    _mm_min_epu8(codes, _mm_set1_epi8(rounding.high as i8))
}

/// # Safety
/// The CPU must have AVX-512 F, BW, VL and VNNI, and the sizes must be those that `Kernels::depthwise` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn depthwise(
    conv: &Convolution,
    window: &Window,
    input: &[u8],
    output: &mut [u8],
    border: &[u8],
) {
    let channels = conv.bias.len();
    let blocks = channels / LANES;
    let rows = Rows { input, border, side: window.side, channels };
    let row_bytes = window.side / window.stride * channels;
    let mut block = 0;
    while block < blocks {
        let width = match blocks - block {
            0..4 => 1,
            _ => 4,
        };
        for (row, output) in output.chunks_exact_mut(row_bytes).enumerate() {
            let rows = rows.three(row * window.stride, block * LANES);
            let output = &mut output[block * LANES..];
            // SAFETY: `width` blocks from `block` on exist; the rows lie in the input, and `output` is the row of
            // the output that belongs to them.
            unsafe {
                match (width, window.stride) {
                    (4, 1) => depthwise_row::<4, 1>(conv, block, rows, output),
                    (4, _) => depthwise_row::<4, 2>(conv, block, rows, output),
                    (_, 1) => depthwise_row::<1, 1>(conv, block, rows, output),
                    _ => depthwise_row::<1, 2>(conv, block, rows, output),
                }
            }
        }
        block += width;
    }
}

/// One row of N blocks of channels.
///
/// # Safety
/// N blocks from `block` on must exist, and `output` must begin at the first of them in a row of the output and
/// end with it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
unsafe fn depthwise_row<const N: usize, const STRIDE: usize>(
    conv: &Convolution,
    block: usize,
    rows: ThreeRows,
    output: &mut [u8],
) {
    let channels = conv.bias.len();
    // SAFETY: N blocks exist; weights are [channels / 16][3 columns][16][4 rows]. Every
    // column exists.
    unsafe {
        let weights = conv.weights.as_ptr().add(block * 12 * LANES);
        let weights: [[__m512i; 3]; N] = std::array::from_fn(|n| {
            [0, 1, 2].map(|x| _mm512_loadu_si512(weights.add((n * 3 + x) * 4 * LANES).cast()))
        });
        let bias: [__m512i; N] =
            std::array::from_fn(|n| _mm512_loadu_si512(conv.bias.as_ptr().add((block + n) * LANES).cast()));
        let multiplier: [__m512; N] =
            std::array::from_fn(|n| _mm512_loadu_ps(conv.multiplier.as_ptr().add((block + n) * LANES)));
        let column = |x: usize| -> [__m512i; N] {
            let rows = rows.at(x);
            std::array::from_fn(|n| interleave(rows.map(|row| row.add(n * LANES))))
        };
        let (mut c0, mut c1) = (column(0), column(1));
        for (x, output) in output.chunks_mut(channels).enumerate() {
            let c2 = column(x * STRIDE + 2);
            for n in 0..N {
                let sum = _mm512_dpbusd_epi32(bias[n], c0[n], weights[n][0]);
                let sum = _mm512_dpbusd_epi32(sum, c1[n], weights[n][1]);
                let sum = _mm512_dpbusd_epi32(sum, c2[n], weights[n][2]);
                let at = output.as_mut_ptr().add(n * LANES);
                _mm_storeu_si128(at.cast(), codes(sum, multiplier[n], conv.rounding));
            }
            (c0, c1) = match STRIDE {
                1 => (c1, c2),
                _ => (c2, column(x * STRIDE + 3)),
            };
        }
    }
}

/// Three rows of 16 channels as groups of four bytes, the last 0.
///
/// # Safety
/// 16 bytes must lie at each of the pointers.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
unsafe fn interleave(rows: [*const u8; 3]) -> __m512i {
    // SAFETY: the caller's.
    let [r0, r1, r2] = rows.map(|row| unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(row.cast())) });
    let low = _mm512_or_si512(r0, _mm512_slli_epi32(r1, 8));
    _mm512_or_si512(low, _mm512_slli_epi32(r2, 16))
}

/// # Safety
/// The CPU must have AVX-512 F, BW and VL, and the sizes must be those that `Kernels::add` checks.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) unsafe fn add(addition: &Addition, [a, b]: [&[u8]; 2], output: &mut [u8]) {
    let zero = addition.zero.map(|zero| _mm512_set1_epi32(zero.into()));
    let ratio = addition.ratio.map(|ratio| _mm512_set1_ps(ratio));
    for at in (0..output.len()).step_by(LANES) {
        // SAFETY: all three have as many bytes, a multiple of 16.
        unsafe {
            let term = |codes: *const u8, i: usize| {
                let code = _mm512_cvtepu8_epi32(_mm_loadu_si128(codes.add(at).cast()));
                _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(code, zero[i])), ratio[i])
            };
            let value = _mm512_add_ps(term(a.as_ptr(), 0), term(b.as_ptr(), 1));
            _mm_storeu_si128(output.as_mut_ptr().add(at).cast(), rounded(value, addition.rounding));
        }
    }
}
