//! A mesh of one sidecar and one gateway in front of the same backends.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use e2e::client::Connection;
use e2e::companions::istio::{Istio, Kind, Proxy};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tidegate_testkit::scenario::{Request, Response};

use super::manifest::{self, At};

/// How long anything may take that is bound to happen: on a busy machine, compiling a module takes seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// A discovery server that knows a workload, a gateway and two versions of a service.
pub(crate) struct Mesh {
    pub(crate) istio: Istio,
    pub(crate) upstreams: Upstreams,
    sidecar: SocketAddr,
    gateway: SocketAddr,
}

/// The addresses of the two pods.
const SIDECAR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);

impl Mesh {
    /// Without any filter.
    pub(crate) fn start() -> Result<Self, Failed> {
        let upstreams = Upstreams::start()?;
        let mesh =
            Self { istio: Istio::start()?, sidecar: free(SIDECAR)?, gateway: free(GATEWAY)?, upstreams };
        mesh.istio.apply(&mesh.surroundings())?;
        Ok(mesh)
    }

    /// What a cluster would have anyway. Where nothing is redirected, Istio makes listeners of a Sidecar's `ingress` and of
    /// a Gateway's `servers`.
    fn surroundings(&self) -> String {
        let gateway = self.gateway.port();
        let (stable, beta) = (self.upstreams.stable.port(), self.upstreams.beta.port());
        let ingress = ingress_of("web", self.sidecar, stable);
        format!(
            "
{ingress}---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: default, namespace: shop}}
spec: {{mtls: {{mode: DISABLE}}}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: shop, namespace: istio-system}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - port: {{number: {gateway}, name: http, protocol: HTTP}}
      bind: {GATEWAY}
      hosts: [\"*\"]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: stable, namespace: shop}}
spec:
  hosts: [web.shop.svc.cluster.local]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {stable}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: beta, namespace: shop}}
spec:
  hosts: [web-beta.shop.svc.cluster.local]
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  location: MESH_INTERNAL
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{http: {beta}}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: shop, namespace: istio-system}}
spec:
  hosts: [\"*\"]
  gateways: [shop]
  http:
    - name: public
      match: [{{uri: {{prefix: /public}}}}]
      route: [{{destination: {{host: web.shop.svc.cluster.local}}}}]
    - name: beta
      match: [{{headers: {{x-tidegate-route: {{exact: beta}}}}}}]
      route: [{{destination: {{host: web-beta.shop.svc.cluster.local}}}}]
    - name: stable
      route: [{{destination: {{host: web.shop.svc.cluster.local}}}}]
"
        )
    }

    /// A sidecar of the workload `app: web` in `shop`.
    pub(crate) fn sidecar(&self) -> Result<Proxied<'_>, Failed> {
        self.proxied(&web(), self.sidecar)
    }

    /// The same workload's, described in another way.
    pub(crate) fn sidecar_as(&self, proxy: &Proxy) -> Result<Proxied<'_>, Failed> {
        self.proxied(proxy, self.sidecar)
    }

    /// The sidecar of another workload in `shop`, which it tells Istio of.
    pub(crate) fn beside(&self, proxy: &Proxy) -> Result<Proxied<'_>, Failed> {
        let address = free(proxy.address)?;
        let app = proxy.labels.get("app").map_or("", String::as_str);
        self.istio.apply(&ingress_of(app, address, self.upstreams.stable.port()))?;
        self.proxied(proxy, address)
    }

    /// The gateway.
    pub(crate) fn gateway(&self) -> Result<Proxied<'_>, Failed> {
        self.proxied(&ingress(), self.gateway)
    }

    /// The one or the other.
    pub(crate) fn at(&self, at: At) -> Result<Proxied<'_>, Failed> {
        match at {
            At::Inbound => self.sidecar(),
            At::Gateway => self.gateway(),
        }
    }

    /// Starts an Envoy as this proxy. Its listener is not waited for.
    pub(crate) fn proxied(&self, proxy: &Proxy, address: SocketAddr) -> Result<Proxied<'_>, Failed> {
        // Where auth's example reads the key of signatures.
        let environment = [("HOOK_SECRET", "0123456789abcdef")];
        let envoy = Envoy::start_controlled(&proxy.bootstrap(&self.istio)?, 2, &environment)?;
        Ok(Proxied { envoy, address, mesh: self })
    }
}

