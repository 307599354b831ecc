//! Ten rules on a header's value, of which the tenth matches, choosing between two routes.

use serde_json::{Value, json};

use super::{load, lua, native, request};
use crate::bench::case::{Answer, Case, Expected, HttpFilter, Setup, answering};

const RULES: u32 = 10;
/// The header that the filter chooses the route with.
pub(super) const ROUTE: &str = "x-tidegate-route";
/// Counts the requests that the last rule matched.
pub(super) const MATCHED: &str = "tidegate.header_routing.rule-10.matched";

pub(super) fn cases() -> Vec<Case> {
    let ours = || chosen(filter());
    let native = || Setup { routes: (1..=RULES).map(plan_route).collect(), ..Setup::default() };
    vec![
        routed(Case::new("header-routing", "the last of 10 rules", load(), ours))
            .counted_by(MATCHED)
            .native("header-routing/native"),
        routed(Case::new("header-routing/native", "the last of 10 header routes", load(), native)),
        routed(Case::new("header-routing/lua", "the last of 10 rules in Lua", load(), || {
            chosen(lua(&[LUA]))
        })),
        Case::new("header-routing/upstream", "the last of 10 rules, before a real backend", load(), || {
            Setup::of(filter())
        })
        .answer(Answer::Upstream)
        .check("the route's header reaches the backend", request(), Expected::Upstream(ROUTE, Some("beta")))
        .counted_by(MATCHED)
        .on_demand(),
    ]
}

/// The tenth rule leads elsewhere, and nothing else does.
fn routed(case: Case) -> Case {
    let plan = |plan: &str| request().with("x-plan", plan);
    case.check("the last rule leads to the other route", request(), Expected::Body("beta"))
        .check("an earlier rule does not", plan("plan-3"), Expected::Body("stable"))
        .check("no rule does not", plan("plan-11"), Expected::Body("stable"))
        .check(
            "a client cannot choose the route",
            plan("plan-11").with(ROUTE, "beta"),
            Expected::Body("stable"),
        )
}

/// A filter, and the route beside the usual one for it to choose.
fn chosen(filter: HttpFilter) -> Setup {
    Setup { routes: vec![chosen_route()], ..Setup::of(filter) }
}

pub(super) fn chosen_route() -> Value {
    let header = json!({"name": ROUTE, "string_match": {"exact": "beta"}});
    answering("beta", &json!({"prefix": "/", "headers": [header]}), "beta")
}

fn route(rule: u32) -> &'static str {
    if rule == RULES { "beta" } else { "stable" }
}

fn plan_route(rule: u32) -> Value {
    let header = json!({"name": "x-plan", "string_match": {"exact": format!("plan-{rule}")}});
    answering(&format!("rule-{rule}"), &json!({"prefix": "/", "headers": [header]}), route(rule))
}

pub(super) fn filter() -> HttpFilter {
    HttpFilter::Module("header-routing", configuration())
}

pub(super) fn configuration() -> Value {
    let rule = |rule: u32| {
        json!({
            "name": format!("rule-{rule}"),
            "match": {"headers": [{"name": "x-plan", "exact": format!("plan-{rule}")}]},
            "route": route(rule),
        })
    };
    let rules: Vec<Value> = (1..=RULES).map(rule).collect();
    json!({"rules": rules, "default": {"route": "stable"}, "route_header": ROUTE})
}

/// What of the native chain knows ten rules, and refuses what none of them allows.
pub(super) fn rbac() -> HttpFilter {
    let policies: serde_json::Map<String, Value> = (1..=RULES)
        .map(|rule| {
            let header = json!({"name": "x-plan", "string_match": {"exact": format!("plan-{rule}")}});
            // Policies are tried in the order of their names.
            (
                format!("rule-{rule:02}"),
                json!({"permissions": [{"header": header}], "principals": [{"any": true}]}),
            )
        })
        .collect();
    native("rbac", "rbac.v3.RBAC", json!({"rules": {"action": "ALLOW", "policies": policies}}))
}

/// What of the native chain writes the route's header.
pub(super) fn header_mutation() -> HttpFilter {
    let append =
        json!({"header": {"key": ROUTE, "value": "beta"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"});
    let mutations = json!({"request_mutations": [{"append": append}]});
    native("header_mutation", "header_mutation.v3.HeaderMutation", json!({"mutations": mutations}))
}

pub(super) const LUA: (&str, &str) = ("choose", include_str!("lua/choose.lua"));
