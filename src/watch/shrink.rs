//! One component of a crop, copied out of a frame and averaged down where it is too large.

use super::frame::Plane;

/// Largest factor: a side of 32,768 pixels comes down to 512 by it.
const MAX_FACTOR: usize = 64;
/// Columns that are summed at once.
const COLUMNS: usize = 2048;

/// Averages boxes of `factors` (across, down) samples, the first at sample `(x, y)`, into rows of
/// `width`. The plane's rows hold samples of `STEP` components in turn; `to` has one plane for each.
/// Means are rounded, half upwards.
pub fn shrink<const STEP: usize>(
    from: Plane,
    (x, y): (usize, usize),
    (across, down): (usize, usize),
    mut to: [&mut [u8]; STEP],
    width: usize,
) {
    assert!(across.max(down) <= MAX_FACTOR, "a crop must not be larger than 32768 pixels");
    let boxes = COLUMNS / (across * STEP);
    let mut sums = [0u16; COLUMNS];
    for row in 0..to[0].len() / width {
        let mut out = to.each_mut().map(|to| &mut to[row * width..][..width]);
        if (across, down) == (1, 1) {
            split(from.row(y + row, x * STEP, width * STEP), out);
            continue;
        }
        for start in (0..width).step_by(boxes) {
            let count = boxes.min(width - start);
            let sums = &mut sums[..count * across * STEP];
            sums.fill(0);
            for dy in 0..down {
                let bytes = from.row(y + row * down + dy, (x + start * across) * STEP, sums.len());
                for (sum, &byte) in sums.iter_mut().zip(bytes) {
                    *sum += u16::from(byte);
                }
            }
            for (first, out) in out.iter_mut().enumerate() {
                let out = &mut out[start..][..count];
                // Usual factors as constants, so that the compiler unrolls them.
                match across {
                    2 => mean::<STEP>(sums, first, 2, down, out),
                    3 => mean::<STEP>(sums, first, 3, down, out),
                    4 => mean::<STEP>(sums, first, 4, down, out),
                    _ => mean::<STEP>(sums, first, across, down, out),
                }
            }
        }
    }
}

/// Parts the components.
fn split<const STEP: usize>(bytes: &[u8], mut to: [&mut [u8]; STEP]) {
    match &mut to[..] {
        [only] => only.copy_from_slice(bytes),
        [first, second] => {
            let out = first.iter_mut().zip(second.iter_mut());
            for ((first, second), pair) in out.zip(bytes.chunks_exact(2)) {
                (*first, *second) = (pair[0], pair[1]);
            }
        }
        _ => unreachable!("no plane of 4:2:0 has three components"),
    }
}

#[inline(always)]
fn mean<const STEP: usize>(sums: &[u16], first: usize, across: usize, down: usize, out: &mut [u8]) {
    let count = (across * down) as u32;
    // Exact instead of a division: count <= 4096, so the error stays below one.
    let one = (1u64 << 32).div_ceil(u64::from(count));
    for (out, sums) in out.iter_mut().zip(sums.chunks_exact(across * STEP)) {
        let sum: u32 = (0..across).map(|k| u32::from(sums[k * STEP + first])).sum();
        *out = ((u64::from(sum + count / 2) * one) >> 32) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let right = |out: &[u8], step, first| {
                out.iter().enumerate().all(|(i, &out)| out == definition(step, first, i))
            };
            shrink(plane, (3, 5), (across, down), [&mut out], width);
            assert!(right(&out, 1, 0), "{across} x {down}");
            let mut second = out.clone();
            shrink(plane, (3, 5), (across, down), [&mut out, &mut second], width);
            assert!(right(&out, 2, 0) && right(&second, 2, 1), "{across} x {down} of two");
        }
    }
}
