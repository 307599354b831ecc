//! Time that does not jump.

use std::cell::Cell;
use std::time::Duration;

use tidegate_filter_api::{Host, Timestamp};

/// A step of the host's clock larger than this is a jump, not time.
const LARGEST_STEP: Duration = Duration::from_secs(60);

/// How long this worker has been at work, as its ticks tell it. The host's clock is the wall's: set back by an hour, a
/// pause of a second would last an hour.
#[derive(Debug, Default)]
pub(crate) struct Steady {
    last: Cell<Option<Timestamp>>,
    elapsed: Cell<Duration>,
}

impl Steady {
    /// Takes in the time that has passed since the last tick.
    pub(crate) fn tick(&self, host: &dyn Host) -> Duration {
        let now = host.now();
        if let Some(last) = self.last.replace(Some(now)) {
            self.elapsed.set(self.elapsed.get() + now.since(last).min(LARGEST_STEP));
        }
        self.elapsed.get()
    }

    /// The time at the last tick.
    pub(crate) fn now(&self) -> Duration {
        self.elapsed.get()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_testkit::fake::FakeHost;

    use super::*;

    #[test]
    fn jumps_of_the_wall_clock_are_no_time() {
        let (host, clock) = (FakeHost::new(), Steady::default());
        clock.tick(&*host);
        host.advance(Duration::from_secs(2));
        assert_eq!(clock.tick(&*host), Duration::from_secs(2));
        host.rewind(Duration::from_secs(3_600));
        assert_eq!(clock.tick(&*host), Duration::from_secs(2));
        host.advance(Duration::from_secs(1));
        assert_eq!(clock.tick(&*host), Duration::from_secs(3));
        host.advance(Duration::from_secs(86_400));
        assert_eq!(clock.tick(&*host), Duration::from_secs(3) + LARGEST_STEP);
        assert_eq!(clock.now(), Duration::from_secs(3) + LARGEST_STEP);
    }
}
