//! 64-bit Arm. Both ways multiply signed bytes: activations less 128, which `bias_signed` makes good.
//!
//! Without dot products: `smull` and `smlal` add two products in 16 bits, `sadalp` adds pairs of those in 32. Two
//! products of weights within -127..=127 always fit 16 bits.

use super::rows::{Rows, ThreeRows};
use super::{Addition, Convolution, Window, rounding};
use crate::engine::layout::{LANES, Rounding};
use std::arch::aarch64::*;
use std::arch::asm;

/// SDOT: true with dot products of four bytes.
///
/// # Safety
/// With SDOT the CPU must have dot products. The sizes must be those that `Kernels::pointwise` checks.
pub(super) unsafe fn pointwise<const SDOT: bool>(
    conv: &Convolution,
    input: &[u8],
    output: &mut [u8],
    _scratch: &mut [u8],
) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    let at_once = if SDOT { 4 } else { 2 };
    for channel in (0..channels).step_by(LANES) {
        let all = input.chunks(at_once * depth).zip(output.chunks_mut(at_once * channels));
        for (input, output) in all {
            let x = input.as_ptr();
            // SAFETY: as many pixels as each tile takes, and 16 channels from `channel` on.
            unsafe {
                match (SDOT, output.len() / channels) {
                    (true, 4) => tile_sdot::<4>(conv, channel, x, output),
                    (true, pixels) => (0..pixels).for_each(|p| {
                        tile_sdot::<1>(conv, channel, x.add(p * depth), &mut output[p * channels..]);
                    }),
                    (false, 2) => tile::<2>(conv, channel, x, output),
                    (false, _) => tile::<1>(conv, channel, x, output),
                }
            }
        }
    }
}

/// # Safety
/// P pixels must lie at `x` and in `output`, and 16 channels from `channel` on must exist.
#[inline(always)]
unsafe fn tile<const P: usize>(conv: &Convolution, channel: usize, x: *const u8, output: &mut [u8]) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    // SAFETY: [channels / 16][depth / 4][16][4]; two groups are taken where two are left.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel * depth);
        // For each four channels: sums of even and odd pairs of two of them, of the other two.
        let mut sums = [[[vdupq_n_s32(0); 2]; 4]; P];
        let mut group = 0;
        while group + 2 <= depth / 4 {
            let mut a = [[vdupq_n_s8(0); 2]; P];
            for (p, a) in a.iter_mut().enumerate() {
                *a = [four(x.add(p * depth + group * 4)), four(x.add(p * depth + group * 4 + 4))];
            }
            for n in 0..4 {
                let at = weights.add(group * 4 * LANES + n * LANES);
                let (w0, w1) = (vld1q_s8(at), vld1q_s8(at.add(4 * LANES)));
                for p in 0..P {
                    let [a0, a1] = a[p];
                    let low = vmull_s8(vget_low_s8(w0), vget_low_s8(a0));
                    let low = vmlal_s8(low, vget_low_s8(w1), vget_low_s8(a1));
                    let high = vmlal_high_s8(vmull_high_s8(w0, a0), w1, a1);
                    sums[p][n][0] = vpadalq_s16(sums[p][n][0], low);
                    sums[p][n][1] = vpadalq_s16(sums[p][n][1], high);
                }
            }
            group += 2;
        }
        if group < depth / 4 {
            for p in 0..P {
                let a = four(x.add(p * depth + group * 4));
                for n in 0..4 {
                    let w = vld1q_s8(weights.add(group * 4 * LANES + n * LANES));
                    sums[p][n][0] = vpadalq_s16(sums[p][n][0], vmull_s8(vget_low_s8(w), vget_low_s8(a)));
                    sums[p][n][1] = vpadalq_s16(sums[p][n][1], vmull_high_s8(w, a));
                }
            }
        }
        let constants = Constants::load(conv, channel);
        for (p, sums) in sums.into_iter().enumerate() {
            let mut whole = [vdupq_n_s32(0); 4];
            for n in 0..4 {
                whole[n] = vaddq_s32(vpaddq_s32(sums[n][0], sums[n][1]), constants.bias[n]);
            }
            vst1q_u8(output.as_mut_ptr().add(p * channels + channel), constants.codes(whole));
        }
    }
}

