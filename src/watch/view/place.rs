//! Place: whether the camera still looks where it looked when its reference picture was taken.
//!
//! Both pictures' edges are laid on each other as they are, shifted, turned and zoomed. Where one of these fits clearly
//! better than none, the camera was moved; and also where nothing fits at all, although there is much to see. The crop is
//! left out: it is what may change.

use super::super::region::Region;
use super::edges::{CELLS, COLUMNS, Edges, ROWS};

/// Part of a crop's side that it may be off by.
const OFF: f32 = 1.0 / 12.0;
/// Cells that any crop may be off by. Of pictures of a camera that is not moved, two are found within 0.31 of each other.
const LEAST_OFF: f32 = 0.7;
/// Largest shift that is looked for, in cells: three tenths of the frame.
const MAX_SHIFT: (i32, i32) = (24, 13);
/// Cells outside the crop that there must be.
const MIN_GROUND: usize = CELLS / 4;
/// One in so many of these must lie on the other picture.
const MIN_OVERLAP: usize = 3;
/// The search leaves out every second row; where it matters, none is.
const COARSE: usize = 2;
/// From this score on, where it is looks right, and nothing else is tried.
const SURE: f32 = 0.55;
/// Least score of pictures of one place, whatever the light.
const FITS: f32 = 0.2;
/// How much better another pose must fit.
const CLEARLY: f32 = 0.04;
/// Below this score two pictures that show much show two places.
const LOST: f32 = 0.16;

/// A turn by an angle and a zoom, by its matrix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Turn {
    /// Zoom times cosine and sine of the angle.
    cos: f32,
    sin: f32,
}

const fn turn(cos: f32, sin: f32) -> Turn {
    Turn { cos, sin }
}

/// By 3, 4.5, 6.5, 10 and 15 degrees either way, and nearer or farther.
const TURNS: [Turn; 16] = [
    turn(0.998_63, 0.052_34),
    turn(0.998_63, -0.052_34),
    turn(0.996_92, 0.078_46),
    turn(0.996_92, -0.078_46),
    turn(0.993_57, 0.113_20),
    turn(0.993_57, -0.113_20),
    turn(0.984_81, 0.173_65),
    turn(0.984_81, -0.173_65),
    turn(0.965_93, 0.258_82),
    turn(0.965_93, -0.258_82),
    turn(1.06, 0.0),
    turn(1.13, 0.0),
    turn(1.25, 0.0),
    turn(0.94, 0.0),
    turn(0.88, 0.0),
    turn(0.8, 0.0),
];

/// How well a picture fits its reference: scores, of which 1 is the same picture.
struct Fit {
    /// Where it is, within the tolerance.
    home: f32,
    /// The best one anywhere else, if that was looked for.
    elsewhere: f32,
}

/// Which cells of the reference count, and how far they may be off.
#[derive(Clone, Copy)]
pub struct Ground {
    /// Columns and rows of the crop, which do not count.
    crop: [usize; 4],
    /// Cells that it may be off by.
    tolerance: (f32, f32),
    /// Width of a cell by its height, in pixels.
    aspect: f32,
}

impl Ground {
    /// `frame_aspect`: width of the frame by its height.
    pub fn new(crop: Region, frame_aspect: f32) -> Ground {
        let [x1, y1, x2, y2] = crop.edges();
        let (columns, rows) = (COLUMNS as f32, ROWS as f32);
        let end = |at: f32, size: usize| (at as usize + 1).min(size);
        let crop =
            [(x1 * columns) as usize, (y1 * rows) as usize, end(x2 * columns, COLUMNS), end(y2 * rows, ROWS)];
        let tolerance = |side: f32, cells: f32| (side * cells * OFF).max(LEAST_OFF);
        Ground {
            crop,
            tolerance: (tolerance(x2 - x1, columns), tolerance(y2 - y1, rows)),
            aspect: frame_aspect * ROWS as f32 / COLUMNS as f32,
        }
    }

    fn bears(&self, (dx, dy): (f32, f32)) -> bool {
        dx.abs() <= self.tolerance.0 && dy.abs() <= self.tolerance.1
    }

    /// Whole cells that are looked at closely: a step farther than it bears.
    fn near(&self) -> (i32, i32) {
        (self.tolerance.0 as i32 + 1, self.tolerance.1 as i32 + 1)
    }
}

