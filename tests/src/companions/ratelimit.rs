//! The rate limit service that Envoy's project keeps as its reference.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::program;
use super::redis::Redis;
use crate::client;
use crate::process::{Program, accepts, free_port};

/// A running service. It needs a Redis to start.
#[derive(Debug)]
pub struct RateLimitService {
    program: Program,
    port: u16,
    health: u16,
}

impl RateLimitService {
    /// Starts it with rules in its own YAML.
    pub fn start(redis: &Redis, rules: &str) -> Result<Self> {
        // The ports were free a moment ago. Somebody may be faster; then others will do.
        let mut tried = Self::start_on(redis, rules, free_port()?);
        for _ in 0..2 {
            if tried.is_ok() {
                break;
            }
            tried = Self::start_on(redis, rules, free_port()?);
        }
        tried
    }

    /// Starts it where an earlier one was: what calls it need not be told.
    pub fn start_on(redis: &Redis, rules: &str, port: u16) -> Result<Self> {
        let (health, debug) = (free_port()?, free_port()?);
        let program = Program::start(|folder| {
            let config = folder.join("ratelimit/config");
            std::fs::create_dir_all(&config)?;
            std::fs::write(config.join("rules.yaml"), rules).context("writing the service's rules")?;
            let mut command = Command::new(program("ratelimit")?);
            command.env("RUNTIME_ROOT", folder).env("RUNTIME_SUBDIRECTORY", "ratelimit");
            command.env("RUNTIME_WATCH_ROOT", "false").env("USE_STATSD", "false");
            command.env("REDIS_SOCKET_TYPE", "unix").env("REDIS_URL", redis.socket());
            for (name, port) in [("", health), ("GRPC_", port), ("DEBUG_", debug)] {
                command.env(format!("{name}HOST"), "127.0.0.1").env(format!("{name}PORT"), port.to_string());
            }
            command.env("LIMIT_RESPONSE_HEADERS_ENABLED", "true");
            Ok(command)
        })?;
        let mut service = Self { program, port, health };
        let place = service.health_address();
        service.program.wait_until(Duration::from_secs(30), |_| {
            accepts(port) && client::get(place, "/healthcheck").is_ok_and(|reply| reply.status == 200)
        })?;
        Ok(service)
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

    /// What it wrote.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    fn health_address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.health))
    }
}
