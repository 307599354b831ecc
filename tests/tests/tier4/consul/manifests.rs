//! The manifests of `envoy-config/consul`, as they stand there but for where modules are.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use e2e::client::Connection;
use e2e::companions::consul::{Agents, Consul, Service};
use e2e::envoy::Envoy;
use e2e::files::Files;
use e2e::process::free_port;
use e2e::tools;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use sha2::{Digest as _, Sha256};
use tidegate_testkit::scenario::{Request, Response};

use super::entries;
use super::needed;
use crate::probes::{self, CONFIGURATIONS};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        needed("manifests::each_decides_about_what_comes_in_and_what_goes_out", local),
        needed("manifests::each_decides_for_every_service", for_all),
        needed("manifests::each_decides_with_code_from_a_service", remote),
        needed("manifests::code_with_another_digest_is_not_run", other_digest),
        needed("manifests::an_upstream_without_http_stops_a_filter_on_the_way_out", tcp_upstream),
        needed("manifests::routes_of_a_service_router_are_chosen_on_the_way_out", routed),
    ]
}

/// `client` calls `web`, which calls `backend`; `modules` has the modules.
pub(super) struct Site {
    web: Envoy,
    others: Vec<Envoy>,
    inbound: SocketAddr,
    outbound: SocketAddr,
    pub(super) consul: Consul,
    _upstreams: Upstreams,
}

/// What auth's example reads its secret from.
const SECRET: (&str, &str) = ("HOOK_SECRET", "0123456789abcdef");

impl Site {
    /// Starts all of it, each service speaking HTTP and nothing in its way.
    pub(super) fn start() -> Result<Self, Failed> {
        let (consul, upstreams) = (Consul::start(Agents::Dev)?, Upstreams::start()?);
        let modules = Files::serve(modules()?)?;
        for name in ["web", "backend", "modules"] {
            consul.write(&entries::service(name, "http", &[]))?;
        }
        let ports = [free_port()?, free_port()?];
        let [inbound, outbound] = ports;
        let services = [
            ("modules", modules.address().port(), vec![]),
            ("backend", upstreams.beta.port(), vec![]),
            ("client", free_port()?, vec![("web", inbound)]),
            ("web", upstreams.stable.port(), vec![("backend", outbound), ("modules", free_port()?)]),
        ];
        for (name, port, upstreams) in services {
            consul.register(&Service { name, port, sidecar_port: free_port()?, upstreams })?;
        }
        let others = ["modules", "backend", "client"].map(|name| consul.sidecar(name, &[]));
        let others = others.into_iter().collect::<Result<Vec<_>, _>>()?;
        let web = consul.sidecar("web", &[SECRET])?;
        let [inbound, outbound] = ports.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        let site = Self { web, others, inbound, outbound, consul, _upstreams: upstreams };
        for address in [inbound, outbound] {
            site.until_ok("the services answer", || match get(address, "/", &[])?.status {
                200 => Ok(()),
                other => Err(format!("seen {other}").into()),
            })?;
        }
        Ok(site)
    }

    /// `consul config write` of a manifest whose modules are elsewhere.
    fn write(&self, configuration: &str, form: &str) -> Result<(), Failed> {
        let text = manifest(configuration, form)?;
        let module = tools::module(probes::filter(configuration))?;
        let text = text.replace(&"0".repeat(64), &digest(&std::fs::read(&module)?));
        Ok(self.consul.write(&text.replace("/var/lib/tidegate", &folder(&module)))?)
    }

    /// Nothing in the way of `web` again.
    fn reset(&self) -> Result<(), Failed> {
        self.consul.write(&entries::service("web", "http", &[]))?;
        self.until_ok("no filter is left", || {
            match self.web.admin_get("/config_dump?resource=dynamic_listeners")?.contains("tidegate_") {
                true => Err("there is one".into()),
                false => Ok(()),
            }
        })
    }

    /// Waits until it decides about requests that are sent there.
    fn decides(&self, configuration: &str, form: &str, address: SocketAddr) -> Result<(), Failed> {
        self.until_ok(&format!("{configuration}{form}.hcl decides"), || {
            probes::decides(configuration, &|path, headers| get(address, path, headers))
        })
    }

