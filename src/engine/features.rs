//! Features: pooled taps that keep where in the crop something is.
//!
//! A global average throws the place away; in a fixed crop the place carries the state. Each
//! block is L2-normalised on its own, so that none outweighs another by its size.

use super::{Tap, Taps};
use serde::{Deserialize, Serialize};

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

impl Block {
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

    /// Pools its tap into `out`, which has [`Block::values`] values, and normalises it.
    fn write(self, taps: &Taps, out: &mut [f32]) {
        let map = match self.tap() {
            Tap::Mid => &taps.mid,
            Tap::Last => &taps.last,
        };
        let (side, places) = (self.tap().side(), self.places());
        for (channel, out) in map.chunks_exact(side * side).zip(out.chunks_exact_mut(places * places)) {
            for (place, out) in out.iter_mut().enumerate() {
                let (rows, columns) =
                    (span(place / places, places, side), span(place % places, places, side));
                let area = (rows.len() * columns.len()) as f32;
                let sum: f32 =
                    rows.map(|row| channel[row * side..][columns.clone()].iter().sum::<f32>()).sum();
                *out = sum / area;
            }
        }
        let norm = out.iter().map(|x| x * x).sum::<f32>().sqrt();
        if norm > 0.0 {
            out.iter_mut().for_each(|x| *x /= norm);
        }
    }
}

/// The rows that place `i` of `places` covers: adaptive average pooling, as PyTorch defines it.
fn span(i: usize, places: usize, side: usize) -> std::ops::Range<usize> {
    i * side / places..((i + 1) * side).div_ceil(places)
}

/// Values in all of `blocks`.
pub fn feature_len(blocks: &[Block]) -> usize {
    blocks.iter().map(|block| block.values()).sum()
}

/// The tap that a head on `blocks` needs; the engine may stop there.
pub fn deepest_tap(blocks: &[Block]) -> Tap {
    blocks.iter().map(|block| block.tap()).max().unwrap_or(Tap::Mid)
}

/// Writes `blocks`, one after the other, into `out` of [`feature_len`] values.
pub fn write_features(blocks: &[Block], taps: &Taps, out: &mut [f32]) {
    let mut rest = out;
    for block in blocks {
        let (here, after) = rest.split_at_mut(block.values());
        block.write(taps, here);
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pooling_covers_every_place() {
        assert_eq!([0, 1, 2].map(|i| span(i, 3, 4)), [0..2, 1..3, 2..4]);
        assert_eq!([0, 1, 2, 3].map(|i| span(i, 4, 8)), [0..2, 2..4, 4..6, 6..8]);
        assert_eq!(span(0, 1, 4), 0..4);
    }

    #[test]
    fn blocks_are_means_of_unit_length() {
        let mut taps = Taps::default();
        // One bright place in the first channel: row 3, column 0 of the last map.
        taps.last[3 * 4] = 8.0;
        let blocks = [Block::Gap, Block::P3, Block::Mid];
        let mut out = vec![9.0; feature_len(&blocks)];
        write_features(&blocks, &taps, &mut out);
        let (gap, rest) = out.split_at(1280);
        let (p3, mid) = rest.split_at(1280 * 9);
        assert_eq!((gap[0], gap[1]), (1.0, 0.0));
        assert_eq!(p3[..9], [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0]);
        // Nothing there: stays zero instead of dividing by it.
        assert!(mid.iter().all(|&x| x == 0.0));
    }
}
