//! Workloads by their certificates, over real TLS: an Envoy in front presents them.

use std::net::SocketAddr;

use e2e::bootstrap;
use e2e::envoy::Envoy;
use e2e::tools;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use super::site::{Site, send};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("auth::peers::a_workload_is_who_its_certificate_says", certificates),
        Trial::test("auth::peers::a_trusted_gateway_speaks_for_others", gateway),
        Trial::test("auth::peers::a_gateway_is_nobody_where_envoy_appends_it", appending),
        Trial::test("auth::peers::linkerds_header_names_nobody_where_envoy_decrypts", decrypted),
    ]
}

const WEB: &str = "spiffe://cluster.local/ns/shop/sa/web";
const GATEWAY: &str = "spiffe://cluster.local/ns/istio-system/sa/gateway";

fn certificate(name: &str) -> Value {
    let file = |ending: &str| json!({"filename": tools::repo_root().join(format!("tests/certificates/{name}.{ending}"))});
    json!({"certificate_chain": file("pem"), "private_key": file("key")})
}

fn authority() -> Value {
    json!({"trusted_ca": {"filename": tools::repo_root().join("tests/certificates/ca.pem")}})
}

/// auth behind TLS; clients may present a certificate.
fn site(appends: bool) -> Result<Site, Failed> {
    site_trusting(&json!({"identities": [{"exact": GATEWAY}]}), appends)
}

/// The same, with these believed what they write into Linkerd's header.
fn site_trusting(proxies: &Value, appends: bool) -> Result<Site, Failed> {
    let trusted = json!({"trusted": {"identities": [{"exact": GATEWAY}]}});
    let linkerd = json!({"trusted": proxies});
    let mesh = json!({"mtls": {"trust_domain": "cluster.local", "xfcc": trusted, "l5d_client_id": linkerd}});
    let auth = json!({
        "providers": {"mesh": mesh},
        "rules": [{"name": "open", "match": {"paths": [{"prefix": "/open"}]}, "allow": "anyone"},
                  {"name": "web", "match": {"paths": [{"prefix": "/web"}]}, "require": "mesh", "principals": [{"exact": WEB}]},
                  {"name": "all", "require": "mesh"}],
        "forward": {"principal_header": "x-auth-subject"},
    });
    Site::start_with(&[("auth", &auth)], &[], 1, |bootstrap| {
        let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
        if let (true, Some(manager)) = (appends, bootstrap.pointer_mut(manager)) {
            manager["forward_client_cert_details"] = json!("APPEND_FORWARD");
            manager["set_current_client_cert_details"] = json!({"uri": true});
        }
        bootstrap["static_resources"]["listeners"][0]["filter_chains"][0]["transport_socket"] = json!({
            "name": "tls",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                "common_tls_context": {"tls_certificates": [certificate("server")], "validation_context": authority()},
            },
        });
    })
}

/// An Envoy that takes plain bytes and hands them on over TLS, with this client's certificate.
fn client(site: SocketAddr, name: Option<&str>) -> Result<Envoy, Failed> {
    let mut cluster = bootstrap::cluster("site", site);
    let mut context = json!({"validation_context": authority()});
    if let Some(name) = name {
        context["tls_certificates"] = json!([certificate(name)]);
    }
    cluster["transport_socket"] = json!({
        "name": "tls",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
            "common_tls_context": context,
        },
    });
    let mut front = json!({
        "admin": {},
        "static_resources": {
            "listeners": [{"name": "front", "filter_chains": [{"filters": [{"name": "tcp", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                "stat_prefix": "front", "cluster": "site"}}]}]}],
            "clusters": [cluster],
        },
    });
    bootstrap::free_ports(&mut front)?;
    Ok(Envoy::start(&front, 1)?)
}

