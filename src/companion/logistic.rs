//! Multinomial logistic regression with L2 regularisation, for few examples with many features.
//!
//! The weights lie in the span of the examples, so the features enter only by their inner
//! products: with `gram = L Lᵀ` (Cholesky), training on the rows of `L` is training on the
//! features themselves, turned into as many dimensions as there are examples. Folds and
//! regularisation strengths share one `L`.

use argmin::core::{CostFunction, Error, Executor, Gradient, State};
use argmin::solver::linesearch::MoreThuenteLineSearch;
use argmin::solver::quasinewton::LBFGS;
use nalgebra::{Cholesky, DMatrix, Dyn};

const MAX_ITERATIONS: u64 = 500;
const HISTORY: usize = 10;
/// Mean gradient at which the fit is done.
const TOLERANCE: f64 = 1e-6;

/// Examples in as many dimensions as there are examples.
pub struct Span {
    cholesky: Cholesky<f64, Dyn>,
    rows: DMatrix<f64>,
}

/// Weights in the span: one column a state, and a bias each.
pub struct Fit {
    weights: DMatrix<f64>,
    pub bias: Vec<f64>,
}

impl Span {
    /// `gram`: inner products of the features of all examples. `None` if it is not finite.
    pub fn new(gram: &DMatrix<f64>) -> Option<Span> {
        // Equal pictures make it singular; a trace of noise separates them.
        let jitter = 1e-6 * gram.trace() / gram.nrows() as f64;
        let mut regular = gram.clone();
        for i in 0..gram.nrows() {
            regular[(i, i)] += jitter.max(f64::MIN_POSITIVE);
        }
        let cholesky = Cholesky::new(regular)?;
        let rows = cholesky.l();
        Some(Span { cholesky, rows })
    }

    /// Fits the examples `chosen` with their `labels` (one for every example of the span).
    /// `strength` is scikit-learn's `C`: the weight of the data against the regularisation.
    /// States weigh the same however many examples they have.
    pub fn fit(
        &self,
        chosen: &[usize],
        labels: &[usize],
        states: usize,
        strength: f64,
    ) -> Result<Fit, Error> {
        let mut counts = vec![0usize; states];
        chosen.iter().for_each(|&i| counts[labels[i]] += 1);
        let present = counts.iter().filter(|&&count| count > 0).count();
        let weight = |i: usize| strength * chosen.len() as f64 / (present * counts[labels[i]]) as f64;
        let problem = Problem {
            rows: DMatrix::from_fn(chosen.len(), self.rows.ncols(), |i, j| self.rows[(chosen[i], j)]),
            labels: chosen.iter().map(|&i| labels[i]).collect(),
            weights: chosen.iter().map(|&i| weight(i)).collect(),
            states,
        };
        let scale: f64 = problem.weights.iter().sum();
        let solver =
            LBFGS::new(MoreThuenteLineSearch::new(), HISTORY).with_tolerance_grad(TOLERANCE * scale)?;
        let start = vec![0.0; (self.rows.ncols() + 1) * states];
        let dimensions = self.rows.ncols();
        let done = Executor::new(problem, solver)
            .configure(|state| state.param(start).max_iters(MAX_ITERATIONS))
            .run()?;
        let best = done.state().get_best_param().ok_or_else(|| Error::msg("no parameters"))?;
        let (weights, bias) = best.split_at(dimensions * states);
        let weights = DMatrix::from_column_slice(dimensions, states, weights);
        Ok(Fit { weights, bias: bias.to_vec() })
    }

    /// Scores of example `i`, one a state.
    pub fn scores(&self, fit: &Fit, i: usize) -> Vec<f32> {
        let scores = self.rows.row(i) * &fit.weights;
        scores.iter().zip(&fit.bias).map(|(score, bias)| (score + bias) as f32).collect()
    }

    /// How much of each example is in the weights, one column a state: the weights on the
    /// features are the examples' features summed with these factors.
    pub fn coefficients(&self, fit: &Fit) -> Option<DMatrix<f64>> {
        self.cholesky.l_dirty().tr_solve_lower_triangular(&fit.weights)
    }
}

struct Problem {
    rows: DMatrix<f64>,
    labels: Vec<usize>,
    weights: Vec<f64>,
    states: usize,
}

impl Problem {
    /// Probabilities of every example under these parameters.
    fn probabilities(&self, parameters: &[f64]) -> DMatrix<f64> {
        let dimensions = self.rows.ncols();
        let (weights, bias) = parameters.split_at(dimensions * self.states);
        let weights = DMatrix::from_column_slice(dimensions, self.states, weights);
        let mut scores = &self.rows * weights;
        for mut row in scores.row_iter_mut() {
            row.iter_mut().zip(bias).for_each(|(score, bias)| *score += bias);
            let largest = row.max();
            row.apply(|score| *score = (*score - largest).exp());
            let total = row.sum();
            row /= total;
        }
        scores
    }
}

