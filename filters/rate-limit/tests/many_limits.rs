//! Many limits: those that apply are found by the index, and are the same as those that a walk would find.

use serde_json::json;
use tidegate_rate_limit::RateLimit;
use tidegate_testkit::fake::{Worker, worker};

/// So many limits of one request a minute, each for a path of its own, and one for a method in the middle.
fn limits(count: usize) -> Worker<RateLimit> {
    let limits = (0..count).map(|number| {
        let condition = match number {
            7 => json!({"methods": ["PUT"]}),
            _ => json!({"paths": [{"prefix": format!("/p/{number}")}]}),
        };
        json!({"name": format!("limit-{number}"), "match": condition, "quotas": [{"requests": 1, "per": "1m"}]})
    });
    worker(&json!({"limits": limits.collect::<Vec<_>>()}).to_string())
}

#[test]
fn each_limit_applies_to_its_requests_alone() {
    for count in [10, 200] {
        let worker = limits(count);
        let status = |method: &str, path: &str| worker.send(method, path, &[]).0.status();
        for number in (0..count).filter(|number| *number != 7) {
            let path = format!("/p/{number}/x");
            assert_eq!([status("GET", &path), status("GET", &path)], [200, 429], "{path} of {count}");
        }
        assert_eq!([status("GET", "/"), status("GET", "/p/7"), status("GET", "/q")], [200; 3]);
        assert_eq!([status("PUT", "/"), status("PUT", "/")], [200, 429], "without a condition on the path");
    }
}

#[test]
fn a_path_spelt_another_way_is_not_overlooked() {
    for count in [10, 200] {
        let worker = limits(count);
        let status = |path: &str| worker.get(path, &[]).status();
        assert_eq!([status("/p/3"), status("/p/3;x"), status("/q/..%2fp/3")], [200, 429, 429], "{count}");
    }
}
