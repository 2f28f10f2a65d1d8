//! When a picture was taken: from its name, from its EXIF, or from its file's time.
//!
//! Only used to keep neighbours in time together and to tell days apart, so the time zone does not matter: every
//! local time is read as if it were UTC.

use exif::{In, Tag};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use std::fs;
use std::path::Path;

/// Seconds since 1970.
pub type Moment = i64;

/// File times that span less than this come from a copy, not from a camera.
const LEAST_SPAN: i64 = 3600;
/// 1995 and 2100: numbers outside are no times.
const EPOCH: std::ops::Range<i64> = 788_918_400..4_102_444_800;

/// Where the moments of a dataset come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Names, or EXIF where a name has none.
    Pictures,
    /// Modification times of the files.
    Files,
    /// There are none.
    Nothing,
}

/// The time in a file's name, such as `2024-03-01_06_25_00`, `20240301-062500`, or seconds since 1970 as in
/// Frigate's names.
pub fn of_name(name: &str) -> Option<Moment> {
    let groups: Vec<&str> =
        name.split(|c: char| !c.is_ascii_digit()).filter(|group| !group.is_empty()).collect();
    (0..groups.len()).find_map(|start| of_groups(&groups[start..]))
}

/// The time that these groups of digits begin with.
fn of_groups(groups: &[&str]) -> Option<Moment> {
    let lengths = |wanted: &[usize]| {
        groups.len() >= wanted.len() && wanted.iter().zip(groups).all(|(&want, group)| group.len() == want)
    };
    if lengths(&[4, 2, 2, 2, 2]) {
        let seconds = groups.get(5).filter(|group| group.len() == 2);
        return of_digits(&(groups[..5].concat() + seconds.unwrap_or(&"00")));
    }
    if lengths(&[8, 6]) || lengths(&[8, 4]) {
        return of_digits(&groups[..2].concat());
    }
    if lengths(&[14]) || lengths(&[12]) {
        return of_digits(groups[0]);
    }
    if lengths(&[10]) || lengths(&[13]) {
        return groups[0][..10].parse().ok().filter(|moment| EPOCH.contains(moment));
    }
    None
}

/// `YYYYMMDDHHMM` with or without `SS`.
fn of_digits(digits: &str) -> Option<Moment> {
    let number = |range: std::ops::Range<usize>| digits.get(range).map_or(Some(0), |text| text.parse().ok());
    let [year, month, day, hour, minute, second] =
        [number(0..4)?, number(4..6)?, number(6..8)?, number(8..10)?, number(10..12)?, number(12..14)?];
    let [month, day, hour, minute, second] = [month, day, hour, minute, second].map(|n: i16| n as i8);
    let time = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let moment = time.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second();
    EPOCH.contains(&moment).then_some(moment)
}

/// When the camera says it took the picture: `file` is a whole JPEG, PNG or WebP.
pub fn of_exif(file: &[u8]) -> Option<Moment> {
    let exif = exif::Reader::new().read_from_container(&mut std::io::Cursor::new(file)).ok()?;
    let field = exif.get_field(Tag::DateTimeOriginal, In::PRIMARY)?;
    let exif::Value::Ascii(texts) = &field.value else { return None };
    of_name(&String::from_utf8_lossy(texts.first()?))
}

/// When a file was written, as its name says or its own time.
pub fn of_file(path: &Path) -> Option<Moment> {
    let named = of_name(&path.file_name()?.to_string_lossy());
    named.or_else(|| {
        let modified = fs::metadata(path).and_then(|meta| meta.modified()).ok()?;
        Some(on_the_wall(modified.try_into().ok()?))
    })
}

/// What the clock on the wall said here, as the names of a camera's files do.
pub fn on_the_wall(instant: jiff::Timestamp) -> Moment {
    let wall = instant.to_zoned(TimeZone::system()).datetime();
    wall.to_zoned(TimeZone::UTC).map_or(instant, |zoned| zoned.timestamp()).as_second()
}

/// The day of a moment, as in 2026-01-31.
pub fn day(moment: Moment) -> String {
    let time = jiff::Timestamp::from_second(moment).unwrap_or_default();
    time.to_zoned(TimeZone::UTC).date().to_string()
}

/// Picks one source for all pictures: `own` has the times from names and EXIF, `files` those of the files.
pub fn choose(own: Vec<Option<Moment>>, files: Vec<Option<Moment>>) -> (Vec<Option<Moment>>, Source) {
    let own_count = own.iter().flatten().count();
    if own_count == own.len() {
        return (own, Source::Pictures);
    }
    let (first, last) = (files.iter().flatten().min(), files.iter().flatten().max());
    let spread = first.zip(last).is_some_and(|(first, last)| last - first >= LEAST_SPAN);
    if own_count == 0 && spread {
        return (files, Source::Files);
    }
    // Some have one: the others stand alone, for a file's time does not compare with a camera's.
    let source = if own_count > 0 { Source::Pictures } else { Source::Nothing };
    (own, source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_names() {
        let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
        let six = at("2013-02-22T06:25:00Z");
        for name in [
            "spot01_2013-02-22_06_25_00.jpg",
            "2013-02-22_06-25.jpg",
            "6.2_ana5_20130222-062500.jpg",
            "IMG_20130222_0625.jpg",
            "20130222062500.png",
            "2013-02-22T06:25:00.123Z.jpg",
            "2013:02:22 06:25:00",
        ] {
            assert_eq!(of_name(name), Some(six), "{name}");
        }
        // Frigate's: seconds since 1970 with a fraction.
        assert_eq!(of_name("1700000000.123456-abc-open-0.91.webp"), Some(1_700_000_000));
        assert_eq!(of_name("1700000000123.jpg"), Some(1_700_000_000));
    }

    #[test]
    fn what_is_no_time() {
        for name in [
            "open1.jpg",
            "table_000.50.jpg",
            "20139999-062500.jpg",
            "2013-02-22.jpg",
            "9999999999.jpg",
            "é.jpg",
            "",
        ] {
            assert_eq!(of_name(name), None, "{name}");
        }
    }

    #[test]
    fn one_source_for_all() {
        let own = vec![Some(1), Some(2)];
        assert_eq!(choose(own.clone(), vec![None, None]), (own, Source::Pictures));
        let files = vec![Some(0), Some(7200)];
        assert_eq!(choose(vec![None, None], files.clone()), (files, Source::Files));
        // Copied a minute ago.
        let copied = vec![Some(0), Some(60)];
        assert_eq!(choose(vec![None, None], copied), (vec![None, None], Source::Nothing));
        // Times of different clocks are not mixed.
        let mixed = vec![Some(1), None];
        assert_eq!(choose(mixed.clone(), vec![Some(0), Some(9999)]), (mixed, Source::Pictures));
    }

    #[test]
    fn what_has_no_exif() {
        assert_eq!(of_exif(b""), None);
        assert_eq!(of_exif(b"\xFF\xD8\xFF\xD9"), None);
    }
}
