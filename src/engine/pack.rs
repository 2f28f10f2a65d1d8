//! Packing: the order of weights that the kernels read, where tensors lie in the arena, the file of a plan.

use super::layout::{ALIGNMENT, CHECKSUM, Header, LANES, MAGIC, Record, STEM_DEPTH, VERSION, checksum};
use std::ops::RangeInclusive;

/// Channels padded to whole blocks.
pub(super) fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LANES)
}

/// `[channels / 16][depth / 4][16][4]` of a matrix, channel by channel, each of as many weights as the input has
/// channels. What is padded is 0.
pub(super) fn pointwise(weights: &[i8], channels: usize) -> Vec<i8> {
    let inputs = weights.len() / channels;
    let depth = padded(inputs);
    let mut packed = vec![0; padded(channels) * depth];
    for (channel, weights) in weights.chunks_exact(inputs).enumerate() {
        for (i, &weight) in weights.iter().enumerate() {
            packed[grouped(channel, i, depth)] = weight;
        }
    }
    packed
}

/// The same of the first convolution: `weights` are channels, 3 inputs, 3 rows, 3 columns, the depth is rows,
/// columns, 4 inputs, of which the last is 0.
pub(super) fn stem(weights: &[i8], channels: usize) -> Vec<i8> {
    let mut packed = vec![0; padded(channels) * STEM_DEPTH];
    for (channel, weights) in weights.chunks_exact(27).enumerate() {
        for (i, &weight) in weights.iter().enumerate() {
            let (input, place) = (i / 9, i % 9);
            packed[grouped(channel, place * 4 + input, STEM_DEPTH)] = weight;
        }
    }
    packed
}

fn grouped(channel: usize, i: usize, depth: usize) -> usize {
    (channel / LANES * depth + i / 4 * 4) * LANES + channel % LANES * 4 + i % 4
}

/// `[channels / 16][3 columns][16][4 rows]` of channels, 3 rows, 3 columns. The fourth row is 0.
pub(super) fn depthwise(weights: &[i8], channels: usize) -> Vec<i8> {
    let mut packed = vec![0; padded(channels) * 12];
    for (channel, weights) in weights.chunks_exact(9).enumerate() {
        for (i, &weight) in weights.iter().enumerate() {
            let (row, column) = (i / 3, i % 3);
            let block = channel / LANES * 3 + column;
            packed[(block * LANES + channel % LANES) * 4 + row] = weight;
        }
    }
    packed
}

/// A tensor's size, and the steps from the one that writes it to the last that reads it.
pub(super) struct Lifetime {
    pub bytes: usize,
    pub steps: RangeInclusive<usize>,
}

/// An offset for each tensor so that none overlaps another that lives at the same time, and the bytes that takes.
/// The largest first, each at the lowest place that is free.
pub(super) fn place(tensors: &[Lifetime]) -> (Vec<usize>, usize) {
    let mut order: Vec<usize> = (0..tensors.len()).collect();
    order.sort_by_key(|&i| std::cmp::Reverse(tensors[i].bytes));
    let mut offsets = vec![0; tensors.len()];
    let mut total = 0;
    for (done, &i) in order.iter().enumerate() {
        let together = |j: &&usize| {
            let (a, b) = (&tensors[i].steps, &tensors[**j].steps);
            a.start() <= b.end() && b.start() <= a.end()
        };
        let mut taken: Vec<_> = order[..done].iter().filter(together).copied().collect();
        taken.sort_by_key(|&j| offsets[j]);
        for j in taken {
            if offsets[i] + tensors[i].bytes <= offsets[j] {
                break;
            }
            offsets[i] = offsets[i].max((offsets[j] + tensors[j].bytes).next_multiple_of(ALIGNMENT));
        }
        total = total.max(offsets[i] + tensors[i].bytes);
    }
    (offsets, total)
}

/// Puts a file together: the steps' constants are in `data`, at offsets that count from the data's start.
pub(super) fn file(mut header: Header, records: &[Record], data: &[u8]) -> Vec<u8> {
    let start = data_start(records.len());
    let mut bytes = vec![0; start];
    header.magic = MAGIC;
    header.version = VERSION;
    header.steps = records.len() as u32;
    header.length = (start + data.len()) as u32;
    let end = size_of::<Header>() + size_of_val(records);
    bytes[size_of::<Header>()..end].copy_from_slice(bytemuck::cast_slice(records));
    bytes.extend_from_slice(data);
    bytes[..size_of::<Header>()].copy_from_slice(bytemuck::bytes_of(&header));
    let sum = checksum(&bytes);
    bytes[CHECKSUM].copy_from_slice(&sum);
    bytes
}

/// Where the constants begin behind this many steps.
pub(super) fn data_start(steps: usize) -> usize {
    (size_of::<Header>() + steps * size_of::<Record>()).next_multiple_of(ALIGNMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_that_live_together_lie_apart() {
        let tensor = |bytes, steps| Lifetime { bytes, steps };
        let tensors = [tensor(100, 0..=1), tensor(300, 1..=2), tensor(64, 2..=3), tensor(50, 0..=3)];
        let (offsets, total) = place(&tensors);
        for (i, a) in tensors.iter().enumerate() {
            for (j, b) in tensors.iter().enumerate().skip(i + 1) {
                let together = a.steps.start() <= b.steps.end() && b.steps.start() <= a.steps.end();
                let apart = offsets[i] + a.bytes <= offsets[j] || offsets[j] + b.bytes <= offsets[i];
                assert!(apart || !together, "{i} and {j} at {offsets:?}");
            }
            assert_eq!(offsets[i] % ALIGNMENT, 0);
        }
        // 300 and its two neighbours in time, of which the larger has 100.
        assert_eq!(total, 320 + 128 + 50);
    }
}
