//! Pictures: files to and from the crop buffer, so that a picture takes the device's own way
//! into the engine.

use crate::watch::crop::{CropBuffer, Region};
use crate::watch::frame::{Chroma, Colour, Frame, Plane};
use crate::watch::input::{INPUT_CHANNELS, INPUT_SIDE, Input};
use crate::watch::quantise::{INPUT_SCALE, INPUT_ZERO_POINT, MEAN, STD};
use crate::watch::thumbnail::Thumbnail;
use embassy_time::Instant;
use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageReader, RgbImage};
use std::fs;
use std::io::Cursor;
use std::path::Path;

/// JPEG quality of cut crops: nothing the engine sees is lost at it.
const QUALITY: u8 = 95;
/// Longest side of a picture that is read.
const MAX_SIDE: u32 = 16_384;

/// The engine's input from a picture's file bytes. `Err` says why it cannot be used.
pub fn read(bytes: &[u8]) -> Result<Input, String> {
    input(&decode(bytes)?)
}

/// The engine's input from a picture.
pub fn input(rgb: &RgbImage) -> Result<Input, String> {
    let crop = cut(rgb, Region::FULL)?;
    let mut input = Input::default();
    crop.sample(&mut input);
    Ok(input)
}

/// The engine's input as a picture: exactly what a model sees.
pub fn of_input(input: &Input) -> RgbImage {
    let side = INPUT_SIDE as u32;
    let channel = |code: u8, channel: usize| {
        let steps = f32::from(code) - f32::from(INPUT_ZERO_POINT);
        ((steps * INPUT_SCALE * STD[channel] + MEAN[channel]) * 255.0).round().clamp(0.0, 255.0) as u8
    };
    RgbImage::from_fn(side, side, |x, y| {
        let at = (y as usize * INPUT_SIDE + x as usize) * INPUT_CHANNELS;
        image::Rgb([0, 1, 2].map(|i| channel(input.codes[at + i], i)))
    })
}

/// Cuts a crop out of a picture. `Err` says why it cannot be.
pub fn cut(rgb: &RgbImage, region: Region) -> Result<Box<CropBuffer>, String> {
    let mut crop = Box::<CropBuffer>::default();
    fill(&mut crop, rgb, region).ok_or("smaller than 2 x 2 pixels")?;
    Ok(crop)
}

/// The pixels of a picture's file bytes.
pub fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let mut reader = ImageReader::new(Cursor::new(bytes));
    reader = reader.with_guessed_format().map_err(|error| error.to_string())?;
    if reader.format().is_none() {
        return Err("not a JPEG, PNG or WebP picture".into());
    }
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(MAX_SIDE);
    limits.max_image_height = Some(MAX_SIDE);
    reader.limits(limits);
    // The decoder fills what is missing with grey; such a picture would teach nonsense.
    if reader.format() == Some(image::ImageFormat::Jpeg) && !has_end_of_image(bytes) {
        return Err("truncated: the JPEG has no end".into());
    }
    Ok(reader.decode().map_err(|error| error.to_string())?.into_rgb8())
}

/// Whether a JPEG's end marker is there. Some cameras write a few bytes after it.
fn has_end_of_image(bytes: &[u8]) -> bool {
    bytes.windows(2).rev().take(4096).any(|pair| pair == [0xFF, 0xD9])
}

/// The thumbnail of a picture that is a whole frame.
pub fn thumbnail(rgb: &RgbImage) -> Thumbnail {
    let mut thumbnail = Thumbnail::default();
    as_frame(rgb, |frame| thumbnail.take(frame));
    thumbnail
}

/// The device's copy into the buffer. `None` if the picture is smaller than 2 x 2.
fn fill(crop: &mut CropBuffer, rgb: &RgbImage, region: Region) -> Option<()> {
    let rect = region.pixels(rgb.width() as usize, rgb.height() as usize)?;
    as_frame(rgb, |frame| crop.copy_from(frame, rect));
    Some(())
}

