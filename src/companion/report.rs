//! The report of a training: data for programs, or one page for people with everything in it.

use super::evaluate::{Day, Evaluation, Outcome, most_probable};
use super::picture;
use super::suspects::Suspect;
use super::train::{MIN_SIDE, Report, Trained};
use crate::exit::UsageError;
use anyhow::{Context, Result};
use ct_codecs::{Base64, Encoder};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::thumbnail;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use std::fs;
use std::path::Path;

/// Longest side of a picture on the page.
const THUMBNAIL: u32 = 160;
/// Pictures of each kind on the page.
const SHOWN: usize = 12;
/// Size of a chart's drawing area.
const SIDE: f64 = 240.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Page,
    Data,
}

/// What a report file is to be, by its name.
pub fn kind(file: &Path) -> Result<Kind, UsageError> {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html" | "htm") => Ok(Kind::Page),
        Some("json") => Ok(Kind::Data),
        _ => Err(UsageError(format!("--report {}: want a name that ends in .html or .json", file.display()))),
    }
}

/// The content of a report file. `model`: its name.
pub fn bytes(file: &Path, model: &str, trained: &Trained) -> Result<Vec<u8>> {
    match kind(file)? {
        Kind::Page => Ok(page(model, trained).into_string().into_bytes()),
        Kind::Data => serde_json::to_vec_pretty(&trained.report).context("the report cannot be written"),
    }
}

fn page(model: &str, trained: &Trained) -> Markup {
    let report = &trained.report;
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (model) ": training report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (model) }
                (verdict(report))
                @if let Some(validation) = &report.cross_validation {
                    (confusion(&validation.evaluation))
                    section.charts {
                        (reliability(&validation.evaluation))
                        @if validation.evaluation.days.len() > 1 { (timeline(&validation.evaluation.days)) }
                    }
                    (slices(&validation.evaluation))
                }
                (suspects(&report.suspects))
                (mistakes(&report.states, &report.outcomes, &report.suspects))
                (facts(report))
            }
        }
    }
}

fn verdict(report: &Report) -> Markup {
    let class = if report.verdict.works { "verdict good" } else { "verdict" };
    html! {
        section class=(class) {
            @for (i, line) in report.verdict.lines.iter().enumerate() {
                @if i == 0 { p { strong { (line) } } }
                // The pictures themselves are shown further down.
                @else if !line.starts_with("  ") { p { (line.strip_suffix(':').map_or(line.clone(), |line| format!("{line}; see below."))) } }
            }
            @if let Some(comparison) = &report.champion { p { (comparison.text()) } }
        }
    }
}

