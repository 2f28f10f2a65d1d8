//! What a training came to, for people.

use crate::companion::moment;
use maud::{Markup, html};
use serde_json::Value;

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Share of right pictures at times that were held out.
pub fn accuracy(report: &Value) -> String {
    report["cross_validation"]["accuracy"].as_f64().map_or("?".into(), percent)
}

/// When a version was made, from its name, which is in UTC, as the clock on the wall said.
pub fn when(version: &str) -> Markup {
    let instant = moment::of_name(version).and_then(|moment| jiff::Timestamp::from_second(moment).ok());
    let wall = instant.and_then(|instant| jiff::Timestamp::from_second(moment::on_the_wall(instant)).ok());
    let text = wall.map_or_else(|| version.to_string(), |wall| wall.strftime("%Y-%m-%d %H:%M").to_string());
    html! { span.date { (text) } }
}

pub fn verdict(report: &Value) -> Markup {
    let works = report["verdict"]["works"].as_bool().unwrap_or(false);
    let lines = || report["verdict"]["lines"].as_array().into_iter().flatten().filter_map(Value::as_str);
    // Files are named on the command line; here, suspects have their pictures.
    let advice = || lines().skip(1).filter(|line| !line.starts_with("  "));
    let validation = &report["cross_validation"];
    html! {
        section.card.verdict .good[works] {
            div.headline {
                span.mark aria-hidden="true" { (if works { "✓" } else { "!" }) }
                h2 { (headline(report)) }
            }
            @if let Some(share) = validation["accuracy"].as_f64() {
                p.figure { strong { (percent(share)) } " right" }
                (interval(validation, share))
            }
            p { (lines().next().map(|line| line.strip_prefix(&format!("{}: ", headline(report))).unwrap_or(line)).unwrap_or_default()) }
            @if advice().count() > 0 {
                h3 { "What would help" }
                ul.advice { @for line in advice() { li { (line.strip_suffix(':').unwrap_or(line)) } } }
            }
        }
    }
}

fn headline(report: &Value) -> &'static str {
    let error = report["cross_validation"]["balanced_error"].as_f64();
    match (report["verdict"]["works"].as_bool(), error) {
        (Some(true), _) => "It works",
        (_, None) => "Too few pictures to tell",
        (_, Some(error)) if error <= 0.05 => "Promising, on few pictures",
        _ => "Not good enough yet",
    }
}

/// The accuracy, and where it may really be, on a line from 0 to 100.
fn interval(validation: &Value, share: f64) -> Markup {
    let [low, high] = [0, 1].map(|end| validation["interval"][end].as_f64().unwrap_or(0.0) * 100.0);
    let says = format!("95 % sure that it is between {low:.0} and {high:.0} %");
    html! {
        svg.interval viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label=(says) {
            rect.whole x="0" y="2" width="100" height="2" rx="1" {}
            rect.range x=(low) y="1" width=((high - low).max(1.0)) height="4" rx="1" {}
            rect.at x=((share * 100.0 - 0.5).max(0.0)) y="0" width="1" height="6" {}
        }
    }
}

pub fn confusion(report: &Value) -> Markup {
    let validation = &report["cross_validation"];
    let states: Vec<&str> =
        validation["states"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let count = |row: usize, column: usize| validation["confusion"][row][column].as_u64().unwrap_or(0);
    let class = |row: usize, column: usize| match (row == column, count(row, column)) {
        (_, 0) => "none",
        (true, _) => "right",
        (false, _) => "wrong",
    };
    html! {
        @if !states.is_empty() {
            section.card {
                h2 { "What was taken for what" }
                div.scroll tabindex="0" role="region" aria-label="What was taken for what" {
                    table.confusion {
                        thead { tr { th scope="col" { "It was" } @for state in &states { th scope="col" { "said " (state) } } } }
                        tbody {
                            @for (row, state) in states.iter().enumerate() {
                                tr {
                                    th scope="row" { (state) }
                                    @for column in 0..states.len() { td class=(class(row, column)) { (count(row, column)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
