//! What the filter decides, on a fake host whose clock the tests move.

use std::time::Duration;

use tidegate_filter_api::{GrpcStatus, HostError, Property};
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{FakeHost, Worker, refusal, worker, worker_on};

const PER_USER: &str = r#"{"limits": [{"name": "per-user", "key": [{"header": "x-user-id"}], "quotas": [{"requests": 3, "per": "3s"}]}]}"#;

fn statuses(worker: &Worker<RateLimit>, user: &[u8], count: usize) -> Vec<u16> {
    (0..count).map(|_| worker.get("/", &[("x-user-id", user)]).status()).collect()
}

#[test]
fn a_quota_is_spent_at_once_and_comes_back_with_time() {
    let worker = worker::<RateLimit>(PER_USER);
    assert_eq!(statuses(&worker, b"a", 4), [200, 200, 200, 429]);
    assert_eq!(statuses(&worker, b"b", 1), [200], "each key has its own quota");
    worker.host().advance(Duration::from_millis(999));
    assert_eq!(statuses(&worker, b"a", 1), [429]);
    worker.host().advance(Duration::from_millis(1));
    assert_eq!(statuses(&worker, b"a", 2), [200, 429]);
    assert_eq!(worker.host().metric("tidegate.rate_limit.per-user.allowed"), 5);
    assert_eq!(worker.host().metric("tidegate.rate_limit.per-user.denied"), 3);
}

#[test]
fn retry_after_is_exact_and_whole_seconds() {
    let worker =
        worker::<RateLimit>(r#"{"limits": [{"name": "all", "quotas": [{"requests": 1, "per": "10s"}]}]}"#);
    assert_eq!(worker.get("/", &[]).status(), 200);
    worker.host().advance(Duration::from_millis(2_500));
    let refused = worker.get("/", &[]);
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.reply_header("retry-after"), Some(b"8".as_slice()), "7.5 s, rounded up");
    assert_eq!(refused.reply_header("x-envoy-ratelimited"), Some(b"true".as_slice()));
    worker.host().advance(Duration::from_millis(7_500));
    assert_eq!(worker.get("/", &[]).status(), 200, "who waits as told is admitted");
}

