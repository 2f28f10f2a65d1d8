//! Generated pictures of a gate, open or closed, as a camera would see it from day to day.
#![allow(dead_code)]

use image::{ImageFormat, Rgb, RgbImage};
use std::io::Cursor;
use std::path::Path;

const WIDTH: u32 = 96;
const HEIGHT: u32 = 72;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    Open,
    Closed,
}

/// The gate on day `day`: brightness, place and noise differ from day to day.
pub fn gate(gate: Gate, day: u32) -> RgbImage {
    let light = 90 + (day * 37 % 80) as i32;
    let shift = day * 5 % 7;
    let mut noise = day.wrapping_mul(2_654_435_761) | 1;
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let behind = [light + y as i32, light + 20, light + 60 - y as i32];
        let bar = (x + shift) % 12 < 5 && y > 12;
        let colour = if gate == Gate::Closed && bar { [40, 35, 30] } else { behind };
        Rgb(colour.map(|c| (c + (noise >> 28) as i32).clamp(0, 255) as u8))
    })
}

pub fn encode(picture: &RgbImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).expect("an encoded picture");
    bytes.into_inner()
}

/// Writes `directory/{open,closed}/NN.{png,jpg}`, `count` of each, PNG and JPEG in turn.
pub fn dataset(directory: &Path, count: u32) {
    for (name, state) in [("open", Gate::Open), ("closed", Gate::Closed)] {
        let folder = directory.join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        for day in 0..count {
            let (extension, format) =
                if day % 2 == 0 { ("png", ImageFormat::Png) } else { ("jpg", ImageFormat::Jpeg) };
            // No two pictures are the same, whatever their state.
            let picture = gate(state, 2 * day + u32::from(state == Gate::Open));
            let path = folder.join(format!("{day:02}.{extension}"));
            std::fs::write(path, encode(&picture, format)).expect("a written picture");
        }
    }
}
