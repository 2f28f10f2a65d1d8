//! GPIO: output lines of a character device that follow the state of a watch.

use crate::board::Board;
use crate::config::{Config, GpioLine, Level};
use crate::watch::decision::Verdict;
use anyhow::{Context, Result, bail};
use gpiocdev::Request;
use gpiocdev::line::{Offset, Value};

/// One requested line.
struct Line {
    /// Index of the watch it follows.
    watch: usize,
    /// Index of the state that makes it active.
    state: u8,
    fail_safe: Level,
    offset: Offset,
    request: Request,
}

/// All output lines. While it lives, the kernel holds them for this process.
#[derive(Default)]
pub struct Gpio {
    lines: Vec<Line>,
}

impl Gpio {
    /// Requests the configured lines, each at its fail-safe level. `find` gives the index of a
    /// (model, camera) watch and its states; `None` while its model is missing, which leaves the
    /// line at its fail-safe level.
    pub fn open(
        config: &Config,
        board: &Board,
        find: impl Fn(&str, &str) -> Option<(usize, Vec<String>)>,
    ) -> Result<Gpio> {
        let mut gpio = Gpio::default();
        for line in &config.gpio.lines {
            let what =
                || format!("gpio: line {} ({} of {} on {})", line.line, line.state, line.model, line.camera);
            let (watch, state) = match find(&line.model, &line.camera) {
                Some((watch, states)) => (watch, state_index(line, &states).with_context(what)?),
                None => (usize::MAX, 0),
            };
            let chip = config.gpio.chip.clone().or_else(|| board.gpio.chip.as_ref().map(Into::into));
            let (Some(chip), Some(offset)) = (chip, config.line_offset(&line.line, board)) else {
                bail!("gpio: no chip for line {}", line.line);
            };
            let mut request = Request::builder();
            request.on_chip(&chip).with_consumer("ajard").with_line(offset);
            request.as_output(value(line.fail_safe));
            if line.active_low {
                request.as_active_low();
            }
            let request = request.request().with_context(|| format!("{} on {}", what(), chip.display()))?;
            gpio.lines.push(Line { watch, state, fail_safe: line.fail_safe, offset, request });
        }
        Ok(gpio)
    }

    /// Sets the lines of a watch.
    pub fn set(&self, watch: usize, verdict: Verdict) {
        for line in self.lines.iter().filter(|line| line.watch == watch) {
            line.set(level(verdict, line.state, line.fail_safe));
        }
    }
}

impl Drop for Gpio {
    fn drop(&mut self) {
        for line in &self.lines {
            line.set(line.fail_safe);
        }
    }
}

impl Line {
    fn set(&self, level: Level) {
        if let Err(error) = self.request.set_value(self.offset, value(level)) {
            log::error!("gpio: line {}: {error}", self.offset);
        }
    }
}

/// The level of a line that is active in `state`.
fn level(verdict: Verdict, state: u8, fail_safe: Level) -> Level {
    match verdict {
        Verdict::State(now) if now == state => Level::Active,
        Verdict::State(_) => Level::Inactive,
        Verdict::Unknown(_) => fail_safe,
    }
}

fn value(level: Level) -> Value {
    match level {
        Level::Active => Value::Active,
        Level::Inactive => Value::Inactive,
    }
}

fn state_index(line: &GpioLine, states: &[String]) -> Result<u8> {
    let index = states.iter().position(|state| *state == line.state);
    index.map(|index| index as u8).with_context(|| {
        format!("the model {} has no state {:?}, only {}", line.model, line.state, states.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::watch::decision::Unknown;

    #[test]
    fn lines_follow_their_state_and_fall_back_when_it_is_not_known() {
        use Level::{Active, Inactive};
        assert_eq!(level(Verdict::State(1), 1, Inactive), Active);
        assert_eq!(level(Verdict::State(0), 1, Active), Inactive);
        for why in [Unknown::Starting, Unknown::Ambiguous, Unknown::Stale] {
            assert_eq!(level(Verdict::Unknown(why), 1, Inactive), Inactive);
            assert_eq!(level(Verdict::Unknown(why), 1, Active), Active);
        }
    }
}
