//! Evaluation: what a model's probabilities are worth against known states.

use serde::Serialize;

/// Bins of the calibration error.
const BINS: usize = 10;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Pictures.
    pub n: usize,
    /// Share of pictures whose most probable state is the true one.
    pub accuracy: f64,
    /// Mean over the states of the share that is wrong: 0 is perfect, whatever the counts.
    pub balanced_error: f64,
    /// Pictures by true state (row) and most probable state (column).
    pub confusion: Vec<Vec<usize>>,
    pub states: Vec<String>,
    /// Expected calibration error of the largest probability, in 10 bins (Guo et al. 2017).
    pub ece: f64,
    /// Share of pictures below the threshold, which would count for no state.
    pub unknown_rate: f64,
}

impl Evaluation {
    /// `results`: the true state of each picture and its probabilities.
    pub fn new(states: &[String], threshold: f32, results: &[(usize, Vec<f32>)]) -> Evaluation {
        let mut confusion = vec![vec![0; states.len()]; states.len()];
        let mut bins = [(0usize, 0.0f64, 0usize); BINS];
        let mut unknown = 0;
        for (truth, probabilities) in results {
            let (best, largest) = most_probable(probabilities);
            confusion[*truth][best] += 1;
            unknown += usize::from(largest < threshold);
            let bin = &mut bins[((largest * BINS as f32) as usize).min(BINS - 1)];
            *bin = (bin.0 + 1, bin.1 + f64::from(largest), bin.2 + usize::from(best == *truth));
        }
        let n = results.len();
        let share = |count: usize| count as f64 / n.max(1) as f64;
        let right = (0..states.len()).map(|state| confusion[state][state]).sum();
        let errors: Vec<f64> = confusion
            .iter()
            .enumerate()
            .filter(|(_, row)| row.iter().sum::<usize>() > 0)
            .map(|(state, row)| 1.0 - row[state] as f64 / row.iter().sum::<usize>() as f64)
            .collect();
        let gaps = bins.iter().map(|&(_, sum, right)| (sum - right as f64).abs());
        Evaluation {
            n,
            accuracy: share(right),
            balanced_error: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
            confusion,
            states: states.to_vec(),
            ece: gaps.sum::<f64>() / n.max(1) as f64,
            unknown_rate: share(unknown),
        }
    }

    /// A few lines for people.
    pub fn text(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut text = format!(
            "{} pictures: accuracy {}, balanced error {}, calibration error {}, below the threshold {}\n",
            self.n,
            percent(self.accuracy),
            percent(self.balanced_error),
            percent(self.ece),
            percent(self.unknown_rate)
        );
        let width = self.states.iter().map(|state| state.chars().count()).max().unwrap_or(0).max(7);
        text += &format!("{:>width$}  said to be\n{:>width$}", "true", "");
        for state in &self.states {
            text += &format!("  {state:>width$}");
        }
        for (state, row) in self.states.iter().zip(&self.confusion) {
            text += &format!("\n{state:>width$}");
            for count in row {
                text += &format!("  {count:>width$}");
            }
        }
        text
    }
}

/// Index and value of the largest probability.
pub fn most_probable(probabilities: &[f32]) -> (usize, f32) {
    let mut best = (0, f32::NEG_INFINITY);
    for (state, &probability) in probabilities.iter().enumerate() {
        if probability > best.1 {
            best = (state, probability);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_hand() {
        let states = ["a", "b", "c"].map(String::from);
        let results = [
            (0, vec![0.9, 0.1, 0.0]),
            (0, vec![0.3, 0.7, 0.0]),
            (1, vec![0.0, 1.0, 0.0]),
            (1, vec![0.1, 0.7, 0.2]),
        ];
        let got = Evaluation::new(&states, 0.8, &results);
        assert_eq!(got.confusion, [[1, 1, 0], [0, 2, 0], [0, 0, 0]]);
        assert_eq!((got.n, got.accuracy, got.unknown_rate), (4, 0.75, 0.5));
        // A state without pictures does not count: the mean of 1/2 and 0.
        assert_eq!(got.balanced_error, 0.25);
        // Bins: 0.9 right; two of 0.7, one of them right; 1.0 right.
        let ece = (0.1 + (1.4f64 - 1.0).abs() + 0.0) / 4.0;
        assert!((got.ece - ece).abs() < 1e-6, "{}", got.ece);
    }
}
