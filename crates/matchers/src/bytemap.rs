//! Numbers by bytes.

/// A hash table from byte strings to the numbers 0, 1, 2… in the order in which they came. Each string belongs to a tag, so
/// that the edges of a whole trie fit into one table: the tag is the node that they leave.
///
/// Made once, looked up per request. All keys share one buffer, and one instance of the code serves every user: a module
/// is small. The hash has no secret: who sends requests chooses what is looked up, never what is in the table.
#[derive(Debug, Clone, Default)]
pub struct ByteMap {
    keys: Vec<u8>,
    /// The tag of each key, and where it ends; it starts where the one before ends.
    ends: Vec<(u32, u32)>,
    /// For each place a number plus one, or 0. A power of two long, at least twice as long as `ends`.
    slots: Vec<u32>,
    /// A bit for each length that a key has: most of what is looked up has another, and need not be hashed.
    lengths: u64,
}

impl ByteMap {
    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// The number of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<u32> {
        self.get_tagged(0, key)
    }

    /// The number of `key` under `tag`.
    #[must_use]
    pub fn get_tagged(&self, tag: u32, key: &[u8]) -> Option<u32> {
        if self.lengths & length_bit(key) == 0 { None } else { self.find(tag, key).ok() }
    }

    /// The number of `key`, which is the next one if it is new.
    pub fn insert(&mut self, key: &[u8]) -> u32 {
        self.insert_tagged(0, key)
    }

    /// The number of `key` under `tag`, which is the next one if it is new.
    pub fn insert_tagged(&mut self, tag: u32, key: &[u8]) -> u32 {
        if self.slots.len() < 2 * (self.len() + 1) {
            self.grow();
        }
        match self.find(tag, key) {
            Ok(number) => number,
            Err(place) => {
                let number = to_u32(self.len());
                self.keys.extend_from_slice(key);
                self.lengths |= length_bit(key);
                self.ends.push((tag, to_u32(self.keys.len())));
                if let Some(slot) = self.slots.get_mut(place) {
                    *slot = number + 1;
                }
                number
            }
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The key with this number; empty if there is none.
    #[must_use]
    pub fn key(&self, number: u32) -> &[u8] {
        let at = number as usize;
        let end = |at| self.ends.get(at).map_or(0, |(_, end)| *end as usize);
        let (start, end) = (at.checked_sub(1).map_or(0, end), end(at));
        self.keys.get(start..end).unwrap_or_default()
    }

    #[inline(always)]
    fn tag(&self, number: u32) -> u32 {
        self.ends.get(number as usize).map_or(0, |(tag, _)| *tag)
    }

    /// The number of `key`, or the place where it would stand.
    #[inline(always)]
    fn find(&self, tag: u32, key: &[u8]) -> Result<u32, usize> {
        let mask = self.slots.len().wrapping_sub(1);
        let mut place = hash(tag, key) as usize & mask;
        loop {
            match self.slots.get(place) {
                None | Some(0) => return Err(place),
                Some(filled) if self.key(filled - 1) == key && self.tag(filled - 1) == tag => {
                    return Ok(filled - 1);
                }
                Some(_) => place = (place + 1) & mask,
            }
        }
    }

    fn grow(&mut self) {
        let length = (self.slots.len() * 2).max(8);
        self.slots = vec![0; length];
        for number in 0..to_u32(self.len()) {
            let mut place = hash(self.tag(number), self.key(number)) as usize & (length - 1);
            while self.slots.get(place).is_some_and(|slot| *slot != 0) {
                place = (place + 1) & (length - 1);
            }
            if let Some(slot) = self.slots.get_mut(place) {
                *slot = number + 1;
            }
        }
    }
}

fn to_u32(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Lengths of 64 and more share their bits with shorter ones.
fn length_bit(key: &[u8]) -> u64 {
    1 << (key.len() % 64)
}

/// Eight bytes at a time.
#[inline(always)]
fn hash(tag: u32, key: &[u8]) -> u64 {
    const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = key.as_chunks::<8>();
    let mut last = [0; 8];
    for (place, byte) in last.iter_mut().zip(rest) {
        *place = *byte;
    }
    let mut hash = u64::from(tag).wrapping_mul(FACTOR) ^ key.len() as u64;
    for word in words.iter().chain([&last]) {
        hash = (hash.rotate_left(23) ^ u64::from_le_bytes(*word)).wrapping_mul(FACTOR);
    }
    // What the last bytes changed stands in the high bits only.
    (hash ^ hash >> 32).wrapping_mul(FACTOR) >> 32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_numbers_in_the_order_in_which_they_came() {
        let mut map = ByteMap::default();
        assert_eq!(map.get(b"x"), None);
        for turn in 0..2 {
            for number in 0..5_000_u32 {
                let key = format!("key-{number}");
                assert_eq!(map.insert(key.as_bytes()), number, "turn {turn}");
            }
        }
        assert_eq!((map.len(), map.key(17), map.get(b"key-4999")), (5_000, &b"key-17"[..], Some(4_999)));
        assert_eq!((map.get(b"key-5000"), map.get(b"")), (None, None));
        assert_eq!(
            (map.insert(b""), map.get(b""), map.key(5_000), map.key(5_001)),
            (5_000, Some(5_000), &b""[..], &b""[..])
        );
    }

    #[test]
    fn keys_that_differ_little_spread() {
        let longest = |keys: Vec<Vec<u8>>| {
            let mut map = ByteMap::default();
            for key in &keys {
                map.insert(key);
            }
            let filled = |slot: &u32| *slot != 0;
            map.slots.split(|slot| !filled(slot)).map(<[u32]>::len).max().unwrap_or(0)
        };
        assert!(longest((0..4_000).map(|n| format!("/orders/{n:05}").into_bytes()).collect()) < 64);
        assert!(longest((0..4_000_u32).map(|n| n.to_le_bytes().to_vec()).collect()) < 64);
        let mut edges = ByteMap::default();
        for node in 0..4_000 {
            edges.insert_tagged(node, b"a");
        }
        assert!(edges.slots.split(|slot| *slot == 0).map(<[u32]>::len).max() < Some(64));
        assert!(longest((0..4_000_u32).map(|n| (n << 20).to_be_bytes().to_vec()).collect()) < 64);
    }
}
