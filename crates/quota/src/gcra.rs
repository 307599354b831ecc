//! The generic cell rate algorithm (ITU-T I.371 annex A): quotas as arithmetic on theoretical arrival times.
//!
//! A quota's whole state is one number, the time at which it will be whole again. Time is an argument; all of it is in
//! nanoseconds.

/// How fast units come back, and how many of them may be spent at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In what time one unit comes back.
    interval: u64,
    burst: u64,
    /// In what time a whole burst does.
    capacity: u64,
    /// How far ahead of now the state may be: the capacity, and the debt where costs become known too late to refuse.
    ceiling: u64,
}

/// How long to wait for what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// So many nanoseconds, if nobody else asks meanwhile.
    For(u64),
    /// More was asked for than a burst: no time will do.
    Never,
}

/// Why numbers make no rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// Whole nanoseconds do not tell such a rate from one that is a thousandth slower.
    TooFast,
    /// A burst takes more than twenty years to come back.
    TooSlow,
}

/// Costs that become known too late may put a key in debt, by so many bursts at most: a response that lies about its cost
/// must not lock a key for good.
pub const MOST_DEBT: u64 = 10;

/// By how much two workers may disagree on the time: one may have been suspended between asking for it and deciding.
const SKEW: u64 = 1_000_000_000;

/// Eleven times this and today's time are far from the end of 64 bits.
const SLOWEST: u64 = 20 * 365 * 86_400_000_000_000;

impl Rate {
    /// `amount` per `period` nanoseconds, at most `burst` at once; none of them zero.
    pub fn new(amount: u64, period: u64, burst: u64) -> Result<Self, Unusable> {
        let amount = amount.max(1);
        // Rounded up: rounding never admits more than the quota.
        let interval = period.div_ceil(amount).max(1);
        let rounded = u128::from(interval) * u128::from(amount) - u128::from(period);
        if rounded * 1000 > u128::from(period) {
            return Err(Unusable::TooFast);
        }
        let capacity = interval.checked_mul(burst).filter(|capacity| *capacity <= SLOWEST);
        let capacity = capacity.ok_or(Unusable::TooSlow)?;
        Ok(Self { interval, burst, capacity, ceiling: capacity })
    }

    /// The same for costs that become known after a request was admitted: they may put a key in debt.
    pub fn with_debt(self) -> Self {
        Self { ceiling: self.capacity + self.capacity * MOST_DEBT, ..self }
    }

    /// The state as it can be at `now`: nothing leaves one far beyond the ceiling, unless the clock went backwards since.
    /// Then the quota counts as used up, not as locked until the clock has caught up. A little beyond is another worker's
    /// newer state, seen by one that asked for the time earlier: to lower it would give away what was spent.
    pub fn plausible(&self, state: u64, now: u64) -> u64 {
        let ceiling = now.saturating_add(self.ceiling);
        if state > ceiling.saturating_add(SKEW) { ceiling } else { state }
    }

    /// Asks for `cost` units at `now`, given a plausible `state` (0: never used). The state afterwards.
    pub fn ask(&self, state: u64, now: u64, cost: u64) -> Result<u64, Wait> {
        if cost > self.burst {
            return Err(Wait::Never);
        }
        let full = now.saturating_add(self.capacity);
        let after = state.max(now).saturating_add(cost.saturating_mul(self.interval));
        if after <= full { Ok(after) } else { Err(Wait::For(after - full)) }
    }

    /// Takes `cost` units that were spent already. The state afterwards: at most the ceiling.
    pub fn charge(&self, state: u64, now: u64, cost: u64) -> u64 {
        let after = state.max(now).saturating_add(cost.saturating_mul(self.interval));
        after.min(now.saturating_add(self.ceiling)).max(state)
    }

    /// How many units could be spent at once.
    pub fn available(&self, state: u64, now: u64) -> u64 {
        let full = now.saturating_add(self.capacity);
        full.saturating_sub(state.max(now)) / self.interval
    }

    /// Until when no more than [`Rate::available`] can be spent; `None` if that is the whole burst.
    pub fn until_more(&self, state: u64, now: u64) -> Option<u64> {
        match self.ask(state, now, self.available(state, now) + 1) {
            Err(Wait::For(wait)) => Some(wait),
            _ => None,
        }
    }

    /// Until when the quota is whole again.
    pub fn until_whole(&self, state: u64, now: u64) -> u64 {
        state.saturating_sub(now)
    }
}

#[cfg(test)]
mod tests;
