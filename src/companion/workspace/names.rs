//! Names, and what is said of those that will not do. The same words at the page and on the command line.

use super::Workspace;
use super::model::Definition;
use crate::bundle::names::{self, check_model_name};
use crate::companion::moment::Moment;
use crate::exit::UsageError;
use serde::Serialize;
use sha2::{Digest, Sha256};

const MAX_NAME: usize = 64;
const MAX_TITLE: usize = 64;
/// Longest name of a state in bytes.
const MAX_STATE: usize = 32;
const MAX_STATES: usize = crate::watch::decision::MAX_STATES;
/// Bytes of a picture's hash that its id has.
const HASH: usize = 6;

/// What is wrong with a new model, field by field.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Problems {
    pub name: Option<String>,
    pub title: Option<String>,
    /// In the order of the states.
    pub states: Vec<Option<String>>,
    /// Of the states together.
    pub all_states: Option<String>,
}

impl Problems {
    /// The first, in the order of the page.
    pub fn first(&self) -> Option<&str> {
        let each = self.states.iter().flatten();
        let all = self.title.iter().chain(&self.name).chain(each).chain(&self.all_states);
        all.map(String::as_str).next()
    }
}

pub fn check(name: &str, definition: &Definition, workspace: &Workspace) -> Problems {
    let Definition { title, states } = definition;
    let title =
        (title.chars().count() > MAX_TITLE).then(|| format!("Too long: at most {MAX_TITLE} characters."));
    let each = (0..states.len()).map(|i| check_state(states, i)).collect();
    Problems { name: check_name(name, workspace), title, states: each, all_states: check_count(states.len()) }
}

fn check_name(name: &str, workspace: &Workspace) -> Option<String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    let problem = match name {
        "" => "Give it a name.".to_string(),
        _ if name.len() > MAX_NAME => format!("Too long: at most {MAX_NAME} characters."),
        _ if !name.chars().all(plain) => {
            "Use only small letters a to z, digits, - and _; no spaces.".to_string()
        }
        _ if check_model_name(name).is_err() => "Only digits: add a letter.".to_string(),
        _ if workspace.is_used(name) => used(name),
        _ => return None,
    };
    Some(problem)
}

pub fn used(name: &str) -> String {
    format!("There is a model {name:?} already. Choose another name; nothing is ever overwritten.")
}

fn check_count(count: usize) -> Option<String> {
    match count {
        0 | 1 => Some("A model needs at least two states.".into()),
        2..=MAX_STATES => None,
        _ => Some(format!("A model has at most {MAX_STATES} states.")),
    }
}

fn check_state(states: &[String], i: usize) -> Option<String> {
    let tidy = |state: &String| state.trim().to_lowercase();
    let state = states[i].trim();
    let lower = state.to_lowercase();
    let problem = match () {
        () if state.is_empty() => "Give this state a name.".to_string(),
        () if state.len() > MAX_STATE => match state.is_ascii() {
            true => format!("Too long: at most {MAX_STATE} letters."),
            false => format!(
                "Too long: at most {MAX_STATE} bytes; letters with accents, and other scripts', take two to four."
            ),
        },
        () if state.contains(is_unseen) => "Use letters, digits and spaces only.".to_string(),
        () if ["unknown", "none"].contains(&lower.as_str()) => {
            format!("{state:?} is reserved: Ajar says it when it cannot tell. Choose another word.")
        }
        () if states[..i].iter().any(|other| tidy(other) == lower) => {
            format!("{state:?} is there twice. Capitals and outer spaces do not count.")
        }
        () => return None,
    };
    Some(problem)
}

/// Two names that look the same must be the same.
fn is_unseen(c: char) -> bool {
    let marks =
        ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}', '\u{feff}'..='\u{feff}'];
    c.is_control() || marks.iter().any(|marks| marks.contains(&c))
}

/// Of a model that exists.
pub fn check_states(states: &[String]) -> Result<(), String> {
    let each = (0..states.len()).find_map(|i| check_state(states, i));
    match each.or_else(|| check_count(states.len())) {
        Some(problem) => Err(problem),
        None => names::check_states(states),
    }
}

/// Cameras are called like models.
pub fn check_camera(camera: &str) -> Result<(), UsageError> {
    check_model_name(camera).map_err(|why| UsageError(format!("camera {why}")))
}

