//! Names: what models, cameras and states may be called.

use crate::watch::decision::MAX_STATES;

/// A name for models, keys and files: 1 to 64 of a-z, 0-9, - and _, not only digits.
pub fn check_model_name(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(format!("{name:?}: want 1 to 64 of a-z, 0-9, - and _"));
    }
    if name.chars().all(|c| c.is_ascii_digit()) {
        return Err(format!("{name:?}: only digits"));
    }
    Ok(())
}

/// 2 to 16 states, each different from the others and at most 32 bytes.
pub fn check_states(states: &[String]) -> Result<(), String> {
    if !(2..=MAX_STATES).contains(&states.len()) {
        return Err(format!("{} states; a model has 2 to {MAX_STATES}", states.len()));
    }
    for (i, state) in states.iter().enumerate() {
        if state.is_empty() || state.len() > 32 || state.trim() != state || state.contains(char::is_control) {
            return Err(format!("{state:?}: want 1 to 32 bytes without outer space or control characters"));
        }
        let lower = state.to_lowercase();
        if ["unknown", "none"].contains(&lower.as_str()) {
            return Err(format!("{state:?} is reserved"));
        }
        if states[..i].iter().any(|other| other.to_lowercase() == lower) {
            return Err(format!("{state:?} twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_models() {
        for good in ["a", "front_door", "bins-2", "7a"] {
            assert_eq!(check_model_name(good), Ok(()), "{good}");
        }
        for bad in ["", "Front", "a b", "42", "a/b", "..", "ä", &"x".repeat(65)] {
            assert!(check_model_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_of_states() {
        let check = |states: &[&str]| check_states(&states.iter().map(|s| s.to_string()).collect::<Vec<_>>());
        assert_eq!(check(&["open", "closed"]), Ok(()));
        assert_eq!(check(&["halb offen", "zu"]), Ok(()));
        for bad in [
            &["open"][..],
            &["open", "Open"],
            &["open", "unknown"],
            &["open", "None"],
            &["open", " closed"],
            &["open", ""],
            &["open", "a\nb"],
            &["open", "thirty-three bytes are one too many"],
        ] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
