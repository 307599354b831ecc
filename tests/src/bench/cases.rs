//! The cases, a file for each filter. Another case is another entry in one of them; nothing else has to know.

mod auth;
mod chain;
pub mod floor;
mod growth;
mod header_routing;
mod rate_limit;
mod reference;
mod rules;
mod telemetry;

use serde_json::{Value, json};

use super::case::{Case, HttpFilter};
use super::load::{Load, Request};

/// The case that all filters are compared with.
pub(super) const REFERENCE: &str = "empty-sdk";

/// All cases, in the order in which they are shown.
#[must_use]
pub fn all() -> Vec<Case> {
    [
        reference::cases(),
        auth::cases(),
        rate_limit::cases(),
        header_routing::cases(),
        rules::cases(),
        telemetry::cases(),
        chain::cases(),
        growth::cases(),
    ]
    .concat()
}

/// The request that all filters can decide on: eight headers beside the host, no two filters looking at the same.
fn request() -> Request {
    Request::to("/api/items/42")
        .with("user-agent", "bench/1.0")
        .with("accept", "application/json")
        .with("accept-language", "en-GB,en;q=0.8")
        .with("x-forwarded-client", "mobile-app")
        .with("x-api-key", "key-of-partner-10-9f86d081")
        .with("x-user-id", "user-{n}")
        .with("x-tenant", "acme")
        .with("x-plan", "plan-10")
}

/// How many users send.
const USERS: u64 = 2_000;

/// That request from one user after the other.
fn load() -> Load {
    Load::of(request()).keys(USERS)
}

/// A filter of Envoy's.
fn native(name: &str, message: &str, mut configuration: Value) -> HttpFilter {
    configuration["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{message}"));
    HttpFilter::Native(json!({"name": format!("envoy.filters.http.{name}"), "typed_config": configuration}))
}

/// A Lua filter that calls these functions in their order for each request; a reply ends the script.
fn lua(parts: &[(&str, &str)]) -> HttpFilter {
    let functions: String = parts.iter().map(|(_, source)| format!("{source}\n")).collect();
    let calls: String = parts.iter().map(|(function, _)| format!("  {function}(handle)\n")).collect();
    let source = format!("{functions}function envoy_on_request(handle)\n{calls}end\n");
    native("lua", "lua.v3.Lua", json!({"default_source_code": {"inline_string": source}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_counterparts_exist() {
        let cases = all();
        for (index, case) in cases.iter().enumerate() {
            assert!(
                !cases[..index].iter().any(|other| other.name == case.name),
                "{} stands twice",
                case.name
            );
            assert!(
                case.name != "none" && !case.name.starts_with("none/"),
                "{} names the baseline",
                case.name
            );
            if let Some(native) = &case.native {
                assert!(cases.iter().any(|other| other.name == *native), "{}: no case {native}", case.name);
            }
        }
        assert!(cases.iter().any(|case| case.name == REFERENCE));
    }

    #[test]
    fn every_case_is_checked() {
        for case in all() {
            assert!(!case.checks.is_empty(), "{} has no check", case.name);
            assert!(!case.setup().is_plain(), "{} is the baseline", case.name);
        }
    }

    #[test]
    fn the_common_request_has_eight_headers() {
        assert_eq!(request().headers.len(), 8);
    }
}