impl CostFunction for Problem {
    type Param = Vec<f64>;
    type Output = f64;

    fn cost(&self, parameters: &Vec<f64>) -> Result<f64, Error> {
        let probabilities = self.probabilities(parameters);
        let of_label = |(i, &label): (usize, &usize)| probabilities[(i, label)].max(1e-300).ln();
        let loss: f64 =
            self.labels.iter().enumerate().map(|(i, l)| -self.weights[i] * of_label((i, l))).sum();
        let size = self.rows.ncols() * self.states;
        Ok(loss + 0.5 * parameters[..size].iter().map(|w| w * w).sum::<f64>())
    }
}

impl Gradient for Problem {
    type Param = Vec<f64>;
    type Gradient = Vec<f64>;

    fn gradient(&self, parameters: &Vec<f64>) -> Result<Vec<f64>, Error> {
        let mut residuals = self.probabilities(parameters);
        for (i, &label) in self.labels.iter().enumerate() {
            residuals[(i, label)] -= 1.0;
            residuals.row_mut(i).scale_mut(self.weights[i]);
        }
        let mut gradient: Vec<f64> = self.rows.tr_mul(&residuals).as_slice().to_vec();
        gradient.iter_mut().zip(parameters).for_each(|(g, w)| *g += w);
        gradient.extend(residuals.row_sum().iter());
        Ok(gradient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Features of 6 examples in 2 dimensions, 3 states.
    fn features() -> (DMatrix<f64>, Vec<usize>) {
        let rows = [1.0, 0.1, 0.9, -0.2, 0.8, 0.3, -1.0, 0.2, -0.7, -0.1, 0.1, 1.0];
        (DMatrix::from_row_slice(6, 2, &rows), vec![0, 0, 0, 1, 1, 2])
    }

    #[test]
    fn the_gradient_is_that_of_the_cost() {
        let (x, labels) = features();
        let weights = vec![1.0, 0.5, 2.0, 1.0, 1.0, 3.0];
        let problem = Problem { rows: x, labels, weights, states: 3 };
        let at: Vec<f64> = (0..9).map(|i| (i as f64 * 0.7).sin()).collect();
        let gradient = problem.gradient(&at).unwrap();
        for i in 0..9 {
            let moved = |step: f64| {
                let mut at = at.clone();
                at[i] += step;
                problem.cost(&at).unwrap()
            };
            let numeric = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            assert!((numeric - gradient[i]).abs() < 1e-6, "{i}: {numeric} {}", gradient[i]);
        }
    }

    #[test]
    fn coefficients_rebuild_the_scores_on_the_features() {
        let (x, labels) = features();
        let span = Span::new(&(&x * x.transpose())).unwrap();
        let fit = span.fit(&[0, 1, 2, 3, 4, 5], &labels, 3, 2.0).unwrap();
        let weights = x.transpose() * span.coefficients(&fit).unwrap();
        for (i, &label) in labels.iter().enumerate() {
            let scores = span.scores(&fit, i);
            let rebuilt = x.row(i) * &weights;
            for state in 0..3 {
                let rebuilt = rebuilt[state] + fit.bias[state];
                assert!((f64::from(scores[state]) - rebuilt).abs() < 1e-3);
                assert!(scores[label] >= scores[state], "example {i}");
            }
        }
    }

    /// LogisticRegression(C=2, class_weight='balanced').predict_proba of scikit-learn 1.9.1.
    #[test]
    fn probabilities_are_scikit_learns() {
        let want = [
            [0.7524, 0.0733, 0.1742],
            [0.785, 0.098, 0.117],
            [0.6319, 0.1000, 0.2681],
            [0.0610, 0.7629, 0.1761],
            [0.1218, 0.7363, 0.1418],
            [0.1854, 0.1601, 0.6546],
        ];
        let (x, labels) = features();
        let span = Span::new(&(&x * x.transpose())).unwrap();
        let fit = span.fit(&[0, 1, 2, 3, 4, 5], &labels, 3, 2.0).unwrap();
        for (i, want) in want.iter().enumerate() {
            let mut got = span.scores(&fit, i);
            crate::engine::head::softmax(&mut got);
            assert!(got.iter().zip(want).all(|(got, want)| (got - want).abs() < 1e-3), "{i}: {got:?}");
        }
    }
}
