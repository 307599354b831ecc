//! What is refused, by path and with what was expected.

use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{refusal, worker};

#[test]
fn the_example_of_the_readme_is_accepted() {
    let text = include_str!("../README.md");
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(example).unwrap();
    let _ = worker::<RateLimit>(&value.to_string());
}

/// A service may stand there before any limit asks it.
#[test]
fn every_word_stands_together_with_every_other() {
    let configuration = r#"{
        "limits": [
            {"name": "per-user", "match": {"paths": [{"prefix": "/api/"}], "methods": ["GET", "POST"]},
             "not": {"source": {"cidrs": ["10.0.0.0/8"]}}, "key": [{"header": "x-user-id"}, {"path_template": "/users/{id}"}],
             "quotas": [{"requests": 100, "per": "1m", "burst": 20}, {"requests": 5000, "per": "1d"}], "mode": "enforce", "on_missing": "skip"},
            {"name": "login-guessing", "match": {"paths": [{"exact": "/login"}]}, "key": ["source"],
             "quotas": [{"requests": 5, "per": "10m"}], "count_when": {"status": [401, 403]}},
            {"name": "tokens", "key": ["principal"], "quotas": [{"units": 100000, "per": "1h"}], "cost": {"response_header": "x-tokens-used"}},
            {"name": "parallel-exports", "match": {"paths": [{"prefix": "/export"}]}, "key": [{"header": "x-tenant"}],
             "concurrency": {"max": 4, "expire": "5m"}}
        ],
        "table": {"max_keys": 65536, "on_full": "deny"},
        "global": {"cluster": "ratelimit", "domain": "shop", "timeout": "20ms", "on_error": "allow"},
        "reply": {"status": 429, "problem_json": true, "headers": "draft_11"}}"#;
    let worker = worker::<RateLimit>(configuration);
    assert_eq!(worker.get("/login", &[]).status(), 200);
    assert!(worker.host().calls().is_empty(), "no limit asks for it");
}

