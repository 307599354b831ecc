//! A real Envoy that lives as long as its value.

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use tempfile::TempDir;

use crate::client;
use crate::tools;

/// How long Envoy may take to start: compiling modules on a busy machine takes seconds.
const START_LIMIT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(10);

/// A running Envoy. Dropping it kills it; so does the end of this process, whatever ends it.
#[derive(Debug)]
pub struct Envoy {
    child: Child,
    folder: TempDir,
    admin: SocketAddr,
    listeners: Vec<(String, SocketAddr)>,
}

impl Envoy {
    /// Starts Envoy with a bootstrap and waits until it is ready. The error of a refused start holds the log.
    ///
    /// Whatever ports the bootstrap names, give it 0 for the admin's and the listeners': the kernel's choice is read
    /// back.
    pub fn start(bootstrap: &Value, concurrency: u32) -> Result<Self> {
        let binary = tools::envoy_binary()?;
        let folder = tempfile::tempdir().context("making a folder for Envoy")?;
        let config = folder.path().join("envoy.json");
        std::fs::write(&config, serde_json::to_vec_pretty(bootstrap)?)?;
        let log = File::create(folder.path().join("log"))?;
        let mut command = Command::new(&binary);
        command
            .arg("--config-path")
            .arg(&config)
            .arg("--admin-address-path")
            .arg(folder.path().join("admin"))
            .args(["--concurrency", &concurrency.to_string(), "--disable-hot-restart"])
            .args(["--drain-time-s", "1", "--drain-strategy", "immediate", "--log-level", "warning"])
            .args(["--component-log-level", "wasm:info"])
            .current_dir(tools::repo_root())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = spawn(command).with_context(|| format!("starting {}", binary.display()))?;
        let unknown = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut envoy = Self { child, folder, admin: unknown, listeners: Vec::new() };
        envoy.wait_until_ready()?;
        Ok(envoy)
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("Envoy did not start ({status}):\n{}", self.log());
            }
            if self.is_ready() {
                self.listeners = self.read_listeners()?;
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("Envoy was not ready after {} s:\n{}", START_LIMIT.as_secs(), self.log());
            }
            thread::sleep(POLL);
        }
    }

    fn is_ready(&mut self) -> bool {
        let address = std::fs::read_to_string(self.folder.path().join("admin"));
        let Some(admin) = address.ok().and_then(|text| text.trim().parse().ok()) else { return false };
        self.admin = admin;
        matches!(self.admin_get("/ready"), Ok(body) if body.trim() == "LIVE")
    }

    fn read_listeners(&self) -> Result<Vec<(String, SocketAddr)>> {
        let listing: Value = serde_json::from_str(&self.admin_get("/listeners?format=json")?)?;
        let statuses = listing["listener_statuses"].as_array().context("Envoy lists no listeners")?;
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
            bail!("Envoy has no listener:\n{}", self.log());
        }
        Ok(listeners)
    }

    /// Where the only, or the first, listener listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listeners[0].1
    }

    /// Where the admin interface listens.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
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
        let text = self.admin_get("/stats")?;
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
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // Already gone is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

type Spawned = mpsc::Sender<std::io::Result<Child>>;

/// Starts a program that dies with this process.
///
/// Linux sends the signal when the *thread* that started the program ends, so one thread starts all of them and never
/// ends: a test's thread may.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<(Command, Spawned)>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<(Command, Spawned)>();
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                die_with_parent(&mut command);
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, receiver) = mpsc::channel();
    spawner.send((command, sender)).map_err(|_| anyhow!("the thread that starts programs has ended"))?;
    Ok(receiver.recv().context("the thread that starts programs has ended")??)
}

#[expect(unsafe_code, reason = "the signal must be asked for between fork and exec")]
fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure calls async-signal-safe functions only and allocates nothing.
    unsafe {
        command.pre_exec(|| {
            nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
            Ok(())
        });
    }
}