fn confusion(evaluation: &Evaluation) -> Markup {
    html! {
        section {
            h2 { "What was taken for what" }
            p.hint { "Each picture was judged by a model that had not been trained on its time." }
            table {
                thead { tr { th scope="col" { "true \\ said" } @for state in &evaluation.states { th scope="col" { (state) } } } }
                tbody {
                    @for (row, (state, counts)) in evaluation.states.iter().zip(&evaluation.confusion).enumerate() {
                        tr {
                            th scope="row" { (state) }
                            @for (column, count) in counts.iter().enumerate() {
                                td class=(cell(row == column, *count)) { (count) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn cell(right: bool, count: usize) -> &'static str {
    match (right, count) {
        (_, 0) => "none",
        (true, _) => "right",
        (false, _) => "wrong",
    }
}

/// How often the model is right where it says so many percent.
fn reliability(evaluation: &Evaluation) -> Markup {
    let most = evaluation.reliability.iter().map(|bin| bin.n).max().unwrap_or(1) as f64;
    html! {
        figure {
            figcaption { "How often it is right when it says how sure it is" }
            svg viewBox="-60 -10 320 290" role="img" aria-label="Reliability diagram" {
                (frame("how sure it is", "how often right"))
                line.ideal x1="0" y1=(SIDE) x2=(SIDE) y2="0" {}
                @for bin in &evaluation.reliability {
                    circle cx=(SIDE * bin.probability) cy=(SIDE * (1.0 - bin.accuracy))
                        r=(3.0 + 9.0 * (bin.n as f64 / most).sqrt()) {
                        title { (bin.n) " pictures: says " (percent(bin.probability)) ", right " (percent(bin.accuracy)) }
                    }
                }
            }
            p.hint { "On the line it means what it says. Mean distance from it: " (percent(evaluation.ece)) "." }
        }
    }
}

/// Share that is right, day by day.
fn timeline(days: &[Day]) -> Markup {
    let width = SIDE / days.len() as f64;
    html! {
        figure {
            figcaption { "Right pictures by day" }
            svg viewBox="-60 -10 320 290" role="img" aria-label="Timeline" {
                (frame("day", "share right"))
                @for (i, day) in days.iter().enumerate() {
                    @let share = day.right as f64 / day.n as f64;
                    rect x=(width * i as f64 + 0.1 * width) y=(SIDE * (1.0 - share))
                        width=(0.8 * width) height=(SIDE * share) {
                        title { (day.day) ": " (day.right) " of " (day.n) " right" }
                    }
                }
                text x="0" y=(SIDE + 16.0) { (days[0].day) }
                text x=(SIDE) y=(SIDE + 16.0) text-anchor="end" { (days[days.len() - 1].day) }
            }
        }
    }
}

fn frame(x: &str, y: &str) -> Markup {
    html! {
        rect.frame x="0" y="0" width=(SIDE) height=(SIDE) {}
        @for (share, label) in [(0.0, "0"), (0.5, "50 %"), (1.0, "100 %")] {
            text x="-4" y=(SIDE * (1.0 - share) + 4.0) text-anchor="end" { (label) }
        }
        text x=(SIDE / 2.0) y=(SIDE + 32.0) text-anchor="middle" { (x) }
        text x=(-SIDE / 2.0) y="-44" transform="rotate(-90)" text-anchor="middle" { (y) }
    }
}

fn slices(evaluation: &Evaluation) -> Markup {
    html! {
        section {
            h2 { "By light" }
            table {
                thead { tr { th scope="col" { "light" } th scope="col" { "state" } th scope="col" { "pictures" } th scope="col" { "right" } } }
                tbody {
                    @for slice in &evaluation.slices {
                        tr {
                            td { (slice.light.name()) } td { (slice.state) } td { (slice.n) }
                            td class=(cell(slice.right == slice.n, 1)) { (slice.right) }
                        }
                    }
                }
            }
        }
    }
}

fn suspects(suspects: &[Suspect]) -> Markup {
    html! {
        @if !suspects.is_empty() {
            section {
                h2 { "These look mislabelled" }
                div.pictures {
                    @for suspect in suspects.iter().take(SHOWN) {
                        (figure(&suspect.path, &suspicion(suspect)))
                    }
                }
                (more(suspects.len()))
            }
        }
    }
}

fn suspicion(suspect: &Suspect) -> String {
    let Suspect { labelled, looks_like, probability, copy, .. } = suspect;
    match copy {
        true => format!("labelled {labelled}; the same picture is also labelled {looks_like}"),
        false => {
            format!("labelled {labelled}, looks like {looks_like} ({})", percent(f64::from(*probability)))
        }
    }
}

/// The wrong pictures that are not suspects already, the surest first.
fn mistakes(states: &[String], outcomes: &[Outcome], suspects: &[Suspect]) -> Markup {
    let known = |outcome: &Outcome| suspects.iter().any(|suspect| suspect.path == outcome.path);
    let mut wrong: Vec<&Outcome> =
        outcomes.iter().filter(|outcome| !outcome.right() && !known(outcome)).collect();
    let sure = |outcome: &Outcome| most_probable(&outcome.probabilities).1;
    wrong.sort_by(|a, b| sure(b).total_cmp(&sure(a)));
    html! {
        @if !wrong.is_empty() {
            section {
                h2 { "Worst mistakes" }
                div.pictures {
                    @for outcome in wrong.iter().take(SHOWN) {
                        @let (best, probability) = most_probable(&outcome.probabilities);
                        (figure(&outcome.path, &format!(
                            "{}, taken for {} ({})",
                            states[outcome.truth], states[best], percent(f64::from(probability))
                        )))
                    }
                }
                (more(wrong.len()))
            }
        }
    }
}

fn more(count: usize) -> Markup {
    html! { @if count > SHOWN { p.hint { "and " (count - SHOWN) " more" } } }
}

fn figure(path: &Path, caption: &str) -> Markup {
    html! {
        figure {
            @if let Some(source) = data_url(path) { img src=(source) alt=(caption) loading="lazy"; }
            figcaption { (caption) br; span.hint { (path.display()) } }
        }
    }
}

/// A small copy of a picture, inside the page. `None` if it cannot be read any more.
fn data_url(path: &Path) -> Option<String> {
    let picture = picture::decode(&fs::read(path).ok()?).ok()?;
    let longest = picture.width().max(picture.height());
    let scaled = |side: u32| (side * THUMBNAIL.min(longest) / longest).max(1);
    let small = thumbnail(&picture, scaled(picture.width()), scaled(picture.height()));
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, 80).encode_image(&small).ok()?;
    Some(format!("data:image/jpeg;base64,{}", Base64::encode_to_string(jpeg).ok()?))
}

fn facts(report: &Report) -> Markup {
    let blocks: Vec<String> = report.blocks.iter().map(|block| format!("{block:?}").to_lowercase()).collect();
    html! {
        section {
            h2 { "How it was made" }
            table {
                tbody {
                    @for (state, count) in report.states.iter().zip(&report.pictures) {
                        tr { th scope="row" { "pictures of " (state) } td { (count) } }
                    }
                    tr { th scope="row" { "nearly the same as another" } td { (report.near_duplicates) } }
                    tr { th scope="row" { "could not be read" } td { (report.quarantined.len()) } }
                    tr { th scope="row" { "less than " (MIN_SIDE) " pixels a side" } td { (report.small.len()) } }
                    @if let Some(validation) = &report.cross_validation {
                        tr { th scope="row" { "bursts" } td { (validation.evaluation.bursts) } }
                        tr { th scope="row" { "folds" } td { (validation.folds) } }
                    }
                    tr { th scope="row" { "looks of each picture" } td { (report.looks) } }
                    tr { th scope="row" { "features" } td { (blocks.join(", ")) } }
                    tr { th scope="row" { "penalty" } td { (report.penalty) } }
                    tr { th scope="row" { "temperature" } td { (format!("{:.3}", report.temperature)) } }
                    tr { th scope="row" { "seconds" } td { (format!("{:.1}", report.seconds)) } }
                }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

pub const STYLE: &str = "
:root { color-scheme: light dark; --fg: #1d2733; --bg: #fff; --line: #c6ced6; --hint: #5b6875; --good: #1a7f4b;
  --bad: #b3362b; --mark: #2563a8; }
@media (prefers-color-scheme: dark) { :root { --fg: #e6ebf0; --bg: #14191f; --line: #3d4853; --hint: #9aa7b4;
  --good: #58c48c; --bad: #f08a7f; --mark: #7fb2ea; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg); max-width: 60rem;
  margin: 0 auto; padding: 1rem; }
h2 { margin-top: 2rem; font-size: 1.2rem; }
.hint { color: var(--hint); font-size: .875rem; overflow-wrap: anywhere; }
.verdict { border-left: 4px solid var(--bad); padding-left: 1rem; }
.verdict.good { border-color: var(--good); }
table { border-collapse: collapse; display: block; overflow-x: auto; }
th, td { border-bottom: 1px solid var(--line); padding: .25rem .75rem; text-align: left; font-weight: normal;
  font-variant-numeric: tabular-nums; }
thead th { color: var(--hint); }
.right { color: var(--good); } .wrong { color: var(--bad); font-weight: bold; } .none { color: var(--hint); }
.charts { margin-top: 2rem; }
.charts, .pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; } .charts figure { flex: 1 1 18rem; max-width: 26rem; } .pictures figure { width: 10rem; }
.pictures img { max-width: 100%; border-radius: 4px; }
svg text { fill: var(--hint); font-size: 11px; } svg rect, svg circle { fill: var(--mark); }
svg .frame { fill: none; stroke: var(--line); } svg .ideal { stroke: var(--hint); stroke-dasharray: 4 4; }
svg circle { opacity: .8; }
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_says_what_a_report_is() {
        assert_eq!(kind(Path::new("a.html")), Ok(Kind::Page));
        assert_eq!(kind(Path::new("a.b/c.json")), Ok(Kind::Data));
        for wrong in ["report", "report.txt", "html"] {
            assert!(kind(Path::new(wrong)).unwrap_err().0.contains(".html or .json"), "{wrong}");
        }
    }
}
