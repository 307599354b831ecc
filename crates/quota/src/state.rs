//! What is kept of one key, and what its limit makes of it: all quotas and the concurrency in one step.

use crate::concurrency::{Concurrency, Lease, Leases};
use crate::gcra::{Rate, Wait};

/// What a quota counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Each request is one.
    Requests,
    /// Whatever the limit's cost says.
    Units,
}

/// By what the states of a limit's keys are judged.
#[derive(Debug, Clone)]
pub struct Rules {
    /// At most [`MOST_QUOTAS`].
    pub rates: Vec<(Unit, Rate)>,
    /// How many requests may be under way at once, if that is limited.
    pub concurrency: Option<Concurrency>,
}

/// So that a state has a fixed size and needs no memory of its own.
pub const MOST_QUOTAS: usize = 8;

/// What is kept of one key. Of a key that was never seen: nothing but zeroes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State {
    arrivals: [u64; MOST_QUOTAS],
    /// Those of requests under way.
    pub leases: Leases,
}

/// What a request costs: of quotas that count requests, and of those that count units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Of quotas that count requests.
    pub requests: Ask,
    /// Of quotas that count units.
    pub units: Ask,
}

/// How much of a quota a request needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    /// So much, to be taken now.
    Take(u64),
    /// What it costs becomes known later: there must be something left, and nothing is taken.
    Look,
}

/// What a limit makes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass. The state afterwards.
    Admitted(State, Option<Lease>),
    /// It may not; nothing is taken. The state without what a clock that has since gone backwards left in it.
    Refused(State, Refusal),
}

impl Verdict {
    /// The state afterwards.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Admitted(state, _) | Self::Refused(state, _) => *state,
        }
    }
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Refusal {
    /// Which quotas have too little left, by their places: bit 0 is the first.
    quotas: u8,
    /// Whether too many are under way.
    pub concurrency: bool,
    /// How long until all quotas have enough; `None` if no time will do.
    wait: Option<u64>,
}

impl Refusal {
    /// Whether the quota in this place has too little left.
    pub fn names(&self, quota: usize) -> bool {
        u32::try_from(quota).ok().and_then(|place| self.quotas.checked_shr(place)).unwrap_or(0) & 1 == 1
    }

    /// After how many nanoseconds the same request would be admitted, if that can be told: nobody knows when requests
    /// that are under way will end.
    pub fn wait(&self) -> Option<u64> {
        self.wait_for_quotas().filter(|_| !self.concurrency)
    }

    /// The same for the quotas alone, whatever is under way.
    pub fn wait_for_quotas(&self) -> Option<u64> {
        self.wait
    }
}

impl Rules {
    /// Asks for everything at once: one quota that has too little left keeps all others untouched.
    pub fn decide(&self, state: State, now: u64, cost: Cost) -> Verdict {
        let state = self.plausible(state, now);
        let mut after = state;
        let mut refusal = Refusal { wait: Some(0), ..Refusal::default() };
        for (place, ((unit, rate), arrival)) in self.rates.iter().zip(&mut after.arrivals).enumerate() {
            let asked = match cost.of(*unit) {
                Ask::Take(units) => rate.ask(*arrival, now, units),
                Ask::Look => rate.ask(*arrival, now, 1).map(|_| *arrival),
            };
            match asked {
                Ok(taken) => *arrival = taken,
                Err(wait) => {
                    refusal.quotas |= 1 << place;
                    refusal.wait = match wait {
                        Wait::For(longer) => refusal.wait.map(|wait| wait.max(longer)),
                        Wait::Never => None,
                    };
                }
            }
        }
        let mut lease = None;
        if let Some(concurrency) = &self.concurrency {
            match concurrency.take(after.leases) {
                Some((leases, taken)) => {
                    after.leases = leases;
                    lease = Some(taken);
                }
                None => refusal.concurrency = true,
            }
        }
        if refusal.quotas == 0 && !refusal.concurrency {
            Verdict::Admitted(after, lease)
        } else {
            Verdict::Refused(state, refusal)
        }
    }

