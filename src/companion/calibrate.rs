//! Calibration: what a score is worth as a probability, and how far is too far.
//!
//! Both are set on pictures that the head at hand was not fitted on.

use crate::engine::head::softmax;
use statrs::distribution::{ContinuousCDF, StudentsT};

/// Temperatures that may be found. Scores lie about between 0 and 1.
const TEMPERATURES: std::ops::Range<f64> = 0.02..2.0;
/// Steps of the search: each keeps 0.62 of the range of logarithms, so this is exact to a thousandth.
const STEPS: usize = 25;
/// How much of a picture is counted for each state that is not the true one. Measured: on later days, 0.25 is off by
/// 0.03 at 25 pictures a state where a whole picture is by 0.05, and half of one by 0.04; less is bold with few.
const DOUBT: f64 = 0.25;
/// Fewest distances that tell how they are spread.
const MIN_DISTANCES: usize = 4;

/// The temperature at which the softmax of the scores is worth most as a probability (Guo et al. 2017), the states
/// weighing the same. With few pictures all may be right by luck, so the truth is taken for a little less than
/// certain (after Platt 1999): [`DOUBT`] pictures in `pictures + states` are counted for each other state.
pub fn temperature(labels: &[usize], scores: &[Vec<f64>]) -> f32 {
    let states = scores.first().map_or(0, Vec::len);
    let mut counts = vec![0.0f64; states];
    labels.iter().for_each(|&label| counts[label] += 1.0);
    let loss = |log_temperature: f64| -> f64 {
        let temperature = log_temperature.exp();
        let one = |(&label, scores): (&usize, &Vec<f64>)| {
            let other = DOUBT / (labels.len() + states) as f64;
            let log_probabilities = log_softmax(scores, temperature);
            let terms = log_probabilities.iter().enumerate().map(|(state, log)| {
                let target = if state == label { 1.0 - other * (states - 1) as f64 } else { other };
                target * log
            });
            -terms.sum::<f64>() / counts[label]
        };
        labels.iter().zip(scores).map(one).sum()
    };
    minimum(loss, TEMPERATURES.start.ln(), TEMPERATURES.end.ln()).exp() as f32
}

fn log_softmax(scores: &[f64], temperature: f64) -> Vec<f64> {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scaled = |score: &f64| (score - largest) / temperature;
    let total = scores.iter().map(|score| scaled(score).exp()).sum::<f64>().ln();
    scores.iter().map(|score| scaled(score) - total).collect()
}

/// Golden-section search for the minimum of a function with one valley.
fn minimum(of: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let keep = (5f64.sqrt() - 1.0) / 2.0;
    for _ in 0..STEPS {
        let (left, right) = (high - keep * (high - low), low + keep * (high - low));
        if of(left) <= of(right) {
            high = right;
        } else {
            low = left;
        }
    }
    (low + high) / 2.0
}

/// Probabilities from scores, as the device has them.
pub fn probabilities(scores: &[f64], temperature: f32) -> Vec<f32> {
    let mut probabilities: Vec<f32> = scores.iter().map(|&score| score as f32 / temperature).collect();
    softmax(&mut probabilities);
    probabilities
}

/// The distance that one more familiar picture exceeds with the probability `rate`. Few distances say little about
/// their tail, so they are taken for normally distributed and the limit is the prediction bound for one more of them
/// (by Student's t); it never falls below what the distances themselves show. `None` if there are too few.
pub fn limit(distances: &[f64], rate: f64) -> Option<f32> {
    let n = distances.len();
    if n < MIN_DISTANCES {
        return None;
    }
    let mean = distances.iter().sum::<f64>() / n as f64;
    let variance = distances.iter().map(|distance| (distance - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
    let t = StudentsT::new(0.0, 1.0, (n - 1) as f64).ok()?.inverse_cdf(1.0 - rate);
    let bound = mean + t * (variance * (1.0 + 1.0 / n as f64)).sqrt();
    let mut sorted = distances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let shown = sorted[(((1.0 - rate) * n as f64).ceil() as usize).clamp(1, n) - 1];
    Some(bound.max(shown) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scores that are right with the probability that the softmax at `temperature` says.
    fn drawn(temperature: f64, count: usize) -> (Vec<usize>, Vec<Vec<f64>>) {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut one = || {
            let score = rng.f64();
            let first = 1.0 / (1.0 + ((1.0 - 2.0 * score) / temperature).exp());
            (usize::from(rng.f64() >= first), vec![score, 1.0 - score])
        };
        (0..count).map(|_| one()).unzip()
    }

    #[test]
    fn the_temperature_is_found_again() {
        for truth in [0.1, 0.25, 0.8] {
            let (labels, scores) = drawn(truth, 5000);
            let found = f64::from(temperature(&labels, &scores));
            assert!((found / truth - 1.0).abs() < 0.15, "{truth}: {found}");
        }
    }

    #[test]
    fn few_pictures_without_a_mistake_do_not_make_certain() {
        let confident = |n: usize| {
            let labels: Vec<usize> = (0..n).map(|i| i % 2).collect();
            let scores: Vec<Vec<f64>> = labels
                .iter()
                .map(|&label| if label == 0 { vec![0.9, 0.1] } else { vec![0.1, 0.9] })
                .collect();
            let temperature = temperature(&labels, &scores);
            probabilities(&scores[0], temperature)[0]
        };
        let want = |n: f32| 1.0 - DOUBT as f32 / (n + 2.0);
        assert!((confident(10) - want(10.0)).abs() < 0.003, "{}", confident(10));
        assert!((confident(100) - want(100.0)).abs() < 0.003, "{}", confident(100));
    }

    #[test]
    fn one_more_distance_exceeds_the_limit_as_rarely_as_asked() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut distance = || 1.0 + 0.1 * ((0..12).map(|_| rng.f64()).sum::<f64>() - 6.0);
        for (n, rate) in [(10, 0.05), (40, 0.01)] {
            let rounds = 4000;
            let mut exceed = || {
                let seen: Vec<f64> = (0..n).map(|_| distance()).collect();
                distance() > f64::from(limit(&seen, rate).unwrap())
            };
            let share = (0..rounds).filter(|_| exceed()).count() as f64 / f64::from(rounds);
            assert!((0.4 * rate..1.5 * rate).contains(&share), "{n} distances: {share}, want {rate}");
        }
        assert_eq!(limit(&[1.0, 1.1, 0.9], 0.01), None);
    }
}
