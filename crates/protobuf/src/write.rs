//! Writing: fields are put one behind the other.

/// A message in the making.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Message(Vec<u8>);

impl Message {
    /// An empty message.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An integer, enum or boolean. 0 is written too: leave it out where that is meant.
    pub fn varint(&mut self, number: u32, value: u64) -> &mut Self {
        self.tag(number, 0);
        self.push(value);
        self
    }

    /// A `fixed64`, or the bits of a `double`.
    pub fn fixed64(&mut self, number: u32, value: u64) -> &mut Self {
        self.tag(number, 1);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A `fixed32`, or the bits of a `float`.
    pub fn fixed32(&mut self, number: u32, value: u32) -> &mut Self {
        self.tag(number, 5);
        self.0.extend(value.to_le_bytes());
        self
    }

    /// A string or bytes. Whether a string is UTF-8, as receivers demand, is the caller's business.
    pub fn bytes(&mut self, number: u32, value: &[u8]) -> &mut Self {
        self.tag(number, 2);
        self.push(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    /// A message within.
    pub fn message(&mut self, number: u32, inner: &Self) -> &mut Self {
        self.bytes(number, &inner.0)
    }

    /// The message's bytes.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn tag(&mut self, number: u32, kind: u64) {
        self.push(u64::from(number) << 3 | kind);
    }

    fn push(&mut self, mut value: u64) {
        loop {
            let low = (value & 0x7f) as u8;
            value >>= 7;
            if value == 0 {
                self.0.push(low);
                return;
            }
            self.0.push(low | 0x80);
        }
    }
}
