//! In which order requests meet the filters: by what Envoy was told, and by what one filter sees of another.

use libtest_mimic::{Failed, Trial};
use tidegate_render::{Filter, Form};

use super::manifest::{self, At};
use super::mesh::Mesh;
use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = Vec::new();
    for form in ["wasmplugin", "trafficextension", "envoyfilter-inline-inbound", "envoyfilter-ecds-inbound"] {
        trials.push(needing(
            &["istio-discovery"],
            &format!("istio::order::of_the_manifests::{form}"),
            move || of_the_manifests(form),
        ));
    }
    for (name, form) in [
        ("wasmplugin", Form::WasmPlugin),
        ("trafficextension", Form::TrafficExtension),
        ("envoyfilter-inline", Form::EnvoyFilterInlineGateway),
        ("envoyfilter-ecds", Form::EnvoyFilterEcdsGateway),
    ] {
        trials.push(needing(
            &["istio-discovery"],
            &format!("istio::order::later_filters_know_the_caller::{name}"),
            move || later_filters_know_the_caller(form),
        ));
    }
    trials.push(needing(
        &["istio-discovery"],
        "istio::order::in_a_wrong_phase_nobody_is_known",
        in_a_wrong_phase,
    ));
    trials
}

const ANN: (&str, &str) = ("x-user-id", "ann");
const KEY: (&str, &str) = ("x-api-key", "acme-key-1");

fn of_the_manifests(form: &str) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    // Not in the order that is wanted.
    for filter in ["header-routing", "telemetry", "rate-limit", "auth"] {
        mesh.istio.apply(&manifest::committed(&format!("{filter}/{form}.yaml"))?)?;
    }
    let proxied = mesh.sidecar()?;
    proxied.serves()?;
    // Plugins by phase, with telemetry in STATS; EnvoyFilters by priority, telemetry first.
    let expected = if form.starts_with("envoyfilter") {
        ["telemetry", "auth", "rate-limit", "header-routing"]
    } else {
        ["auth", "rate-limit", "header-routing", "telemetry"]
    };
    let seen: Vec<String> = proxied.chain()?.into_iter().filter(|name| name.contains("tidegate")).collect();
    if seen.len() != 4 || !seen.iter().zip(expected).all(|(name, filter)| name.contains(filter)) {
        return Err(proxied.failed(&format!("expected {expected:?}, seen {seen:?}")));
    }
    // Auth before rate-limit: who has no key uses up nobody's quota.
    for _ in 0..5 {
        proxied.expect("/api/items", &[ANN], 401)?;
    }
    for expected in [200, 200, 200, 429] {
        let reply =
            proxied.expect("/api/items", &[ANN, KEY, ("x-beta", "1"), ("x-tenant", "acme")], expected)?;
        // Routing behind both.
        if expected == 200 && reply.upstream_header("x-tidegate-route").as_deref() != Some("beta") {
            return Err(proxied.failed("the route did not arrive"));
        }
    }
    // Telemetry sees what each of them refused, wherever it stands.
    proxied.series("shop_requests_total", &[("code", "2xx"), ("tenant", "acme")])?;
    proxied.series("shop_requests_total", &[("code", "4xx")])
}

/// Two requests for each caller, whom auth names, and a route for one of them.
const BY_CALLER: [(Filter, &str); 2] = [
    (
        Filter::RateLimit,
        "limits: [{name: per-caller, key: [principal], quotas: [{requests: 2, per: 1h}], on_missing: deny}]\n",
    ),
    (
        Filter::HeaderRouting,
        "rules: [{name: acme, match: {principals: [{exact: acme}]}, route: beta}]\ndefault: {route: stable}\nroute_header: x-tidegate-route\n",
    ),
];

fn later_filters_know_the_caller(form: Form) -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    for (filter, configuration) in BY_CALLER {
        mesh.istio.apply(&manifest::rendered(filter, configuration, form, At::Gateway, None)?)?;
    }
    let auth = super::decisions::configuration("auth")?;
    mesh.istio.apply(&manifest::rendered(Filter::Auth, &auth, form, At::Gateway, None)?)?;
    let proxied = mesh.gateway()?;
    proxied.serves()?;
    for (key, backend) in [("acme-key-1", "beta"), ("globex-key-1", "stable")] {
        for expected in [200, 200, 429] {
            let reply = proxied.expect("/", &[("x-api-key", key)], expected)?;
            if expected == 200 && reply.reached.as_deref() != Some(backend) {
                return Err(proxied.failed(&format!("{key}: expected {backend}, seen {:?}", reply.reached)));
            }
        }
    }
    Ok(())
}

/// Rate-limit before auth: nobody has said who calls, so that a limit by caller refuses everybody, as it is told to.
fn in_a_wrong_phase() -> Result<(), Failed> {
    let mesh = Mesh::start()?;
    let auth = super::decisions::configuration("auth")?;
    mesh.istio.apply(&manifest::rendered(Filter::Auth, &auth, Form::WasmPlugin, At::Gateway, None)?)?;
    let [(filter, limit), _] = BY_CALLER;
    let plugin = manifest::rendered(filter, limit, Form::WasmPlugin, At::Gateway, None)?;
    let wrong = plugin.replace("phase: AUTHZ", "phase: AUTHN");
    mesh.istio.apply(&wrong)?;
    let proxied = mesh.gateway()?;
    proxied.serves()?;
    proxied.expect("/", &[KEY], 429)?;
    let chain = proxied.chain()?;
    let place = |part: &str| chain.iter().position(|name| name.contains(part));
    if place("rate-limit") > place("auth") {
        return Err(proxied.failed(&format!("the limit does not stand first: {chain:?}")));
    }
    // In the right one they are known, from the next push on.
    mesh.istio.apply(&plugin)?;
    proxied.until_status("/", &[KEY], 200)
}