/// The time that a refusal tells, and whether the same request is admitted after it, and not a second before.
fn waits(limits: &str, before: usize) -> u64 {
    let worker = worker::<RateLimit>(&format!(r#"{{"limits": [{limits}]}}"#));
    let get = || worker.get("/", &[("x-cost", b"2")]);
    (0..before).for_each(|_| assert_eq!(get().status(), 200));
    let refused = get();
    assert_eq!(refused.status(), 429);
    let told =
        refused.reply_header("retry-after").and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    let seconds = told.unwrap_or_default();
    worker.host().advance(Duration::from_secs(seconds));
    assert_eq!(get().status(), 200, "who waits {seconds} s is admitted");
    seconds
}

#[test]
fn retry_after_is_that_of_all_limits() {
    let limit = |name: &str, amount: u32, seconds: u32| {
        format!(r#"{{"name": "{name}", "quotas": [{{"requests": {amount}, "per": "{seconds}s"}}]}}"#)
    };
    let (quick, slow) = (limit("quick", 1, 5), limit("slow", 1, 60));
    assert_eq!(waits(&[quick.clone(), slow.clone()].join(","), 1), 60, "the later one would refuse as well");
    assert_eq!(waits(&[slow, quick.clone()].join(","), 1), 60);
    // The earlier one admits the request that the later one refuses, and wants to be whole again before the next.
    assert_eq!(waits(&[limit("earlier", 2, 100), quick.clone()].join(","), 1), 50);
    let tried = limit("tried", 1, 1_000).replace("\"quotas\"", "\"mode\": \"shadow\", \"quotas\"");
    assert_eq!(waits(&[quick.clone(), tried].join(","), 1), 5, "what is only tried out keeps nobody waiting");
    let units =
        r#"{"name": "units", "quotas": [{"units": 3, "per": "30s"}], "cost": {"request_header": "x-cost"}}"#;
    assert_eq!(waits(&[quick.clone(), units.to_owned()].join(","), 1), 10, "for as much as it costs");
    let missing =
        limit("other", 1, 1_000).replace("\"quotas\"", "\"key\": [{\"header\": \"x-none\"}], \"quotas\"");
    assert_eq!(waits(&[quick, missing].join(","), 1), 5);
}

#[test]
fn what_no_time_would_admit_is_told_none() {
    let worker = worker::<RateLimit>(
        r#"{"limits": [{"name": "first", "quotas": [{"requests": 1, "per": "5s"}]},
                       {"name": "large", "quotas": [{"units": 3, "per": "30s"}], "cost": {"request_header": "x-cost"}}]}"#,
    );
    assert_eq!(worker.get("/", &[("x-cost", b"1")]).status(), 200);
    let refused = worker.get("/", &[("x-cost", b"4")]);
    assert_eq!((refused.status(), refused.reply_header("retry-after")), (429, None));
    let (status, seconds) = (worker.get("/", &[]).status(), worker.get("/", &[]));
    assert_eq!((status, seconds.reply_header("retry-after")), (429, Some(b"5".as_slice())));
    assert_eq!(worker.host().metric("tidegate.rate_limit.large.errors"), 0, "to look is not to count");
}

#[test]
fn several_quotas_are_charged_together_or_not_at_all() {
    let quotas = r#"[{"requests": 3, "per": "1m"}, {"requests": 5, "per": "1h"}]"#;
    let worker = worker::<RateLimit>(&format!(r#"{{"limits": [{{"name": "both", "quotas": {quotas}}}]}}"#));
    let get = || worker.get("/", &[]).status();
    assert_eq!([get(), get(), get(), get()], [200, 200, 200, 429]);
    worker.host().advance(Duration::from_secs(60));
    assert_eq!([get(), get(), get()], [200, 200, 429], "the refused request cost the hour nothing");
}

#[test]
fn grpc_clients_hear_that_a_resource_is_exhausted() {
    let worker = worker::<RateLimit>(PER_USER);
    statuses(&worker, b"a", 3);
    let refused = worker.get("/", &[("x-user-id", b"a")]);
    let tidegate_testkit::fake::Outcome::Replied(reply) = refused else { panic!("admitted") };
    assert_eq!(reply.grpc_status, GrpcStatus::ResourceExhausted);
}

#[test]
fn workers_share_their_counts_and_a_reload_keeps_them() {
    let host = FakeHost::new();
    let (first, second) = (worker_on::<RateLimit>(&host, PER_USER), worker_on::<RateLimit>(&host, PER_USER));
    assert_eq!(statuses(&first, b"a", 2), [200, 200]);
    assert_eq!(statuses(&second, b"a", 2), [200, 429]);
    let reloaded = worker_on::<RateLimit>(&host, PER_USER);
    assert_eq!(statuses(&reloaded, b"a", 1), [429]);
    let changed = worker_on::<RateLimit>(&host, &PER_USER.replace("3s", "4s"));
    assert_eq!(statuses(&changed, b"a", 1), [200], "a changed limit starts new");
}

#[test]
fn two_plugins_in_one_namespace_do_not_share_counts() {
    let host = FakeHost::new();
    host.set(Property::PLUGIN_NAME, b"shop.first");
    let first = worker_on::<RateLimit>(&host, PER_USER);
    host.set(Property::PLUGIN_NAME, b"shop.second");
    let second = worker_on::<RateLimit>(&host, PER_USER);
    assert_eq!(statuses(&first, b"a", 4), [200, 200, 200, 429]);
    assert_eq!(statuses(&second, b"a", 1), [200]);
}

#[test]
fn every_value_of_a_repeated_header_is_the_key_whatever_its_bytes() {
    let worker = worker::<RateLimit>(PER_USER);
    let both = |first: &[u8], second: &[u8]| {
        worker.get("/", &[("x-user-id", first), ("x-user-id", second)]).status()
    };
    assert_eq!(statuses(&worker, b"\xff\xfe", 4), [200, 200, 200, 429]);
    for _ in 0..3 {
        assert_eq!(both(b"a", b"bc"), 200);
    }
    assert_eq!(both(b"a", b"bc"), 429);
    assert_eq!(both(b"ab", b"c"), 200);
    assert_eq!(both(b"bc", b"a"), 200);
    assert_eq!(statuses(&worker, b"a", 1), [200]);
}

#[test]
fn a_missing_key_is_skipped_or_denied_as_configured() {
    assert_eq!(worker::<RateLimit>(PER_USER).get("/", &[]).status(), 200);
    let deny = PER_USER.replace(r#""quotas""#, r#""on_missing": "deny", "quotas""#);
    assert_eq!(worker::<RateLimit>(&deny).get("/", &[]).status(), 429);
}

#[test]
fn shadow_mode_counts_and_lets_pass() {
    let worker = worker::<RateLimit>(&PER_USER.replace(r#""quotas""#, r#""mode": "shadow", "quotas""#));
    assert_eq!(statuses(&worker, b"a", 5), [200; 5]);
    assert_eq!(worker.host().metric("tidegate.rate_limit.per-user.shadow_denied"), 2);
    assert_eq!(worker.host().metric("tidegate.rate_limit.per-user.denied"), 0);
}

#[test]
fn conditions_say_which_requests_count() {
    let worker = worker::<RateLimit>(
        r#"{"limits": [{"name": "api", "match": {"paths": [{"prefix": "/api"}], "methods": ["POST"]},
             "not": {"source": {"cidrs": ["10.0.0.0/8"]}}, "key": ["source"], "quotas": [{"requests": 1, "per": "1h"}]}]}"#,
    );
    let post = |path: &str| worker.send("POST", path, &[]).0.status();
    assert_eq!([post("/api"), post("/api/x?y"), post("/apis"), post("/x/../api")], [200, 429, 200, 429]);
    assert_eq!(worker.get("/api", &[]).status(), 200);
    worker.host().set(Property::SOURCE_ADDRESS, b"10.1.2.3:99");
    assert_eq!([post("/api"), post("/api")], [200, 200]);
    worker.host().set(Property::SOURCE_ADDRESS, b"[2001:db8::1]:99");
    assert_eq!(post("/api"), 200);
    worker.host().set(Property::SOURCE_ADDRESS, b"[2001:db8::2]:99");
    assert_eq!(post("/api"), 429, "one client has a whole /64");
}

#[test]
fn only_trusted_hops_say_where_a_request_comes_from() {
    let worker = worker::<RateLimit>(
        r#"{"limits": [{"name": "all", "key": ["source"], "on_missing": "deny", "quotas": [{"requests": 1, "per": "1h"}]}],
            "client_address": {"trusted_hops": 1}}"#,
    );
    let from = |forwarded: &[u8]| worker.get("/", &[("x-forwarded-for", forwarded)]).status();
    assert_eq!(from(b"203.0.113.1"), 200);
    assert_eq!(from(b"198.51.100.7, 203.0.113.1"), 429, "a fake address in front changes nothing");
    assert_eq!(from(b"203.0.113.2"), 200);
    assert_eq!(from(b"nonsense"), 429, "no address is a missing key");
}

#[test]
fn memory_is_bounded_and_no_spent_key_is_forgotten() {
    let config =
        PER_USER.replace("3s", "1h").replace(r#"{"limits""#, r#"{"table": {"max_keys": 512}, "limits""#);
    let worker = worker::<RateLimit>(&config);
    statuses(&worker, b"victim", 3);
    for user in 0..20_000 {
        let _ = worker.get("/", &[("x-user-id", format!("user-{user}").as_bytes())]);
    }
    let (keys, bytes) = worker.host().shared_size();
    assert!(keys <= 512 / 16 + 2, "{keys} keys: the buckets, the seed, and how many keys are held");
    assert!(
        bytes <= 512 * 24 + keys * 40,
        "{bytes} bytes: a digest and one quota each, and what stands around"
    );
    assert_eq!(statuses(&worker, b"victim", 1), [429]);
    let full = worker.host().metric("tidegate.rate_limit.per-user.table_full");
    assert!((19_000..20_000).contains(&full), "{full} found no room");
    worker.host().advance(Duration::from_secs(3600));
    assert_eq!(statuses(&worker, b"late", 1), [200], "a key that is full again gives up its place");
}

#[test]
fn a_dead_host_takes_the_configured_way_and_is_counted() {
    for (on_error, expected) in [("allow", 200), ("deny", 503)] {
        let worker = worker::<RateLimit>(
            &PER_USER.replace(r#"{"limits""#, &format!(r#"{{"on_error": "{on_error}", "limits""#)),
        );
        for call in ["shared", "set_shared"] {
            worker.host().fail(call, HostError::InternalFailure);
            assert_eq!(statuses(&worker, b"a", 1), [expected], "{call}");
            worker.host().heal();
        }
        worker.host().fail("set_shared", HostError::CasMismatch);
        assert_eq!(statuses(&worker, b"a", 1), [expected], "a swap that never succeeds ends");
        assert_eq!(worker.host().metric("tidegate.rate_limit.per-user.errors"), 3);
    }
}

#[test]
fn a_clock_that_goes_backwards_costs_at_most_the_quota() {
    let worker = worker::<RateLimit>(PER_USER);
    statuses(&worker, b"a", 3);
    worker.host().rewind(Duration::from_secs(1_000_000));
    assert_eq!(statuses(&worker, b"a", 1), [429]);
    worker.host().advance(Duration::from_secs(1));
    assert_eq!(statuses(&worker, b"a", 2), [200, 429], "and not until the clock has caught up");
}

#[test]
fn what_others_wrote_into_shared_data_is_not_believed() {
    for garbage in [b"".as_slice(), b"tgr1", b"tgr1x", &[0xff; 28], &[0x41; 4096]] {
        let worker = worker::<RateLimit>(PER_USER);
        statuses(&worker, b"a", 3);
        worker.host().overwrite_shared(garbage);
        assert_eq!(statuses(&worker, b"a", 4), [200, 200, 200, 429], "{}", garbage.escape_ascii());
    }
}

#[test]
fn a_bad_configuration_is_refused_with_every_error() {
    let refused = refusal::<RateLimit>(
        r#"{"limits": [{"name": "a", "key": ["sauce"], "quotas": [{"requests": 0, "per": "0s"}], "match": {"paths": [{"prefix": "api"}]}},
                       {"name": "b", "quotas": []}], "on_error": "maybe"}"#,
    );
    assert_eq!(
        refused,
        "limits[0].match.paths[0].prefix: expected a path starting with \"/\", found \"api\"\n\
         limits[0].key[0]: expected one of \"host\", \"method\", \"route\", \"source\", \"principal\", {header}, {cookie}, {query}, {path_template}, {claim}, found \"sauce\"\n\
         limits[0].quotas[0].requests: expected an integer from 1 to 1000000000000, found 0\n\
         limits[0].quotas[0].per: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0s\"\n\
         limits[1].quotas: expected a list of at least one, found an empty list\n\
         on_error: expected one of \"allow\", \"deny\", found \"maybe\""
    );
    let twice = PER_USER.replace(
        r#""limits": ["#,
        r#""limits": [{"name": "per-user", "quotas": [{"requests": 1, "per": "1s"}]}, "#,
    );
    assert_eq!(
        refusal::<RateLimit>(&twice),
        "limits[1].name: expected a name used once, but limits[0] has it too, found \"per-user\""
    );
}

#[test]
fn a_key_that_could_never_be_found_is_refused() {
    assert_eq!(
        refusal::<RateLimit>(
            r#"{"limits": [{"name": "a", "key": [{"header": "Host"}], "match": {"headers": [{"name": "host", "exact": "a"}]},
                "quotas": [{"requests": 1, "per": "1s"}]}]}"#
        )
        .matches("expected another header (the host is told by")
        .count(),
        2
    );
}
