//! A scene for tests, and how a camera sees it.

use super::super::crop::{CropBuffer, Region};
use super::super::frame::{Chroma, Colour, Frame, Plane};
use super::super::thumbnail::Thumbnail;
use embassy_time::Instant;

pub const WIDTH: usize = 320;
pub const HEIGHT: usize = 180;

/// Luma of a scene of many things, at any place in widths of the frame.
pub fn street(x: f32, y: f32) -> f32 {
    let tile = |side: f32, seed: u32| {
        let (column, row) = ((x / side + 500.0) as u32, (y / side + 500.0) as u32);
        let mut n = column.wrapping_mul(0x9E37_79B9) ^ row.wrapping_mul(0x85EB_CA6B) ^ seed;
        n = (n ^ (n >> 15)).wrapping_mul(0x2C1B_3C6D);
        ((n ^ (n >> 13)) & 63) as f32
    };
    40.0 + tile(0.13, 1) + tile(0.057, 2) + tile(0.031, 3) / 2.0
}

/// Noise of `0..=most`, another one for each pixel and seed.
pub fn noise(pixel: usize, seed: u32, most: u32) -> u8 {
    let mut n = (pixel as u32).wrapping_mul(0x9E37_79B9) ^ seed.wrapping_mul(0x85EB_CA6B);
    n = (n ^ (n >> 15)).wrapping_mul(0x2C1B_3C6D);
    n = (n ^ (n >> 12)).wrapping_mul(0x297A_2D39);
    ((n >> 8) % (most + 1)) as u8
}

/// What a camera sends: a crop and the frame's thumbnail.
pub struct Picture {
    pub crop: Box<CropBuffer>,
    pub thumbnail: Box<Thumbnail>,
}

impl Picture {
    /// A frame of this luma, by column and row, without colour. It arrives `ms` after some start.
    pub fn new(
        ms: u64,
        (width, height): (usize, usize),
        crop: Region,
        luma: impl Fn(usize, usize) -> u8,
    ) -> Picture {
        let y: Vec<u8> = (0..width * height).map(|i| luma(i % width, i / width)).collect();
        let c = vec![128; width.div_ceil(2) * height.div_ceil(2)];
        let plane = Plane { bytes: &c, stride: width.div_ceil(2) };
        let frame = Frame {
            width,
            height,
            luma: Plane { bytes: &y, stride: width },
            chroma: Chroma::Planar { u: plane, v: plane },
            colour: Colour::JPEG,
            arrival: Instant::from_millis(1_000_000 + ms),
        };
        let mut picture = Picture { crop: Box::default(), thumbnail: Box::default() };
        picture.crop.copy_from(&frame, crop.pixels(width, height).unwrap());
        picture.thumbnail.take(&frame);
        picture
    }

    /// The street through a camera that was moved: by parts of the frame's width, turned in degrees, nearer.
    pub fn street(ms: u64, crop: Region, moved: (f32, f32), degrees: f32, zoom: f32) -> Picture {
        let (sin, cos) = degrees.to_radians().sin_cos();
        Picture::new(ms, (WIDTH, HEIGHT), crop, |column, row| {
            let x = (column as f32 / WIDTH as f32 - 0.5) / zoom;
            let y = (row as f32 - HEIGHT as f32 / 2.0) / WIDTH as f32 / zoom;
            street(x * cos - y * sin + moved.0, x * sin + y * cos + moved.1) as u8
        })
    }
}
