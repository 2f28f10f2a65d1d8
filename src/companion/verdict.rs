//! The verdict: what a training means, in words, and what would help.

use super::evaluate::{Evaluation, Outcome, most_probable};
use super::light::Light;
use super::suspects::Suspect;
use super::train::THRESHOLD;
use serde::Serialize;

/// Balanced error up to which a model is said to work.
const GOOD_ERROR: f64 = 0.05;
/// Fewest pictures of each state for that.
const ENOUGH: u32 = 10;
/// Fewest pictures of a state by day or by night, where other states have as many.
const ENOUGH_IN_A_LIGHT: usize = 5;
/// Share of wrong pictures from which a state needs more of them.
const BAD_SHARE: f64 = 0.1;
/// Suspects that are named.
const NAMED: usize = 5;
const DAY: i64 = 24 * 3600;

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    pub works: bool,
    /// The first says whether it works; each other one says what would help.
    pub lines: Vec<String>,
}

impl Verdict {
    /// `counts`: pictures of each state. `outcomes`: empty without a cross-validation.
    pub fn new(states: &[String], counts: &[u32], outcomes: &[Outcome], suspects: &[Suspect]) -> Verdict {
        if outcomes.is_empty() {
            let line =
                "Nothing is known of how good it is: give at least two pictures of each state, better 10.";
            return Verdict { works: false, lines: vec![line.into()] };
        }
        let evaluation = Evaluation::new(states, THRESHOLD, outcomes);
        let enough = counts.iter().all(|&count| count >= ENOUGH);
        let works = evaluation.balanced_error <= GOOD_ERROR && enough;
        let mut lines = vec![first_line(&evaluation, works)];
        lines.extend(few(states, counts));
        lines.extend(dark_spots(states, outcomes));
        lines.extend(one_day(outcomes));
        lines.extend(mislabelled(suspects));
        Verdict { works, lines }
    }
}

fn first_line(evaluation: &Evaluation, works: bool) -> String {
    let right = (evaluation.accuracy * evaluation.n as f64).round();
    let word = match (works, evaluation.balanced_error <= GOOD_ERROR) {
        (true, _) => "Works",
        (false, true) => "Promising, on few pictures",
        (false, false) => "Not good enough yet",
    };
    let [low, high] = evaluation.interval.map(|share| share * 100.0);
    format!(
        "{word}: {right} of {} pictures right at times it was not trained on (95 % sure: {low:.0} to {high:.0} in 100).",
        evaluation.n
    )
}

fn few(states: &[String], counts: &[u32]) -> Vec<String> {
    let of_state = |(state, &count): (&String, &u32)| {
        (count < ENOUGH)
            .then(|| format!("Give more pictures of {state}: it has {count}, want {ENOUGH} at least."))
    };
    states.iter().zip(counts).filter_map(of_state).collect()
}

/// States that are often wrong, or missing, by day or by night.
fn dark_spots(states: &[String], outcomes: &[Outcome]) -> Vec<String> {
    let mut lines = Vec::new();
    for light in Light::ALL {
        let of = |state: usize| outcomes.iter().filter(move |o| o.light == light && o.truth == state);
        let most = (0..states.len()).map(|state| of(state).count()).max().unwrap_or_default();
        for (state, name) in states.iter().enumerate() {
            let (n, light) = (of(state).count(), light.name());
            let wrong: Vec<usize> =
                of(state).map(|o| most_probable(&o.probabilities).0).filter(|&best| best != state).collect();
            if n < ENOUGH_IN_A_LIGHT && most >= ENOUGH_IN_A_LIGHT {
                lines.push(format!(
                    "Give pictures of {name} by {light}, if that happens: it has {n}, another state has {most}."
                ));
            } else if wrong.len() > 1 && wrong.len() as f64 >= BAD_SHARE * n as f64 {
                let taken_for = |other: &usize| wrong.iter().filter(|&best| best == other).count();
                let other = (0..states.len()).max_by_key(taken_for).unwrap_or_default();
                lines.push(format!(
                    "Give more pictures of {name} by {light}: {} of {n} are wrong, mostly taken for {}.",
                    wrong.len(),
                    states[other]
                ));
            }
        }
    }
    lines
}

fn one_day(outcomes: &[Outcome]) -> Vec<String> {
    let moments: Vec<i64> = outcomes.iter().filter_map(|outcome| outcome.moment).collect();
    let mut lines = Vec::new();
    let (Some(first), Some(last)) = (moments.iter().min(), moments.iter().max()) else {
        if !outcomes.is_empty() {
            lines.push(format!(
                "When the pictures were taken is not known ({EXAMPLE} tell it): this test may flatter."
            ));
        }
        return lines;
    };
    if last - first < DAY {
        lines.push(
            "All pictures are from within a day: other days, weather and nights may look different.".into(),
        );
    }
    if let Some(timeless) = outcomes.iter().find(|outcome| outcome.moment.is_none()) {
        let (n, all) = (outcomes.len() - moments.len(), outcomes.len());
        let path = timeless.path.display();
        lines.push(format!("{n} of {all} pictures do not tell when they were taken ({path}); {EXAMPLE} do."));
    }
    lines
}

