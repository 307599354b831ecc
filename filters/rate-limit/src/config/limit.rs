//! One limit.

use tidegate_config::{Cursor, Decode, Duration, Name};
use tidegate_matchers::{Conditions, Scope, StatusMatch};
use tidegate_quota::{Concurrency, MOST_QUOTAS, Rules, Unit};

use super::Otherwise;
use super::{Cost, CostSource, Quota, text};
use crate::key::KeyPart;

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
    /// Whether its conditions or its key speak of the path.
    pub(crate) names_paths: bool,
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
        let mut fine = name.is_some();
        let mut limit = Self {
            identity: cursor.canonical(),
            name: name.unwrap_or_default(),
            conditions: Conditions::default(),
            names_paths: false,
            key: Vec::new(),
            quotas: Vec::new(),
            concurrency: None,
            cost: Cost::default(),
            count_when: None,
            descriptor: None,
            on_missing: Otherwise::Allow,
            mode: Mode::Enforce,
        };
        let conditions = Conditions::from_rule(&mut object, Scope::Request);
        fine &= conditions.is_some();
        limit.conditions = conditions.unwrap_or_default();
        fine &= object.fill("key", &mut limit.key, Cursor::decode);
        limit.names_paths = limit.conditions.name_paths() || limit.key.iter().any(KeyPart::is_of_path);
        fine &= object.fill("quotas", &mut limit.quotas, quotas);
        fine &= object.fill("concurrency", &mut limit.concurrency, |cursor| concurrency(cursor).map(Some));
        let mut costs = false;
        fine &= object.fill("cost", &mut limit.cost, |cursor| {
            costs = true;
            cursor.decode()
        });
        fine &= object.fill("count_when", &mut limit.count_when, |cursor| count_when(cursor).map(Some));
        fine &= object.fill("global", &mut limit.descriptor, descriptor);
        fine &= object.fill("on_missing", &mut limit.on_missing, |cursor| {
            cursor.word(&[("skip", Otherwise::Allow), ("deny", Otherwise::Deny)])
        });
        fine &= object.fill("mode", &mut limit.mode, |cursor| {
            cursor.word(&[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)])
        });
        object.finish();
        if !fine && !cursor.keys().iter().any(|key| matches!(*key, "quotas" | "concurrency" | "global")) {
            // Said at once with what else is wrong.
            return cursor.expected_found(SOMETHING_TO_LIMIT, "none of them");
        }
        (fine && limit.makes_sense(&cursor, costs)).then_some(limit)
    }
}

const SOMETHING_TO_LIMIT: &str = "\"quotas\", \"concurrency\" or \"global\"";

impl Limit {
    /// Whether what stands in it belongs together; says what does not.
    fn makes_sense(&self, cursor: &Cursor<'_>, costs: bool) -> bool {
        let global = self.descriptor.is_some();
        let of_units = self.quotas.iter().filter(|quota| quota.unit == Unit::Units);
        let least = of_units.map(|quota| quota.burst).min();
        let (expected, found) = if !global && !self.is_local() {
            (SOMETHING_TO_LIMIT, "none of them")
        } else if costs && !global && least.is_none() {
            ("a quota of \"units\" that \"cost\" is taken from", "none")
        } else if self.count_when.is_some() && self.quotas.is_empty() && !global {
            ("\"quotas\" for \"count_when\" to count in", "none")
        } else if let (Some(least), CostSource::Fixed) = (least, &self.cost.source)
            && self.cost.fixed() > least
        {
            let found = format_args!("a cost of {} and a burst of {least}", self.cost.fixed()).to_string();
            return cursor
                .expected_found::<()>("a fixed cost that every burst has room for", found)
                .is_some();
        } else {
            return true;
        };
        cursor.expected_found::<()>(expected, found).is_some()
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
fn count_when(cursor: Cursor<'_>) -> Option<StatusMatch> {
    let mut object = cursor.object()?;
    let status = object.required("status");
    object.finish();
    status
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
