//! Motion in the crop: a running background on decimated luma, in fixed memory.
//!
//! The crop's luma is averaged into cells. What the light does to all of them together is taken out; a cell that still
//! differs from its background by more than the threshold, and by more than its own noise explains, has changed if
//! cells beside it have too. Enough changed cells are motion; a change of nearly all of them, or of the light at one
//! blow, is a jump.

use super::crop::{CropBuffer, MAX_CROP_SIDE};
use super::light::Light;
use embassy_time::{Duration, Instant};

/// Cells on the longer side of the grid the crop's luma is averaged into.
pub const MOTION_GRID: usize = 48;
/// [`MotionSettings::frame_alpha`] is per this time, so that the background's memory does not depend on the frame rate.
pub const BACKGROUND_PERIOD: Duration = Duration::from_millis(200);

const CELLS: usize = MOTION_GRID * MOTION_GRID;
/// Cells keep this many bits below one code value.
pub(super) const FRACTION_BITS: u32 = 6;
/// Shares in whole numbers: the largest difference times the whole still fits.
const WHOLE_BITS: u32 = 16;
const WHOLE: f32 = (1 << WHOLE_BITS) as f32;
/// Times its mean noise that a cell must differ.
const NOISE_FACTOR: i32 = 4;
/// Frames that the noise is a mean over.
const NOISE_FRAMES: f32 = 16.0;
/// Changed cells around a changed cell that make it more than a speck.
const NEIGHBOURS: usize = 2;
/// Light explains what happened if less than this part of the grid, a quarter, is left changed.
const UNEXPLAINED_PART: usize = 4;
/// Periods that the background may catch up with after a pause.
const MAX_PERIODS: u64 = 100;

/// When a difference is motion. The names are Frigate's where they mean the same.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MotionSettings {
    /// Code values of luma that a cell must differ from its background by.
    pub threshold: u8,
    /// Share of the crop that must have changed.
    pub area: f32,
    /// Share of the crop whose change is one of light or scene: the background starts anew.
    pub lightning_threshold: f32,
    /// Share of a frame that the background takes in, at five frames a second.
    pub frame_alpha: f32,
}

impl MotionSettings {
    pub const DEFAULT: MotionSettings =
        MotionSettings { threshold: 20, area: 0.004, lightning_threshold: 0.8, frame_alpha: 0.0625 };
}

impl Default for MotionSettings {
    fn default() -> Self {
        MotionSettings::DEFAULT
    }
}

/// What a crop shows beside its background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Movement {
    Still,
    /// Something moves in it.
    Motion,
    /// All of it changed at once: a lamp, a flash, the switch to infrared, another scene.
    Jump,
}

/// One cell of the grid. Everything is in code values with [`FRACTION_BITS`].
#[derive(Clone, Copy, Debug)]
struct Cell {
    /// Mean luma in the last frame.
    luma: u16,
    /// Its mean over the last seconds, in the light of the last frame.
    background: u16,
    /// What it differed by from its background in its own light.
    difference: i16,
    /// Mean size of those differences.
    noise: u16,
    /// The difference was larger than threshold and noise.
    changed: bool,
}

impl Cell {
    const START: Cell = Cell { luma: 0, background: 0, difference: 0, noise: 0, changed: false };
}

/// A cell as the last frame left it, for people to look at; in code values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    pub luma: u8,
    /// In the frame's light.
    pub background: u8,
    pub mark: Mark,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    None,
    /// It differs, but hardly any cell around it does.
    Speck,
    Changed,
}

/// The background of one crop.
pub struct Motion {
    settings: MotionSettings,
    columns: usize,
    rows: usize,
    cells: [Cell; CELLS],
    /// Mean noise of all cells.
    noise: u16,
    /// Code values that most cells were brighter by in the last frame, if the light did not explain it.
    step: i32,
    learned: Instant,
    /// Times that the background has learned since it started.
    age: u16,
}

