//! One limit.

use tidegate_config::{Cursor, Decode, Duration, Name, Object};
use tidegate_matchers::{Conditions, Scope, StatusMatch};

use super::Otherwise;
use super::{Cost, Quota, text};
use crate::concurrency::Concurrency;
use crate::key::KeyPart;
use crate::state::{MOST_QUOTAS, Rules, Unit};

/// Whether a limit refuses or only counts what it would refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Enforce,
    Shadow,
}

/// One limit.
#[derive(Debug)]
pub(crate) struct Limit {
    /// The limit as it is written: a changed one starts new.
    pub(crate) identity: String,
    pub(crate) name: Name,
    pub(crate) conditions: Conditions,
    pub(crate) key: Vec<KeyPart>,
    pub(crate) quotas: Vec<Quota>,
    pub(crate) concurrency: Option<Concurrency>,
    pub(crate) cost: Cost,
    /// Only responses with such a status are charged.
    pub(crate) count_when: Option<StatusMatch>,
    /// What the rate limit service is told, if it is asked.
    pub(crate) descriptor: Option<Descriptor>,
    pub(crate) on_missing: Otherwise,
    pub(crate) mode: Mode,
}

/// What the rate limit service is told beside the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Descriptor {
    /// The value of an entry `generic_key` in front of the key's own.
    pub(crate) generic_key: Option<String>,
}

impl Limit {
    /// By what the states of its keys are judged.
    pub(crate) fn rules(&self) -> Rules {
        let rates = self.quotas.iter().map(|quota| {
            let late = self.count_when.is_some() || (quota.unit == Unit::Units && self.cost.is_late());
            (quota.unit, if late { quota.rate.with_debt() } else { quota.rate })
        });
        Rules { rates: rates.collect(), concurrency: self.concurrency }
    }

    /// Whether anything is counted here, not only at the rate limit service.
    pub(crate) fn is_local(&self) -> bool {
        !self.quotas.is_empty() || self.concurrency.is_some()
    }
}

impl Decode for Limit {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let name = object.required("name");
        let conditions = Conditions::from_rule(&mut object, Scope::Request);
        let key = object.or("key", Vec::new());
        let quotas = object.get("quotas").map_or(Some(Vec::new()), quotas);
        let concurrency =
            object.get("concurrency").map_or(Some(None), |cursor| concurrency(cursor).map(Some));
        let cost = object.optional("cost");
        let count_when = count_when(&mut object);
        let descriptor = object.get("global").map_or(Some(None), descriptor);
        let on_missing = object.get("on_missing").map_or(Some(Otherwise::Allow), |cursor| {
            cursor.word(&[("skip", Otherwise::Allow), ("deny", Otherwise::Deny)])
        });
        let mode = object.get("mode").map_or(Some(Mode::Enforce), |cursor| {
            cursor.word(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)])
        });
        object.finish();
        // At once: with a `?` for each, the code that drops those before it, again and again, would be most of this.
        let (Some(name), Some(conditions), Some(key), Some(quotas), Some(concurrency)) =
            (name, conditions, key, quotas, concurrency)
        else {
            return None;
        };
        let (Some(cost), Some(count_when), Some(descriptor), Some(on_missing), Some(mode)) =
            (cost, count_when, descriptor, on_missing, mode)
        else {
            return None;
        };
        if quotas.is_empty() && concurrency.is_none() && descriptor.is_none() {
            return cursor.expected_found("\"quotas\", \"concurrency\" or \"global\"", "none of them");
        }
        let spends = descriptor.is_some() || quotas.iter().any(|quota| quota.unit == Unit::Units);
        if cost.is_some() && !spends {
            return cursor.expected_found("a quota of \"units\" that \"cost\" is taken from", "none");
        }
        if count_when.is_some() && quotas.is_empty() && descriptor.is_none() {
            return cursor.expected_found("\"quotas\" for \"count_when\" to count in", "none");
        }
        Some(Self {
            identity: cursor.canonical(),
            name,
            conditions,
            key,
            quotas,
            concurrency,
            cost: cost.unwrap_or_default(),
            count_when,
            descriptor,
            on_missing,
            mode,
        })
    }
}

fn quotas(cursor: Cursor<'_>) -> Option<Vec<Quota>> {
    let quotas: Vec<Quota> = cursor.non_empty_list()?;
    if quotas.len() > MOST_QUOTAS {
        return cursor.expected_found(format_args!("at most {MOST_QUOTAS} quotas"), quotas.len());
    }
    Some(quotas)
}

/// `{max: 4, expire: 5m}`
fn concurrency(cursor: Cursor<'_>) -> Option<Concurrency> {
    let mut object = cursor.object()?;
    let max = object.require("max").and_then(|cursor| cursor.integer(1, 1_000_000));
    let expire: Option<Duration> = object.required("expire");
    object.finish();
    Some(Concurrency::new(u32::try_from(max?).ok()?, expire?.as_nanos()))
}

/// `{status: [401, 403]}`
fn count_when(limit: &mut Object<'_>) -> Option<Option<StatusMatch>> {
    let Some(cursor) = limit.get("count_when") else { return Some(None) };
    let mut object = cursor.object()?;
    let status = object.required("status");
    object.finish();
    status.map(Some)
}

/// `true`, `false` or `{generic_key: checkout}`
fn descriptor(cursor: Cursor<'_>) -> Option<Option<Descriptor>> {
    if let Some(global) = cursor.as_bool() {
        return Some(global.then_some(Descriptor { generic_key: None }));
    }
    if !cursor.is_object() {
        return cursor.expected("true, false or {generic_key}");
    }
    let mut object = cursor.object()?;
    let generic_key = object.require("generic_key").and_then(text);
    object.finish();
    Some(Some(Descriptor { generic_key: Some(generic_key?) }))
}
