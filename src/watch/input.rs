//! The fused step: from a frame's own planes to the engine's input.

use super::frame::{Chroma, Frame};
use super::quantise::write_pixels;
use super::region::PixelRect;
pub use super::resize::{INPUT_SIDE, MAX_SAMPLE_SIDE};
use super::resize::{LANES, Resize, Tap, tap_count};

/// Bytes of a pixel of the input.
pub const INPUT_CHANNELS: usize = 4;
const ROW_BYTES: usize = INPUT_SIDE * INPUT_CHANNELS;

/// The engine's input: 128 x 128 pixels row by row, each the codes of red, green and blue (see
/// [`super::quantise`]) and a zero.
#[derive(Clone)]
pub struct Input {
    pub codes: [u8; INPUT_SIDE * ROW_BYTES],
}

impl Default for Input {
    fn default() -> Self {
        Input { codes: [0; INPUT_SIDE * ROW_BYTES] }
    }
}

/// Resizes `rect` of `frame` to the engine's input, converts it with the frame's own colours and
/// quantises it, in one pass and without a copy. `rect` must be even, lie inside the frame and be
/// at most [`MAX_SAMPLE_SIDE`] on a side. Takes 130 KB of stack and nothing of the heap.
///
/// U and V are resized from their own planes and count as lying in the middle of their four pixels,
/// as in JPEG. H.264 usually puts them half a pixel further left; a picture that `ajar cut` saved no
/// longer knows, and what the device sees must be what training saw.
pub fn sample(frame: &Frame, rect: PixelRect, input: &mut Input) {
    let PixelRect { x, y, width, height } = rect;
    assert!(width.max(height) <= MAX_SAMPLE_SIDE, "{width} x {height} pixels are too many");
    let mut luma_taps = [Tap::NONE; INPUT_SIDE * tap_count(MAX_SAMPLE_SIDE)];
    let mut luma = Resize::new(width, height, &mut luma_taps);
    let mut chroma_taps = [Tap::NONE; INPUT_SIDE * tap_count(MAX_SAMPLE_SIDE / 2)];
    let mut chroma = Resize::new(width / 2, height / 2, &mut chroma_taps);
    let mut columns = [[0; LANES]; MAX_SAMPLE_SIDE];
    let [mut ys, mut us, mut vs] = [[[0; LANES]; INPUT_SIDE]; 3];
    let mut pixels = [[0; LANES]; INPUT_SIDE];
    for (strip, rows) in input.codes.chunks_exact_mut(LANES * ROW_BYTES).enumerate() {
        luma.strip(strip * LANES);
        luma.down(frame.luma, (x, y), width, &mut columns);
        luma.across::<1>(&columns, &mut ys);
        chroma.strip(strip * LANES);
        match frame.chroma {
            Chroma::Planar { u, v } => {
                chroma.down(u, (x / 2, y / 2), width / 2, &mut columns);
                chroma.across::<1>(&columns, &mut us);
                chroma.down(v, (x / 2, y / 2), width / 2, &mut columns);
                chroma.across::<1>(&columns, &mut vs);
            }
            Chroma::Interleaved(uv) => {
                chroma.down(uv, (x, y / 2), width, &mut columns);
                chroma.across::<2>(&columns, &mut us);
                chroma.across::<2>(&columns[1..], &mut vs);
            }
        }
        write_pixels(frame.colour, &ys, &us, &vs, &mut pixels);
        for (lane, row) in rows.chunks_exact_mut(ROW_BYTES).enumerate() {
            for (pixel, column) in row.chunks_exact_mut(INPUT_CHANNELS).zip(&pixels) {
                pixel.copy_from_slice(&column[lane].to_le_bytes());
            }
        }
    }
}
