//! Class-balanced ridge regression on few examples with many features.
//!
//! One column of 1 and 0 for each state is fitted by least squares with an L2 penalty; on balanced classes that is
//! Fisher's discriminant with its covariance shrunk (Hastie, Buja, Tibshirani 1995). The weights lie in the span of
//! the examples, so features enter only by their inner products (kernel ridge regression, Saunders et al. 1998):
//! the work does not grow with the features.

use faer::linalg::matmul::triangular::{BlockStructure, matmul};
use faer::linalg::solvers::{Llt, Solve};
use faer::{Accum, Mat, MatRef, Par, Side};

/// Inner products of all pairs of examples.
#[derive(Clone)]
pub struct Kernel(Mat<f64>);

/// How much of each fitted example is in the weights of each state, and a bias each.
pub struct Fit {
    /// Examples it was fitted on.
    chosen: Vec<usize>,
    /// `chosen` x states.
    coefficients: Mat<f64>,
    bias: Vec<f64>,
}

impl Kernel {
    /// `rows`: examples x features, row by row. Runs on all cores.
    pub fn new(rows: &[f32], features: usize) -> Kernel {
        let columns = MatRef::from_column_major_slice(rows, features, rows.len() / features);
        let mut gram = Mat::<f32>::zeros(columns.ncols(), columns.ncols());
        let full = BlockStructure::Rectangular;
        let (lower, cores) = (BlockStructure::TriangularLower, Par::rayon(0));
        matmul(gram.as_mut(), lower, Accum::Replace, columns.transpose(), full, columns, full, 1.0, cores);
        let n = columns.ncols();
        Kernel(Mat::from_fn(n, n, |i, j| f64::from(gram[(i.max(j), i.min(j))])))
    }

    /// The kernel of several sets of features together, each counting as much as its share.
    pub fn sum<'a>(parts: impl IntoIterator<Item = (&'a Kernel, f64)>) -> Kernel {
        let scaled = parts.into_iter().map(|(kernel, share)| &kernel.0 * faer::Scale(share));
        Kernel(scaled.reduce(|sum, part| sum + part).unwrap_or_else(Mat::new))
    }

    /// Squared distance between two examples.
    pub fn squared_distance(&self, i: usize, j: usize) -> f64 {
        (self.0[(i, i)] + self.0[(j, j)] - 2.0 * self.0[(i, j)]).max(0.0)
    }

    /// Fits the examples `chosen`. `labels` and `weights` are of all examples; the states weigh the same whatever
    /// their examples' weights add up to. `penalty` is in units of the examples' mean variance. `None` if the
    /// features are not finite.
    pub fn fit(
        &self,
        chosen: &[usize],
        labels: &[usize],
        weights: &[f64],
        states: usize,
        penalty: f64,
    ) -> Option<Fit> {
        let n = chosen.len();
        let mut totals = vec![0.0; states];
        chosen.iter().for_each(|&i| totals[labels[i]] += weights[i]);
        let present = totals.iter().filter(|&&total| total > 0.0).count();
        // They add up to one.
        let share: Vec<f64> =
            chosen.iter().map(|&i| weights[i] / (totals[labels[i]] * present as f64)).collect();
        let k = |a: usize, b: usize| self.0[(chosen[a], chosen[b])];
        let mean: Vec<f64> = (0..n).map(|a| (0..n).map(|b| share[b] * k(a, b)).sum()).collect();
        let overall: f64 = mean.iter().zip(&share).map(|(mean, share)| mean * share).sum();
        // Rows and columns times the roots of the weights: weighted least squares by a symmetric system.
        let root: Vec<f64> = share.iter().map(|share| share.sqrt()).collect();
        let mut system =
            Mat::from_fn(n, n, |a, b| root[a] * root[b] * (k(a, b) - mean[a] - mean[b] + overall));
        let variance: f64 = (0..n).map(|a| system[(a, a)]).sum();
        let ridge = (penalty * variance / n as f64).max(f64::MIN_POSITIVE);
        (0..n).for_each(|a| system[(a, a)] += ridge);
        let target = |state: usize, a: usize| f64::from(u8::from(labels[chosen[a]] == state));
        let expected = |state: usize| f64::from(u8::from(totals[state] > 0.0)) / present as f64;
        let targets = Mat::from_fn(n, states, |a, state| root[a] * (target(state, a) - expected(state)));
        let solved = Llt::new(system.as_ref(), Side::Lower).ok()?.solve(&targets);
        // Back to the examples as they are: what was taken off for the mean is put on them all.
        let sums: Vec<f64> =
            (0..states).map(|state| (0..n).map(|a| root[a] * solved[(a, state)]).sum()).collect();
        let coefficients =
            Mat::from_fn(n, states, |a, state| root[a] * solved[(a, state)] - sums[state] * share[a]);
        let bias = (0..states)
            .map(|state| expected(state) - (0..n).map(|a| coefficients[(a, state)] * mean[a]).sum::<f64>())
            .collect();
        Some(Fit { chosen: chosen.to_vec(), coefficients, bias })
    }

    /// Scores of example `i`, one a state; they add up to 1.
    pub fn scores(&self, fit: &Fit, i: usize) -> Vec<f64> {
        let score = |(state, bias): (usize, &f64)| {
            let terms = fit.chosen.iter().enumerate();
            bias + terms.map(|(a, &j)| fit.coefficients[(a, state)] * self.0[(i, j)]).sum::<f64>()
        };
        fit.bias.iter().enumerate().map(score).collect()
    }
}

