//! Pictures that show nothing: black ones, and those of a lens that is covered, blinded or out of focus.

use super::super::crop::CropBuffer;
use super::super::decision::Unknown;
use super::super::frame::Range;
use super::super::thumbnail::Thumbnail;
use super::edges::Edges;

/// Where nearly nothing is brighter than this, a picture is black. Codes of the full range.
const BLACK: u8 = 24;
/// Where nearly everything is within this many codes, a crop shows nothing.
const EVEN: u8 = 16;
/// Contrast of a frame that shows nothing: a third of what the emptiest real scene that was measured has.
const BLANK: f32 = 8.0;
/// How much softer than its reference, and how soft at all, a blurred picture is. Haze and low sun do less.
const SOFTER: f32 = 1.5;
const SOFT: f32 = 2.6;
/// A hundredth at either end does not count: a lamp, a line of text, a broken pixel.
const ENDS: u32 = 100;
/// Rows of a crop of which one is looked at.
const STEP: usize = 4;

/// What hides the scene. A crop alone may well be black or even, as a lamp that is off or a closed door is: the rest of
/// the frame must show nothing, either.
pub fn cover(
    crop: &CropBuffer,
    thumbnail: &Thumbnail,
    edges: &Edges,
    reference: Option<&Edges>,
) -> Option<Unknown> {
    let rows = (0..crop.height()).step_by(STEP);
    let [low, high] = ends(rows.flat_map(|y| crop.luma().row(y, 0, crop.width())));
    // The crop is as the camera sent it.
    let black = match crop.as_frame().colour.range {
        Range::Full => 0,
        Range::Limited => 16,
    };
    let [_, brightest] = ends(thumbnail.cells.iter());
    if high.saturating_sub(black) < BLACK && brightest < BLACK {
        return Some(Unknown::Dark);
    }
    let blank = edges.contrast() < BLANK && high - low < EVEN;
    let blurred = reference.is_some_and(|reference| {
        edges.softness() >= SOFT && edges.softness() >= SOFTER * reference.softness()
    });
    (blank || blurred).then_some(Unknown::Covered)
}

/// The darkest and the brightest code, but for the hundredth that is darker or brighter.
fn ends<'a>(samples: impl Iterator<Item = &'a u8>) -> [u8; 2] {
    let mut histogram = [0u32; 256];
    samples.for_each(|&sample| histogram[usize::from(sample)] += 1);
    let few = histogram.iter().sum::<u32>() / ENDS;
    [end(&histogram, few, 0..=255), end(&histogram, few, (0..=255).rev())]
}

/// The first code at which more than a few samples have been passed.
fn end(histogram: &[u32; 256], few: u32, mut codes: impl Iterator<Item = u8>) -> u8 {
    let mut count = 0;
    let passed = codes.find(|&code| {
        count += histogram[usize::from(code)];
        count > few
    });
    passed.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::super::crop::Region;
    use super::super::scene::{HEIGHT, Picture, WIDTH, noise, street};
    use super::*;

    /// What is found where the crop and the rest of the frame have these lumas.
    fn found(inside: impl Fn(usize) -> u8, outside: impl Fn(usize) -> u8) -> Option<&'static str> {
        let crop = Region::new([0.25, 0.25, 0.75, 0.75]).unwrap();
        let quarter = |at: usize, size: usize| (size / 4..size * 3 / 4).contains(&at);
        let picture = Picture::new(0, (WIDTH, HEIGHT), crop, |x, y| {
            let pixel = y * WIDTH + x;
            if quarter(x, WIDTH) && quarter(y, HEIGHT) { inside(pixel) } else { outside(pixel) }
        });
        let mut edges = Edges::default();
        edges.take(&picture.thumbnail);
        cover(&picture.crop, &picture.thumbnail, &edges, None).map(Unknown::name)
    }

    fn scenery(pixel: usize) -> u8 {
        street((pixel % WIDTH) as f32 / WIDTH as f32, (pixel / WIDTH) as f32 / WIDTH as f32) as u8
    }

    #[test]
    fn only_a_whole_frame_without_anything_is_dark_or_covered() {
        let black = |pixel| noise(pixel, 1, 8);
        let white = |pixel| 240 + noise(pixel, 1, 8);
        assert_eq!(found(black, black), Some("dark"));
        assert_eq!(found(white, white), Some("covered"));
        assert_eq!(found(|_| 128, |_| 128), Some("covered"));
        assert_eq!(found(scenery, scenery), None);
        // A lamp that is off, a closed white door.
        assert_eq!(found(black, scenery), None);
        assert_eq!(found(white, scenery), None);
        // A lamp that is on in a black room.
        assert_eq!(found(|pixel| if pixel % WIDTH < 100 { 200 } else { 0 }, black), None);
    }

    #[test]
    fn blurred_is_covered_where_the_reference_is_sharp() {
        let soft =
            |x: usize, y: usize| (128.0 + 100.0 * ((x as f32 / 40.0).sin() * (y as f32 / 30.0).cos())) as u8;
        let edges = |luma: &dyn Fn(usize, usize) -> u8| {
            let picture = Picture::new(0, (WIDTH, HEIGHT), Region::FULL, luma);
            let mut edges = Edges::default();
            edges.take(&picture.thumbnail);
            (picture, edges)
        };
        let (_, sharp) = edges(&|x, y| scenery(y * WIDTH + x));
        let (picture, blurred) = edges(&soft);
        let found =
            |reference| cover(&picture.crop, &picture.thumbnail, &blurred, reference).map(Unknown::name);
        assert_eq!(found(Some(&sharp)), Some("covered"));
        assert_eq!(found(Some(&blurred)), None);
        assert_eq!(found(None), None);
    }
}
