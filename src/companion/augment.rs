//! Augmentation: what the same scene looks like when the camera shakes, the light changes or the night mode comes on.
//!
//! A look is one picture changed in one way, by an amount drawn from a generator that the picture's content
//! seeds: the same picture always has the same looks. Sensor noise, worse JPEGs and patches in the way were tried too
//! and made models worse on later days (docs/training.md).

use fastrand::Rng;
use image::imageops::thumbnail;
use image::{Rgb, RgbImage};

/// Longest side of a changed picture: twice what the engine sees.
const MAX_SIDE: u32 = 256;

/// One way in which a picture may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    /// The camera moved or zoomed a little.
    Shake,
    /// Brightness, contrast and gamma.
    Light,
    /// No colours, and another tone curve: a camera's night mode.
    Infrared,
}

/// In the order in which they are made: the first few are a fair sample of all.
const LOOKS: [Change; MAX_LOOKS] = [
    Change::Shake,
    Change::Light,
    Change::Infrared,
    Change::Shake,
    Change::Shake,
    Change::Light,
    Change::Infrared,
    Change::Shake,
];
/// Most looks a picture has.
pub const MAX_LOOKS: usize = 8;

/// The first `count` looks of a picture; `seed` is of its content.
pub fn looks(picture: &RgbImage, count: usize, seed: u64) -> impl Iterator<Item = RgbImage> {
    let small = shrink(picture);
    let mut rng = Rng::with_seed(seed);
    LOOKS.into_iter().take(count).map(move |change| change.apply(&small, &mut rng))
}

impl Change {
    fn apply(self, picture: &RgbImage, rng: &mut Rng) -> RgbImage {
        match self {
            Change::Shake => shake(picture, rng),
            Change::Light => {
                let mut picture = picture.clone();
                tone(&mut picture, between(rng, 0.6, 1.6), between(rng, 0.7, 1.3), between(rng, -0.1, 0.1));
                picture
            }
            Change::Infrared => {
                let mut picture = picture.clone();
                let mix = [between(rng, 0.2, 0.6), between(rng, 0.2, 0.6), between(rng, 0.05, 0.3)];
                grey(&mut picture, mix);
                tone(&mut picture, between(rng, 0.6, 1.4), between(rng, 0.8, 1.2), between(rng, -0.1, 0.1));
                picture
            }
        }
    }
}

/// At most [`MAX_SIDE`] pixels a side.
fn shrink(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let longest = width.max(height);
    if longest <= MAX_SIDE {
        return picture.clone();
    }
    let scaled = |side: u32| (side * MAX_SIDE / longest).max(2);
    thumbnail(picture, scaled(width), scaled(height))
}

/// Moves by up to 4 % of the picture and zooms by up to 4 %; what comes in at the edge repeats it.
fn shake(picture: &RgbImage, rng: &mut Rng) -> RgbImage {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let zoom = between(rng, 0.96, 1.04);
    let (dx, dy) = (between(rng, -0.04, 0.04) * width, between(rng, -0.04, 0.04) * height);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let x = (x as f32 - width / 2.0) * zoom + width / 2.0 + dx;
        let y = (y as f32 - height / 2.0) * zoom + height / 2.0 + dy;
        bilinear(picture, x.clamp(0.0, width - 1.0), y.clamp(0.0, height - 1.0))
    })
}

fn bilinear(picture: &RgbImage, x: f32, y: f32) -> Rgb<u8> {
    let (left, top) = (x as u32, y as u32);
    let (right, bottom) = ((left + 1).min(picture.width() - 1), (top + 1).min(picture.height() - 1));
    let (fx, fy) = (x.fract(), y.fract());
    let at = |x, y| picture.get_pixel(x, y).0.map(f32::from);
    let (a, b, c, d) = (at(left, top), at(right, top), at(left, bottom), at(right, bottom));
    Rgb(std::array::from_fn(|i| {
        let upper = a[i] + (b[i] - a[i]) * fx;
        let lower = c[i] + (d[i] - c[i]) * fx;
        (upper + (lower - upper) * fy + 0.5) as u8
    }))
}

/// `((x ^ gamma) - 0.5) * contrast + 0.5 + brightness`, for values of 0 to 1.
fn tone(picture: &mut RgbImage, gamma: f32, contrast: f32, brightness: f32) {
    let curve: [u8; 256] = std::array::from_fn(|value| {
        let x = (value as f32 / 255.0).powf(gamma);
        (((x - 0.5) * contrast + 0.5 + brightness) * 255.0 + 0.5) as u8
    });
    picture.iter_mut().for_each(|value| *value = curve[usize::from(*value)]);
}

fn grey(picture: &mut RgbImage, mix: [f32; 3]) {
    let total: f32 = mix.iter().sum();
    for pixel in picture.pixels_mut() {
        let sum: f32 = pixel.0.iter().zip(mix).map(|(&x, weight)| f32::from(x) * weight).sum();
        *pixel = Rgb([(sum / total + 0.5) as u8; 3]);
    }
}

fn between(rng: &mut Rng, low: f32, high: f32) -> f32 {
    low + (high - low) * rng.f32()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> RgbImage {
        RgbImage::from_fn(40, 30, |x, y| Rgb([(x * 6) as u8, (y * 8) as u8, 90]))
    }

    #[test]
    fn the_same_content_has_the_same_looks() {
        let all = |seed| looks(&picture(), MAX_LOOKS, seed).collect::<Vec<_>>();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        // Fewer of them are the first of them.
        assert_eq!(looks(&picture(), 3, 1).collect::<Vec<_>>(), all(1)[..3]);
    }

    #[test]
    fn every_look_differs_and_infrared_has_no_colours() {
        for (look, change) in looks(&picture(), MAX_LOOKS, 7).zip(LOOKS) {
            assert_eq!(look.dimensions(), (40, 30));
            assert_ne!(look, picture(), "{change:?}");
            let grey = look.pixels().all(|pixel| pixel.0[0] == pixel.0[1] && pixel.0[1] == pixel.0[2]);
            assert_eq!(grey, change == Change::Infrared);
        }
    }

    #[test]
    fn sizes_stay_small_and_odd_ones_do_not_panic() {
        for (width, height) in [(2, 2), (3000, 2), (2, 3000), (1000, 700)] {
            for look in looks(&RgbImage::new(width, height), MAX_LOOKS, 1) {
                assert!(look.width().max(look.height()) <= MAX_SIDE && look.width().min(look.height()) >= 2);
            }
        }
    }
}
