//! A place in a document: the value there, the path to it, and where to report what is wrong with it.

use std::fmt;

use crate::document::Value;
use crate::error::{Error, Report};
use crate::values::Name;

/// A type that can be decoded from a place in a document.
pub trait Decode: Sized {
    /// The decoded value, or `None` after everything wrong with it has been reported.
    fn decode(cursor: Cursor<'_>) -> Option<Self>;
}

/// A place in a document.
#[derive(Clone, Copy)]
pub struct Cursor<'a> {
    value: &'a Value,
    path: Path<'a>,
    report: &'a Report<'a>,
    /// Whether a secret may stand here, or below.
    secret: bool,
}

#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Key(&'a Cursor<'a>, &'a str),
    Index(&'a Cursor<'a>, usize),
}

impl<'a> Cursor<'a> {
    pub(crate) fn root(value: &'a Value, report: &'a Report<'a>) -> Self {
        Self { value, path: Path::Root, report, secret: false }
    }

    /// The same place, where a secret may stand: errors here and below quote neither values nor keys that nobody asked
    /// for. Secrets get into the wrong places.
    #[must_use]
    pub fn secret(self) -> Self {
        Self { secret: true, ..self }
    }

    /// Reports that something else was expected here; the found value is quoted, unless it may be a secret.
    pub fn expected<T>(&self, expected: impl fmt::Display) -> Option<T> {
        if self.secret {
            return self.expected_secret(expected);
        }
        self.report(&expected, &self.value.describe());
        None
    }

    /// Reports that something else was expected here, without quoting what was found: it may be a secret pasted into
    /// the wrong place.
    pub fn expected_secret<T>(&self, expected: impl fmt::Display) -> Option<T> {
        let found = match self.value {
            Value::String(text) => format!("{} characters (not shown)", text.chars().count()),
            other => other.kind().to_owned(),
        };
        self.expected_found(expected, found)
    }

    /// Reports that something else was expected here, with a description of what was found.
    pub fn expected_found<T>(&self, expected: impl fmt::Display, found: impl fmt::Display) -> Option<T> {
        self.report(&expected, &found);
        None
    }