/// A name made of any text: of a file, say.
pub fn slug(text: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let mut slug: String = text.chars().map(plain).take(MAX_NAME).collect();
    while slug.contains("--") {
        slug = slug.replace("--", "-");
    }
    let slug = slug.trim_matches('-').to_string();
    if check_model_name(&slug).is_ok() { slug } else { format!("camera-{slug}").trim_end_matches('-').into() }
}

/// Ids name pictures, versions and what is in the trash: never a way out of the folder.
pub fn check_id(id: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match (1..=MAX_NAME).contains(&id.len()) && id.chars().all(plain) {
        true => Ok(()),
        false => Err(format!("{id:?} is no id")),
    }
}

/// The part of a picture's id that says what it is.
pub fn content(id: &str) -> &str {
    id.rsplit('_').next().unwrap_or(id)
}

/// A crop's name is its numbers: never a way out of the folder either.
pub fn check_crop(name: &str) -> Result<(), String> {
    let plain = |number: &str| number.parse().is_ok_and(|number: f64| (0.0..=1.0).contains(&number));
    match name.split(',').count() == 4 && name.split(',').all(plain) {
        true => Ok(()),
        false => Err(format!("{name:?} is no crop")),
    }
}

/// A picture's id: when it was taken, and what it is. The second part has no digits, as the first is read from it.
pub fn picture_id(bytes: &[u8], moment: Option<Moment>) -> String {
    let letter = |half: u8| char::from(b'a' + half);
    let hash = Sha256::digest(bytes);
    let letters: String = hash[..HASH].iter().flat_map(|b| [letter(b >> 4), letter(b & 15)]).collect();
    match moment {
        Some(moment) => format!("{}_{letters}", super::stamp(moment)),
        None => format!("undated_{letters}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::companion::moment;

    fn states(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| name.to_string()).collect()
    }

    #[test]
    fn every_rule_has_its_words() {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::open(directory.path()).unwrap();
        let good = Definition { title: String::new(), states: states(&["open", "closed"]) };
        workspace.create("garage", good.clone()).unwrap();
        let name = |name: &str| check(name, &good, &workspace).name.unwrap_or_default();
        assert_eq!(name("gate-2"), "");
        for (bad, words) in [
            ("", "Give it a name"),
            ("Garage Door", "small letters"),
            ("42", "Only digits"),
            ("garage", "already"),
            (&"x".repeat(65), "Too long"),
        ] {
            assert!(name(bad).contains(words), "{bad}: {}", name(bad));
        }
        let first = |names: &[&str]| {
            let definition = Definition { title: String::new(), states: states(names) };
            check("gate", &definition, &workspace).first().unwrap_or_default().to_string()
        };
        assert_eq!(first(&["open", "closed"]), "");
        for (bad, words) in [
            (&["open"][..], "at least two"),
            (&["open", " Open "], "twice"),
            (&["open", "Unknown"], "reserved"),
            (&["open", "none "], "reserved"),
            (&["open", " "], "Give this state"),
            (&["open", "thirty-three bytes are one too many"], "Too long"),
            (&["open", "ворота открыты полностью"], "take two"),
            (&["open", "clo\u{200b}sed"], "letters, digits"),
        ] {
            assert!(first(bad).contains(words), "{bad:?}: {}", first(bad));
        }
    }

    #[test]
    fn ids_carry_their_time_and_nothing_else_that_reads_like_one() {
        let time = "2026-03-02T07:41:16Z".parse::<jiff::Timestamp>().unwrap().as_second();
        let id = picture_id(b"x", Some(time));
        assert!(id.starts_with("2026-03-02_07-41-16_"), "{id}");
        assert_eq!(moment::of_name(&id), Some(time));
        assert_eq!(moment::of_name(&picture_id(b"x", None)), None);
        assert_eq!(check_id(&id), Ok(()));
        for bad in ["", "..", "a/b", "a.jpg", "A", &"x".repeat(65)] {
            assert!(check_id(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn slugs_are_names() {
        for (text, want) in
            [("Front Door (1)", "front-door-1"), ("42", "camera-42"), ("ä", "camera"), ("..", "camera")]
        {
            assert_eq!(slug(text), want);
            assert_eq!(check_model_name(&slug(text)), Ok(()));
        }
    }
}
