//! What was published against what a person saw.

use ajar::companion::timeline::Timeline;
use anyhow::{Context, Result};
use serde_json::Value;
use std::path::Path;
use std::time::SystemTime;

/// The finest time that is compared.
const STEP: f64 = 0.1;

/// What the events file tells of the run.
pub struct Live {
    /// When the first frame arrived.
    pub first_frame: Option<SystemTime>,
    /// When the stream ended.
    pub ended: Option<SystemTime>,
    /// Time and probability of `occupied` of every attempt.
    pub attempts: Vec<(SystemTime, f64)>,
}

pub struct Outcome {
    pub live: Live,
    /// What arrived on the state topic, and when.
    pub states: Vec<(SystemTime, String)>,
    pub cpu_ms_per_minute: f64,
    pub rss_mb: f64,
}

/// A stretch of one state, in seconds of the clip.
#[derive(Clone, Debug)]
pub struct Stretch {
    pub state: String,
    pub start: f64,
    pub end: f64,
}

/// One published state.
pub struct Published {
    pub clip: f64,
    pub state: String,
    pub truth: String,
    /// Seconds since the true change it follows; none where it follows none.
    pub latency: Option<f64>,
}

pub struct Report {
    pub published: Vec<Published>,
    /// True changes that were never published.
    pub missed: Vec<Stretch>,
    pub agreement: f64,
    pub median_latency: f64,
}

impl Live {
    pub fn read(path: &Path) -> Result<Live> {
        let mut live = Live { first_frame: None, ended: None, attempts: Vec::new() };
        let text = std::fs::read_to_string(path).unwrap_or_default();
        // The last line may be half written.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let event: Value = serde_json::from_str(line).with_context(|| line.to_string())?;
            let time: jiff::Timestamp = event["time"].as_str().unwrap_or_default().parse()?;
            let time = SystemTime::from(time);
            match (event["event"].as_str(), event["status"].as_str()) {
                (Some("camera"), Some("up")) => live.first_frame = live.first_frame.or(Some(time)),
                (Some("camera"), _) if live.first_frame.is_some() => live.ended = live.ended.or(Some(time)),
                (Some("attempt"), _) => live.attempts.push((time, occupied(&event))),
                _ => {}
            }
        }
        Ok(live)
    }
}

fn occupied(attempt: &Value) -> f64 {
    let states = attempt["states"].as_array().into_iter().flatten();
    let index = states.into_iter().position(|state| state == "occupied").unwrap_or(0);
    attempt["probabilities"][index].as_f64().unwrap_or(0.0)
}

impl Outcome {
    /// A time of the run in seconds of the clip.
    pub fn clip_second(&self, time: SystemTime, split: f64) -> f64 {
        let zero = self.live.first_frame.unwrap_or(SystemTime::UNIX_EPOCH);
        match time.duration_since(zero) {
            Ok(since) => split + since.as_secs_f64(),
            Err(before) => split - before.duration().as_secs_f64(),
        }
    }
}

/// What a person saw, without the transitions.
pub fn truth(path: &Path, source: &Path) -> Result<Vec<Stretch>> {
    let timeline = Timeline::load(path, &source.to_string_lossy())?;
    let rows = timeline.rows().filter(|(state, ..)| *state != "transition");
    Ok(rows.map(|(state, start, end)| Stretch { state: state.into(), start, end }).collect())
}

pub fn compare(truth: &[Stretch], outcome: &Outcome, split: f64, end: f64) -> Report {
    let at = |second: f64| truth.iter().find(|row| (row.start..row.end).contains(&second));
    let mut published: Vec<Published> = Vec::new();
    for (time, state) in &outcome.states {
        let clip = outcome.clip_second(*time, split);
        if published.last().is_some_and(|last| last.state == *state) || clip > end {
            continue;
        }
        let truth_now = at(clip).map_or("transition", |row| &row.state);
        published.push(Published { clip, state: state.clone(), truth: truth_now.into(), latency: None });
    }
    let changes = true_changes(truth, split);
    let mut missed = Vec::new();
    for change in &changes {
        // Up to the start of the next true state it may still come.
        let until = changes.iter().find(|next| next.start > change.start).map_or(end, |next| next.start);
        let found = published.iter_mut().find(|p| {
            p.state == change.state && (change.start - 1.0..until).contains(&p.clip) && p.latency.is_none()
        });
        match found {
            Some(found) => found.latency = Some(found.clip - change.start.max(split)),
            None => missed.push(change.clone()),
        }
    }
    let mut latencies: Vec<f64> = published.iter().filter_map(|p| p.latency).collect();
    latencies.sort_by(f64::total_cmp);
    let median_latency = latencies.get(latencies.len() / 2).copied().unwrap_or(f64::NAN);
    let steps = ((end - split) / STEP) as usize;
    let seconds = (0..steps).map(|i| split + (i as f64 + 0.5) * STEP);
    let judged: Vec<bool> = seconds
        .filter_map(|second| {
            let said = published.iter().rev().find(|p| p.clip <= second).map_or("unknown", |p| &p.state);
            Some(said == at(second)?.state)
        })
        .collect();
    let agreement = judged.iter().filter(|&&right| right).count() as f64 / judged.len().max(1) as f64;
    Report { published, missed, agreement, median_latency }
}

/// The first true state after the split and every change that follows.
fn true_changes(truth: &[Stretch], split: f64) -> Vec<Stretch> {
    let mut changes: Vec<Stretch> = Vec::new();
    for row in truth.iter().filter(|row| row.end > split) {
        if changes.last().is_none_or(|last| last.state != row.state) {
            changes.push(row.clone());
        }
    }
    changes
}

impl Report {
    pub fn table(&self) -> String {
        let mut text = String::from("clip time   published   latency   a person saw\n");
        for p in &self.published {
            let latency = p.latency.map_or("-".into(), |latency| format!("{latency:.1} s"));
            text += &format!("{:7.1} s   {:<9} {latency:>9}   {}\n", p.clip, p.state, p.truth);
        }
        for row in &self.missed {
            text += &format!("{:7.1} s   missed: {} until {:.1} s\n", row.start, row.state, row.end);
        }
        let said = self.published.iter().filter(|p| p.state != "unknown");
        let wrong = said.filter(|p| p.truth != p.state && p.truth != "transition").count();
        text += &format!(
            "{wrong} of them were not what a person saw at that moment; {} changes were missed\n",
            self.missed.len()
        );
        text += "latency counts from the moment the new state is complete; verification (3 agreeing looks) is in it,\n";
        text += "and every tenth of a second of it counts as disagreement";
        text
    }

    pub fn last_line(&self, outcome: &Outcome) -> String {
        let changes = self.published.iter().filter(|p| p.state != "unknown").count();
        format!(
            "demo: {changes} changes, agreement {:.0} %, median latency {:.1} s, CPU {:.0} ms per minute, RSS {:.0} MB",
            self.agreement * 100.0,
            self.median_latency,
            outcome.cpu_ms_per_minute,
            outcome.rss_mb
        )
    }
}