/// What arrives at a workload's port, and that it calls nobody: a listener for what leaves would have a port of the services'
/// own.
fn ingress_of(app: &str, address: SocketAddr, backend: u16) -> String {
    let (host, port) = (address.ip(), address.port());
    format!(
        "apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {app}, namespace: shop}}
spec:
  workloadSelector: {{labels: {{app: {app}}}}}
  ingress:
    - port: {{number: {port}, name: http, protocol: HTTP}}
      bind: {host}
      defaultEndpoint: 127.0.0.1:{backend}
  egress: [{{hosts: [\"~/*\"]}}]
"
    )
}

/// The workload's sidecar.
pub(crate) fn web() -> Proxy {
    Proxy::new(Kind::Sidecar, "web-1", "shop", SIDECAR).labelled("app", "web").with_config(config())
}

/// The gateway that Istio installs.
pub(crate) fn ingress() -> Proxy {
    Proxy::new(Kind::Router, "ingress-1", "istio-system", GATEWAY)
        .labelled("istio", "ingressgateway")
        .with_config(config())
}

/// What `envoy-config/istio/stats.yaml` says, and the statistics that tests read.
fn config() -> Value {
    let text = manifest::text("stats.yaml").unwrap_or_default();
    let mut values: Value = serde_saphyr::from_str(&text).unwrap_or_default();
    let mut config = values["meshConfig"]["defaultConfig"].take();
    if let Some(prefixes) =
        config.pointer_mut("/proxyStatsMatcher/inclusionPrefixes").and_then(Value::as_array_mut)
    {
        prefixes.extend([json!("extension_config_discovery"), json!("http.")]);
    }
    config
}

/// A running Envoy that Istio configures.
pub(crate) struct Proxied<'a> {
    pub(crate) envoy: Envoy,
    pub(crate) address: SocketAddr,
    mesh: &'a Mesh,
}

impl Proxied<'_> {
    /// A GET on a connection of its own: one that was there before an update stays with the old listener.
    pub(crate) fn get(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
        let request = Request {
            method: "GET".to_owned(),
            path: path.as_bytes().to_vec(),
            host: "shop.example.com".to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
                .collect(),
            body: Vec::new(),
            grpc: false,
        };
        Ok(Connection::open(self.address)?.send(&request)?.into())
    }

    /// Waits until somebody listens, and a request gets an answer that is not Envoy's own for want of a filter.
    pub(crate) fn serves(&self) -> Result<(), Failed> {
        self.until("it listens", || Ok(Connection::open(self.address).is_ok()))
    }

    /// The answer to a request, which must have this status.
    pub(crate) fn expect(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        status: u16,
    ) -> Result<Response, Failed> {
        let reply = self.get(path, headers)?;
        if reply.status != status {
            return Err(self.failed(&format!("{path} {headers:?}: expected {status}, seen {}", reply.status)));
        }
        Ok(reply)
    }

    /// Waits until requests get this status.
    pub(crate) fn until_status(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        status: u16,
    ) -> Result<(), Failed> {
        let what = format!("{path} {headers:?} is {status}");
        self.until(&what, || Ok(self.get(path, headers).is_ok_and(|reply| reply.status == status)))
    }

    /// The names of the filters that requests pass, in Envoy's order.
    pub(crate) fn chain(&self) -> Result<Vec<String>, Failed> {
        let dump = self.envoy.admin_get("/config_dump?resource=dynamic_listeners")?;
        let dump: Value = serde_json::from_str(&dump)?;
        let listeners = dump["configs"].as_array().map(Vec::as_slice).unwrap_or_default();
        let [only] = listeners else {
            return Err(self.failed(&format!("expected one listener, seen {}", listeners.len())));
        };
        let filters = only
            .pointer("/active_state/listener/filter_chains/0/filters/0/typed_config/http_filters")
            .and_then(Value::as_array)
            .ok_or_else(|| self.failed(&format!("no filters in {only}")))?;
        Ok(filters.iter().filter_map(|filter| Some(filter["name"].as_str()?.to_owned())).collect())
    }

    /// How often Envoy has taken a configuration: of a plugin, or of routes.
    pub(crate) fn taken(&self, of_plugins: bool) -> Result<u64, Failed> {
        let stats = self.envoy.stats()?;
        let counted = stats.iter().filter(|(name, _)| {
            name.ends_with(".config_reload") && name.starts_with("extension_config_discovery.") == of_plugins
        });
        Ok(counted.map(|(_, count)| count).sum())
    }

    /// Whether no listener is on its way.
    pub(crate) fn settled(&self) -> Result<bool, Failed> {
        Ok(self.envoy.stat_named("listener_manager.total_listeners_warming")? == 0)
    }

    /// How many virtual machines were made so far.
    pub(crate) fn virtual_machines(&self) -> Result<u64, Failed> {
        Ok(self.envoy.stat_named("wasm.envoy.wasm.runtime.v8.created")?)
    }

    /// Waits until the counters whose names contain this are at least so much together.
    pub(crate) fn counts(&self, part: &str, least: u64) -> Result<(), Failed> {
        self.until(&format!("{part} is {least} or more"), || Ok(self.envoy.stat(part)? >= least))
    }

    /// Waits until Prometheus would see this metric with these labels, and not 0.
    pub(crate) fn series(&self, name: &str, labels: &[(&str, &str)]) -> Result<(), Failed> {
        let wanted: Vec<String> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let custom = || -> Result<Vec<String>, Failed> {
            let text = self.envoy.admin_get("/stats/prometheus")?;
            Ok(text.lines().filter(|line| line.contains("shop_")).map(str::to_owned).collect())
        };
        let found = |lines: Vec<String>| {
            let mut lines = lines.iter().filter(|line| line.contains(name) && !line.ends_with(" 0"));
            lines.any(|line| wanted.iter().all(|label| line.contains(label)))
        };
        let what = format!("{name} has {wanted:?}");
        self.until(&what, || Ok(found(custom()?))).map_err(|_| {
            self.failed(&format!("not {what}, among\n{}", custom().unwrap_or_default().join("\n")))
        })
    }

    /// Waits until `ready` says so; the error holds what `state` says and the logs.
    pub(crate) fn until(
        &self,
        what: &str,
        mut ready: impl FnMut() -> Result<bool, Failed>,
    ) -> Result<(), Failed> {
        let deadline = Instant::now() + LIMIT;
        while !ready()? {
            if Instant::now() > deadline {
                return Err(self.failed(&format!("not after {} s: {what}", LIMIT.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// A failure, with what both programs logged.
    pub(crate) fn failed(&self, what: &str) -> Failed {
        let istios = self.mesh.istio.log();
        // Of what it has to say at its start nothing matters here.
        let matters = |line: &&str| {
            (line.contains("\twarn\t") || line.contains("\terror\t"))
                && !["no instances found", "annotation, but none found", "unable to resolve"]
                    .iter()
                    .any(|noise| line.contains(noise))
        };
        let istios: Vec<&str> = istios.lines().filter(matters).collect();
        format!("{what}\nEnvoy's log:\n{}\nIstio's:\n{}", self.envoy.log(), istios.join("\n")).into()
    }
}

/// An address whose port was free a moment ago: Istio takes no port 0.
fn free(address: Ipv4Addr) -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind((address, 0))?.local_addr()?)
}
