//! From the camera's colours to RGB.

use super::frame::{Colour, Matrix, Range};
use super::resize::FRACTION_BITS;

/// YUV to RGB with the stream's own matrix and range (ITU-R BT.601-7, BT.709-6, JFIF).
pub struct ToRgb {
    black: i32,
    luma: i32,
    red_v: i32,
    green_u: i32,
    green_v: i32,
    blue_u: i32,
}

const COEFFICIENT_BITS: u32 = 14;

impl ToRgb {
    pub fn new(colour: Colour) -> ToRgb {
        let (kr, kb) = match colour.matrix {
            Matrix::Bt601 => (0.299f32, 0.114f32),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let (black, luma, chroma) = match colour.range {
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            Range::Full => (0, 1.0, 1.0),
        };
        let kg = 1.0 - kr - kb;
        let fixed = |c: f32| (c * (1 << COEFFICIENT_BITS) as f32 + 0.5) as i32;
        ToRgb {
            black: black << FRACTION_BITS,
            luma: fixed(luma),
            red_v: fixed(chroma * 2.0 * (1.0 - kr)),
            green_u: fixed(chroma * 2.0 * (1.0 - kb) * kb / kg),
            green_v: fixed(chroma * 2.0 * (1.0 - kr) * kr / kg),
            blue_u: fixed(chroma * 2.0 * (1.0 - kb)),
        }
    }

    /// Samples with [`FRACTION_BITS`] below the code value to R, G, B in 0..=255.
    pub fn pixel(&self, y: u16, u: u16, v: u16) -> [u8; 3] {
        let centre = 128 << FRACTION_BITS;
        let y = (i32::from(y) - self.black) * self.luma;
        let (u, v) = (i32::from(u) - centre, i32::from(v) - centre);
        let shift = COEFFICIENT_BITS + FRACTION_BITS;
        let code = |sum: i32| ((sum + (1 << (shift - 1))) >> shift).clamp(0, 255) as u8;
        [code(y + self.red_v * v), code(y - self.green_u * u - self.green_v * v), code(y + self.blue_u * u)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_matrix_and_range() {
        let wide = |c: [u8; 3]| c.map(|c| u16::from(c) << FRACTION_BITS);
        let rgb = |matrix, range, yuv: [u8; 3]| {
            let [y, u, v] = wide(yuv);
            ToRgb::new(Colour { matrix, range }).pixel(y, u, v)
        };
        assert_eq!(rgb(Matrix::Bt601, Range::Limited, [16, 128, 128]), [0, 0, 0]);
        assert_eq!(rgb(Matrix::Bt601, Range::Limited, [235, 128, 128]), [255, 255, 255]);
        assert_eq!(rgb(Matrix::Bt601, Range::Full, [235, 128, 128]), [235, 235, 235]);
        // Pure red: BT.601 limited (81, 90, 240), BT.709 limited (63, 102, 240).
        let near = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near(rgb(Matrix::Bt601, Range::Limited, [81, 90, 240]), [255, 0, 0]));
        assert!(near(rgb(Matrix::Bt709, Range::Limited, [63, 102, 240]), [255, 0, 0]));
    }
}
