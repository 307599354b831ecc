//! What scenarios cannot say of telemetry: exchanges that end in unusual ways, bounds under many values, collectors that
//! are no help.

mod bounds;
mod collectors;
mod endings;
mod peers;
mod traps;

use std::thread;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("telemetry::every_ending_is_recorded_once", endings::every_ending),
        Trial::test("telemetry::streams_are_under_way_until_they_end", endings::long_streams),
        Trial::test("telemetry::a_hundred_thousand_values_end_within_the_bound", bounds::many_values),
        Trial::test("telemetry::labels_are_taken_out_of_names", bounds::labels_arrive),
        Trial::test("telemetry::a_collector_that_asks_for_patience_gets_it", collectors::patience),
        Trial::test(
            "telemetry::a_collector_that_is_slow_or_gone_costs_records_only",
            collectors::slow_or_gone,
        ),
        Trial::test("telemetry::a_trap_leaves_metrics_right", traps::metrics_are_right_again),
    ]
}

/// A bootstrap with this telemetry, these routes and these further clusters.
fn bootstrap(
    configuration: &Value,
    routes: Value,
    clusters: impl IntoIterator<Item = Value>,
    upstreams: &Upstreams,
) -> Result<Value, Failed> {
    bootstrap_with("telemetry", configuration, routes, clusters, upstreams)
}

/// The same with another module.
fn bootstrap_with(
    module: &str,
    configuration: &Value,
    routes: Value,
    clusters: impl IntoIterator<Item = Value>,
    upstreams: &Upstreams,
) -> Result<Value, Failed> {
    let mut bootstrap = bootstrap::with_filters(&[(module, configuration)], upstreams, Form::Struct)?;
    manager(&mut bootstrap)?["route_config"]["virtual_hosts"][0]["routes"] = routes;
    let known = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    known.extend(clusters);
    Ok(bootstrap)
}

/// The connection manager.
fn manager(bootstrap: &mut Value) -> Result<&mut Value, Failed> {
    let place = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    Ok(bootstrap.pointer_mut(place).ok_or("no connection manager")?)
}

/// Routes that Envoy answers itself: nothing but it and the filter takes part.
fn direct() -> Value {
    json!([{"name": "direct", "match": {"prefix": "/"}, "direct_response": {"status": 200}}])
}

/// A counter or gauge of the filter's.
fn metric(envoy: &Envoy, name: &str) -> Result<u64, Failed> {
    Ok(envoy.stat_named(&format!("wasmcustom.{name}"))?)
}

/// Polls: what was recorded is told at ticks.
fn until(what: &str, envoy: &Envoy, holds: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    until_within(Duration::from_secs(15), what, envoy, holds)
}

/// The same for what takes its time.
fn until_within(
    time: Duration,
    what: &str,
    envoy: &Envoy,
    mut holds: impl FnMut() -> Result<bool, Failed>,
) -> Result<(), Failed> {
    let deadline = Instant::now() + time;
    while !holds()? {
        if Instant::now() > deadline {
            let seen: Vec<String> = envoy
                .stats_below("wasmcustom.")?
                .iter()
                .map(|(name, value)| format!("{name}: {value}"))
                .collect();
            return Err(format!("{what}: not within {time:?}\n{}\n{}", seen.join("\n"), envoy.log()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
