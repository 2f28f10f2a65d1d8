//! A drawn house with a garage door, as a camera would see it at any hour: for pages that are shown to people.
#![allow(dead_code)]

use image::{Rgb, RgbImage};
use std::path::{Path, PathBuf};

pub const WIDTH: u32 = 960;
pub const HEIGHT: u32 = 540;
/// Where the door is, with a little room, in fractions: x1, y1, x2, y2.
pub const CROP: [f64; 4] = [0.33, 0.35, 0.67, 0.78];

/// What is in the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    pub open: bool,
    /// 0..24.
    pub hour: f32,
    /// Noise, clouds and what stands about differ by it.
    pub seed: u32,
}

type Colour = [f32; 3];

pub fn draw(sight: Sight) -> RgbImage {
    let sun = Sun::at(sight.hour, sight.seed);
    let mut noise = sight.seed.wrapping_mul(2_654_435_761) | 1;
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let grain = ((noise >> 24) as f32 / 255.0 - 0.5) * sun.grain;
        let colour = sun.light(scene(sight, x as f32, y as f32, &sun), x as f32, y as f32);
        Rgb(colour.map(|c| (c + grain).clamp(0.0, 255.0) as u8))
    })
}

/// Daylight of an hour and a day.
struct Sun {
    /// 0 in the night, 1 at noon.
    height: f32,
    clouds: f32,
    /// Where the shadow of the eaves and of the tree falls.
    slant: f32,
    grain: f32,
}

impl Sun {
    fn at(hour: f32, seed: u32) -> Sun {
        let height = ((hour - 6.0) / 12.0 * std::f32::consts::PI).sin().max(0.0);
        let clouds = (seed.wrapping_mul(40_503) % 100) as f32 / 100.0;
        Sun { height, clouds, slant: (hour - 12.0) / 6.0, grain: if height < 0.08 { 22.0 } else { 8.0 } }
    }

    fn night(&self) -> bool {
        self.height < 0.08
    }

    /// By day a colour in the sun; by night what an infrared lamp shows, brightest in the middle.
    fn light(&self, colour: Colour, x: f32, y: f32) -> Colour {
        if self.night() {
            let grey = colour[0] * 0.3 + colour[1] * 0.5 + colour[2] * 0.2;
            let (dx, dy) = ((x - 480.0) / 560.0, (y - 320.0) / 380.0);
            return [grey * (1.0 - dx * dx - dy * dy).max(0.08) * 0.95 + 6.0; 3];
        }
        let bright = 0.45 + 0.6 * self.height.sqrt() * (1.0 - 0.35 * self.clouds);
        let warm = (1.0 - self.height) * 0.25;
        [colour[0] * bright * (1.0 + warm), colour[1] * bright, colour[2] * bright * (1.0 - warm)]
    }
}

fn scene(sight: Sight, x: f32, y: f32, sun: &Sun) -> Colour {
    let inside = |x1: f32, y1: f32, x2: f32, y2: f32| x >= x1 && x < x2 && y >= y1 && y < y2;
    // A bin stands beside the door on some days.
    if sight.seed.is_multiple_of(3) && inside(668.0, 322.0, 722.0, 414.0) {
        let lid = y < 334.0;
        return if lid { [44.0, 78.0, 52.0] } else { [58.0, 104.0, 68.0] };
    }
    if inside(340.0, 210.0, 620.0, 404.0) {
        return if sight.open { garage(x - 340.0, y - 210.0) } else { door(x - 340.0, y - 210.0) };
    }
    if inside(330.0, 200.0, 630.0, 404.0) {
        return [226.0, 222.0, 214.0];
    }
    // A lamp beside the door.
    if inside(300.0, 236.0, 314.0, 262.0) {
        return if sun.night() { [255.0, 250.0, 230.0] } else { [70.0, 66.0, 62.0] };
    }
    let tree = (x - 120.0).powi(2) / 8200.0 + (y - 210.0).powi(2) / 15_000.0
        < 1.0 + 0.12 * (x / 9.0).sin() * (y / 7.0).cos();
    if tree {
        return [58.0 + 18.0 * (x / 5.0).sin(), 96.0 + 22.0 * (y / 6.0).cos(), 50.0];
    }
    if inside(112.0, 320.0, 130.0, 412.0) {
        return [92.0, 70.0, 52.0];
    }
    if inside(190.0, 140.0, 800.0, 404.0) {
        return wall(x, y, sun);
    }
    // The roof, a trapezium.
    let eave = (y - 60.0) * 0.7;
    if (60.0..140.0).contains(&y) && x > 230.0 - eave && x < 760.0 + eave {
        let tile = if (y / 10.0) as i32 % 2 == 0 { 6.0 } else { -6.0 };
        return [128.0 + tile, 74.0 + tile, 62.0 + tile];
    }
    if y < 404.0 {
        let haze = y / 404.0;
        let cloud = sun.clouds * (40.0 + 25.0 * ((x / 120.0).sin() + (y / 40.0 + x / 300.0).cos()));
        return [120.0 + 70.0 * haze + cloud, 160.0 + 45.0 * haze + cloud * 0.6, 215.0 + 15.0 * haze];
    }
    // The drive widens towards the camera.
    let half = 150.0 + (y - 404.0) * 1.25;
    if (x - 480.0).abs() < half {
        let joint = ((y - 404.0) as i32 % 46) < 2 || ((x - 480.0).abs() / half * 3.0).fract() < 0.012;
        let worn = 6.0 * (x / 37.0).sin() * (y / 23.0).cos();
        return if joint { [112.0, 110.0, 106.0] } else { [150.0 + worn, 148.0 + worn, 143.0 + worn] };
    }
    [86.0 + 14.0 * (x / 3.0).sin() * (y / 4.0).cos(), 124.0 + 12.0 * (x / 7.0).cos(), 66.0]
}