/// Where the camera looks, as far as two pictures tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Home,
    Elsewhere,
    /// One of them shows too little, or they are too different.
    Untold,
}

pub fn place(reference: &Edges, picture: &Edges, ground: &Ground) -> Place {
    if !reference.tells() || !picture.tells() {
        return Place::Untold;
    }
    match fit(reference, picture, ground) {
        None => Place::Untold,
        Some(fit) if fit.elsewhere >= FITS && fit.elsewhere - fit.home >= CLEARLY => Place::Elsewhere,
        Some(fit) if fit.home < LOST => Place::Elsewhere,
        Some(fit) if fit.home < FITS => Place::Untold,
        Some(_) => Place::Home,
    }
}

/// Lays the picture on the reference in all ways. `None` if the crop leaves too little to compare.
fn fit(reference: &Edges, picture: &Edges, ground: &Ground) -> Option<Fit> {
    let [x1, y1, x2, y2] = ground.crop;
    if CELLS - (x2 - x1) * (y2 - y1) < MIN_GROUND {
        return None;
    }
    let score = |shift, step| shifted(reference, picture, ground, shift, step);
    // Around home, and from there to parts of a cell.
    let (near_x, near_y) = ground.near();
    let (mut best, mut home) = ((-1.0, (0, 0)), -1.0f32);
    for dy in -near_y..=near_y {
        for dx in -near_x..=near_x {
            let score = score((dx, dy), 1);
            if score > best.0 {
                best = (score, (dx, dy));
            }
            if ground.bears((dx as f32, dy as f32)) {
                home = home.max(score);
            }
        }
    }
    let (nearest, (x, y)) = best;
    let dx = x as f32 + top(score((x - 1, y), 1), nearest, score((x + 1, y), 1));
    let dy = y as f32 + top(score((x, y - 1), 1), nearest, score((x, y + 1), 1));
    let mut elsewhere = -1.0f32;
    if ground.bears((dx, dy)) {
        home = nearest
    } else {
        elsewhere = nearest
    }
    if home >= SURE || elsewhere - home >= CLEARLY {
        return Some(Fit { home, elsewhere });
    }
    // Every second shift, and then all around the best one.
    let (most_x, most_y) = MAX_SHIFT;
    let mut best = (-1.0, (0, 0));
    for dy in (-most_y..=most_y).step_by(2) {
        for dx in (-most_x..=most_x).step_by(2) {
            let score = score((dx, dy), COARSE);
            if (dx.abs() > near_x || dy.abs() > near_y) && score > best.0 {
                best = (score, (dx, dy));
            }
        }
    }
    let (_, (x, y)) = best;
    for (dx, dy) in NEIGHBOURS {
        let (dx, dy) = (x + dx, y + dy);
        if dx.abs() > near_x || dy.abs() > near_y {
            elsewhere = elsewhere.max(score((dx, dy), 1));
        }
    }
    for turn in TURNS {
        elsewhere = turned(reference, picture, ground, turn).into_iter().fold(elsewhere, f32::max);
    }
    Some(Fit { home, elsewhere })
}

/// Where the top of a parabola through three points lies, the highest of which is in the middle; from -0.5 to 0.5.
fn top(before: f32, middle: f32, after: f32) -> f32 {
    let bend = 2.0 * middle - before - after;
    if bend > 0.0 { (after - before) / (2.0 * bend) } else { 0.0 }
}

const NEIGHBOURS: [(i32, i32); 9] =
    [(-1, -1), (0, -1), (1, -1), (-1, 0), (0, 0), (1, 0), (-1, 1), (0, 1), (1, 1)];

/// Sums over the cells of two fields.
#[derive(Clone, Copy, Default)]
struct Sums {
    product: i64,
    reference: i64,
    picture: i64,
    count: usize,
}

impl Sums {
    /// From -1 to 1; -1 as well where too little lies on each other. `step`: rows of which one was summed.
    fn score(&self, ground: &Ground, step: usize) -> f32 {
        let length = (self.reference as u64 * self.picture as u64).isqrt();
        let [x1, y1, x2, y2] = ground.crop;
        let all = CELLS - (x2 - x1) * (y2 - y1);
        let little = self.count * step * MIN_OVERLAP < all;
        if little || length == 0 { -1.0 } else { self.product as f32 / length as f32 }
    }