const EXAMPLE: &str = "names like 2026-01-31_08-15-00.jpg";

fn mislabelled(suspects: &[Suspect]) -> Vec<String> {
    if suspects.is_empty() {
        return Vec::new();
    }
    let one = |suspect: &Suspect| {
        let Suspect { path, labelled, looks_like, probability, copy } = suspect;
        let why = match copy {
            true => format!("the same picture is also labelled {looks_like}"),
            false => format!("looks like {looks_like}, {:.0} %", probability * 100.0),
        };
        format!("  {}: labelled {labelled}, {why}", path.display())
    };
    let pictures = if suspects.len() == 1 { "picture looks" } else { "pictures look" };
    let mut lines = vec![format!("{} {pictures} mislabelled:", suspects.len())];
    lines.extend(suspects.iter().take(NAMED).map(one));
    if suspects.len() > NAMED {
        lines.push(format!("  and {} more, in the report", suspects.len() - NAMED));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn states() -> Vec<String> {
        ["open", "closed"].map(String::from).to_vec()
    }

    /// A picture of `truth`, found to be `said`.
    fn outcome(truth: usize, said: usize, light: Light, day: i64) -> Outcome {
        let mut probabilities = vec![0.05; 2];
        probabilities[said] = 0.95;
        let moment = Some(day * DAY);
        Outcome {
            path: PathBuf::new(),
            sha256: String::new(),
            truth,
            probabilities,
            distance: None,
            light,
            moment,
            burst: day as usize,
        }
    }

    fn verdict(counts: [u32; 2], outcomes: &[Outcome]) -> Verdict {
        Verdict::new(&states(), &counts, outcomes, &[])
    }

    #[test]
    fn a_good_set_works_and_needs_nothing() {
        let outcomes: Vec<_> = (0..40).map(|i| outcome(i % 2, i % 2, Light::Day, i as i64)).collect();
        let verdict = verdict([20, 20], &outcomes);
        assert!(verdict.works);
        assert_eq!(verdict.lines.len(), 1, "{:?}", verdict.lines);
        assert!(verdict.lines[0].starts_with("Works: 40 of 40 pictures right"), "{:?}", verdict.lines);
    }

    #[test]
    fn what_is_missing_is_named() {
        let mut outcomes: Vec<_> = (0..20).map(|i| outcome(i % 2, i % 2, Light::Day, i as i64)).collect();
        outcomes.extend((0..10).map(|i| outcome(0, usize::from(i < 4), Light::Night, i)));
        let lines = verdict([20, 10], &outcomes).lines.join("\n");
        assert!(lines.contains("Not good enough yet"), "{lines}");
        assert!(
            lines.contains("more pictures of open by night: 4 of 10 are wrong, mostly taken for closed"),
            "{lines}"
        );
        assert!(lines.contains("pictures of closed by night, if that happens: it has 0"), "{lines}");
    }

    #[test]
    fn few_pictures_one_day_and_no_times_are_said() {
        let outcomes: Vec<_> = (0..8).map(|i| outcome(i % 2, i % 2, Light::Day, 0)).collect();
        let lines = verdict([4, 4], &outcomes).lines.join("\n");
        for says in ["Promising", "more pictures of open: it has 4", "within a day"] {
            assert!(lines.contains(says), "{says}: {lines}");
        }
        let timeless: Vec<_> = outcomes.into_iter().map(|o| Outcome { moment: None, ..o }).collect();
        assert!(verdict([4, 4], &timeless).lines.join("\n").contains("may flatter"));
        assert!(!verdict([1, 1], &[]).works);
    }

    #[test]
    fn suspects_are_named_up_to_a_few() {
        let suspect = |i: usize| Suspect {
            path: format!("{i}.jpg").into(),
            labelled: "open".into(),
            looks_like: "closed".into(),
            probability: 0.97,
            copy: i == 0,
        };
        let outcomes = [outcome(0, 0, Light::Day, 0), outcome(1, 1, Light::Day, 9)];
        let suspects: Vec<_> = (0..7).map(suspect).collect();
        let lines = Verdict::new(&states(), &[10, 10], &outcomes, &suspects).lines;
        let text = lines.join("\n");
        assert!(text.contains("7 pictures look mislabelled"), "{text}");
        assert!(text.contains("0.jpg: labelled open, the same picture is also labelled closed"), "{text}");
        assert!(text.contains("1.jpg: labelled open, looks like closed, 97 %"), "{text}");
        assert!(text.contains("and 2 more"), "{text}");
    }
}
