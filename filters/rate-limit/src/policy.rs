//! What clients are told of their quotas: the fields of draft-ietf-httpapi-ratelimit-headers-11, and the older
//! `X-RateLimit-*` as Envoy writes them.

use std::fmt::Write as _;
use tidegate_quota::{Rate, State, Unit};

use crate::config::Limit;

/// The policies of one limit: its quotas in their order, then its concurrency.
#[derive(Debug)]
pub(crate) struct Policies {
    names: Vec<String>,
    /// Items of `RateLimit-Policy`, ready to be sent.
    advertised: String,
    quotas: Vec<(u64, u64)>,
    max: Option<u32>,
    /// What is counted at the rate limit service.
    service: String,
}

/// One quota as a request found it, and left it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing<'p> {
    pub(crate) name: &'p str,
    pub(crate) available: u64,
    /// Seconds until more than that will be available, rounded up; `None` where that cannot be told, or never.
    pub(crate) until_more: Option<u64>,
    /// Seconds until it is whole again, rounded up.
    pub(crate) until_whole: u64,
    /// Units and seconds of the quota; `None` for concurrency.
    pub(crate) quota: Option<(u64, u64)>,
}

const SECOND: u64 = 1_000_000_000;

impl Policies {
    pub(crate) fn new(limit: &Limit) -> Self {
        let names = names(limit);
        let mut advertised = String::new();
        for (quota, name) in limit.quotas.iter().zip(&names) {
            let amount = quota.amount;
            item(&mut advertised, format_args!("\"{name}\";q={amount}"));
            if quota.unit == Unit::Units {
                // No unit of the draft's registry fits; without this, clients would take them for requests.
                advertised.push_str(";qu=\"units\"");
            }
            // Whole seconds only (section 3.1.3).
            if quota.per.as_nanos() % SECOND == 0 {
                append(&mut advertised, format_args!(";w={}", quota.per.as_nanos() / SECOND));
            }
            if quota.burst != amount {
                append(&mut advertised, format_args!(";tidegate-burst={}", quota.burst));
            }
        }
        if let (Some(concurrency), Some(name)) = (limit.concurrency, names.get(limit.quotas.len())) {
            let max = concurrency.max;
            item(&mut advertised, format_args!("\"{name}\";q={max};qu=\"concurrent-requests\""));
        }
        let quotas =
            limit.quotas.iter().map(|quota| (quota.amount, quota.per.as_nanos().div_ceil(SECOND))).collect();
        let max = limit.concurrency.map(|concurrency| concurrency.max);
        let own = limit.name.as_str();
        let service = if names.is_empty() { own.to_owned() } else { format!("{own}:service") };
        Self { names, advertised, quotas, max, service }
    }

    /// The name of the quota in this place.
    pub(crate) fn name(&self, place: usize) -> Option<&str> {
        self.names.get(place).map(String::as_str)
    }

    /// The name of the concurrency, which stands behind the quotas.
    pub(crate) fn concurrency(&self) -> Option<&str> {
        self.name(self.quotas.len())
    }

    /// The name of what is counted at the rate limit service.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// Items of `RateLimit-Policy`.
    pub(crate) fn advertised(&self) -> &str {
        &self.advertised
    }

    /// Where each quota stands, given its rate and arrival.
    pub(crate) fn standings<'p>(
        &'p self,
        state: &State,
        quotas: impl Iterator<Item = (&'p Rate, u64)>,
        now: u64,
    ) -> impl Iterator<Item = Standing<'p>> {
        let of_quotas =
            quotas.zip(&self.quotas).zip(&self.names).map(move |(((rate, arrival), quota), name)| Standing {
                name,
                available: rate.available(arrival, now),
                until_more: rate.until_more(arrival, now).map(|wait| wait.div_ceil(SECOND)),
                until_whole: rate.until_whole(arrival, now).div_ceil(SECOND),
                quota: Some(*quota),
            });
        let in_use = state.leases.in_use();
        let of_concurrency = self.max.zip(self.concurrency()).map(|(max, name)| Standing {
            name,
            available: max.saturating_sub(in_use).into(),
            until_more: None,
            until_whole: 0,
            quota: None,
        });
        of_quotas.chain(of_concurrency)
    }
}

/// The limit's own name where it has one policy, else with what tells them apart.
fn names(limit: &Limit) -> Vec<String> {
    let mut suffixes: Vec<String> = limit.quotas.iter().map(|quota| period(quota.per.as_nanos())).collect();
    if limit.concurrency.is_some() {
        suffixes.push("concurrent".to_owned());
    }
    if suffixes.len() == 1 {
        return vec![limit.name.as_str().to_owned()];
    }
    let mut names: Vec<String> = Vec::new();
    for suffix in suffixes {
        let name = format!("{}:{suffix}", limit.name);
        // Two quotas over the same time differ by their bursts.
        let same = names.iter().filter(|other| other.split('#').next() == Some(&name)).count();
        names.push(if same == 0 { name } else { format!("{name}#{}", same + 1) });
    }
    names
}

/// A period as configurations write it: `1m`, `90s`, `250ms`.
fn period(nanos: u64) -> String {
    const UNITS: [(&str, u64); 6] = [
        ("d", 86_400 * SECOND),
        ("h", 3_600 * SECOND),
        ("m", 60 * SECOND),
        ("s", SECOND),
        ("ms", SECOND / 1_000),
        ("us", SECOND / 1_000_000),
    ];
    let unit = UNITS.iter().find(|(_, unit)| nanos.is_multiple_of(*unit));
    unit.map_or_else(|| format!("{nanos}ns"), |(name, unit)| format!("{}{name}", nanos / unit))
}

/// Appends a standing to the value of `RateLimit`.
pub(crate) fn append_standing(field: &mut String, standing: &Standing<'_>) {
    item(field, format_args!("\"{}\";r={}", standing.name, standing.available));
    if let Some(until) = standing.until_more {
        append(field, format_args!(";t={until}"));
    }
}

/// The values of `X-RateLimit-Limit`, `-Remaining` and `-Reset`: of the quota with the least left, and in the first all
/// quotas with their seconds. `None` without quotas.
pub(crate) fn x_ratelimit<'s>(standings: impl Iterator<Item = Standing<'s>> + Clone) -> Option<[String; 3]> {
    let quotas = standings.filter_map(|standing| Some((standing, standing.quota?)));
    let least = quotas
        .clone()
        .min_by_key(|(standing, _)| (standing.available, std::cmp::Reverse(standing.until_whole)));
    let (tightest, (amount, _)) = least?;
    let mut limit = amount.to_string();
    for (_, (amount, seconds)) in quotas {
        append(&mut limit, format_args!(", {amount};w={seconds}"));
    }
    Some([limit, tightest.available.to_string(), tightest.until_whole.to_string()])
}

/// One item more of a list.
pub(crate) fn item(list: &mut String, item: std::fmt::Arguments<'_>) {
    if !list.is_empty() {
        list.push_str(", ");
    }
    append(list, item);
}

pub(crate) fn append(text: &mut String, more: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = text.write_fmt(more);
}
