//! Requests of hot keys, taken in advance by one worker: most requests of such a key then need no shared data.
//!
//! What is taken in advance is charged when it is taken. So at any time no more is spent beyond the quotas than the
//! workers hold, each at most one less than it takes at a time; and no more falls short of them than what workers hold of
//! a key that has stopped coming to them.

use crate::state::State;
use crate::table::KeyDigest;

/// What one worker has taken in advance, of the keys that came to it last.
#[derive(Debug)]
pub struct Advance {
    /// How many requests are taken at a time.
    most: u64,
    slots: Vec<Slot>,
}

/// What a worker holds of one key.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    key: KeyDigest,
    /// Taken and not used.
    left: u64,
    /// Until when it may be used.
    until: u64,
    /// When the key came last.
    seen: u64,
    /// The key's state when it was taken.
    state: State,
}

/// What is to be done about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// It has been taken already; the state of its key at that time.
    Taken(State),
    /// The table is to be asked: for so many requests, after so many that were not used have been given back.
    Ask {
        /// The request itself, and those that are likely to follow it.
        requests: u64,
        /// What lapsed.
        unused: u64,
    },
}

/// Hot keys that one worker can tell apart.
const SLOTS: usize = 256;

/// For how long what was taken may be used, in nanoseconds; a key is hot if it comes often enough to use all in that time.
const LAPSE: u64 = 100_000_000;

impl Advance {
    /// Takes `most` requests at a time, at least two.
    #[must_use]
    pub fn new(most: u64) -> Self {
        Self { most: most.max(2), slots: vec![Slot::default(); SLOTS] }
    }

    /// What to do about a request of `key` at `now`.
    pub fn look(&mut self, key: KeyDigest, now: u64) -> Held {
        let most = self.most;
        let Some(slot) = self.slot(key) else { return Held::Ask { requests: 1, unused: 0 } };
        if slot.key != key {
            // What was held of the key that stood here is lost to it.
            *slot = Slot { key, seen: now, ..Slot::default() };
            return Held::Ask { requests: 1, unused: 0 };
        }
        // A clock that went backwards makes everything lapse.
        let lapsed = now >= slot.until || now < slot.seen;
        let hot = now.abs_diff(slot.seen) <= LAPSE / most;
        slot.seen = now;
        if slot.left > 0 && !lapsed {
            slot.left -= 1;
            return Held::Taken(slot.state);
        }
        let unused = std::mem::take(&mut slot.left);
        Held::Ask { requests: if hot { most } else { 1 }, unused }
    }

    /// Notes that of `key` so many requests were taken beyond the one that asked, and the state afterwards.
    pub fn hold(&mut self, key: KeyDigest, now: u64, left: u64, state: State) {
        if let Some(slot) = self.slot(key).filter(|slot| slot.key == key) {
            slot.left = left;
            slot.until = now.saturating_add(LAPSE);
            slot.state = state;
        }
    }

    fn slot(&mut self, key: KeyDigest) -> Option<&mut Slot> {
        // The upper half: the lower tells a table's buckets apart.
        let place = (key >> 64) as usize % SLOTS;
        self.slots.get_mut(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000_000;
    const MILLISECOND: u64 = 1_000_000;
    const ONE: Held = Held::Ask { requests: 1, unused: 0 };

    fn ask(requests: u64, unused: u64) -> Held {
        Held::Ask { requests, unused }
    }

    #[test]
    fn a_key_that_comes_often_is_taken_in_advance_and_one_that_does_not_is_not() {
        let mut advance = Advance::new(10);
        assert_eq!(advance.look(1, NOW), ONE);
        assert_eq!(advance.look(1, NOW + 11 * MILLISECOND), ONE, "ten would not be used in 100 ms");
        let now = NOW + 21 * MILLISECOND;
        assert_eq!(advance.look(1, now), ask(10, 0));
        advance.hold(1, now, 9, State::default());
        for request in 0..9 {
            assert!(matches!(advance.look(1, now + request), Held::Taken(_)));
        }
        assert_eq!(advance.look(1, now + 9), ask(10, 0), "all are used");
    }

    #[test]
    fn what_is_not_used_in_time_is_given_back() {
        let mut advance = Advance::new(10);
        let _ = advance.look(1, NOW);
        assert_eq!(advance.look(1, NOW + 1), ask(10, 0));
        advance.hold(1, NOW + 1, 9, State::default());
        assert!(matches!(advance.look(1, NOW + 2), Held::Taken(_)));
        assert_eq!(advance.look(1, NOW + 101 * MILLISECOND), ask(1, 8));
        assert_eq!(advance.look(1, NOW + 102 * MILLISECOND), ask(10, 0), "once");
    }

    #[test]
    fn a_clock_that_goes_backwards_makes_everything_lapse() {
        let mut advance = Advance::new(10);
        let _ = advance.look(1, NOW);
        advance.hold(1, NOW, 9, State::default());
        assert_eq!(advance.look(1, NOW - 1), ask(10, 9));
    }

    #[test]
    fn keys_of_one_slot_do_not_get_each_others_requests() {
        let mut advance = Advance::new(10);
        let (one, two) = (1, 2);
        let _ = advance.look(one, NOW);
        advance.hold(one, NOW, 9, State::default());
        assert_eq!(advance.look(two, NOW), ONE);
        advance.hold(one, NOW, 9, State::default());
        assert_eq!(advance.look(two, NOW + MILLISECOND), ask(10, 0));
        assert_eq!(advance.look(one, NOW + MILLISECOND), ONE);
    }
}
