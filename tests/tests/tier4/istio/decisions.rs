//! What each filter decides, in each form, in a sidecar and in a gateway.

use std::net::SocketAddr;

use libtest_mimic::{Failed, Trial};
use tidegate_render::{Filter, Form};

use super::manifest::{self, At};
use super::mesh::{Mesh, Proxied};
use crate::needing::needing;

/// Each configuration of `envoy-config/filters/`.
const CONFIGURATIONS: [(&str, Filter); 7] = [
    ("auth", Filter::Auth),
    ("rate-limit", Filter::RateLimit),
    ("rate-limit-service", Filter::RateLimit),
    ("header-routing", Filter::HeaderRouting),
    ("telemetry", Filter::Telemetry),
    ("telemetry-otlp", Filter::Telemetry),
    ("suite", Filter::Suite),
];

/// The ways into a proxy, and the names of their manifests.
const FORMS: [(&str, Form); 4] = [
    ("envoyfilter-inline", Form::EnvoyFilterInlineInbound),
    ("envoyfilter-ecds", Form::EnvoyFilterEcdsInbound),
    ("wasmplugin", Form::WasmPlugin),
    ("trafficextension", Form::TrafficExtension),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for (name, filter) in CONFIGURATIONS {
        for (form, _) in FORMS {
            for (at, place) in [(At::Inbound, "inbound"), (At::Gateway, "gateway")] {
                trials.push(needing(
                    &["istio-discovery"],
                    &format!("istio::decisions::{name}::{form}::{place}"),
                    move || decides(name, filter, form, at),
                ));
            }
        }
    }
    trials
}

fn decides(name: &str, filter: Filter, form: &str, at: At) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    // Nobody is there: what depends on a service then passes or not, as its configuration says.
    mesh.istio.apply(&manifest::clusters(at, SocketAddr::from(([127, 0, 0, 1], 1)))?)?;
    mesh.istio.apply(&manifest_for(name, filter, form, at)?)?;
    let proxied = mesh.at(at)?;
    proxied.serves()?;
    match name {
        "auth" => auth(&proxied),
        "rate-limit" => rate_limit(&proxied),
        "rate-limit-service" => rate_limit_service(&proxied),
        "header-routing" => header_routing(&proxied, at),
        "telemetry" | "telemetry-otlp" => telemetry(&proxied),
        _ => suite(&proxied, at),
    }
}

/// The committed manifest; of a plugin on a gateway there is none, so it is rendered with a gateway's labels.
fn manifest_for(name: &str, filter: Filter, form: &str, at: At) -> Result<String, Failed> {
    let plugin = FORMS.into_iter().find(|(word, _)| *word == form && !word.starts_with("envoyfilter"));
    match (at, plugin) {
        (At::Gateway, Some((_, form))) => manifest::rendered(filter, &configuration(name)?, form, at, None),
        (At::Gateway, None) => manifest::committed(&format!("{name}/{form}-gateway.yaml")),
        (At::Inbound, None) => manifest::committed(&format!("{name}/{form}-inbound.yaml")),
        (At::Inbound, Some(_)) => manifest::committed(&format!("{name}/{form}.yaml")),
    }
}

/// A configuration of `envoy-config/filters/`.
pub(crate) fn configuration(name: &str) -> Result<String, Failed> {
    let file = e2e::tools::repo_root().join(format!("envoy-config/filters/{name}.yaml"));
    Ok(std::fs::read_to_string(file)?)
}

const KEY: (&str, &str) = ("x-api-key", "acme-key-1");

fn auth(proxied: &Proxied<'_>) -> Result<(), Failed> {
    proxied.expect("/healthz", &[], 200)?;
    proxied.expect("/", &[], 401)?;
    proxied.expect("/", &[("x-api-key", "guessed")], 401)?;
    proxied.expect("/admin", &[("x-api-key", "globex-key-1")], 403)?;
    proxied.expect("/hooks", &[("x-signature", "00"), ("date", "yesterday")], 401)?;
    let known = proxied.expect("/", &[KEY, ("x-auth-subject", "root")], 200)?;
    for (header, expected) in [("x-auth-subject", Some("acme")), ("x-api-key", None)] {
        if known.upstream_header(header).as_deref() != expected {
            return Err(proxied.failed(&format!("{header}: {:?}", known.upstream_header(header))));
        }
    }
    Ok(())
}

fn rate_limit(proxied: &Proxied<'_>) -> Result<(), Failed> {
    for expected in [200, 200, 200, 429] {
        proxied.expect("/api/items", &[("x-user-id", "ann")], expected)?;
    }
    proxied.expect("/api/items", &[("x-user-id", "bob")], 200).map(drop)
}

/// The service is not there, and `on_error: allow` is what its configuration says.
fn rate_limit_service(proxied: &Proxied<'_>) -> Result<(), Failed> {
    proxied.expect("/", &[("x-tenant", "acme")], 200)?;
    proxied.counts("wasmcustom.tidegate.rate_limit.per-tenant.", 1)
}

fn header_routing(proxied: &Proxied<'_>, at: At) -> Result<(), Failed> {
    routes(proxied, at, &[])?;
    proxied.expect("/legacy", &[], 308)?;
    proxied.expect("/down", &[], 503).map(drop)
}

/// The filter's choice arrives in a header. A gateway's routes look at it; a sidecar has one route only.
fn routes(proxied: &Proxied<'_>, at: At, more: &[(&str, &str)]) -> Result<(), Failed> {
    for (header, route) in [(("x-beta", "1"), "beta"), (("x-tidegate-route", "beta"), "stable")] {
        let mut headers = vec![header];
        headers.extend(more);
        let reply = proxied.expect("/", &headers, 200)?;
        let backend = if at == At::Gateway { route } else { "stable" };
        let seen = (reply.reached.as_deref(), reply.upstream_header("x-tidegate-route"));
        if seen.0 != Some(backend) || seen.1.as_deref() != Some(route) {
            return Err(proxied.failed(&format!("expected {route} at {backend}, seen {seen:?}")));
        }
    }
    Ok(())
}

fn telemetry(proxied: &Proxied<'_>) -> Result<(), Failed> {
    let reply = proxied.expect("/", &[("x-tenant", "acme")], 200)?;
    if reply.header("x-trace-id").is_none() {
        return Err(proxied.failed("no trace id"));
    }
    proxied.series("shop_requests_total", &[("method", "GET"), ("code", "2xx"), ("tenant", "acme")])
}

fn suite(proxied: &Proxied<'_>, at: At) -> Result<(), Failed> {
    proxied.expect("/healthz", &[], 200)?;
    proxied.expect("/", &[], 401)?;
    routes(proxied, at, &[KEY])?;
    for expected in [200, 200, 200, 429] {
        proxied.expect("/api/items", &[KEY, ("x-user-id", "ann"), ("x-tenant", "globex")], expected)?;
    }
    proxied.series("shop_requests_total", &[("code", "4xx"), ("tenant", "globex")])
}
