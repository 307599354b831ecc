//! Which limits a request is held against at all.

use serde_json::json;
use tidegate_filter_api::{HeaderBlock, Headers};
use tidegate_testkit::fake::FakeHost;

use super::*;

/// The limits, by their places, that are looked at for a path.
fn looked_at(limits: usize, path: &str) -> Vec<usize> {
    let limits: Vec<_> = (0..limits)
        .map(|number| {
            json!({"name": format!("limit-{number}"), "match": {"paths": [{"prefix": format!("/p/{number}")}]},
                   "quotas": [{"requests": 1, "per": "1m"}]})
        })
        .collect();
    let config = tidegate_config::decode(json!({"limits": limits}).to_string().as_bytes()).unwrap();
    let host = FakeHost::new();
    let filter = RateLimit::new(config, &*host);
    let pairs: [(&[u8], &[u8]); 2] = [(b":method", b"GET"), (b":path", path.as_bytes())];
    let exchange = Exchange::new(Headers::new(HeaderBlock::from_pairs(pairs.into_iter())));
    let view = View::new(&exchange, &*host, filter.client);
    filter.candidates(&view).map(|(place, _)| place).collect()
}

#[test]
fn of_many_limits_few_are_looked_at() {
    assert_eq!(looked_at(1_000, "/p/77/x"), [77]);
    assert_eq!(looked_at(1_000, "/q"), [0; 0]);
    assert_eq!(looked_at(16, "/p/7").len(), 16, "few are walked");
    assert_eq!(looked_at(1_000, "/q/..%2fp/7").len(), 1_000, "by any reading, any may apply");
}
