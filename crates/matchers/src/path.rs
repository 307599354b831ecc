//! Paths: how they are normalised, when they are ambiguous, and conditions on them.
//!
//! Servers read a path in several ways: decode once or twice, merge slashes, resolve dots, take a backslash for a slash,
//! drop `;matrix` parameters, cut at `#` or NUL. Conditions look at one reading, the normalised path; a filter that
//! protects refuses paths that somebody may read otherwise: [`is_ambiguous`].

use std::borrow::Cow;

use tidegate_config::{Cursor, Decode};

use crate::facts::Facts;
use crate::field::split_once;
use crate::regex::Regex;
use crate::template::{Captures, Template};
use crate::text::TextMatch;

/// A condition on the path.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PathMatch {
    pub(crate) condition: PathCondition,
    /// Looks at the bytes as sent, query included, instead of the normalised path.
    pub(crate) raw: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PathCondition {
    Text(TextMatch),
    /// Whole segments, without a final slash: `/cart` takes `/cart/1`, not `/cartoon`.
    Segments(Vec<u8>),
    Template(Template),
}

impl PathMatch {
    /// Whether the path satisfies it: as sent, or normalised, which is found out only if it is asked for.
    pub(crate) fn matches(&self, raw: &[u8], facts: &Facts<'_>) -> bool {
        let path = if self.raw { raw } else { facts.path() };
        match &self.condition {
            PathCondition::Text(text) => text.matches(path),
            PathCondition::Segments(prefix) => path
                .strip_prefix(prefix.as_slice())
                .is_some_and(|rest| matches!(rest.first(), None | Some(b'/'))),
            PathCondition::Template(template) => template.fits(path),
        }
    }
}

impl PathMatch {
    pub(crate) fn capture_names(&self) -> Vec<String> {
        match &self.condition {
            PathCondition::Template(template) => template.names().map(str::to_owned).collect(),
            PathCondition::Text(TextMatch::Regex(regex)) => {
                let numbered = (1..).zip(regex.names());
                numbered
                    .flat_map(|(number, name)| [Some(number.to_string()), name.map(str::to_owned)])
                    .flatten()
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    /// What it captures, if it holds.
    pub(crate) fn captures<'f>(&'f self, facts: &'f Facts<'_>) -> Option<PathCaptures<'f>> {
        let path = if self.raw { facts.exchange().path() } else { facts.path() };
        match &self.condition {
            PathCondition::Template(template) => template.matches(path).map(PathCaptures::Template),
            PathCondition::Text(TextMatch::Regex(regex)) => {
                regex.captures(path).map(|groups| PathCaptures::Regex(regex, groups))
            }
            _ => self.matches(facts.exchange().path(), facts).then_some(PathCaptures::None),
        }
    }
}

/// What a condition on the path captured.
#[derive(Debug, Clone, Default)]
pub enum PathCaptures<'f> {
    /// Nothing can be captured.
    #[default]
    None,
    /// By a template.
    Template(Captures<'f, 'f>),
    /// By the groups of a regular expression.
    Regex(&'f Regex, Vec<Option<&'f [u8]>>),
}

impl<'f> PathCaptures<'f> {
    /// What was captured under `name`; `None` also for a group that took no part.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'f [u8]> {
        match self {
            Self::None => None,
            Self::Template(captures) => captures.get(name),
            Self::Regex(regex, groups) => {
                let named = regex.names().position(|known| known == Some(name));
                let index = named.or_else(|| name.parse::<usize>().ok()?.checked_sub(1))?;
                groups.get(index).copied().flatten()
            }
        }
    }
}

impl Decode for PathMatch {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let variant = object.one_of(&["exact", "prefix", "suffix", "contains", "template", "regex"]);
        let raw = object.or("raw", false);
        object.finish();
        let (variant, raw) = (variant?, raw?);
        if variant.key == "template" {
            let template = variant.cursor.decode()?;
            return Some(Self { condition: PathCondition::Template(template), raw });
        }
        let text = TextMatch::from_variant(&variant)?;
        let condition = match text {
            TextMatch::Exact(path) | TextMatch::Prefix(path) if !path.starts_with(b"/") => {
                return variant.cursor.expected("a path starting with \"/\"");
            }
            TextMatch::Exact(path) | TextMatch::Prefix(path) if !raw && *normalise(&path) != *path => {
                let usable = String::from_utf8_lossy(&normalise(&path)).into_owned();
                return variant.cursor.expected(format_args!("a normalised path such as \"{usable}\""));
            }
            TextMatch::Prefix(path) if !raw => {
                PathCondition::Segments(path.strip_suffix(b"/").unwrap_or(&path).to_vec())
            }
            other => PathCondition::Text(other),
        };
        Some(Self { condition, raw })
    }
}

