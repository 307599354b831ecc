//! A hash table from byte strings that clients have a hand in to numbers.

use std::hash::Hasher as _;

use siphasher::sip::SipHasher13;

/// Numbers by byte strings, in the order in which they came: the first is 0.
///
/// Hashed with this worker's own key: clients choose label values, and must not choose which of them collide. Nothing is
/// ever taken out.
#[derive(Debug)]
pub(crate) struct Table {
    key: [u8; 16],
    keys: Vec<Box<[u8]>>,
    /// For each place the hash of a key and its number plus one, or zeros. A power of two long, and never more than half
    /// full.
    slots: Vec<(u64, u32)>,
}

impl Table {
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self { key, keys: Vec::new(), slots: vec![(0, 0); 16] }
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The number of `key`.
    pub(crate) fn get(&self, key: &[u8]) -> Option<u32> {
        self.search(self.hash(key), Some(key)).ok()
    }

    /// Enters a key that is new; its number is the next one.
    pub(crate) fn insert(&mut self, key: &[u8]) -> Option<u32> {
        if self.slots.len() < 2 * (self.keys.len() + 1) {
            self.grow();
        }
        let number = u32::try_from(self.keys.len()).ok()?;
        let hash = self.hash(key);
        let slot = self.search(hash, Some(key)).err().and_then(|place| self.slots.get_mut(place))?;
        *slot = (hash, number + 1);
        self.keys.push(key.into());
        Some(number)
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.slots);
        self.slots = vec![(0, 0); old.len() * 2];
        for (hash, number) in old {
            if number != 0
                && let Err(place) = self.search(hash, None)
                && let Some(slot) = self.slots.get_mut(place)
            {
                *slot = (hash, number);
            }
        }
    }

    /// The number of `key`, or the place where it would stand. Without a key, the next free place.
    fn search(&self, hash: u64, key: Option<&[u8]>) -> Result<u32, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash as usize & mask;
        loop {
            match self.slots.get(place) {
                None | Some((_, 0)) => return Err(place),
                Some((other, number)) if *other == hash => {
                    let number = number - 1;
                    let found = self.keys.get(number as usize);
                    if key.is_some() && found.map(|found| &**found) == key {
                        return Ok(number);
                    }
                }
                Some(_) => {}
            }
            place = (place + 1) & mask;
        }
    }

    fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = SipHasher13::new_with_key(&self.key);
        hasher.write(key);
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_by_their_numbers_however_many_there_are() {
        let mut table = Table::new([3; 16]);
        let key = |number: u32| format!("key {number}").into_bytes();
        for number in 0..5_000 {
            assert_eq!(table.get(&key(number)), None);
            assert_eq!(table.insert(&key(number)), Some(number));
        }
        assert!((0..5_000).all(|number| table.get(&key(number)) == Some(number)));
        assert_eq!(table.insert(&key(7)), None, "a key is entered once");
    }
}
