//! States of many keys in shared data, in memory that is bounded.
//!
//! Shared data never frees a key, so keys of requests are not keys there. A table has a fixed number of buckets, each
//! under a key of its own that holds a few entries: a digest and one state per quota. An entry is given up only when
//! its states lie in the past: the key's quotas are then as full as those of a key never seen.

use tidegate_filter_api::{Cas, Host, HostError, Timestamp};

use crate::gcra::{Decision, Quota};

/// What the table says of one request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It may pass, and has been counted.
    Admitted,
    /// Not before this many nanoseconds; nothing has been counted.
    Refused(u64),
    /// There is no room for a new key.
    Full,
}

/// The states of one limit's keys.
#[derive(Debug)]
pub(crate) struct Table {
    /// What every shared key of this table starts with; no other table's do.
    prefix: Vec<u8>,
    buckets: u64,
    /// Entries in a bucket.
    ways: usize,
    quotas: Vec<Quota>,
}

/// What one more request makes of an entry.
struct Charge {
    entry: Vec<u8>,
    outcome: Outcome,
    /// Whether the entry must be stored.
    store: bool,
}

/// A digest of a request's key: 128 bits, so that two keys share one state never in practice.
pub(crate) type KeyDigest = u128;

const DIGEST: usize = size_of::<KeyDigest>();
const STATE: usize = size_of::<u64>();
/// In front of each bucket: what is read back is checked before it is believed.
const MAGIC: &[u8; 4] = b"tgr1";
const WAYS: u64 = 8;
/// With 4 workers on one bucket a handful are needed; beyond this something else is wrong.
const MOST_ATTEMPTS: usize = 64;

impl Table {
    pub(crate) fn new(prefix: Vec<u8>, max_keys: u64, quotas: Vec<Quota>) -> Self {
        let ways = max_keys.clamp(1, WAYS);
        // Rounded down: the ceiling is a ceiling.
        Self { prefix, buckets: (max_keys / ways).max(1), ways: usize::try_from(ways).unwrap_or(1), quotas }
    }

    /// Decides on a request of `key`, in one atomic step over all quotas and against all other workers.
    pub(crate) fn decide(
        &self,
        key: KeyDigest,
        now: Timestamp,
        host: &dyn Host,
    ) -> Result<Outcome, HostError> {
        let shared_key = self.shared_key(key);
        for _ in 0..MOST_ATTEMPTS {
            let (mut bucket, version) = self.read(&shared_key, host)?;
            let Some(slot) = self.slot(&bucket, key, now) else { return Ok(Outcome::Full) };
            let Charge { entry, outcome, store } = self.charge(&bucket, slot, key, now);
            if !store {
                return Ok(outcome);
            }
            let range = self.range(slot);
            if bucket.len() < range.end {
                bucket.resize(range.end, 0);
            }
            if let Some(place) = bucket.get_mut(range) {
                place.copy_from_slice(&entry);
            }
            match host.set_shared(&shared_key, &bucket, version) {
                Ok(()) => return Ok(outcome),
                Err(HostError::CasMismatch) => {}
                Err(error) => return Err(error),
            }
        }
        Err(HostError::CasMismatch)
    }

    fn shared_key(&self, key: KeyDigest) -> Vec<u8> {
        let bucket = (key % u128::from(self.buckets)) as u64;
        [self.prefix.as_slice(), &bucket.to_le_bytes()].concat()
    }

    /// The bucket, empty if there is none yet or if what is there is not a bucket of this table.
    fn read(&self, shared_key: &[u8], host: &dyn Host) -> Result<(Vec<u8>, Option<Cas>), HostError> {
        let Some(value) = host.shared(shared_key)? else { return Ok((MAGIC.to_vec(), None)) };
        let whole =
            value.bytes.len().checked_sub(MAGIC.len()).is_some_and(|size| size % self.entry_size() == 0);
        let believed =
            whole && value.bytes.starts_with(MAGIC) && value.bytes.len() <= self.range(self.ways).start;
        Ok((if believed { value.bytes } else { MAGIC.to_vec() }, Some(value.cas)))
    }

    /// Where `key` is, or may be put: its own entry, else one that says nothing any more, else a new one.
    fn slot(&self, bucket: &[u8], key: KeyDigest, now: Timestamp) -> Option<usize> {
        let entries = bucket.get(MAGIC.len()..)?.chunks_exact(self.entry_size());
        let used = entries.len();
        let (mut own, mut spare) = (None, None);
        for (slot, entry) in entries.enumerate() {
            if entry.starts_with(&key.to_le_bytes()) {
                own = Some(slot);
            } else if spare.is_none() && states(entry).all(|state| state <= now.0) {
                spare = Some(slot);
            }
        }
        own.or(spare).or_else(|| (used < self.ways).then_some(used))
    }

    /// What one more request makes of the entry in `slot`.
    fn charge(&self, bucket: &[u8], slot: usize, key: KeyDigest, now: Timestamp) -> Charge {
        let own = bucket.get(self.range(slot)).filter(|entry| entry.starts_with(&key.to_le_bytes()));
        let current =
            || self.quotas.iter().zip(own.map(states).into_iter().flatten().chain(std::iter::repeat(0)));
        let mut entry = key.to_le_bytes().to_vec();
        let mut wait = None;
        for (quota, state) in current() {
            match quota.decide(state, now.0) {
                Decision::Admit(after) => entry.extend(after.to_le_bytes()),
                Decision::Wait(longer) => wait = wait.max(Some(longer)),
            }
        }
        let Some(wait) = wait else { return Charge { entry, outcome: Outcome::Admitted, store: true } };
        // A refused request costs nothing. Only states from a clock that has since gone backwards are put right, or
        // they would refuse until it has caught up.
        entry.truncate(DIGEST);
        entry.extend(current().flat_map(|(quota, state)| quota.plausible(state, now.0).to_le_bytes()));
        let store = own != Some(entry.as_slice());
        Charge { entry, outcome: Outcome::Refused(wait), store }
    }

    fn entry_size(&self) -> usize {
        DIGEST + self.quotas.len() * STATE
    }

    fn range(&self, slot: usize) -> std::ops::Range<usize> {
        let start = MAGIC.len() + slot * self.entry_size();
        start..start + self.entry_size()
    }
}

fn states(entry: &[u8]) -> impl Iterator<Item = u64> {
    entry
        .get(DIGEST..)
        .unwrap_or_default()
        .as_chunks::<STATE>()
        .0
        .iter()
        .map(|state| u64::from_le_bytes(*state))
}
