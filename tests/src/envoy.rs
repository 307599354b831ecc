//! A real Envoy that lives as long as its value.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::client;
use crate::process::Program;
use crate::tools;

/// How long Envoy may take to start: compiling modules on a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running Envoy. Dropping it kills it; so does the end of this process, whatever ends it.
#[derive(Debug)]
pub struct Envoy {
    program: Program,
    admin: SocketAddr,
    listeners: Vec<(String, SocketAddr)>,
}

impl Envoy {
    /// Starts Envoy with a bootstrap and waits until it is ready. The error of a refused start holds the log.
    ///
    /// Whatever ports the bootstrap names, give it 0 for the admin's and the listeners': the kernel's choice is read
    /// back.
    pub fn start(bootstrap: &Value, concurrency: u32) -> Result<Self> {
        Self::start_logging(bootstrap, concurrency, "wasm:info")
    }

    /// The same with everything in the log that filters have to say.
    pub fn start_verbose(bootstrap: &Value, concurrency: u32) -> Result<Self> {
        Self::start_logging(bootstrap, concurrency, "wasm:trace")
    }

    /// The same for an Envoy that is told its listeners by a control plane, now or later or not at all, with variables of the
    /// environment beside its own. Listeners are not waited for.
    pub fn start_controlled(
        bootstrap: &Value,
        concurrency: u32,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        Self::start_unlistened(bootstrap, concurrency, "wasm:info", environment)
    }

    /// The same with these variables in its environment.
    pub fn start_knowing(bootstrap: &Value, concurrency: u32, environment: &[(&str, &str)]) -> Result<Self> {
        let mut envoy = Self::start_controlled(bootstrap, concurrency, environment)?;
        envoy.listeners = envoy.read_listeners()?;
        Ok(envoy)
    }

    fn start_logging(bootstrap: &Value, concurrency: u32, levels: &str) -> Result<Self> {
        let mut envoy = Self::start_unlistened(bootstrap, concurrency, levels, &[])?;
        envoy.listeners = envoy.read_listeners()?;
        Ok(envoy)
    }

    fn start_unlistened(
        bootstrap: &Value,
        concurrency: u32,
        levels: &str,
        environment: &[(&str, &str)],
    ) -> Result<Self> {
        let program = Program::start(|folder| {
            let mut command = command(bootstrap, concurrency, levels, folder)?;
            command.envs(environment.iter().copied());
            Ok(command)
        })?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self { program, admin: unknown, listeners: Vec::new() };
        let mut admin = None;
        envoy.program.wait_until(START_LIMIT, |folder| {
            admin = ready(folder);
            admin.is_some()
        })?;
        envoy.admin = admin.context("Envoy is ready, but has no admin interface")?;
        Ok(envoy)
    }

    fn read_listeners(&self) -> Result<Vec<(String, SocketAddr)>> {
        let listing: Value = serde_json::from_str(&self.admin_get("/listeners?format=json")?)?;
        let statuses = listing["listener_statuses"]
            .as_array()
            .context("it has no listener, so nobody could send it a request")?;
        let address = |status: &Value| {
            let socket = &status["local_address"]["socket_address"];
            let port = u16::try_from(socket["port_value"].as_u64()?).ok()?;
            Some((
                status["name"].as_str()?.to_owned(),
                SocketAddr::new(socket["address"].as_str()?.parse().ok()?, port),
            ))
        };
        let listeners: Vec<_> = statuses.iter().filter_map(address).collect();
        if listeners.is_empty() {
            bail!("it listens on no TCP address, so nobody could send it a request");
        }
        Ok(listeners)
    }

    /// Where the only, or the first, listener listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listeners[0].1
    }

    /// Where the first listener whose name begins with `prefix` listens.
    pub fn listener(&self, prefix: &str) -> Result<SocketAddr> {
        let found = self.listeners.iter().find(|(name, _)| name.starts_with(prefix));
        found.map(|(_, address)| *address).with_context(|| format!("it has no listener {prefix}"))
    }

    /// Where the admin interface listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.program.pid()
    }

    /// The memory that the process holds, as the kernel counts it: V8's is not in Envoy's own count.
    pub fn resident_kib(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        Ok(line.context("no VmRSS")?.trim().trim_end_matches(" kB").parse()?)
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        self.program.is_alive()
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Asks the admin interface.
    pub fn admin_get(&self, path: &str) -> Result<String> {
        let reply = client::get(self.admin, path)?;
        if reply.status != 200 {
            bail!("admin {path}: {}: {}", reply.status, String::from_utf8_lossy(&reply.body));
        }
        Ok(String::from_utf8_lossy(&reply.body).into_owned())
    }

    /// All counters and gauges.
    pub fn stats(&self) -> Result<Vec<(String, u64)>> {
        self.stats_at("/stats")
    }

    /// The counters and gauges whose names begin with `prefix`: for who asks often.
    pub fn stats_below(&self, prefix: &str) -> Result<Vec<(String, u64)>> {
        self.stats_at(&format!("/stats?filter=^{}", prefix.replace('.', "\\.")))
    }

    fn stats_at(&self, path: &str) -> Result<Vec<(String, u64)>> {
        let text = self.admin_get(path)?;
        let parsed = text.lines().filter_map(|line| {
            // A name may hold a colon; a histogram's value is no number.
            let (name, value) = line.rsplit_once(": ")?;
            Some((name.to_owned(), value.parse().ok()?))
        });
        Ok(parsed.collect())
    }

    /// The sum of the counters and gauges whose name contains `part`.
    pub fn stat(&self, part: &str) -> Result<u64> {
        Ok(self.stats()?.iter().filter(|(name, _)| name.contains(part)).map(|(_, value)| value).sum())
    }

    /// The counter or gauge of exactly this name; 0 if there is none.
    pub fn stat_named(&self, name: &str) -> Result<u64> {
        Ok(self.stats()?.iter().find(|(other, _)| other == name).map_or(0, |(_, value)| *value))
    }

    /// Everything logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Where it is logged; gone with the value.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.program.log_file()
    }
}

fn command(bootstrap: &Value, concurrency: u32, levels: &str, folder: &Path) -> Result<Command> {
    let config = folder.join("envoy.json");
    std::fs::write(&config, serde_json::to_vec_pretty(bootstrap)?)?;
    let mut command = Command::new(tools::envoy_binary()?);
    command
        .arg("--config-path")
        .arg(&config)
        .arg("--admin-address-path")
        .arg(folder.join("admin"))
        .args(["--concurrency", &concurrency.to_string(), "--disable-hot-restart"])
        .args(["--drain-time-s", "1", "--drain-strategy", "immediate", "--log-level", "warning"])
        .args(["--component-log-level", levels])
        .current_dir(tools::repo_root());
    Ok(command)
}

/// Where the admin interface listens, once it says that everything does.
fn ready(folder: &Path) -> Option<SocketAddr> {
    let admin = std::fs::read_to_string(folder.join("admin")).ok()?.trim().parse().ok()?;
    let reply = client::get(admin, "/ready").ok()?;
    (reply.status == 200 && reply.body.trim_ascii() == b"LIVE").then_some(admin)
}
