//! JSON documents, read byte by byte in whatever pieces they come.
//!
//! The grammar (RFC 8259) is followed as far as it takes to know where in a document one is; what follows something that
//! is no JSON is passed over to the document's end.

use super::path::{JsonPath, MOST_PATHS};

/// JSON documents one behind the other, and the last number in any of them at each path.
#[derive(Debug, Default)]
pub(super) struct Documents {
    document: Document,
    last: [Option<u64>; MOST_PATHS],
}

impl Documents {
    /// Reads on.
    pub(super) fn read(&mut self, paths: &[JsonPath], piece: &[u8]) {
        let mut rest = piece;
        while !rest.is_empty() {
            rest = self.document.read(paths, rest);
            if !rest.is_empty() {
                self.end();
            }
        }
    }

    /// The document has ended; what follows is another.
    pub(super) fn end(&mut self) {
        let document = std::mem::take(&mut self.document);
        self.last.iter_mut().zip(document.found).for_each(|(last, found)| *last = found.or(*last));
    }

    pub(super) fn total(&self) -> Option<u64> {
        let found = self.last.iter().zip(self.document.found).filter_map(|(last, newer)| newer.or(*last));
        found.fold(None, |sum, number| Some(sum.unwrap_or(0_u64).saturating_add(number)))
    }
}

/// As deep as documents go that anybody writes.
const DEEPEST: usize = 128;

