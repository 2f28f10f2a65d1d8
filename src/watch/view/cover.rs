//! Pictures that show nothing: black ones, and those of a lens that is covered, blinded or out of focus.

use super::super::crop::CropBuffer;
use super::super::decision::Unknown;
use super::super::frame::Range;
use super::super::thumbnail::Thumbnail;
use super::place::Edges;

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
