//! Headers: what the host gave, and the edits laid over it.

use tidegate_config::{HeaderName, HeaderValue};

use crate::edits::{Edit, EditKind, Edits};

mod walk;

pub use walk::{Pairs, Values};

/// A header map as the host serialises it (proxy-wasm ABI 0.2.1): the number of pairs, then each pair's two lengths
/// (all 32-bit little-endian), then each pair's name and value with a NUL behind either.
///
/// The host's buffer is kept as it came and borrowed from; nothing is copied or decoded.
#[derive(Debug, Default)]
pub struct HeaderBlock(Box<[u8]>);

/// A buffer that does not follow the format: a defect of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedHeaders;

const WORD: usize = size_of::<u32>();

impl HeaderBlock {
    /// Takes a buffer from the host. An empty buffer is a map without headers.
    ///
    /// # Errors
    /// If lengths and size disagree.
    pub fn new(buffer: Box<[u8]>) -> Result<Self, MalformedHeaders> {
        let block = Self(buffer);
        if block.0.is_empty() || block.measure() == Some(block.0.len()) {
            return Ok(block);
        }
        Err(MalformedHeaders)
    }

    /// The block of `pairs`, as a host would serialise it.
    #[must_use]
    pub fn from_pairs<'p>(pairs: impl Iterator<Item = (&'p [u8], &'p [u8])> + Clone) -> Self {
        let word = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes();
        let mut buffer = Vec::new();
        buffer.extend(word(pairs.clone().count()));
        for (name, value) in pairs.clone() {
            buffer.extend(word(name.len()));
            buffer.extend(word(value.len()));
        }
        for (name, value) in pairs {
            buffer.extend(name);
            buffer.push(0);
            buffer.extend(value);
            buffer.push(0);
        }
        Self(buffer.into())
    }

    /// The serialised form: what [`HeaderBlock::new`] takes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// All pairs in the order of the wire, pseudo-headers among them. Names are in lower case.
    #[must_use]
    pub fn iter(&self) -> Pairs<'_> {
        Pairs::new(&self.0, self.count())
    }

    fn count(&self) -> usize {
        self.0.first_chunk::<WORD>().map_or(0, |word| length(*word))
    }

    /// How long the buffer ought to be.
    fn measure(&self) -> Option<usize> {
        let lengths_end = self.count().checked_mul(2 * WORD)?.checked_add(WORD)?;
        let lengths = self.0.get(WORD..lengths_end)?;
        lengths
            .as_chunks::<WORD>()
            .0
            .iter()
            .try_fold(lengths_end, |size, word| size.checked_add(length(*word))?.checked_add(1))
    }
}

fn length(word: [u8; WORD]) -> usize {
    u32::from_le_bytes(word) as usize
}

/// A request's or response's headers as the next hop will see them: what the host gave with all edits so far applied.
#[derive(Debug, Default)]
pub struct Headers {
    block: HeaderBlock,
    /// Whether `block` is what the host holds; if it was never read, an edit cannot be known to be needless.
    known: bool,
    edits: Edits,
    performed: usize,
}

impl Headers {
    /// Headers that were read from the host.
    #[must_use]
    pub fn new(block: HeaderBlock) -> Self {
        Self { block, known: true, ..Self::default() }
    }

    /// Headers that the host holds and nobody has read: they can be edited, but look empty.
    #[must_use]
    pub fn unread() -> Self {
        Self::default()
    }

    /// Every value of `name` (in lower case), in order.
    #[must_use]
    pub fn values<'s, 'n>(&'s self, name: &'n str) -> Values<'s, 'n> {
        Values::new(&self.block, &self.edits, name)
    }

