//! The head: linear scores of the features, made probabilities by a softmax with a temperature.

use super::features::{Block, Features, dot, feature_len};
use crate::watch::decision::{MAX_STATES, Probabilities};

/// The weights of one model. As bytes: f32 little endian, the weights state by state, then one
/// bias a state.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    blocks: Vec<Block>,
    temperature: f32,
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Head {
    /// `weights`: states x features, row by row; `bias`: one a state. `Err` says what does not fit.
    pub fn new(
        blocks: Vec<Block>,
        temperature: f32,
        weights: Vec<f32>,
        bias: Vec<f32>,
    ) -> Result<Head, String> {
        let (states, features) = (bias.len(), feature_len(&blocks));
        if !(2..=MAX_STATES).contains(&states) {
            return Err(format!("a head of {states} states; 2 to {MAX_STATES} are possible"));
        }
        if weights.len() != states * features {
            return Err(format!("{} weights, want {states} x {features}", weights.len()));
        }
        if !weights.iter().chain(&bias).all(|x| x.is_finite()) {
            return Err("a weight is not a finite number".into());
        }
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(format!("temperature {temperature} is not above 0"));
        }
        Ok(Head { blocks, temperature, weights, bias })
    }

    /// Bytes of a head on `blocks` for `states` states.
    pub fn byte_len(blocks: &[Block], states: usize) -> usize {
        4 * states * (feature_len(blocks) + 1)
    }

    pub fn from_bytes(
        bytes: &[u8],
        blocks: Vec<Block>,
        states: usize,
        temperature: f32,
    ) -> Result<Head, String> {
        let want = Head::byte_len(&blocks, states);
        if bytes.len() != want {
            return Err(format!("the head has {} bytes, want {want}", bytes.len()));
        }
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        let mut weights: Vec<f32> = values.collect();
        let bias = weights.split_off(weights.len() - states);
        Head::new(blocks, temperature, weights, bias)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.weights.iter().chain(&self.bias).flat_map(|x| x.to_le_bytes()).collect()
    }

    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// States x features, row by row.
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// One a state.
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// Softmax of the scores over the temperature. Its blocks must be among those of the run.
    pub fn probabilities(&self, features: &Features) -> Probabilities {
        let rows = self.weights.chunks_exact(feature_len(&self.blocks)).zip(&self.bias);
        let mut scores: Probabilities = rows
            .map(|(row, bias)| {
                let (mut score, mut start) = (*bias, 0);
                for &block in &self.blocks {
                    score += dot(&row[start..][..block.values()], features.block(block));
                    start += block.values();
                }
                score / self.temperature
            })
            .collect();
        softmax(&mut scores);
        scores
    }
}

/// In place; the largest score is taken off first, so that nothing overflows.
pub fn softmax(scores: &mut [f32]) {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::features::ALL_VALUES;

    fn head() -> Head {
        let features = feature_len(&[Block::Mid]);
        let mut weights = vec![0.0; 2 * features];
        weights[0] = 3.0;
        weights[features] = -1.0;
        Head::new(vec![Block::Mid], 2.0, weights, vec![0.5, -0.5]).unwrap()
    }

    #[test]
    fn probabilities_are_the_softmax_over_the_temperature() {
        let mut all = vec![0.0; ALL_VALUES];
        all[Block::Mid.range().start] = 1.0;
        let p = head().probabilities(&Features::new(&all, &[Block::Mid]));
        // Scores 3.5 and -1.5, over 2: the difference is 2.5.
        assert!((p[0] - 1.0 / (1.0 + (-2.5f32).exp())).abs() < 1e-6);
        assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn bytes_round_trip_and_wrong_sizes_are_refused() {
        let bytes = head().to_bytes();
        assert_eq!(Head::from_bytes(&bytes, vec![Block::Mid], 2, 2.0), Ok(head()));
        assert!(Head::from_bytes(&bytes[4..], vec![Block::Mid], 2, 2.0).is_err());
        assert!(Head::from_bytes(&bytes, vec![Block::Mid], 3, 2.0).is_err());
        let mut nan = bytes.clone();
        nan[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(Head::from_bytes(&nan, vec![Block::Mid], 2, 2.0).is_err());
        assert!(Head::from_bytes(&bytes, vec![Block::Mid], 2, 0.0).is_err());
    }
}
