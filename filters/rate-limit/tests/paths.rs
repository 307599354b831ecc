//! Other spellings of a path: what a limit protects is not reached uncounted through one that servers take for the same.

use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Worker, worker};

/// Each takes its path for `/login` on some server.
const LOGIN: [&str; 16] = [
    "//login",
    "/./login",
    "/x/../login",
    "/%6cogin",
    "/login;a=b",
    "/login;",
    "/login#x",
    "/login%23x",
    "/login%00",
    "/%2flogin",
    "/x%2f..%2flogin",
    "/x\\..\\login",
    "/x/..;/login",
    "/%256cogin",
    "/x%252f..%252flogin",
    "/x/%c0%ae%c0%ae/login",
];

fn once(words: &str) -> Worker<RateLimit> {
    worker(&format!(
        r#"{{"limits": [{{"name": "once", {words}, "quotas": [{{"requests": 1, "per": "1h"}}]}}], "reply": {{"problem_json": true}}}}"#
    ))
}

fn statuses(worker: &Worker<RateLimit>, paths: &[&str]) -> Vec<u16> {
    paths.iter().map(|path| worker.get(path, &[]).status()).collect()
}

#[test]
fn a_limit_applies_however_its_path_is_spelt() {
    for path in LOGIN {
        let worker = once(r#""match": {"paths": [{"exact": "/login"}]}"#);
        assert_eq!(statuses(&worker, &["/login", path]), [200, 429], "{path}");
    }
}

#[test]
fn an_exemption_holds_only_where_every_reading_is_exempt() {
    let worker = once(r#""not": {"paths": [{"prefix": "/health"}]}"#);
    assert_eq!(statuses(&worker, &["/health", "/health/%2e/x", "/a", "/health"]), [200, 200, 200, 200]);
    for path in ["/health/..;/a", "/health%2f..%2fa", "/health\\..\\a", "/health/../a"] {
        assert_eq!(statuses(&worker, &[path]), [429], "{path}");
    }
}

#[test]
fn what_a_template_captures_is_one_key_in_any_spelling() {
    let worker = once(r#""key": [{"path_template": "/users/{id}"}], "on_missing": "deny""#);
    let spelt = ["/users/7", "/users/7;a=1", "/users/7;a=2", "/users/%37", "/users/%2537", "/users/8/..%2f7"];
    assert_eq!(statuses(&worker, &spelt), [200, 429, 429, 429, 429, 429]);
    assert_eq!(statuses(&worker, &["/users/8;a=1", "/users/8"]), [200, 429]);
    // An escaped slash may well be part of a name.
    assert_eq!(statuses(&worker, &["/users/a%2fb", "/users/a%2fc", "/users/a%2fb"]), [200, 200, 429]);
}

#[test]
fn another_case_and_a_final_slash_are_other_paths() {
    let exact = once(r#""match": {"paths": [{"exact": "/login"}]}"#);
    assert_eq!(statuses(&exact, &["/login", "/LOGIN", "/login/"]), [200, 200, 200]);
    let prefix = once(r#""match": {"paths": [{"prefix": "/login"}]}"#);
    assert_eq!(statuses(&prefix, &["/login", "/login/"]), [200, 429]);
    let any_case = once(r#""match": {"paths": [{"regex": "(?i)/login/?"}]}"#);
    assert_eq!(statuses(&any_case, &["/login", "/LOGIN", "/Login/"]), [200, 429, 429]);
}

#[test]
fn a_path_too_long_to_be_read_in_every_way_is_refused_by_limits_that_name_paths() {
    let endless = format!("/{};", "a".repeat(2_000));
    let naming = once(r#""match": {"paths": [{"exact": "/login"}]}"#);
    let refused = naming.get(&endless, &[]);
    assert_eq!((refused.status(), refused.reply_header("x-envoy-ratelimited")), (400, None));
    assert_eq!(naming.host().metric("tidegate.rate_limit.once.denied"), 1);
    assert_eq!(statuses(&naming, &[&endless.replace(';', "b")]), [200], "long alone is no harm");
    let other = once(r#""key": ["source"]"#);
    assert_eq!(statuses(&other, &[&endless]), [200]);
    let tried = once(r#""match": {"paths": [{"exact": "/login"}]}, "mode": "shadow""#);
    assert_eq!(statuses(&tried, &[&endless]), [200]);
    assert_eq!(tried.host().metric("tidegate.rate_limit.once.shadow_denied"), 1);
}
