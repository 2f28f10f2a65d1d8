//! Jumps of the light: a camera that switches to infra-red, a flash, a lamp. What was seen before one says nothing of
//! what is seen after it, and for a while the camera has to adjust itself.

use super::super::thumbnail::{COLUMNS, ROWS, Thumbnail};
use embassy_time::{Duration, Instant};

/// A patch is ten by ten of a thumbnail's cells.
const PATCH: usize = 10;
const PATCHES: usize = (COLUMNS / PATCH) * (ROWS / PATCH);
/// Codes that a patch differs by when the light has jumped in it.
const STEP: i32 = 16;
/// Patches of 100 in which it must.
const SHARE: usize = 70;
/// Mean chroma of a picture in colour, and of one in grey. From one to the other is a jump, whatever the luma does.
const COLOURED: u8 = 5;
const GREY: u8 = 1;
/// Time that a camera gets to adjust itself.
pub const SETTLE: Duration = Duration::from_secs(2);
/// Where the light jumps again and again, that is how it is there: after this time the watch looks all the same.
const RESTLESS: Duration = Duration::from_secs(10);
/// Frames that are farther apart may differ by anything, and jumps have nothing to do with each other.
const MAX_GAP: Duration = Duration::from_secs(14);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Light {
    Steady,
    /// It jumped with this frame.
    Jumped,
    /// It jumped a short while ago.
    Settling,
}

/// The newest frame in patches, and when the light last jumped.
pub struct Lighting {
    patches: [u8; PATCHES],
    colour: u8,
    seen: Option<Instant>,
    /// The first and the last jump of a restless time.
    jumps: Option<(Instant, Instant)>,
}

impl Default for Lighting {
    fn default() -> Self {
        Lighting { patches: [0; PATCHES], colour: 0, seen: None, jumps: None }
    }
}

impl Lighting {
    pub fn see(&mut self, arrival: Instant, thumbnail: &Thumbnail) -> Light {
        let since = |then: Instant| arrival.saturating_duration_since(then);
        let before = self.seen.replace(arrival);
        let jumped = self.take(thumbnail) && before.is_some_and(|before| since(before) <= MAX_GAP);
        let recent = self.jumps.filter(|(_, last)| since(*last) <= MAX_GAP);
        if jumped {
            self.jumps = Some((recent.map_or(arrival, |(first, _)| first), arrival));
        }
        match recent {
            Some((first, _)) if since(first) > RESTLESS => Light::Steady,
            _ if jumped => Light::Jumped,
            Some((_, last)) if since(last) < SETTLE => Light::Settling,
            _ => Light::Steady,
        }
    }

    /// Replaces the patches. Says whether they are in another light.
    fn take(&mut self, thumbnail: &Thumbnail) -> bool {
        let mut stepped = 0;
        for (index, patch) in self.patches.iter_mut().enumerate() {
            let (column, row) = (index % (COLUMNS / PATCH), index / (COLUMNS / PATCH));
            let mean = thumbnail.mean::<PATCH>(column, row);
            stepped += usize::from((mean - i32::from(*patch)).abs() > STEP);
            *patch = mean as u8;
        }
        let colour = core::mem::replace(&mut self.colour, thumbnail.colour);
        let (less, more) = (colour.min(thumbnail.colour), colour.max(thumbnail.colour));
        stepped * 100 >= PATCHES * SHARE || less <= GREY && more >= COLOURED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Shows ten frames a second, each of one brightness and colour; lists (tenth of a second, light) where not steady.
    fn run(frames: impl Iterator<Item = (u8, u8)>) -> Vec<(usize, Light)> {
        let mut lighting = Lighting::default();
        let mut thumbnail = Thumbnail::default();
        let mut seen = Vec::new();
        for (tenth, (luma, colour)) in frames.enumerate() {
            thumbnail.cells.fill(luma);
            thumbnail.colour = colour;
            let at = Instant::from_millis(100_000 + 100 * tenth as u64);
            seen.push((tenth, lighting.see(at, &thumbnail)));
        }
        seen.into_iter().filter(|(_, light)| *light != Light::Steady).collect()
    }

    #[test]
    fn slow_light_is_steady() {
        assert_eq!(run((0..200).map(|luma| (luma, 20))), []);
    }

    #[test]
    fn a_jump_settles_for_two_seconds() {
        let seen = run((0..60).map(|i| (if i < 10 { 60 } else { 120 }, 20)));
        assert_eq!(seen[0], (10, Light::Jumped));
        assert!(seen[1..].iter().all(|(_, light)| *light == Light::Settling));
        assert_eq!(seen.last().map(|seen| seen.0), Some(29));
        // Infra-red at the same brightness.
        let seen = run((0..60).map(|i| (90, if i < 10 { 12 } else { 0 })));
        assert_eq!(seen.first(), Some(&(10, Light::Jumped)));
    }

    #[test]
    fn a_flash_is_a_jump_there_and_back() {
        let seen = run((0..60).map(|i| (if i == 10 { 220 } else { 60 }, 20)));
        assert_eq!((seen[0], seen[1]), ((10, Light::Jumped), (11, Light::Jumped)));
        assert_eq!(seen.last().map(|seen| seen.0), Some(30));
    }

    #[test]
    fn where_it_never_rests_the_watch_looks_all_the_same() {
        let seen = run((0..600).map(|i| (if i % 10 < 5 { 60 } else { 160 }, 20)));
        assert_eq!(seen.last().map(|seen| seen.0), Some(105), "{:?}", seen.last());
    }

    #[test]
    fn a_part_of_the_picture_is_no_jump() {
        let mut lighting = Lighting::default();
        let mut thumbnail = Thumbnail::default();
        thumbnail.cells.fill(60);
        lighting.see(Instant::from_millis(1000), &thumbnail);
        thumbnail.cells[..COLUMNS * ROWS / 2].fill(200);
        assert_eq!(lighting.see(Instant::from_millis(1100), &thumbnail), Light::Steady);
        // Nor what happened while nobody saw it.
        thumbnail.cells.fill(200);
        assert_eq!(lighting.see(Instant::from_secs(60), &thumbnail), Light::Steady);
    }
}