    /// Takes what was spent already.
    pub fn charge(&self, state: State, now: u64, requests: u64, units: u64) -> State {
        let mut state = self.plausible(state, now);
        for ((unit, rate), arrival) in self.rates.iter().zip(&mut state.arrivals) {
            let cost = match unit {
                Unit::Requests => requests,
                Unit::Units => units,
            };
            if cost > 0 {
                *arrival = rate.charge(*arrival, now, cost);
            }
        }
        state
    }

    /// Gives a lease back.
    pub fn give_back(&self, state: State, now: u64, lease: Lease) -> State {
        let mut state = self.plausible(state, now);
        if let Some(concurrency) = &self.concurrency {
            state.leases = concurrency.give_back(state.leases, lease);
        }
        state
    }

    /// Whether the state is as good as that of a key never seen.
    pub fn says_nothing(&self, state: &State, now: u64) -> bool {
        let spent = self.arrivals(state).any(|arrival| arrival > now);
        let under_way =
            self.concurrency.is_some_and(|concurrency| concurrency.current(state.leases, now).in_use() > 0);
        !spent && !under_way
    }

    /// Each quota's unit, rate and arrival, in their order.
    pub fn quotas<'r>(&'r self, state: &State) -> impl Iterator<Item = (&'r Rate, u64)> {
        self.rates.iter().map(|(_, rate)| rate).zip(state.arrivals)
    }

    /// The size of a serialised state.
    pub fn size(&self) -> usize {
        self.rates.len() * size_of::<u64>() + self.concurrency.map_or(0, |_| Leases::SIZE)
    }

    /// Reads a serialised state; anything shorter is as good as none.
    pub fn read(&self, bytes: &[u8]) -> State {
        let mut state = State::default();
        let Some((arrivals, leases)) = bytes.split_at_checked(self.rates.len() * size_of::<u64>()) else {
            return state;
        };
        for (arrival, word) in state.arrivals.iter_mut().zip(arrivals.as_chunks().0) {
            *arrival = u64::from_le_bytes(*word);
        }
        if self.concurrency.is_some() {
            state.leases = Leases::read(leases).unwrap_or_default();
        }
        state
    }

    /// Writes the serialised form over as many bytes.
    pub fn write(&self, state: &State, to: &mut [u8]) {
        let Some((arrivals, leases)) = to.split_at_mut_checked(self.rates.len() * size_of::<u64>()) else {
            return;
        };
        for (word, arrival) in arrivals.as_chunks_mut().0.iter_mut().zip(self.arrivals(state)) {
            *word = arrival.to_le_bytes();
        }
        if self.concurrency.is_some() {
            state.leases.write(leases);
        }
    }

    fn arrivals(&self, state: &State) -> impl Iterator<Item = u64> {
        state.arrivals.into_iter().take(self.rates.len())
    }

    fn plausible(&self, mut state: State, now: u64) -> State {
        for ((_, rate), arrival) in self.rates.iter().zip(&mut state.arrivals) {
            *arrival = rate.plausible(*arrival, now);
        }
        if let Some(concurrency) = &self.concurrency {
            state.leases = concurrency.current(state.leases, now);
        }
        state
    }
}

