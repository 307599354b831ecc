//! A quota for each user: two thousand users in turn, each far below the quota; one greedy user, in the checks, is not.

use serde_json::{Value, json};

use super::{USERS, load, lua, native, request};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

const ALLOWED: &str = "tidegate.rate_limit.per-user.allowed";
const OK: &str = "http_local_rate_limit.ok";

/// Per second. The users of the load share what Envoy can answer, so that each stays below; one who is alone does not,
/// even on a slow machine.
const QUOTA: u32 = 100;
/// How many requests one user may send in the checks before refusal is overdue.
const PATIENCE: u32 = 2_000;
/// For cases in which a single user sends everything.
const UNREACHED: u32 = 1_000_000_000;

pub(super) fn cases() -> Vec<Case> {
    let users = "a bucket for each of 2,000 users";
    let mut cases = vec![
        limited(Case::new("rate-limit", "a quota for each of 2,000 users", load(), || Setup::of(filter())))
            .counted_by(ALLOWED)
            .native("rate-limit/native"),
        limited(Case::new("rate-limit/native", &format!("local_ratelimit, {users}"), load(), || {
            Setup::of(native_filter())
        }))
        .counted_by(OK),
        limited(Case::new("rate-limit/lua", "GCRA in Lua, of one worker", load(), || Setup::of(lua(&[LUA])))),
        Case::new("rate-limit/native-one-bucket", "local_ratelimit, a bucket for all", load(), || {
            Setup::of(local_ratelimit(buckets()))
        })
        .check("it counts", request(), Expected::Counted(OK))
        .counted_by(OK)
        .on_demand(),
    ];
    cases.extend([
        deep("rate-limit/one-key", "one user sends everything", 1, || {
            limits(&[limit("per-user", "/api", &[unreached("1s")])])
        }),
        deep("rate-limit/headers", "a quota for each of 2,000 users, and clients are told", USERS, || {
            let mut configuration = configuration();
            configuration["reply"] = json!({"headers": "draft_11"});
            configuration
        }),
        deep("rate-limit/million-keys", "a quota for each of 1,000,000 users", 1_000_000, configuration),
        deep("rate-limit/four-quotas", "four quotas at a time", USERS, || {
            limits(&[limit("per-user", "/api", &["1s", "1m", "1h", "1d"].map(unreached))])
        }),
        deep("rate-limit/ten-limits", "ten limits, of which the last matches", USERS, ten_limits),
    ]);
    cases
}

/// A case whose quota may be out of reach: that it decides shows in whom it refuses without counting.
fn deep(name: &str, about: &str, keys: u64, configured: fn() -> Value) -> Case {
    let setup = move || Setup::of(HttpFilter::Module("rate-limit", configured()));
    Case::new(name, about, load().keys(keys), setup)
        .check("who has no name is refused", request().without("x-user-id"), Expected::Status(429))
        .counted_by(ALLOWED)
        .native("rate-limit/native")
        .on_demand()
}

/// A user who sends without end is refused, and another is not.
pub(super) fn limited(case: Case) -> Case {
    let user = |name: &str| request().with("x-user-id", name);
    case.check("a user's quota ends", user("greedy"), Expected::Within(PATIENCE, 429)).check(
        "a quota is one user's only",
        user("modest"),
        Expected::Status(200),
    )
}

pub(super) fn filter() -> HttpFilter {
    HttpFilter::Module("rate-limit", configuration())
}

pub(super) fn configuration() -> Value {
    limits(&[limit("per-user", "/api", &[quota()])])
}

fn quota() -> Value {
    json!({"requests": QUOTA, "per": "1s"})
}

fn unreached(per: &str) -> Value {
    json!({"requests": UNREACHED, "per": per})
}

fn limit(name: &str, prefix: &str, quotas: &[Value]) -> Value {
    json!({
        "name": name,
        "match": {"paths": [{"prefix": prefix}]},
        "key": [{"header": "x-user-id"}],
        "quotas": quotas,
        // Shows in a check that the limit is in force, also where its quota cannot be reached.
        "on_missing": "deny",
    })
}

/// With room for all keys of all cases.
fn limits(limits: &[Value]) -> Value {
    json!({"limits": limits, "table": {"max_keys": 4_194_304}})
}

fn ten_limits() -> Value {
    let mut all: Vec<Value> = (1..10)
        .map(|number| limit(&format!("other-{number}"), &format!("/other-{number}"), &[quota()]))
        .collect();
    all.push(limit("per-user", "/api", &[quota()]));
    limits(&all)
}

pub(super) fn native_filter() -> HttpFilter {
    let by_user = json!({"request_headers": {"header_name": "x-user-id", "descriptor_key": "user"}});
    let mut configuration = buckets();
    // An entry without a value makes a bucket for each value seen.
    configuration["descriptors"] = json!([{"entries": [{"key": "user"}], "token_bucket": bucket(QUOTA)}]);
    configuration["max_dynamic_descriptors"] = json!(65_536);
    configuration["always_consume_default_token_bucket"] = json!(false);
    configuration["rate_limits"] = json!([{"actions": [by_user]}]);
    local_ratelimit(configuration)
}

fn local_ratelimit(configuration: Value) -> HttpFilter {
    native("local_ratelimit", "local_ratelimit.v3.LocalRateLimit", configuration)
}

/// One bucket for all, never empty.
fn buckets() -> Value {
    let always = json!({"default_value": {"numerator": 100, "denominator": "HUNDRED"}});
    json!({
        "stat_prefix": "bench",
        "token_bucket": bucket(UNREACHED),
        "filter_enabled": always,
        "filter_enforced": always,
    })
}

fn bucket(tokens: u32) -> Value {
    json!({"max_tokens": tokens, "tokens_per_fill": tokens, "fill_interval": "1s"})
}

pub(super) const LUA: (&str, &str) = ("limit", include_str!("lua/limit.lua"));
