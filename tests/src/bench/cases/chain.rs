//! All four jobs together: our modules in a row, the suite, Envoy's own filters, and Lua, which has no metrics.

use serde_json::{Value, json};

use super::header_routing::{MATCHED, chosen_route, header_mutation, rbac};
use super::{auth, header_routing, load, lua, rate_limit, request, telemetry};
use crate::bench::case::{Case, Expected, HttpFilter, Setup};

pub(super) fn cases() -> Vec<Case> {
    vec![
        led(guarded(telemetry::checked(Case::new("chain", "the four modules in a row", load(), || {
            ours(vec![telemetry::filter()])
        }))))
        .counted_by(MATCHED)
        .native("chain/native"),
        led(guarded(telemetry::checked(Case::new("suite", "all four in one module", load(), || {
            suite(telemetry::configuration())
        }))))
        .counted_by(MATCHED)
        .native("chain/native"),
        telemetry::checked(ruled(guarded(Case::new(
            "chain/native",
            "api_key_auth, local_ratelimit, rbac of 10, header_mutation, stats logger",
            load(),
            || Setup { access_log: vec![telemetry::stats_logger()], ..natives() },
        ))))
        .counted_by("bench_requests_total"),
        led(guarded(Case::new(
            "chain/no-metrics",
            "three modules in a row, without telemetry",
            load(),
            || ours(Vec::new()),
        )))
        .counted_by(MATCHED)
        .native("chain/native-no-metrics")
        .on_demand(),
        led(guarded(Case::new("suite/no-metrics", "three in one module, without telemetry", load(), || {
            suite(Value::Null)
        })))
        .counted_by(MATCHED)
        .native("chain/native-no-metrics")
        .on_demand(),
        ruled(guarded(Case::new(
            "chain/native-no-metrics",
            "api_key_auth, local_ratelimit, rbac of 10, header_mutation",
            load(),
            natives,
        )))
        .counted_by("rbac.allowed")
        .on_demand(),
        led(guarded(Case::new(
            "chain/lua",
            "key, quota and 10 rules in one Lua filter; no metrics",
            load(),
            || Setup {
                filters: vec![lua(&[auth::LUA, rate_limit::LUA, header_routing::LUA])],
                routes: vec![chosen_route()],
                ..Setup::default()
            },
        ))),
    ]
}

/// Our modules after those given, and the route that they choose.
fn ours(mut filters: Vec<HttpFilter>) -> Setup {
    filters.extend([auth::filter(), rate_limit::filter(), header_routing::filter()]);
    Setup { filters, routes: vec![chosen_route()], ..Setup::default() }
}

/// The suite with what `ours` has in a row, and with this telemetry if it is not null.
fn suite(telemetry: Value) -> Setup {
    let mut configuration = json!({
        "auth": auth::configuration(),
        "rate_limit": rate_limit::configuration(),
        "header_routing": header_routing::configuration(),
    });
    if !telemetry.is_null() {
        configuration["telemetry"] = telemetry;
    }
    Setup { routes: vec![chosen_route()], ..Setup::of(HttpFilter::Module("suite", configuration)) }
}

fn natives() -> Setup {
    let filters = vec![auth::native_filter(), rate_limit::native_filter(), rbac(), header_mutation()];
    Setup { filters, ..Setup::default() }
}

/// The last of the rules decides.
fn led(case: Case) -> Case {
    case.check("the last rule leads to the other route", request(), Expected::Body("beta"))
}

/// Keys and quotas are in force.
fn guarded(case: Case) -> Case {
    rate_limit::limited(auth::checked(case))
}

/// The rules of the native chain are in force, and its route's header is written.
fn ruled(case: Case) -> Case {
    case.check("what no rule allows is refused", request().with("x-plan", "plan-11"), Expected::Status(403))
        .check(
            "the route's header reaches the backend",
            request().path("/api/echo"),
            Expected::Upstream("x-tidegate-route", Some("beta")),
        )
}
