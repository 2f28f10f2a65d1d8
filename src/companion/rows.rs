//! Rows: every picture and its looks as features, and what is fitted on them.
//!
//! A picture's looks weigh together as much as the picture itself, and go where it goes: no look of a held-out
//! picture is ever trained on.

use super::augment::MAX_LOOKS;
use super::embed::Embedded;
use super::ridge::{Fit, Kernel};
use crate::engine::features::{ALL_VALUES, Block};
use rayon::prelude::*;

/// Of pictures to their looks: the middle of five real cameras' (0.09 to 0.27).
const USUAL_SPREAD: f64 = 0.14;
/// Of looks to the nearest mean: no real camera's is less (0.33 to 0.82).
const LEAST_LOOK_DISTANCE: f32 = 0.3;
/// Most rows of a training set while there are looks: bounds the work, which grows with their cube. Looks help most
/// where pictures are few.
const MAX_ROWS: usize = 1000;

/// Blocks, in the order of [`Block::ALL`], and how much each counts in the inner products of pictures.
pub type Blend = &'static [(Block, f64)];

pub struct Rows {
    /// Pictures; they are the first rows.
    pictures: usize,
    /// Of each picture; they follow, picture by picture.
    looks: usize,
    /// Rows x values of each block, row by row, in the order of [`Block::ALL`].
    blocks: [Vec<f32>; 3],
    kernels: [Kernel; 3],
}

impl Rows {
    /// Looks that each of so many pictures gets.
    pub fn looks(pictures: usize) -> usize {
        (MAX_ROWS / pictures.max(1)).saturating_sub(1).min(MAX_LOOKS)
    }

    pub fn new(embedded: &[Embedded], looks: usize) -> Rows {
        let blocks = Block::ALL.map(|block| {
            let mut rows = Vec::with_capacity(embedded.len() * (1 + looks) * block.values());
            for picture in embedded {
                rows.extend_from_slice(&picture.embedding.features[block.range()]);
            }
            for picture in embedded {
                for look in picture.embedding.looks.chunks_exact(ALL_VALUES).take(looks) {
                    rows.extend(look[block.range()].iter().map(|x| x.to_f32()));
                }
            }
            rows
        });
        let kernel = |(block, rows): (&Block, &Vec<f32>)| Kernel::new(rows, block.values());
        let kernels = [0, 1, 2].map(|i| kernel((&Block::ALL[i], &blocks[i])));
        Rows { pictures: embedded.len(), looks, blocks, kernels }
    }

    /// The picture that a row is of.
    fn picture(&self, row: usize) -> usize {
        row.checked_sub(self.pictures).map_or(row, |look| look / self.looks)
    }

    fn count(&self) -> usize {
        self.pictures * (1 + self.looks)
    }

    /// The kernel of these blocks together.
    pub fn kernel(&self, blend: Blend) -> Kernel {
        Kernel::sum(blend.iter().map(|(block, share)| (&self.kernels[index(*block)], *share)))
    }

    /// Mean squared distance of a picture to its looks on block `mid`; the usual one where there are none.
    pub fn spread(&self, kernel: &Kernel) -> f64 {
        if self.looks == 0 {
            return USUAL_SPREAD;
        }
        let looks = self.pictures..self.count();
        let n = looks.len().max(1) as f64;
        looks.map(|row| kernel.squared_distance(self.picture(row), row)).sum::<f64>() / n
    }

    /// Label and weight of each row from those of the pictures.
    fn spread_out(&self, labels: &[usize], weights: &[f64]) -> (Vec<usize>, Vec<f64>) {
        let weight = |row: usize| {
            let weight = weights[self.picture(row)];
            if row < self.pictures { weight } else { weight / self.looks as f64 }
        };
        (0..self.count()).map(|row| (labels[self.picture(row)], weight(row))).unzip()
    }

