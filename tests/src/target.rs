//! A real Envoy as the target of scenarios.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tidegate_testkit::scenario::{Request, Response, Scenario, Target};

use crate::bootstrap::{self, Form};
use crate::client::{Connection, http2};
use crate::envoy::Envoy;
use crate::upstream::Upstreams;

/// An Envoy with a scenario's filters. Each request has a connection of its own, so all workers take part.
#[derive(Debug)]
pub struct EnvoyTarget {
    envoy: Envoy,
    http2: bool,
    // Kept for as long as Envoy: it is what answers.
    _upstreams: Upstreams,
}

impl EnvoyTarget {
    /// Starts Envoy; the error of a refused configuration holds Envoy's log.
    pub fn start(scenario: &Scenario, concurrency: u32, form: Form) -> Result<Self> {
        let filters: Vec<_> = scenario.filters().collect();
        Self::start_with(&filters, &scenario.environment, concurrency, form)
    }

    /// The same with these filters.
    pub fn start_with(
        filters: &[(&str, &Value)],
        environment: &BTreeMap<String, String>,
        concurrency: u32,
        form: Form,
    ) -> Result<Self> {
        let upstreams = Upstreams::start()?;
        let mut bootstrap = bootstrap::with_filters(filters, &upstreams, form)?;
        bootstrap::set_environment(&mut bootstrap, environment)?;
        Ok(Self { envoy: Envoy::start(&bootstrap, concurrency)?, http2: false, _upstreams: upstreams })
    }

    /// The same, with every request sent over HTTP/2 that its client can send.
    #[must_use]
    pub fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }
}

/// Whether the HTTP/2 client sends the request as it is: it reads paths before it sends them.
fn is_plain(request: &Request) -> bool {
    let path = std::str::from_utf8(&request.path).ok();
    let read = path.and_then(|path| format!("http://{}{path}", request.host).parse::<hyper::Uri>().ok());
    read.is_some_and(|uri| uri.path_and_query().map(|read| read.as_str()) == path)
        && !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"host"))
}

impl Target for EnvoyTarget {
    fn send(&mut self, request: &Request) -> Result<Response, String> {
        let address = self.envoy.address();
        let reply = match request.grpc || (self.http2 && is_plain(request)) {
            true => http2(address, request),
            false => Connection::open(address).and_then(|mut connection| connection.send(request)),
        };
        reply.map(Response::from).map_err(|error| format!("{error:#}\nEnvoy's log:\n{}", self.envoy.log()))
    }

    /// The only place that sleeps: Envoy's clock cannot be moved.
    fn advance(&mut self, by: Duration) {
        thread::sleep(by);
    }

    fn metric(&mut self, name: &str) -> u64 {
        // An Envoy that does not answer has no metrics, which the comparison will show.
        self.envoy.stat(name).unwrap_or(u64::MAX)
    }

    fn log(&mut self) -> String {
        self.envoy.log()
    }

    /// An exchange is counted and logged a moment after its response has arrived; Envoy writes its log every second.
    fn look_again(&mut self, looks: u32) -> bool {
        thread::sleep(Duration::from_millis(20));
        looks < 250
    }
}
