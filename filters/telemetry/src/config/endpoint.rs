//! `otlp`, `batch`, `queue`: where records go, how many at once, and how many may wait.

use std::time;

use tidegate_config::{Cursor, Decode, Duration, HeaderName, HeaderValue, Object, Secret, fill};

/// A collector that speaks OTLP/HTTP, behind a cluster of Envoy's.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) cluster: String,
    pub(crate) authority: String,
    /// `None`: the signal's own, `/v1/logs`.
    pub(crate) path: Option<String>,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) timeout: time::Duration,
}

/// Headers often hold a key.
impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Endpoint").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}

/// Headers that say how a message is framed, and are not for a configuration to say.
const FRAMING: [&str; 6] =
    ["content-type", "content-length", "content-encoding", "transfer-encoding", "host", "connection"];

impl Decode for Endpoint {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let mut endpoint = Self {
            cluster: String::new(),
            authority: String::new(),
            path: None,
            headers: Vec::new(),
            timeout: time::Duration::from_secs(10),
        };
        let cluster = object.require("cluster");
        let mut fine = cluster.is_some()
            && fill(cluster, &mut endpoint.cluster, |cursor| named(&cursor, "the name of a cluster"));
        endpoint.authority.clone_from(&endpoint.cluster);
        fine &= object.fill("authority", &mut endpoint.authority, |cursor| {
            named(&cursor, "a host, with or without port")
        });
        fine &= object.fill("path", &mut endpoint.path, |cursor| match cursor.as_str() {
            Some(path) if path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Some(Some(path.to_owned()))
            }
            _ => cursor.expected("a path starting with \"/\""),
        });
        fine &= object.fill("headers", &mut endpoint.headers, headers);
        fine &= object.fill("timeout", &mut endpoint.timeout, |cursor| {
            let timeout = cursor.decode().map(Duration::get)?;
            // To Envoy less than a millisecond is no bound at all: a collector that hangs would be waited for for ever.
            if (0.001..=3_600.0).contains(&timeout.as_secs_f64()) {
                Some(timeout)
            } else {
                cursor.expected("a duration from \"1ms\" to \"1h\"")
            }
        });
        object.finish();
        fine.then_some(endpoint)
    }
}

fn named(cursor: &Cursor<'_>, expected: &str) -> Option<String> {
    match cursor.as_str().filter(|text| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()))
    {
        Some(text) => Some(text.to_owned()),
        None => cursor.expected(expected),
    }
}

fn headers(cursor: Cursor<'_>) -> Option<Vec<(HeaderName, HeaderValue)>> {
    cursor.members(|name, value| {
        let usable = HeaderName::new(name).ok().filter(|name| !FRAMING.contains(&name.as_str()));
        if usable.is_none() {
            value.expected_found::<()>(
                "a header name other than those that frame a message",
                format_args!("\"{name}\""),
            );
        }
        let text = header_value(&value);
        Some((usable?, text?))
    })
}

/// As written, or `{env: OTLP_TOKEN}`: a credential stands in no configuration.
fn header_value(cursor: &Cursor<'_>) -> Option<HeaderValue> {
    let (cursor, bytes) = if cursor.is_object() {
        let mut object = cursor.object()?;
        let variable = object.require("env");
        object.finish();
        let variable = variable?;
        (variable, Some(variable.decode::<Secret>()?.as_bytes().to_vec()))
    } else {
        (*cursor, cursor.as_str().map(|text| text.as_bytes().to_vec()))
    };
    let value = bytes.and_then(|bytes| HeaderValue::new(bytes).ok());
    value.or_else(|| cursor.expected_secret("a header value without control characters, or {env}"))
}

/// When records are sent, and how many may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    /// So many in one message.
    pub(crate) batch: usize,
    /// And no later than this.
    pub(crate) every: time::Duration,
    /// So many may wait, those on their way included; then the oldest is dropped.
    pub(crate) capacity: usize,
}

impl Queue {
    /// Decodes `batch` and `queue`; both are errors where nothing is sent.
    pub(crate) fn from_object(object: &mut Object<'_>, sends: bool) -> Option<Self> {
        let (batch, capacity) = (object.get("batch"), object.get("queue"));
        if !sends {
            let mut fine = true;
            for cursor in [&batch, &capacity].into_iter().flatten() {
                fine = false;
                cursor.expected::<()>("no such key where nothing is sent by OTLP");
            }
            return fine.then_some(Self { batch: 0, every: time::Duration::ZERO, capacity: 0 });
        }
        let (mut most, mut every, mut limit) = (512, time::Duration::from_secs(2), 4_096);
        let mut fine = true;
        if let Some(cursor) = &batch {
            let mut batch = cursor.object()?;
            fine &= batch.fill("max", &mut most, |cursor| cursor.integer(1, 10_000));
            fine &= batch.fill("every", &mut every, |cursor| {
                let every = cursor.decode().map(Duration::get)?;
                if (0.1..=3_600.0).contains(&every.as_secs_f64()) {
                    Some(every)
                } else {
                    cursor.expected("a duration from \"100ms\" to \"1h\"")
                }
            });
            batch.finish();
        }
        fine &= fill(capacity, &mut limit, |cursor| cursor.integer(1, 100_000));
        if fine && limit < most {
            let (place, found) = (capacity.as_ref().unwrap_or(object.cursor()), limit);
            let expected = format_args!("\"queue\" of at least batch.max ({most})");
            return place.expected_found(expected, found);
        }
        fine.then_some(Self {
            batch: usize::try_from(most).ok()?,
            every,
            capacity: usize::try_from(limit).ok()?,
        })
    }
}
