//! All four jobs together: our modules in a row, the suite, Envoy's own filters, and Lua, which has no metrics.

use serde_json::{Value, json};

use super::header_routing::{MATCHED, ROUTE, chosen_route, header_mutation, rbac};
use super::{USERS, auth, floor, growth, header_routing, load, lua, rate_limit, request, telemetry};
use crate::bench::case::{Answer, Case, Expected, HttpFilter, Setup};
use crate::bench::load::Load;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = all_four("", "", load(), 1).to_vec();
    cases.extend([
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
        floor::whole(),
    ]);
    cases.extend(floor::PARTS.iter().map(floor::without));
    let wide = Load::of(growth::headers(30)).keys(USERS);
    for (suffix, about, load, workers) in
        [("/30-headers", ", 30 request headers", wide, 1), ("/two-workers", ", two workers", load(), 2)]
    {
        cases.extend(all_four(suffix, about, load, workers).map(Case::on_demand));
    }
    cases.extend(before_a_backend());
    cases
}

/// The four modules in a row, the suite, and Envoy's own filters.
fn all_four(suffix: &str, about: &str, load: Load, workers: u32) -> [Case; 3] {
    let case = |name: &str, what: &str, setup: fn() -> Setup| {
        Case::new(&format!("{name}{suffix}"), &format!("{what}{about}"), load.clone(), setup).workers(workers)
    };
    let native = format!("chain/native{suffix}");
    [
        decides(case("chain", "the four modules in a row", || ours(vec![telemetry::filter()])))
            .counted_by(MATCHED)
            .native(&native),
        decides(case("suite", "all four in one module", || suite(telemetry::configuration())))
            .counted_by(MATCHED)
            .native(&native),
        telemetry::checked(ruled(guarded(case(
            "chain/native",
            "api_key_auth, local_ratelimit, rbac of 10, header_mutation, stats logger",
            all_native,
        ))))
        .counted_by("bench_requests_total"),
    ]
}

/// The same three before a real backend: no route answers by itself.
fn before_a_backend() -> [Case; 3] {
    let case = |name: &str, counter: &str, setup: fn() -> Setup| {
        let unrouted = move || Setup { routes: Vec::new(), ..setup() };
        Case::new(&format!("{name}/upstream"), "the same before a real backend", load(), unrouted)
            .answer(Answer::Upstream)
            .check(
                "the route's header reaches the backend",
                request(),
                Expected::Upstream(ROUTE, Some("beta")),
            )
            .counted_by(counter)
            .on_demand()
    };
    let native = "chain/native/upstream";
    [
        case("chain", MATCHED, || ours(vec![telemetry::filter()])).native(native),
        case("suite", MATCHED, || suite(telemetry::configuration())).native(native),
        case("chain/native", "bench_requests_total", all_native),
    ]
}

/// Envoy's own filters, and its stats logger.
fn all_native() -> Setup {
    Setup { access_log: vec![telemetry::stats_logger()], ..natives() }
}

/// All four filters are in force.
fn decides(case: Case) -> Case {
    // Telemetry tells what it counted at ticks: its checks come first, before others have sent anything.
    led(guarded(telemetry::checked(case)))
}

/// Our modules after those given, and the route that they choose.
fn ours(mut filters: Vec<HttpFilter>) -> Setup {
    filters.extend([auth::filter(), rate_limit::filter(), header_routing::filter()]);
    Setup { filters, routes: vec![chosen_route()], ..Setup::default() }
}

/// The suite with what `ours` has in a row, and with this telemetry if it is not null.
pub(super) fn suite(telemetry: Value) -> Setup {
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
pub(super) fn led(case: Case) -> Case {
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
