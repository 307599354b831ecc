//! Where the value of a label, a log field or a piece of baggage comes from.

use tidegate_config::{Cursor, HeaderName, Object, one_of};

use crate::attribute::Attribute;
use crate::redact::names_credential;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    Attribute(Attribute),
    Header(HeaderName),
    ResponseHeader(HeaderName),
    Cookie(String),
    Claim(String),
    /// Always the same.
    Text(String),
}

/// What a value is for, and so what it may come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A label: few values.
    Label,
    /// A label of a gauge of what is under way: known when the request arrives.
    EarlyLabel,
    /// A field of a log record, or an attribute of a span: anything.
    Field,
    /// Baggage: known when the request arrives.
    Baggage,
}

impl Purpose {
    fn takes(self, attribute: Attribute) -> bool {
        match self {
            Self::Label => attribute.is_bounded(),
            Self::EarlyLabel => attribute.is_early(),
            Self::Field => true,
            Self::Baggage => attribute.is_early() || attribute == Attribute::Principal,
        }
    }

    fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Label => &["header", "response_header", "cookie", "claim"],
            Self::EarlyLabel => &["header", "cookie"],
            Self::Field => &["header", "response_header", "cookie", "claim", "text"],
            Self::Baggage => &["header", "cookie", "claim", "text"],
        }
    }
}

impl Source {
    /// Decodes the name of an attribute, or an object with one key.
    pub(crate) fn decode(cursor: Cursor<'_>, purpose: Purpose) -> Option<Self> {
        Self::decode_with(cursor, purpose, &mut |_| true)
    }

    /// The same where the object has other keys: `rest` reads them, and says whether they are fine.
    pub(crate) fn decode_with(
        cursor: Cursor<'_>,
        purpose: Purpose,
        rest: &mut dyn FnMut(&mut Object<'_>) -> bool,
    ) -> Option<Self> {
        if cursor.as_str().is_some() {
            return Self::attribute(&cursor, purpose);
        }
        if !cursor.is_object() {
            return cursor.expected(expectation(purpose));
        }
        let mut object = cursor.object()?;
        let source = object.one_of(purpose.keys()).and_then(|variant| match variant.key {
            "header" => variant.cursor.decode().map(Self::Header),
            "response_header" => variant.cursor.decode().map(Self::ResponseHeader),
            "cookie" => text(&variant.cursor, "the name of a cookie").map(Self::Cookie),
            "claim" => text(&variant.cursor, "the name of a claim").map(Self::Claim),
            _ => variant.cursor.decode().map(Self::Text),
        });
        let fine = rest(&mut object);
        object.finish();
        source.filter(|_| fine)
    }

    fn attribute(cursor: &Cursor<'_>, purpose: Purpose) -> Option<Self> {
        let name = cursor.as_str()?;
        match (Attribute::named(name), purpose) {
            (Some(attribute), _) if purpose.takes(attribute) => Some(Self::Attribute(attribute)),
            (Some(attribute), Purpose::Label | Purpose::EarlyLabel) if !attribute.is_bounded() => {
                // Every request would be a series of its own: the bound would be full within minutes.
                cursor.expected(format_args!(
                    "an attribute with few values (nearly every request has a \"{name}\" of its own)"
                ))
            }
            (Some(_), _) => cursor.expected(format_args!(
                "an attribute that is known when a request arrives: {}",
                one_of(Attribute::names(|attribute| purpose.takes(attribute)))
            )),
            (None, _) => cursor.expected(expectation(purpose)),
        }
    }

    /// Whether it is the credential of somebody, to judge by its name.
    pub(crate) fn is_credential(&self) -> bool {
        match self {
            Self::Header(name) | Self::ResponseHeader(name) => names_credential(name.as_str().as_bytes()),
            Self::Cookie(name) => names_credential(name.as_bytes()),
            Self::Attribute(_) | Self::Claim(_) | Self::Text(_) => false,
        }
    }

    /// Whether it needs a list of templates.
    pub(crate) fn is_template(&self) -> bool {
        *self == Self::Attribute(Attribute::PathTemplate)
    }

    /// Whether it can only be read from the map of the request's headers, which costs more than one of them.
    pub(crate) fn needs_header_map(&self) -> bool {
        match self {
            Self::Cookie(_) => true,
            Self::Attribute(attribute) => {
                matches!(attribute, Attribute::Path | Attribute::Query | Attribute::PathTemplate)
            }
            Self::Header(_) | Self::ResponseHeader(_) | Self::Claim(_) | Self::Text(_) => false,
        }
    }

    /// Whether it is read from the request's headers at all.
    pub(crate) fn is_of_request_headers(&self) -> bool {
        match self {
            Self::Header(_) => true,
            Self::Attribute(attribute) => attribute.is_of_request_headers(),
            _ => self.needs_header_map(),
        }
    }
}

fn expectation(purpose: Purpose) -> String {
    let keys = purpose.keys().iter().map(|key| format!("{{{key}}}")).collect::<Vec<_>>().join(", ");
    format!("{} or {keys}", one_of(Attribute::names(|attribute| purpose.takes(attribute))))
}

fn text(cursor: &Cursor<'_>, expected: &str) -> Option<String> {
    match cursor.as_str().filter(|name| !name.is_empty()) {
        Some(name) => Some(name.to_owned()),
        None => cursor.expected(expected),
    }
}
