//! Services that call each other through their sidecars.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use e2e::client::Connection;
use e2e::companions::consul::{Agents, Consul, Service};
use e2e::envoy::Envoy;
use e2e::process::free_port;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use tidegate_testkit::scenario::{Request, Response};

/// How long anything may take to become true on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// `web`, and `client` and `stranger`, which both call it.
pub(super) struct Mesh {
    // In the order in which they end: an Envoy without its agent only complains.
    pub(super) web: Envoy,
    pub(super) client: Envoy,
    services: Vec<Service<'static>>,
    pub(super) consul: Consul,
    _stranger: Envoy,
    _upstreams: Upstreams,
}

/// Who sends a request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Caller {
    Client,
    Stranger,
}

impl Mesh {
    /// Starts an agent with these configuration entries, then the sidecars; returns when `client` reaches `web`'s.
    pub(super) fn start(agents: Agents, entries: &[&str]) -> Result<Self, Failed> {
        let consul = Consul::start(agents)?;
        for entry in entries {
            consul.write(entry)?;
        }
        let upstreams = Upstreams::start()?;
        let service = |name, port, upstreams| -> Result<_, Failed> {
            Ok(Service { name, port, sidecar_port: free_port()?, upstreams })
        };
        let services = vec![
            service("web", upstreams.stable.port(), vec![])?,
            service("client", free_port()?, vec![("web", free_port()?)])?,
            service("stranger", free_port()?, vec![("web", free_port()?)])?,
        ];
        for service in &services {
            consul.register(service)?;
        }
        let [web, client, stranger] = ["web", "client", "stranger"].map(|name| consul.sidecar(name, &[]));
        let mesh = Self {
            web: web?,
            client: client?,
            services,
            consul,
            _stranger: stranger?,
            _upstreams: upstreams,
        };
        mesh.until("a sidecar answers for web", || {
            let answered =
                |caller| mesh.get(caller, "/healthz", &[]).is_ok_and(|answer| answer.status != 503);
            Ok(answered(Caller::Client) && answered(Caller::Stranger))
        })?;
        Ok(mesh)
    }

    /// Registers the services again, with an agent that has forgotten them.
    pub(super) fn register(&self) -> Result<(), Failed> {
        Ok(self.services.iter().try_for_each(|service| self.consul.register(service))?)
    }

    /// `consul config write`, while the agent may not yet have found its server again.
    pub(super) fn write_patiently(&self, entry: &str) -> Result<(), Failed> {
        self.until("the agent has a server", || Ok(self.consul.write(entry).is_ok()))
    }

    /// Where a caller reaches `web`.
    pub(super) fn address(&self, caller: Caller) -> SocketAddr {
        let name = match caller {
            Caller::Client => "client",
            Caller::Stranger => "stranger",
        };
        let service = self.services.iter().find(|service| service.name == name);
        let port = service.and_then(|service| service.upstreams.first()).map_or(0, |(_, port)| *port);
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    /// Sends a request from a caller to `web`, on a connection of its own.
    pub(super) fn get(
        &self,
        caller: Caller,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Response, Failed> {
        Ok(Connection::open(self.address(caller))?.send(&Request::get(path, headers))?.into())
    }

    /// Sends one and compares the status.
    pub(super) fn expect(
        &self,
        caller: Caller,
        path: &str,
        headers: &[(&str, &str)],
        status: u16,
    ) -> Result<Response, Failed> {
        let response = self.get(caller, path, headers)?;
        if response.status != status {
            let what = format!("{caller:?} {path} {headers:?}: expected {status}, seen {}", response.status);
            return Err(format!("{what} {:?}\n{}", response.headers, self.logs()).into());
        }
        Ok(response)
    }

    /// Waits until a request gets this status.
    pub(super) fn becomes(
        &self,
        caller: Caller,
        path: &str,
        headers: &[(&str, &str)],
        status: u16,
    ) -> Result<(), Failed> {
        self.until(&format!("{caller:?} {path} {headers:?} gets {status}"), || {
            Ok(self.get(caller, path, headers).is_ok_and(|answer| answer.status == status))
        })
    }

    /// Waits until it is so.
    pub(super) fn until(&self, what: &str, so: impl Fn() -> Result<bool, Failed>) -> Result<(), Failed> {
        let deadline = Instant::now() + LIMIT;
        while !so()? {
            if Instant::now() > deadline {
                return Err(format!("not within {} s: {what}\n{}", LIMIT.as_secs(), self.logs()).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn logs(&self) -> String {
        format!(
            "web's sidecar:\n{}\nclient's:\n{}\nthe agent:\n{}",
            self.web.log(),
            self.client.log(),
            self.consul.log()
        )
    }
}
