//! Identifiers and samples that nobody can foresee.

use std::cell::Cell;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use tidegate_filter_api::Host;

/// Makes trace and span ids: a keyed hash of a counter, with a key of this worker's own. One call for randomness serves
/// all of them.
#[derive(Debug)]
pub(crate) struct Ids {
    key: [u8; 16],
    counter: Cell<u64>,
}

impl Ids {
    pub(crate) fn new(host: &dyn Host) -> Self {
        // A host without randomness still has a clock; that its ids could be foreseen harms no one.
        let key = host.random().unwrap_or_else(|_| u128::from(host.now().0).to_le_bytes());
        Self { key, counter: Cell::new(0) }
    }

    /// Sixteen bytes, never all zero in their lower half.
    pub(crate) fn next(&self) -> [u8; 16] {
        let counter = self.counter.get().wrapping_add(1);
        self.counter.set(counter);
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(counter);
        let bytes = hasher.finish128().as_bytes();
        if bytes.ends_with(&[0; 8]) { self.next() } else { bytes }
    }

    /// Eight bytes, never all zero.
    pub(crate) fn next_half(&self) -> [u8; 8] {
        let [_, _, _, _, _, _, _, _, half @ ..] = self.next();
        half
    }

    /// The key of this worker, for hash tables that clients fill.
    pub(crate) fn key(&self) -> [u8; 16] {
        self.key
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use tidegate_testkit::fake::FakeHost;

    use super::*;

    #[test]
    fn ids_do_not_repeat() {
        let ids = Ids::new(&*FakeHost::new());
        let seen: BTreeSet<_> = (0..10_000).map(|_| ids.next_half()).collect();
        assert_eq!(seen.len(), 10_000);
    }
}
