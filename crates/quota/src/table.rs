//! States of many keys in shared data, in memory that is bounded.
//!
//! Shared data never frees a key, so keys of requests are not keys there. A table has a fixed number of buckets, each
//! under a key of its own that holds a few entries: a digest and a state. An entry is given up only when its state says
//! nothing any more: the key's quotas are then as whole as those of a key never seen.

use tidegate_filter_api::{Cas, Host, HostError, MetricId, Timestamp};

use crate::concurrency::Lease;
use crate::state::{Cost, Rules, State, Verdict};

/// The states of one limit's keys.
#[derive(Debug)]
pub struct Table {
    /// What every shared key of this table starts with; no other table's do.
    prefix: [u8; PREFIX],
    buckets: u64,
    /// Entries in a bucket.
    ways: usize,
    /// By what its states are judged.
    pub rules: Rules,
    /// How many keys the table holds.
    keys: Option<MetricId>,
}

/// A digest of a request's key: 128 bits, so that two keys share one state never in practice.
pub type KeyDigest = u128;

/// The length of a table's prefix.
pub const PREFIX: usize = 22;

/// Where the number of keys stands: no bucket has this number.
const KEYS: [u8; 8] = u64::MAX.to_le_bytes();
const DIGEST: usize = size_of::<KeyDigest>();
/// In front of each bucket: what is read back is checked before it is believed.
const MAGIC: &[u8; 4] = b"tgr2";
const WAYS: u64 = 16;
/// With 4 workers on one bucket a handful are needed; beyond this something else is wrong.
const MOST_ATTEMPTS: usize = 64;

impl Table {
    /// A table of at most `max_keys` keys, or what an earlier one of the same prefix left.
    pub fn new(
        prefix: [u8; PREFIX],
        max_keys: u64,
        rules: Rules,
        keys: Option<MetricId>,
        host: &dyn Host,
    ) -> Self {
        let ways = max_keys.clamp(1, WAYS);
        // Rounded down: the ceiling is a ceiling.
        let buckets = (max_keys / ways).max(1);
        let table = Self { prefix, buckets, ways: usize::try_from(ways).unwrap_or(1), rules, keys };
        // The gauge may show what a table under an earlier configuration held.
        table.show(table.held(host).map_or(0, |(held, _)| held), host);
        table
    }

    /// Decides on a request of `key`. `None` if the key has no state and there is no room for one.
    ///
    /// # Errors
    /// Those of the host, and [`HostError::CasMismatch`] after too many lost races.
    pub fn decide(
        &self,
        key: KeyDigest,
        now: Timestamp,
        cost: Cost,
        host: &dyn Host,
    ) -> Result<Option<Verdict>, HostError> {
        self.update(key, now, host, |state| {
            let verdict = self.rules.decide(state, now.0, cost);
            (verdict.state(), verdict)
        })
    }

    /// What [`Table::decide`] would say, without anything being taken. A key without a state is as one never seen.
    ///
    /// # Errors
    /// Those of the host.
    pub fn look(
        &self,
        key: KeyDigest,
        now: Timestamp,
        cost: Cost,
        host: &dyn Host,
    ) -> Result<Verdict, HostError> {
        let (bucket, _) = self.read(&self.shared_key(key), host)?;
        let state = self.slot(&bucket, key, now).map_or_else(State::default, |(_, state)| state);
        Ok(self.rules.decide(state, now.0, cost))
    }

    /// Takes what has been spent already; the state afterwards. `None` if there is no room for one.
    ///
    /// # Errors
    /// As [`Table::decide`].
    pub fn charge(
        &self,
        key: KeyDigest,
        now: Timestamp,
        requests: u64,
        units: u64,
        host: &dyn Host,
    ) -> Result<Option<State>, HostError> {
        self.update(key, now, host, |state| {
            let after = self.rules.charge(state, now.0, requests, units);
            (after, after)
        })
    }

    /// Gives a lease back.
    ///
    /// # Errors
    /// As [`Table::decide`].
    pub fn give_back(
        &self,
        key: KeyDigest,
        now: Timestamp,
        lease: Lease,
        host: &dyn Host,
    ) -> Result<(), HostError> {
        // Without room for a state there is none, and the lease has long expired.
        self.update(key, now, host, |state| (self.rules.give_back(state, now.0, lease), ())).map(|_| ())
    }

