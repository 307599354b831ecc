//! What documents show is accepted.

#![cfg(not(target_arch = "wasm32"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use tidegate_header_routing::HeaderRouting;
use tidegate_testkit::fake::{Outcome, Worker, worker};

fn of_yaml(text: &str) -> Worker<HeaderRouting> {
    let value: serde_json::Value = serde_saphyr::from_str(text).unwrap();
    worker(&value.to_string())
}

fn route(outcome: &Outcome) -> Vec<&[u8]> {
    outcome.upstream("x-tidegate-route")
}

#[test]
fn the_example_of_the_readme_is_accepted() {
    let text = include_str!("../README.md");
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let worker = of_yaml(example);
    let beta = worker.get("/", &[("x-beta", b"1"), ("cookie", b"plan=pro")]);
    assert_eq!(route(&beta), [b"beta"]);
    assert_eq!(worker.get("/legacy", &[]).status(), 308);
}

/// The routes and the options of the sections below the example.
#[test]
fn what_the_readme_says_in_passing_is_accepted() {
    let text = include_str!("../README.md");
    for words in [
        "fallback: stable",
        "{route: stable, for: 10s, probe: {path: /healthz}}",
        "trust_route_header: {source: {cidrs: [10.0.0.0/8]}}",
        "https://{request.host}{request.path}",
        "publish_decisions: true",
    ] {
        assert!(text.contains(words), "{words}");
    }
    let worker = of_yaml(
        r#"
rules:
  - {name: one, match: {methods: [GET]}, route: beta, fallback: {route: stable, for: 10s, probe: {path: /healthz}}}
  - {name: two, match: {methods: [PUT]}, route: beta, fallback: stable, mark: early}
  - {name: open, redirect: {open: true, location: "https://{request.host}{request.path}"}}
trust_route_header: {source: {cidrs: [10.0.0.0/8]}}
publish_decisions: true
route_header: x-tidegate-route
"#,
    );
    assert_eq!(worker.send("POST", "/", &[]).0.status(), 302);
}