fn certificates() -> Result<(), Failed> {
    let site = site(false)?;
    let xfcc = format!("URI={WEB}");
    for (name, all, web, subject) in [
        (Some("web"), 200, 200, Some(WEB)),
        (Some("gateway"), 403, 403, None),
        (Some("stranger"), 403, 403, None),
        (Some("nameless"), 403, 403, None),
        (None, 403, 403, None),
    ] {
        let front = client(site.envoy.address(), name)?;
        let first = send(front.address(), "/", &[("x-auth-subject", WEB)])?;
        let seen = (
            first.status,
            send(front.address(), "/web", &[])?.status,
            first.upstream_header("x-auth-subject"),
        );
        if seen != (all, web, subject.map(str::to_owned)) {
            return Err(format!(
                "{name:?}: expected {all}, {web}, {subject:?}; seen {seen:?}\n{}",
                site.envoy.log()
            )
            .into());
        }
        if name == Some("gateway") {
            continue;
        }
        // What it claims to forward changes nothing, and does not arrive.
        let claimed = [
            ("x-forwarded-client-cert", xfcc.as_str()),
            ("x_forwarded_client_cert", xfcc.as_str()),
            ("l5d-client-id", "web.cluster.local"),
            ("l5d_client_id", "web.cluster.local"),
        ];
        let claiming = send(front.address(), "/", &claimed)?;
        let open = send(front.address(), "/open", &claimed)?;
        let arrived = claimed.map(|(header, _)| open.upstream_header(header));
        if claiming.status != all
            || claiming.upstream_header("x-auth-subject") != seen.2
            || arrived != [const { None }; 4]
        {
            return Err(format!("{name:?}, claiming: seen {} {arrived:?}", claiming.status).into());
        }
    }
    Ok(())
}

/// Linkerd's proxy hands on what it cannot read: its address says nothing of what stands inside, also where it is trusted.
fn decrypted() -> Result<(), Failed> {
    let site = site_trusting(&json!({"cidrs": ["127.0.0.0/8"]}), false)?;
    let named = [("l5d-client-id", "web.shop.serviceaccount.identity.linkerd.cluster.local")];
    for name in [None, Some("web")] {
        let front = client(site.envoy.address(), name)?;
        let open = send(front.address(), "/open", &named)?;
        if (open.status, open.upstream_header("l5d-client-id")) != (200, None) {
            return Err(format!("{name:?}: the header arrived").into());
        }
        // Who has a certificate is who it says, and not whom the header names.
        let expected = name.map(|_| WEB.to_owned());
        let all = send(front.address(), "/", &named)?;
        let status = if name.is_some() { 200 } else { 403 };
        if (all.status, all.upstream_header("x-auth-subject")) != (status, expected) {
            return Err(format!("{name:?}: seen {}\n{}", all.status, site.envoy.log()).into());
        }
    }
    Ok(())
}

fn gateway() -> Result<(), Failed> {
    let site = site(false)?;
    let front = client(site.envoy.address(), Some("gateway"))?;
    let xfcc = |value: &str| {
        send(front.address(), "/web", &[("x-forwarded-client-cert", value)]).map(|it| it.status)
    };
    for (value, expected) in [
        (format!("By={GATEWAY};Hash=ab;URI={WEB}"), 200),
        (format!("URI={WEB},By={GATEWAY};URI=spiffe://cluster.local/ns/shop/sa/other"), 403),
        (format!("URI=spiffe://evil.example/x,By={GATEWAY};URI={WEB}"), 200),
        ("URI=spiffe://evil.example/ns/shop/sa/web".to_owned(), 403),
        (format!("By={GATEWAY};Hash=ab"), 403),
        ("nonsense".to_owned(), 403),
    ] {
        let seen = xfcc(&value)?;
        if seen != expected {
            return Err(format!("{value}: expected {expected}, seen {seen}\n{}", site.envoy.log()).into());
        }
    }
    Ok(())
}

/// As beside every workload of Istio's: Envoy itself adds an element for the peer before auth looks.
fn appending() -> Result<(), Failed> {
    let site = site(true)?;
    let front = client(site.envoy.address(), Some("gateway"))?;
    let forwards = |headers: &[(&str, &str)]| {
        send(front.address(), "/", headers).map(|it| (it.status, it.upstream_header("x-auth-subject")))
    };
    let of_web = format!("By={GATEWAY};Hash=ab;URI={WEB}");
    let of_nobody = format!("By={GATEWAY};Hash=ab");
    let header = "x-forwarded-client-cert";
    for (headers, expected) in [
        (&[][..], (403, None)),
        (&[(header, of_nobody.as_str())], (403, None)),
        (&[(header, of_web.as_str())], (200, Some(WEB.to_owned()))),
    ] {
        let seen = forwards(headers)?;
        if seen != expected {
            return Err(
                format!("{headers:?}: expected {expected:?}, seen {seen:?}\n{}", site.envoy.log()).into()
            );
        }
    }
    Ok(())
}
