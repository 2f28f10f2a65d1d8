//! Edges: a picture without its light.
//!
//! Of each cell only the direction of its edge is kept, with the contrast taken out, so that neither light nor what is
//! brighter than what counts.

use super::super::thumbnail::{self, Thumbnail};

/// A cell of a field is two by two of a thumbnail.
pub const COLUMNS: usize = thumbnail::COLUMNS / 2;
pub const ROWS: usize = thumbnail::ROWS / 2;
pub const CELLS: usize = COLUMNS * ROWS;
/// Squared contrast, in codes, at which an edge counts half: less is mostly noise.
const SOFT_EDGE: i32 = 36;
/// Least contrast and softness of a picture that tells its place: noise has less of both.
const MIN_CONTRAST: f32 = 200.0;
const MIN_SOFTNESS: f32 = 0.6;

/// The edges of a picture.
#[derive(Clone)]
pub struct Edges {
    /// Twice the angle of each cell's edge, as a vector of at most 127: the shorter, the fainter.
    pub x: [i8; CELLS],
    pub y: [i8; CELLS],
    /// Mean squared contrast in codes.
    contrast: f32,
    /// The same of cells twice as large: as much in a scene, a quarter in noise, more in a blurred picture.
    coarse_contrast: f32,
}

impl Default for Edges {
    fn default() -> Self {
        Edges { x: [0; CELLS], y: [0; CELLS], contrast: 0.0, coarse_contrast: 0.0 }
    }
}

impl Edges {
    pub fn take(&mut self, thumbnail: &Thumbnail) {
        let cell = |column: usize, row: usize| -> i32 { thumbnail.mean::<2>(column, row) };
        let (mut sum, mut count) = (0u32, 0);
        for row in 1..ROWS - 1 {
            for column in 1..COLUMNS - 1 {
                let [dx, dy] = slope(cell, column, row);
                let squared = dx * dx + dy * dy;
                let at = row * COLUMNS + column;
                self.x[at] = ((dx * dx - dy * dy) * 127 / (squared + SOFT_EDGE)) as i8;
                self.y[at] = (2 * dx * dy * 127 / (squared + SOFT_EDGE)) as i8;
                sum += squared as u32;
                count += 1;
            }
        }
        self.contrast = sum as f32 / count as f32;
        let coarse = |column: usize, row: usize| -> i32 { thumbnail.mean::<4>(column, row) };
        let (mut sum, mut count) = (0u32, 0);
        for row in 1..ROWS / 2 - 1 {
            for column in 1..COLUMNS / 2 - 1 {
                let [dx, dy] = slope(coarse, column, row);
                sum += (dx * dx + dy * dy) as u32;
                count += 1;
            }
        }
        self.coarse_contrast = sum as f32 / count as f32;
    }

    pub fn contrast(&self) -> f32 {
        self.contrast
    }

    /// Whether it shows enough to tell where it was taken.
    pub fn tells(&self) -> bool {
        self.contrast >= MIN_CONTRAST && self.softness() >= MIN_SOFTNESS
    }

    /// Contrast of large things by that of small ones: about 1 in a scene, 1/4 in noise, far more in a blurred picture.
    pub fn softness(&self) -> f32 {
        self.coarse_contrast / self.contrast.max(0.01)
    }
}

/// Difference across and down, in codes, over the two neighbours (Sobel's).
fn slope(cell: impl Fn(usize, usize) -> i32, column: usize, row: usize) -> [i32; 2] {
    let (l, r, t, b) = (column - 1, column + 1, row - 1, row + 1);
    let right = cell(r, t) + 2 * cell(r, row) + cell(r, b);
    let left = cell(l, t) + 2 * cell(l, row) + cell(l, b);
    let bottom = cell(l, b) + 2 * cell(column, b) + cell(r, b);
    let top = cell(l, t) + 2 * cell(column, t) + cell(r, t);
    [(right - left) / 4, (bottom - top) / 4]
}
