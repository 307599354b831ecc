//! Templates of paths: `/users/{id}/items/{*rest}`.
//!
//! A template looks at the normalised path, whole: `{x}` takes one segment, `{*x}` the remainder, and no capture is ever
//! empty. A final slash is significant: `/users/{id}` takes neither `/users/` nor `/users/7/`.

use std::fmt;

use tidegate_config::{Cursor, Decode};

mod set;
mod trie;

pub use set::TemplateSet;
pub(crate) use trie::Trie;

/// A template of paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    segments: Vec<Segment>,
    names: Vec<Box<str>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<[u8]>),
    /// `{x}`
    One,
    /// `{*x}`
    Rest,
}

/// What a template took from a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captures<'t, 'p> {
    names: &'t [Box<str>],
    values: Vec<&'p [u8]>,
}

impl<'p> Captures<'_, 'p> {
    /// What `{name}` took.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'p [u8]> {
        let position = self.names.iter().position(|known| **known == *name)?;
        self.values.get(position).copied()
    }

    /// What each capture took, in the template's order.
    #[must_use]
    pub fn values(&self) -> &[&'p [u8]] {
        &self.values
    }
}

/// Why a text is no template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateError {
    /// It does not start with a slash.
    NoSlash,
    /// A segment that is neither a plain text nor one capture.
    Segment,
    /// A capture's name that is none.
    Name,
    /// Two captures of one name.
    Duplicate,
    /// `{*rest}` before the end.
    RestNotLast,
    /// No path that is normalised could fit.
    NotNormalised,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSlash => "a path template starting with \"/\"",
            Self::Segment => "segments that are a text or one capture such as \"{id}\" each",
            Self::Name => "names of captures made of letters, digits and \"_\", a letter first",
            Self::Duplicate => "a different name for each capture",
            Self::RestNotLast => "\"{*…}\" as the last segment only",
            Self::NotNormalised => "a normalised path: no \"//\", \".\" or \"..\", query or needless escapes",
        })
    }
}

impl std::error::Error for TemplateError {}

impl Template {
    /// A template from its text.
    ///
    /// # Errors
    /// If no path could fit it, or a name of a capture is unusable or stands twice.
    pub fn new(text: &str) -> Result<Self, TemplateError> {
        let path = text.strip_prefix('/').ok_or(TemplateError::NoSlash)?;
        let mut template = Self { text: text.to_owned(), segments: Vec::new(), names: Vec::new() };
        let mut literal = Vec::new();
        for segment in path.split('/') {
            if template.segments.last() == Some(&Segment::Rest) {
                return Err(TemplateError::RestNotLast);
            }
            literal.push(b'/');
            let parsed = match segment.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')) {
                None if segment.contains(['{', '}']) => return Err(TemplateError::Segment),
                None => {
                    literal.extend(segment.bytes());
                    Segment::Literal(segment.as_bytes().into())
                }
                Some(inner) => {
                    let name = inner.strip_prefix('*').unwrap_or(inner);
                    template.name(name)?;
                    literal.push(b'x');
                    if inner.starts_with('*') { Segment::Rest } else { Segment::One }
                }
            };
            template.segments.push(parsed);
        }
        if *crate::normalise(&literal) != *literal {
            return Err(TemplateError::NotNormalised);
        }
        Ok(template)
    }

    fn name(&mut self, name: &str) -> Result<(), TemplateError> {
        let usable = name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !usable {
            return Err(TemplateError::Name);
        }
        if self.names.iter().any(|known| **known == *name) {
            return Err(TemplateError::Duplicate);
        }
        self.names.push(name.into());
        Ok(())
    }

    /// The template as it was written: what stands in a label.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Its segments without the names of captures, in bytes that no other template has.
    pub(crate) fn shape(&self) -> Vec<u8> {
        let mut shape = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(literal) => {
                    shape.push(b'/');
                    shape.extend_from_slice(literal);
                }
                Segment::One => shape.extend_from_slice(b"/{}"),
                Segment::Rest => shape.extend_from_slice(b"/{*}"),
            }
        }
        shape
    }

    /// A path that fits.
    pub(crate) fn sample(&self) -> Vec<u8> {
        let mut path = Vec::new();
        for segment in &self.segments {
            path.push(b'/');
            match segment {
                Segment::Literal(literal) => path.extend_from_slice(literal),
                Segment::One | Segment::Rest => path.push(b'x'),
            }
        }
        path
    }

    /// The literal segments that every path which fits starts with, without a final slash.
    pub(crate) fn literal_prefix(&self) -> Vec<u8> {
        let mut path = Vec::new();
        for segment in &self.segments {
            let Segment::Literal(literal) = segment else { break };
            path.push(b'/');
            path.extend_from_slice(literal);
        }
        path
    }

    /// The names of its captures, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|name| &**name)
    }

    /// What the template takes from a normalised path; `None` if the path does not fit.
    #[must_use]
    pub fn matches<'p>(&self, path: &'p [u8]) -> Option<Captures<'_, 'p>> {
        let mut values = Vec::with_capacity(self.names.len());
        self.walk(path, |value| values.push(value)).then_some(Captures { names: &self.names, values })
    }

    /// Whether a normalised path fits.
    #[must_use]
    pub fn fits(&self, path: &[u8]) -> bool {
        self.walk(path, |_| {})
    }

    fn walk<'p>(&self, path: &'p [u8], mut capture: impl FnMut(&'p [u8])) -> bool {
        let mut rest = path;
        for segment in &self.segments {
            let Some(after) = rest.strip_prefix(b"/") else { return false };
            let (first, remainder) = first_segment(after);
            match segment {
                Segment::Literal(literal) if **literal == *first => {}
                Segment::One if !first.is_empty() => capture(first),
                Segment::Rest if !after.is_empty() => {
                    capture(after);
                    return true;
                }
                _ => return false,
            }
            rest = remainder;
        }
        rest.is_empty()
    }
}

/// The bytes before the first slash, and what follows, with its slash.
#[inline(always)]
fn first_segment(path: &[u8]) -> (&[u8], &[u8]) {
    let mut end = 0;
    while path.get(end).is_some_and(|byte| *byte != b'/') {
        end += 1;
    }
    path.split_at_checked(end).unwrap_or((path, &[]))
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

impl Decode for Template {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let Some(text) = cursor.as_str() else { return cursor.expected(TemplateError::NoSlash) };
        Self::new(text).map_or_else(|error| cursor.expected(error), Some)
    }
}

#[cfg(test)]
mod tests;
