//! What a limit counts by.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};
use tidegate_config::{Cursor, Decode, HeaderName};
use tidegate_filter_api::{Host, Property};
use tidegate_matchers::{
    ClientAddress, Facts, Template, each_cookie, each_header, each_query, request_header,
};
use tidegate_quota::KeyDigest;

/// One part of a key.
#[derive(Debug, Clone)]
pub(crate) enum KeyPart {
    Header(HeaderName),
    Cookie(String),
    Query(String),
    PathTemplate(Template),
    Claim(String),
    Host,
    Method,
    Route,
    Source,
    Principal,
}

/// Parts that are a word of their own.
const WORDS: [(&str, KeyPart); 5] = [
    ("host", KeyPart::Host),
    ("method", KeyPart::Method),
    ("route", KeyPart::Route),
    ("source", KeyPart::Source),
    ("principal", KeyPart::Principal),
];

/// Parts that have a name.
const NAMED: [&str; 5] = ["header", "cookie", "query", "path_template", "claim"];

impl Decode for KeyPart {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        if !cursor.is_object() {
            let word = WORDS.iter().find(|(word, _)| cursor.as_str() == Some(word));
            return match word {
                Some((_, part)) => Some(part.clone()),
                None => {
                    let words = WORDS.map(|(word, _)| format!("\"{word}\"")).join(", ");
                    cursor.expected(format_args!("one of {words}, {{{}}}", NAMED.join("}, {")))
                }
            };
        }
        let mut object = cursor.object()?;
        let part = object.one_of(&NAMED).and_then(|variant| match variant.key {
            "header" => request_header(variant.cursor).map(Self::Header),
            "cookie" => name(variant.cursor).map(Self::Cookie),
            "query" => name(variant.cursor).map(Self::Query),
            "claim" => name(variant.cursor).map(Self::Claim),
            _ => {
                let template: Template = variant.cursor.decode()?;
                if template.names().next().is_none() {
                    return variant.cursor.expected("a template with a capture such as \"/users/{id}\"");
                }
                Some(Self::PathTemplate(template))
            }
        });
        object.finish();
        part
    }
}

fn name(cursor: Cursor<'_>) -> Option<String> {
    cursor.decode::<String>().filter(|name| !name.is_empty()).or_else(|| cursor.expected("a name"))
}

impl KeyPart {
    /// Whether it depends on how the path is read.
    pub(crate) fn is_of_path(&self) -> bool {
        matches!(self, Self::PathTemplate(_))
    }

    /// Calls `visit` with each value that a request has for this part, under the value's name. None: the part is missing.
    pub(crate) fn visit(
        &self,
        facts: &Facts<'_>,
        host: &dyn Host,
        client: ClientAddress,
        visit: &mut dyn FnMut(&str, &[u8]),
    ) {
        let exchange = facts.exchange();
        match self {
            Self::Header(name) => each_header(exchange, name.as_str(), &mut |value| {
                visit(name.as_str(), value);
                true
            }),
            Self::Cookie(name) => each_cookie(exchange, name, &mut |value| {
                visit(name, value);
                true
            }),
            Self::Query(name) => each_query(exchange, name, &mut |value| {
                visit(name, value);
                true
            }),
            Self::PathTemplate(template) => {
                if let Some(captures) = template.matches(facts.path()) {
                    for name in template.names() {
                        visit(name, captures.get(name).unwrap_or_default());
                    }
                }
            }
            Self::Claim(name) => {
                if let Some(claim) = facts.claims().and_then(|claims| claims.get(name)) {
                    visit_claim(name, claim, visit);
                }
            }
            Self::Host => visit("host", facts.authority()),
            Self::Method => visit("method", exchange.method()),
            Self::Route => {
                if let Some(route) = host.property(Property::ROUTE_NAME) {
                    visit("route", &route);
                }
            }
            Self::Principal => {
                if let Some(principal) = facts.principal() {
                    visit("principal", principal);
                }
            }
            Self::Source => {
                if let Some(address) = facts.source() {
                    // What Envoy's own descriptors call it.
                    visit("remote_address", client.significant(address).to_string().as_bytes());
                }
            }
        }
    }
}

/// A claim's values are its elements if it is a list; an object has none.
fn visit_claim(name: &str, claim: &serde_json::Value, visit: &mut dyn FnMut(&str, &[u8])) {
    match claim {
        serde_json::Value::String(text) => visit(name, text.as_bytes()),
        serde_json::Value::Array(list) => {
            for element in list.iter().filter(|element| !element.is_array()) {
                visit_claim(name, element, visit);
            }
        }
        serde_json::Value::Bool(truth) => visit(name, if *truth { b"true" } else { b"false" }),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(integer), _, _) => visit(name, integer.to_string().as_bytes()),
            (_, Some(integer), _) => visit(name, integer.to_string().as_bytes()),
            // Its bits tell it apart as well as its digits would.
            (_, _, Some(fraction)) => visit(name, format!("{:016x}", fraction.to_bits()).as_bytes()),
            _ => {}
        },
        serde_json::Value::Object(_) | serde_json::Value::Null => {}
    }
}

/// Makes digests that nobody outside can aim: with a known seed, a client could fill one bucket of the table and lock
/// others out.
#[derive(Clone, Copy)]
pub(crate) struct Digester {
    seed: [u8; 16],
    client: ClientAddress,
}

impl Digester {
    pub(crate) fn new(seed: [u8; 16], client: ClientAddress) -> Self {
        Self { seed, client }
    }

    /// The digest of a request's key; `None` if a part is missing. No parts: one key for all requests.
    pub(crate) fn digest(&self, parts: &[KeyPart], facts: &Facts<'_>, host: &dyn Host) -> Option<KeyDigest> {
        let mut hasher = SipHasher13::new_with_key(&self.seed);
        for part in parts {
            // All values in order, each with its length: `a`,`bc` and `ab`,`c` are two keys.
            let mut count = 0_u64;
            part.visit(facts, host, self.client, &mut |_, value| {
                count += 1;
                hasher.write_u64(value.len() as u64);
                hasher.write(value);
            });
            if count == 0 {
                return None;
            }
            hasher.write_u64(count);
        }
        Some(hasher.finish128().as_u128())
    }

    /// What a rate limit service is told of a key: its values under their names, several of one name joined. `None` if a
    /// part is missing.
    pub(crate) fn entries(
        &self,
        parts: &[KeyPart],
        facts: &Facts<'_>,
        host: &dyn Host,
    ) -> Option<Vec<(String, String)>> {
        let mut entries: Vec<(String, String)> = Vec::new();
        for part in parts {
            let before = entries.len();
            part.visit(facts, host, self.client, &mut |name, value| {
                let value = text(value);
                match entries.get_mut(before..).and_then(<[_]>::last_mut).filter(|(last, _)| last == name) {
                    Some((_, values)) => {
                        values.push(',');
                        values.push_str(&value);
                    }
                    None => entries.push((name.to_owned(), value)),
                }
            });
            if entries.len() == before {
                return None;
            }
        }
        Some(entries)
    }
}

/// A value as text: protobuf's strings are UTF-8. Of other values all bytes that are not ASCII are escaped.
fn text(value: &[u8]) -> String {
    std::str::from_utf8(value).map_or_else(|_| value.escape_ascii().to_string(), str::to_owned)
}
