//! What `docs/linkerd.md` and the manifests of `envoy-config/linkerd/` say of headers, between stand-ins for Linkerd's proxy:
//! a contract test, not a cluster. The Envoy is a real one, started with what the manifests hold.

use std::net::{SocketAddr, TcpStream};

use e2e::bootstrap;
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::guide as guides;
use e2e::linkerd::{CLIENT_ID, DESTINATION, ERROR, Relay};
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use tidegate_render::{Configuration, Form, LINKERD_SOURCES, Options, Place, SOURCES, render};
use tidegate_testkit::scenario::{Request, Response};

const WEB: &str = "web.shop.serviceaccount.identity.linkerd.cluster.local";
const OPS: &str = "ops.shop.serviceaccount.identity.linkerd.cluster.local";
/// Of filters/auth.yaml and filters/suite.yaml.
const KEY: (&str, &str) = ("x-api-key", "acme-key-1");

pub(crate) fn trials() -> Vec<Trial> {
    let files = SOURCES.iter().flat_map(|(name, _)| [(*name).to_owned(), format!("{name}-public")]);
    let files = files.chain(LINKERD_SOURCES.iter().map(|(name, _)| (*name).to_owned()));
    let each = files.map(|file| {
        Trial::test(format!("linkerd::{file}_sends_requests_where_it_says_and_leaves_the_rest"), move || {
            destination(&file)
        })
    });
    let others = [
        Trial::test("linkerd::a_caller_is_who_the_proxy_says", trusted),
        Trial::test("linkerd::who_does_not_come_from_the_proxy_names_nobody", forged),
        Trial::test("linkerd::an_opaque_port_would_let_a_client_name_itself", opaque),
        Trial::test("linkerd::without_trust_the_name_is_taken_away", stripped),
        Trial::test("linkerd::header_routing_chooses_the_destination", routed),
        Trial::test("linkerd::what_the_proxy_says_of_failures_arrives", failures),
        Trial::test("linkerd::what_the_guide_tells_to_run_runs", guide),
        Trial::test("linkerd::limits_by_address_are_one_for_all_callers_and_warned_of", one_address),
    ];
    each.chain(others).collect()
}

/// An Envoy as a manifest has it, and what it sends requests to.
struct Meshed {
    envoy: Envoy,
    _behind: Relay,
    _upstreams: Upstreams,
}

/// With these services behind it, each at `stable` or `beta`.
fn meshed(manifest: &str, services: &[(&str, &str)]) -> Result<Meshed, Failed> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).map_err(|error| error.to_string())?;
    let held = documents.iter().find_map(|document| document["data"]["envoy.yaml"].as_str());
    let mut bootstrap: Value = serde_saphyr::from_str(held.ok_or("no ConfigMap with an envoy.yaml")?)
        .map_err(|error| error.to_string())?;
    let upstreams = Upstreams::start()?;
    let place = |name: &str| if name == "beta" { upstreams.beta } else { upstreams.stable };
    let services: Vec<(&str, SocketAddr)> = services.iter().map(|(name, at)| (*name, place(at))).collect();
    let behind = Relay::outbound(&services)?;
    bootstrap::free_ports(&mut bootstrap)?;
    let filters = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters";
    let plugin = bootstrap.pointer_mut(&format!("{filters}/0/typed_config/config")).ok_or("no filter")?;
    let module = tools::module(plugin["name"].as_str().ok_or("no name")?)?;
    plugin["vm_config"]["code"]["local"]["filename"] = json!(module);
    if plugin["vm_config"].get("environment_variables").is_some() {
        let secret = [("HOOK_SECRET".to_owned(), "a-secret-for-this-example-only".to_owned())];
        bootstrap::set_environment(&mut bootstrap, &secret.into())?;
    }
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    for cluster in clusters.ok_or("no clusters")? {
        // Connections of backends are the proxy's; of what else is called nobody is there.
        let name = cluster["name"].as_str().unwrap_or_default();
        let port = if matches!(name, "stable" | "beta") { behind.address().port() } else { 1 };
        cluster["type"] = json!("STATIC");
        let endpoint = cluster
            .pointer_mut("/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address/socket_address");
        *endpoint.ok_or("no endpoint")? = json!({"address": "127.0.0.1", "port_value": port});
    }
    Ok(Meshed { envoy: Envoy::start(&bootstrap, 1)?, _behind: behind, _upstreams: upstreams })
}

fn manifest(file: &str) -> Result<String, Failed> {
    Ok(std::fs::read_to_string(tools::repo_root().join(format!("envoy-config/linkerd/{file}.yaml")))?)
}

/// As the manifests name them; whoever got his way with a header of his own would arrive elsewhere.
const SERVICES: [(&str, &str); 3] = [
    ("web.shop.svc.cluster.local:80", "stable"),
    ("web-beta.shop.svc.cluster.local:80", "beta"),
    ("evil.example:80", "beta"),
];

impl Meshed {
    fn start(file: &str) -> Result<Self, Failed> {
        meshed(&manifest(file)?, &SERVICES)
    }