/// # Safety
/// As `tile`, and the CPU must have dot products.
#[inline(always)]
unsafe fn tile_sdot<const P: usize>(conv: &Convolution, channel: usize, x: *const u8, output: &mut [u8]) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    // SAFETY: [channels / 16][depth / 4][16][4]; four groups are taken where four are left.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel * depth);
        let constants = Constants::load(conv, channel);
        let mut sums = [constants.bias; P];
        let mut group = 0;
        while group + 4 <= depth / 4 {
            let mut a = [vdupq_n_s8(0); P];
            for (p, a) in a.iter_mut().enumerate() {
                *a = signed(vld1q_u8(x.add(p * depth + group * 4)));
            }
            let at = weights.add(group * 4 * LANES);
            dot_group::<0, P>(&mut sums, at, a);
            dot_group::<1, P>(&mut sums, at.add(4 * LANES), a);
            dot_group::<2, P>(&mut sums, at.add(8 * LANES), a);
            dot_group::<3, P>(&mut sums, at.add(12 * LANES), a);
            group += 4;
        }
        while group < depth / 4 {
            for (p, sums) in sums.iter_mut().enumerate() {
                let a = four(x.add(p * depth + group * 4));
                for (n, sum) in sums.iter_mut().enumerate() {
                    *sum = sdot(*sum, vld1q_s8(weights.add(group * 4 * LANES + n * LANES)), a);
                }
            }
            group += 1;
        }
        for (p, sums) in sums.into_iter().enumerate() {
            vst1q_u8(output.as_mut_ptr().add(p * channels + channel), constants.codes(sums));
        }
    }
}

/// Adds one group: the LANE-th four of each pixel's 16 activations. By itself, so that the sums stay in registers.
///
/// # Safety
/// A group of 64 weights must lie at `weights`, and the CPU must have dot products.
#[inline(always)]
unsafe fn dot_group<const LANE: usize, const P: usize>(
    sums: &mut [[int32x4_t; 4]; P],
    weights: *const i8,
    activations: [int8x16_t; P],
) {
    // SAFETY: the caller's.
    unsafe {
        let weights = [0, 1, 2, 3].map(|n| vld1q_s8(weights.add(n * LANES)));
        for (sums, a) in sums.iter_mut().zip(activations) {
            for (sum, w) in sums.iter_mut().zip(weights) {
                *sum = sdot_lane::<LANE>(*sum, w, a);
            }
        }
    }
}

/// Bias and multiplier of 16 channels.
struct Constants {
    bias: [int32x4_t; 4],
    multiplier: [float32x4_t; 4],
    rounding: Rounding,
}

impl Constants {
    /// # Safety
    /// 16 channels from `channel` on must exist.
    #[inline(always)]
    unsafe fn load(conv: &Convolution, channel: usize) -> Constants {
        // SAFETY: the caller's.
        unsafe {
            let bias = conv.bias_signed.as_ptr().add(channel);
            let multiplier = conv.multiplier.as_ptr().add(channel);
            Constants {
                bias: [
                    vld1q_s32(bias),
                    vld1q_s32(bias.add(4)),
                    vld1q_s32(bias.add(8)),
                    vld1q_s32(bias.add(12)),
                ],
                multiplier: [
                    vld1q_f32(multiplier),
                    vld1q_f32(multiplier.add(4)),
                    vld1q_f32(multiplier.add(8)),
                    vld1q_f32(multiplier.add(12)),
                ],
                rounding: conv.rounding,
            }
        }
    }

    #[inline(always)]
    fn codes(&self, sums: [int32x4_t; 4]) -> uint8x16_t {
        // SAFETY: every 64-bit Arm has these instructions.
        unsafe {
            let zero = vdupq_n_s32(self.rounding.zero.into());
            let whole = |n: usize| {
                let value = vmulq_f32(vcvtq_f32_s32(sums[n]), self.multiplier[n]);
                vqmovn_s32(vaddq_s32(vcvtnq_s32_f32(value), zero))
            };
            let (low, high) = (vcombine_s16(whole(0), whole(1)), vcombine_s16(whole(2), whole(3)));
            let codes = vcombine_u8(vqmovun_s16(low), vqmovun_s16(high));
            vminq_u8(vmaxq_u8(codes, vdupq_n_u8(self.rounding.low)), vdupq_n_u8(self.rounding.high))
        }
    }
}

