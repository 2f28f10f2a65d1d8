//! From the camera's colours to RGB (ITU-R BT.601-7, BT.709-6, JFIF).

use super::frame::{Colour, Matrix, Range};

/// R, G and B of 0..=255 as sums of Y - black and of U and V around 128.
pub struct Coefficients {
    /// The Y of black.
    pub black: i32,
    pub luma: f32,
    pub red_v: f32,
    pub green_u: f32,
    pub green_v: f32,
    pub blue_u: f32,
}

impl Coefficients {
    pub const fn new(colour: Colour) -> Coefficients {
        let (kr, kb) = match colour.matrix {
            Matrix::Bt601 => (0.299f32, 0.114f32),
            Matrix::Bt709 => (0.2126, 0.0722),
        };
        let (black, luma, chroma) = match colour.range {
            Range::Limited => (16, 255.0 / 219.0, 255.0 / 224.0),
            Range::Full => (0, 1.0, 1.0),
        };
        let kg = 1.0 - kr - kb;
        Coefficients {
            black,
            luma,
            red_v: chroma * 2.0 * (1.0 - kr),
            green_u: chroma * -2.0 * (1.0 - kb) * kb / kg,
            green_v: chroma * -2.0 * (1.0 - kr) * kr / kg,
            blue_u: chroma * 2.0 * (1.0 - kb),
        }
    }
}

/// The nearest multiple of `2^-bits`, in units of it.
pub const fn fixed(value: f32, bits: u32) -> i32 {
    let scaled = value * (1i32 << bits) as f32;
    (scaled + 0.5f32.copysign(scaled)) as i32
}

/// YUV to RGB with the stream's own matrix and range.
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
        let Coefficients { black, luma, red_v, green_u, green_v, blue_u } = Coefficients::new(colour);
        let [luma, red_v, green_u, green_v, blue_u] =
            [luma, red_v, green_u, green_v, blue_u].map(|c| fixed(c, COEFFICIENT_BITS));
        ToRgb { black, luma, red_v, green_u, green_v, blue_u }
    }

    pub fn pixel(&self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let y = (i32::from(y) - self.black) * self.luma;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let code = |sum: i32| {
            let rounded = (sum + (1 << (COEFFICIENT_BITS - 1))) >> COEFFICIENT_BITS;
            rounded.clamp(0, 255) as u8
        };
        [code(y + self.red_v * v), code(y + self.green_u * u + self.green_v * v), code(y + self.blue_u * u)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_matrix_and_range() {
        let rgb = |matrix, range, [y, u, v]: [u8; 3]| ToRgb::new(Colour { matrix, range }).pixel(y, u, v);
        assert_eq!(rgb(Matrix::Bt601, Range::Limited, [16, 128, 128]), [0, 0, 0]);
        assert_eq!(rgb(Matrix::Bt601, Range::Limited, [235, 128, 128]), [255, 255, 255]);
        assert_eq!(rgb(Matrix::Bt601, Range::Full, [235, 128, 128]), [235, 235, 235]);
        // Pure red: BT.601 limited (81, 90, 240), BT.709 limited (63, 102, 240).
        let near = |a: [u8; 3], b: [u8; 3]| a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(near(rgb(Matrix::Bt601, Range::Limited, [81, 90, 240]), [255, 0, 0]));
        assert!(near(rgb(Matrix::Bt709, Range::Limited, [63, 102, 240]), [255, 0, 0]));
    }
}