    /// The first value of `name`. Only for headers that can stand once (`:path`): of others a second value would
    /// hide, and a rule that looks at the first only is a way round it.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&[u8]> {
        self.values(name).next()
    }

    /// All headers as the host gave them, without edits.
    #[must_use]
    pub fn received(&self) -> Pairs<'_> {
        self.block.iter()
    }

    /// Visits all headers, pseudo-headers among them, as the next hop will see them.
    pub fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        self.pairs().for_each(|(name, value)| visit(name, value));
    }

    /// All headers, pseudo-headers among them, as the next hop will see them.
    pub fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let replaced = |name: &[u8], from: usize| {
            let mut edits = (from..self.edits.len()).filter_map(|index| self.edits.get(index));
            edits.any(|edit| edit.kind != EditKind::Append && edit.name.as_bytes() == name)
        };
        let kept = self.block.iter().filter(move |(name, _)| !replaced(name, 0));
        let edited = self.edits.iter().enumerate().filter(move |(index, edit)| {
            edit.kind != EditKind::Remove && !replaced(edit.name.as_bytes(), index + 1)
        });
        kept.chain(edited.map(|(_, edit)| (edit.name.as_bytes(), edit.value)))
    }

    /// Puts `value` in the place of all values of `name`. Does nothing if it is the only value already.
    pub fn set(&mut self, name: &HeaderName, value: &HeaderValue) {
        let needless = self.known && self.values(name.as_str()).eq([value.as_bytes()]);
        if !needless {
            self.edits.push(EditKind::Set, name.as_str(), value.as_bytes());
        }
    }

    /// Puts `path`, with its query, in the place of `:path`.
    pub fn set_path(&mut self, path: &HeaderValue) {
        self.set_pseudo(":path", path);
    }

    /// Puts `authority` in the place of `:authority`.
    pub fn set_authority(&mut self, authority: &HeaderValue) {
        self.set_pseudo(":authority", authority);
    }

    fn set_pseudo(&mut self, name: &str, value: &HeaderValue) {
        if !self.known || self.first(name) != Some(value.as_bytes()) {
            self.edits.push(EditKind::Set, name, value.as_bytes());
        }
    }

    /// Adds `value` behind those that are there.
    pub fn append(&mut self, name: &HeaderName, value: &HeaderValue) {
        self.edits.push(EditKind::Append, name.as_str(), value.as_bytes());
    }

    /// Removes all values of `name`. Does nothing if there are none.
    pub fn remove(&mut self, name: &HeaderName) {
        let needless = self.known && self.values(name.as_str()).next().is_none();
        if !needless {
            self.edits.push(EditKind::Remove, name.as_str(), &[]);
        }
    }

    /// Removes headers that many backends take for `name`: [`is_spelling_of`].
    pub fn remove_twins(&mut self, name: &HeaderName) {
        let is_twin = |found: &[u8]| found != name.as_str().as_bytes() && is_spelling_of(found, name);
        // Names of received headers are tokens, hence text.
        let twins = self.block.iter().filter(|(found, _)| is_twin(found));
        let twins: Vec<String> =
            twins.map(|(found, _)| String::from_utf8_lossy(found).into_owned()).collect();
        for twin in twins {
            self.edits.push(EditKind::Remove, &twin, &[]);
        }
    }

    /// Whether the host holds exactly this: it was read, and all edits have been told.
    #[must_use]
    pub fn is_current(&self) -> bool {
        self.known && self.performed == self.edits.len()
    }

    /// The edits that the host has not been told of yet. Telling it is the caller's duty from here on.
    pub fn take_pending(&mut self) -> impl Iterator<Item = Edit<'_>> {
        let told = std::mem::replace(&mut self.performed, self.edits.len());
        self.edits.iter().skip(told)
    }
}

/// Whether many backends take a header called `found` for `name`: CGI, WSGI and PHP make one variable of `x-user` and
/// `x_user`.
#[must_use]
pub fn is_spelling_of(found: &[u8], name: &HeaderName) -> bool {
    let dashed = |byte: &u8| if *byte == b'_' { b'-' } else { *byte };
    let name = name.as_str().as_bytes();
    found.len() == name.len() && found.iter().map(dashed).eq(name.iter().map(dashed))
}

#[cfg(test)]
mod tests;
