//! One digest among many.

use subtle::ConstantTimeEq;
use tidegate_filter_api::Host;

use crate::bounded::{Digest, Digester};

/// Finds a digest of `N` words among those that are known, in a time that hardly grows with their number and says nothing
/// about them: what is found is filed under a keyed digest of itself, whose key is made at random in each VM, so that
/// nobody can choose what to be near to; and it is compared once more, in constant time.
#[derive(Debug)]
pub(crate) struct DigestIndex<const N: usize> {
    digester: Digester,
    /// In the order of their keyed digests, with the place that each had.
    filed: Vec<(Digest, [u64; N], usize)>,
}

impl<const N: usize> DigestIndex<N> {
    /// An index of `known`.
    pub(crate) fn new(known: impl Iterator<Item = [u64; N]>, host: &dyn Host) -> Self {
        // A host without randomness gets a known key: then time tells about the order of keyed digests, and no more.
        let digester = Digester::new(host).unwrap_or_default();
        let mut filed: Vec<(Digest, [u64; N], usize)> = Vec::new();
        filed.extend(known.enumerate().map(|(place, known)| (digester.digest_words(&known), known, place)));
        filed.sort_unstable_by_key(|(digest, ..)| *digest);
        Self { digester, filed }
    }

    /// The place of `presented` among those known.
    pub(crate) fn find(&self, presented: &[u64; N]) -> Option<usize> {
        let digest = self.digester.digest_words(presented);
        let at = self.filed.binary_search_by_key(&digest, |(digest, ..)| *digest).ok()?;
        let (_, known, place) = self.filed.get(at)?;
        bool::from(known.as_slice().ct_eq(presented)).then_some(*place)
    }
}

/// A SHA-256 digest as words.
pub(crate) fn words(digest: &[u8; 32]) -> [u64; 4] {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(digest.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

#[cfg(test)]
mod tests {
    use tidegate_testkit::fake::FakeHost;

    use super::*;

    #[test]
    fn each_of_many_is_found_and_nothing_else_is() {
        let known = |number: u64| [number, 7, number * 3, 9];
        let index = DigestIndex::new((0..1_000).map(known), &*FakeHost::new());
        assert!((0..1_000).all(|number| index.find(&known(number)) == Some(number as usize)));
        assert_eq!(index.find(&known(1_000)), None);
        assert_eq!(index.find(&[1, 7, 3, 8]), None, "a digest of which all but one word is right");
        assert_eq!(DigestIndex::<4>::new(std::iter::empty(), &*FakeHost::new()).find(&known(1)), None);
    }

    #[test]
    fn words_keep_every_byte() {
        let digest: [u8; 32] = std::array::from_fn(|at| at as u8);
        assert_eq!(
            words(&digest).as_slice().iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>(),
            digest
        );
    }
}