impl Default for Motion {
    fn default() -> Self {
        Motion::new(MotionSettings::DEFAULT)
    }
}

impl Motion {
    pub fn new(settings: MotionSettings) -> Motion {
        Motion {
            settings,
            columns: 0,
            rows: 0,
            cells: [Cell::START; CELLS],
            noise: 0,
            step: 0,
            learned: Instant::MIN,
            age: 0,
        }
    }

    /// Compares the crop with the background, then lets the background follow. The first crop
    /// and a crop of another size only start the background.
    pub fn update(&mut self, now: Instant, crop: &CropBuffer) -> Movement {
        let (columns, rows) = grid(crop.width(), crop.height());
        self.average(crop, columns, rows);
        if (columns, rows) != (self.columns, self.rows) {
            (self.columns, self.rows) = (columns, rows);
            let fresh = |cell: &mut Cell| *cell = Cell { luma: cell.luma, ..Cell::START };
            self.cells.iter_mut().for_each(fresh);
            self.noise = 0;
            self.restart(now);
            return Movement::Still;
        }
        let count = columns * rows;
        let pairs = self.cells[..count].iter().map(|cell| (cell.luma, cell.background));
        let light = Light::of(pairs, self.settings.threshold);
        let sudden = (light.step - self.step).abs() > i32::from(self.settings.threshold);
        let mut changed = self.compare(light);
        let explained = changed * UNEXPLAINED_PART < count;
        if explained {
            self.step = 0;
            self.relight(light);
        } else {
            // Whatever that is, it is not the light alone.
            self.step = light.step;
            changed = self.compare(Light::SAME);
            if changed as f32 >= self.settings.lightning_threshold * count as f32 {
                self.restart(now);
                return Movement::Jump;
            }
        }
        // A background of one frame knows no noise yet.
        let young = self.age == 0 && self.noise == 0;
        self.learn(now);
        if explained && sudden {
            Movement::Jump
        } else if changed >= self.limit() && !young {
            Movement::Motion
        } else {
            Movement::Still
        }
    }

    /// Changed cells that are motion.
    pub fn limit(&self) -> usize {
        ((self.settings.area * (self.columns * self.rows) as f32) as usize).max(2)
    }