    /// Lets `step` look at the state of `key` and make another of it, in one atomic step against all other workers. `None`
    /// if the key has no state and there is no room for one; `step` is not asked then.
    ///
    /// `step` may be asked several times, each time with the newest state.
    fn update<T>(
        &self,
        key: KeyDigest,
        now: Timestamp,
        host: &dyn Host,
        mut step: impl FnMut(State) -> (State, T),
    ) -> Result<Option<T>, HostError> {
        let shared_key = self.shared_key(key);
        for _ in 0..MOST_ATTEMPTS {
            let (mut bucket, version) = self.read(&shared_key, host)?;
            let Some((slot, before)) = self.slot(&bucket, key, now) else { return Ok(None) };
            let (after, result) = step(before);
            if after == before {
                return Ok(Some(result));
            }
            let grown = self.put(&mut bucket, slot, key, &after);
            match host.set_shared(&shared_key, &bucket, version) {
                Ok(()) => {
                    if grown {
                        self.count_one_more(host);
                    }
                    return Ok(Some(result));
                }
                Err(HostError::CasMismatch) => {}
                Err(error) => return Err(error),
            }
        }
        Err(HostError::CasMismatch)
    }

    fn shared_key(&self, key: KeyDigest) -> [u8; PREFIX + 8] {
        let bucket = (key % u128::from(self.buckets)) as u64;
        self.key_of(bucket.to_le_bytes())
    }

    /// The key of a bucket by its number, or of what else the table keeps.
    fn key_of(&self, what: [u8; 8]) -> [u8; PREFIX + 8] {
        let mut key = [0; PREFIX + 8];
        if let Some((prefix, rest)) = key.split_first_chunk_mut() {
            *prefix = self.prefix;
            rest.copy_from_slice(&what);
        }
        key
    }

    /// The bucket, empty if there is none yet or if what is there is not a bucket of this table.
    fn read(&self, shared_key: &[u8], host: &dyn Host) -> Result<(Vec<u8>, Option<Cas>), HostError> {
        let Some(value) = host.shared(shared_key)? else { return Ok((MAGIC.to_vec(), None)) };
        let entries = value.bytes.len().checked_sub(MAGIC.len());
        let whole = entries.is_some_and(|size| {
            size.is_multiple_of(self.entry_size()) && size <= self.ways * self.entry_size()
        });
        let believed = whole && value.bytes.starts_with(MAGIC);
        Ok((if believed { value.bytes } else { MAGIC.to_vec() }, Some(value.cas)))
    }

    /// Where `key` is, or may be put: its own entry, else one that says nothing any more, else a new one.
    fn slot(&self, bucket: &[u8], key: KeyDigest, now: Timestamp) -> Option<(usize, State)> {
        let entries = bucket.get(MAGIC.len()..)?.chunks_exact(self.entry_size());
        let (used, digest) = (entries.len(), key.to_le_bytes());
        let mut spare = None;
        for (slot, entry) in entries.enumerate() {
            let (found, state) = entry.split_at_checked(DIGEST)?;
            if found == digest {
                return Some((slot, self.rules.read(state)));
            }
            if spare.is_none() && self.rules.says_nothing(&self.rules.read(state), now.0) {
                spare = Some(slot);
            }
        }
        let slot = spare.or_else(|| (used < self.ways).then_some(used))?;
        Some((slot, State::default()))
    }

    /// Puts an entry into its slot; whether the bucket has grown by it.
    fn put(&self, bucket: &mut Vec<u8>, slot: usize, key: KeyDigest, state: &State) -> bool {
        let start = MAGIC.len() + slot * self.entry_size();
        let range = start..start + self.entry_size();
        let grown = bucket.len() < range.end;
        if grown {
            bucket.resize(range.end, 0);
        }
        if let Some((digest, state_bytes)) =
            bucket.get_mut(range).and_then(|entry| entry.split_at_mut_checked(DIGEST))
        {
            digest.copy_from_slice(&key.to_le_bytes());
            self.rules.write(state, state_bytes);
        }
        grown
    }

    fn entry_size(&self) -> usize {
        DIGEST + self.rules.size()
    }

    /// The gauge is set, not added to: it outlives tables, and all workers show the same number.
    fn count_one_more(&self, host: &dyn Host) {
        for _ in 0..MOST_ATTEMPTS {
            let Ok((held, version)) = self.held(host) else { return };
            let held = held.saturating_add(1);
            let value = [MAGIC.as_slice(), &held.to_le_bytes()].concat();
            match host.set_shared(&self.key_of(KEYS), &value, version) {
                Ok(()) => return self.show(held, host),
                Err(HostError::CasMismatch) => {}
                // The number is for people to look at, and decides nothing.
                Err(_) => return,
            }
        }
    }

    /// How many entries all buckets have; 0 if what is there is not this table's.
    fn held(&self, host: &dyn Host) -> Result<(u64, Option<Cas>), HostError> {
        let Some(value) = host.shared(&self.key_of(KEYS))? else { return Ok((0, None)) };
        let held = value.bytes.strip_prefix(MAGIC).and_then(|number| number.try_into().ok());
        let held = held.map_or(0, u64::from_le_bytes);
        let most = self.buckets.saturating_mul(self.ways as u64);
        Ok((if held <= most { held } else { 0 }, Some(value.cas)))
    }

    fn show(&self, held: u64, host: &dyn Host) {
        if let Some(keys) = self.keys {
            host.record(keys, held);
        }
    }
}

#[cfg(test)]
mod tests;
