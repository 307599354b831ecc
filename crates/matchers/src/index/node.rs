//! One level of the index: what is looked up in a request, and where it leads.

use std::cell::Cell;

use serde_json::Value;

use super::addresses::Addresses;
use super::clause::{Ask, Atom, Slot, bool_key, integer_key};
use super::text::Texts;
use crate::bytemap::ByteMap;
use crate::facts::{Facts, FieldKind};

/// Where a look-up leads.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    /// To these of the filed numbers.
    Rules(u32, u32),
    /// To another level.
    Node(u32),
}

/// A place, and the number of the look-up that was there last.
#[derive(Debug)]
pub(super) struct Target {
    place: Place,
    seen: Cell<u64>,
}

impl From<Place> for Target {
    fn from(place: Place) -> Self {
        // Look-ups are counted from 1.
        Self { place, seen: Cell::new(0) }
    }
}

/// One level of the index.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The rules that no look-up finds.
    pub(super) always: (u32, u32),
    /// What the numbers below lead to.
    pub(super) places: Vec<Target>,
    texts: Vec<(Single, Texts)>,
    sources: Addresses,
    fields: Vec<(FieldKind, Fields)>,
    claims: Vec<(String, Texts)>,
}

/// What a request has one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Single {
    Path,
    RawPath,
    Host,
    Method,
    Principal,
}

/// The fields of one kind that conditions name.
#[derive(Debug, Default)]
struct Fields {
    names: ByteMap,
    /// By the number of the name.
    texts: Vec<Texts>,
    /// Where it leads if there is no field under this name.
    absent: Vec<(String, u32)>,
}

impl Node {
    /// Adds an atom that the node does not have yet.
    pub(super) fn insert(&mut self, atom: &Atom<'_>, place: u32) {
        let texts = match (atom.slot, &atom.ask) {
            (_, Ask::Addresses(cidr)) => return self.sources.insert(cidr, place),
            (Slot::Field(kind, name), Ask::Absent) => {
                if let Some(fields) = of(&mut self.fields, kind) {
                    fields.absent.push((name.to_owned(), place));
                }
                return;
            }
            (Slot::Field(kind, name), _) => of(&mut self.fields, kind).and_then(|fields| fields.named(name)),
            (Slot::Claim(name), _) => of(&mut self.claims, name.to_owned()),
            (Slot::Path, _) => of(&mut self.texts, Single::Path),
            (Slot::RawPath, _) => of(&mut self.texts, Single::RawPath),
            (Slot::Host, _) => of(&mut self.texts, Single::Host),
            (Slot::Method, _) => of(&mut self.texts, Single::Method),
            (Slot::Principal, _) => of(&mut self.texts, Single::Principal),
            (Slot::Source, _) => return,
        };
        if let Some(texts) = texts {
            texts.insert(&atom.ask, place);
        }
    }

    /// Gets ready for look-ups, once all is there.
    pub(super) fn finish(&mut self) {
        let fields = self.fields.iter_mut().flat_map(|(_, fields)| &mut fields.texts);
        let claims = self.claims.iter_mut().map(|(_, texts)| texts);
        let texts = self.texts.iter_mut().map(|(_, texts)| texts);
        texts.chain(fields).chain(claims).for_each(Texts::finish);
    }

    /// Hands on the places that a request leads to, each once in the look-up with this number. What no condition asks for
    /// is not even found out.
    pub(super) fn find(&self, facts: &Facts<'_>, look_up: u64, visit: &mut dyn FnMut(Place)) {
        let mut visit = |number: u32| {
            if let Some(target) = self.places.get(number as usize)
                && target.seen.replace(look_up) != look_up
            {
                visit(target.place);
            }
        };
        for (single, texts) in &self.texts {
            match single {
                Single::Path => texts.each(facts.path(), &mut visit),
                Single::RawPath => texts.each(facts.exchange().path(), &mut visit),
                Single::Host => texts.each(facts.authority(), &mut visit),
                Single::Method => texts.each(facts.exchange().method(), &mut visit),
                Single::Principal => {
                    if let Some(principal) = facts.principal() {
                        texts.each(principal, &mut visit);
                    }
                }
            }
        }
        if !self.sources.is_empty()
            && let Some(address) = facts.source()
        {
            self.sources.each(address, &mut visit);
        }
        for (kind, fields) in &self.fields {
            fields.find(*kind, facts, &mut visit);
        }
        if !self.claims.is_empty()
            && let Some(claims) = facts.claims()
        {
            for (name, texts) in &self.claims {
                let value = claims.get(name).filter(|value| !value.is_null());
                value.and_then(|_| texts.present()).into_iter().for_each(&mut visit);
                match value {
                    Some(Value::Array(list)) => {
                        list.iter().for_each(|element| each_claim(texts, element, &mut visit));
                    }
                    Some(value) => each_claim(texts, value, &mut visit),
                    None => {}
                }
            }
        }
    }
}

/// The element under `key`, made if it is new.
fn of<K: PartialEq, V: Default>(list: &mut Vec<(K, V)>, key: K) -> Option<&mut V> {
    let place = list.iter().position(|(known, _)| *known == key).unwrap_or(list.len());
    if place == list.len() {
        list.push((key, V::default()));
    }
    list.get_mut(place).map(|(_, value)| value)
}

fn each_claim(texts: &Texts, value: &Value, visit: &mut dyn FnMut(u32)) {
    if let Some(text) = value.as_str() {
        texts.each(text.as_bytes(), visit);
    } else if let Some(truth) = value.as_bool() {
        texts.each(bool_key(truth), visit);
    } else if let Some(number) = crate::claim::integer(value) {
        texts.each(&integer_key(number), visit);
    }
}

impl Fields {
    fn named(&mut self, name: &str) -> Option<&mut Texts> {
        let number = self.names.insert(name.as_bytes()) as usize;
        self.texts.resize_with(self.names.len(), Texts::default);
        self.texts.get_mut(number)
    }

    fn find(&self, kind: FieldKind, facts: &Facts<'_>, visit: &mut dyn FnMut(u32)) {
        if !self.texts.is_empty() {
            facts.each_field(kind, &mut |name, value| {
                let texts = self.names.get(name).and_then(|number| self.texts.get(number as usize));
                if let Some(texts) = texts {
                    texts.each(value, visit);
                }
            });
        }
        for (name, place) in &self.absent {
            if !facts.has_field(kind, name) {
                visit(*place);
            }
        }
    }
}
