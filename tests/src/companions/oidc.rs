//! An OpenID provider: npm's `oidc-provider`.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::program;
use crate::client::{self, Connection};
use crate::process::{Program, accepts, free_port};

/// A running provider.
#[derive(Debug)]
pub struct OpenIdProvider {
    program: Program,
    port: u16,
}

impl OpenIdProvider {
    /// Starts it.
    pub fn start() -> Result<Self> {
        Self::start_on(free_port()?)
    }

    /// Starts it where an earlier one was, with keys of its own.
    pub fn start_on(port: u16) -> Result<Self> {
        let program = Program::start(|_| {
            let mut command = Command::new(program("oidc-provider")?);
            command.arg(port.to_string());
            Ok(command)
        })?;
        let mut provider = Self { program, port };
        let place = provider.address();
        provider.program.wait_until(Duration::from_secs(30), |_| {
            accepts(port) && client::get(place, "/jwks").is_ok_and(|reply| reply.status == 200)
        })?;
        Ok(provider)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// What it calls itself in tokens.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A fresh access token for the client `webshop` and the audience `shop`.
    pub fn token(&self) -> Result<String> {
        let body = "grant_type=client_credentials&scope=read";
        // webshop:a-secret-of-the-tests-own
        let credentials = "d2Vic2hvcDphLXNlY3JldC1vZi10aGUtdGVzdHMtb3du";
        let head = format!(
            "POST /token HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nauthorization: Basic {credentials}\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        );
        let reply = Connection::open(self.address())?.exchange(head.as_bytes())?;
        let answer: serde_json::Value =
            serde_json::from_slice(&reply.body).context("the provider's answer")?;
        match answer["access_token"].as_str() {
            Some(token) => Ok(token.to_owned()),
            None => bail!("no token: {answer}"),
        }
    }

    /// Gives it a new signing key, and no other.
    pub fn rotate(&self) -> Result<()> {
        let head = "POST /rotate HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n\r\n";
        let reply = Connection::open(self.address())?.exchange(head.as_bytes())?;
        if reply.status == 200 { Ok(()) } else { bail!("not rotated: {}", reply.status) }
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.program.kill();
    }
}
