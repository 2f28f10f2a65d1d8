//! The light over a whole crop: what of a change is not worth a look.

use super::motion::FRACTION_BITS;

const HALF: i32 = 1 << (FRACTION_BITS - 1);
const BRIGHTEST: f32 = (255 << FRACTION_BITS) as f32;
/// Spread of the background's cells from which a change of contrast can be told from one of brightness: 8 code values.
const SPREAD: f32 = (8 << FRACTION_BITS) as f32;

/// The light of a frame against the background's, which is that of the frame before.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Light {
    /// Code values that most cells are brighter by.
    pub step: i32,
    /// A cell should be `offset + gain * background`.
    offset: f32,
    gain: f32,
}

impl Light {
    pub const SAME: Light = Light { step: 0, offset: 0.0, gain: 1.0 };

    pub fn on(self, background: u16) -> u16 {
        (self.offset + self.gain * f32::from(background) + 0.5).clamp(0.0, BRIGHTEST) as u16
    }

    /// The light that explains most of the `(cell, background)` pairs: their median difference, then a straight line
    /// through those within `threshold` code values of it; farther off is something else than the light.
    pub fn of(pairs: impl Iterator<Item = (u16, u16)> + Clone, threshold: u8) -> Light {
        let code =
            |cell: u16, background: u16| (i32::from(cell) - i32::from(background) + HALF) >> FRACTION_BITS;
        let (mut histogram, mut count) = ([0u16; 512], 0);
        for (cell, background) in pairs.clone() {
            histogram[(code(cell, background) + 256) as usize] += 1;
            count += 1;
        }
        let mut below = 0;
        let median = histogram.iter().position(|&n| {
            below += usize::from(n);
            below * 2 >= count
        });
        let step = median.map_or(0, |bin| bin as i32 - 256);
        if step == 0 {
            // Less than a code value is left to the background's learning.
            return Light::SAME;
        }
        let (mut n, mut cells, mut backgrounds, mut products, mut squares) = (0, 0, 0, 0, 0);
        for (cell, background) in pairs {
            if (code(cell, background) - step).abs() <= i32::from(threshold) {
                let (cell, background) = (i64::from(cell), i64::from(background));
                n += 1;
                cells += cell;
                backgrounds += background;
                products += cell * background;
                squares += background * background;
            }
        }
        // In a plain crop any gain would do; the spread makes it 1.
        let plain = (n * n) as f32 * SPREAD * SPREAD;
        let gain = ((n * products - cells * backgrounds) as f32 + plain)
            / ((n * squares - backgrounds * backgrounds) as f32 + plain);
        let offset = (cells as f32 - gain * backgrounds as f32) / n as f32;
        Light { step, offset, gain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(light: Light, offset: f32, gain: f32) -> bool {
        (light.offset / 64.0 - offset).abs() < 2.0 && (light.gain - gain).abs() < 0.02
    }

    #[test]
    fn a_factor_and_an_offset_are_told_apart_whatever_moves() {
        let backgrounds = || (0..1000u32).map(|i| (40 + i * 7 % 120) as u16 * 64);
        let light = |change: &dyn Fn(usize, f32) -> f32| {
            let pairs = backgrounds().enumerate().map(|(i, b)| (change(i, f32::from(b)) as u16, b));
            Light::of(pairs, 20)
        };
        assert_eq!(light(&|_, b| b), Light::SAME);
        let brighter = light(&|_, b| b + 640.0);
        assert!(brighter.step == 10 && near(brighter, 10.0, 1.0), "{brighter:?}");
        let lamp = light(&|_, b| b * 1.2);
        assert!(near(lamp, 0.0, 1.2), "{lamp:?}");
        // Something dark covers a third.
        let covered = light(&|i, b| if i % 3 == 0 { 640.0 } else { b * 1.2 });
        assert!(near(covered, 0.0, 1.2), "{covered:?}");
    }

    #[test]
    fn in_a_plain_crop_the_gain_stays() {
        let light = Light::of([(150 * 64, 100 * 64); 50].into_iter(), 20);
        assert!(light.step == 50 && near(light, 50.0, 1.0) && light.on(100 * 64) == 150 * 64, "{light:?}");
    }
}