    /// Where a real proxy on this machine would find Envoy: the manifests listen on all addresses.
    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.envoy.address().port()))
    }

    /// A request of a caller that has this name in the mesh, or none.
    fn ask(&self, caller: Option<&str>, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
        let before = Relay::inbound(self.address(), caller)?;
        Ok(Connection::open(before.address())?.send(&request(path, headers))?.into())
    }
}

fn request(path: &str, headers: &[(&str, &str)]) -> Request {
    Request {
        method: "GET".to_owned(),
        path: path.as_bytes().to_vec(),
        host: "shop.example.com".to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
        grpc: false,
    }
}

fn expect<T: PartialEq + std::fmt::Debug>(what: &str, expected: T, seen: T) -> Result<(), Failed> {
    if expected == seen {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, seen {seen:?}").into())
}

fn reached(response: &Response) -> Option<&str> {
    response.reached.as_deref()
}

/// Whatever a client writes, the proxy is told the manifest's destination; its other headers pass in both directions.
fn destination(file: &str) -> Result<(), Failed> {
    let meshed = Meshed::start(file)?;
    let said = [("l5d-retry-http", "5xx"), ("l5d-retry-limit", "2"), ("l5d-timeout", "300ms")];
    let mut headers =
        vec![KEY, (DESTINATION, "evil.example:80"), ("x-echo-header", "l5d-proxy-error: upstream")];
    headers.extend(said);
    let response = meshed.ask(Some(WEB), "/", &headers)?;
    expect("the status", 200, response.status)?;
    expect("reached", Some("stable"), reached(&response))?;
    for (name, value) in said {
        expect(name, Some(value.to_owned()), response.upstream_header(name))?;
    }
    expect("an error of the upstream's proxy", Some("upstream".to_owned()), text(&response, ERROR))
}

fn text(response: &Response, name: &str) -> Option<String> {
    let found = response.headers.iter().find(|(other, _)| other == name);
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

fn trusted() -> Result<(), Failed> {
    let meshed = Meshed::start("auth-linkerd")?;
    for (caller, path, status, subject) in [
        (Some(WEB), "/orders", 200, Some(WEB)),
        (Some(OPS), "/admin", 200, Some(OPS)),
        (Some(WEB), "/admin", 403, None),
        (None, "/orders", 403, None),
        (Some("web.shop.serviceaccount.identity.linkerd.other.example"), "/orders", 403, None),
        (None, "/healthz", 200, None),
    ] {
        // What it writes itself, in either spelling, changes nothing.
        for written in [&[][..], &[(CLIENT_ID, OPS)], &[("x-auth-subject", OPS)]] {
            let response = meshed.ask(caller, path, written)?;
            let seen = (response.status, response.upstream_header("x-auth-subject"));
            expect(&format!("{caller:?} {path} {written:?}"), (status, subject.map(str::to_owned)), seen)?;
        }
    }
    Ok(())
}

/// Past the proxy, from another address of this machine: nobody is believed.
fn forged() -> Result<(), Failed> {
    let meshed = Meshed::start("auth-linkerd")?;
    for (path, status) in [("/orders", 403), ("/admin", 403), ("/healthz", 200)] {
        let stream = from([127, 0, 0, 2], meshed.address())?;
        let reply = Connection::over(stream)?.send(&request(path, &[(CLIENT_ID, OPS)]))?;
        let response: Response = reply.into();
        let seen = (
            response.status,
            response.upstream_header(CLIENT_ID),
            response.upstream_header("x-auth-subject"),
        );
        expect(path, (status, None, None), seen)?;
    }
    Ok(())
}

/// A connection that comes from an address of loopback's.
fn from(address: [u8; 4], to: SocketAddr) -> Result<TcpStream, Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((address, 0)))?;
        socket.connect(to).await?.into_std()
    })?;
    stream.set_nonblocking(false)?;
    Ok(stream)
}

/// Why the manifests say the port's protocol: over bytes that the proxy does not read, loopback proves nothing, and no filter
/// can tell. Where Envoy decrypts them it can, and believes nobody: `auth::peers::linkerds_header_names_nobody…` in tier 2.
fn opaque() -> Result<(), Failed> {
    let meshed = Meshed::start("auth-linkerd")?;
    let before = Relay::opaque(meshed.address())?;
    let reply = Connection::open(before.address())?.send(&request("/admin", &[(CLIENT_ID, OPS)]))?;
    expect(
        "a forged name over an opaque port: if this is refused now, tell so in docs/linkerd.md",
        200,
        reply.status,
    )?;
    let server = manifest("auth-linkerd")?;
    for needed in
        ["proxyProtocol: HTTP/1\n", "config.linkerd.io/opaque-ports: \"\"\n", "skip-inbound-ports: \"\"\n"]
    {
        if !server.contains(needed) {
            return Err(format!("the manifest does not say {needed}").into());
        }
    }
    Ok(())
}