/// # Safety
/// The sizes must be those that `Kernels::depthwise` checks.
pub(super) unsafe fn depthwise(
    conv: &Convolution,
    window: &Window,
    input: &[u8],
    output: &mut [u8],
    border: &[u8],
) {
    // SAFETY: the caller's.
    unsafe { each_row(conv, window, input, output, border, row_of_products) }
}

/// # Safety
/// As `depthwise`, and the CPU must have dot products.
pub(super) unsafe fn depthwise_sdot(
    conv: &Convolution,
    window: &Window,
    input: &[u8],
    output: &mut [u8],
    border: &[u8],
) {
    // SAFETY: the caller's.
    unsafe { each_row(conv, window, input, output, border, row_of_dots) }
}

type Row = unsafe fn(&Convolution, usize, usize, ThreeRows, &mut [u8]);

/// # Safety
/// As `depthwise`; `work` gets the convolution, the first of 16 channels, the stride, the rows that lie in the
/// input, and the row of the output that belongs to them, from that channel on.
#[inline(always)]
unsafe fn each_row(
    conv: &Convolution,
    window: &Window,
    input: &[u8],
    output: &mut [u8],
    border: &[u8],
    work: Row,
) {
    let channels = conv.bias.len();
    let rows = Rows { input, border, side: window.side, channels };
    let row_bytes = window.side / window.stride * channels;
    for channel in (0..channels).step_by(LANES) {
        for (row, output) in output.chunks_exact_mut(row_bytes).enumerate() {
            let rows = rows.three(row * window.stride, channel);
            // SAFETY: as promised above.
            unsafe { work(conv, channel, window.stride, rows, &mut output[channel..]) }
        }
    }
}

/// Two taps' products in 16 bits, then added in 32.
///
/// # Safety
/// As `each_row` says of `work`.
unsafe fn row_of_products(
    conv: &Convolution,
    channel: usize,
    stride: usize,
    rows: ThreeRows,
    output: &mut [u8],
) {
    // SAFETY: weights are [channels / 16][3 columns][16][4 rows]; every column exists.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel * 12);
        let weights = [0, 1, 2].map(|x| vld4q_s8(weights.add(x * 4 * LANES)));
        let constants = Constants::load(conv, channel);
        let column = |x: usize| rows.at(x).map(|row| signed(vld1q_u8(row)));
        let (mut c0, mut c1) = (column(0), column(1));
        for (x, output) in output.chunks_mut(conv.bias.len()).enumerate() {
            let c2 = column(x * stride + 2);
            let [w0, w1, w2] = weights;
            let taps = [
                (w0.0, c0[0]),
                (w0.1, c0[1]),
                (w0.2, c0[2]),
                (w1.0, c1[0]),
                (w1.1, c1[1]),
                (w1.2, c1[2]),
                (w2.0, c2[0]),
                (w2.1, c2[1]),
                (w2.2, c2[2]),
            ];
            let mut sums = constants.bias;
            for pair in taps.chunks(2) {
                let (w, a) = pair[0];
                let mut low = vmull_s8(vget_low_s8(w), vget_low_s8(a));
                let mut high = vmull_high_s8(w, a);
                if let Some(&(w, a)) = pair.get(1) {
                    low = vmlal_s8(low, vget_low_s8(w), vget_low_s8(a));
                    high = vmlal_high_s8(high, w, a);
                }
                sums[0] = vaddw_s16(sums[0], vget_low_s16(low));
                sums[1] = vaddw_high_s16(sums[1], low);
                sums[2] = vaddw_s16(sums[2], vget_low_s16(high));
                sums[3] = vaddw_high_s16(sums[3], high);
            }
            vst1q_u8(output.as_mut_ptr(), constants.codes(sums));
            (c0, c1) = if stride == 1 { (c1, c2) } else { (c2, column(x * 2 + 3)) };
        }
    }
}

