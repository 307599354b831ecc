//! `trace`.

use tidegate_config::{Cursor, Fraction, HeaderName, fill};

use super::access_log::{Field, fields};
use super::endpoint::{Endpoint, Queue};
use crate::redact::Redaction;
use crate::source::{Purpose, Source};
use crate::trace::{Format, Sampling, is_token};

/// What becomes of the context that a request brings.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// In the order in which they are believed.
    pub(crate) propagate: Vec<Format>,
    /// How many of those traces are recorded about which nobody has decided.
    pub(crate) sample: Sampling,
    /// Whether to begin a trace of one's own, whatever the request brings.
    pub(crate) restart: bool,
    pub(crate) baggage: Vec<(String, Source)>,
    pub(crate) response_header: Option<HeaderName>,
    /// Of spans, beside those that each has.
    pub(crate) attributes: Vec<Field>,
    /// What spans do not say.
    pub(crate) redact: Redaction,
    /// `None`: contexts are passed on, and no spans recorded.
    pub(crate) to: Option<(Endpoint, Queue)>,
}

impl Trace {
    pub(crate) fn decode(cursor: Cursor<'_>, templates: bool) -> Option<Self> {
        let mut object = cursor.object()?;
        let mut trace = Self {
            propagate: vec![Format::W3c],
            sample: Sampling::new(1.0),
            restart: false,
            baggage: Vec::new(),
            response_header: None,
            attributes: Vec::new(),
            redact: Redaction::default(),
            to: None,
        };
        let mut fine = object.fill("propagate", &mut trace.propagate, formats);
        fine &= object.fill("sample", &mut trace.sample, |cursor| {
            cursor.decode().map(|share: Fraction| Sampling::new(share.get()))
        });
        fine &= object.fill("incoming", &mut trace.restart, |cursor| {
            cursor.word(&[("continue", false), ("restart", true)])
        });
        fine &= object.fill("baggage", &mut trace.baggage, |cursor| baggage(cursor, templates));
        fine &=
            object.fill("response_header", &mut trace.response_header, |cursor| cursor.decode().map(Some));
        fine &= object.fill("attributes", &mut trace.attributes, |cursor| fields(cursor, templates));
        fine &= object.fill("redact", &mut trace.redact, |cursor| cursor.decode());
        let otlp = object.get("otlp");
        let mut endpoint: Option<Endpoint> = None;
        fine &= fill(otlp, &mut endpoint, |cursor| cursor.decode().map(Some));
        let queue = Queue::from_object(&mut object, otlp.is_some());
        object.finish();
        if let (Some(endpoint), Some(queue)) = (endpoint, queue) {
            trace.to = Some((endpoint, queue));
        }
        (fine && queue.is_some()).then_some(trace)
    }
}

fn formats(cursor: Cursor<'_>) -> Option<Vec<Format>> {
    let words = [("w3c", Format::W3c), ("b3", Format::B3), ("b3_multi", Format::B3Multi)];
    let formats = cursor.list(|element| element.word(&words))?;
    let once = |format: &Format| formats.iter().filter(|other| *other == format).count() == 1;
    if formats.is_empty() || !formats.iter().all(once) {
        return cursor.expected_found("a list of at least one format, each once", "none, or one twice");
    }
    Some(formats)
}

fn baggage(cursor: Cursor<'_>, templates: bool) -> Option<Vec<(String, Source)>> {
    const MOST: usize = 16;
    let members = cursor.members(|key, value| {
        let usable = key.len() <= 64 && is_token(key.as_bytes());
        if !usable {
            value.expected_found::<()>(
                "a key of letters, digits, \"-\", \"_\" and \".\"",
                format_args!("\"{key}\""),
            );
        }
        let source = Source::decode(value, Purpose::Baggage)?;
        if source.is_credential() {
            return value.expected_found("no name of a credential: baggage goes to everybody", "one");
        }
        if source.is_template() && !templates {
            return value.expected_found("\"path_templates\" beside the trace", "none");
        }
        usable.then(|| (key.to_owned(), source))
    })?;
    if members.len() > MOST {
        return cursor.expected_found(format_args!("at most {MOST} members"), members.len());
    }
    Some(members)
}