fn limit(words: &str) -> String {
    refusal::<RateLimit>(&format!(r#"{{"limits": [{{"name": "a", {words}}}]}}"#))
}

const QUOTAS: &str = r#""quotas": [{"requests": 1, "per": "1s"}]"#;

#[test]
fn limits_that_limit_nothing_or_nonsense_are_refused() {
    for (words, error) in [
        (
            r#""mode": "enforce""#.to_owned(),
            r#"limits[0]: expected "quotas", "concurrency" or "global", found none of them"#,
        ),
        (
            format!(r#"{QUOTAS}, "cost": {{"fixed": 2}}"#),
            r#"limits[0]: expected a quota of "units" that "cost" is taken from, found none"#,
        ),
        (
            r#""quotas": [{"units": 9, "per": "1s"}, {"units": 99, "per": "1h", "burst": 4}], "cost": {"fixed": 5}"#.to_owned(),
            r#"limits[0]: expected a fixed cost that every burst has room for, found a cost of 5 and a burst of 4"#,
        ),
        (
            r#""concurrency": {"max": 1, "expire": "1m"}, "count_when": {"status": [401]}"#.to_owned(),
            r#"limits[0]: expected "quotas" for "count_when" to count in, found none"#,
        ),
        (
            format!(r#"{QUOTAS}, "count_when": {{}}"#),
            r#"limits[0].count_when: expected the key "status", found none"#,
        ),
        (
            r#""concurrency": {"max": 0, "expire": "0s"}"#.to_owned(),
            "limits[0].concurrency.max: expected an integer from 1 to 1000000, found 0\n\
             limits[0].concurrency.expire: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0s\"",
        ),
        (
            format!(r#"{QUOTAS}, "global": "yes""#),
            "limits[0].global: expected true, false or {generic_key}, found \"yes\"",
        ),
        (
            format!(r#"{QUOTAS}, "global": {{"generic_key": ""}}"#),
            "limits[0].global.generic_key: expected a text of at least one character, found \"\"",
        ),
        (
            format!(r#"{QUOTAS}, "mode": "off", "on_missing": "allow""#),
            "limits[0].on_missing: expected one of \"skip\", \"deny\", found \"allow\"\n\
             limits[0].mode: expected one of \"enforce\", \"shadow\", found \"off\"",
        ),
    ] {
        assert_eq!(limit(&words), error);
    }
}

#[test]
fn quotas_that_arithmetic_cannot_keep_are_refused() {
    let quota = |words: &str| limit(&format!(r#""quotas": [{{{words}}}]"#));
    for (words, error) in [
        (
            r#""requests": 0, "per": "0s", "burst": 0"#,
            "limits[0].quotas[0].requests: expected an integer from 1 to 1000000000000, found 0\n\
             limits[0].quotas[0].per: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0s\"\n\
             limits[0].quotas[0].burst: expected an integer from 1 to 1000000000000, found 0",
        ),
        (
            r#""requests": 1, "units": 1, "per": "1s""#,
            "limits[0].quotas[0]: expected one of \"requests\", \"units\", found \"requests\" and \"units\"",
        ),
        (
            r#""units": 700000000, "per": "1s""#,
            "limits[0].quotas[0]: expected a rate of at most one a microsecond, found 700000000 in that time",
        ),
        (
            r#""requests": 1, "per": "1d", "burst": 100000"#,
            "limits[0].quotas[0]: expected a burst that comes back within twenty years, found one of 100000",
        ),
        (
            r#""requests": 1.5, "per": "1s""#,
            "limits[0].quotas[0].requests: expected an integer from 1 to 1000000000000, found 1.5",
        ),
    ] {
        assert_eq!(quota(words), error);
    }
    let nine = [r#"{"requests": 1, "per": "1s"}"#; 9].join(", ");
    assert_eq!(
        limit(&format!(r#""quotas": [{nine}]"#)),
        "limits[0].quotas: expected at most 8 quotas, found 9"
    );
}

#[test]
fn costs_that_cannot_be_read_are_refused() {
    let cost =
        |words: &str| limit(&format!(r#""quotas": [{{"units": 1, "per": "1s"}}], "cost": {{{words}}}"#));
    for (words, error) in [
        (r#""fixed": 0"#, "limits[0].cost.fixed: expected an integer from 1 to 1000000000000, found 0"),
        (
            r#""fixed": 1, "default": 1"#,
            "limits[0].cost.default: expected one of \"fixed\", \"request_header\", \"response_header\", \"json_field\", found an unknown key",
        ),
        (
            r#""json_field": "usage..x""#,
            "limits[0].cost.json_field: expected names with dots between such as \"usage.total_tokens\", found \"usage..x\"",
        ),
        (
            r#""request_header": "Host""#,
            "limits[0].cost.request_header: expected another header (the host is told by \"hosts\" in conditions, \"host\" elsewhere), found \"Host\"",
        ),
        (r#""json_field": []"#, "limits[0].cost.json_field: expected one to 8 fields, found 0"),
        (
            r#""response_header": "x", "default": -1, "max": 0"#,
            "limits[0].cost.default: expected an integer from 0 to 1000000000000, found -1\n\
             limits[0].cost.max: expected an integer from 1 to 1000000000000, found 0",
        ),
    ] {
        assert_eq!(cost(words), error);
    }
}

#[test]
fn what_concerns_all_limits_is_checked_too() {
    let with = |limit: &str, words: &str| {
        refusal::<RateLimit>(&format!(r#"{{"limits": [{{"name": "a", {limit}}}], {words}}}"#))
    };
    for (limit, words, error) in [
        (
            r#""global": true"#,
            r#""on_error": "deny""#,
            r#"configuration: expected the key "global", since a limit has "global", found none"#,
        ),
        (
            r#""global": true"#,
            r#""global": {"cluster": "", "timeout": "0ms", "on_error": "skip"}"#,
            "global.cluster: expected a text of at least one character, found \"\"\n\
             global: expected the key \"domain\", found none\n\
             global.timeout: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0ms\"\n\
             global.on_error: expected one of \"allow\", \"deny\", found \"skip\"",
        ),
        (
            QUOTAS,
            r#""table": {"max_keys": 0, "on_full": "evict"}"#,
            "table.max_keys: expected an integer from 1 to 16777216, found 0\n\
             table.on_full: expected one of \"allow\", \"deny\", found \"evict\"",
        ),
        (
            QUOTAS,
            r#""reply": {"status": 200, "problem_json": true, "body": "x", "headers": "draft_7"}"#,
            "reply.status: expected an integer from 400 to 599, found 200\n\
             reply.headers: expected one of \"draft_11\", \"x_ratelimit\", \"none\", found \"draft_7\"\n\
             reply: expected \"problem_json\" or \"body\", found both",
        ),
        (
            QUOTAS,
            r#""reply": {"content_type": "text/html"}"#,
            "reply: expected \"body\" beside \"content_type\", found none",
        ),
        (QUOTAS, r#""publish_decisions": 1"#, "publish_decisions: expected true or false, found 1"),
    ] {
        assert_eq!(with(limit, words), error);
    }
}