impl Fit {
    /// Weights on the features themselves, or on those of one part of a sum: states x features, row by row. `rows`: of
    /// all examples; `share`: of the part in the sum.
    pub fn weights(&self, rows: &[f32], features: usize, share: f64) -> Vec<f32> {
        let mut weights = vec![0.0f64; self.bias.len() * features];
        for (a, &i) in self.chosen.iter().enumerate() {
            let row = &rows[i * features..][..features];
            for (state, weights) in weights.chunks_exact_mut(features).enumerate() {
                let coefficient = share * self.coefficients[(a, state)];
                weights.iter_mut().zip(row).for_each(|(w, &x)| *w += coefficient * f64::from(x));
            }
        }
        weights.into_iter().map(|x| x as f32).collect()
    }

    pub fn bias(&self) -> Vec<f32> {
        self.bias.iter().map(|&x| x as f32).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [f32; 18] =
        [2.0, 0.1, 0.0, 1.8, -0.2, 0.3, 1.0, 0.5, -0.1, -1.0, 1.0, 0.2, -0.7, 0.6, 0.1, 0.2, -1.5, 0.4];
    const LABELS: [usize; 6] = [0, 0, 0, 1, 1, 2];
    const WEIGHTS: [f64; 6] = [1.0, 0.5, 1.0, 1.0, 0.25, 1.0];

    fn fit(kernel: &Kernel, chosen: &[usize], penalty: f64) -> Fit {
        kernel.fit(chosen, &LABELS, &WEIGHTS, 3, penalty).unwrap()
    }

    #[test]
    fn the_weights_give_the_same_scores_as_the_kernel() {
        let kernel = Kernel::new(&ROWS, 3);
        let fit = fit(&kernel, &[0, 1, 3, 4, 5], 0.1);
        let (weights, bias) = (fit.weights(&ROWS, 3, 1.0), fit.bias());
        for i in 0..6 {
            let scores = kernel.scores(&fit, i);
            assert!((scores.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            for state in 0..3 {
                let products = weights[3 * state..][..3].iter().zip(&ROWS[3 * i..][..3]).map(|(w, x)| w * x);
                let score = products.sum::<f32>() + bias[state];
                assert!((f64::from(score) - scores[state]).abs() < 1e-5, "example {i}, state {state}");
            }
        }
    }

    #[test]
    fn the_weights_are_those_of_weighted_least_squares() {
        let kernel = Kernel::new(&ROWS, 3);
        let all = [0, 1, 2, 3, 4, 5];
        let fit = fit(&kernel, &all, 0.1);
        let (weights, bias) = (fit.weights(&ROWS, 3, 1.0), fit.bias());
        // The gradient of the weighted squares and the penalty is zero at the optimum.
        let totals = [2.5, 1.25, 1.0];
        let share: Vec<f64> = all.iter().map(|&i| WEIGHTS[i] / (3.0 * totals[LABELS[i]])).collect();
        let x = |i: usize, d: usize| f64::from(ROWS[3 * i + d]);
        let mean: Vec<f64> = (0..3).map(|d| all.iter().map(|&i| share[i] * x(i, d)).sum()).collect();
        let variance: f64 =
            all.iter().map(|&i| share[i] * (0..3).map(|d| (x(i, d) - mean[d]).powi(2)).sum::<f64>()).sum();
        for state in 0..3 {
            let w: Vec<f64> = (0..3).map(|d| f64::from(weights[3 * state + d])).collect();
            let residual = |i: usize| {
                let score: f64 = (0..3).map(|d| w[d] * x(i, d)).sum::<f64>() + f64::from(bias[state]);
                score - f64::from(u8::from(LABELS[i] == state))
            };
            let bias_gradient: f64 = all.iter().map(|&i| share[i] * residual(i)).sum();
            assert!(bias_gradient.abs() < 1e-6, "{bias_gradient}");
            for (d, weight) in w.iter().enumerate() {
                let data: f64 = all.iter().map(|&i| share[i] * residual(i) * x(i, d)).sum();
                let gradient = data + 0.1 * variance / 6.0 * weight;
                assert!(gradient.abs() < 1e-6, "state {state}, feature {d}: {gradient}");
            }
        }
    }

    #[test]
    fn features_that_are_not_finite_have_no_fit() {
        let mut rows = ROWS;
        rows[4] = f32::NAN;
        let kernel = Kernel::new(&rows, 3);
        assert!(kernel.fit(&[0, 1, 2, 3, 4, 5], &LABELS, &WEIGHTS, 3, 0.1).is_none());
    }

    #[test]
    fn kernels_add_up_and_tell_distances() {
        let kernel = Kernel::new(&ROWS, 3);
        let squared = |i: usize, j: usize| {
            (0..3).map(|d| f64::from(ROWS[3 * i + d] - ROWS[3 * j + d]).powi(2)).sum::<f64>()
        };
        assert!((kernel.squared_distance(0, 5) - squared(0, 5)).abs() < 1e-5);
        let sum = Kernel::sum([(&kernel, 1.0), (&kernel, 2.0)]);
        assert!((sum.squared_distance(0, 5) - 3.0 * squared(0, 5)).abs() < 1e-4);
    }
}