    fn add_run(&mut self, reference: [&[i8]; 2], picture: [&[i8]; 2]) {
        for (of, at) in reference.into_iter().zip(picture) {
            let (mut product, mut r, mut p) = (0i32, 0i32, 0i32);
            for (&of, &at) in of.iter().zip(at) {
                let (of, at) = (i32::from(of), i32::from(at));
                product += of * at;
                r += of * of;
                p += at * at;
            }
            self.product += i64::from(product);
            self.reference += i64::from(r);
            self.picture += i64::from(p);
        }
        self.count += reference[0].len();
    }
}

fn shifted(reference: &Edges, picture: &Edges, ground: &Ground, (dx, dy): (i32, i32), step: usize) -> f32 {
    let span = |size: usize, d: i32| (-d).max(0) as usize..(size as i32 - d.max(0)) as usize;
    let (columns, rows) = (span(COLUMNS, dx), span(ROWS, dy));
    let [x1, y1, x2, y2] = ground.crop;
    let mut sums = Sums::default();
    let mut run = |row: usize, from: usize, to: usize| {
        if from < to {
            let at = row * COLUMNS + from;
            let there = (at as i32 + dy * COLUMNS as i32 + dx) as usize;
            let length = to - from;
            sums.add_run(
                [&reference.x[at..][..length], &reference.y[at..][..length]],
                [&picture.x[there..][..length], &picture.y[there..][..length]],
            );
        }
    };
    for row in rows.step_by(step) {
        if (y1..y2).contains(&row) {
            run(row, columns.start, columns.end.min(x1));
            run(row, columns.start.max(x2), columns.end);
        } else {
            run(row, columns.start, columns.end);
        }
    }
    sums.score(ground, step)
}

/// The same for a picture that is turned, or nearer, around each of the neighbours.
fn turned(
    reference: &Edges,
    picture: &Edges,
    ground: &Ground,
    Turn { cos, sin }: Turn,
) -> [f32; NEIGHBOURS.len()] {
    let (middle_x, middle_y) = (COLUMNS as f32 / 2.0 - 0.5, ROWS as f32 / 2.0 - 0.5);
    // The edges turn with the picture, and their doubled angle by twice as much.
    let squared = cos * cos + sin * sin;
    let cos2 = ((cos * cos - sin * sin) / squared * 128.0) as i32;
    let sin2 = (2.0 * cos * sin / squared * 128.0) as i32;
    let [x1, y1, x2, y2] = ground.crop;
    let mut sums = [Sums::default(); NEIGHBOURS.len()];
    for row in (0..ROWS).step_by(COARSE) {
        let y = row as f32 - middle_y;
        for column in 0..COLUMNS {
            if (y1..y2).contains(&row) && (x1..x2).contains(&column) {
                continue;
            }
            let x = (column as f32 - middle_x) * ground.aspect;
            let to_column = rounded((cos * x - sin * y) / ground.aspect + middle_x);
            let to_row = rounded(sin * x + cos * y + middle_y);
            // One with all its neighbours.
            if !(1..COLUMNS as i32 - 1).contains(&to_column) || !(1..ROWS as i32 - 1).contains(&to_row) {
                continue;
            }
            let (at, there) = (row * COLUMNS + column, to_row * COLUMNS as i32 + to_column);
            let (x, y) = (i32::from(reference.x[at]), i32::from(reference.y[at]));
            let (x, y) = ((x * cos2 - y * sin2) / 128, (x * sin2 + y * cos2) / 128);
            for (sums, (dx, dy)) in sums.iter_mut().zip(NEIGHBOURS) {
                let there = (there + dy * COLUMNS as i32 + dx) as usize;
                let (to_x, to_y) = (i32::from(picture.x[there]), i32::from(picture.y[there]));
                sums.product += i64::from(x * to_x + y * to_y);
                sums.reference += i64::from(x * x + y * y);
                sums.picture += i64::from(to_x * to_x + to_y * to_y);
                sums.count += 1;
            }
        }
    }
    sums.map(|sums| sums.score(ground, COARSE))
}

/// To the nearest whole number, for what is not far below 0.
fn rounded(x: f32) -> i32 {
    const FAR: i32 = 1024;
    (x + FAR as f32 + 0.5) as i32 - FAR
}

