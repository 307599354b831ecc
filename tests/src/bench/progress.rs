//! A line that says what is going on and how long it may still take: rewritten in place on a terminal, and now and then
//! a new one elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

/// How often a new line is written where none can be rewritten.
const INTERVAL: Duration = Duration::from_secs(15);

pub(super) struct Progress {
    terminal: bool,
    /// What was planned in all, and how much of it has been done.
    planned: Duration,
    done: Duration,
    begun: Instant,
    written: Option<Instant>,
}

impl Progress {
    pub(super) fn new(planned: Duration) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, planned, done: Duration::ZERO, begun: Instant::now(), written: None }
    }

    /// So much of the plan is done.
    pub(super) fn done(&mut self, planned: Duration) {
        self.done += planned;
    }

    pub(super) fn show(&mut self, stage: &str, case: &str) {
        let left = spoken(remaining(self.planned, self.done, self.begun.elapsed()));
        let line = format!("{stage}: {case}, about {left} left");
        if self.terminal {
            eprint!("\r{line}\x1b[K");
            // Nobody reads it: nothing to be done.
            let _ = std::io::stderr().flush();
        } else if self.written.is_none_or(|written| written.elapsed() > INTERVAL) {
            eprintln!("{line}");
            self.written = Some(Instant::now());
        }
    }

    pub(super) fn end(&self, envoys: usize) {
        let (begin, end) = if self.terminal { ("\r", "\x1b[K") } else { ("", "") };
        eprintln!("{begin}measured in {}, {envoys} Envoys{end}", spoken(self.begun.elapsed()));
    }
}

/// What is left of the plan, at the pace so far.
fn remaining(planned: Duration, done: Duration, elapsed: Duration) -> Duration {
    let left = planned.saturating_sub(done);
    // A pace needs something to be read from.
    if done < planned / 20 { left } else { left.mul_f64(elapsed.as_secs_f64() / done.as_secs_f64()) }
}

/// `40 s`, `3 min 20 s`.
pub(super) fn spoken(time: Duration) -> String {
    let seconds = time.as_secs_f64().round() as u64;
    match seconds {
        0..90 => format!("{seconds} s"),
        _ => format!("{} min {} s", seconds / 60, seconds % 60 / 10 * 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_the_pace_so_far() {
        let seconds = Duration::from_secs;
        assert_eq!(remaining(seconds(100), seconds(0), seconds(3)), seconds(100));
        assert_eq!(remaining(seconds(100), seconds(50), seconds(75)), seconds(75));
        assert_eq!(remaining(seconds(100), seconds(110), seconds(75)), seconds(0));
    }

    #[test]
    fn times_are_spoken() {
        assert_eq!(spoken(Duration::from_millis(40_400)), "40 s");
        assert_eq!(spoken(Duration::from_secs(207)), "3 min 20 s");
    }
}
