//! A real Prometheus that scrapes an Envoy, and promtool.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::program;
use crate::client;
use crate::process::{Program, free_port};

/// A running Prometheus. It scrapes every second.
#[derive(Debug)]
pub struct Prometheus {
    program: Program,
    port: u16,
}

/// One series of an answer: its labels, and its value now.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The metric's name among them, as `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Prometheus' values are floating-point numbers.
    pub value: f64,
}

impl Prometheus {
    /// Starts one that scrapes Envoy's admin interface, with these files of rules.
    pub fn start(envoy: SocketAddr, rules: &[&Path]) -> Result<Self> {
        // The port was free a moment ago. Somebody may be faster; then another will do.
        let mut tried = Self::start_on(envoy, rules, free_port()?);
        for _ in 0..2 {
            if tried.is_ok() {
                break;
            }
            tried = Self::start_on(envoy, rules, free_port()?);
        }
        tried
    }

    fn start_on(envoy: SocketAddr, rules: &[&Path], port: u16) -> Result<Self> {
        let running = Program::start(|folder| {
            let config = json!({
                "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
                "rule_files": rules,
                "scrape_configs": [{
                    "job_name": "envoy",
                    "metrics_path": "/stats/prometheus",
                    "static_configs": [{"targets": [envoy.to_string()]}],
                }],
            });
            let file = folder.join("prometheus.yml");
            std::fs::write(&file, serde_json::to_vec(&config)?)
                .context("writing Prometheus' configuration")?;
            let mut command = Command::new(program("prometheus")?);
            command.arg(format!("--config.file={}", file.display()));
            command.arg(format!("--storage.tsdb.path={}", folder.join("data").display()));
            command.arg(format!("--web.listen-address=127.0.0.1:{port}"));
            command.args(["--log.level=warn"]).current_dir(folder);
            Ok(command)
        })?;
        let mut prometheus = Self { program: running, port };
        let place = prometheus.address();
        prometheus.program.wait_until(Duration::from_secs(60), |_| {
            client::get(place, "/-/ready").is_ok_and(|reply| reply.status == 200)
        })?;
        Ok(prometheus)
    }

    /// The answer to a query, as it is now.
    pub fn query(&self, query: &str) -> Result<Vec<Sample>> {
        let reply = client::get(self.address(), &format!("/api/v1/query?query={}", escaped(query)))?;
        let answer: Value = serde_json::from_slice(&reply.body)
            .with_context(|| format!("{query}: {}", String::from_utf8_lossy(&reply.body)))?;
        if answer["status"] != "success" {
            bail!("{query}: {answer}");
        }
        let result = answer["data"]["result"].as_array().with_context(|| format!("{query}: {answer}"))?;
        result.iter().map(|series| sample(series).with_context(|| format!("{query}: {series}"))).collect()
    }

    /// Asks until the answer is as wanted. The error holds the last one.
    pub fn query_until(&self, query: &str, wanted: impl Fn(&[Sample]) -> bool) -> Result<Vec<Sample>> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let samples = self.query(query)?;
            if wanted(&samples) {
                return Ok(samples);
            }
            if Instant::now() > deadline {
                bail!("{query}: {samples:?}");
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

/// Runs promtool; the error holds what it said.
pub fn promtool(arguments: &[&str], input: Option<&str>) -> Result<String> {
    use std::io::Write as _;
    use std::process::Stdio;
    let mut command = Command::new(program("promtool")?);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("starting promtool")?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes()).context("promtool reads no input")?;
    }
    let output = child.wait_with_output()?;
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    if !output.status.success() {
        bail!("promtool {arguments:?} ({}):\n{said}", output.status);
    }
    Ok(said)
}

fn sample(series: &Value) -> Option<Sample> {
    let labels = series["metric"].as_object()?.iter();
    let labels = labels.map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    Some(Sample { labels: labels.collect::<Option<_>>()?, value: series["value"][1].as_str()?.parse().ok()? })
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}
