//! A real Consul agent, and the sidecars that it configures.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::program;
use crate::client;
use crate::envoy::Envoy;
use crate::process::{Program, free_port};

/// The mesh's trust domain is `<this>.consul`. Consul chooses one at random unless it is told.
pub const CLUSTER_ID: &str = "11111111-2222-3333-4444-555555555555";

/// The identity that Connect gives a service.
#[must_use]
pub fn spiffe_id(service: &str) -> String {
    format!("spiffe://{CLUSTER_ID}.consul/ns/default/dc/dc1/svc/{service}")
}

/// Where an agent keeps what it knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// `-dev`: gone with the process.
    Memory,
    /// A server of one: there again when it is started again.
    Disk,
}

/// A running agent, which is its own server.
#[derive(Debug)]
pub struct Consul {
    program: Program,
    storage: Storage,
    ports: Ports,
    // Outlives the program: see `restart`.
    folder: TempDir,
}

#[derive(Debug, Clone, Copy)]
struct Ports {
    http: u16,
    grpc: u16,
    server: u16,
    serf: u16,
}

/// A service with a sidecar.
#[derive(Debug, Clone)]
pub struct Service<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where it listens itself, on loopback.
    pub port: u16,
    /// Where its sidecar takes connections of other sidecars.
    pub sidecar_port: u16,
    /// The services that it calls, and the loopback port where its sidecar offers each.
    pub upstreams: Vec<(&'a str, u16)>,
}

impl Consul {
    /// Starts it, and waits until it has a leader and signs certificates.
    pub fn start(storage: Storage) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let ports = Ports { http: free_port()?, grpc: free_port()?, server: free_port()?, serf: free_port()? };
        let program = run(storage, ports, folder.path())?;
        Ok(Self { program, storage, ports, folder })
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again where the sidecars look for it.
    pub fn restart(&mut self) -> Result<()> {
        self.program.kill();
        self.program = run(self.storage, self.ports, self.folder.path())?;
        Ok(())
    }

    /// The program with the environment that a user of this agent has.
    pub fn command(&self) -> Result<Command> {
        let mut command = Command::new(program("consul")?);
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        Ok(command)
    }

    /// What a shell needs for `consul` to find this agent.
    #[must_use]
    pub fn environment(&self) -> [(&'static str, String); 2] {
        [
            ("CONSUL_HTTP_ADDR", format!("127.0.0.1:{}", self.ports.http)),
            ("CONSUL_GRPC_ADDR", format!("127.0.0.1:{}", self.ports.grpc)),
        ]
    }

    /// `consul ARGUMENTS`: what it prints; the error is what it says.
    pub fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command()?.args(arguments).output().context("starting consul")?;
        if !output.status.success() {
            bail!("consul {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// `consul config write`.
    pub fn write(&self, entry: &str) -> Result<()> {
        let file = self.folder.path().join("entry.hcl");
        std::fs::write(&file, entry)?;
        self.run(&["config", "write", &file.display().to_string()]).map(drop)
    }

    /// `consul services register`.
    pub fn register(&self, service: &Service<'_>) -> Result<()> {
        let file = self.folder.path().join(format!("{}.json", service.name));
        std::fs::write(&file, definition(service).to_string())?;
        self.run(&["services", "register", &file.display().to_string()]).map(drop)
    }

    /// The bootstrap of a service's sidecar, with an admin interface on a port of the kernel's choice.
    pub fn bootstrap(&self, service: &str) -> Result<Value> {
        let text = self.run(&[
            "connect",
            "envoy",
            "-sidecar-for",
            service,
            "-bootstrap",
            "-ignore-envoy-compatibility",
        ])?;
        let mut bootstrap: Value = serde_json::from_str(&text).context("consul printed no bootstrap")?;
        bootstrap["admin"]["address"]["socket_address"] = json!({"address": "127.0.0.1", "port_value": 0});
        Ok(bootstrap)
    }

    /// Starts a service's sidecar.
    pub fn sidecar(&self, service: &str) -> Result<Envoy> {
        Envoy::start(&self.bootstrap(service)?, 2)
    }

    /// What the agent has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }
}

fn run(storage: Storage, ports: Ports, folder: &Path) -> Result<Program> {
    let file = folder.join("agent.hcl");
    std::fs::write(&file, agent(ports))?;
    let mut program = Program::start(|_| {
        let mut command = Command::new(program("consul")?);
        command.arg("agent");
        match storage {
            Storage::Memory => command.arg("-dev"),
            Storage::Disk => command.args(["-server", "-bootstrap-expect=1", "-data-dir"]).arg(folder.join("data")),
        };
        command.arg("-config-file").arg(&file).current_dir(folder);
        Ok(command)
    })?;
    let http = SocketAddr::from(([127, 0, 0, 1], ports.http));
    program.wait_until(Duration::from_secs(60), |_| has_authority(http))?;
    Ok(program)
}

/// The server has elected itself, and its certificate authority has a root.
fn has_authority(http: SocketAddr) -> bool {
    let roots = client::get(http, "/v1/connect/ca/roots").ok().filter(|reply| reply.status == 200);
    let roots: Option<Value> = roots.and_then(|reply| serde_json::from_slice(&reply.body).ok());
    roots.is_some_and(|roots| roots["TrustDomain"].as_str().is_some_and(|domain| domain.contains(CLUSTER_ID)))
}

fn agent(ports: Ports) -> String {
    let Ports { http, grpc, server, serf } = ports;
    format!(
        r#"
        bind_addr = "127.0.0.1"
        client_addr = "127.0.0.1"
        advertise_addr = "127.0.0.1"
        disable_update_check = true
        log_level = "warn"
        ports {{
            http = {http}
            grpc = {grpc}
            server = {server}
            serf_lan = {serf}
            serf_wan = -1
            grpc_tls = -1
            https = -1
            dns = -1
        }}
        connect {{
            enabled = true
            ca_config {{ cluster_id = "{CLUSTER_ID}" }}
        }}
        "#
    )
}

fn definition(service: &Service<'_>) -> Value {
    let upstream = |(name, port): &(&str, u16)| json!({"destination_name": name, "local_bind_port": port});
    json!({"service": {
        "name": service.name,
        "port": service.port,
        "connect": {"sidecar_service": {
            "port": service.sidecar_port,
            // Without checks of its own it gets one that finds it healthy after up to ten seconds.
            "checks": [{"name": "the service", "alias_service": service.name}],
            // Sidecars would listen on all addresses.
            "proxy": {"config": {"bind_address": "127.0.0.1"}, "upstreams": service.upstreams.iter().map(upstream).collect::<Vec<_>>()},
        }},
    }})
}
