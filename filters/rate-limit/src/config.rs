//! The filter's configuration.

use tidegate_config::{Cursor, Decode, Duration, Name, unique_names};
use tidegate_matchers::{ClientAddress, Conditions, Scope};

use crate::gcra::Quota;
use crate::key::KeyPart;

/// The filter's configuration: see the filter's README for every word.
#[derive(Debug)]
pub struct Config {
    pub(crate) limits: Vec<Limit>,
    pub(crate) client_address: ClientAddress,
    pub(crate) max_keys: u64,
    pub(crate) on_full: Otherwise,
    pub(crate) on_error: Otherwise,
}

/// What happens to a request that could not be decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Otherwise {
    Allow,
    Deny,
}

/// Whether a limit refuses or only counts what it would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Enforce,
    Shadow,
}

/// One limit.
#[derive(Debug, Clone)]
pub(crate) struct Limit {
    pub(crate) name: Name,
    pub(crate) conditions: Conditions,
    pub(crate) key: Vec<KeyPart>,
    pub(crate) quotas: Vec<Quota>,
    pub(crate) on_missing: Otherwise,
    pub(crate) mode: Mode,
}

const MAX_KEYS: i64 = 65_536;

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let limits = object.require("limits").and_then(|cursor| {
            let limits: Vec<Limit> = cursor.non_empty_list()?;
            unique_names(&cursor, limits.iter().map(|limit| &limit.name));
            Some(limits)
        });
        let client_address = object.or("client_address", ClientAddress::default());
        let table = object.get("table").map_or(Some((MAX_KEYS, Otherwise::Deny)), table);
        let on_error = otherwise(&mut object, "on_error");
        object.finish();
        let (max_keys, on_full) = table?;
        Some(Self {
            limits: limits?,
            client_address: client_address?,
            max_keys: max_keys.unsigned_abs(),
            on_full,
            on_error: on_error?,
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
fn otherwise(object: &mut tidegate_config::Object<'_>, key: &'static str) -> Option<Otherwise> {
    let words = [("allow", Otherwise::Allow), ("deny", Otherwise::Deny)];
    object.get(key).map_or(Some(Otherwise::Deny), |cursor| cursor.word(&words))
}

impl Decode for Limit {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required("name");
        let conditions = Conditions::from_rule(&mut object, Scope::Request);
        let key = object.or("key", Vec::new());
        let quotas = object.require("quotas").and_then(Cursor::non_empty_list);
        let on_missing = object.get("on_missing").map_or(Some(Otherwise::Allow), |cursor| {
            cursor.word(&[("skip", Otherwise::Allow), ("deny", Otherwise::Deny)])
        });
        let mode = object.get("mode").map_or(Some(Mode::Enforce), |cursor| {
            cursor.word(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)])
        });
        object.finish();
        Some(Self {
            name: name?,
            conditions: conditions?,
            key: key?,
            quotas: quotas?,
            on_missing: on_missing?,
            mode: mode?,
        })
    }
}

impl Decode for Quota {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        const MOST: i64 = 1_000_000_000;
        let mut object = cursor.object()?;
        let requests = object.require("requests").and_then(|cursor| cursor.integer(1, MOST));
        let per: Option<Duration> = object.required("per");
        let burst = object.get("burst").map_or(Some(None), |cursor| cursor.integer(1, MOST).map(Some));
        object.finish();
        let (requests, per, burst) = (requests?, per?, burst?);
        let burst = burst.unwrap_or(requests);
        Self::new(requests.unsigned_abs(), per.as_nanos(), burst.unsigned_abs())
            .or_else(|| cursor.expected_found("at most one request a nanosecond", "more"))
    }
}