impl Cost {
    fn of(&self, unit: Unit) -> Ask {
        match unit {
            Unit::Requests => self.requests,
            Unit::Units => self.units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1_000 * SECOND;
    const ONE: Cost = Cost { requests: Ask::Take(1), units: Ask::Take(1) };

    fn rules(quotas: &[(Unit, u64, u64)], concurrency: Option<u32>) -> Rules {
        let rate = |amount, seconds| Rate::new(amount, seconds * SECOND, amount).unwrap().with_debt();
        Rules {
            rates: quotas.iter().map(|(unit, amount, seconds)| (*unit, rate(*amount, *seconds))).collect(),
            concurrency: concurrency.map(|max| Concurrency::new(max, 60 * SECOND)),
        }
    }

    fn admitted(verdict: Verdict) -> State {
        match verdict {
            Verdict::Admitted(state, _) => state,
            Verdict::Refused(_, refusal) => panic!("{refusal:?}"),
        }
    }

    fn refused(verdict: Verdict) -> Refusal {
        match verdict {
            Verdict::Refused(_, refusal) => refusal,
            Verdict::Admitted(..) => panic!("admitted"),
        }
    }

    /// The issue's own example.
    #[test]
    fn the_fourth_in_a_minute_is_refused_and_the_hour_keeps_two() {
        let rules = rules(&[(Unit::Requests, 3, 60), (Unit::Requests, 5, 3600)], None);
        let mut state = State::default();
        for _ in 0..3 {
            state = admitted(rules.decide(state, NOW, ONE));
        }
        let refusal = refused(rules.decide(state, NOW, ONE));
        assert!(refusal.names(0) && !refusal.names(1) && !refusal.names(7) && !refusal.names(64));
        assert_eq!(refusal.wait(), Some(20 * SECOND));
        let left: Vec<u64> =
            rules.quotas(&state).map(|(rate, arrival)| rate.available(arrival, NOW)).collect();
        assert_eq!(left, [0, 2]);
    }

    #[test]
    fn requests_and_units_are_counted_apart_and_decided_together() {
        let rules = rules(&[(Unit::Requests, 10, 60), (Unit::Units, 100, 60)], None);
        let cost = |units| Cost { requests: Ask::Take(1), units: Ask::Take(units) };
        let state = admitted(rules.decide(State::default(), NOW, cost(60)));
        assert!(refused(rules.decide(state, NOW, cost(60))).names(1));
        let left = |state: State| -> Vec<u64> {
            rules.quotas(&state).map(|(rate, arrival)| rate.available(arrival, NOW)).collect()
        };
        assert_eq!(left(state), [9, 40]);
        assert_eq!(left(rules.charge(state, NOW, 0, 70)), [9, 0]);
    }

    #[test]
    fn a_cost_to_come_needs_something_left_and_takes_nothing() {
        let rules = rules(&[(Unit::Units, 10, 60)], None);
        let later = Cost { requests: Ask::Take(1), units: Ask::Look };
        let state = admitted(rules.decide(State::default(), NOW, later));
        assert!(rules.says_nothing(&state, NOW));
        let spent = rules.charge(state, NOW, 0, 10);
        assert_eq!(refused(rules.decide(spent, NOW, later)).wait(), Some(6 * SECOND));
    }

    #[test]
    fn what_concurrency_refuses_costs_no_quota_and_nobody_knows_for_how_long() {
        let rules = rules(&[(Unit::Requests, 10, 60)], Some(1));
        let Verdict::Admitted(state, Some(lease)) = rules.decide(State::default(), NOW, ONE) else {
            panic!("no lease");
        };
        let refusal = refused(rules.decide(state, NOW, ONE));
        assert!(refusal.concurrency && !refusal.names(0));
        assert_eq!(refusal.wait(), None);
        assert!(!rules.says_nothing(&state, NOW + 3600 * SECOND / 60));
        let state = rules.give_back(state, NOW, lease);
        assert!(matches!(rules.decide(state, NOW, ONE), Verdict::Admitted(_, Some(_))));
    }

    #[test]
    fn a_state_is_read_as_it_was_written() {
        let rules = rules(&[(Unit::Requests, 10, 60), (Unit::Units, 100, 60)], Some(3));
        let state = admitted(rules.decide(State::default(), NOW, ONE));
        let mut bytes = vec![0; rules.size()];
        rules.write(&state, &mut bytes);
        assert_eq!(rules.read(&bytes), state);
        assert_eq!(rules.read(&bytes[..5]), State::default());
    }
}
