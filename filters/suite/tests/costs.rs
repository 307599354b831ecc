//! What every request of every scenario costs, exactly: calls to the host and heap allocations, of the filter by itself and
//! inside the suite, as the files in `costs/` have it. Where a change is meant, `WRITE_COSTS=1 cargo test -p tidegate-suite
//! --test costs` writes them anew, and the change shows what it costs.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tidegate_auth::Auth;
use tidegate_filter_api::Filter;
use tidegate_header_routing::HeaderRouting;
use tidegate_rate_limit::RateLimit;
use tidegate_suite::Suite;
use tidegate_telemetry::Telemetry;
use tidegate_testkit::allocations::Counting;
use tidegate_testkit::fake::costs;
use tidegate_testkit::scenario::Scenario;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn check(name: &str, costs: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/costs").join(format!("{name}.txt"));
    if std::env::var_os("WRITE_COSTS").is_some() {
        assert!(fs::write(&file, costs).is_ok(), "{} cannot be written", file.display());
    }
    let noted = fs::read_to_string(&file).unwrap_or_default();
    let differs = (1..).zip(noted.lines().zip(costs.lines())).find(|(_, (noted, seen))| noted != seen);
    assert_eq!(differs, None, "costs/{name}.txt: the line's number, what is noted, what is seen");
    assert_eq!(noted.lines().count(), costs.lines().count(), "costs/{name}.txt: lines");
}

fn alone(scenario: &Scenario) -> Option<Value> {
    scenario.filters().next().map(|(_, configuration)| configuration.clone())
}

fn both<F: Filter>(folder: &str) {
    check(folder, &costs::<F>(folder, alone));
    check(&format!("{folder}-in-suite"), &costs::<Suite>(folder, Scenario::suite));
}

#[test]
fn auth_costs_what_is_noted() {
    both::<Auth>("auth");
}

#[test]
fn rate_limit_costs_what_is_noted() {
    both::<RateLimit>("rate-limit");
}

#[test]
fn header_routing_costs_what_is_noted() {
    both::<HeaderRouting>("header-routing");
}

#[test]
fn telemetry_costs_what_is_noted() {
    both::<Telemetry>("telemetry");
}

#[test]
fn the_suite_costs_what_is_noted() {
    check("suite", &costs::<Suite>("suite", Scenario::suite));
}
