//! A borrowed picture, as a decoder hands it over.

use embassy_time::Instant;

/// One plane of 8-bit samples; row `r` starts at `r * stride`.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    pub bytes: &'a [u8],
    /// Bytes from one row to the next, at least the row's own length.
    pub stride: usize,
}

impl<'a> Plane<'a> {
    /// The samples `x..x + len` of row `y`.
    pub fn row(&self, y: usize, x: usize, len: usize) -> &'a [u8] {
        &self.bytes[y * self.stride + x..][..len]
    }
}

/// The colour planes at half width and half height, rounded up.
#[derive(Clone, Copy)]
pub enum Chroma<'a> {
    /// I420: one plane each.
    Planar { u: Plane<'a>, v: Plane<'a> },
    /// NV12: U and V alternate in one plane.
    Interleaved(Plane<'a>),
}

/// The matrix that made YUV from RGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matrix {
    Bt601,
    Bt709,
}

/// The code values that mean black and white.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// Luma 16..=235, chroma 16..=240: what cameras usually send.
    Limited,
    /// 0..=255: JPEG.
    Full,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Colour {
    pub matrix: Matrix,
    pub range: Range,
}

impl Colour {
    /// JFIF's colours.
    pub const JPEG: Colour = Colour { matrix: Matrix::Bt601, range: Range::Full };
}

/// A borrowed 4:2:0 picture of `width` x `height` pixels.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    pub width: usize,
    pub height: usize,
    pub luma: Plane<'a>,
    pub chroma: Chroma<'a>,
    pub colour: Colour,
    /// When it reached this machine, on the monotonic clock; never the sender's time stamp.
    pub arrival: Instant,
}
