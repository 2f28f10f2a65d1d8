//! The codes the backbone reads: of an R, G or B, and straight from resized Y, U and V.

use super::colour::{Coefficients, fixed};
use super::frame::{Colour, Matrix, Range};
use super::resize::{FRACTION_BITS, LANES, Lanes};

/// Per-channel mean of the backbone's training pictures, of RGB in 0..=1.
pub const MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Per-channel standard deviation of the same.
pub const STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Standard deviations from one code to the next: `input_scale` of the int8 backbone
/// (`models/README.md`).
pub const INPUT_SCALE: f32 = 0.018_666_666;
/// The code of the mean: its `input_zero_point`.
pub const INPUT_ZERO_POINT: u8 = 114;

/// The code of `value` in `channel` (0 red, 1 green, 2 blue): what the ONNX file's own
/// `QuantizeLinear` gives for it.
pub const fn code(channel: usize, value: u8) -> u8 {
    let deviations = (value as f32 / 255.0 - MEAN[channel]) / STD[channel];
    // So large a number has no room for fractions: adding and taking it away rounds half to even.
    const WHOLE: f32 = 1.5 * (1 << 23) as f32;
    let steps = (deviations / INPUT_SCALE + WHOLE) - WHOLE;
    // The cast saturates.
    (steps + INPUT_ZERO_POINT as f32) as u8
}

const COEFFICIENT_BITS: u32 = 14;

/// The code of one channel as a sum of Y, U and V: conversion to RGB and quantisation are both
/// linear, so they are one step. Only the end is rounded, and cut off where RGB ends.
#[derive(Clone, Copy)]
struct Channel {
    y: i16,
    u: i16,
    v: i16,
    offset: i32,
    /// The codes of 0 and 255.
    least: i16,
    most: i16,
}

impl Channel {
    const fn new(channel: usize, black: i32, y: f32, u: f32, v: f32) -> Channel {
        let codes_per_value = 1.0 / (255.0 * STD[channel] * INPUT_SCALE);
        let y = coefficient(y * codes_per_value);
        let u = coefficient(u * codes_per_value);
        let v = coefficient(v * codes_per_value);
        let code_of_black = INPUT_ZERO_POINT as f32 - MEAN[channel] / (STD[channel] * INPUT_SCALE);
        // What Y, U and V of black add up to, in the same rounded coefficients: grey stays grey.
        let black = black * y as i32 + 128 * (u as i32 + v as i32);
        Channel {
            y,
            u,
            v,
            offset: fixed(code_of_black + 0.5, COEFFICIENT_BITS + FRACTION_BITS) - (black << FRACTION_BITS),
            least: code(channel, 0) as i16,
            most: code(channel, 255) as i16,
        }
    }

    #[inline(always)]
    fn code(&self, y: i16, u: i16, v: i16) -> u32 {
        // At most two products are positive, each below 2^30.
        let sum = i32::from(y) * i32::from(self.y)
            + i32::from(u) * i32::from(self.u)
            + i32::from(v) * i32::from(self.v)
            + self.offset;
        let code = (sum >> (COEFFICIENT_BITS + FRACTION_BITS)) as i16;
        u32::from(code.max(self.least).min(self.most) as u16)
    }
}

const fn coefficient(value: f32) -> i16 {
    let fixed = fixed(value, COEFFICIENT_BITS);
    assert!(fixed.unsigned_abs() <= i16::MAX as u32);
    fixed as i16
}

/// Writes the pixels of resized samples (with [`FRACTION_BITS`]): the codes of red, green and blue
/// from the lowest byte on, the highest zero.
pub(super) fn write_pixels(
    colour: Colour,
    y: &[Lanes],
    u: &[Lanes],
    v: &[Lanes],
    pixels: &mut [[u32; LANES]],
) {
    use Matrix::{Bt601, Bt709};
    use Range::{Full, Limited};
    // Where the compiler knows the coefficients it multiplies 16 by 16 bits, else 32 by 32.
    match (colour.matrix, colour.range) {
        (Bt601, Limited) => write(const { channels(Bt601, Limited) }, y, u, v, pixels),
        (Bt601, Full) => write(const { channels(Bt601, Full) }, y, u, v, pixels),
        (Bt709, Limited) => write(const { channels(Bt709, Limited) }, y, u, v, pixels),
        (Bt709, Full) => write(const { channels(Bt709, Full) }, y, u, v, pixels),
    }
}

const fn channels(matrix: Matrix, range: Range) -> [Channel; 3] {
    let to = Coefficients::new(Colour { matrix, range });
    [
        Channel::new(0, to.black, to.luma, 0.0, to.red_v),
        Channel::new(1, to.black, to.luma, to.green_u, to.green_v),
        Channel::new(2, to.black, to.luma, to.blue_u, 0.0),
    ]
}

#[inline(always)]
fn write([r, g, b]: [Channel; 3], y: &[Lanes], u: &[Lanes], v: &[Lanes], pixels: &mut [[u32; LANES]]) {
    let samples = y.as_flattened().iter().zip(u.as_flattened()).zip(v.as_flattened());
    for (pixel, ((&y, &u), &v)) in pixels.as_flattened_mut().iter_mut().zip(samples) {
        *pixel = r.code(y, u, v) | g.code(y, u, v) << 8 | b.code(y, u, v) << 16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_corner_of_yuv_is_converted_without_overflow() {
        let corners = [0u8, 16, 128, 235, 255];
        for matrix in [Matrix::Bt601, Matrix::Bt709] {
            for range in [Range::Limited, Range::Full] {
                let to = Coefficients::new(Colour { matrix, range });
                for (y, u, v) in (0..125).map(|i| (corners[i % 5], corners[i / 5 % 5], corners[i / 25])) {
                    let mut pixels = [[0; LANES]];
                    let [lanes_y, lanes_u, lanes_v] =
                        [y, u, v].map(|sample| [[i16::from(sample) << FRACTION_BITS; LANES]]);
                    write_pixels(Colour { matrix, range }, &lanes_y, &lanes_u, &lanes_v, &mut pixels);
                    let luma = to.luma * (f32::from(y) - to.black as f32);
                    let (u, v) = (f32::from(u) - 128.0, f32::from(v) - 128.0);
                    let rgb =
                        [luma + to.red_v * v, luma + to.green_u * u + to.green_v * v, luma + to.blue_u * u];
                    let near = |channel: usize| {
                        let code = code(channel, (rgb[channel] + 0.5) as u8);
                        pixels[0][0].to_le_bytes()[channel].abs_diff(code) <= 1
                    };
                    assert!((0..3).all(near), "{y}, {u}, {v} of {matrix:?} {range:?}: {:x?}", pixels[0]);
                }
            }
        }
    }
}
