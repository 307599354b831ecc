//! What clients are told of their quotas.

use tidegate_config::{HeaderName, HeaderValue};
use tidegate_filter_api::{Exchange, Timestamp};
use tidegate_quota::State;

use crate::ask::put;
use crate::config::Fields;
use crate::filter::{RateLimit, Stream, Subject};
use crate::limiter::Limiter;
use crate::policy::{Standing, append_standing, item, x_ratelimit};

type Header = (HeaderName, HeaderValue);

impl RateLimit {
    /// Puts the fields into a response that passes, in the place of those that were there.
    ///
    /// What the upstream or another instance of the filter sent under these names is replaced, unseen: to read it would
    /// cost each response a host call more than to write these.
    pub(crate) fn tell(&self, stream: &Stream, exchange: &mut Exchange) {
        put(&stream.passed_on, exchange.response_mut());
        for (name, value) in self.fields(stream, None) {
            exchange.response_mut().set(&name, &value);
        }
    }

    /// The fields that tell of the quotas that a request is subject to, and of those of the limit that refused it.
    pub(crate) fn fields(&self, stream: &Stream, refused: Option<(usize, State, Timestamp)>) -> Vec<Header> {
        if self.reply.fields == Fields::None {
            return Vec::new();
        }
        let told = |subject: &Subject| {
            let limiter = self.limits.get(subject.limit).filter(|limiter| limiter.is_told());
            limiter.map(|limiter| (limiter, subject.state, subject.status))
        };
        let subjects = stream.subjects.iter().filter_map(told);
        let refusing =
            refused.and_then(|(place, state, now)| Some((self.limits.get(place)?, Some((state, now)), None)));
        let mut policies = String::new();
        let mut standings: Vec<Standing<'_>> = Vec::new();
        for (limiter, state, status) in subjects.chain(refusing) {
            if let Some((state, now)) = state {
                item(&mut policies, format_args!("{}", limiter.policies.advertised()));
                standings.extend(limiter.standings(&state, now));
            }
            if let Some(standing) = status.and_then(|status| of_service(limiter, status)) {
                if let Some((amount, seconds)) = standing.quota {
                    item(&mut policies, format_args!("\"{}\";q={amount};w={seconds}", standing.name));
                }
                standings.push(standing);
            }
        }
        if standings.is_empty() { Vec::new() } else { written(self.reply.fields, &policies, &standings) }
    }
}

/// What the service said of a limit's key.
fn of_service(limiter: &Limiter, status: crate::service::Status) -> Option<Standing<'_>> {
    const SECOND: u64 = 1_000_000_000;
    let quota = status.limit?;
    let until = status.until_reset.map(|nanos| nanos.div_ceil(SECOND));
    Some(Standing {
        name: limiter.policies.service(),
        available: status.remaining,
        until_more: until,
        until_whole: until.unwrap_or(quota.1),
        quota: Some(quota),
    })
}

fn written(fields: Fields, policies: &str, standings: &[Standing<'_>]) -> Vec<Header> {
    let header = |name: &str, value: &str| {
        Some((HeaderName::new(name).ok()?, HeaderValue::new(value.as_bytes()).ok()?))
    };
    let pairs = match fields {
        Fields::None => Vec::new(),
        Fields::Draft11 => {
            let mut limits = String::new();
            standings.iter().for_each(|standing| append_standing(&mut limits, standing));
            vec![header("ratelimit-policy", policies), header("ratelimit", &limits)]
        }
        Fields::XRateLimit => {
            x_ratelimit(standings.iter().copied()).map_or(Vec::new(), |[limit, remaining, reset]| {
                vec![
                    header("x-ratelimit-limit", &limit),
                    header("x-ratelimit-remaining", &remaining),
                    header("x-ratelimit-reset", &reset),
                ]
            })
        }
    };
    pairs.into_iter().flatten().collect()
}
