//! The reference: plain Rust, for every CPU.

use super::{Addition, Convolution, Window, rounding};
use crate::engine::layout::LANES;

pub(super) fn pointwise(conv: &Convolution, input: &[u8], output: &mut [u8], _scratch: &mut [u8]) {
    let channels = conv.bias.len();
    let depth = conv.weights.len() / channels;
    for (pixel, output) in input.chunks_exact(depth).zip(output.chunks_exact_mut(channels)) {
        for (weights, (block, output)) in
            conv.weights.chunks_exact(LANES * depth).zip(output.chunks_exact_mut(LANES).enumerate())
        {
            let mut sums = [0i32; LANES];
            for (four, weights) in pixel.chunks_exact(4).zip(weights.chunks_exact(4 * LANES)) {
                for lane in 0..LANES {
                    sums[lane] += dot4(four, &weights[4 * lane..][..4]);
                }
            }
            write(conv, block, &sums, output);
        }
    }
}

pub(super) fn depthwise(conv: &Convolution, window: &Window, input: &[u8], output: &mut [u8], border: &[u8]) {
    let channels = conv.bias.len();
    let (side, stride) = (window.side, window.stride);
    let side_out = side / stride;
    // Rows and columns count from the border, which is row and column 0.
    let pixel = |row: usize, column: usize| {
        let inside = (1..=side).contains(&row) && (1..=side).contains(&column);
        if inside { &input[((row - 1) * side + column - 1) * channels..][..channels] } else { border }
    };
    for (place, output) in output.chunks_exact_mut(channels).enumerate() {
        let (row, column) = (place / side_out * stride, place % side_out * stride);
        for (block, output) in output.chunks_exact_mut(LANES).enumerate() {
            let mut sums = [0i32; LANES];
            for x in 0..3 {
                let weights = &conv.weights[(block * 3 + x) * 4 * LANES..][..4 * LANES];
                for y in 0..3 {
                    let codes = &pixel(row + y, column + x)[block * LANES..][..LANES];
                    for lane in 0..LANES {
                        sums[lane] += i32::from(codes[lane]) * i32::from(weights[4 * lane + y]);
                    }
                }
            }
            write(conv, block, &sums, output);
        }
    }
}

pub(super) fn add(addition: &Addition, inputs: [&[u8]; 2], output: &mut [u8]) {
    rounding::add(addition, inputs, output);
}

fn dot4(codes: &[u8], weights: &[i8]) -> i32 {
    (0..4).map(|i| i32::from(codes[i]) * i32::from(weights[i])).sum()
}

/// The codes of one block of channels.
fn write(conv: &Convolution, block: usize, sums: &[i32; LANES], output: &mut [u8]) {
    let bias = &conv.bias[block * LANES..][..LANES];
    let multiplier = &conv.multiplier[block * LANES..][..LANES];
    for lane in 0..LANES {
        output[lane] = conv.rounding.code(sums[lane].wrapping_add(bias[lane]) as f32 * multiplier[lane]);
    }
}
