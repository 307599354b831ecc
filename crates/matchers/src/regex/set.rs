//! Sets of bytes.

/// A set of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ByteSet {
    low: u128,
    high: u128,
}

impl ByteSet {
    pub(super) fn of(byte: u8) -> Self {
        Self::range(byte, byte)
    }

    /// All bytes from `first` to `last`, both included.
    pub(super) fn range(first: u8, last: u8) -> Self {
        let mut set = Self::default();
        for byte in first..=last {
            set.insert(byte);
        }
        set
    }

    /// What `\w` takes.
    pub(super) fn word() -> Self {
        let letters = Self::range(b'a', b'z').any_case();
        letters.or(Self::range(b'0', b'9')).or(Self::of(b'_'))
    }

    pub(super) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        let halves = self.low.to_le_bytes().into_iter().chain(self.high.to_le_bytes());
        bytes.iter_mut().zip(halves).for_each(|(place, byte)| *place = byte);
        bytes
    }

    pub(super) fn insert(&mut self, byte: u8) {
        let half = if byte < 128 { &mut self.low } else { &mut self.high };
        *half |= 1 << (byte & 127);
    }

    pub(super) fn contains(self, byte: u8) -> bool {
        let half = if byte < 128 { self.low } else { self.high };
        half >> (byte & 127) & 1 == 1
    }

    /// One of its bytes, a letter or digit if there is one.
    pub(super) fn sample(self) -> Option<u8> {
        let letters = (b'a'..=b'z').chain(b'0'..=b'9');
        letters.chain(0..=u8::MAX).find(|byte| self.contains(*byte))
    }

    pub(super) fn or(self, other: Self) -> Self {
        Self { low: self.low | other.low, high: self.high | other.high }
    }

    pub(super) fn not(self) -> Self {
        Self { low: !self.low, high: !self.high }
    }

    /// The set with the other case of each ASCII letter.
    pub(super) fn any_case(mut self) -> Self {
        for (lower, upper) in (b'a'..=b'z').zip(b'A'..=b'Z') {
            if self.contains(lower) || self.contains(upper) {
                self.insert(lower);
                self.insert(upper);
            }
        }
        self
    }
}
