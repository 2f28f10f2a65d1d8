//! A look: what a frame looks like, in a few hundred bytes, so that alike frames are told from others without the engine.

use crate::watch::crop::PixelRect;
use crate::watch::frame::{Chroma, Frame, Plane, Range};
use serde::{Deserialize, Serialize};

const COLUMNS: usize = 24;
const ROWS: usize = 18;
const LUMA_CELLS: usize = COLUMNS * ROWS;
/// Chroma is coarser: it says which of two alike things it is, not where.
const CHROMA_COLUMNS: usize = 8;
const CHROMA_ROWS: usize = 6;
const CHROMA_CELLS: usize = CHROMA_COLUMNS * CHROMA_ROWS;
pub const CELLS: usize = LUMA_CELLS + 2 * CHROMA_CELLS;
/// Cells that tell two looks apart: those that differ most. A door is a small part of a frame.
const TELLING: usize = CELLS / 16;

/// Mean brightness, of 255, below which it is dark.
const DARK: f32 = 45.0;
/// Mean distance of chroma from grey below which there are no colours. The greyest day of a real roof had 2.6, its only
/// infrared picture 1.8.
const GREY: f32 = 2.2;

/// Luma about its mean, so that a cloud is not another scene; then U and V.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look(pub Box<[u8; CELLS]>);

/// What a frame was lit by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    Day,
    /// Without colours: the camera's own lamps.
    Infrared,
    Dark,
}

impl Look {
    /// How unlike another look it is: the mean difference of the cells that differ most, 0 to 255.
    pub fn distance(&self, other: &Look) -> u32 {
        let mut counts = [0u32; 256];
        self.0.iter().zip(other.0.iter()).for_each(|(a, b)| counts[usize::from(a.abs_diff(*b))] += 1);
        let (mut sum, mut left) = (0, TELLING as u32);
        for (difference, count) in counts.iter().enumerate().rev() {
            let taken = left.min(*count);
            sum += taken * difference as u32;
            left -= taken;
        }
        sum / TELLING as u32
    }
}

/// Look and light of a part of a frame.
pub fn of(frame: &Frame, rect: PixelRect) -> (Look, Light) {
    let mut look = Box::new([0u8; CELLS]);
    let (luma, chroma) = look.split_at_mut(LUMA_CELLS);
    let (u, v) = chroma.split_at_mut(CHROMA_CELLS);
    cells::<1>(frame.luma, rect, COLUMNS, [luma]);
    let half = PixelRect { x: rect.x / 2, y: rect.y / 2, width: rect.width / 2, height: rect.height / 2 };
    match frame.chroma {
        Chroma::Planar { u: from_u, v: from_v } => {
            cells::<1>(from_u, half, CHROMA_COLUMNS, [u]);
            cells::<1>(from_v, half, CHROMA_COLUMNS, [v]);
        }
        Chroma::Interleaved(uv) => cells::<2>(uv, half, CHROMA_COLUMNS, [u, v]),
    }
    let brightness = mean(luma);
    let distances = u.iter().chain(v.iter()).map(|&sample| f32::from(sample.abs_diff(128)));
    let colour = distances.sum::<f32>() / (2 * CHROMA_CELLS) as f32;
    let light = light(frame.colour.range, brightness, colour);
    let shift = 128 - brightness as i32;
    luma.iter_mut().for_each(|cell| *cell = (i32::from(*cell) + shift).clamp(0, 255) as u8);
    (Look(look), light)
}

fn light(range: Range, brightness: f32, colour: f32) -> Light {
    let brightness = match range {
        Range::Limited => (brightness - 16.0) * 255.0 / 219.0,
        Range::Full => brightness,
    };
    match () {
        () if brightness < DARK => Light::Dark,
        () if colour < GREY => Light::Infrared,
        () => Light::Day,
    }
}

fn mean(cells: &[u8]) -> f32 {
    cells.iter().map(|&cell| f32::from(cell)).sum::<f32>() / cells.len() as f32
}

/// Means of the plane's samples in a grid. Each second row is enough.
fn cells<const STEP: usize>(plane: Plane, rect: PixelRect, columns: usize, to: [&mut [u8]; STEP]) {
    let rows = to[0].len() / columns;
    for (component, cells) in to.into_iter().enumerate() {
        for (i, cell) in cells.iter_mut().enumerate() {
            let (row, column) = (i / columns, i % columns);
            let span = |n: usize, of: usize, size: usize| {
                let start = (n * size / of).min(size - 1);
                (start, ((n + 1) * size / of).max(start + 1))
            };
            let (left, right) = span(column, columns, rect.width);
            let (top, bottom) = span(row, rows, rect.height);
            let (mut sum, mut count) = (0u32, 0u32);
            for y in (top..bottom).step_by(2) {
                let samples = plane.row(rect.y + y, (rect.x + left) * STEP, (right - left) * STEP);
                sum += samples
                    .iter()
                    .skip(component)
                    .step_by(STEP)
                    .map(|&sample| u32::from(sample))
                    .sum::<u32>();
                count += (right - left) as u32;
            }
            *cell = (sum / count.max(1)) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::crop::Region;
    use crate::watch::frame::Colour;
    use embassy_time::Instant;

    const WIDTH: usize = 320;
    const HEIGHT: usize = 240;

    fn look(luma: impl Fn(usize, usize) -> u8, chroma: u8) -> (Look, Light) {
        let luma: Vec<u8> = (0..WIDTH * HEIGHT).map(|i| luma(i % WIDTH, i / WIDTH)).collect();
        let chroma = vec![chroma; WIDTH * HEIGHT / 2];
        let frame = Frame {
            width: WIDTH,
            height: HEIGHT,
            luma: Plane { bytes: &luma, stride: WIDTH },
            chroma: Chroma::Interleaved(Plane { bytes: &chroma, stride: WIDTH }),
            colour: Colour::JPEG,
            arrival: Instant::MIN,
        };
        of(&frame, Region::FULL.pixels(WIDTH, HEIGHT).unwrap())
    }

    #[test]
    fn a_door_is_another_look_and_a_cloud_is_not() {
        let wall = |x: usize, _: usize| 100 + (x / 8) as u8;
        let door = |x: usize, y: usize| if (100..150).contains(&x) && y > 160 { 30 } else { wall(x, y) };
        let cloudy = |x: usize, y: usize| wall(x, y) - 30;
        let [wall, door, cloudy] = [look(wall, 140).0, look(door, 140).0, look(cloudy, 140).0];
        assert_eq!(wall.distance(&wall), 0);
        assert!(wall.distance(&cloudy) < 3, "{}", wall.distance(&cloudy));
        assert!(wall.distance(&door) > 30, "{}", wall.distance(&door));
    }

    #[test]
    fn lights_are_told_apart() {
        let flat = |luma: u8, chroma| look(move |_, _| luma, chroma).1;
        assert_eq!(flat(120, 140), Light::Day);
        assert_eq!(flat(120, 128), Light::Infrared);
        assert_eq!(flat(20, 128), Light::Dark);
    }

    #[test]
    fn the_smallest_picture_has_a_look() {
        let (bytes, chroma) = ([200; 4], [128; 2]);
        let frame = Frame {
            width: 2,
            height: 2,
            luma: Plane { bytes: &bytes, stride: 2 },
            chroma: Chroma::Interleaved(Plane { bytes: &chroma, stride: 2 }),
            colour: Colour::JPEG,
            arrival: Instant::MIN,
        };
        assert_eq!(of(&frame, Region::FULL.pixels(2, 2).unwrap()).1, Light::Infrared);
    }
}
