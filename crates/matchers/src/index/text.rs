//! What conditions ask of one text, for look-up.

use super::clause::Ask;
use super::contains::Contains;
use super::prefixes::Prefixes;
use super::ranges::Ranges;
use crate::bytemap::ByteMap;
use crate::regex::{Automaton, Regex};
use crate::template::Trie;

/// What conditions ask of one text, and the places that answers lead to.
#[derive(Debug, Default)]
pub(super) struct Texts {
    exact: ByteMap,
    exact_places: Vec<u32>,
    paths: Trie,
    /// What only some fields are asked.
    rare: Option<Box<Rare>>,
    present: Option<u32>,
}

#[derive(Debug, Default)]
struct Rare {
    prefixes: Prefixes,
    /// Of reversed texts.
    suffixes: Prefixes,
    contains: Contains,
    parts: Vec<Box<[u8]>>,
    regexes: Vec<Regex>,
    regex_places: Vec<u32>,
    automaton: Option<Automaton>,
    ranges: Ranges,
}

impl Texts {
    /// Adds what nobody has asked yet.
    pub(super) fn insert(&mut self, ask: &Ask<'_>, place: u32) {
        match ask {
            Ask::Exact(value) => {
                self.exact.insert(value);
                self.exact_places.push(place);
            }
            // No two templates of one shape come here, so none is in the way.
            Ask::Template(template) => drop(self.paths.insert(template, place)),
            Ask::Segments(path) => self.paths.insert_prefix(path, place),
            Ask::Present => self.present = Some(place),
            Ask::Prefix(part) => self.rare().prefixes.insert(*part, place),
            Ask::Suffix(part) => self.rare().suffixes.insert(reversed(part), place),
            Ask::Contains(part) => {
                self.rare().contains.insert(part, place);
                self.rare().parts.push((*part).into());
            }
            Ask::Regex(regex) => {
                self.rare().regexes.push((*regex).clone());
                self.rare().regex_places.push(place);
            }
            Ask::Range(least, most) => self.rare().ranges.insert(*least, *most, place),
            // Not asked of texts.
            Ask::Absent | Ask::Addresses(_) => {}
        }
    }

    /// Gets ready for look-ups, once all is there.
    pub(super) fn finish(&mut self) {
        let Some(rare) = &mut self.rare else { return };
        rare.prefixes.finish();
        rare.suffixes.finish();
        let parts: Vec<&[u8]> = rare.parts.iter().map(|part| &**part).collect();
        rare.contains.finish(&parts);
        rare.parts = Vec::new();
        rare.ranges.finish();
        rare.automaton = (!rare.regexes.is_empty()).then(|| Automaton::of_many(&rare.regexes));
        rare.regexes = Vec::new();
    }

    /// Hands on the places that `value` leads to; some perhaps several times.
    pub(super) fn each(&self, value: &[u8], visit: &mut dyn FnMut(u32)) {
        let exact = self.exact.get(value).and_then(|number| self.exact_places.get(number as usize));
        exact.copied().into_iter().chain(self.present).for_each(&mut *visit);
        self.paths.each(value, visit);
        let Some(rare) = &self.rare else { return };
        rare.prefixes.each(value.iter().copied(), visit);
        rare.suffixes.each(value.iter().rev().copied(), visit);
        rare.contains.each(value, visit);
        if let Some(automaton) = &rare.automaton {
            for number in automaton.matching(value).iter() {
                rare.regex_places.get(*number as usize).copied().into_iter().for_each(&mut *visit);
            }
        }
        if !rare.ranges.is_empty()
            && let Some(number) = crate::text::integer(value)
        {
            rare.ranges.each(number, visit);
        }
    }

    /// Hands on the place that a field leads to by being there, whatever it holds.
    pub(super) fn present(&self) -> Option<u32> {
        self.present
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

fn reversed(text: &[u8]) -> Box<[u8]> {
    text.iter().rev().copied().collect()
}