/// RGB to 4:2:0 in JPEG's colours, as a camera's frame.
fn as_frame(rgb: &RgbImage, then: impl FnOnce(&Frame)) {
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let at = |x: usize, y: usize| rgb.get_pixel(x as u32, y as u32).0.map(f32::from);
    let mut luma = Vec::with_capacity(width * height);
    for y in 0..height {
        luma.extend((0..width).map(|x| {
            let [r, g, b] = at(x, y);
            (0.299 * r + 0.587 * g + 0.114 * b + 0.5) as u8
        }));
    }
    let (mut u, mut v) = (Vec::new(), Vec::new());
    for y in 0..half_height {
        for x in 0..half_width {
            let mut mean = [0.0; 3];
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let pixel = at((2 * x + dx).min(width - 1), (2 * y + dy).min(height - 1));
                mean.iter_mut().zip(pixel).for_each(|(mean, p)| *mean += p / 4.0);
            }
            let [r, g, b] = mean;
            u.push((128.5 - 0.168_736 * r - 0.331_264 * g + 0.5 * b) as u8);
            v.push((128.5 + 0.5 * r - 0.418_688 * g - 0.081_312 * b) as u8);
        }
    }
    let plane = |bytes, stride| Plane { bytes, stride };
    let chroma = Chroma::Planar { u: plane(&u, half_width), v: plane(&v, half_width) };
    let luma = plane(&luma, width);
    then(&Frame { width, height, luma, chroma, colour: Colour::JPEG, arrival: Instant::MIN });
}

/// Writes the crop as a JPEG.
pub fn write(crop: &CropBuffer, path: &Path) -> std::io::Result<()> {
    fs::write(path, jpeg(crop)?)
}

/// The crop as a JPEG file.
pub fn jpeg(crop: &CropBuffer) -> std::io::Result<Vec<u8>> {
    let (width, height) = (crop.width() as u32, crop.height() as u32);
    let mut rgb = RgbImage::new(width, height);
    crop.for_each_rgb(|x, y, pixel| rgb.put_pixel(x as u32, y as u32, image::Rgb(pixel)));
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.write_image(&rgb, width, height, ExtendedColorType::Rgb8).map_err(std::io::Error::other)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::quantise::code;

    #[test]
    fn a_picture_keeps_its_colours_on_the_devices_way() {
        let mut rgb = RgbImage::new(64, 48);
        for (x, _, pixel) in rgb.enumerate_pixels_mut() {
            *pixel = image::Rgb(if x < 32 { [200, 30, 40] } else { [20, 90, 220] });
        }
        let mut png = Cursor::new(Vec::new());
        rgb.write_to(&mut png, image::ImageFormat::Png).unwrap();
        let input = read(png.get_ref()).unwrap();
        let pixel = |x: usize, y: usize| &input.codes[(y * 128 + x) * 4..][..3];
        let near = |codes: &[u8], rgb: [u8; 3]| {
            let mut channels = codes.iter().zip(rgb).enumerate();
            channels.all(|(channel, (have, value))| have.abs_diff(code(channel, value)) <= 3)
        };
        assert!(near(pixel(10, 60), [200, 30, 40]), "{:?}", pixel(10, 60));
        assert!(near(pixel(120, 60), [20, 90, 220]), "{:?}", pixel(120, 60));
    }

    #[test]
    fn what_is_not_a_picture_says_so() {
        let why = |bytes: &[u8]| read(bytes).err().unwrap_or_default();
        assert!(why(b"").contains("not a JPEG"));
        assert!(why(b"hello, world").contains("not a JPEG"));
        let mut png = Cursor::new(Vec::new());
        RgbImage::new(1, 1).write_to(&mut png, image::ImageFormat::Png).unwrap();
        assert!(why(png.get_ref()).contains("smaller"));
        assert!(read(&png.get_ref()[..40]).is_err());
    }
}
