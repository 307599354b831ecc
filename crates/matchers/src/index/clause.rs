//! What a rule's conditions ask for, in a form that rules can be filed by and compared in.

use std::borrow::Cow;
use std::net::IpAddr;

use tidegate_config::Cidr;

use crate::claim::{ClaimCondition, Scalar, Test as ClaimTest};
use crate::conditions::{Conditions, Match};
use crate::facts::FieldKind;
use crate::field::{FieldCondition, FieldMatch};
use crate::host::HostMatch;
use crate::path::PathCondition;
use crate::regex::Regex;
use crate::template::Template;
use crate::text::TextMatch;

/// What a condition looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot<'c> {
    Path,
    RawPath,
    Host,
    Method,
    Principal,
    Source,
    Field(FieldKind, &'c str),
    Claim(&'c str),
}

/// What it asks for: of a field with several values, of one of them.
#[derive(Debug, Clone)]
pub(super) enum Ask<'c> {
    Exact(Cow<'c, [u8]>),
    Prefix(&'c [u8]),
    Suffix(&'c [u8]),
    Contains(&'c [u8]),
    Regex(&'c Regex),
    Range(i64, i64),
    Present,
    Absent,
    /// A path of whole segments, without a final slash, or what is below.
    Segments(&'c [u8]),
    Template(&'c Template),
    Addresses(&'c Cidr),
}

#[derive(Debug, Clone)]
pub(super) struct Atom<'c> {
    pub(super) slot: Slot<'c>,
    pub(super) ask: Ask<'c>,
}

/// One of its atoms holds whenever the condition does; if it is `exact`, the condition also holds whenever one does.
#[derive(Debug, Clone)]
pub(super) struct Clause<'c> {
    pub(super) atoms: Vec<Atom<'c>>,
    pub(super) exact: bool,
    /// 0: of `match`. Otherwise of the alternative of `any` with this number, counted from 1.
    pub(super) way: usize,
    /// Where it stands there: `paths`, or `headers` and 2.
    pub(super) place: (&'static str, Option<usize>),
}

/// A rule's positive conditions.
///
/// Here and in what works on it loops are written out: each chain of iterators would be code of its own, and none of it
/// runs while there are requests.
#[derive(Debug, Clone, Default)]
pub(super) struct View<'c> {
    pub(super) clauses: Vec<Clause<'c>>,
    /// How many alternatives `any` has.
    pub(super) ways: usize,
    pub(super) not: Option<&'c Match>,
}

impl<'c> View<'c> {
    pub(super) fn of(conditions: &'c Conditions) -> Self {
        let mut view = Self { ways: conditions.any.len(), not: conditions.not.as_ref(), ..Self::default() };
        view.add(&conditions.all, 0);
        for (index, any) in conditions.any.iter().enumerate() {
            view.add(any, index + 1);
        }
        view
    }

    fn add(&mut self, conditions: &'c Match, way: usize) {
        let mut atoms = Vec::new();
        for method in &conditions.methods {
            atoms.push(exact(Slot::Method, method.as_bytes()));
        }
        self.push(&mut atoms, true, way, ("methods", None));
        for one in &conditions.paths {
            path(one, &mut atoms);
        }
        self.push(&mut atoms, true, way, ("paths", None));
        for one in &conditions.hosts {
            atoms.push(host(one));
        }
        self.push(&mut atoms, true, way, ("hosts", None));
        for (kind, place, fields) in [
            (FieldKind::Header, "headers", &conditions.headers),
            (FieldKind::Query, "query", &conditions.query),
            (FieldKind::Cookie, "cookies", &conditions.cookies),
        ] {
            for (index, one) in fields.iter().enumerate() {
                let exact = field(kind, one, &mut atoms);
                self.push(&mut atoms, exact, way, (place, Some(index)));
            }
        }
        for cidr in &conditions.cidrs {
            atoms.push(Atom { slot: Slot::Source, ask: Ask::Addresses(cidr) });
        }
        self.push(&mut atoms, true, way, ("source.cidrs", None));
        for name in &conditions.principals {
            text(Slot::Principal, name, &mut atoms);
        }
        self.push(&mut atoms, true, way, ("principals", None));
        for (index, one) in conditions.claims.iter().enumerate() {
            let exact = claim(one, &mut atoms);
            self.push(&mut atoms, exact, way, ("claims", Some(index)));
        }
    }

    fn push(
        &mut self,
        atoms: &mut Vec<Atom<'c>>,
        exact: bool,
        way: usize,
        place: (&'static str, Option<usize>),
    ) {
        if !atoms.is_empty() {
            self.clauses.push(Clause { atoms: std::mem::take(atoms), exact, way, place });
        }
    }
}

fn exact<'c>(slot: Slot<'c>, value: &'c [u8]) -> Atom<'c> {
    Atom { slot, ask: Ask::Exact(Cow::Borrowed(value)) }
}

fn text<'c>(slot: Slot<'c>, condition: &'c TextMatch, atoms: &mut Vec<Atom<'c>>) {
    let ask = match condition {
        TextMatch::In(values) => {
            for value in values {
                atoms.push(exact(slot, value));
            }
            return;
        }
        TextMatch::Exact(value) => Ask::Exact(Cow::Borrowed(value)),
        TextMatch::Prefix(part) => Ask::Prefix(part),
        TextMatch::Suffix(part) => Ask::Suffix(part),
        TextMatch::Contains(part) => Ask::Contains(part),
        TextMatch::Regex(regex) => Ask::Regex(regex),
        TextMatch::Range(least, most) => Ask::Range(*least, *most),
    };
    atoms.push(Atom { slot, ask });
}

fn path<'c>(condition: &'c crate::path::PathMatch, atoms: &mut Vec<Atom<'c>>) {
    let slot = if condition.raw { Slot::RawPath } else { Slot::Path };
    match &condition.condition {
        PathCondition::Text(condition) => text(slot, condition, atoms),
        PathCondition::Segments(path) => atoms.push(Atom { slot, ask: Ask::Segments(path) }),
        PathCondition::Template(template) => atoms.push(Atom { slot, ask: Ask::Template(template) }),
    }
}

fn host(condition: &HostMatch) -> Atom<'_> {
    match condition {
        HostMatch::Exact(host) => exact(Slot::Host, host.as_bytes()),
        HostMatch::Below(suffix) => Atom { slot: Slot::Host, ask: Ask::Suffix(suffix.as_bytes()) },
    }
}

/// Adds the atoms of a condition on a field; whether they are all that it asks.
fn field<'c>(kind: FieldKind, condition: &'c FieldMatch, atoms: &mut Vec<Atom<'c>>) -> bool {
    let slot = Slot::Field(kind, &condition.name);
    match &condition.condition {
        FieldCondition::Present(true) => atoms.push(Atom { slot, ask: Ask::Present }),
        FieldCondition::Present(false) => atoms.push(Atom { slot, ask: Ask::Absent }),
        FieldCondition::Any(condition) => text(slot, condition, atoms),
        FieldCondition::All(condition) => {
            text(slot, condition, atoms);
            return false;
        }
    }
    true
}

/// The same of a condition on a claim.
fn claim<'c>(condition: &'c crate::claim::ClaimMatch, atoms: &mut Vec<Atom<'c>>) -> bool {
    let slot = Slot::Claim(&condition.name);
    let scalar = |scalar| Atom { slot, ask: Ask::Exact(scalar_key(scalar)) };
    match &condition.condition {
        ClaimCondition::Present(false) => atoms.push(Atom { slot, ask: Ask::Absent }),
        ClaimCondition::Present(true) => atoms.push(Atom { slot, ask: Ask::Present }),
        // Stronger than what is asked: the claim must be a list.
        ClaimCondition::Contains(member) => {
            atoms.push(scalar(member));
            return false;
        }
        ClaimCondition::Values { test: ClaimTest::Range(..), .. } => {
            atoms.push(Atom { slot, ask: Ask::Present });
            return false;
        }
        ClaimCondition::Values { test: ClaimTest::In(values), all } => {
            for value in values {
                atoms.push(scalar(value));
            }
            return !all;
        }
        ClaimCondition::Values { test: ClaimTest::Text(condition), all } => {
            text(slot, condition, atoms);
            return !all;
        }
    }
    true
}

/// A claim's value as bytes. A text that looks like a number's is found as well: what is found is verified.
pub(super) fn scalar_key(scalar: &Scalar) -> Cow<'_, [u8]> {
    match scalar {
        Scalar::Text(text) => Cow::Borrowed(text.as_bytes()),
        Scalar::Integer(number) => Cow::Owned(integer_key(*number)),
        Scalar::Bool(truth) => Cow::Borrowed(bool_key(*truth)),
    }
}

pub(super) fn integer_key(number: i64) -> Vec<u8> {
    let mut key = b"\0i".to_vec();
    key.extend_from_slice(&number.to_le_bytes());
    key
}

pub(super) fn bool_key(truth: bool) -> &'static [u8] {
    if truth { b"\0t" } else { b"\0f" }
}

