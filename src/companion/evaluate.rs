//! Evaluation: what a model's probabilities are worth against known states.

use super::light::Light;
use super::moment::{self, Moment};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Bins of the calibration error.
const BINS: usize = 10;
/// Of the normal distribution, for an interval that is right in 95 of 100 cases.
const Z: f64 = 1.96;

/// What was said of one picture whose state is known.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    #[serde(rename = "picture")]
    pub path: PathBuf,
    /// Hex SHA-256 of the file.
    pub sha256: String,
    /// Index of its state.
    pub truth: usize,
    pub probabilities: Vec<f32>,
    /// Above 1 it is unseen.
    pub distance: Option<f32>,
    pub light: Light,
    pub moment: Option<Moment>,
    /// Pictures of one burst have the same number.
    pub burst: usize,
}

impl Outcome {
    pub fn right(&self) -> bool {
        most_probable(&self.probabilities).0 == self.truth
    }

    fn unseen(&self) -> bool {
        self.distance.is_some_and(|distance| distance > 1.0)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Pictures.
    pub n: usize,
    /// Bursts that they are of.
    pub bursts: usize,
    /// Share of pictures whose most probable state is the true one.
    pub accuracy: f64,
    /// 95 % confidence interval of the accuracy.
    pub interval: [f64; 2],
    /// Mean over the states of the share that is wrong: 0 is perfect, whatever the counts.
    pub balanced_error: f64,
    /// Pictures by true state (row) and most probable state (column).
    pub confusion: Vec<Vec<usize>>,
    pub states: Vec<String>,
    /// Expected calibration error of the largest probability, in 10 bins (Guo et al. 2017).
    pub ece: f64,
    /// The bins that have pictures.
    pub reliability: Vec<Bin>,
    /// Share of pictures that would count for no state: below the threshold, or unseen.
    pub unknown_rate: f64,
    /// Share of pictures that are unseen.
    pub unseen_rate: f64,
    /// By light and true state, where there are pictures.
    pub slices: Vec<Slice>,
    /// By day, where times are known.
    pub days: Vec<Day>,
}

/// Pictures whose largest probability is about the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Bin {
    pub n: usize,
    /// Mean of the largest probability.
    pub probability: f64,
    /// Share of pictures that are right.
    pub accuracy: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slice {
    pub light: Light,
    pub state: String,
    pub n: usize,
    pub right: usize,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Day {
    /// As in 2026-01-31.
    pub day: String,
    pub n: usize,
    pub right: usize,
}

impl Evaluation {
    pub fn new(states: &[String], threshold: f32, outcomes: &[Outcome]) -> Evaluation {
        let mut confusion = vec![vec![0; states.len()]; states.len()];
        let mut bins = [Bin::default(); BINS];
        let mut unknown = 0;
        for outcome in outcomes {
            let (best, largest) = most_probable(&outcome.probabilities);
            confusion[outcome.truth][best] += 1;
            unknown += usize::from(largest < threshold || outcome.unseen());
            let bin = &mut bins[((largest * BINS as f32) as usize).min(BINS - 1)];
            bin.n += 1;
            bin.probability += f64::from(largest);
            bin.accuracy += f64::from(u8::from(outcome.right()));
        }
        let n = outcomes.len();
        let share = |count: usize| count as f64 / n.max(1) as f64;
        let right = outcomes.iter().filter(|outcome| outcome.right()).count();
        let errors: Vec<f64> = confusion
            .iter()
            .enumerate()
            .filter(|(_, row)| row.iter().sum::<usize>() > 0)
            .map(|(state, row)| 1.0 - row[state] as f64 / row.iter().sum::<usize>() as f64)
            .collect();
        let gaps = bins.iter().map(|bin| (bin.probability - bin.accuracy).abs());
        let ece = gaps.sum::<f64>() / n.max(1) as f64;
        let mean = |bin: &Bin| {
            let n = bin.n as f64;
            Bin { n: bin.n, probability: bin.probability / n, accuracy: bin.accuracy / n }
        };
        let bursts = outcomes.iter().map(|outcome| outcome.burst).collect::<BTreeSet<_>>().len();
        Evaluation {
            n,
            bursts,
            accuracy: share(right),
            interval: wilson(share(right), bursts),
            balanced_error: errors.iter().sum::<f64>() / errors.len().max(1) as f64,
            confusion,
            states: states.to_vec(),
            ece,
            reliability: bins.iter().filter(|bin| bin.n > 0).map(mean).collect(),
            unknown_rate: share(unknown),
            unseen_rate: share(outcomes.iter().filter(|outcome| outcome.unseen()).count()),
            slices: slices(states, outcomes),
            days: days(outcomes),
        }
    }

    /// A few lines for people.
    pub fn text(&self) -> String {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut text = format!(
            "{} pictures: accuracy {} ({:.0} to {:.0} %), balanced error {}, calibration error {}, \
             unknown {}, of them unseen {}\n",
            self.n,
            percent(self.accuracy),
            self.interval[0] * 100.0,
            self.interval[1] * 100.0,
            percent(self.balanced_error),
            percent(self.ece),
            percent(self.unknown_rate),
            percent(self.unseen_rate)
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
        if self.slices.iter().any(|slice| slice.light == Light::Night) {
            for light in Light::ALL {
                let of_light = || self.slices.iter().filter(move |slice| slice.light == light);
                let (n, right): (usize, usize) =
                    of_light().fold((0, 0), |(n, right), slice| (n + slice.n, right + slice.right));
                text += &format!("\n{}: {right} of {n} right", light.name());
            }
        }
        text
    }
}

/// Wilson's interval for a share of `n`. Pictures of one burst are right or wrong together, so each burst counts
/// once.
fn wilson(share: f64, n: usize) -> [f64; 2] {
    if n == 0 {
        return [0.0, 1.0];
    }
    let n = n as f64;
    let centre = share + Z * Z / (2.0 * n);
    let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    [((centre - half) / scale).max(0.0), ((centre + half) / scale).min(1.0)]
}

fn slices(states: &[String], outcomes: &[Outcome]) -> Vec<Slice> {
    let mut slices = Vec::new();
    for light in Light::ALL {
        for (state, name) in states.iter().enumerate() {
            let of_slice = || outcomes.iter().filter(move |o| o.light == light && o.truth == state);
            let n = of_slice().count();
            if n > 0 {
                let right = of_slice().filter(|outcome| outcome.right()).count();
                slices.push(Slice { light, state: name.clone(), n, right });
            }
        }
    }
    slices
}

fn days(outcomes: &[Outcome]) -> Vec<Day> {
    let mut days: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for outcome in outcomes {
        let Some(moment) = outcome.moment else { continue };
        let (n, right) = days.entry(moment::day(moment)).or_default();
        *n += 1;
        *right += usize::from(outcome.right());
    }
    days.into_iter().map(|(day, (n, right))| Day { day, n, right }).collect()
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

    fn outcome(truth: usize, probabilities: [f32; 3], distance: f32, burst: usize) -> Outcome {
        Outcome {
            path: PathBuf::new(),
            sha256: String::new(),
            truth,
            probabilities: probabilities.to_vec(),
            distance: Some(distance),
            light: if burst == 0 { Light::Day } else { Light::Night },
            moment: Some(86_400 * burst as i64),
            burst,
        }
    }

    #[test]
    fn counts_by_hand() {
        let states = ["a", "b", "c"].map(String::from);
        let outcomes = [
            outcome(0, [0.9, 0.1, 0.0], 0.5, 0),
            outcome(0, [0.3, 0.7, 0.0], 0.5, 0),
            outcome(1, [0.0, 1.0, 0.0], 1.5, 1),
            outcome(1, [0.1, 0.7, 0.2], 0.5, 1),
        ];
        let got = Evaluation::new(&states, 0.8, &outcomes);
        assert_eq!(got.confusion, [[1, 1, 0], [0, 2, 0], [0, 0, 0]]);
        assert_eq!((got.n, got.bursts, got.accuracy), (4, 2, 0.75));
        // Two below the threshold and one that is unseen.
        assert_eq!((got.unknown_rate, got.unseen_rate), (0.75, 0.25));
        // A state without pictures does not count: the mean of 1/2 and 0.
        assert_eq!(got.balanced_error, 0.25);
        // Bins: 0.9 right; two of 0.7, one of them right; 1.0 right.
        let ece = (0.1 + (1.4f64 - 1.0).abs() + 0.0) / 4.0;
        assert!((got.ece - ece).abs() < 1e-6, "{}", got.ece);
        let slices: Vec<_> = got.slices.iter().map(|s| (s.light, s.state.as_str(), s.n, s.right)).collect();
        assert_eq!(slices, [(Light::Day, "a", 2, 1), (Light::Night, "b", 2, 2)]);
        let days: Vec<_> = got.days.iter().map(|day| (day.day.as_str(), day.n, day.right)).collect();
        assert_eq!(days, [("1970-01-01", 2, 1), ("1970-01-02", 2, 2)]);
    }

    /// Figures of statsmodels' proportion_confint(method='wilson').
    #[test]
    fn the_interval_is_wilsons() {
        let near = |got: [f64; 2], want: [f64; 2]| got.iter().zip(want).all(|(g, w)| (g - w).abs() < 1e-3);
        assert!(near(wilson(0.9, 50), [0.7864, 0.9565]), "{:?}", wilson(0.9, 50));
        assert!(near(wilson(1.0, 10), [0.7225, 1.0]), "{:?}", wilson(1.0, 10));
        assert_eq!(wilson(0.0, 0), [0.0, 1.0]);
    }
}
