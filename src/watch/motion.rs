//! Motion in the crop: a running background on decimated luma, in fixed memory.

use super::crop::CropBuffer;
use embassy_time::{Duration, Instant};

/// Cells on the longer side of the grid the crop's luma is averaged into.
pub const MOTION_GRID: usize = 48;
/// Code values a cell must differ from its background to count as changed.
pub const MOTION_THRESHOLD: i32 = 20;
/// Changed cells, in thousandths of the grid, that are motion.
pub const MOTION_AREA_PER_MILLE: usize = 4;
/// Changed cells, in thousandths, that are a change of light or scene: the background starts
/// anew.
pub const LIGHTNING_PER_MILLE: usize = 800;
/// The background takes in one sixteenth of the difference at most this often, so its memory
/// (about 3 s) does not depend on the frame rate.
pub const BACKGROUND_PERIOD: Duration = Duration::from_millis(200);

const CELLS: usize = MOTION_GRID * MOTION_GRID;
/// Background and cells keep this many bits below one code value.
const FRACTION_BITS: u32 = 6;

/// What a crop shows beside its background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    Still,
    /// Something moves in it.
    Motion,
    /// All of it changed at once: a lamp, a flash, the switch to infrared, another scene.
    Jump,
}

/// The background of one crop.
pub struct Motion {
    columns: usize,
    rows: usize,
    /// Mean luma of each cell over the last seconds.
    background: [u16; CELLS],
    cells: [u16; CELLS],
    learned: Instant,
}

impl Default for Motion {
    fn default() -> Self {
        Motion { columns: 0, rows: 0, background: [0; CELLS], cells: [0; CELLS], learned: Instant::MIN }
    }
}

impl Motion {
    /// Compares the crop with the background, then lets the background follow. The first crop
    /// and a crop of another size only start the background.
    pub fn update(&mut self, now: Instant, crop: &CropBuffer) -> Movement {
        let (columns, rows) = grid(crop.width(), crop.height());
        self.average(crop, columns, rows);
        let count = columns * rows;
        if (columns, rows) != (self.columns, self.rows) {
            (self.columns, self.rows) = (columns, rows);
            self.restart(now, count);
            return Movement::Still;
        }
        let changed = self.changed_cells(count);
        if changed * 1000 >= count * LIGHTNING_PER_MILLE {
            self.restart(now, count);
            return Movement::Jump;
        }
        if now.saturating_duration_since(self.learned) >= BACKGROUND_PERIOD {
            self.learned = now;
            for (background, &cell) in self.background[..count].iter_mut().zip(&self.cells) {
                let step = (i32::from(cell) - i32::from(*background)) / 16;
                *background = (i32::from(*background) + step) as u16;
            }
        }
        match changed * 1000 >= (count * MOTION_AREA_PER_MILLE).max(2000) {
            true => Movement::Motion,
            false => Movement::Still,
        }
    }

    fn restart(&mut self, now: Instant, count: usize) {
        self.background[..count].copy_from_slice(&self.cells[..count]);
        self.learned = now;
    }

    fn average(&mut self, crop: &CropBuffer, columns: usize, rows: usize) {
        let luma = crop.luma();
        for row in 0..rows {
            let (top, bottom) = (row * crop.height() / rows, (row + 1) * crop.height() / rows);
            for column in 0..columns {
                let left = column * crop.width() / columns;
                let right = (column + 1) * crop.width() / columns;
                let sum: u32 = (top..bottom)
                    .flat_map(|y| luma.row(y, left, right - left))
                    .map(|&sample| u32::from(sample))
                    .sum();
                let area = ((bottom - top) * (right - left)) as u32;
                self.cells[row * columns + column] = ((sum << FRACTION_BITS) / area) as u16;
            }
        }
    }

    /// Cells that differ from the background by more than the threshold once the median
    /// difference, a change of light over the whole crop, is taken out.
    fn changed_cells(&self, count: usize) -> usize {
        let differences = || {
            let pairs = self.cells[..count].iter().zip(&self.background);
            pairs.map(|(&cell, &background)| (i32::from(cell) - i32::from(background)) >> FRACTION_BITS)
        };
        let mut histogram = [0u16; 512];
        for difference in differences() {
            histogram[(difference + 256) as usize] += 1;
        }
        let mut below = 0;
        let median = histogram.iter().position(|&n| {
            below += usize::from(n);
            below * 2 >= count
        });
        let light = median.map_or(0, |bin| bin as i32 - 256);
        // A whole crop that jumps is a new scene, not a drift of light.
        let light = if light.abs() > 2 * MOTION_THRESHOLD { 0 } else { light };
        differences().filter(|difference| (difference - light).abs() > MOTION_THRESHOLD).count()
    }
}

