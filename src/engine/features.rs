//! Features: pooled taps that keep where in the crop something is.
//!
//! A global average throws the place away; in a fixed crop the place carries the state. Each
//! block is L2-normalised on its own, so that none outweighs another by its size.

use super::Tap;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One kind of pooled tap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Block {
    /// The last map averaged over all places: 1280 values. For a camera that is not fixed.
    Gap,
    /// The last map averaged over 3 x 3 places: 11520 values.
    P3,
    /// The mid tap averaged over 4 x 4 places: 1536 values.
    Mid,
}

/// Values of all blocks together.
pub const ALL_VALUES: usize = Block::Gap.values() + Block::P3.values() + Block::Mid.values();
/// Sums of f32 run in this many lanes on every machine, so that all get the same bits.
const LANES: usize = 16;

impl Block {
    pub const ALL: [Block; 3] = [Block::Gap, Block::P3, Block::Mid];

    pub const fn tap(self) -> Tap {
        match self {
            Block::Gap | Block::P3 => Tap::Last,
            Block::Mid => Tap::Mid,
        }
    }

    /// Rows, and columns, that are left.
    const fn places(self) -> usize {
        match self {
            Block::Gap => 1,
            Block::P3 => 3,
            Block::Mid => 4,
        }
    }

    pub const fn values(self) -> usize {
        self.tap().channels() * self.places() * self.places()
    }

    /// Where it lies among the values of all blocks.
    pub const fn range(self) -> Range<usize> {
        let start = match self {
            Block::Gap => 0,
            Block::P3 => Block::Gap.values(),
            Block::Mid => Block::Gap.values() + Block::P3.values(),
        };
        start..start + self.values()
    }

    /// Pools `map` (rows, columns, channels) of its tap into its part of `all`, which has [`ALL_VALUES`], and
    /// normalises it. A place's channels lie together, places row by row.
    pub(super) fn pool<T: Copy>(self, map: &[T], value: impl Fn(T) -> f32, all: &mut [f32]) {
        let (side, places, channels) = (self.tap().side(), self.places(), self.tap().channels());
        let out = &mut all[self.range()];
        for (place, out) in out.chunks_exact_mut(channels).enumerate() {
            out.fill(0.0);
            for row in span(place / places, places, side) {
                for column in span(place % places, places, side) {
                    let pixel = &map[(row * side + column) * channels..][..channels];
                    out.iter_mut().zip(pixel).for_each(|(sum, &x)| *sum += value(x));
                }
            }
        }
        // Every place of a block covers as many pixels as the others, so sums do for means.
        let norm = dot(out, out).sqrt();
        if norm > 0.0 {
            out.iter_mut().for_each(|x| *x /= norm);
        }
    }
}

/// The rows that place `i` of `places` covers: adaptive average pooling, as PyTorch defines it.
fn span(i: usize, places: usize, side: usize) -> Range<usize> {
    i * side / places..((i + 1) * side).div_ceil(places)
}

/// The sum of products, in an order that is the same on every machine. Both have as many values.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a, b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a.remainder().iter().zip(b.remainder());
    let mut sum: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a.zip(b) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    for lane in lanes {
        sum += lane;
    }
    sum
}

/// What one run of the engine leaves: the blocks that were asked for.
#[derive(Clone, Copy)]
pub struct Features<'a> {
    all: &'a [f32],
    asked: &'a [Block],
}

impl<'a> Features<'a> {
    /// `all`: [`ALL_VALUES`] values, of which those of `asked` are of this run.
    pub fn new(all: &'a [f32], asked: &'a [Block]) -> Features<'a> {
        debug_assert_eq!(all.len(), ALL_VALUES);
        Features { all, asked }
    }

    /// The values of one block, of unit length.
    ///
    /// # Panics
    /// If the run was not asked for it: what is there is of an earlier one.
    pub fn block(&self, block: Block) -> &'a [f32] {
        assert!(self.asked.contains(&block), "{block:?} was not asked for");
        &self.all[block.range()]
    }

    /// The values of `blocks`, one after the other.
    pub fn gather(&self, blocks: &[Block]) -> Vec<f32> {
        blocks.iter().flat_map(|block| self.block(*block)).copied().collect()
    }
}

/// Values in all of `blocks`.
pub fn feature_len(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.values()).sum()
}

/// The tap that a head on `blocks` needs; the engine stops there.
pub fn deepest_tap(blocks: &[Block]) -> Tap {
    blocks.iter().map(|block| block.tap()).max().unwrap_or(Tap::Mid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_covers_every_place_equally() {
        assert_eq!([0, 1, 2].map(|i| span(i, 3, 4)), [0..2, 1..3, 2..4]);
        assert_eq!([0, 1, 2, 3].map(|i| span(i, 4, 8)), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(span(0, 1, 4), 0..4);
        for block in Block::ALL {
            let places = block.places();
            let sizes = (0..places).map(|i| span(i, places, block.tap().side()).len());
            assert_eq!(sizes.clone().min(), sizes.max(), "{block:?}");
        }
    }

    #[test]
    fn blocks_are_means_of_unit_length() {
        // One bright place in the first channel: row 3, column 0 of the last map.
        let mut last = vec![7u8; Tap::Last.values()];
        last[3 * 4 * Tap::Last.channels()] = 15;
        let mut all = vec![9.0; ALL_VALUES];
        let value = |code: u8| f32::from(code) - 7.0;
        Block::Gap.pool(&last, value, &mut all);
        Block::P3.pool(&last, value, &mut all);
        // Nothing there: stays zero instead of dividing by it.
        Block::Mid.pool(&vec![7u8; Tap::Mid.values()], value, &mut all);
        let features = Features::new(&all, &Block::ALL);
        assert_eq!(features.block(Block::Gap)[..2], [1.0, 0.0]);
        let p3: Vec<f32> = features.block(Block::P3).chunks_exact(1280).map(|place| place[0]).collect();
        assert_eq!(p3, [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        assert!(features.block(Block::Mid).iter().all(|&x| x == 0.0));
        assert_eq!(features.gather(&[Block::Gap, Block::Mid]).len(), feature_len(&[Block::Gap, Block::Mid]));
    }
}
