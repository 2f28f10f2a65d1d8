//! The frames' shape. A crop in fractions fits any size of the shape that it was drawn on.

/// Largest difference of two shapes that are the same: sizes are whole pixels, often multiples of 16.
const TOLERANCE: f32 = 0.01;

/// What a frame's size means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    AsBefore,
    /// The first frame of another size, or of another shape: the decoder may still be at it.
    New,
    /// The shape is not that of the crop.
    OtherShape,
}

/// The size of the newest frame and the shape that is expected.
#[derive(Default)]
pub struct Geometry {
    size: Option<(usize, usize)>,
    /// Width by height; that of the first frame if nobody says.
    aspect: Option<f32>,
}

impl Geometry {
    pub fn expect(&mut self, aspect: Option<f32>) {
        self.aspect = aspect.or(self.aspect);
    }

    pub fn see(&mut self, size: (usize, usize)) -> Size {
        let before = self.size.replace(size);
        if before.is_some_and(|before| before != size) {
            return Size::New;
        }
        let (width, height) = size;
        let aspect = width as f32 / height.max(1) as f32;
        let expected = *self.aspect.get_or_insert(aspect);
        if (aspect / expected - 1.0).abs() > TOLERANCE { Size::OtherShape } else { Size::AsBefore }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Size::{AsBefore, New, OtherShape};

    fn sizes(aspect: Option<f32>, sizes: &[(usize, usize)]) -> Vec<Size> {
        let mut geometry = Geometry::default();
        geometry.expect(aspect);
        sizes.iter().map(|&size| geometry.see(size)).collect()
    }

    #[test]
    fn the_same_shape_in_another_size_is_taken_from_the_second_frame_on() {
        let seen = sizes(None, &[(1280, 720), (1280, 720), (640, 360), (640, 360), (1920, 1088)]);
        assert_eq!(seen, [AsBefore, AsBefore, New, AsBefore, New]);
        // 1088 rows for 1080, as encoders pad them.
        assert_eq!(sizes(Some(16.0 / 9.0), &[(1920, 1088)]), [AsBefore]);
    }

    #[test]
    fn another_shape_is_refused_until_it_is_gone() {
        let wide = (640, 360);
        let seen = sizes(None, &[wide, (640, 480), (640, 480), (640, 480), wide, wide]);
        assert_eq!(seen, [AsBefore, New, OtherShape, OtherShape, New, AsBefore]);
        assert_eq!(sizes(Some(4.0 / 3.0), &[wide, wide]), [OtherShape, OtherShape]);
    }
}
