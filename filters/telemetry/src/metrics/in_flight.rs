//! What this worker has added to gauges of what is under way, for the case that it cannot take it back.
//!
//! A gauge is one value for all workers and outlives each of them. A worker that traps leaves its requests in it for
//! good. So each worker says in shared data what of the gauges is its own, and shows from time to time that it is alive;
//! when one no longer does, another takes its part out of the gauges.

use std::cell::{Cell, RefCell};
use std::hash::Hasher as _;
use std::time::Duration;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use tidegate_filter_api::{Cas, Host, HostError, Timestamp};

/// So many workers can say what is their own. A key of shared data is never freed.
const SLOTS: u64 = 128;
/// How often a worker shows that it is alive, and how long it need not.
const SIGN_EVERY: Duration = Duration::from_secs(5);
const DEAD_AFTER: Duration = Duration::from_secs(30);
/// How often a worker looks for dead ones.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// What this worker has added to gauges.
#[derive(Debug)]
pub(crate) struct Contributions {
    prefix: Vec<u8>,
    /// By the gauge's whole name. Never zero.
    own: RefCell<Vec<(String, i64)>>,
    changed: Cell<bool>,
    slot: Cell<Option<(u64, Cas)>>,
    signed: Cell<Duration>,
    looked: Cell<Duration>,
}

/// A gauge that was found in a dead worker's part, and what is to be taken out of it.
pub(crate) struct Orphan {
    pub(crate) name: String,
    pub(crate) amount: i64,
}

impl Contributions {
    pub(crate) fn new(plugin: &[u8]) -> Self {
        let mut hasher = SipHasher13::new();
        hasher.write(plugin);
        let mut prefix = b"tg.in_flight/".to_vec();
        prefix.extend_from_slice(&hasher.finish128().as_bytes());
        Self {
            prefix,
            own: RefCell::default(),
            changed: Cell::new(false),
            slot: Cell::new(None),
            signed: Cell::new(Duration::ZERO),
            looked: Cell::new(Duration::ZERO),
        }
    }

    /// Notes that so much was added to a gauge.
    pub(crate) fn add(&self, name: &str, amount: i64) {
        if amount == 0 {
            return;
        }
        let mut own = self.own.borrow_mut();
        match own.iter().position(|(known, _)| known == name) {
            None => own.push((name.to_owned(), amount)),
            Some(at) => {
                let sum = own.get_mut(at).map(|(_, sum)| {
                    *sum += amount;
                    *sum
                });
                if sum == Some(0) {
                    own.swap_remove(at);
                }
            }
        }
        self.changed.set(true);
    }

    /// Says what is this worker's own, if it changed or has not been said for a while. Returns what must be added again:
    /// others took this worker for dead.
    pub(crate) fn sign(&self, now: Duration, host: &dyn Host) -> Vec<Orphan> {
        let due = now.saturating_sub(self.signed.get()) >= SIGN_EVERY;
        let idle = self.own.borrow().is_empty() && self.slot.get().is_none();
        if idle || !(self.changed.get() || due) {
            return Vec::new();
        }
        self.changed.set(false);
        self.signed.set(now);
        let bytes = match self.own.borrow().is_empty() {
            // The slot is free for others.
            true => Vec::new(),
            false => pack(host.now(), &self.own.borrow()),
        };
        let Some((slot, cas)) = self.slot.get() else {
            self.take_a_slot(&bytes, host);
            return Vec::new();
        };
        match host.set_shared(&self.key(slot), &bytes, Some(cas)) {
            Ok(()) => {
                self.remember(slot, !bytes.is_empty(), host);
                Vec::new()
            }
            Err(HostError::CasMismatch) => {
                self.slot.set(None);
                self.take_a_slot(&bytes, host);
                let own = self.own.borrow();
                own.iter().map(|(name, amount)| Orphan { name: name.clone(), amount: *amount }).collect()
            }
            Err(_) => Vec::new(),
        }
    }

    /// Looks for workers that no longer show that they are alive, and takes over what was theirs.
    pub(crate) fn look(&self, now: Duration, host: &dyn Host) -> Vec<Orphan> {
        if now.saturating_sub(self.looked.get()) < LOOK_EVERY {
            return Vec::new();
        }
        self.looked.set(now);
        let time = host.now();
        let mut orphans = Vec::new();
        for slot in (0..SLOTS).filter(|slot| self.slot.get().is_none_or(|(own, _)| own != *slot)) {
            let key = self.key(slot);
            // Slots are taken from the front: behind one that nobody ever had there is none.
            let Ok(Some(value)) = host.shared(&key) else { break };
            let Some((signed, parts)) = unpack(&value.bytes) else { continue };
            // Whoever empties the slot has it.
            if time.since(signed) > DEAD_AFTER && host.set_shared(&key, &[], Some(value.cas)).is_ok() {
                orphans.extend(parts.into_iter().map(|(name, amount)| Orphan { name, amount: -amount }));
            }
        }
        orphans
    }

    fn take_a_slot(&self, bytes: &[u8], host: &dyn Host) {
        for slot in 0..SLOTS {
            let key = self.key(slot);
            let expected = match host.shared(&key) {
                Ok(None) => None,
                Ok(Some(value)) if value.bytes.is_empty() => Some(value.cas),
                Ok(Some(_)) => continue,
                Err(_) => return,
            };
            if host.set_shared(&key, bytes, expected).is_ok() {
                return self.remember(slot, true, host);
            }
        }
    }

    /// The version of what was just written, to tell later whether somebody else wrote there.
    fn remember(&self, slot: u64, taken: bool, host: &dyn Host) {
        let version = host.shared(&self.key(slot)).ok().flatten().map(|value| (slot, value.cas));
        self.slot.set(version.filter(|_| taken));
    }

    fn key(&self, slot: u64) -> Vec<u8> {
        let mut key = self.prefix.clone();
        key.extend_from_slice(&slot.to_le_bytes());
        key
    }
}

/// When it was written, then each amount with its name; a sum in front tells it from what others wrote there.
fn pack(now: Timestamp, own: &[(String, i64)]) -> Vec<u8> {
    let mut packed = now.0.to_le_bytes().to_vec();
    for (name, amount) in own {
        packed.extend_from_slice(&amount.to_le_bytes());
        packed.extend_from_slice(&u32::try_from(name.len()).unwrap_or(u32::MAX).to_le_bytes());
        packed.extend_from_slice(name.as_bytes());
    }
    let mut whole = sum(&packed).to_vec();
    whole.append(&mut packed);
    whole
}

fn unpack(bytes: &[u8]) -> Option<(Timestamp, Vec<(String, i64)>)> {
    let (stated, packed) = bytes.split_first_chunk::<16>()?;
    if *stated != sum(packed) {
        return None;
    }
    let (time, mut rest) = packed.split_first_chunk::<8>()?;
    let mut parts = Vec::new();
    while let Some((amount, after)) = rest.split_first_chunk::<8>() {
        let (length, after) = after.split_first_chunk::<4>()?;
        let (name, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        parts.push((String::from_utf8(name.to_vec()).ok()?, i64::from_le_bytes(*amount)));
        rest = after;
    }
    Some((Timestamp(u64::from_le_bytes(*time)), parts))
}

fn sum(bytes: &[u8]) -> [u8; 16] {
    let mut hasher = SipHasher13::new();
    hasher.write(bytes);
    hasher.finish128().as_bytes()
}
