//! The real OpenTelemetry collector: it receives OTLP over HTTP, and prints what it received.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde_json::json;

use super::program;
use crate::process::{Program, accepts, free_port};

/// A running collector, or one that was killed. What it printed is kept.
#[derive(Debug)]
pub struct Collector {
    program: Option<Program>,
    port: u16,
    printed: String,
}

impl Collector {
    /// Starts it.
    pub fn start() -> Result<Self> {
        // The port was free a moment ago. Somebody may be faster; then another will do.
        let mut port = free_port()?;
        let mut tried = run(port);
        for _ in 0..2 {
            if tried.is_ok() {
                break;
            }
            port = free_port()?;
            tried = run(port);
        }
        Ok(Self { program: Some(tried?), port, printed: String::new() })
    }

    /// Where it takes OTLP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut program) = self.program.take() {
            program.kill();
            self.printed.push_str(&program.log());
        }
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) -> Result<()> {
        self.kill();
        self.program = Some(run(self.port)?);
        Ok(())
    }

    /// Everything that it printed, also before it was killed.
    #[must_use]
    pub fn printed(&self) -> String {
        let now = self.program.as_ref().map(Program::log).unwrap_or_default();
        format!("{}{now}", self.printed)
    }

    /// Waits until what it printed is as wanted. The error holds its end.
    pub fn wait_until(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let printed = self.printed();
            if wanted(&printed) {
                return Ok(printed);
            }
            if Instant::now() > deadline {
                let end = printed.len().saturating_sub(4_000);
                bail!(
                    "after {} s the collector had printed:\n{}",
                    limit.as_secs(),
                    String::from_utf8_lossy(&printed.as_bytes()[end..])
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

fn run(port: u16) -> Result<Program> {
    let mut running = Program::start(|folder| {
        let pipeline = json!({"receivers": ["otlp"], "exporters": ["debug"]});
        let config = json!({
            "receivers": {"otlp": {"protocols": {"http": {"endpoint": format!("127.0.0.1:{port}")}}}},
            "exporters": {"debug": {"verbosity": "detailed", "use_internal_logger": false}},
            "service": {
                "telemetry": {"metrics": {"level": "none"}},
                "pipelines": {"logs": pipeline, "traces": pipeline, "metrics": pipeline},
            },
        });
        let file = folder.join("config.yaml");
        std::fs::write(&file, serde_json::to_vec(&config)?)?;
        let mut command = Command::new(program("otelcol")?);
        command.arg(format!("--config=file:{}", file.display())).current_dir(folder);
        Ok(command)
    })?;
    running.wait_until(Duration::from_secs(60), |_| accepts(port))?;
    Ok(running)
}