/// The default: auth that says nothing of Linkerd.
fn stripped() -> Result<(), Failed> {
    for file in ["auth", "auth-public", "suite"] {
        let meshed = Meshed::start(file)?;
        let response = meshed.ask(Some(WEB), "/", &[KEY])?;
        let seen = (
            response.status,
            response.upstream_header(CLIENT_ID),
            response.upstream_header("x-auth-subject"),
        );
        expect(file, (200, None, Some("acme".to_owned())), seen)?;
    }
    Ok(())
}

/// By the route that it chooses, or by what a rule of its own says.
fn routed() -> Result<(), Failed> {
    let routing = Meshed::start("header-routing")?;
    for (headers, expected) in [
        (&[("x-beta", "1")][..], "beta"),
        (&[("x-beta", "1"), (DESTINATION, "web.shop.svc.cluster.local:80")], "beta"),
        (&[(DESTINATION, "web-beta.shop.svc.cluster.local:80")], "stable"),
        (&[], "stable"),
    ] {
        let response = routing.ask(None, "/", headers)?;
        expect(&format!("{headers:?}"), Some(expected), reached(&response))?;
    }
    let text = "rules:\n  - name: eu\n    match: {headers: [{name: x-region, exact: eu}]}\n    \
        set_headers: {l5d-dst-override: \"web.eu.svc.cluster.local:80\"}\n\
        default: {route: stable}\nroute_header: x-tidegate-route\n";
    let configuration = Configuration::read(text, None, None)?;
    let mut options = Options::new(Form::LinkerdMesh);
    let place = Place::parse("web.shop.svc.cluster.local:80").ok_or("no place")?;
    options.clusters.insert("stable".to_owned(), place);
    let manifest = render(&configuration, &options)?.text;
    let services = [("web.shop.svc.cluster.local:80", "stable"), ("web.eu.svc.cluster.local:80", "beta")];
    let own = meshed(&manifest, &services)?;
    for (headers, expected) in [
        (&[("x-region", "eu")][..], "beta"),
        (&[("x-region", "eu"), (DESTINATION, "web.shop.svc.cluster.local:80")], "beta"),
        (&[("x-region", "us"), (DESTINATION, "web.eu.svc.cluster.local:80")], "stable"),
    ] {
        let response = own.ask(None, "/", headers)?;
        expect(&format!("{headers:?}"), Some(expected), reached(&response))?;
    }
    Ok(())
}

/// A service that is not there: the proxy's answer, with its reason.
fn failures() -> Result<(), Failed> {
    for file in ["suite", "telemetry", "rate-limit", "header-routing"] {
        let meshed = meshed(&manifest(file)?, &[])?;
        let response = meshed.ask(Some(WEB), "/", &[KEY])?;
        expect(
            file,
            (502, Some("no service is there".to_owned())),
            (response.status, text(&response, ERROR)),
        )?;
    }
    Ok(())
}

/// Five failed logins from anywhere, and nobody can log in; with hops named, each caller has a count of its own.
fn one_address() -> Result<(), Failed> {
    let source = std::fs::read_to_string(tools::repo_root().join("envoy-config/filters/rate-limit.yaml"))?;
    let mut options = Options::new(Form::LinkerdMesh);
    let place = Place::parse("web.shop.svc.cluster.local:80").ok_or("no place")?;
    options.clusters.insert("stable".to_owned(), place);
    // The last entry is Envoy's own, loopback; the one before it what a proxy of one's own has added.
    for (hops, sixth) in [(0, 429), (1, 429), (2, 401)] {
        let text = source.replace("trusted_hops: 0", &format!("trusted_hops: {hops}"));
        let manifest = render(&Configuration::read(&text, None, None)?, &options)?;
        let warned = manifest
            .warnings
            .iter()
            .filter(|warning| warning.contains("`login-guessing` counts by `source`"));
        expect("warnings", usize::from(hops < 2), warned.count())?;
        let meshed = meshed(&manifest.text, &SERVICES)?;
        for number in 1..=6 {
            let client = format!("198.51.100.{number}");
            let headers = [("x-forwarded-for", client.as_str()), ("x-echo-status", "401")];
            let seen = meshed.ask(None, "/login", &headers)?.status;
            expect(&format!("{hops} hops, caller {number}"), if number == 6 { sixth } else { 401 }, seen)?;
        }
    }
    Ok(())
}

fn guide() -> Result<(), Failed> {
    let text = std::fs::read_to_string(tools::repo_root().join("docs/linkerd.md"))?;
    let run = guides::run(&text)?;
    let left = guides::steps(&text).iter().filter(|step| step.cluster).count();
    expect("commands run, and left to a cluster", (4, 3), (run, left))?;
    // Its configurations are ones.
    let mut configurations = 0;
    for block in text.split("```yaml\n").skip(1) {
        let block = block.split("```").next().unwrap_or_default();
        Configuration::read(block, None, None).map_err(|error| format!("{error}\n{block}"))?;
        configurations += 1;
    }
    expect("configurations", 2, configurations)
}
