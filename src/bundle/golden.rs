//! Golden crops: what the model must say on the device, as it was computed where it was trained.
//!
//! The part is a row of crops, each 128 x 128 pixels of red, green and blue codes, row by row, and then a
//! little-endian `f32` for each state.

use crate::watch::crop::INPUT_SIDE;
use crate::watch::input::{INPUT_CHANNELS, Input};

/// Most crops of a self-test.
pub const MAX_GOLDEN: usize = 16;
const PIXELS: usize = INPUT_SIDE * INPUT_SIDE;

pub struct Golden {
    pub input: Input,
    /// Probability of each state.
    pub expected: Vec<f32>,
}

impl Golden {
    pub const fn byte_len(states: usize) -> usize {
        3 * PIXELS + 4 * states
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let pixels =
            self.input.codes.chunks_exact(INPUT_CHANNELS).flat_map(|pixel| pixel[..3].iter().copied());
        pixels.chain(self.expected.iter().flat_map(|p| p.to_le_bytes())).collect()
    }

    /// Reads a whole part, whose length the manifest's check has vouched for.
    pub fn read_all(bytes: &[u8], states: usize) -> Vec<Golden> {
        let one = |bytes: &[u8]| {
            let (pixels, expected) = bytes.split_at(3 * PIXELS);
            let mut input = Input::default();
            for (to, from) in input.codes.chunks_exact_mut(INPUT_CHANNELS).zip(pixels.chunks_exact(3)) {
                to[..3].copy_from_slice(from);
            }
            let floats = expected.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
            Golden { input, expected: floats.collect() }
        };
        bytes.chunks_exact(Golden::byte_len(states)).map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crops_come_back() {
        let mut input = Input::default();
        for (i, code) in input.codes.iter_mut().enumerate().filter(|(i, _)| i % INPUT_CHANNELS < 3) {
            *code = i as u8;
        }
        let golden = Golden { input: input.clone(), expected: vec![0.25, 0.75] };
        let bytes = [golden.to_bytes(), golden.to_bytes()].concat();
        assert_eq!(bytes.len(), 2 * Golden::byte_len(2));
        let read = Golden::read_all(&bytes, 2);
        assert_eq!(read.len(), 2);
        assert!(
            read.iter().all(|golden| golden.input.codes == input.codes && golden.expected == [0.25, 0.75])
        );
    }
}
