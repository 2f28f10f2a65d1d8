//! From sums to codes in plain Rust: what every other kernel must equal.

use super::Addition;
use crate::engine::layout::Rounding;

/// 1.5 * 2^23: the sum of it and a value within 2^22 has no room for a fraction, so it is rounded half to even, and
/// the lowest bits of the sum are the whole number. Unlike `round_ties_even` and a cast this needs no SSE4.1 and no
/// care for NaN, so that it is fast on every x86-64.
const WHOLE: f32 = 12_582_912.0;

impl Rounding {
    /// The code of a value in steps of the output's scale.
    #[inline(always)]
    pub(super) fn code(&self, value: f32) -> u8 {
        let [zero, low, high] = [self.zero, self.low, self.high].map(f32::from);
        let whole = value.clamp(low - zero, high - zero) + WHOLE;
        (whole.to_bits() as u8).wrapping_add(self.zero)
    }
}

/// The addition for every path: LLVM makes of it what the caller's instructions allow.
#[inline(always)]
pub(super) fn add(addition: &Addition, [a, b]: [&[u8]; 2], output: &mut [u8]) {
    let [zero_a, zero_b] = addition.zero.map(f32::from);
    let [ratio_a, ratio_b] = addition.ratio;
    for ((output, &a), &b) in output.iter_mut().zip(a).zip(b) {
        let sum = (f32::from(a) - zero_a) * ratio_a + (f32::from(b) - zero_b) * ratio_b;
        *output = addition.rounding.code(sum);
    }
}
