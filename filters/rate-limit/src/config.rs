//! The filter's configuration.

mod cost;
mod limit;
mod quota;
mod reply;

use tidegate_config::{Cursor, Decode, Duration, Object, unique_names};
use tidegate_matchers::ClientAddress;

pub(crate) use cost::{Cost, CostSource, Measured};
pub(crate) use limit::{Limit, Mode};
pub(crate) use quota::Quota;
pub(crate) use reply::{Body, Fields, Reply};

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) limits: Vec<Limit>,
    pub(crate) client_address: ClientAddress,
    /// `client_address` as it is written: keys depend on it.
    pub(crate) client_identity: String,
    pub(crate) max_keys: u64,
    pub(crate) on_full: Otherwise,
    pub(crate) on_error: Otherwise,
    pub(crate) service: Option<Service>,
    pub(crate) reply: Reply,
    /// Whether other filters are told which limit refused.
    pub(crate) publish_decisions: bool,
}

/// What happens to a request that could not be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Allow,
    Deny,
}

/// The rate limit service that global limits ask.
#[derive(Debug, Clone)]
pub(crate) struct Service {
    /// Envoy's name of the cluster.
    pub(crate) cluster: String,
    pub(crate) domain: String,
    pub(crate) timeout: std::time::Duration,
    /// What happens when it does not answer.
    pub(crate) on_error: Otherwise,
}

const MAX_KEYS: i64 = 65_536;

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let service = object.optional("global");
        let limits = object.require("limits").and_then(|cursor| {
            let limits: Vec<Limit> = cursor.non_empty_list()?;
            unique_names(&cursor, limits.iter().map(|limit| &limit.name));
            Some(limits)
        });
        let address = object.get("client_address").map(|cursor| (cursor.canonical(), cursor.decode()));
        let table = object.get("table").map_or(Some((MAX_KEYS, Otherwise::Deny)), table);
        let on_error = otherwise(&mut object, "on_error");
        let reply = object.or("reply", Reply::default());
        let publish_decisions = object.or("publish_decisions", false);
        object.finish();
        let (limits, service) = (limits?, service?);
        let global = limits.iter().any(|limit| limit.descriptor.is_some());
        if service.is_none() && global {
            return cursor.expected_found("the key \"global\", since a limit has \"global\"", "none");
        }
        let (max_keys, on_full) = table?;
        let (identity, client_address) =
            address.unwrap_or_else(|| (String::new(), Some(ClientAddress::default())));
        Some(Self {
            limits,
            client_address: client_address?,
            client_identity: identity,
            max_keys: max_keys.unsigned_abs(),
            on_full,
            on_error: on_error?,
            service,
            reply: reply?,
            publish_decisions: publish_decisions?,
        })
    }
}

fn table(cursor: Cursor<'_>) -> Option<(i64, Otherwise)> {
    let mut object = cursor.object()?;
    let max_keys = object.get("max_keys").map_or(Some(MAX_KEYS), |cursor| cursor.integer(1, 16_777_216));
    let on_full = otherwise(&mut object, "on_full");
    object.finish();
    Some((max_keys?, on_full?))
}

/// Fails closed unless told otherwise.
fn otherwise(object: &mut Object<'_>, key: &'static str) -> Option<Otherwise> {
    let words = [("allow", Otherwise::Allow), ("deny", Otherwise::Deny)];
    object.get(key).map_or(Some(Otherwise::Deny), |cursor| cursor.word(&words))
}

impl Decode for Service {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        // What Envoy's own filter waits by default.
        const TIMEOUT: std::time::Duration = std::time::Duration::from_millis(20);
        let mut object = cursor.object()?;
        let cluster = object.require("cluster").and_then(text);
        let domain = object.require("domain").and_then(text);
        let timeout = object.optional::<Duration>("timeout");
        let on_error = otherwise(&mut object, "on_error");
        object.finish();
        let timeout = timeout?.map_or(TIMEOUT, Duration::get);
        Some(Self { cluster: cluster?, domain: domain?, timeout, on_error: on_error? })
    }
}

/// A string that is not empty.
fn text(cursor: Cursor<'_>) -> Option<String> {
    match cursor.as_str() {
        Some(text) if !text.is_empty() => Some(text.to_owned()),
        _ => cursor.expected("a text of at least one character"),
    }
}