/// Three rows interleaved into groups of four bytes, one dot product for each column.
///
/// # Safety
/// As `each_row` says of `work`, and the CPU must have dot products.
unsafe fn row_of_dots(conv: &Convolution, channel: usize, stride: usize, rows: ThreeRows, output: &mut [u8]) {
    // SAFETY: weights are [channels / 16][3 columns][16][4 rows]; every column exists.
    unsafe {
        let weights = conv.weights.as_ptr().add(channel * 12);
        let weights =
            [0, 1, 2].map(|x| [0, 1, 2, 3].map(|n| vld1q_s8(weights.add(x * 4 * LANES + n * LANES))));
        let constants = Constants::load(conv, channel);
        let column = |x: usize| interleave(rows.at(x));
        let (mut c0, mut c1) = (column(0), column(1));
        for (x, output) in output.chunks_mut(conv.bias.len()).enumerate() {
            let c2 = column(x * stride + 2);
            let mut sums = constants.bias;
            for (n, sum) in sums.iter_mut().enumerate() {
                *sum = sdot(*sum, weights[0][n], c0[n]);
                *sum = sdot(*sum, weights[1][n], c1[n]);
                *sum = sdot(*sum, weights[2][n], c2[n]);
            }
            vst1q_u8(output.as_mut_ptr(), constants.codes(sums));
            (c0, c1) = if stride == 1 { (c1, c2) } else { (c2, column(x * 2 + 3)) };
        }
    }
}

/// Three rows of 16 channels as groups of four signed bytes; what the last one holds meets a weight of 0.
///
/// # Safety
/// 16 bytes must lie at each of the pointers.
#[inline(always)]
unsafe fn interleave(rows: [*const u8; 3]) -> [int8x16_t; 4] {
    // SAFETY: the caller's.
    unsafe {
        let [r0, r1, r2] = rows.map(|row| vreinterpretq_u8_s8(signed(vld1q_u8(row))));
        let none = vdupq_n_u8(0);
        let low = (vreinterpretq_u16_u8(vzip1q_u8(r0, r1)), vreinterpretq_u16_u8(vzip1q_u8(r2, none)));
        let high = (vreinterpretq_u16_u8(vzip2q_u8(r0, r1)), vreinterpretq_u16_u8(vzip2q_u8(r2, none)));
        [
            vreinterpretq_s8_u16(vzip1q_u16(low.0, low.1)),
            vreinterpretq_s8_u16(vzip2q_u16(low.0, low.1)),
            vreinterpretq_s8_u16(vzip1q_u16(high.0, high.1)),
            vreinterpretq_s8_u16(vzip2q_u16(high.0, high.1)),
        ]
    }
}

/// The four bytes at `x`, signed, four times.
///
/// # Safety
/// Four bytes must lie there.
#[inline(always)]
unsafe fn four(x: *const u8) -> int8x16_t {
    // SAFETY: the caller's.
    unsafe { signed(vreinterpretq_u8_u32(vdupq_n_u32(x.cast::<u32>().read_unaligned()))) }
}

/// Codes less 128.
#[inline(always)]
fn signed(codes: uint8x16_t) -> int8x16_t {
    // SAFETY: every 64-bit Arm has these instructions.
    unsafe { vreinterpretq_s8_u8(veorq_u8(codes, vdupq_n_u8(0x80))) }
}

/// `sum` plus, for each of four channels, four weights times the four activations of its own.
///
/// # Safety
/// The CPU must have dot products.
#[inline(always)]
unsafe fn sdot(sum: int32x4_t, weights: int8x16_t, activations: int8x16_t) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: touches registers only. The intrinsic is not in stable Rust.
    unsafe {
        asm!(".arch_extension dotprod", "sdot {s:v}.4s, {w:v}.16b, {a:v}.16b",
            s = inout(vreg) sum, w = in(vreg) weights, a = in(vreg) activations,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// The same with the LANE-th four of the activations for all channels.
///
/// # Safety
/// The CPU must have dot products.
#[inline(always)]
unsafe fn sdot_lane<const LANE: usize>(
    sum: int32x4_t,
    weights: int8x16_t,
    activations: int8x16_t,
) -> int32x4_t {
    let mut sum = sum;
    // SAFETY: touches registers only. The intrinsic is not in stable Rust.
    unsafe {
        asm!(".arch_extension dotprod", "sdot {s:v}.4s, {w:v}.16b, {a:v}.4b[{lane}]",
            s = inout(vreg) sum, w = in(vreg) weights, a = in(vreg) activations, lane = const LANE,
            options(pure, nomem, nostack, preserves_flags));
    }
    sum
}

/// # Safety
/// None beyond what `Kernels::add` checks.
pub(super) unsafe fn add(addition: &Addition, inputs: [&[u8]; 2], output: &mut [u8]) {
    rounding::add(addition, inputs, output);
}
