//! The choice: which of the frames that are kept can be spared for a new one.
//!
//! Frames shall span the hours of the day in each light, and the days; those of one hour and light shall be unlike each other,
//! so that a door which is open for a minute a day is not outnumbered. No frame that stands alone for its day or its hour is
//! spared while others do not.

use super::look::{Light, Look};

/// Nearer than this to a frame of the same hour, light and day, a frame shows nothing new. Real frames ten minutes apart differ
/// by 5 to 10 at night, when nothing happens, and by 8 to 60 while the sun moves shadows.
const NOTHING_NEW: u32 = 10;

/// What the choice knows of a frame.
#[derive(Clone, Debug)]
pub struct Traits {
    /// Day and hour by the wall clock, which may not have been set.
    pub when: Option<When>,
    pub light: Light,
    pub look: Look,
    /// Whose crop it is, if it is no whole frame; frames are only compared with their like.
    pub model: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct When {
    /// Since 1970.
    pub day: i64,
    pub hour: u8,
}

impl Traits {
    fn is_of_hour(&self, other: &Traits) -> bool {
        let hour = |traits: &Traits| traits.when.map(|when| when.hour);
        hour(self) == hour(other) && self.light == other.light && self.model == other.model
    }

    fn is_of_day(&self, other: &Traits) -> bool {
        let day = |traits: &Traits| traits.when.map(|when| when.day);
        day(self) == day(other) && self.model == other.model
    }
}

/// How unlike all that are kept a frame is.
pub fn novelty<'a>(kept: impl Iterator<Item = &'a Traits>, new: &Traits) -> u32 {
    let alike = kept.filter(|kept| kept.model == new.model);
    alike.map(|kept| kept.look.distance(&new.look)).min().unwrap_or(u32::MAX)
}

/// Whether a frame shows what one of the same time shows already.
pub fn is_repetition<'a>(mut kept: impl Iterator<Item = &'a Traits>, new: &Traits) -> bool {
    kept.any(|kept| {
        kept.is_of_hour(new) && kept.is_of_day(new) && kept.look.distance(&new.look) < NOTHING_NEW
    })
}

/// The frame that is missed least; `None` if there are none.
pub fn spare(frames: &[&Traits]) -> Option<usize> {
    (0..frames.len()).max_by_key(|&index| missed_little(frames, index))
}

/// The larger, the less a frame is missed.
fn missed_little(frames: &[&Traits], index: usize) -> (bool, bool, u64) {
    let this = frames[index];
    let of_day = frames.iter().filter(|frame| frame.is_of_day(this)).count() as u64;
    let of_hour = || frames.iter().filter(|frame| frame.is_of_hour(this));
    // One that looks the same counts as a whole frame, one that does not as next to none.
    let alike = |frame: &&Traits| 1000 * NOTHING_NEW / (NOTHING_NEW + frame.look.distance(&this.look));
    let crowd = of_day * of_hour().map(|frame| u64::from(alike(frame))).sum::<u64>();
    let (has_day_mates, has_hour_mates) = (of_day > 1, of_hour().nth(1).is_some());
    (has_day_mates && has_hour_mates, has_hour_mates, crowd)
}

#[cfg(test)]
mod tests {
    use super::super::look::CELLS;
    use super::*;
    use std::collections::BTreeMap;

    fn look(cells: u8) -> Look {
        Look(Box::new([cells; CELLS]))
    }

    fn at(day: i64, hour: u8, look: Look) -> Traits {
        let light = if (7..19).contains(&hour) { Light::Day } else { Light::Infrared };
        Traits { when: Some(When { day, hour }), light, look, model: None }
    }

    /// Offers frames to a gallery of `most`.
    fn gather(most: usize, frames: impl Iterator<Item = Traits>) -> Vec<Traits> {
        let mut kept: Vec<Traits> = Vec::new();
        for frame in frames {
            if is_repetition(kept.iter(), &frame) {
                continue;
            }
            kept.push(frame);
            if kept.len() > most {
                let spared = spare(&kept.iter().collect::<Vec<_>>()).unwrap();
                kept.remove(spared);
            }
        }
        kept
    }

    fn counts<K: Ord>(kept: &[Traits], key: impl Fn(When) -> K) -> BTreeMap<K, usize> {
        let mut counts = BTreeMap::new();
        kept.iter()
            .filter_map(|frame| frame.when)
            .for_each(|when| *counts.entry(key(when)).or_default() += 1);
        counts
    }

    #[test]
    fn sixty_days_of_frames_span_all_days_and_hours() {
        // Two frames an hour, hardly two of them the same.
        let mut noise = 1u32;
        let frames = (0..60 * 24 * 2).map(|n: i64| {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            at(n / 48, (n / 2 % 24) as u8, look((noise >> 24) as u8))
        });
        let kept = gather(120, frames);
        assert_eq!(kept.len(), 120);
        let (days, hours) = (counts(&kept, |when| when.day), counts(&kept, |when| when.hour));
        assert_eq!((days.len(), hours.len()), (60, 24), "{days:?} {hours:?}");
        let spread = |counts: Vec<usize>| (counts.iter().min().copied(), counts.iter().max().copied());
        let (days, hours) = (spread(days.into_values().collect()), spread(hours.into_values().collect()));
        println!("frames a day, an hour: {days:?}, {hours:?}");
        assert!(days.1 <= Some(6) && hours.0 >= Some(3) && hours.1 <= Some(8), "{days:?} {hours:?}");
    }

    #[test]
    fn what_happens_twice_a_day_is_kept() {
        // A door that is open once at eight and once at six, each third day; otherwise the scene hardly differs.
        let frames = (0..60 * 24 * 3).map(|n: i64| {
            let (day, hour) = (n / 72, (n / 3 % 24) as u8);
            let open = (hour == 8 || hour == 18) && n % 3 == 1 && day % 3 == 0;
            at(day, hour, look(if open { 200 } else { 100 + (n * 7 % 5) as u8 * 12 }))
        });
        let kept = gather(120, frames);
        let open = kept.iter().filter(|frame| frame.look == look(200)).count();
        println!("{open} of {} show the open door, which is open 0.9 % of the time", kept.len());
        assert!(open >= 4, "{open}");
    }

    #[test]
    fn a_still_scene_is_kept_once_an_hour() {
        let frames = (0..24 * 60).map(|n: i64| at(0, (n / 60) as u8, look(90 + (n % 3) as u8)));
        assert_eq!(gather(200, frames).len(), 24);
    }

    #[test]
    fn without_a_clock_the_most_unlike_are_kept() {
        let undated = |look| Traits { when: None, ..at(0, 12, look) };
        let frames = (0..500u32).map(|n| undated(look((n * 37 % 251) as u8)));
        let mut kept: Vec<u8> = gather(20, frames).iter().map(|frame| frame.look.0[0]).collect();
        kept.sort_unstable();
        let widest = kept.windows(2).map(|pair| pair[1] - pair[0]).max();
        println!("{kept:?}");
        assert!(kept[0] < 20 && kept[19] > 230 && widest <= Some(30), "{kept:?}");
    }
}