    fn until_ok(&self, what: &str, ok: impl Fn() -> Result<(), Failed>) -> Result<(), Failed> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let Err(error) = ok() else { return Ok(()) };
            if Instant::now() > deadline {
                let why = error.message().unwrap_or("no reason").to_owned();
                let logs: Vec<String> = self.others.iter().map(Envoy::log).collect();
                let others = logs.join("\n");
                return Err(format!("not in a minute: {what}: {why}\n{}\n{others}", self.web.log()).into());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn get(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
    Ok(Connection::open(address)?.send(&Request::get(path, headers))?.into())
}

/// A file of `envoy-config/consul`.
fn manifest(configuration: &str, form: &str) -> Result<String, Failed> {
    let file = tools::repo_root().join(format!("envoy-config/consul/{configuration}{form}.hcl"));
    std::fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()).into())
}

fn modules() -> Result<BTreeMap<String, Vec<u8>>, Failed> {
    let mut modules = BTreeMap::new();
    for configuration in CONFIGURATIONS {
        let module = tools::module(probes::filter(configuration))?;
        let name = module.file_name().ok_or("a module has a name")?.to_string_lossy().into_owned();
        modules.insert(name, std::fs::read(module)?);
    }
    Ok(modules)
}

fn folder(module: &Path) -> String {
    module.parent().unwrap_or(module).display().to_string()
}

fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn local() -> Result<(), Failed> {
    let site = Site::start()?;
    for configuration in CONFIGURATIONS {
        for (form, address) in [("", site.inbound), ("-outbound", site.outbound)] {
            site.reset()?;
            site.write(configuration, form)?;
            site.decides(configuration, form, address)?;
        }
    }
    Ok(())
}

fn for_all() -> Result<(), Failed> {
    let site = Site::start()?;
    for configuration in CONFIGURATIONS {
        site.write(configuration, "-proxy-defaults")?;
        site.decides(configuration, "-proxy-defaults", site.inbound)?;
    }
    Ok(())
}

fn remote() -> Result<(), Failed> {
    let site = Site::start()?;
    for configuration in CONFIGURATIONS {
        site.reset()?;
        site.write(configuration, "-remote")?;
        site.decides(configuration, "-remote", site.inbound)?;
    }
    Ok(())
}

/// Zeros, as the manifest has them: nothing has that digest. The old configuration serves while Envoy tries again, for
/// most of a minute; then, as auth is required, nobody gets through.
fn other_digest() -> Result<(), Failed> {
    let site = Site::start()?;
    site.consul.write(&manifest("auth", "-remote")?)?;
    let given_up = || match site.web.log().contains("Retry limit exceeded for fetching data") {
        true => Ok(()),
        false => Err("it still tries".into()),
    };
    site.until_ok("Envoy gives up", given_up).or_else(|_| site.until_ok("Envoy gives up", given_up))?;
    site.until_ok("requests are refused", || match get(site.inbound, "/healthz", &[])?.status {
        503 => Ok(()),
        other => Err(format!("seen {other}").into()),
    })
}

/// A filter on the way out has no place in the listener of an upstream that speaks TCP: the sidecar gets no more updates
/// at all, and says why; what it had serves.
fn tcp_upstream() -> Result<(), Failed> {
    let site = Site::start()?;
    site.consul.write(&entries::service("modules", "tcp", &[]))?;
    site.write("auth", "-outbound")?;
    site.until_ok("the sidecar is told why", || {
        match site.web.log().contains("failed to get HTTP connection manager") {
            true => Ok(()),
            false => Err("it is not".into()),
        }
    })?;
    for address in [site.inbound, site.outbound] {
        let seen = get(address, "/orders", &[])?.status;
        if seen != 200 {
            return Err(format!("seen {seen}").into());
        }
    }
    site.consul.write(&entries::service("modules", "http", &[]))?;
    site.decides("auth", "-outbound", site.outbound)
}

/// The route that header-routing chooses in the caller's sidecar is one of Consul's: a service-router matches on it.
fn routed() -> Result<(), Failed> {
    let site = Site::start()?;
    site.write("header-routing", "-outbound")?;
    let router = r#"
        Kind = "service-router"
        Name = "backend"
        Routes = [{
          Match { HTTP { Header = [{ Name = "x-tidegate-route", Exact = "beta" }] } }
          Destination { Service = "web" }
        }]"#;
    site.consul.write(router)?;
    site.until_ok("beta testers come elsewhere", || {
        let reached = |headers: &[(&str, &str)]| Ok::<_, Failed>(get(site.outbound, "/", headers)?.reached);
        let seen = [reached(&[("x-beta", "1")])?, reached(&[])?, reached(&[("x-tidegate-route", "beta")])?];
        let expected = ["stable", "beta", "beta"].map(|name| Some(name.to_owned()));
        if seen == expected { Ok(()) } else { Err(format!("seen {seen:?}").into()) }
    })
}
