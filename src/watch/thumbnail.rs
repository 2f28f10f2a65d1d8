//! The thumbnail: the whole frame, small and grey, in fixed memory. It tells what the camera as a whole sees: whether it
//! was moved, and whether the light has jumped.

use super::frame::{self, Chroma, Frame};
use core::ops::Range;

/// Cells of a thumbnail, whatever the size and shape of its frame.
pub const COLUMNS: usize = 160;
pub const ROWS: usize = 90;
pub const CELLS: usize = COLUMNS * ROWS;
/// Rows of a cell that are averaged: more would cost more and show no more.
const ROWS_OF_A_CELL: usize = 4;
/// Longest row that is averaged whole; of a longer one the right part is left out.
const MAX_WIDTH: usize = 8192;

/// Mean luma of each cell, row by row; 0 is black and 255 white, whatever the frame's range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    pub cells: [u8; CELLS],
    /// Mean distance of the frame's chroma from grey: 0 in a picture without colour.
    pub colour: u8,
}

impl Default for Thumbnail {
    fn default() -> Self {
        Thumbnail { cells: [0; CELLS], colour: 0 }
    }
}

impl Thumbnail {
    /// What a bundle keeps of one: its cells. Those that are missing are black.
    pub fn of(cells: &[u8]) -> Thumbnail {
        let mut thumbnail = Thumbnail::default();
        thumbnail.cells.iter_mut().zip(cells).for_each(|(to, &from)| *to = from);
        thumbnail
    }

    /// Replaces what was there. In a frame of less than a pixel for each cell, pixels count for several.
    pub fn take(&mut self, frame: &Frame) {
        let (width, height) = (frame.width.min(MAX_WIDTH), frame.height);
        if width == 0 || height == 0 {
            return;
        }
        let mut sums = [0u16; MAX_WIDTH];
        let sums = &mut sums[..width];
        for (row, cells) in self.cells.chunks_exact_mut(COLUMNS).enumerate() {
            let rows = span(row, ROWS, height);
            let step = rows.len().div_ceil(ROWS_OF_A_CELL);
            let rows = rows.step_by(step);
            let count = rows.len() as u32;
            sums.fill(0);
            for y in rows {
                for (sum, &sample) in sums.iter_mut().zip(frame.luma.row(y, 0, width)) {
                    *sum += u16::from(sample);
                }
            }
            for (column, cell) in cells.iter_mut().enumerate() {
                let sums = &sums[span(column, COLUMNS, width)];
                let sum = sums.iter().map(|&sum| u32::from(sum)).sum();
                *cell = full_range(sum, count * sums.len() as u32, frame.colour.range);
            }
        }
        self.colour = colour(frame);
    }

    /// Mean of `SIDE` by `SIDE` cells.
    pub fn mean<const SIDE: usize>(&self, column: usize, row: usize) -> i32 {
        let first = row * SIDE * COLUMNS + column * SIDE;
        let row = |y: usize| self.cells[first + y * COLUMNS..][..SIDE].iter();
        let sum: i32 = (0..SIDE).flat_map(row).map(|&cell| i32::from(cell)).sum();
        sum / (SIDE * SIDE) as i32
    }
}

/// The pixels of one of `cells` cells, at least one.
fn span(cell: usize, cells: usize, pixels: usize) -> Range<usize> {
    let start = cell * pixels / cells;
    start..((cell + 1) * pixels / cells).max(start + 1)
}

/// The mean of `count` samples as a code of the full range.
fn full_range(sum: u32, count: u32, range: frame::Range) -> u8 {
    match range {
        frame::Range::Full => (sum / count) as u8,
        frame::Range::Limited => (sum.saturating_sub(16 * count) * 255 / (219 * count)).min(255) as u8,
    }
}

/// One chroma sample of every fourth cell is enough to tell colour from grey.
fn colour(frame: &Frame) -> u8 {
    let (width, height) = (frame.width.div_ceil(2), frame.height.div_ceil(2));
    let mut sum = 0;
    for row in (0..ROWS).step_by(2) {
        let y = row * height / ROWS;
        for column in (0..COLUMNS).step_by(2) {
            let x = column * width / COLUMNS;
            let [u, v] = match frame.chroma {
                Chroma::Planar { u, v } => [u.row(y, x, 1)[0], v.row(y, x, 1)[0]],
                Chroma::Interleaved(uv) => [uv.row(y, 2 * x, 2)[0], uv.row(y, 2 * x, 2)[1]],
            };
            sum += u32::from(u.abs_diff(128)) + u32::from(v.abs_diff(128));
        }
    }
    (sum / (CELLS / 4) as u32) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::frame::{Colour, Matrix, Plane};
    use embassy_time::Instant;

    fn thumbnail(
        width: usize,
        height: usize,
        range: frame::Range,
        luma: impl Fn(usize, usize) -> u8,
    ) -> Thumbnail {
        let y: Vec<u8> = (0..width * height).map(|i| luma(i % width, i / width)).collect();
        let c = vec![130; width.div_ceil(2) * height.div_ceil(2)];
        let plane = Plane { bytes: &c, stride: width.div_ceil(2) };
        let mut thumbnail = Thumbnail::default();
        thumbnail.take(&Frame {
            width,
            height,
            luma: Plane { bytes: &y, stride: width },
            chroma: Chroma::Planar { u: plane, v: plane },
            colour: Colour { matrix: Matrix::Bt601, range },
            arrival: Instant::MIN,
        });
        thumbnail
    }

    #[test]
    fn frames_of_any_size_fill_it() {
        for (width, height) in [(2, 2), (17, 9), (160, 90), (640, 480), (1921, 1081), (9000, 100)] {
            let halves = |x: usize, _: usize| if x < width.min(MAX_WIDTH) / 2 { 40 } else { 200 };
            let thumbnail = thumbnail(width, height, frame::Range::Full, halves);
            for row in [0, 44, 89] {
                let cells = &thumbnail.cells[row * COLUMNS..][..COLUMNS];
                assert_eq!(
                    (cells[0], cells[70], cells[90], cells[159]),
                    (40, 40, 200, 200),
                    "{width} x {height}"
                );
            }
            assert_eq!(thumbnail.colour, 4);
        }
    }

    #[test]
    fn black_and_white_are_the_same_in_both_ranges() {
        let cell = |range, code| thumbnail(320, 240, range, |_, _| code).cells[5];
        assert_eq!([16, 235, 10, 250].map(|code| cell(frame::Range::Limited, code)), [0, 255, 0, 255]);
        assert_eq!([0, 255, 16].map(|code| cell(frame::Range::Full, code)), [0, 255, 16]);
    }

    #[test]
    fn larger_cells_are_means() {
        let thumbnail = thumbnail(160, 90, frame::Range::Full, |x, y| (x + y) as u8);
        assert_eq!(thumbnail.mean::<2>(3, 4), 6 + 8 + 1);
        assert_eq!(thumbnail.mean::<4>(1, 1), 4 + 4 + 3);
    }
}