/// Columns and rows of the grid for a crop of this size.
fn grid(width: usize, height: usize) -> (usize, usize) {
    let cell = width.max(height).div_ceil(MOTION_GRID).max(2);
    ((width / cell).max(1), (height / cell).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::crop::Region;
    use crate::watch::frame::{Chroma, Colour, Frame, Plane};

    const W: usize = 200;
    const H: usize = 150;

    struct Scene {
        motion: Box<Motion>,
        crop: Box<CropBuffer>,
        now: Instant,
    }

    impl Scene {
        fn new() -> Scene {
            Scene { motion: Default::default(), crop: Default::default(), now: Instant::from_secs(1) }
        }

        fn show(&mut self, pixel: impl Fn(usize, usize) -> u8) -> Movement {
            let y: Vec<u8> = (0..W * H).map(|i| pixel(i % W, i / W)).collect();
            let c = vec![128; W * H / 4];
            let plane = Plane { bytes: &c, stride: W / 2 };
            let frame = Frame {
                width: W,
                height: H,
                luma: Plane { bytes: &y, stride: W },
                chroma: Chroma::Planar { u: plane, v: plane },
                colour: Colour::JPEG,
                arrival: self.now,
            };
            self.crop.copy_from(&frame, Region::FULL.pixels(W, H).unwrap());
            self.now += Duration::from_millis(200);
            self.motion.update(self.now, &self.crop)
        }
    }

    fn texture(x: usize, y: usize) -> u8 {
        (60 + (x * 7 + y * 13) % 90) as u8
    }

    #[test]
    fn a_still_scene_never_moves_and_noise_does_not_trip_it() {
        let mut scene = Scene::new();
        let mut seed = 7u32;
        for _ in 0..100 {
            seed = seed.wrapping_mul(1664525).wrapping_add(1013904223);
            let s = seed;
            let noisy = move |x: usize, y: usize| {
                let mut n = s ^ (x as u32).wrapping_mul(0x9E3779B9) ^ (y as u32).wrapping_mul(0x85EBCA6B);
                n = (n ^ (n >> 15)).wrapping_mul(0x2C1B3C6D);
                texture(x, y).saturating_add((n >> 28) as u8)
            };
            assert_eq!(scene.show(noisy), Movement::Still);
        }
    }

    #[test]
    fn a_small_object_is_motion_and_then_becomes_background() {
        let mut scene = Scene::new();
        for _ in 0..5 {
            assert_eq!(scene.show(texture), Movement::Still);
        }
        let with_object = |x: usize, y: usize| {
            if (90..110).contains(&x) && (60..90).contains(&y) { 250 } else { texture(x, y) }
        };
        assert_eq!(scene.show(with_object), Movement::Motion);
        let settled = (0..100).position(|_| scene.show(with_object) == Movement::Still);
        assert!(settled.is_some_and(|frames| (3..60).contains(&frames)), "{settled:?}");
    }

    #[test]
    fn slow_light_is_not_motion_and_a_light_switch_is_one_look() {
        let mut scene = Scene::new();
        for step in 0..60u8 {
            assert_eq!(scene.show(|x, y| texture(x, y) + step), Movement::Still, "at step {step}");
        }
        assert_eq!(scene.show(|x, y| texture(x, y) / 4), Movement::Jump);
        assert_eq!(scene.show(|x, y| texture(x, y) / 4), Movement::Still);
    }

    #[test]
    fn another_size_starts_anew() {
        assert_eq!(grid(200, 150), (40, 30));
        assert_eq!(grid(2, 2), (1, 1));
        assert_eq!(grid(512, 2), (46, 1));
        for w in 2..=512 {
            let (columns, rows) = grid(w, 512 - w + 2);
            assert!(columns <= MOTION_GRID && rows <= MOTION_GRID);
        }
    }
}
