//! The unseen test: how far a crop is from everything the training saw.
//!
//! A softmax always picks a state, also for a picture of something else. What tells such a picture is its
//! distance to the nearest state's mean features (nearest class mean, Mensink et al. 2013), measured on a block that
//! every run of the engine passes.

use super::features::{Block, Features, dot};

/// The mean features of each state, and how far from them is still familiar. As bytes: f32 little endian, the
/// means state by state.
#[derive(Clone, Debug, PartialEq)]
pub struct Unseen {
    means: Vec<f32>,
    limit: f32,
}

impl Unseen {
    /// The block it is measured on.
    pub const BLOCK: Block = Block::Mid;

    /// `means`: states x values of [`Self::BLOCK`]; `limit`: the distance above which a crop is unseen, above 0.
    /// `Err` says what does not fit.
    pub fn new(means: Vec<f32>, limit: f32) -> Result<Unseen, String> {
        if means.is_empty() || !means.len().is_multiple_of(Self::BLOCK.values()) {
            return Err(format!("{} values of means, want {} a state", means.len(), Self::BLOCK.values()));
        }
        if !means.iter().all(|x| x.is_finite()) {
            return Err("a mean is not a finite number".into());
        }
        if !(limit.is_finite() && limit > 0.0) {
            return Err(format!("limit {limit} is not above 0"));
        }
        Ok(Unseen { means, limit })
    }

    /// Bytes of the means of `states` states.
    pub const fn byte_len(states: usize) -> usize {
        4 * states * Self::BLOCK.values()
    }

    pub fn from_bytes(bytes: &[u8], states: usize, limit: f32) -> Result<Unseen, String> {
        let want = Unseen::byte_len(states);
        if bytes.len() != want {
            return Err(format!("the means have {} bytes, want {want}", bytes.len()));
        }
        let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]));
        Unseen::new(values.collect(), limit)
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.means.iter().flat_map(|x| x.to_le_bytes()).collect()
    }

    /// States x values of [`Self::BLOCK`], row by row.
    pub fn means(&self) -> &[f32] {
        &self.means
    }

    pub fn limit(&self) -> f32 {
        self.limit
    }

    /// Distance to the nearest mean, over the limit: above 1 the crop is unseen.
    pub fn distance(&self, features: &Features) -> f32 {
        let x = features.block(Self::BLOCK);
        let own = dot(x, x);
        let means = self.means.chunks_exact(Self::BLOCK.values());
        let squared = means.map(|mean| own - 2.0 * dot(x, mean) + dot(mean, mean));
        squared.fold(f32::INFINITY, f32::min).max(0.0).sqrt() / self.limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::features::ALL_VALUES;

    /// Features whose mid block has one value.
    fn features(place: usize) -> Vec<f32> {
        let mut all = vec![0.0; ALL_VALUES];
        all[ALL_VALUES - Unseen::BLOCK.values() + place] = 1.0;
        all
    }

    fn unseen() -> Unseen {
        let mut means = vec![0.0; 2 * Unseen::BLOCK.values()];
        means[0] = 1.0;
        means[Unseen::BLOCK.values() + 1] = 0.5;
        Unseen::new(means, 0.5).unwrap()
    }

    #[test]
    fn the_distance_is_that_to_the_nearest_mean_over_the_limit() {
        let distance = |place| unseen().distance(&Features::new(&features(place), &Block::ALL));
        assert_eq!(distance(0), 0.0);
        assert!((distance(1) - 1.0).abs() < 1e-6);
        // To (0, 0.5) from (0, 0, 1): the root of 1.25.
        assert!((distance(2) - 1.25f32.sqrt() / 0.5).abs() < 1e-6);
    }

    #[test]
    fn bytes_round_trip_and_nonsense_is_refused() {
        let bytes = unseen().to_bytes();
        assert_eq!(bytes.len(), Unseen::byte_len(2));
        assert_eq!(Unseen::from_bytes(&bytes, 2, 0.5), Ok(unseen()));
        assert!(Unseen::from_bytes(&bytes, 3, 0.5).is_err());
        for limit in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            assert!(Unseen::from_bytes(&bytes, 2, limit).is_err(), "{limit}");
        }
        let mut nan = bytes.clone();
        nan[..4].copy_from_slice(&f32::NAN.to_le_bytes());
        assert!(Unseen::from_bytes(&nan, 2, 0.5).is_err());
    }
}
