//! From sums to codes in plain Rust: what every other kernel must equal.

use super::Addition;
use crate::engine::plan::Rounding;

/// Adding and taking away 1.5 * 2^23 leaves an f32 rounded to a whole number, half to even: the sum has no room
/// for a fraction. Beyond 2^22, where that ends, every code is saturated anyway. Unlike `round_ties_even` it
/// needs no SSE4.1, so that it is fast on every x86-64.
const WHOLE: f32 = 12_582_912.0;

impl Rounding {
    /// The code of a value in steps of the output's scale.
    #[inline(always)]
    pub(super) fn code(&self, value: f32) -> u8 {
        let zero = f32::from(self.zero);
        let whole = (value + WHOLE) - WHOLE + zero;
        // Within 0..=255, so the conversion is exact.
        whole.clamp(f32::from(self.low), f32::from(self.high)) as i32 as u8
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
