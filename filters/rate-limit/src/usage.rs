//! Costs out of a response's body: numbers at given places of JSON, read as the body passes.
//!
//! Nothing is held back and nothing is kept but a few numbers: memory does not follow the body. In a stream of several
//! documents (server-sent events, lines of JSON) the last number at each place counts, since usage is reported as totals
//! so far.

mod events;
mod json;
mod path;

pub(crate) use path::JsonPath;

use events::Events;
use json::Documents;

/// What has been read of a body.
#[derive(Debug)]
pub(crate) struct Usage(Body);

#[derive(Debug)]
enum Body {
    /// One JSON document, or several one behind the other.
    Json(Documents),
    /// Server-sent events, with a document in each.
    Events(Events),
}

impl Usage {
    /// Begins to read a body of this type. `None` if there is no JSON to be found in it, or if it is compressed.
    pub(crate) fn begin(content_type: Option<&[u8]>, content_encoding: Option<&[u8]>) -> Option<Self> {
        if content_encoding.is_some_and(|encoding| !encoding.trim_ascii().eq_ignore_ascii_case(b"identity")) {
            return None;
        }
        let Some(content_type) = content_type else { return Some(Self(Body::Json(Documents::default()))) };
        let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default();
        let essence = essence.trim_ascii().to_ascii_lowercase();
        let json = [&b"/json"[..], b"+json", b"/x-ndjson", b"/ndjson", b"/jsonl"];
        if essence == b"text/event-stream" {
            Some(Self(Body::Events(Events::default())))
        } else if json.iter().any(|end| essence.ends_with(end)) {
            Some(Self(Body::Json(Documents::default())))
        } else {
            None
        }
    }

    /// Reads on.
    pub(crate) fn read(&mut self, paths: &[JsonPath], piece: &[u8]) {
        match &mut self.0 {
            Body::Json(documents) => documents.read(paths, piece),
            Body::Events(events) => events.read(paths, piece),
        }
    }

    /// The sum of the last numbers at all paths; `None` if there was none. A body that was cut off counts as far as it
    /// was seen.
    pub(crate) fn total(&self) -> Option<u64> {
        match &self.0 {
            Body::Json(documents) => documents.total(),
            Body::Events(events) => events.total(),
        }
    }
}

#[cfg(test)]
mod tests;
