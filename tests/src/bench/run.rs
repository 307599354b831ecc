//! Envoys that stand ready, what shows that they do what they should, and one stretch of load on one of them.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tidegate_testkit::scenario::Response;

use super::case::{Case, Check, Expected};
use super::generator::{self, Driven, Span};
use super::load::Request;
use super::machine::{self, Cores};
use crate::client::Connection;
use crate::envoy::Envoy;
use crate::upstream::Upstreams;

/// How long a counter may take to show what has happened: an exchange is logged a moment after its answer.
const COUNTER_LIMIT: Duration = Duration::from_secs(5);

/// The Envoys of a run, and the backends behind them.
pub(super) struct Envoys {
    cores: Cores,
    upstreams: Upstreams,
    running: Vec<(Case, Envoy)>,
}

impl Envoys {
    pub(super) fn new(cores: Cores) -> Result<Self> {
        // A thread of its own is pinned, and what it starts inherits that.
        let upstreams = thread::scope(|scope| {
            let started = scope.spawn(|| cores.pin_backends().and_then(|()| Upstreams::start()));
            started.join().map_err(|_| anyhow!("the backends could not be started"))?
        })?;
        Ok(Self { cores, upstreams, running: Vec::new() })
    }

    /// Starts an Envoy for the case, or finds one that runs already with the same; returns its number.
    pub(super) fn start(&mut self, case: &Case) -> Result<usize> {
        if let Some(found) = self.running.iter().position(|(other, _)| case.shares_envoy(other)) {
            return Ok(found);
        }
        let bootstrap = case.bootstrap(&self.upstreams)?;
        let envoy = Envoy::start(&bootstrap, case.workers).with_context(|| format!("case {}", case.name))?;
        self.cores.pin_envoy(envoy.pid(), case.workers)?;
        self.running.push((case.clone(), envoy));
        Ok(self.running.len() - 1)
    }

    /// How many run.
    pub(super) fn count(&self) -> usize {
        self.running.len()
    }

    /// Refuses a case whose filters do not visibly decide.
    pub(super) fn check(&self, number: usize, case: &Case) -> Result<()> {
        let envoy = &self.running[number].1;
        if !case.setup().is_plain() && case.checks.is_empty() {
            bail!("case {} has no check: it could be measured without doing anything", case.name);
        }
        for check in &case.checks {
            check_one(envoy, check).with_context(|| {
                format!("case {} is not measured: it does not show that {}", case.name, check.shows)
            })?;
        }
        Ok(())
    }

    /// Sends a stretch of load. `place` is where in its turn the load stands, and moves on.
    pub(super) fn drive(&self, number: usize, case: &Case, place: &mut u64, span: Span) -> Result<Driven> {
        let envoy = &self.running[number].1;
        let counter = |name: &String| envoy.stat(name);
        let before = case.counted_by.as_ref().map(counter).transpose()?;
        let driven = thread::scope(|scope| {
            let generator = scope.spawn(|| {
                self.cores.pin_load()?;
                let clock = || machine::cpu_time(envoy.pid());
                generator::drive(envoy.address(), &case.load, *place, span, clock)
            });
            generator.join().map_err(|_| anyhow!("the load generator failed"))?
        });
        let driven = driven.with_context(|| format!("case {}\n{}", case.name, envoy.log()))?;
        *place += driven.all;
        if let (Some(name), Some(before)) = (&case.counted_by, before) {
            counted(envoy, name, before + driven.all).with_context(|| {
                format!("case {} is refused: some of {} requests went past it", case.name, driven.all)
            })?;
        }
        Ok(driven)
    }

    /// What the plain Envoy, or else the first, says of its version.
    pub(super) fn version(&self) -> Result<String> {
        let (_, envoy) = self.running.first().context("no Envoy runs")?;
        let info: serde_json::Value = serde_json::from_str(&envoy.admin_get("/server_info")?)?;
        Ok(info["version"].as_str().unwrap_or_default().to_owned())
    }
}

fn check_one(envoy: &Envoy, check: &Check) -> Result<()> {
    let send = || send(envoy, &check.request);
    match &check.expected {
        Expected::Status(status) => same("status", &send()?.status, status),
        Expected::Body(body) => {
            let response = send()?;
            let seen = (response.status, String::from_utf8_lossy(&response.body).into_owned());
            same("status and body", &seen, &(200, (*body).to_owned()))
        }
        Expected::Upstream(header, value) => {
            let response = send()?;
            let seen = (response.reached.as_deref(), response.upstream_header(header));
            same(&format!("backend and {header}"), &seen, &(Some("stable"), value.map(str::to_owned)))
        }
        Expected::Within(requests, status) => {
            let mut connection = Connection::open(envoy.address())?;
            let request = check.request.with_key(0);
            for number in 0..*requests {
                match connection.send(&request)?.status {
                    200 => {}
                    // Who refuses everything counts nothing.
                    seen if number == 0 => bail!("the first request was answered with {seen}, not 200"),
                    seen => return same("status", &seen, status),
                }
            }
            bail!("{requests} requests were all answered with 200, none with {status}")
        }
        Expected::Counted(name) => {
            let before = settled(envoy, name)?;
            send()?;
            counted(envoy, name, before + 1)
        }
        Expected::AtLeast(name, least) => {
            let seen = envoy.stat_named(name)?;
            if seen < *least { bail!("{name}: expected at least {least}, seen {seen}") } else { Ok(()) }
        }
    }
}

fn send(envoy: &Envoy, request: &Request) -> Result<Response> {
    let reply = Connection::open(envoy.address())?.send(&request.with_key(0))?;
    Ok(Response::from(reply))
}

/// A counter's value when all that was sent has been told: telemetry tells at ticks, a second apart.
fn settled(envoy: &Envoy, name: &str) -> Result<u64> {
    const LONGER_THAN_A_TICK: Duration = Duration::from_millis(1_200);
    let mut before = envoy.stat(name)?;
    loop {
        thread::sleep(LONGER_THAN_A_TICK);
        let now = envoy.stat(name)?;
        if now == before {
            return Ok(now);
        }
        before = now;
    }
}

/// Waits until a counter has this value.
fn counted(envoy: &Envoy, name: &str, expected: u64) -> Result<()> {
    let deadline = Instant::now() + COUNTER_LIMIT;
    loop {
        let seen = envoy.stat(name)?;
        if seen == expected {
            return Ok(());
        }
        if seen > expected || Instant::now() > deadline {
            bail!("the counter {name}: expected {expected}, seen {seen}");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, seen: &T, expected: &T) -> Result<()> {
    if seen == expected { Ok(()) } else { bail!("{what}: expected {expected:?}, seen {seen:?}") }
}
