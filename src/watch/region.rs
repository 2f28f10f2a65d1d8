//! Where a crop lies in a frame.

/// A rectangle of a frame, in fractions of its width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Region {
    x1: f32,
    y1: f32,
    x2: f32,
    y2: f32,
}

/// A rectangle in whole pixels; every edge is even, so that it also cuts 4:2:0 chroma.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PixelRect {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

impl Region {
    pub const FULL: Region = Region { x1: 0.0, y1: 0.0, x2: 1.0, y2: 1.0 };

    /// `[x1, y1, x2, y2]` in fractions of the frame. `None` unless all are finite,
    /// `0 <= x1 < x2 <= 1` and `0 <= y1 < y2 <= 1`.
    pub fn new([x1, y1, x2, y2]: [f32; 4]) -> Option<Region> {
        let inside = |a: f32, b: f32| 0.0 <= a && a < b && b <= 1.0;
        (inside(x1, x2) && inside(y1, y2)).then_some(Region { x1, y1, x2, y2 })
    }

    /// `[x1, y1, x2, y2]`.
    pub fn edges(&self) -> [f32; 4] {
        [self.x1, self.y1, self.x2, self.y2]
    }

    /// The same as a person would write it: an f32 has digits that mean nothing.
    pub fn fractions(&self) -> [f64; 4] {
        self.edges().map(|edge| f64::from((f64::from(edge) * 1e5 + 0.5) as u32) / 1e5)
    }

    /// The pixels it covers in a frame of this size, grown outwards to even edges and kept
    /// inside. `None` if the frame is smaller than 2 x 2.
    pub fn pixels(&self, frame_width: usize, frame_height: usize) -> Option<PixelRect> {
        let (x, width) = even_span(self.x1, self.x2, frame_width)?;
        let (y, height) = even_span(self.y1, self.y2, frame_height)?;
        Some(PixelRect { x, y, width, height })
    }
}

/// Start and length, both even, of the fractions `from..to` of `size` pixels.
fn even_span(from: f32, to: f32, size: usize) -> Option<(usize, usize)> {
    let size = size & !1;
    if size < 2 {
        return None;
    }
    // Both are inside 0..=size, so truncation is floor. A thousandth of a pixel absorbs the
    // rounding of fractions that were made from whole pixels.
    let start = (from * size as f32 + 0.001) as usize & !1;
    let end_exact = to * size as f32 - 0.001;
    let end = (end_exact as usize + 2) & !1;
    let start = start.min(size - 2);
    Some((start, end.clamp(start + 2, size) - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_that_are_not_rectangles_are_refused() {
        for bad in [
            [0.5, 0.0, 0.5, 1.0],
            [0.6, 0.0, 0.5, 1.0],
            [-0.1, 0.0, 0.5, 1.0],
            [0.0, 0.0, 1.1, 1.0],
            [f32::NAN, 0.0, 1.0, 1.0],
            [0.0, 0.0, f32::INFINITY, 1.0],
        ] {
            assert_eq!(Region::new(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn pixels_are_even_and_inside() {
        let rect = |r: [f32; 4], w, h| Region::new(r).unwrap().pixels(w, h);
        let full = PixelRect { x: 0, y: 0, width: 640, height: 480 };
        assert_eq!(rect([0.0, 0.0, 1.0, 1.0], 640, 480), Some(full));
        // Made from whole pixels 330,40..570,400 of 768 x 432.
        let fractions = [330.0 / 768.0, 40.0 / 432.0, 570.0 / 768.0, 400.0 / 432.0];
        let exact = PixelRect { x: 330, y: 40, width: 240, height: 360 };
        assert_eq!(rect(fractions, 768, 432), Some(exact));
        // Odd edges grow outwards.
        let grown = PixelRect { x: 2, y: 4, width: 6, height: 4 };
        assert_eq!(rect([0.3, 0.5, 0.7, 0.7], 10, 10), Some(grown));
        assert_eq!(rect([0.0, 0.0, 1.0, 1.0], 1, 480), None);
        // A sliver is still two pixels.
        let sliver = PixelRect { x: 638, y: 478, width: 2, height: 2 };
        assert_eq!(rect([0.9999, 0.9999, 1.0, 1.0], 640, 480), Some(sliver));
    }
}