#[derive(Debug, Default)]
struct Document {
    expecting: Expecting,
    /// Lists and objects that are open.
    depth: usize,
    /// Which of them are objects: bit 0 is the outermost.
    objects: u128,
    /// Of each path, how many of its names led to where we are.
    matched: [usize; MOST_PATHS],
    /// Paths that the name read at the moment may still be on; then those that the value behind it is on.
    candidates: u8,
    /// How many bytes of a name have been read.
    position: usize,
    /// The first half of a character that was escaped in two.
    surrogate: u32,
    number: Option<u64>,
    found: [Option<u64>; MOST_PATHS],
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expecting {
    #[default]
    Value,
    /// A value or the list's end.
    FirstElement,
    /// A name or the object's end.
    FirstName,
    Name,
    Colon,
    /// A comma or an end.
    Next,
    /// The rest of a string; whether it is a name.
    Text(bool),
    /// What follows a backslash.
    Escape(bool),
    /// So many digits more of `\u`, and those read so far.
    Unicode(bool, u8, u32),
    Number,
    /// The rest of `true`, `false` or `null`.
    Word,
    /// Nothing: this is no JSON.
    End,
}

use Expecting::*;

impl Document {
    /// Reads on; returns what belongs to another document.
    fn read<'p>(&mut self, paths: &[JsonPath], piece: &'p [u8]) -> &'p [u8] {
        let mut rest = piece;
        while let Some((byte, after)) = rest.split_first() {
            match self.expecting {
                End => return &[],
                // Most of a document is texts that nobody asked for.
                Text(name) if !name || self.candidates == 0 => {
                    let end = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
                    let Some((byte, after)) = end.and_then(|end| rest.get(end..)?.split_first()) else {
                        return &[];
                    };
                    self.text(*byte, name, paths);
                    rest = after;
                }
                Text(name) => {
                    self.text(*byte, name, paths);
                    rest = after;
                }
                Escape(name) => {
                    self.escape(*byte, name, paths);
                    rest = after;
                }
                Unicode(name, left, digits) => {
                    self.unicode(*byte, name, left, digits, paths);
                    rest = after;
                }
                Number if matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-') => {
                    self.digit(*byte);
                    rest = after;
                }
                // What ends a number is read again, as what it is.
                Number => self.number_ends(paths),
                Word if byte.is_ascii_lowercase() => rest = after,
                Word => self.expecting = Next,
                _ if matches!(byte, b' ' | b'\t' | b'\n' | b'\r') => rest = after,
                Next if self.depth == 0 => return rest,
                _ => {
                    self.expecting = self.structural(*byte, paths);
                    rest = after;
                }
            }
        }
        rest
    }

    /// Anything outside of strings, numbers and words.
    fn structural(&mut self, byte: u8, paths: &[JsonPath]) -> Expecting {
        match (self.expecting, byte) {
            (Value | FirstElement, b'{') => self.open(true, paths),
            (Value | FirstElement, b'[') => self.open(false, paths),
            (Value | FirstElement, b'"') => Text(false),
            (Value | FirstElement, b'0'..=b'9' | b'-') => {
                self.number = Some(0);
                self.digit(byte);
                Number
            }
            (Value | FirstElement, b't' | b'f' | b'n') => Word,
            (FirstElement, b']') | (FirstName, b'}') => self.close(),
            (FirstName | Name, b'"') => {
                self.position = 0;
                self.candidates = self.mask(|matched, _| matched + 1 == self.depth, paths);
                Text(true)
            }
            (Colon, b':') => Value,
            (Next, b',') if self.in_object() => Name,
            (Next, b',') => {
                self.candidates = 0;
                Value
            }
            (Next, b'}') if self.in_object() => self.close(),
            (Next, b']') if !self.in_object() => self.close(),
            _ => End,
        }
    }

    fn open(&mut self, object: bool, paths: &[JsonPath]) -> Expecting {
        if self.depth == DEEPEST {
            return End;
        }
        if object {
            self.objects |= 1 << self.depth;
            // The outermost has no name, and all paths begin in it.
            for (path, matched) in self.matched.iter_mut().enumerate().take(paths.len()) {
                if self.depth > 0 && self.candidates >> path & 1 == 1 {
                    *matched = self.depth;
                }
            }
        } else {
            self.objects &= !(1 << self.depth);
        }
        self.candidates = 0;
        self.depth += 1;
        if object { FirstName } else { FirstElement }
    }

    fn close(&mut self) -> Expecting {
        self.depth = self.depth.saturating_sub(1);
        for matched in &mut self.matched {
            *matched = (*matched).min(self.depth.saturating_sub(1));
        }
        self.candidates = 0;
        Next
    }

    fn in_object(&self) -> bool {
        self.depth.checked_sub(1).is_some_and(|innermost| self.objects >> innermost & 1 == 1)
    }

    fn text(&mut self, byte: u8, name: bool, paths: &[JsonPath]) {
        match byte {
            b'"' if name => {
                // The value behind this name replaces one that stood under the same name before.
                self.candidates &=
                    self.mask(|_, wanted| wanted.is_some_and(|it| it.len() == self.position), paths);
                for (path, found) in self.found.iter_mut().enumerate() {
                    if self.candidates >> path & 1 == 1 {
                        *found = None;
                    }
                }
                self.expecting = Colon;
            }
            b'"' => self.expecting = Next,
            b'\\' => self.expecting = Escape(name),
            _ => self.compare(byte, paths),
        }
    }

    fn escape(&mut self, byte: u8, name: bool, paths: &[JsonPath]) {
        let decoded = match byte {
            b'u' => {
                self.expecting = Unicode(name, 4, 0);
                return;
            }
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            _ => {
                self.expecting = End;
                return;
            }
        };
        self.expecting = Text(name);
        self.compare(decoded, paths);
    }

    fn unicode(&mut self, byte: u8, name: bool, left: u8, digits: u32, paths: &[JsonPath]) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.expecting = End;
            return;
        };
        let code = digits << 4 | digit;
        if left > 1 {
            self.expecting = Unicode(name, left - 1, code);
            return;
        }
        self.expecting = Text(name);
        let first = std::mem::take(&mut self.surrogate);
        match code {
            0xd800..0xdc00 => self.surrogate = code,
            _ => {
                let code = match (first, code) {
                    (1.., 0xdc00..0xe000) => 0x1_0000 + ((first - 0xd800) << 10) + (code - 0xdc00),
                    _ => code,
                };
                let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| self.compare(byte, paths));
            }
        }
    }

    /// One byte more of a name.
    fn compare(&mut self, byte: u8, paths: &[JsonPath]) {
        if self.candidates > 0 {
            let position = self.position;
            self.candidates &=
                self.mask(|_, wanted| wanted.and_then(|it| it.get(position)) == Some(&byte), paths);
            self.position += 1;
        }
    }

    fn digit(&mut self, byte: u8) {
        self.number = match (self.number, byte) {
            (Some(number), b'0'..=b'9') => {
                Some(number.saturating_mul(10).saturating_add(u64::from(byte - b'0')))
            }
            _ => None,
        };
        self.expecting = Number;
    }

    fn number_ends(&mut self, paths: &[JsonPath]) {
        for (path, (found, wanted)) in self.found.iter_mut().zip(paths).enumerate() {
            if self.candidates >> path & 1 == 1 && wanted.len() == self.depth {
                *found = self.number;
            }
        }
        self.candidates = 0;
        self.expecting = Next;
    }

    /// The paths for which `holds`, given how many of their names have led here and the next.
    fn mask(&self, holds: impl Fn(usize, Option<&[u8]>) -> bool, paths: &[JsonPath]) -> u8 {
        let of = |(place, (path, matched)): (usize, (&JsonPath, &usize))| {
            u8::from(holds(*matched, path.name(*matched))) << place
        };
        paths.iter().zip(&self.matched).enumerate().map(of).fold(0, |mask, bit| mask | bit)
    }
}
