//! One component of a crop, copied out of a frame and averaged down where it is too large.

use super::frame::Plane;

/// Largest factor: a side of 32,768 pixels comes down to 512 by it.
const MAX_FACTOR: usize = 64;
/// Columns that are summed at once.
const COLUMNS: usize = 2048;

/// Averages boxes of `factors` (across, down) samples into rows of `width`. The samples are every
/// `STEP`th byte of a row from byte `FIRST` on, the first box is at sample `(x, y)`. Means are
/// rounded, half upwards.
pub fn shrink<const STEP: usize, const FIRST: usize>(
    from: Plane,
    (x, y): (usize, usize),
    factors: (usize, usize),
    to: &mut [u8],
    width: usize,
) {
    let (across, down) = factors;
    assert!(across.max(down) <= MAX_FACTOR, "a crop must not be larger than 32768 pixels");
    let box_bytes = across * STEP;
    let mut sums = [0u16; COLUMNS];
    for (row, out) in to.chunks_exact_mut(width).enumerate() {
        if factors == (1, 1) {
            let bytes = from.row(y + row, x * STEP, width * STEP);
            for (out, sample) in out.iter_mut().zip(bytes.chunks_exact(STEP)) {
                *out = sample[FIRST];
            }
            continue;
        }
        let mut start = x * STEP;
        for out in out.chunks_mut(COLUMNS / box_bytes) {
            let sums = &mut sums[..out.len() * box_bytes];
            sums.fill(0);
            for dy in 0..down {
                let bytes = from.row(y + row * down + dy, start, sums.len());
                for (sum, &byte) in sums.iter_mut().zip(bytes) {
                    *sum += u16::from(byte);
                }
            }
            start += sums.len();
            // Usual factors as constants, so that the compiler unrolls them.
            match across {
                2 => mean::<STEP>(&sums[FIRST..], 2, down, out),
                3 => mean::<STEP>(&sums[FIRST..], 3, down, out),
                4 => mean::<STEP>(&sums[FIRST..], 4, down, out),
                _ => mean::<STEP>(&sums[FIRST..], across, down, out),
            }
        }
    }
}

#[inline(always)]
fn mean<const STEP: usize>(sums: &[u16], across: usize, down: usize, out: &mut [u8]) {
    let count = (across * down) as u32;
    // Exact instead of a division: count <= 4096, so the error stays below one.
    let one = (1u64 << 32).div_ceil(u64::from(count));
    for (out, sums) in out.iter_mut().zip(sums.chunks(across * STEP)) {
        let sum: u32 = sums.iter().step_by(STEP).map(|&sum| u32::from(sum)).sum();
        *out = ((u64::from(sum + count / 2) * one) >> 32) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Shrink = fn(Plane, (usize, usize), (usize, usize), &mut [u8], usize);

    #[test]
    fn boxes_are_rounded_means() {
        let stride = 1300;
        let mut seed = 1u32;
        let mut noise = || {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            // Often the ends, where sums are largest.
            ((seed >> 22) as i32 - 384).clamp(0, 255) as u8
        };
        let bytes: Vec<u8> = (0..stride * 140).map(|_| noise()).collect();
        let plane = Plane { bytes: &bytes, stride };
        for (across, down) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 3), (4, 4), (5, 7), (32, 32), (64, 64)] {
            let (width, height) = (1200 / 2 / across, 130 / down);
            let mut out = vec![0; width * height];
            let definition = |step: usize, first: usize, i: usize| {
                let (left, top) = (3 + i % width * across, 5 + i / width * down);
                let boxed = (0..across * down).map(|k| (left + k % across, top + k / across));
                let sum: u32 = boxed.map(|(x, y)| u32::from(bytes[y * stride + x * step + first])).sum();
                let count = (across * down) as u32;
                ((sum + count / 2) / count) as u8
            };
            let mut check = |shrink: Shrink, step, first| {
                shrink(plane, (3, 5), (across, down), &mut out, width);
                let right = out.iter().enumerate().all(|(i, &out)| out == definition(step, first, i));
                assert!(right, "{across} x {down}, byte {first} of {step}");
            };
            check(shrink::<1, 0>, 1, 0);
            check(shrink::<2, 0>, 2, 0);
            check(shrink::<2, 1>, 2, 1);
        }
    }
}
