use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn rate(amount: u64, period: u64, burst: u64) -> Rate {
    Rate::new(amount, period, burst).unwrap()
}

#[test]
fn a_burst_passes_at_once_and_the_rest_at_the_rate() {
    let rate = rate(3, 3 * SECOND, 2);
    let now = 100 * SECOND;
    let state = rate.ask(rate.ask(0, now, 1).unwrap(), now, 1).unwrap();
    assert_eq!(rate.ask(state, now, 1), Err(Wait::For(SECOND)));
    assert_eq!(rate.ask(state, now + SECOND / 4, 1), Err(Wait::For(3 * SECOND / 4)));
    assert!(rate.ask(state, now + SECOND, 1).is_ok());
}

#[test]
fn what_costs_more_than_a_burst_is_never_admitted() {
    let rate = rate(10, SECOND, 5);
    assert!(rate.ask(0, SECOND, 5).is_ok());
    assert_eq!(rate.ask(0, SECOND, 6), Err(Wait::Never));
    assert_eq!(rate.ask(0, SECOND, u64::MAX), Err(Wait::Never));
}

#[test]
fn a_cost_known_late_may_overdraw_and_the_debt_is_bounded() {
    let rate = rate(10, 10 * SECOND, 10).with_debt();
    let now = 1_000 * SECOND;
    let state = rate.charge(0, now, 25);
    assert_eq!(rate.available(state, now), 0);
    assert_eq!(rate.ask(state, now, 1), Err(Wait::For(16 * SECOND)), "15 units of debt, and one to spend");
    assert_eq!(rate.ask(state, now, 0), Err(Wait::For(15 * SECOND)), "in debt not even nothing is admitted");
    assert!(rate.ask(state, now + 16 * SECOND, 1).is_ok());
    let locked = rate.charge(state, now, u64::MAX);
    assert_eq!(rate.until_whole(locked, now), 110 * SECOND, "a burst, and ten of debt");
}

#[test]
fn a_clock_that_went_backwards_locks_nobody_out_for_longer_than_the_quota() {
    let rate = rate(1, SECOND, 1);
    let state = rate.ask(0, 1_000_000 * SECOND, 1).unwrap();
    let now = 5 * SECOND;
    assert_eq!(rate.ask(rate.plausible(state, now), now, 1), Err(Wait::For(SECOND)));
}

#[test]
fn what_can_be_told_to_clients() {
    let rate = rate(100, 60 * SECOND, 20);
    let now = 1_000 * SECOND;
    assert_eq!((rate.available(0, now), rate.until_more(0, now), rate.until_whole(0, now)), (20, None, 0));
    let state = rate.ask(0, now, 5).unwrap();
    assert_eq!(rate.available(state, now), 15);
    assert_eq!(rate.until_more(state, now), Some(SECOND * 6 / 10));
    assert_eq!(rate.until_whole(state, now), 3 * SECOND);
}

#[test]
fn rates_that_nanoseconds_cannot_tell_are_refused() {
    assert_eq!(Rate::new(700_000_000, SECOND, 1), Err(Unusable::TooFast), "1.43 ns would become 2");
    assert!(Rate::new(500_000_000, SECOND, 1).is_ok(), "2 ns each");
    assert_eq!(Rate::new(2_000_000_000, SECOND, 1), Err(Unusable::TooFast));
    assert!(Rate::new(999_999, SECOND, 1).is_ok());
    assert_eq!(Rate::new(1, 86_400 * SECOND, 1_000_000), Err(Unusable::TooSlow));
    assert_eq!(Rate::new(1, u64::MAX, u64::MAX), Err(Unusable::TooSlow));
}

/// A bucket of tokens, told in words: it fills with time, never above a burst; a clock that goes back behind the moment
/// at which it was full empties it as much. Where that is below the debt that is allowed by more than workers' clocks
/// differ, it empties to that debt.
struct Bucket {
    /// In nanoseconds' worth of tokens; below zero is debt.
    level: i128,
    full: i128,
    least: i128,
    /// When the level was that; of a full bucket, since when.
    at: i128,
}

impl Bucket {
    fn level(&mut self, now: u64) -> i128 {
        let now = i128::from(now);
        let level = self.level + now - self.at;
        self.at = now - (level - self.full).max(0);
        self.level = if level < self.least - i128::from(SKEW) { self.least } else { level.min(self.full) };
        self.level
    }

