//! `motion` of a model: a word, or a section that also says what motion is.

use crate::watch::motion::MotionSettings;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;

/// The keys of `motion` as a section; the names are Frigate's where they mean the same.
#[derive(Deserialize)]
#[serde(remote = "MotionSettings", default = "MotionSettings::default", deny_unknown_fields)]
struct MotionKeys {
    threshold: u8,
    area: f32,
    lightning_threshold: f32,
    frame_alpha: f32,
}

/// `true`, `false`, or a section with keys of its own.
pub fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<MotionSettings>, D::Error> {
    struct Motion;
    impl<'de> Visitor<'de> for Motion {
        type Value = Option<MotionSettings>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("true, false, or a section such as { threshold = 30 }")
        }

        fn visit_bool<E>(self, on: bool) -> Result<Self::Value, E> {
            Ok(on.then_some(MotionSettings::DEFAULT))
        }

        fn visit_map<A: MapAccess<'de>>(self, keys: A) -> Result<Self::Value, A::Error> {
            MotionKeys::deserialize(MapAccessDeserializer::new(keys)).map(Some)
        }
    }
    deserializer.deserialize_any(Motion)
}

/// Whether the numbers make sense. The error begins with the key.
pub fn check(motion: &MotionSettings) -> Result<(), String> {
    let MotionSettings { threshold, area, lightning_threshold, frame_alpha } = *motion;
    let above_zero = |share: f32| share > 0.0 && share <= 1.0;
    if threshold == 0 {
        return Err("threshold: want a difference in luma from 1 to 255".into());
    }
    if !above_zero(area) {
        return Err(format!("area: {area} is not a share of the crop above 0, at most 1"));
    }
    if !(0.3..=1.0).contains(&lightning_threshold) {
        return Err(format!("lightning_threshold: {lightning_threshold} is not within 0.3 and 1"));
    }
    if !above_zero(frame_alpha) {
        return Err(format!("frame_alpha: {frame_alpha} is not above 0, at most 1"));
    }
    Ok(())
}
