//! Timelines: what state the thing was in, and when, as a text table.
//!
//! Columns are separated by tabs and named in the first line that is no comment; `state`,
//! `start_s` and `end_s` are needed. Rows of the state `transition` label nothing. Where there is
//! a column `video`, only the rows of the source's own file name count.

use crate::exit::UsageError;
use std::path::Path;

/// The state of rows in which a thing is between two states.
const TRANSITION: &str = "transition";

#[derive(Clone, Debug, PartialEq)]
struct Row {
    state: String,
    start: f64,
    end: f64,
}

pub struct Timeline(Vec<Row>);

impl Timeline {
    pub fn load(path: &Path, source: &str) -> Result<Timeline, UsageError> {
        let wrong = |why: String| UsageError(format!("{}: {why}", path.display()));
        let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
        Timeline::parse(&text, source).map_err(wrong)
    }

    fn parse(text: &str, source: &str) -> Result<Timeline, String> {
        let mut lines =
            text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
        let (_, header) = lines.next().ok_or("is empty")?;
        let names: Vec<&str> = header.split('\t').map(str::trim).collect();
        let column = |name: &str| names.iter().position(|have| *have == name);
        let needed = |name: &str| column(name).ok_or(format!("the first line names no column {name:?}"));
        let (state, start, end) = (needed("state")?, needed("start_s")?, needed("end_s")?);
        let video = column("video");
        let file = Path::new(source).file_name().unwrap_or_default().to_string_lossy();
        let mut rows = Vec::new();
        for (number, line) in lines {
            let cells: Vec<&str> = line.split('\t').map(str::trim).collect();
            let cell = |i: usize| cells.get(i).copied().unwrap_or_default();
            if video.is_some_and(|video| cell(video) != file) {
                continue;
            }
            let wrong = |why: &str| format!("line {}: {why}", number + 1);
            let seconds = |i: usize| cell(i).parse::<f64>().ok().filter(|s| s.is_finite());
            let (Some(start), Some(end)) = (seconds(start), seconds(end)) else {
                return Err(wrong("start_s and end_s must be seconds"));
            };
            if start >= end
                || cell(state).is_empty()
                || cell(state).contains('/')
                || cell(state).starts_with('.')
            {
                return Err(wrong("want a state, and start_s before end_s"));
            }
            rows.push(Row { state: cell(state).into(), start, end });
        }
        if rows.is_empty() {
            return Err(format!("has no row for {file}"));
        }
        Ok(Timeline(rows))
    }

    /// State, start and end in seconds of every row, transitions included.
    pub fn rows(&self) -> impl Iterator<Item = (&str, f64, f64)> {
        self.0.iter().map(|row| (row.state.as_str(), row.start, row.end))
    }

    /// The state at this many seconds; `None` in a transition or outside all rows.
    pub fn state(&self, seconds: f64) -> Option<&str> {
        let row = self.0.iter().find(|row| (row.start..row.end).contains(&seconds))?;
        (row.state != TRANSITION).then_some(row.state.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# a comment\nvideo\tstate\tstart_s\tend_s\na.mp4\topen\t0\t2.5\n\
                        a.mp4\ttransition\t2.5\t3\na.mp4\tclosed\t3\t9\nb.mp4\topen\t0\t99\n";

    #[test]
    fn states_by_time_of_the_sources_own_rows() {
        let timeline = Timeline::parse(TEXT, "/videos/a.mp4").unwrap();
        let at = |seconds| timeline.state(seconds);
        assert_eq!(
            [at(0.0), at(2.4), at(2.6), at(3.0), at(9.0)],
            [Some("open"), Some("open"), None, Some("closed"), None]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let error = |text: &str| Timeline::parse(text, "a.mp4").err().unwrap();
        assert!(error("").contains("empty"));
        assert!(error("state\tend_s\nopen\t1\n").contains("start_s"));
        assert!(error("state\tstart_s\tend_s\nopen\tx\t1\n").contains("line 2"));
        assert!(error("state\tstart_s\tend_s\nopen\t2\t1\n").contains("line 2"));
        assert!(error("video\tstate\tstart_s\tend_s\nb.mp4\topen\t1\t2\n").contains("no row for a.mp4"));
    }
}