#[cfg(test)]
mod tests {
    use super::super::scene::{HEIGHT, Picture, WIDTH, noise, street};
    use super::*;

    fn crop() -> Region {
        Region::new([0.4, 0.3, 0.6, 0.7]).unwrap()
    }

    fn edges(picture: &Picture) -> Edges {
        let mut edges = Edges::default();
        edges.take(&picture.thumbnail);
        edges
    }

    fn found(picture: &Picture, crop: Region) -> Place {
        let reference = edges(&Picture::street(0, crop, (0.0, 0.0), 0.0, 1.0));
        place(&reference, &edges(picture), &Ground::new(crop, WIDTH as f32 / HEIGHT as f32))
    }

    fn moved(by: (f32, f32), degrees: f32, zoom: f32) -> Place {
        found(&Picture::street(0, crop(), by, degrees, zoom), crop())
    }

    /// The street where it is, each pixel changed.
    fn changed(luma: impl Fn(f32, usize, usize) -> f32) -> Place {
        let picture = Picture::new(0, (WIDTH, HEIGHT), crop(), |column, row| {
            let (x, y) = (column as f32 / WIDTH as f32, row as f32 / WIDTH as f32);
            luma(street(x - 0.5, y - HEIGHT as f32 / WIDTH as f32 / 2.0), column, row) as u8
        });
        found(&picture, crop())
    }

    #[test]
    fn shifts_turns_and_zooms_are_seen() {
        assert_eq!(moved((0.0, 0.0), 0.0, 1.0), Place::Home);
        for by in [0.04, 0.1, 0.2, 0.3] {
            for by in [(by, 0.0), (-by, 0.0), (0.0, by), (0.0, -by)] {
                assert_eq!(moved(by, 0.0, 1.0), Place::Elsewhere, "{by:?}");
            }
        }
        for degrees in [3.0, -4.5, 7.0, -10.0, 15.0, 40.0] {
            assert_eq!(moved((0.0, 0.0), degrees, 1.0), Place::Elsewhere, "{degrees} degrees");
        }
        for zoom in [0.8, 0.9, 1.1, 1.25, 1.6] {
            assert_eq!(moved((0.0, 0.0), 0.0, zoom), Place::Elsewhere, "{zoom}");
        }
        assert_eq!(moved((7.3, 4.1), 0.0, 1.0), Place::Elsewhere, "another street");
    }

    #[test]
    fn light_and_noise_and_what_is_in_the_crop_do_not_move_the_camera() {
        assert_eq!(changed(|luma, _, _| luma * 0.75 + 30.0), Place::Home);
        assert_eq!(changed(|luma, x, _| luma * (0.4 + x as f32 / WIDTH as f32)), Place::Home);
        // As in infra-red, where dark may be bright.
        assert_eq!(changed(|luma, _, _| 230.0 - luma), Place::Home);
        assert_eq!(changed(|luma, x, y| luma + f32::from(noise(y * WIDTH + x, 1, 60))), Place::Home);
        let crop = |x: usize, y: usize| (130..190).contains(&x) && (56..124).contains(&y);
        assert_eq!(changed(|luma, x, y| if crop(x, y) { 250.0 } else { luma }), Place::Home);
        // A car across a third of the picture.
        assert_eq!(changed(|luma, x, _| if x < WIDTH / 3 { 90.0 } else { luma }), Place::Home);
    }

    #[test]
    fn what_shows_nothing_does_not_tell() {
        assert_eq!(changed(|_, x, y| f32::from(noise(y * WIDTH + x, 1, 60))), Place::Untold);
        assert_eq!(changed(|luma, _, _| 100.0 + luma / 60.0), Place::Untold);
        let all = Region::new([0.0, 0.0, 1.0, 0.9]).unwrap();
        assert_eq!(found(&Picture::street(0, all, (0.2, 0.0), 0.0, 1.0), all), Place::Untold);
    }

    #[test]
    fn a_large_crop_bears_a_larger_shift() {
        let wide = Region::new([0.1, 0.1, 0.9, 0.5]).unwrap();
        assert_eq!(found(&Picture::street(0, wide, (0.04, 0.0), 0.0, 1.0), wide), Place::Home);
        assert_eq!(found(&Picture::street(0, wide, (0.15, 0.0), 0.0, 1.0), wide), Place::Elsewhere);
    }
}