impl Atom<'_> {
    /// Bytes that two atoms share if and only if they ask for the same: names of captures do not count.
    pub(super) fn key(&self) -> Vec<u8> {
        let (slot, name): (u8, &str) = match self.slot {
            Slot::Path => (0, ""),
            Slot::RawPath => (1, ""),
            Slot::Host => (2, ""),
            Slot::Method => (3, ""),
            Slot::Principal => (4, ""),
            Slot::Source => (5, ""),
            Slot::Claim(name) => (6, name),
            Slot::Field(FieldKind::Header, name) => (7, name),
            Slot::Field(FieldKind::Query, name) => (8, name),
            Slot::Field(FieldKind::Cookie, name) => (9, name),
        };
        let mut key = vec![slot];
        key.extend_from_slice(&name.len().to_le_bytes());
        key.extend_from_slice(name.as_bytes());
        let mut ask = |kind: u8, value: &[u8]| {
            key.push(kind);
            key.extend_from_slice(value);
        };
        match &self.ask {
            Ask::Exact(value) => ask(0, value),
            Ask::Prefix(part) => ask(1, part),
            Ask::Suffix(part) => ask(2, part),
            Ask::Contains(part) => ask(3, part),
            Ask::Regex(regex) => ask(4, regex.as_str().as_bytes()),
            Ask::Range(least, most) => {
                ask(5, &least.to_le_bytes());
                ask(5, &most.to_le_bytes());
            }
            Ask::Present => ask(6, &[]),
            Ask::Absent => ask(7, &[]),
            Ask::Segments(path) => ask(8, path),
            Ask::Template(template) => ask(9, &template.shape()),
            Ask::Addresses(cidr) => {
                ask(10, &[cidr.prefix_length()]);
                ask(10, &octets(cidr.network()));
            }
        }
        key
    }

    /// How many times more requests satisfy it than one that asks for a whole value: a guess, to choose by. `None`: it
    /// cannot be looked up.
    pub(super) fn breadth(&self) -> Option<usize> {
        if matches!((self.slot, &self.ask), (Slot::Claim(_), Ask::Absent)) {
            return None;
        }
        // There are few methods, and most requests have the same.
        if self.slot == Slot::Method {
            return Some(64);
        }
        Some(match &self.ask {
            Ask::Exact(_) => 1,
            Ask::Segments([]) => 1_000,
            Ask::Template(_) | Ask::Segments(_) => 2,
            Ask::Prefix(part) | Ask::Suffix(part) | Ask::Contains(part) => match part.len() {
                0..=1 => 64,
                2..=3 => 16,
                _ => 4,
            },
            Ask::Regex(_) => 6,
            Ask::Addresses(cidr) if cidr.prefix_length() < 8 => 500,
            Ask::Addresses(_) => 4,
            Ask::Range(..) => 16,
            Ask::Present => 100,
            Ask::Absent => 1_000,
        })
    }
}

pub(super) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}
