//! What was found out a while ago, in bounded memory.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hasher as _;

use siphasher::sip128::{Hasher128 as _, SipHasher24};
use tidegate_filter_api::Host;

/// What something is remembered under: a keyed digest of 128 bits. Nobody who does not know the key, which is made at
/// random for each VM, can find two texts of one digest; and a text cannot be read from it.
pub(crate) type Digest = [u8; 16];

/// Makes [`Digest`]s.
#[derive(Debug, Default)]
pub(crate) struct Digester([u8; 16]);

impl Digester {
    /// One with a key of its own; `None` where the host has no randomness.
    pub(crate) fn new(host: &dyn Host) -> Option<Self> {
        host.random().ok().map(Self)
    }

    /// The digest of words.
    pub(crate) fn digest_words(&self, words: &[u64]) -> Digest {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        words.iter().for_each(|word| hasher.write_u64(*word));
        hasher.finish128().as_u128().to_le_bytes()
    }

    /// The digest of several parts, each with its length: `ab, c` is not `a, bc`.
    pub(crate) fn digest<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>) -> Digest {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        for part in parts {
            hasher.write_u64(part.len() as u64);
            hasher.write(part);
        }
        hasher.finish128().as_u128().to_le_bytes()
    }
}

/// A map of bounded size. When half of it is full the half that was filled before is forgotten, except what was asked for
/// in between: no scan, no list to keep in order.
#[derive(Debug)]
pub(crate) struct Bounded<V> {
    half: usize,
    generations: RefCell<Generations<V>>,
}

#[derive(Debug)]
struct Generations<V> {
    young: BTreeMap<Digest, V>,
    old: BTreeMap<Digest, V>,
}

impl<V: Clone> Bounded<V> {
    /// A map of at most `max` entries.
    pub(crate) fn new(max: usize) -> Self {
        let generations = RefCell::new(Generations { young: BTreeMap::new(), old: BTreeMap::new() });
        Self { half: max.div_ceil(2).max(1), generations }
    }

    /// What is remembered under `digest`.
    pub(crate) fn get(&self, digest: &Digest) -> Option<V> {
        let value = {
            let mut generations = self.generations.borrow_mut();
            match generations.young.get(digest) {
                Some(value) => return Some(value.clone()),
                None => generations.old.remove(digest)?,
            }
        };
        self.insert(*digest, value.clone());
        Some(value)
    }

    /// Remembers `value`.
    pub(crate) fn insert(&self, digest: Digest, value: V) {
        let mut generations = self.generations.borrow_mut();
        if generations.young.len() >= self.half {
            generations.old = std::mem::take(&mut generations.young);
        }
        generations.young.insert(digest, value);
    }

    /// Forgets what `keep` does not hold on to.
    pub(crate) fn retain(&self, keep: impl Fn(&V) -> bool) {
        let mut generations = self.generations.borrow_mut();
        generations.young.retain(|_, value| keep(value));
        generations.old.retain(|_, value| keep(value));
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        let generations = self.generations.borrow();
        generations.young.len() + generations.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u64) -> Digest {
        u128::from(number).to_le_bytes()
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let map = Bounded::new(100);
        map.insert(key(0), 0);
        for number in 1..10_000 {
            map.insert(key(number), number);
            assert!(map.len() <= 100 + 1, "{}", map.len());
            assert_eq!(map.get(&key(0)), Some(0));
        }
        assert_eq!(map.get(&key(9_999)), Some(9_999));
        assert_eq!(map.get(&key(9_000)), None);
        map.retain(|value| *value == 0);
        assert_eq!(map.len(), 1);
    }

    #[test]
    fn parts_are_told_apart() {
        let digester = Digester([1; 16]);
        let parts = |parts: &[&'static [u8]]| digester.digest(parts.iter().copied());
        assert_ne!(parts(&[b"ab", b"c"]), parts(&[b"a", b"bc"]));
        assert_ne!(parts(&[b"a"]), parts(&[b"a", b""]));
        assert_ne!(parts(&[b"a"]), Digester([2; 16]).digest([b"a".as_slice()]));
    }
}