/// The path without query and fragment: escapes of unreserved characters decoded (RFC 3986 section 6.2.2.2), slashes
/// merged, dot segments resolved (section 5.2.4). An ordinary path is returned as it is, after one scan.
#[must_use]
pub fn normalise(path: &[u8]) -> Cow<'_, [u8]> {
    // One pass over what nearly all paths are.
    let mut end = 0;
    let mut ordinary = true;
    let mut before = 0;
    while let Some(byte) = path.get(end).copied() {
        match byte {
            b'?' | b'#' => break,
            b'%' => ordinary = false,
            b'/' | b'.' if before == b'/' => ordinary = false,
            _ => {}
        }
        before = byte;
        end += 1;
    }
    let path = path.get(..end).unwrap_or(path);
    if ordinary || !path.starts_with(b"/") {
        return Cow::Borrowed(path);
    }
    let decoded = decode_unreserved(path);
    let mut segments: Vec<&[u8]> = Vec::new();
    // Whether the path ends in a slash: also after `.` and `..`, which name a folder.
    let mut folder = false;
    for segment in decoded.split(|byte| *byte == b'/') {
        folder = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            other => segments.push(other),
        }
    }
    let mut normalised = Vec::with_capacity(decoded.len());
    for segment in &segments {
        normalised.push(b'/');
        normalised.extend_from_slice(segment);
    }
    if folder || segments.is_empty() {
        normalised.push(b'/');
    }
    Cow::Owned(normalised)
}

/// Whether some server may read `path` otherwise than [`normalise`] does. The query is not looked at.
#[must_use]
pub fn is_ambiguous(path: &[u8]) -> bool {
    let path = split_once(path, b'?').map_or(path, |(before, _)| before);
    // One scan over nearly all paths, which hold none of these bytes.
    let odd = |byte: &u8| matches!(byte, b'%' | b'\\' | b';' | b'#' | 0..=0x20 | 0x7f..);
    if path.iter().any(odd) && (path.iter().any(|byte| *byte != b'%' && odd(byte)) || has_odd_escape(path)) {
        return true;
    }
    let decoded = decode_unreserved(path);
    decoded.windows(2).any(|pair| pair == b"//")
        || decoded.split(|byte| *byte == b'/').any(|segment| matches!(segment, b"." | b".."))
}

/// Whether an escape is broken, hides a separator, a control or another escape, or makes no UTF-8.
fn has_odd_escape(path: &[u8]) -> bool {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        if *byte != b'%' {
            decoded.push(*byte);
            rest = after;
            continue;
        }
        match escape(rest) {
            None | Some(b'/' | b'\\' | b'%' | b';' | b'#' | b'?' | 0..=0x1f | 0x7f) => return true,
            Some(value) => decoded.push(value),
        }
        rest = rest.get(3..).unwrap_or_default();
    }
    // Overlong forms of "." and "/" are no UTF-8 (RFC 3629 section 10).
    std::str::from_utf8(&decoded).is_err()
}

fn decode_unreserved(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b'%') {
        return Cow::Borrowed(path);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((byte, after)) = rest.split_first() {
        // Behind a broken escape a decoded digit would make a new one of it: `/%2%65` is not `/%2e`.
        let broken = decoded.iter().rev().take(2).any(|byte| *byte == b'%');
        let unreserved = |value: &u8| value.is_ascii_alphanumeric() || b"-._~".contains(value);
        match escape(rest).filter(|value| unreserved(value) && !(broken && value.is_ascii_hexdigit())) {
            Some(value) => {
                decoded.push(value);
                rest = rest.get(3..).unwrap_or_default();
            }
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    Cow::Owned(decoded)
}

/// The byte that `text` starts with in escaped form, `%2e`.
pub(crate) fn escape(text: &[u8]) -> Option<u8> {
    let [b'%', high, low] = text.first_chunk::<3>()? else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    u8::try_from(digit(high)? << 4 | digit(low)?).ok()
}
