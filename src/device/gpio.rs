//! GPIO: output lines of a character device that follow the state of a watch.

use crate::board::Board;
use crate::config::{Config, GpioLine, Level};
use crate::watch::decision::Verdict;
use anyhow::{Context, Result, bail};
use gpiocdev::Request;
use gpiocdev::line::{Offset, Value};

/// One requested line.
struct Line {
    /// Index of the watch it follows and of the state that makes it active; none while the model
    /// is missing, which leaves the line at its fail-safe level.
    follows: Option<(usize, u8)>,
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
    /// Requests the configured lines, each at its fail-safe level. To be called before anything
    /// slow: until then the lines float, or keep what a crash left.
    pub fn open(config: &Config, board: &Board) -> Result<Gpio> {
        let mut gpio = Gpio::default();
        for line in &config.gpio.lines {
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
            let request = request.request().with_context(|| {
                let GpioLine { line, state, model, camera, .. } = line;
                format!("gpio: line {line} ({state} of {model} on {camera}) on {}", chip.display())
            })?;
            gpio.lines.push(Line { follows: None, fail_safe: line.fail_safe, offset, request });
        }
        Ok(gpio)
    }

    /// Ties each line to its watch. `find` gives the index of a (model, camera) watch and its
    /// states, as far as they are known.
    pub fn follow(&mut self, config: &Config, find: impl Fn(&str, &str) -> Option<(usize, Vec<String>)>) {
        for (line, wanted) in self.lines.iter_mut().zip(&config.gpio.lines) {
            line.follows = find(&wanted.model, &wanted.camera).and_then(|(watch, states)| {
                let state = states.iter().position(|state| *state == wanted.state)?;
                Some((watch, state as u8))
            });
        }
    }

    /// Sets the lines of a watch.
    pub fn set(&self, watch: usize, verdict: Verdict) {
        for line in &self.lines {
            if let Some((_, state)) = line.follows.filter(|(follows, _)| *follows == watch) {
                line.set(level(verdict, state, line.fail_safe));
            }
        }
    }
}

impl Gpio {
    /// Sets the lines of a watch of which nothing is known.
    pub fn fail_safe(&self, watch: usize) {
        let mine = |line: &&Line| line.follows.is_none_or(|(follows, _)| follows == watch);
        self.lines.iter().filter(mine).for_each(|line| line.set(line.fail_safe));
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
