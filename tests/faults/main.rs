//! Every fault that a camera may have, and that none of them makes `ajard` publish a state that is not.
//!
//! `make faults` runs each many times. Words: a row is a kind of fault, a round one time that it happens.

#[path = "../support/cli.rs"]
mod cli;
#[path = "../support/pictures.rs"]
mod pictures;
#[path = "../support/rtsp.rs"]
mod rtsp;
#[path = "../support/scene.rs"]
mod scene;
#[path = "../support/yard.rs"]
mod yard;

mod camera;
mod network;
mod picture;
mod rig;
mod soak;
mod stream;

use scene::Scene;
use std::collections::BTreeMap;
use std::time::Duration;

/// What came of all rounds of a row.
#[derive(Default)]
pub struct Outcome {
    /// Published states that were not true.
    pub wrong: usize,
    /// Seconds that something took, by what it is.
    times: BTreeMap<&'static str, Vec<f64>>,
    /// Why it could not be tried here.
    skipped: Option<String>,
}

impl Outcome {
    pub fn skipped(why: &str) -> Outcome {
        Outcome { skipped: Some(why.into()), ..Outcome::default() }
    }

    pub fn took(&mut self, what: &'static str, time: Duration) {
        self.times.entry(what).or_default().push(time.as_secs_f64());
    }
}

pub struct Row {
    name: &'static str,
    /// Seconds that something may take at most, by what it is.
    limits: &'static [(&'static str, f64)],
    run: fn(&Scene, u32) -> Result<Outcome, String>,
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "serve") {
        return camera::serve(&words[1..]);
    }
    if let Ok(minutes) = std::env::var("AJAR_SOAK_MINUTES") {
        let minutes = minutes.parse().expect("AJAR_SOAK_MINUTES: a number");
        if let Err(why) = soak::soak(&Scene::new(), minutes) {
            println!("soak: FAILED: {why}");
            std::process::exit(1);
        }
        return;
    }
    // cargo test's own options and the name of a test that is not here.
    if words.iter().any(|word| word == "--list") {
        return;
    }
    let wanted: Vec<&String> = words.iter().filter(|word| !word.starts_with('-')).collect();
    let rounds = std::env::var("AJAR_FAULT_ROUNDS").map_or(1, |rounds| rounds.parse().expect("a number"));
    let rows: Vec<Row> = stream::ROWS.into_iter().chain(picture::ROWS).collect();
    let rows: Vec<Row> = rows
        .into_iter()
        .filter(|row| wanted.is_empty() || wanted.iter().any(|w| row.name.contains(*w)))
        .collect();
    if rows.is_empty() {
        return;
    }
    let scene = Scene::new();
    // Side by side: most of a round is waiting.
    let outcomes: Vec<Result<Outcome, String>> = std::thread::scope(|scope| {
        let start = |row: &'_ Row| {
            let (run, scene) = (row.run, &scene);
            scope.spawn(move || run(scene, rounds))
        };
        let threads: Vec<_> = rows.iter().map(start).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err("panicked".into()))).collect()
    });
    let (mut wrong, mut bad, mut ran) = (0, 0, 0);
    for (Row { name, limits, .. }, outcome) in rows.iter().zip(outcomes) {
        let Outcome { wrong: lies, times, skipped } = match outcome {
            Ok(outcome) => outcome,
            Err(why) => {
                bad += 1;
                println!("{name}: FAILED: {why}");
                continue;
            }
        };
        if let Some(why) = skipped {
            println!("skipped: {name}: {why}");
            continue;
        }
        ran += 1;
        wrong += lies;
        let mut text = format!("{name}: {lies} wrong");
        for (what, mut values) in times {
            values.sort_by(f64::total_cmp);
            let (median, longest) = (values[values.len() / 2], values[values.len() - 1]);
            text += &format!("; {what} {median:.1} s, at most {longest:.1}");
            let limit = limits.iter().find(|(name, _)| *name == what);
            if let Some((_, limit)) = limit.filter(|(_, limit)| longest > *limit) {
                bad += 1;
                text += &format!(" TOO LONG, want {limit}");
            }
        }
        println!("{text}");
    }
    println!("faults: {ran} rows, {rounds} rounds, {wrong} wrong states");
    if wrong > 0 || bad > 0 {
        std::process::exit(1);
    }
}
