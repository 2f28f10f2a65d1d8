//! A yard with something in it that a camera can be turned away from.

use crate::pictures::{Gate, gate};
use image::{Rgb, RgbImage, imageops};

const HEIGHT: u32 = 180;

/// A wall of boxes with a gate in it, so many pixels of it, seen by a camera that was turned to the side by part of the
/// frame.
pub fn yard(width: u32, state: Gate, day: u32, aside: f32) -> RgbImage {
    let shift = (aside * width as f32) as u32;
    let boxes =
        |x: u32, y: u32, side: u32| ((x / side) * 73 + (y / side) * 151 + (x / side) * (y / side) * 29) % 60;
    let mut yard = RgbImage::from_fn(width, HEIGHT, |x, y| {
        let x = x + shift;
        Rgb([60 + (boxes(x, y, 41) + boxes(x, y, 17) + boxes(x, y, 11) / 2) as u8; 3])
    });
    let light = day % 2 * 20;
    yard.pixels_mut().for_each(|pixel| pixel.0 = pixel.0.map(|code| code + light as u8));
    imageops::overlay(&mut yard, &gate(state, day), 110 - i64::from(shift), 54);
    yard
}
