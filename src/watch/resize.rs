//! Resizing one plane to the engine's input.

/// Longest side of a buffered crop in pixels. A larger crop is averaged down by the smallest
/// whole factor that fits, which still leaves twice [`INPUT_SIDE`].
pub const MAX_CROP_SIDE: usize = 512;
/// Side of the engine's square input in pixels.
pub const INPUT_SIDE: usize = 128;
/// Resized samples keep this many bits below one code value.
pub const FRACTION_BITS: u32 = 6;
const WEIGHT_BITS: u32 = 14;
const WEIGHT_ONE: i32 = 1 << WEIGHT_BITS;
/// Source samples under one output sample: a triangle twice `MAX_CROP_SIDE / INPUT_SIDE` wide.
const MAX_TAPS: usize = 2 * MAX_CROP_SIDE / INPUT_SIDE + 2;

/// Where one output sample's weights lie in the source.
#[derive(Clone, Copy)]
struct Taps {
    first: u16,
    count: u16,
    weight: [i16; MAX_TAPS],
}

/// Area-correct resize of one plane to [`INPUT_SIDE`] squared: a separable triangle filter as
/// wide as the reduction (bilinear when enlarging), in whole numbers so that every machine gets
/// the same bytes. The filter is Pillow's `BILINEAR` with reducing support.
pub struct Resize {
    width: usize,
    across: [Taps; INPUT_SIDE],
    down: [Taps; INPUT_SIDE],
}

impl Resize {
    pub fn new(width: usize, height: usize) -> Resize {
        let taps = |size| core::array::from_fn(|i| Taps::new(i, size));
        Resize { width, across: taps(width), down: taps(height) }
    }

    /// Output row `row`, each sample with [`FRACTION_BITS`] below the code value.
    pub fn row(&self, plane: &[u8], row: usize, out: &mut [u16; INPUT_SIDE]) {
        let mut column = [0i32; MAX_CROP_SIDE];
        let column = &mut column[..self.width];
        let down = &self.down[row];
        for tap in 0..down.count as usize {
            let weight = i32::from(down.weight[tap]);
            let source = &plane[(down.first as usize + tap) * self.width..][..self.width];
            for (sum, &sample) in column.iter_mut().zip(source) {
                *sum += weight * i32::from(sample);
            }
        }
        for (out, across) in out.iter_mut().zip(&self.across) {
            let source = &column[across.first as usize..][..across.count as usize];
            let weights = &across.weight[..across.count as usize];
            // 8 + 14 bits, less 8, times 14 bits: the sum stays below 2^28.
            let sum: i32 = source.iter().zip(weights).map(|(&s, &w)| (s >> 8) * i32::from(w)).sum();
            let shift = WEIGHT_BITS + WEIGHT_BITS - 8 - FRACTION_BITS;
            *out = ((sum + (1 << (shift - 1))) >> shift) as u16;
        }
    }
}

impl Taps {
    /// The weights of output sample `i` over `size` source samples; they add up to
    /// [`WEIGHT_ONE`].
    fn new(i: usize, size: usize) -> Taps {
        let scale = size as f32 / INPUT_SIDE as f32;
        let support = scale.max(1.0);
        let centre = (i as f32 + 0.5) * scale;
        let first = if centre > support { (centre - support + 0.5) as usize } else { 0 };
        let last = ((centre + support + 0.5) as usize).min(size);
        let first = first.min(size - 1);
        let count = (last - first).clamp(1, MAX_TAPS);
        let mut exact = [0f32; MAX_TAPS];
        let mut total = 0.0;
        for (k, exact) in exact[..count].iter_mut().enumerate() {
            let distance = ((first + k) as f32 + 0.5 - centre).abs() / support;
            *exact = (1.0 - distance).max(0.0);
            total += *exact;
        }
        let mut taps = Taps { first: first as u16, count: count as u16, weight: [0; MAX_TAPS] };
        let mut left = WEIGHT_ONE;
        let mut largest = 0;
        for (k, &exact) in exact[..count].iter().enumerate() {
            let weight = if total > 0.0 { (exact / total * WEIGHT_ONE as f32 + 0.5) as i32 } else { 0 };
            taps.weight[k] = weight as i16;
            left -= weight;
            if taps.weight[k] > taps.weight[largest] {
                largest = k;
            }
        }
        // Rounding leaves a few units; the largest weight takes them, so flat stays flat.
        taps.weight[largest] += left as i16;
        taps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `Resize` in f64, straight from the definition.
    fn reference(plane: &[u8], width: usize, height: usize, x: usize, y: usize) -> f64 {
        let weights = |i: usize, size: usize| {
            let scale = size as f64 / INPUT_SIDE as f64;
            let support = scale.max(1.0);
            let centre = (i as f64 + 0.5) * scale;
            let raw: Vec<f64> =
                (0..size).map(|k| (1.0 - ((k as f64 + 0.5 - centre) / support).abs()).max(0.0)).collect();
            let total: f64 = raw.iter().sum();
            raw.into_iter().map(move |w| w / total).collect::<Vec<_>>()
        };
        let (across, down) = (weights(x, width), weights(y, height));
        (0..height)
            .map(|r| down[r] * (0..width).map(|c| across[c] * f64::from(plane[r * width + c])).sum::<f64>())
            .sum()
    }

    #[test]
    fn resize_is_within_one_code_value_of_the_definition() {
        let mut seed = 1u32;
        for (width, height) in [(2, 2), (64, 40), (128, 128), (130, 300), (512, 512)] {
            let plane: Vec<u8> = (0..width * height)
                .map(|_| {
                    seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
                    (seed >> 24) as u8
                })
                .collect();
            let resize = Resize::new(width, height);
            for y in [0, 1, 63, 126, 127] {
                let mut row = [0; INPUT_SIDE];
                resize.row(&plane, y, &mut row);
                for x in [0, 1, 64, 127] {
                    let want = reference(&plane, width, height, x, y);
                    let got = f64::from(row[x]) / f64::from(1 << FRACTION_BITS);
                    assert!((want - got).abs() < 0.5, "{width}x{height} at {x},{y}: {got}, want {want}");
                }
            }
        }
    }
}
