//! The timeline as a picture.

use crate::result::{Outcome, Report, Stretch};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 90.0;

/// An SVG with what a person saw, what was published, and the probability of `occupied`.
pub fn svg(truth: &[Stretch], report: &Report, outcome: &Outcome, split: f64, end: f64) -> String {
    let x = |second: f64| LEFT + (second.clamp(split, end) - split) / (end - split) * (WIDTH - LEFT - 20.0);
    let mut body = String::new();
    let mut bar = |y: f64, state: &str, from: f64, to: f64| {
        if to > split && from < end {
            let (left, width) = (x(from), x(to) - x(from));
            let colour = colour(state);
            body += &format!(
                "<rect x='{left:.1}' y='{y}' width='{width:.1}' height='26' fill='{colour}'><title>{state} {from:.1} to {to:.1} s</title></rect>\n"
            );
        }
    };
    bar(40.0, "transition", split, end);
    for row in truth {
        bar(40.0, &row.state, row.start, row.end);
    }
    bar(84.0, "unknown", split, end);
    for (i, p) in report.published.iter().enumerate() {
        let until = report.published.get(i + 1).map_or(end, |next| next.clip);
        bar(84.0, &p.state, p.clip, until);
    }
    let (top, height) = (130.0, 90.0);
    body += &format!(
        "<rect x='{LEFT}' y='{top}' width='{}' height='{height}' fill='none' stroke='#999'/>\n",
        WIDTH - LEFT - 20.0
    );
    for &(time, probability) in &outcome.live.attempts {
        let second = outcome.clip_second(time, split);
        let y = top + height * (1.0 - probability);
        body += &format!("<circle cx='{:.1}' cy='{y:.1}' r='2.5' fill='#336'/>\n", x(second));
    }
    let mut second = (split / 5.0).ceil() * 5.0;
    while second <= end {
        body += &format!("<text x='{:.1}' y='240' text-anchor='middle'>{second:.0} s</text>\n", x(second));
        second += 5.0;
    }
    for (y, label) in [(58, "a person saw"), (102, "published"), (170, "occupied,"), (186, "probability")] {
        body += &format!("<text x='{}' y='{y}' text-anchor='end'>{label}</text>\n", LEFT - 8.0);
    }
    for (i, state) in ["occupied", "clear", "transition", "unknown"].iter().enumerate() {
        let left = LEFT + 120.0 * i as f64;
        body += &format!("<rect x='{left}' y='14' width='12' height='12' fill='{}'/>", colour(state));
        body += &format!("<text x='{}' y='24'>{state}</text>\n", left + 18.0);
    }
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} 250' font-family='sans-serif' font-size='12'>\n\
         <rect width='{WIDTH}' height='250' fill='white'/>\n{body}</svg>\n"
    )
}

fn colour(state: &str) -> &'static str {
    match state {
        "occupied" => "#d9822b",
        "clear" => "#5a9bd4",
        "transition" => "#e3e3e3",
        _ => "#777777",
    }
}
