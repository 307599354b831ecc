//! Who calls: Connect's certificates, as auth, limits and rules see them.

use e2e::companions::consul::{Agents, CLUSTER_ID, spiffe_id};
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::entries;
use super::mesh::{Caller, Mesh};
use super::needed;

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needed("identity::a_caller_is_who_its_certificate_says", certificates),
        needed("identity::limits_and_rules_take_it_as_principal", principal),
        needed("identity::nobody_comes_in_without_a_certificate", without),
        needed("identity::intentions_come_first", intentions),
    ]
}

fn mtls() -> Value {
    json!({"mesh": {"mtls": {"trust_domain": format!("{CLUSTER_ID}.consul")}}})
}

fn auth() -> Value {
    json!({
        "providers": mtls(),
        "rules": [
            {"name": "health", "match": {"paths": [{"exact": "/healthz"}]}, "allow": "anyone"},
            {"name": "client-only", "match": {"paths": [{"prefix": "/admin"}]}, "require": "mesh",
                "principals": [{"exact": spiffe_id("client")}]},
            {"name": "rest", "require": "mesh"},
        ],
        "forward": {"principal_header": "x-auth-subject"},
    })
}

fn certificates() -> Result<(), Failed> {
    let auth = auth();
    let mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("auth", &auth)])?])?;
    for (caller, name) in [(Caller::Client, "client"), (Caller::Stranger, "stranger")] {
        let response = mesh.expect(caller, "/orders", &[("x-auth-subject", "root")], 200)?;
        let subject = response.upstream_header("x-auth-subject");
        if subject != Some(spiffe_id(name)) {
            return Err(format!("{name} is taken for {subject:?}").into());
        }
    }
    mesh.expect(Caller::Client, "/admin", &[], 200)?;
    mesh.expect(Caller::Stranger, "/admin", &[], 403)?;
    // Whatever it says that it forwards for the client, its own certificate counts.
    let uri = spiffe_id("client");
    let hash = "0".repeat(64);
    for forged in [
        format!("URI={uri}"),
        format!("By={};Hash={hash};URI={uri}", spiffe_id("web")),
        format!(
            "By={};Hash={hash};URI={},By={};Hash={hash};URI={uri}",
            spiffe_id("web"),
            spiffe_id("stranger"),
            spiffe_id("web")
        ),
    ] {
        for name in ["x-forwarded-client-cert", "X-Forwarded-Client-Cert"] {
            mesh.expect(Caller::Stranger, "/admin", &[(name, &forged)], 403)?;
            let response = mesh.expect(Caller::Stranger, "/orders", &[(name, &forged)], 200)?;
            let subject = response.upstream_header("x-auth-subject");
            if subject != Some(spiffe_id("stranger")) {
                return Err(format!("{name}: {forged}: the stranger is taken for {subject:?}").into());
            }
            let arrived = response.upstream_header("x-forwarded-client-cert").unwrap_or_default();
            if arrived.contains(&uri) {
                return Err(format!("{name}: {forged} arrived as {arrived}").into());
            }
        }
    }
    mesh.expect(Caller::Stranger, "/admin", &[("l5d-client-id", "client.default.serviceaccount")], 403)?;
    Ok(())
}

/// In a row of modules, where the principal is filter state, and inside the suite.
fn principal() -> Result<(), Failed> {
    let limit = json!({"limits": [{"name": "per-caller", "match": {"paths": [{"prefix": "/api"}]}, "key": ["principal"],
        "quotas": [{"requests": 2, "per": "1h"}], "on_missing": "deny"}]});
    let routing = json!({"route_header": "x-route", "rules": [{"name": "stranger", "match": {"principals": [{"exact": spiffe_id("stranger")}]},
        "set_headers": {"x-caller": "a stranger: {request.principal}"}}]});
    let auth = auth();
    let row = entries::web(&[("auth", &auth), ("rate-limit", &limit), ("header-routing", &routing)])?;
    let suite = json!({"auth": auth, "rate_limit": limit, "header_routing": routing});
    let suite = entries::web(&[("suite", &suite)])?;
    for entry in [row, suite] {
        let mesh = Mesh::start(Agents::Dev, &[&entry])?;
        for (caller, said) in [
            (Caller::Client, None),
            (Caller::Stranger, Some(format!("a stranger: {}", spiffe_id("stranger")))),
        ] {
            for expected in [200, 200, 429] {
                let response = mesh.expect(caller, "/api", &[("x-caller", "forged")], expected)?;
                let seen = response.upstream_header("x-caller");
                let forged = said.is_none().then(|| "forged".to_owned());
                if expected == 200 && seen != said.clone().or(forged) {
                    return Err(format!("{caller:?}: x-caller is {seen:?}").into());
                }
            }
        }
    }
    Ok(())
}

fn without() -> Result<(), Failed> {
    let auth = auth();
    let mesh = Mesh::start(Agents::Dev, &[&entries::web(&[("auth", &auth)])?])?;
    match e2e::client::get(mesh.web.listener("public_listener")?, "/healthz") {
        Ok(answer) => Err(format!("without TLS: {}", answer.status).into()),
        Err(_) => Ok(()),
    }
}

/// What an intention denies, no filter sees: it takes nothing from a limit.
fn intentions() -> Result<(), Failed> {
    let limit = json!({"limits": [{"name": "orders", "match": {"paths": [{"prefix": "/orders"}]},
        "quotas": [{"requests": 1, "per": "1h"}]}]});
    let auth = auth();
    let permissions = json!([
        {"Action": "deny", "HTTP": {"PathPrefix": "/orders/internal"}},
        {"Action": "allow", "HTTP": {"PathPrefix": "/"}},
    ]);
    let sources = json!([{"Name": "client", "Permissions": permissions}, {"Name": "*", "Action": "deny"}]);
    let entry = entries::web(&[("rate-limit", &limit), ("auth", &auth)])?;
    let mesh = Mesh::start(Agents::Dev, &[&entry, &entries::intentions(&sources)])?;
    mesh.becomes(Caller::Stranger, "/healthz", &[], 403)?;
    mesh.becomes(Caller::Client, "/healthz", &[], 200)?;
    for _ in 0..3 {
        for (caller, path) in [(Caller::Stranger, "/orders"), (Caller::Client, "/orders/internal")] {
            let response = mesh.expect(caller, path, &[], 403)?;
            if response.body != b"RBAC: access denied" {
                let body = String::from_utf8_lossy(&response.body).into_owned();
                return Err(format!("{caller:?} {path}: not denied by the intention: {body:?}").into());
            }
        }
    }
    // Nothing of the quota is gone, and where the intention allows, the filters decide.
    mesh.expect(Caller::Client, "/orders", &[], 200)?;
    mesh.expect(Caller::Client, "/orders", &[], 429)?;
    mesh.expect(Caller::Client, "/admin", &[], 200).map(drop)
}
