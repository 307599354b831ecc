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

/// What a mesh is run by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agents {
    /// `consul agent -dev`: server and agent in one, which forgets everything when it ends.
    Dev,
    /// A server, and an agent of the sidecars' node beside it, as in earnest. Both keep what they know.
    ServerAndAgent,
}

/// A running agent.
#[derive(Debug)]
pub struct Consul {
    server: Option<Node>,
    agent: Node,
    folder: TempDir,
}

/// One process.
#[derive(Debug)]
struct Node {
    program: Program,
    arguments: Vec<String>,
    http: SocketAddr,
    grpc: u16,
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
    /// Starts it, and waits until there is a leader and certificates are signed.
    pub fn start(agents: Agents) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let dev = || Node::start(folder.path(), "dev", vec!["-dev".to_owned()]);
        let beside = |server: &Node| {
            let join = format!("-retry-join=127.0.0.1:{}", server.serf);
            Node::start(folder.path(), "agent", vec![data(folder.path(), "agent"), join])
        };
        let server = || {
            let data = data(folder.path(), "server");
            Node::start(
                folder.path(),
                "server",
                vec!["-server".to_owned(), "-bootstrap-expect=1".to_owned(), data],
            )
        };
        let (server, agent) = match agents {
            Agents::Dev => (None, dev()?),
            Agents::ServerAndAgent => {
                let server = server()?;
                let agent = beside(&server)?;
                (Some(server), agent)
            }
        };
        Ok(Self { server, agent, folder })
    }

    /// Kills the sidecars' agent, as a crash would.
    pub fn kill(&mut self) {
        self.agent.program.kill();
    }

    /// Starts it again where the sidecars look for it.
    pub fn restart(&mut self) -> Result<()> {
        self.agent.restart()
    }

    /// Kills the server behind the agent.
    pub fn kill_server(&mut self) -> Result<()> {
        self.server.as_mut().context("with -dev there is no other server")?.program.kill();
        Ok(())
    }

    /// Starts it again.
    pub fn restart_server(&mut self) -> Result<()> {
        self.server.as_mut().context("with -dev there is no other server")?.restart()
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
            ("CONSUL_HTTP_ADDR", self.agent.http.to_string()),
            ("CONSUL_GRPC_ADDR", format!("127.0.0.1:{}", self.agent.grpc)),
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

    /// Starts a service's sidecar, with these variables in its environment.
    pub fn sidecar(&self, service: &str, environment: &[(&str, &str)]) -> Result<Envoy> {
        Envoy::start_knowing(&self.bootstrap(service)?, 2, environment)
    }

    /// What the agent has logged.
    #[must_use]
    pub fn log(&self) -> String {
        self.agent.program.log()
    }
}

impl Node {
    fn start(folder: &Path, name: &str, mut arguments: Vec<String>) -> Result<Self> {
        let [http, grpc, server, serf] = [free_port()?, free_port()?, free_port()?, free_port()?];
        let file = folder.join(format!("{name}.hcl"));
        std::fs::write(&file, configuration(http, grpc, server, serf))?;
        arguments.extend([format!("-node={name}"), format!("-config-file={}", file.display())]);
        let http = SocketAddr::from(([127, 0, 0, 1], http));
        Ok(Self { program: run(&arguments, http)?, arguments, http, grpc, serf })
    }

    fn restart(&mut self) -> Result<()> {
        self.program.kill();
        self.program = run(&self.arguments, self.http)?;
        Ok(())
    }
}

fn run(arguments: &[String], http: SocketAddr) -> Result<Program> {
    let mut program = Program::start(|folder| {
        let mut command = Command::new(program("consul")?);
        command.arg("agent").args(arguments).current_dir(folder);
        Ok(command)
    })?;
    program.wait_until(Duration::from_secs(90), |_| has_authority(http))?;
    Ok(program)
}

fn data(folder: &Path, name: &str) -> String {
    format!("-data-dir={}", folder.join(name).display())
}

/// It knows a server that has elected itself, and whose certificate authority has a root.
fn has_authority(http: SocketAddr) -> bool {
    let roots = client::get(http, "/v1/connect/ca/roots").ok().filter(|reply| reply.status == 200);
    let roots: Option<Value> = roots.and_then(|reply| serde_json::from_slice(&reply.body).ok());
    roots.is_some_and(|roots| roots["TrustDomain"].as_str().is_some_and(|domain| domain.contains(CLUSTER_ID)))
}

fn configuration(http: u16, grpc: u16, server: u16, serf: u16) -> String {
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
