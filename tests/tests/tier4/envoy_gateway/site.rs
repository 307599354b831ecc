//! A gateway in front of two backends, with modules on a server and in a registry.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::client::Connection;
use e2e::companions::envoy_gateway::{EnvoyGateway, Without};
use e2e::companions::registry::Registry;
use e2e::files::Files;
use e2e::image::{Image, Layout};
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use sha2::{Digest as _, Sha256};
use tidegate_testkit::scenario::{Request, Response};

use crate::probes::{self, CONFIGURATIONS};

/// Where the gateway of `gateway.yaml` listens.
pub(super) const GATEWAY: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8080);

/// What auth's example reads its secret from.
const SECRET: (&str, &str) = ("HOOK_SECRET", "0123456789abcdef");

const LIMIT: Duration = Duration::from_secs(60);

/// The gateway, and what stands around it.
pub(super) struct Site {
    // First, so that what ends before it is not complained about.
    pub(super) gateway: EnvoyGateway,
    modules: SocketAddr,
    _upstreams: Upstreams,
    registry: Registry,
}

impl Site {
    /// Starts all of it with `gateway.yaml`, and waits until both routes answer.
    pub(super) fn start(without: Without) -> Result<Self, Failed> {
        let gateway = EnvoyGateway::start(&[("class.yaml", CLASS)], &[SECRET], without)?;
        let registry = Registry::start_in(gateway.namespace())?;
        let (upstreams, modules) = gateway.namespace().inside(|| {
            let mut files = std::collections::BTreeMap::new();
            for configuration in CONFIGURATIONS {
                let module = tools::module(probes::filter(configuration))?;
                let name = module.file_name().unwrap_or_default().to_string_lossy().into_owned();
                files.insert(name, std::fs::read(module)?);
            }
            Ok((Upstreams::start()?, Files::serve(files)?))
        })?;
        let text = file("gateway.yaml")?;
        // The machine's own class says which Envoy is run.
        let (_, rest) = text.split_once("\n---\n").ok_or("gateway.yaml begins with its class")?;
        let text = rest
            .replace("port: 18081", &format!("port: {}", upstreams.stable.port()))
            .replace("port: 18082", &format!("port: {}", upstreams.beta.port()));
        gateway.put("gateway.yaml", &text)?;
        let site = Self { gateway, modules: modules.address(), _upstreams: upstreams, registry };
        site.until("both routes answer", || {
            for host in [SHOP, OPEN] {
                let seen = site.get(host, "/orders", &[])?.status;
                if seen != 200 {
                    return Err(format!("{host}: seen {seen}").into());
                }
            }
            Ok(())
        })?;
        Ok(site)
    }

    /// A manifest of `envoy-config/envoy-gateway`, but for where modules are, and their digests.
    pub(super) fn manifest(&self, configuration: &str, form: &str) -> Result<String, Failed> {
        let module = tools::module(probes::filter(configuration))?;
        let folder = module.parent().unwrap_or(&module).display().to_string();
        let digest = match form {
            "-image" => self.push(configuration, Layout::Compat)?,
            _ => Sha256::digest(std::fs::read(&module)?).iter().map(|byte| format!("{byte:02x}")).collect(),
        };
        let text = file(&format!("{configuration}{form}.yaml"))?;
        Ok(text
            .replace(&"0".repeat(64), &digest)
            .replace("https://modules.example.com", &format!("http://{}", self.modules))
            .replace("registry.example.com", "localhost:5000")
            .replace("/var/lib/tidegate", &folder))
    }

    /// Puts a configuration's module into the registry.
    pub(super) fn push(&self, configuration: &str, layout: Layout) -> Result<String, Failed> {
        let filter = probes::filter(configuration);
        let module = tools::module(filter)?;
        let image = Image::of(&std::fs::read(&module)?, layout, &[])?;
        let pushed = || self.registry.push(&format!("tidegate/{filter}"), "0.1.0", &image);
        self.gateway.namespace().inside(pushed)?;
        Ok(image.digest().trim_start_matches("sha256:").to_owned())
    }

    /// Sends a GET to one of the gateway's hosts, on a connection of its own.
    pub(super) fn get(&self, host: &str, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
        let request = Request { host: host.to_owned(), ..Request::get(path, headers) };
        let reply = self.gateway.namespace().inside(|| Connection::open(GATEWAY)?.send(&request))?;
        Ok(reply.into())
    }

    /// Waits until a configuration decides about what is sent to a host.
    pub(super) fn decides(&self, configuration: &str, host: &str) -> Result<(), Failed> {
        self.until(&format!("{configuration} decides about {host}"), || {
            probes::decides(configuration, &|path, headers| self.get(host, path, headers))
        })
    }

    /// Waits until a host's `/orders` gets this status.
    pub(super) fn becomes(&self, host: &str, status: u16) -> Result<(), Failed> {
        self.until(&format!("{host} answers {status}"), || self.expect(host, status))
    }

    /// Compares the status of a host's `/orders`.
    pub(super) fn expect(&self, host: &str, status: u16) -> Result<(), Failed> {
        match self.get(host, "/orders", &[])?.status {
            seen if seen == status => Ok(()),
            seen => Err(format!("{host}: expected {status}, seen {seen}").into()),
        }
    }

    /// Waits until it is so.
    pub(super) fn until(&self, what: &str, so: impl Fn() -> Result<(), Failed>) -> Result<(), Failed> {
        let deadline = Instant::now() + LIMIT;
        loop {
            let Err(error) = so() else { return Ok(()) };
            if Instant::now() > deadline {
                let why = error.message().unwrap_or("no reason").to_owned();
                let log = self.gateway.log();
                let last: Vec<&str> = log.lines().rev().take(80).collect();
                let last: Vec<&str> = last.into_iter().rev().collect();
                return Err(format!("not in a minute: {what}: {why}\n{}", last.join("\n")).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a text stands in the log of the server or its Envoy.
    pub(super) fn says(&self, text: &str) -> Result<(), Failed> {
        self.until(&format!("{text:?} in the log"), || match self.gateway.log().contains(text) {
            true => Ok(()),
            false => Err("it is not".into()),
        })
    }
}

/// The host of the route that the policies are for.
pub(super) const SHOP: &str = "shop.example.com";
/// That of the route which none names.
pub(super) const OPEN: &str = "open.example.com";

/// As in `gateway.yaml`, and which Envoy is run where there is no cluster.
const CLASS: &str = r"
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec:
  controllerName: gateway.envoyproxy.io/gatewayclass-controller
  parametersRef: {group: gateway.envoyproxy.io, kind: EnvoyProxy, name: host, namespace: envoy-gateway-system}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg, namespace: default}
spec:
  gatewayClassName: eg
  listeners:
    - {name: http, protocol: HTTP, port: 8080}
";

fn file(name: &str) -> Result<String, Failed> {
    let file = tools::repo_root().join("envoy-config/envoy-gateway").join(name);
    std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()).into())
}
