//! Walks through headers. Types of their own rather than chains of adaptors: every use of such a chain is code of its own,
//! and modules are small.

use super::{HeaderBlock, WORD, length};
use crate::edits::{EditKind, Edits};

/// The pairs of a block, in order.
#[derive(Debug, Clone)]
pub struct Pairs<'b> {
    /// Two words for each pair that is left.
    lengths: &'b [u8],
    data: &'b [u8],
}

impl<'b> Pairs<'b> {
    pub(super) fn new(buffer: &'b [u8], count: usize) -> Self {
        let (lengths, data) = buffer.split_at_checked(WORD + count * 2 * WORD).unwrap_or_default();
        Self { lengths: lengths.get(WORD..).unwrap_or_default(), data }
    }

    /// The value of the next pair under `name`. Filters look for a dozen names in each request, and most names differ in
    /// their lengths already: only where they agree is a name looked at.
    fn next_named(&mut self, name: &[u8]) -> Option<&'b [u8]> {
        let (pairs, _) = self.lengths.as_chunks::<{ 2 * WORD }>();
        let mut start = 0_usize;
        for (index, lengths) in pairs.iter().enumerate() {
            // Little-endian: the name's length stands in the lower half.
            let both = u64::from_le_bytes(*lengths);
            let (name_length, value_length) = ((both & u64::from(u32::MAX)) as usize, (both >> 32) as usize);
            let value_start = start.saturating_add(name_length).saturating_add(1);
            let end = value_start.saturating_add(value_length);
            if name_length == name.len() && self.data.get(start..start + name_length) == Some(name) {
                let value = self.data.get(value_start..end);
                self.lengths = self.lengths.get((index + 1) * 2 * WORD..).unwrap_or_default();
                self.data = self.data.get(end + 1..).unwrap_or_default();
                return value;
            }
            start = end.saturating_add(1);
        }
        self.lengths = &[];
        None
    }
}

impl<'b> Iterator for Pairs<'b> {
    type Item = (&'b [u8], &'b [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, lengths) = self.lengths.split_first_chunk()?;
        let (value, lengths) = lengths.split_first_chunk()?;
        let (name, data) = self.data.split_at_checked(length(*name))?;
        let (value, data) = data.get(1..)?.split_at_checked(length(*value))?;
        (self.lengths, self.data) = (lengths, data.get(1..)?);
        Some((name, value))
    }
}

/// Every value of one header, in order.
#[derive(Debug, Clone)]
pub struct Values<'s, 'n> {
    name: &'n str,
    received: Pairs<'s>,
    edits: &'s Edits,
    /// The next edit to look at, once no received header is left.
    edit: usize,
}

impl<'s, 'n> Values<'s, 'n> {
    pub(super) fn new(block: &'s HeaderBlock, edits: &'s Edits, name: &'n str) -> Self {
        let mut values = Self { name, received: block.iter(), edits, edit: 0 };
        // What counts is the last edit that replaced or removed all values, and what was appended since.
        for index in (0..edits.len()).rev() {
            if edits.get(index).is_some_and(|edit| edit.name == name && edit.kind != EditKind::Append) {
                values.received = Pairs::new(&[], 0);
                values.edit = index;
                break;
            }
        }
        values
    }
}

impl<'s> Iterator for Values<'s, '_> {
    type Item = &'s [u8];

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.received.next_named(self.name.as_bytes()) {
            return Some(value);
        }
        while let Some(edit) = self.edits.get(self.edit) {
            self.edit += 1;
            if edit.name == self.name && edit.kind != EditKind::Remove {
                return Some(edit.value);
            }
        }
        None
    }
}