    fn spend(&mut self, now: u64, tokens: i128) {
        let level = self.level(now);
        self.level = (level - tokens).max(self.least).min(level);
        self.at = i128::from(now);
    }
}

/// Numbers that a seed determines (splitmix64): a million steps through proptest's strategies take half a minute.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Mostly a little later, sometimes much later or earlier.
    fn after(&mut self, now: u64) -> u64 {
        match self.below(12) {
            0 if self.below(8) == 0 => now - self.below(3 * SKEW),
            0 => now - self.below(100_000),
            1 => now + self.below(10_000_000),
            _ => now + self.below(400),
        }
    }
}

/// Two million steps, with time jumping both ways; `TIDEGATE_CASES` asks for more than 5000 times 400.
#[test]
fn it_agrees_with_a_bucket_of_tokens() {
    let cases = std::env::var("TIDEGATE_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(5_000);
    (0..cases).for_each(agrees);
}

fn agrees(seed: u64) {
    let mut numbers = Numbers(seed);
    // Intervals are whole nanoseconds here, so that the model is exact too.
    let (interval, burst, late) = (1 + numbers.below(100), 1 + numbers.below(20), seed.is_multiple_of(2));
    let rate = rate(7, 7 * interval, burst);
    let rate = if late { rate.with_debt() } else { rate };
    let full = i128::from(burst * interval);
    let least = if late { -full * i128::from(MOST_DEBT) } else { 0 };
    let mut bucket = Bucket { level: full, full, least, at: 0 };
    let (mut now, mut state) = (1_000_000 * SECOND, 0);
    for step in 0..400 {
        now = numbers.after(now);
        state = rate.plausible(state, now);
        let cost = numbers.below(burst + 2);
        let wanted = i128::from(cost * interval);
        if late && numbers.below(4) == 0 {
            let cost = cost * numbers.below(20);
            state = rate.charge(state, now, cost);
            bucket.spend(now, i128::from(cost * interval));
        } else {
            let level = bucket.level(now);
            match rate.ask(state, now, cost) {
                Ok(after) => {
                    assert!(level >= wanted && cost <= burst, "seed {seed}, step {step}");
                    bucket.spend(now, wanted);
                    state = after;
                }
                Err(Wait::Never) => assert!(cost > burst, "seed {seed}, step {step}"),
                Err(Wait::For(wait)) => {
                    assert_eq!(i128::from(wait), wanted - level, "seed {seed}, step {step}")
                }
            }
        }
        let level = bucket.level(now);
        let available = level.max(0) / i128::from(interval);
        assert_eq!(i128::from(rate.available(state, now)), available, "seed {seed}, step {step}");
        assert_eq!(i128::from(rate.until_whole(state, now)), full - level, "seed {seed}, step {step}");
    }
}

proptest! {
    #[test]
    fn no_numbers_overflow(
        amount: u64, period: u64, burst: u64, late: bool, state: u64, now: u64, cost: u64
    ) {
        if let Ok(rate) = Rate::new(amount, period, burst) {
            let rate = if late { rate.with_debt() } else { rate };
            let state = rate.plausible(state, now);
            let _ = rate.ask(state, now, cost);
            let _ = rate.until_more(state, now);
            prop_assert!(rate.charge(state, now, cost) <= now.saturating_add(rate.ceiling).max(state));
        }
    }
}

/// A worker that asked for the time, was suspended and decides late sees states from its own future.
#[test]
fn a_late_worker_gives_nothing_away() {
    let rate = Rate::new(100, SECOND, 100).unwrap();
    let now = 1_000 * SECOND;
    let mut state = 0;
    for _ in 0..100 {
        state = rate.ask(state, now, 1).unwrap();
    }
    let earlier = now - SECOND / 20;
    let seen = rate.plausible(state, earlier);
    assert_eq!(seen, state);
    assert!(matches!(rate.ask(seen, earlier, 1), Err(Wait::For(_))));
    assert_eq!(rate.ask(seen, now, 1), Err(Wait::For(SECOND / 100)));
    assert_eq!(rate.charge(state, earlier, 1), state, "nor does a late charge");
}