    /// Scores of each picture by a fit on the other folds. `None` if the features are not finite.
    pub fn out_of_fold(
        &self,
        labels: &[usize],
        weights: &[f64],
        states: usize,
        folds: &[usize],
        blend: Blend,
        penalty: f64,
    ) -> Option<Vec<Vec<f64>>> {
        let kernel = self.kernel(blend);
        let (labels, weights) = self.spread_out(labels, weights);
        let count = folds.iter().max()? + 1;
        let fits: Option<Vec<Fit>> = (0..count)
            .into_par_iter()
            .map(|fold| {
                let rest: Vec<usize> =
                    (0..self.count()).filter(|&row| folds[self.picture(row)] != fold).collect();
                kernel.fit(&rest, &labels, &weights, states, penalty)
            })
            .collect();
        let fits = fits?;
        Some((0..self.pictures).map(|i| kernel.scores(&fits[folds[i]], i)).collect())
    }

    /// Weights on the features of the blocks, one after the other (states x features), and a bias each, fitted on
    /// everything. `None` if the features are not finite.
    pub fn fit(
        &self,
        labels: &[usize],
        weights: &[f64],
        states: usize,
        blend: Blend,
        penalty: f64,
    ) -> Option<(Vec<f32>, Vec<f32>)> {
        let (labels, weights) = self.spread_out(labels, weights);
        let all: Vec<usize> = (0..self.count()).collect();
        let fit = self.kernel(blend).fit(&all, &labels, &weights, states, penalty)?;
        let part = |(block, share): &(Block, f64)| {
            (fit.weights(&self.blocks[index(*block)], block.values(), *share), block.values())
        };
        let parts: Vec<(Vec<f32>, usize)> = blend.iter().map(part).collect();
        let row = |state: usize| parts.iter().flat_map(move |(part, n)| part[state * n..][..*n].to_vec());
        Some(((0..states).flat_map(row).collect(), fit.bias()))
    }

    /// The mean of one block over the pictures that `chosen` takes, and their looks, of each state in turn. A state
    /// of which none is taken has no mean.
    pub fn means(
        &self,
        block: Block,
        labels: &[usize],
        weights: &[f64],
        states: usize,
        chosen: impl Fn(usize) -> bool,
    ) -> Vec<f32> {
        let (labels, weights) = self.spread_out(labels, weights);
        let mut means = Vec::new();
        for state in 0..states {
            let (mut sum, mut total) = (vec![0.0f64; block.values()], 0.0);
            for row in (0..self.count()).filter(|&row| labels[row] == state && chosen(self.picture(row))) {
                sum.iter_mut()
                    .zip(self.row(block, row))
                    .for_each(|(sum, &x)| *sum += weights[row] * f64::from(x));
                total += weights[row];
            }
            if total > 0.0 {
                means.extend(sum.iter().map(|sum| (sum / total) as f32));
            }
        }
        means
    }

    /// Median distance of the looks to the nearest of these means on block `mid`; a small one where there are none.
    pub fn look_distance(&self, block: Block, means: &[f32]) -> f32 {
        if self.looks == 0 {
            return LEAST_LOOK_DISTANCE;
        }
        let looks = self.pictures..self.count();
        let mut distances: Vec<f64> = looks.map(|row| self.distance(block, means, row)).collect();
        distances.sort_by(f64::total_cmp);
        distances[distances.len() / 2] as f32
    }

    /// Distance of a row, such as a picture, to the nearest of these means.
    pub fn distance(&self, block: Block, means: &[f32], row: usize) -> f64 {
        let x = self.row(block, row);
        let squared = |mean: &[f32]| mean.iter().zip(x).map(|(m, x)| f64::from(m - x).powi(2)).sum::<f64>();
        means.chunks_exact(block.values()).map(squared).fold(f64::INFINITY, f64::min).sqrt()
    }

    fn row(&self, block: Block, row: usize) -> &[f32] {
        &self.blocks[index(block)][row * block.values()..][..block.values()]
    }
}

/// Where a block is in [`Block::ALL`].
fn index(block: Block) -> usize {
    match block {
        Block::Gap => 0,
        Block::P3 => 1,
        Block::Mid => 2,
    }
}