    /// Columns and rows of the grid; 0 before the first crop.
    pub fn grid(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// Changed cells in the last frame, specks left out.
    pub fn changed(&self) -> usize {
        (0..self.columns * self.rows).filter(|&i| self.counts(i)).count()
    }

    /// The cells of the last frame, row by row.
    pub fn shown(&self) -> impl Iterator<Item = Shown> {
        self.cells[..self.columns * self.rows].iter().enumerate().map(|(i, cell)| {
            let background = i32::from(cell.luma) - i32::from(cell.difference);
            let code = |value: i32| (value >> FRACTION_BITS) as u8;
            let mark = match cell.changed {
                true if self.counts(i) => Mark::Changed,
                true => Mark::Speck,
                false => Mark::None,
            };
            Shown { luma: code(cell.luma.into()), background: code(background), mark }
        })
    }

    fn restart(&mut self, now: Instant) {
        self.cells.iter_mut().for_each(|cell| cell.background = cell.luma);
        self.learned = now;
        self.age = 0;
        self.step = 0;
    }

    /// Puts the background into this light.
    fn relight(&mut self, light: Light) {
        if light != Light::SAME {
            let count = self.columns * self.rows;
            self.cells[..count].iter_mut().for_each(|cell| cell.background = light.on(cell.background));
        }
    }

    fn average(&mut self, crop: &CropBuffer, columns: usize, rows: usize) {
        let (luma, width, height) = (crop.luma(), crop.width(), crop.height());
        // Divisions are dear: none but the mean's own for each cell.
        let mut edges = [0; MOTION_GRID + 1];
        edges[..=columns].iter_mut().enumerate().for_each(|(column, edge)| *edge = column * width / columns);
        for (row, cells) in self.cells.chunks_exact_mut(columns).take(rows).enumerate() {
            let (top, bottom) = (row * height / rows, (row + 1) * height / rows);
            // Down the columns of pixels first: that is what vector instructions are for.
            let mut sums = [0u16; MAX_CROP_SIDE];
            for y in top..bottom {
                let samples = luma.row(y, 0, width);
                sums.iter_mut().zip(samples).for_each(|(sum, &sample)| *sum += u16::from(sample));
            }
            for (cell, edge) in cells.iter_mut().zip(edges.windows(2)) {
                let sum: u32 = sums[edge[0]..edge[1]].iter().map(|&sum| u32::from(sum)).sum();
                let area = ((bottom - top) * (edge[1] - edge[0])) as u32;
                cell.luma = ((sum << FRACTION_BITS) / area) as u16;
            }
        }
    }

    /// Takes the differences to the background in this light; gives how many cells have changed.
    fn compare(&mut self, light: Light) -> usize {
        let count = self.columns * self.rows;
        let threshold = i32::from(self.settings.threshold) << FRACTION_BITS;
        for cell in &mut self.cells[..count] {
            let difference = i32::from(cell.luma) - i32::from(light.on(cell.background));
            let noise = NOISE_FACTOR * i32::from(cell.noise.max(self.noise));
            cell.difference = difference as i16;
            cell.changed = difference.abs() > threshold.max(noise);
        }
        self.changed()
    }

    /// Whether a cell has changed, and is no speck.
    fn counts(&self, i: usize) -> bool {
        if !self.cells[i].changed {
            return false;
        }
        let (column, row) = (i % self.columns, i / self.columns);
        let around = |at: usize, end: usize| at.saturating_sub(1)..(at + 2).min(end);
        let cells = around(row, self.rows).flat_map(|y| around(column, self.columns).map(move |x| (x, y)));
        // The cell itself is among them.
        cells.filter(|(x, y)| self.cells[y * self.columns + x].changed).count() > NEIGHBOURS
    }

    fn learn(&mut self, now: Instant) {
        let count = self.columns * self.rows;
        let periods = now.saturating_duration_since(self.learned).as_ticks() / BACKGROUND_PERIOD.as_ticks();
        if periods == 0 {
            return;
        }
        self.learned = now;
        let kept =
            (0..periods.min(MAX_PERIODS)).fold(1.0, |kept, _| kept * (1.0 - self.settings.frame_alpha));
        // A young background is the mean of what it has seen.
        let share = (1.0 - kept).max(1.0 / (f32::from(self.age) + 2.0));
        let noise_share = (1.0 / (f32::from(self.age) + 1.0)).max(1.0 / NOISE_FRAMES);
        let [share, noise_share] = [share, noise_share].map(|share| (share * WHOLE) as i32);
        let threshold = i32::from(self.settings.threshold) << FRACTION_BITS;
        let mut sum = 0;
        for cell in &mut self.cells[..count] {
            let towards = |from: u16, to: i32, share| {
                (i32::from(from) + (((to - i32::from(from)) * share) >> WHOLE_BITS)) as u16
            };
            cell.background = towards(cell.background, i32::from(cell.luma), share);
            // What passes through is not noise, however large.
            let size = i32::from(cell.difference).abs().min(threshold);
            cell.noise = towards(cell.noise, size, noise_share);
            sum += u32::from(cell.noise);
        }
        self.noise = (sum / count as u32) as u16;
        self.age = self.age.saturating_add(1);
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

        fn with(settings: MotionSettings) -> Scene {
            Scene { motion: Box::new(Motion::new(settings)), ..Scene::new() }
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

    fn boxed(x: usize, y: usize) -> u8 {
        if (40..80).contains(&x) && (40..90).contains(&y) { 200 } else { texture(x, y) }
    }

    #[test]
    fn the_backgrounds_memory_is_time_not_frames() {
        let settled = |pause: Duration| {
            let mut scene = Scene::new();
            for _ in 0..30 {
                scene.show(texture);
                scene.now += pause;
            }
            let start = scene.now;
            while scene.show(boxed) != Movement::Still {
                scene.now += pause;
            }
            scene.now - start
        };
        let [every, rare] = [0, 1800].map(|ms| settled(Duration::from_millis(ms)));
        assert!(every >= Duration::from_secs(2) && every <= Duration::from_secs(10), "{every}");
        assert!(rare >= Duration::from_secs(2) && rare <= Duration::from_secs(10), "{rare}");
    }

    #[test]
    fn a_lamp_is_one_jump_and_what_moves_in_its_light_is_motion() {
        let lit = |pixel: u8| (f32::from(pixel) * 1.3) as u8;
        let mut scene = Scene::new();
        for _ in 0..30 {
            scene.show(texture);
        }
        assert_eq!(scene.show(|x, y| lit(texture(x, y))), Movement::Jump);
        for _ in 0..30 {
            assert_eq!(scene.show(|x, y| lit(texture(x, y))), Movement::Still);
        }
        assert_eq!(scene.show(|x, y| lit(boxed(x, y))), Movement::Motion);
    }

    #[test]
    fn a_large_door_is_motion_and_no_jump() {
        let mut scene = Scene::new();
        let door = |frame: usize| {
            move |x: usize, y: usize| if x < W * 6 / 10 * frame.min(10) / 10 { 210 } else { texture(x, y) }
        };
        for _ in 0..10 {
            scene.show(texture);
        }
        for frame in 0..80 {
            let movement = scene.show(door(frame));
            assert_ne!(movement, Movement::Jump, "at frame {frame}");
            assert!(movement == Movement::Motion || !(1..10).contains(&frame), "at frame {frame}");
        }
        assert_eq!(scene.show(door(80)), Movement::Still);
    }

    #[test]
    fn a_speck_is_nothing_and_the_settings_are_heeded() {
        let speck = |x: usize, y: usize| {
            if (100..110).contains(&x) && (70..75).contains(&y) { 250 } else { texture(x, y) }
        };
        let say = |settings: MotionSettings, pixel: fn(usize, usize) -> u8| {
            let mut scene = Scene::with(settings);
            for _ in 0..10 {
                scene.show(texture);
            }
            scene.show(pixel)
        };
        let settings = MotionSettings::DEFAULT;
        assert_eq!(say(settings, speck), Movement::Still);
        assert_eq!(say(settings, boxed), Movement::Motion);
        assert_eq!(say(MotionSettings { threshold: 180, ..settings }, boxed), Movement::Still);
        // The box is a fifteenth of the crop.
        assert_eq!(say(MotionSettings { area: 0.05, ..settings }, boxed), Movement::Motion);
        assert_eq!(say(MotionSettings { area: 0.08, ..settings }, boxed), Movement::Still);
        let half = |x: usize, y: usize| if x < W / 2 { 255 - texture(x, y) } else { texture(x, y) };
        assert_eq!(say(settings, half), Movement::Motion);
        assert_eq!(say(MotionSettings { lightning_threshold: 0.3, ..settings }, half), Movement::Jump);
    }

    #[test]
    fn what_is_shown_is_what_was_compared() {
        let mut scene = Scene::new();
        for _ in 0..10 {
            scene.show(texture);
        }
        scene.show(boxed);
        let cells: Vec<Shown> = scene.motion.shown().collect();
        let (columns, rows) = scene.motion.grid();
        assert_eq!(cells.len(), columns * rows);
        let changed: Vec<&Shown> = cells.iter().filter(|cell| cell.mark == Mark::Changed).collect();
        assert_eq!(changed.len(), scene.motion.changed());
        assert!(changed.len() >= scene.motion.limit());
        assert!(changed.iter().all(|cell| cell.luma > cell.background + 20), "{changed:?}");
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