    /// The environment variable of this name, as the host gave it to the module.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<Vec<u8>> {
        self.report.variable(name)
    }

    /// One instance for all kinds of texts, and all errors are rare.
    #[cold]
    #[inline(never)]
    fn report(&self, expected: &dyn fmt::Display, found: &dyn fmt::Display) {
        self.report.add(Error::new(&self.to_string(), &expected.to_string(), &found.to_string()));
    }

    /// Decodes the value here as a `T`.
    pub fn decode<T: Decode>(self) -> Option<T> {
        T::decode(self)
    }

    /// The value here as a string, or `None` without a report.
    #[must_use]
    pub fn as_str(&self) -> Option<&'a str> {
        match self.value {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value here as an integer, however it was written, or `None` without a report.
    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.value {
            Value::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The value here as a number, or `None` without a report.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self.value {
            Value::Integer(value) => Some(*value as f64),
            Value::Float(value) => Some(*value),
            _ => None,
        }
    }

    /// The value here as a boolean, or `None` without a report.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self.value {
            Value::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// Whether the value here is a list.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// Whether the value here is an object.
    #[must_use]
    pub fn is_object(&self) -> bool {
        matches!(self.value, Value::Object(_))
    }

    /// The value here as one text: the same for the same value, however it was written (`100` or `100.0`, JSON or a
    /// Struct, members in any order). To tell whether a part of a configuration has changed; not to be shown, for it may
    /// hold secrets.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.value.write_canonical(&mut text);
        text
    }

    /// The value here as an integer from `least` to `most`.
    pub fn integer(self, least: i64, most: i64) -> Option<i64> {
        self.as_integer()
            .filter(|value| (least..=most).contains(value))
            .or_else(|| self.expected(format_args!("an integer from {least} to {most}")))
    }

    /// The value here as one of `words`, which stand for the values beside them.
    pub fn word<T: Copy>(self, words: &[(&str, T)]) -> Option<T> {
        let found = self.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
        match found {
            Some((_, value)) => Some(*value),
            None => self.expected(one_of(words.iter().map(|(word, _)| *word))),
        }
    }

    /// The value here as an object, with duplicate keys reported.
    pub fn object(&'a self) -> Option<Object<'a>> {
        let Value::Object(members) = self.value else {
            return self.expected("an object");
        };
        for (index, (key, value)) in members.iter().enumerate() {
            if members.iter().take(index).any(|(earlier, _)| earlier == key) {
                self.at_key(self.shown(key), value).expected_found::<()>("each key once", "it twice");
            }
        }
        Some(Object { cursor: self, members, known: Vec::new() })
    }

    /// The value here as a list of anything: each element as a place of its own.
    pub fn elements(&'a self) -> Option<impl Iterator<Item = Cursor<'a>>> {
        let Value::List(list) = self.value else {
            return self.expected("a list");
        };
        Some(list.iter().enumerate().map(|(index, value)| Cursor {
            value,
            path: Path::Index(self, index),
            ..*self
        }))
    }

    /// The members of the object here, whatever their keys.
    pub fn entries(&'a self) -> Option<impl Iterator<Item = (&'a str, Cursor<'a>)>> {
        let object = self.object()?;
        Some(object.members.iter().map(|(key, value)| (key.as_str(), self.at_key(key, value))))
    }

    /// The list here, each element decoded by `decode`: also those after a bad one, so that all errors are told at once.
    pub fn list<T>(self, mut decode: impl FnMut(Cursor<'_>) -> Option<T>) -> Option<Vec<T>> {
        let mut list = Vec::new();
        self.each(&mut |element| decode(element).map(|decoded| list.push(decoded)).is_some()).then_some(list)
    }

    /// The object here as a list, each member decoded by `decode` under its key.
    pub fn members<T>(self, mut decode: impl FnMut(&str, Cursor<'_>) -> Option<T>) -> Option<Vec<T>> {
        let mut list = Vec::new();
        let mut visit =
            |key: &str, member: Cursor<'_>| decode(key, member).map(|decoded| list.push(decoded)).is_some();
        self.each_member(&mut visit).then_some(list)
    }

    /// Whether `visit` says yes to every element. One instance for all kinds of elements.
    #[inline(never)]
    fn each(&self, visit: &mut dyn FnMut(Cursor<'_>) -> bool) -> bool {
        let Some(elements) = self.elements() else { return false };
        elements.fold(true, |fine, element| visit(element) & fine)
    }

    /// The same for members.
    #[inline(never)]
    fn each_member(&self, visit: &mut dyn FnMut(&str, Cursor<'_>) -> bool) -> bool {
        let Some(entries) = self.entries() else { return false };
        entries.fold(true, |fine, (key, member)| visit(key, member) & fine)
    }

    /// The keys of the object here, in order; none, and no report, if there is something else here.
    #[must_use]
    pub fn keys(&self) -> Vec<&'a str> {
        match self.value {
            Value::Object(members) => members.iter().map(|(key, _)| key.as_str()).collect(),
            _ => Vec::new(),
        }
    }

    /// Like decoding a `Vec`, but an empty list is an error.
    pub fn non_empty_list<T: Decode>(self) -> Option<Vec<T>> {
        if matches!(self.value, Value::List(list) if list.is_empty()) {
            return self.expected("a list of at least one");
        }
        self.decode()
    }

    /// A key that may be a secret itself is not shown.
    fn shown(&self, key: &'a str) -> &'a str {
        if self.secret { "(a key)" } else { key }
    }

    fn at_key(&'a self, key: &'a str, value: &'a Value) -> Cursor<'a> {
        Cursor { value, path: Path::Key(self, key), ..*self }
    }
}

/// The path: `limits[2].match.paths[0].prefix`.
impl fmt::Display for Cursor<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path {
            Path::Root => formatter.write_str("configuration"),
            Path::Key(Cursor { path: Path::Root, .. }, key) => formatter.write_str(key),
            Path::Key(parent, key) => write!(formatter, "{parent}.{key}"),
            Path::Index(parent, index) => write!(formatter, "{parent}[{index}]"),
        }
    }
}

/// The members of an object, asked for by key. [`Object::finish`] reports the keys that nobody asked for.
pub struct Object<'a> {
    cursor: &'a Cursor<'a>,
    members: &'a [(String, Value)],
    known: Vec<&'static str>,
}

/// Exactly one of several keys: which, and what stands there.
pub struct Variant<'a> {
    /// The key found.
    pub key: &'static str,
    /// Its value.
    pub cursor: Cursor<'a>,
}

/// Puts what stands at a place, if anything does, into `slot`. False after something wrong was reported.
///
/// A configuration with many keys is filled in place rather than put together from its parts: with a `?` for each part,
/// the code that drops those before it, again and again, is most of the code.
pub fn fill<'a, T>(
    cursor: Option<Cursor<'a>>,
    slot: &mut T,
    decode: impl FnOnce(Cursor<'a>) -> Option<T>,
) -> bool {
    let Some(cursor) = cursor else { return true };
    let Some(decoded) = decode(cursor) else { return false };
    *slot = decoded;
    true
}

impl<'a> Object<'a> {
    /// The place under `key`, if the key is there.
    pub fn get(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        // A key may be asked for twice, for its value and for its place; errors name it once.
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        let (key, value) = self.members.iter().find(|(name, _)| name == key)?;
        Some(self.cursor.at_key(key, value))
    }

    /// The place under `key`; a missing key is reported.
    pub fn require(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        let found = self.get(key);
        if found.is_none() {
            self.cursor.expected_found::<()>(format_args!("the key \"{key}\""), "none");
        }
        found
    }

    /// Decodes what stands under `key`; a missing key is reported.
    pub fn required<T: Decode>(&mut self, key: &'static str) -> Option<T> {
        self.require(key)?.decode()
    }

    /// Decodes what stands under `key`. The outer `None` means an error, the inner one an absent key.
    pub fn optional<T: Decode>(&mut self, key: &'static str) -> Option<Option<T>> {
        self.get(key).map_or(Some(None), |cursor| cursor.decode().map(Some))
    }

    /// Decodes what stands under `key`, or takes `default` if the key is absent.
    pub fn or<T: Decode>(&mut self, key: &'static str, default: T) -> Option<T> {
        self.get(key).map_or(Some(default), Cursor::decode)
    }

    /// Puts what stands under `key`, if anything does, into `slot`. False after something wrong was reported.
    pub fn fill<T>(
        &mut self,
        key: &'static str,
        slot: &mut T,
        decode: impl FnOnce(Cursor<'a>) -> Option<T>,
    ) -> bool {
        fill(self.get(key), slot, decode)
    }

    /// Exactly one of `keys`; none or several are reported.
    pub fn one_of(&mut self, keys: &[&'static str]) -> Option<Variant<'a>> {
        self.at_most_one_of(keys)?.or_else(|| {
            let found = if self.members.is_empty() { "an empty object" } else { "none of them" };
            self.cursor.expected_found(one_of(keys.iter().copied()), found)
        })
    }

    /// One of `keys` or none of them; several are reported.
    pub fn at_most_one_of(&mut self, keys: &[&'static str]) -> Option<Option<Variant<'a>>> {
        let mut found: Option<Variant<'a>> = None;
        for &key in keys {
            let Some(cursor) = self.get(key) else { continue };
            if let Some(first) = &found {
                let both = format!("\"{}\" and \"{key}\"", first.key);
                return self.cursor.expected_found(one_of(keys.iter().copied()), both);
            }
            found = Some(Variant { key, cursor });
        }
        Some(found)
    }

    /// The place of the object itself, for errors that concern several keys.
    #[must_use]
    pub fn cursor(&self) -> &'a Cursor<'a> {
        self.cursor
    }

    /// Reports every key that was never asked for.
    pub fn finish(self) {
        for (key, value) in self.members {
            if !self.known.contains(&key.as_str()) {
                let expected = one_of(self.known.iter().copied());
                self.cursor
                    .at_key(self.cursor.shown(key), value)
                    .expected_found::<()>(expected, "an unknown key");
            }
        }
    }
}

/// Reports every name that stood earlier in the list under `list`.
pub fn unique_names<'n>(list: &Cursor<'_>, names: impl Iterator<Item = &'n Name>) {
    let names: Vec<&Name> = names.collect();
    // Lists of names that might be equal: comparing each with each would take seconds for ten thousand.
    let mut alike: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    for (index, name) in names.iter().enumerate() {
        let hash = name.as_str().bytes().fold(0_u32, |hash, byte| {
            // Fowler, Noll, Vo: FNV-1a. Who writes a configuration has no reason to make names collide.
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        let Some(list_of_hash) = alike.get_mut(hash as usize % names.len()) else { continue };
        let first = list_of_hash.iter().copied().find(|earlier| names.get(*earlier) == Some(name));
        list_of_hash.push(index);
        if let Some(first) = first {
            let path = format!("{list}[{index}].name");
            let expected = format!("a name used once, but {list}[{first}] has it too");
            list.report.add(Error::new(&path, &expected, &format!("\"{name}\"")));
        }
    }
}

/// `"a"`, or `one of "a", "b"`: how messages list what is allowed.
#[must_use]
pub fn one_of<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let quoted: Vec<String> = words.map(|word| format!("\"{word}\"")).collect();
    match quoted.as_slice() {
        [only] => only.clone(),
        _ => format!("one of {}", quoted.join(", ")),
    }
}

impl Decode for bool {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor.as_bool().or_else(|| cursor.expected("true or false"))
    }
}

impl Decode for String {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        match cursor.as_str() {
            Some(text) => Some(text.to_owned()),
            None => cursor.expected("a string"),
        }
    }
}

/// Any object, as it stands: for what is handed on and not looked at here.
impl Decode for serde_json::Map<String, serde_json::Value> {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        // Reports members that stand twice.
        cursor.object()?;
        match cursor.value.into() {
            serde_json::Value::Object(members) => Some(members),
            _ => None,
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        cursor.list(T::decode)
    }
}
