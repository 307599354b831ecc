//! The Open Policy Agent with its plugin for `envoy.service.auth.v3`.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::program;
use crate::process::{Program, accepts, free_port};

/// A running agent.
#[derive(Debug)]
pub struct Opa {
    program: Program,
    port: u16,
}

impl Opa {
    /// Starts it with a policy whose decision is `envoy/authz/allow`.
    pub fn start(policy: &str) -> Result<Self> {
        Self::start_on(policy, free_port()?)
    }

    /// Starts it where an earlier one was: what calls it need not be told.
    pub fn start_on(policy: &str, port: u16) -> Result<Self> {
        let (api, diagnostics) = (free_port()?, free_port()?);
        let program = Program::start(|folder| {
            let file = folder.join("policy.rego");
            std::fs::write(&file, policy).context("writing the policy")?;
            let mut command = Command::new(program("opa")?);
            command.args(["run", "--server", "--disable-telemetry", "--log-level", "error"]);
            command.args(["--addr", &format!("127.0.0.1:{api}")]);
            command.args(["--diagnostic-addr", &format!("127.0.0.1:{diagnostics}")]);
            command.args(["--set", &format!("plugins.envoy_ext_authz_grpc.addr=127.0.0.1:{port}")]);
            command.args(["--set", "plugins.envoy_ext_authz_grpc.path=envoy/authz/allow"]);
            command.arg(file);
            Ok(command)
        })?;
        let mut opa = Self { program, port };
        opa.program.wait_until(Duration::from_secs(30), |_| accepts(port))?;
        Ok(opa)
    }

    /// Where it answers gRPC.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.program.kill();
    }
}
