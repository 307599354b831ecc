//! A request that a rule's conditions lead to: rules that cover the rule are found by looking it up.

use std::net::IpAddr;

use serde_json::{Map, Value};
use tidegate_config::HeaderValue;
use tidegate_filter_api::{Claims, Exchange, HeaderBlock, Headers};

use super::clause::{Ask, Atom, Slot, View};
use crate::facts::FieldKind;

/// A request that satisfies the positive conditions of a rule, by the first way where there are several, and the address
/// it comes from. Where no such value is easily found (some regular expressions) it may not.
pub(super) fn sample(view: &View<'_>) -> (Exchange, Option<IpAddr>) {
    let mut sample = Sample::default();
    for clause in &view.clauses {
        if clause.way <= 1
            && let Some(atom) = clause.atoms.first()
        {
            sample.add(atom);
        }
    }
    sample.exchange()
}

#[derive(Default)]
struct Sample {
    path: Option<Vec<u8>>,
    host: Option<Vec<u8>>,
    method: Option<Vec<u8>>,
    principal: Option<Vec<u8>>,
    source: Option<IpAddr>,
    headers: Vec<(Vec<u8>, Vec<u8>)>,
    query: Vec<u8>,
    claims: Map<String, Value>,
}

impl Sample {
    fn add(&mut self, atom: &Atom<'_>) {
        if let Ask::Addresses(cidr) = atom.ask {
            self.source = Some(cidr.network());
            return;
        }
        let Some(value) = value(&atom.ask) else { return };
        match atom.slot {
            Slot::Path | Slot::RawPath => self.path = Some(value),
            Slot::Host => self.host = Some(value),
            Slot::Method => self.method = Some(value),
            Slot::Principal => self.principal = Some(value),
            Slot::Source => {}
            Slot::Field(FieldKind::Header, name) => self.headers.push((name.into(), value)),
            Slot::Field(FieldKind::Cookie, name) => {
                self.headers.push((b"cookie".to_vec(), [name.as_bytes(), b"=", &value].concat()));
            }
            Slot::Field(FieldKind::Query, name) => {
                self.query.push(b'&');
                escape(name.as_bytes(), &mut self.query);
                self.query.push(b'=');
                escape(&value, &mut self.query);
            }
            Slot::Claim(name) => {
                let text = String::from_utf8_lossy(&value).into_owned();
                self.claims.insert(name.to_owned(), Value::String(text));
            }
        }
    }

    fn exchange(self) -> (Exchange, Option<IpAddr>) {
        let mut path = self.path.unwrap_or_else(|| b"/".to_vec());
        if !self.query.is_empty() {
            path.push(b'?');
            path.extend_from_slice(&self.query);
        }
        let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = vec![
            (b":method".to_vec(), self.method.unwrap_or_else(|| b"GET".to_vec())),
            (b":path".to_vec(), path),
            (b":authority".to_vec(), self.host.unwrap_or_else(|| b"x".to_vec())),
        ];
        pairs.extend(self.headers);
        let pairs = pairs.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        let mut exchange = Exchange::new(Headers::new(HeaderBlock::from_pairs(pairs)));
        if let Some(Ok(principal)) = self.principal.map(HeaderValue::new) {
            exchange.set_principal(principal);
        }
        exchange.set_claims(Claims::new(self.claims).into());
        (exchange, self.source)
    }
}

/// A value that satisfies what is asked.
fn value(ask: &Ask<'_>) -> Option<Vec<u8>> {
    Some(match ask {
        Ask::Exact(value) => value.to_vec(),
        Ask::Segments([]) => b"/".to_vec(),
        Ask::Prefix(part) | Ask::Contains(part) | Ask::Segments(part) => part.to_vec(),
        // A host below `.example.com` is not that alone.
        Ask::Suffix(part) if part.starts_with(b".") => [b"x", *part].concat(),
        Ask::Suffix(part) => part.to_vec(),
        Ask::Regex(regex) => regex.sample()?,
        Ask::Range(least, most) => (*least).max((*most).min(0)).to_string().into_bytes(),
        Ask::Present => b"x".to_vec(),
        Ask::Template(template) => template.sample(),
        Ask::Absent | Ask::Addresses(_) => return None,
    })
}

fn escape(text: &[u8], into: &mut Vec<u8>) {
    for byte in text {
        if byte.is_ascii_alphanumeric() {
            into.push(*byte);
        } else {
            into.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}
