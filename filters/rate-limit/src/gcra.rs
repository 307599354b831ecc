//! The generic cell rate algorithm (ITU-T I.371 annex A): quotas as arithmetic on theoretical arrival times.
//!
//! A quota's whole state is one number, the time at which the bucket will be full again. Time is an argument; all of it
//! is in nanoseconds.

/// So many requests in so much time, of which so many may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    /// What one request costs: the period divided by the number of requests.
    interval: u64,
    /// How far ahead of now the state may be: interval times burst.
    capacity: u64,
}

/// What a quota says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It may pass; the state afterwards.
    Admit(u64),
    /// Not before this many nanoseconds have passed.
    Wait(u64),
}

impl Quota {
    /// `requests` per `period` nanoseconds, at most `burst` at once; `None` where a request would cost less than a
    /// nanosecond.
    pub(crate) fn new(requests: u64, period: u64, burst: u64) -> Option<Self> {
        // Rounded up, so that rounding never admits more than the quota.
        let interval = period.div_ceil(requests.max(1));
        let capacity = interval.checked_mul(burst)?;
        (period >= requests && burst > 0).then_some(Self { interval, capacity })
    }

    /// The state as it can be at `now`: no request leaves one beyond a used-up quota, unless the clock went backwards
    /// since. Then the quota counts as used up, not as locked until the clock has caught up.
    pub(crate) fn plausible(&self, state: u64, now: u64) -> u64 {
        state.min(now.saturating_add(self.capacity))
    }

    /// Decides on a request at `now`, given the `state` that an earlier one left (0 if none did).
    pub(crate) fn decide(&self, state: u64, now: u64) -> Decision {
        let full = now.saturating_add(self.capacity);
        let after = self.plausible(state, now).max(now).saturating_add(self.interval);
        if after <= full { Decision::Admit(after) } else { Decision::Wait(after - full) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
        let quota = Quota::new(3, 3 * SECOND, 2).unwrap();
        let mut state = 0;
        let now = 100 * SECOND;
        for _ in 0..2 {
            let Decision::Admit(after) = quota.decide(state, now) else { panic!("refused within the burst") };
            state = after;
        }
        assert_eq!(quota.decide(state, now), Decision::Wait(SECOND));
        assert_eq!(quota.decide(state, now + SECOND / 4), Decision::Wait(3 * SECOND / 4));
        assert!(matches!(quota.decide(state, now + SECOND), Decision::Admit(_)));
    }

    #[test]
    fn a_clock_that_went_backwards_locks_nobody_out_for_longer_than_the_quota() {
        let quota = Quota::new(1, SECOND, 1).unwrap();
        let Decision::Admit(state) = quota.decide(0, 1_000_000 * SECOND) else { panic!("refused") };
        assert_eq!(quota.decide(state, 5 * SECOND), Decision::Wait(SECOND));
    }

    proptest! {
        /// Against a model that keeps the level of a bucket, for steps of any length forwards.
        #[test]
        fn it_agrees_with_a_leaky_bucket(
            requests in 1_u64..50, burst in 1_u64..20, steps in prop::collection::vec(0_u64..400, 1..400)
        ) {
            // Intervals are whole nanoseconds here, so that the model is exact too.
            let interval = 100;
            let quota = Quota::new(requests, requests * interval, burst).unwrap();
            let (mut state, mut now, mut level) = (0, 1_000_000, 0_u64);
            for step in steps {
                now += step;
                level = level.saturating_sub(step);
                let fits = level + interval <= burst * interval;
                match quota.decide(state, now) {
                    Decision::Admit(after) => {
                        prop_assert!(fits);
                        level += interval;
                        state = after;
                    }
                    Decision::Wait(wait) => {
                        prop_assert!(!fits);
                        prop_assert_eq!(wait, level + interval - burst * interval);
                    }
                }
            }
        }

        #[test]
        fn no_numbers_overflow(requests: u64, period: u64, burst: u64, state: u64, now: u64) {
            if let Some(quota) = Quota::new(requests, period, burst) {
                let _ = quota.decide(state, now);
            }
        }
    }
}