fn wall(x: f32, y: f32, sun: &Sun) -> Colour {
    // A window with a frame.
    if (690.0..770.0).contains(&x) && (215.0..290.0).contains(&y) {
        let frame =
            !(695.0..765.0).contains(&x) || !(220.0..285.0).contains(&y) || (728.0..732.0).contains(&x);
        return if frame { [236.0, 234.0, 230.0] } else { [70.0, 84.0, 100.0] };
    }
    let board = if (y as i32) % 16 < 2 { -16.0 } else { 0.0 };
    // The shadow of the eaves moves with the sun.
    let shadow =
        if y < 176.0 + 34.0 * sun.slant.abs() + (x - 480.0) * 0.06 * sun.slant { -46.0 } else { 0.0 };
    let shadow = if sun.night() { 0.0 } else { shadow };
    [206.0 + board + shadow, 192.0 + board + shadow, 166.0 + board + shadow]
}

/// Four rows of four panels.
fn door(x: f32, y: f32) -> Colour {
    let (column, row) = (x % 70.0, y % 48.5);
    let groove = row < 2.5;
    let panel = (8.0..62.0).contains(&column) && (9.0..40.0).contains(&row);
    let edge = panel && (column < 10.0 || row < 11.0);
    let tone = match () {
        () if groove => 150.0,
        () if edge => 196.0,
        () if panel => 224.0,
        () => 238.0,
    };
    [tone, tone - 2.0, tone - 6.0]
}

/// A dark room with the back of a car in it.
fn garage(x: f32, y: f32) -> Colour {
    let car = (60.0..220.0).contains(&x) && (92.0..180.0).contains(&y);
    if car {
        let lamp = (104.0..122.0).contains(&y) && (!(78.0..202.0).contains(&x));
        let plate = (120.0..160.0).contains(&x) && (140.0..154.0).contains(&y);
        let glass = (84.0..196.0).contains(&x) && y < 116.0;
        let tyre = y > 166.0 && !(92.0..=188.0).contains(&x);
        return match () {
            () if lamp => [176.0, 34.0, 30.0],
            () if plate => [206.0, 204.0, 190.0],
            () if glass => [44.0, 52.0, 60.0],
            () if tyre => [18.0, 18.0, 18.0],
            () => [52.0, 82.0, 120.0],
        };
    }
    let deep = 34.0 + 10.0 * (y / 194.0);
    // A shelf on the back wall.
    if (20.0..110.0).contains(&x) && (40.0..46.0).contains(&y) {
        return [82.0, 64.0, 46.0];
    }
    if y > 172.0 { [70.0, 68.0, 66.0] } else { [deep, deep * 0.95, deep * 0.9] }
}

/// Pictures of several days, named by their time, with the door open in the morning and in the evening. Gives which of
/// them show it open.
pub fn album(folder: &Path, days: u32) -> Vec<(PathBuf, bool)> {
    std::fs::create_dir_all(folder).expect("a folder");
    let mut all = Vec::new();
    for day in 0..days {
        for (i, hour) in [1, 5, 7, 8, 10, 12, 14, 16, 17, 19, 21, 23].into_iter().enumerate() {
            let open =
                [7, 8, 12, 17, 21].contains(&hour) && (day + i as u32) % 4 != 3 || hour == 1 && day % 2 == 0;
            let minute = (day * 7 + i as u32 * 11) % 60;
            let sight = Sight { open, hour: hour as f32 + minute as f32 / 60.0, seed: day * 24 + hour };
            let path = folder.join(format!("2026-03-{:02}_{hour:02}-{minute:02}-00.jpg", day + 2));
            draw(sight).save(&path).expect("a written picture");
            all.push((path, open));
        }
    }
    all
}
