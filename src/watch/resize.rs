//! Area-correct resize of one plane to the engine's input, a strip of [`LANES`] rows at a time.
//!
//! A separable triangle filter as wide as the reduction (bilinear when enlarging): Pillow's
//! `BILINEAR` with reducing support. All of it in whole numbers, so that every machine gets the
//! same bytes.
//!
//! Down first, over neighbours in a row of the source; then across, over the rows of the strip,
//! which lie side by side by then. Both inner loops run over neighbours in memory, so the compiler
//! makes vector instructions of them.

use super::frame::Plane;

/// Side of the engine's square input in pixels.
pub const INPUT_SIDE: usize = 128;
/// Longest side of a plane that can be resized, in samples: bounds the tables.
pub const MAX_SAMPLE_SIDE: usize = 4096;
/// Rows of a strip.
pub const LANES: usize = 8;
/// Resized samples keep this many bits below one code value: as many as an `i16` has room for.
pub const FRACTION_BITS: u32 = 7;
const WEIGHT_BITS: u32 = 14;
/// Source columns that are summed at once.
const CHUNK: usize = 16;

/// One column of a strip.
pub type Lanes = [i16; LANES];

/// A source sample and its weight; the weights of an output sample add up to `1 << WEIGHT_BITS`.
///
/// The place is kept for each tap and not for the first alone: where it comes from memory the
/// compiler cannot turn the loops of [`Resize`] inside out, which made them twice as slow.
#[derive(Clone, Copy)]
pub struct Tap {
    at: u16,
    weight: i16,
}

impl Tap {
    pub const NONE: Tap = Tap { at: 0, weight: 0 };
}

/// How many source samples each output sample of an axis of `size` samples reads.
pub const fn tap_count(size: usize) -> usize {
    let reduced = if size > INPUT_SIDE { size } else { INPUT_SIDE };
    (2 * reduced).div_ceil(INPUT_SIDE)
}

/// Fills in the triangle over output sample `i` of `size` source samples.
fn set_taps(taps: &mut [Tap], i: usize, size: usize) {
    // In source samples times 2 * INPUT_SIDE every centre and edge is whole.
    const UNIT: usize = 2 * INPUT_SIDE;
    let support = 2 * size.max(INPUT_SIDE);
    let centre = (2 * i + 1) * size;
    let height = |k: usize| support.saturating_sub((k * UNIT + UNIT / 2).abs_diff(centre)) as u64;
    let first = (centre + UNIT / 2).saturating_sub(support) / UNIT;
    let first = first.min(size.saturating_sub(taps.len()));
    let total: u64 = (first..size).take(taps.len()).map(height).sum();
    // Rounding the sum so far instead of each weight leaves nothing over: flat stays flat.
    let one = (1 << (WEIGHT_BITS + 32)) / total;
    let (mut sum, mut given) = (0, 0);
    for (k, tap) in taps.iter_mut().enumerate() {
        // A plane of one sample has fewer than there are taps; the rest weigh nothing.
        let at = (first + k).min(size - 1);
        sum += if at == first + k { height(at) } else { 0 };
        let due = ((sum * one + (1 << 31)) >> 32) as i16;
        *tap = Tap { at: at as u16, weight: due - given };
        given = due;
    }
}

/// The resize of planes of one size. First [`Resize::strip`], then for each plane
/// [`Resize::down`] and [`Resize::across`].
pub struct Resize<'a> {
    height: usize,
    across_count: usize,
    across: &'a [Tap],
    down_count: usize,
    down: [Tap; LANES * tap_count(MAX_SAMPLE_SIDE)],
}

