//! The light a picture was taken in.

use image::RgbImage;
use serde::{Deserialize, Serialize};

/// Mean brightness below which it is night, of 255.
const DARK: f32 = 45.0;
/// Mean difference of the channels below which a picture has no colours, of 255.
const GREY: f32 = 4.0;

/// What a picture's light is judged by.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tones {
    /// Mean brightness, 0 to 255.
    pub luma: f32,
    /// Mean difference of the largest and the smallest channel, 0 to 255.
    pub colour: f32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Light {
    Day,
    /// Dark, or without colours: by infrared.
    Night,
}

impl Light {
    pub const ALL: [Light; 2] = [Light::Day, Light::Night];

    pub const fn name(self) -> &'static str {
        match self {
            Light::Day => "day",
            Light::Night => "night",
        }
    }
}

impl Tones {
    pub fn of(picture: &RgbImage) -> Tones {
        let (mut luma, mut colour) = (0u64, 0u64);
        for pixel in picture.pixels() {
            let [r, g, b] = pixel.0;
            luma += u64::from(r) + 2 * u64::from(g) + u64::from(b);
            colour += u64::from(r.max(g).max(b) - r.min(g).min(b));
        }
        let pixels = (u64::from(picture.width()) * u64::from(picture.height())).max(1) as f32;
        Tones { luma: luma as f32 / 4.0 / pixels, colour: colour as f32 / pixels }
    }
}

/// The light of each picture of one camera. Where none has colours the camera has none, and says nothing by that.
pub fn lights(tones: &[Tones]) -> Vec<Light> {
    let colours = tones.iter().any(|tones| tones.colour >= GREY);
    let night = |tones: &Tones| tones.luma < DARK || colours && tones.colour < GREY;
    tones.iter().map(|tones| if night(tones) { Light::Night } else { Light::Day }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::Rgb;

    fn flat(pixel: [u8; 3]) -> Tones {
        Tones::of(&RgbImage::from_pixel(8, 8, Rgb(pixel)))
    }

    #[test]
    fn dark_and_grey_are_night() {
        let tones = [flat([120, 90, 60]), flat([100, 100, 100]), flat([20, 30, 10])];
        assert_eq!((tones[0].luma, tones[0].colour), (90.0, 60.0));
        assert_eq!(lights(&tones), [Light::Day, Light::Night, Light::Night]);
        // A camera without colours.
        assert_eq!(lights(&[flat([100; 3]), flat([20; 3])]), [Light::Day, Light::Night]);
    }
}
