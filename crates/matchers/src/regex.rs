//! Regular expressions in RE2's syntax, over bytes: they match a whole value, in time linear in its length.
//!
//! Bytes, because header values are not always UTF-8: `.` is one byte, and so is what a class takes. A character beyond
//! ASCII stands for the bytes of its UTF-8 form. What cannot be said of bytes without tables is refused: `\pL`, and
//! characters beyond ASCII in a class. Why this is not the crate `regex`: docs/decisions/0005.
//!
//! [`parse`] reads the text, [`program`] makes instructions of it, [`automaton`] runs one or many at once as a DFA whose
//! states are made when first needed, [`captures`] finds what the groups took.

use std::fmt;
use std::rc::Rc;

use tidegate_config::{Cursor, Decode};

mod automaton;
mod captures;
mod parse;
mod program;
mod set;

pub(crate) use automaton::Automaton;
use program::Program;

/// A compiled regular expression. Copies share what has been compiled.
#[derive(Clone)]
pub struct Regex(Rc<Compiled>);

struct Compiled {
    text: String,
    names: Vec<Option<String>>,
    program: Program,
    automaton: Automaton,
}

/// Why a text is no regular expression that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RegexError {
    /// `(` without `)`.
    UnclosedGroup,
    /// `)` without `(`.
    UnopenedGroup,
    /// `[` without `]`.
    UnclosedClass,
    /// `z-a`, or a bound that is no single character.
    Range,
    /// `*`, `+`, `?` or `{…}` behind nothing or behind another of them.
    Repetition,
    /// `{2,1}`, or more than 1,000.
    Count,
    /// `(?…` that is no group of RE2: look-around, for instance.
    Group,
    /// A group's name that is none, or one that stands twice.
    Name,
    /// `\` before what it has no meaning for: a back-reference, for instance.
    Escape,
    /// A Unicode class, or a character beyond ASCII in a class.
    Unicode,
    /// Groups within groups within groups.
    Nesting,
    /// More than 2,048 bytes of text, or more than 4,096 instructions.
    TooLarge,
}

impl fmt::Display for RegexError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::UnclosedGroup => "a \"(\" is not closed",
            Self::UnopenedGroup => "a \")\" closes nothing",
            Self::UnclosedClass => "a \"[\" is not closed",
            Self::Range => "a range in a class has no sense",
            Self::Repetition => "nothing stands before a repetition",
            Self::Count => "a count is above 1000, or its bounds are in the wrong order",
            Self::Group => "a group starts with \"(?\" and is none that RE2 knows",
            Self::Name => "a group's name is unusable, or stands twice",
            Self::Escape => "a \"\\\" stands before what it has no meaning for",
            Self::Unicode => "bytes are matched: no \\p, and no character beyond ASCII in a class",
            Self::Nesting => "groups are nested more than 50 deep",
            Self::TooLarge => "it is larger than 2048 bytes or compiles to more than 4096 instructions",
        })
    }
}

impl std::error::Error for RegexError {}

/// Longest text of an expression, in bytes.
const LONGEST_TEXT: usize = 2_048;

impl Regex {
    /// Compiles an expression.
    ///
    /// # Errors
    /// If it is none of RE2's, needs Unicode tables, or is too large.
    pub fn new(text: &str) -> Result<Self, RegexError> {
        if text.len() > LONGEST_TEXT {
            return Err(RegexError::TooLarge);
        }
        let parsed = parse::parse(text)?;
        let program = Program::new(&parsed.ast)?;
        let automaton = Automaton::of_one(&program);
        Ok(Self(Rc::new(Compiled { text: text.to_owned(), names: parsed.names, program, automaton })))
    }

    /// Whether the whole of `value` matches.
    #[must_use]
    pub fn matches(&self, value: &[u8]) -> bool {
        self.0.automaton.matches_any(value)
    }

    /// What the groups took if the whole of `value` matches: the first is group 1. Of several ways to match, RE2's
    /// (leftmost, greedy unless it says otherwise) counts.
    #[must_use]
    pub fn captures<'v>(&self, value: &'v [u8]) -> Option<Vec<Option<&'v [u8]>>> {
        captures::find(&self.0.program, self.0.names.len(), value)
    }

    /// A value that matches, if one is easily found.
    pub(crate) fn sample(&self) -> Option<Vec<u8>> {
        self.0.program.sample().filter(|value| self.matches(value))
    }

    /// The names of the groups, from group 1 on.
    pub fn names(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.names.iter().map(Option::as_deref)
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    pub(crate) fn program(&self) -> &Program {
        &self.0.program
    }
}

impl Decode for Regex {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let Some(text) = cursor.as_str() else {
            return cursor.expected("a regular expression in RE2's syntax");
        };
        Self::new(text).map_or_else(
            |error| cursor.expected(format_args!("a regular expression in RE2's syntax ({error})")),
            Some,
        )
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Regex({:?})", self.0.text)
    }
}

/// Alike if they were written alike.
impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.0.text == other.0.text
    }
}

impl Eq for Regex {}

#[cfg(test)]
mod tests;