impl<'a> Resize<'a> {
    /// `across` is memory for the taps of a row, at least `INPUT_SIDE * tap_count(width)`.
    pub fn new(width: usize, height: usize, across: &'a mut [Tap]) -> Resize<'a> {
        let across_count = tap_count(width);
        let across = &mut across[..INPUT_SIDE * across_count];
        for (i, taps) in across.chunks_exact_mut(across_count).enumerate() {
            set_taps(taps, i, width);
        }
        Resize { height, across_count, across, down_count: tap_count(height), down: [Tap::NONE; _] }
    }

    /// Goes to the strip of output rows from `row` on.
    pub fn strip(&mut self, row: usize) {
        for (lane, taps) in self.down.chunks_exact_mut(self.down_count).take(LANES).enumerate() {
            set_taps(taps, row + lane, self.height);
        }
    }

    /// Resizes the columns of the plane's `width` bytes at `(x, y)` to the strip's height. Bytes may
    /// be of several components in turn.
    pub fn down(&self, plane: Plane, (x, y): (usize, usize), width: usize, columns: &mut [Lanes]) {
        let bytes = &plane.bytes[y * plane.stride + x..];
        if width < CHUNK {
            let narrow = |row: usize| {
                let mut samples = [0; CHUNK];
                samples[..width].copy_from_slice(&bytes[row * plane.stride..][..width]);
                samples
            };
            return self.down_chunk(narrow, columns);
        }
        let mut column = 0;
        loop {
            let row = |row: usize| {
                let samples = bytes[column + row * plane.stride..].first_chunk();
                *samples.expect("the rectangle lies inside the plane")
            };
            self.down_chunk(row, &mut columns[column..]);
            if column + CHUNK >= width {
                break;
            }
            // The last chunk ends where the row ends.
            column = (column + CHUNK).min(width - CHUNK);
        }
    }

    fn down_chunk(&self, row: impl Fn(usize) -> [u8; CHUNK], columns: &mut [Lanes]) {
        const SHIFT: u32 = WEIGHT_BITS - FRACTION_BITS;
        let mut rows = [[0i16; CHUNK]; LANES];
        for (out, taps) in rows.iter_mut().zip(self.down.chunks_exact(self.down_count)) {
            let mut sums = [1i32 << (SHIFT - 1); CHUNK];
            for tap in taps {
                for (sum, sample) in sums.iter_mut().zip(row(usize::from(tap.at))) {
                    *sum += i32::from(sample) * i32::from(tap.weight);
                }
            }
            *out = sums.map(|sum| (sum >> SHIFT) as i16);
        }
        for (i, column) in columns[..CHUNK].iter_mut().enumerate() {
            *column = core::array::from_fn(|lane| rows[lane][i]);
        }
    }

    /// Resizes every `STEP`th of the columns to the strip's width: samples of 0..=255 with
    /// [`FRACTION_BITS`] below.
    pub fn across<const STEP: usize>(&self, columns: &[Lanes], out: &mut [Lanes; INPUT_SIDE]) {
        for (out, taps) in out.iter_mut().zip(self.across.chunks_exact(self.across_count)) {
            // 15 bits and 14: the sum stays below 2^29.
            let mut sums = [1i32 << (WEIGHT_BITS - 1); LANES];
            for tap in taps {
                let column = &columns[usize::from(tap.at) * STEP];
                for (sum, &sample) in sums.iter_mut().zip(column) {
                    *sum += i32::from(sample) * i32::from(tap.weight);
                }
            }
            *out = sums.map(|sum| (sum >> WEIGHT_BITS) as i16);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_taps_are_the_triangle() {
        for size in [1, 2, 3, 64, 127, 128, 129, 220, 512, 1000, MAX_SAMPLE_SIDE] {
            let scale = size as f64 / INPUT_SIDE as f64;
            for i in 0..INPUT_SIDE {
                let mut taps = vec![Tap::NONE; tap_count(size)];
                set_taps(&mut taps, i, size);
                let centre = (i as f64 + 0.5) * scale;
                let height = |k: usize| (1.0 - (k as f64 + 0.5 - centre).abs() / scale.max(1.0)).max(0.0);
                let total: f64 = (0..size).map(height).sum();
                for k in 0..size {
                    let of_k = taps.iter().filter(|tap| usize::from(tap.at) == k);
                    let got: i32 = of_k.map(|tap| i32::from(tap.weight)).sum();
                    let want = height(k) / total * f64::from(1 << WEIGHT_BITS);
                    assert!((f64::from(got) - want).abs() <= 1.0, "{size}, {i}, {k}: {got}, want {want}");
                }
                assert_eq!(taps.iter().map(|tap| i32::from(tap.weight)).sum::<i32>(), 1 << WEIGHT_BITS);
            }
        }
    }
}
