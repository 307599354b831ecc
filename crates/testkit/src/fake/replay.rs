//! Scenario files on the fake host: the same that real Envoys replay.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use serde_json::Value;
use tidegate_filter_api::{Filter, LocalReply, Property};
use tidegate_proxy_host::pipeline::Plugin;

use super::{FakeHost, Outcome, Pairs, Worker, files};
use crate::allocations::Uncounted;
use crate::scenario::{Request, Response, Scenario, Target, refusal, run, shown};

/// Replays every scenario file of a folder under `tests/scenarios` on `F`.
///
/// # Panics
/// With every mismatch, if something is not as the files say, or if there is no file.
pub fn replay_folder<F: Filter>(folder: &str) {
    replay_each::<F>(folder, |scenario| {
        let mut filters = scenario.filters();
        match (filters.next(), filters.next()) {
            (Some((_, configuration)), None) => Ok(configuration.clone()),
            _ => Err("one filter is expected in this folder".to_owned()),
        }
    });
}

/// The same on a filter that holds those of the files: `configure` makes its configuration of theirs.
///
/// # Panics
/// As [`replay_folder`].
pub fn replay_each<F: Filter>(folder: &str, configure: impl Fn(&Scenario) -> Result<Value, String>) {
    capture_log();
    let files = files::list(folder).expect("the folder is there");
    assert!(!files.is_empty(), "no scenario in {folder}");
    let failures: Vec<String> = files.iter().filter_map(|file| replay::<F>(file, &configure).err()).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What each request of each scenario of a folder costs a filter: calls to the host and allocations, a line for each
/// request, equal neighbours together. Allocations are counted where the test program installs
/// [`crate::allocations::Counting`].
///
/// # Panics
/// As [`replay_folder`].
#[must_use]
pub fn costs<F: Filter>(folder: &str, configure: impl Fn(&Scenario) -> Option<Value>) -> String {
    capture_log();
    let mut text = String::new();
    for file in files::list(folder).expect("the folder is there") {
        let configure =
            |scenario: &Scenario| configure(scenario).ok_or_else(|| "no configuration".to_owned());
        let costs = replay::<F>(&file, configure).unwrap_or_else(|failure| panic!("{failure}"));
        let name = file.rsplit('/').next().unwrap_or_default();
        text.push_str(&format!("{name}\n"));
        let mut number = 0;
        for same in costs.chunk_by(|one, next| one == next) {
            let (first, last) = (number + 1, number + same.len());
            let which = if first == last { first.to_string() } else { format!("{first}-{last}") };
            text.push_str(&format!("  {which}: {}\n", same.first().expect("chunks are not empty")));
            number = last;
        }
    }
    text
}

fn replay<F: Filter>(
    name: &str,
    configure: impl Fn(&Scenario) -> Result<Value, String>,
) -> Result<Vec<String>, String> {
    let text = files::read(name)?;
    let scenario = Scenario::parse(&text).map_err(|error| format!("{name}: {error}"))?;
    let configuration = configure(&scenario).map_err(|error| format!("{name}: {error}"))?;
    LOG.with_borrow_mut(String::clear);
    COSTS.take();
    let host = FakeHost::new();
    for (variable, value) in &scenario.environment {
        host.set_variable(variable, value.as_bytes());
    }
    let plugin = Plugin::<F>::configure(configuration.to_string().as_bytes(), &*host);
    match (plugin, scenario.refused.is_empty()) {
        (Ok(plugin), true) => run(name, &scenario, &mut Worker { host, plugin: Rc::new(plugin) })?,
        (Err(errors), false) => refusal(name, &scenario, &errors.to_string())?,
        (Ok(_), false) => return Err(format!("{name}: a configuration that is to be refused was accepted")),
        (Err(errors), true) => return Err(format!("{name}: refused:\n{errors}")),
    }
    Ok(COSTS.take())
}

impl<F: Filter> Target for Worker<F> {
    fn send(&mut self, request: &Request) -> Result<Response, String> {
        let headers: Vec<(String, Vec<u8>)> = request
            .headers
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name).to_ascii_lowercase(), value.clone()))
            .collect();
        let mut pairs: Pairs = vec![
            (":method".to_owned(), request.method.clone().into_bytes()),
            (":path".to_owned(), request.path.clone()),
            (":authority".to_owned(), request.host.clone().into_bytes()),
            (":scheme".to_owned(), b"http".to_vec()),
        ];
        if request.grpc {
            pairs.push(("content-type".to_owned(), b"application/grpc".to_vec()));
            pairs.push(("te".to_owned(), b"trailers".to_vec()));
        }
        pairs.extend(headers);
        if request.grpc {
            pairs.push(("content-type".to_owned(), b"application/grpc".to_vec()));
            pairs.push(("te".to_owned(), b"trailers".to_vec()));
        }
        // Envoy chooses a route before the filters, and again when they ask it to.
        self.host.set(Property::ROUTE_NAME, backend(&pairs).as_bytes());
        // Ticks in between are not the request's.
        let _ = self.host.take_spent();
        let (mut outcome, mut exchange) = self.send_pairs(pairs, request.body.is_empty() && !request.grpc);
        if outcome == Outcome::Held {
            // In two pieces: a filter must not count on getting it whole.
            let (first, second) = request.body.split_at(request.body.len() / 2);
            outcome = exchange.body(first, false);
            if outcome == Outcome::Held {
                outcome = exchange.body(second, true);
            }
        }
        let mut response = match outcome {
            Outcome::Passed(upstream) => {
                self.host.set(Property::ROUTE_NAME, backend(&upstream).as_bytes());
                answered(&upstream, request.grpc)
            }
            Outcome::Replied(reply) => replied(&reply, request.grpc),
            other => return Err(format!("{other:?}")),
        };
        // A filter sees its own local replies as it sees the upstream's responses.
        let mut passing = vec![(":status".to_owned(), response.status.to_string().into_bytes())];
        passing.append(&mut response.headers);
        response.headers = exchange.response_pairs(passing);
        response.headers.retain(|(name, _)| name != ":status");
        exchange.response_body(&response.body);
        self.describe(request, &response);
        exchange.end(Some(response.status), Duration::from_millis(1));
        COSTS.with_borrow_mut(|costs| costs.push(self.host.take_spent()));
        Ok(response)
    }

    fn advance(&mut self, by: Duration) {
        self.host.advance(by);
    }

    fn metric(&mut self, name: &str) -> u64 {
        // What a filter writes at its ticks has been written when somebody looks a while later.
        self.tick();
        let metrics = self.host.metrics.borrow();
        // Envoy puts this in front of every name that a module defines.
        let named = metrics.iter().filter(|metric| format!("wasmcustom.{}", metric.1).contains(name));
        named.map(|metric| metric.2.unsigned_abs()).sum()
    }

    fn log(&mut self) -> String {
        LOG.with_borrow(String::clone)
    }
}

impl<F: Filter> Worker<F> {
    /// Says of an exchange that has ended what Envoy's attributes say.
    fn describe(&self, request: &Request, response: &Response) {
        let number = |property: Property, number: usize| {
            let number = i64::try_from(number).expect("small numbers");
            self.host.set(property, &number.to_le_bytes());
        };
        number(Property::REQUEST_SIZE, request.body.len());
        number(Property::RESPONSE_SIZE, response.body.len());
        match response.grpc_status {
            Some(status) => number(Property::GRPC_STATUS, usize::try_from(status).expect("small numbers")),
            None => self.host.unset(Property::GRPC_STATUS),
        }
        match &response.reached {
            Some(cluster) => self.host.set(Property::UPSTREAM_CLUSTER, cluster.as_bytes()),
            None => self.host.unset(Property::UPSTREAM_CLUSTER),
        }
        self.host.set(Property::REQUEST_PROTOCOL, if request.grpc { b"HTTP/2" } else { b"HTTP/1.1" });
    }
}

/// The backend that the routes of the tests' bootstraps choose.
fn backend(headers: &Pairs) -> &'static str {
    let beta = headers.iter().any(|(name, value)| name == "x-tidegate-route" && value == b"beta");
    if beta { "beta" } else { "stable" }
}

fn answered(upstream: &Pairs, grpc: bool) -> Response {
    let values = |wanted: &'static str| {
        upstream.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| value.as_slice())
    };
    let status = values("x-echo-status").next();
    let status = status.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
    Response {
        status: status.unwrap_or(200),
        headers: values("x-echo-header").filter_map(header).collect(),
        body: values("x-echo-body").next().unwrap_or_default().to_vec(),
        reached: Some(backend(upstream).to_owned()),
        upstream_headers: upstream
            .iter()
            .map(|(name, value)| {
                let name = if name == ":authority" { "host" } else { name };
                (name.to_owned(), shown(value))
            })
            .collect(),
        grpc_status: grpc.then_some(0),
    }
}

/// To a gRPC request Envoy sends a local reply as a status in the headers, with the body as its message.
fn replied(reply: &LocalReply, grpc: bool) -> Response {
    let own = reply.headers.iter().map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
    let mut headers: Pairs = own.collect();
    if grpc {
        headers.push(("content-type".to_owned(), b"application/grpc".to_vec()));
        headers.push(("grpc-message".to_owned(), grpc_message(&reply.body).into_bytes()));
    }
    Response {
        status: if grpc { 200 } else { reply.status },
        headers,
        body: if grpc { Vec::new() } else { reply.body.as_bytes().to_vec() },
        grpc_status: grpc.then_some(reply.grpc_status as u32),
        ..Response::default()
    }
}

/// A status message as gRPC carries it: what is not printable ASCII stands as `%XX`.
fn grpc_message(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b' '..=b'~' if byte != b'%' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// `name: value`
fn header(text: &[u8]) -> Option<(String, Vec<u8>)> {
    let (name, value) = std::str::from_utf8(text).ok()?.split_once(": ")?;
    Some((name.to_owned(), value.as_bytes().to_vec()))
}

thread_local! {
    static LOG: RefCell<String> = const { RefCell::new(String::new()) };
    /// What the requests of the scenario under way cost.
    static COSTS: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

struct Capture;

/// Each test runs on a thread of its own, and so does what it logs.
fn capture_log() {
    // Other tests of the program may have been faster; it is the same logger.
    let _ = log::set_logger(&Capture);
    log::set_max_level(log::LevelFilter::Info);
}

impl log::Log for Capture {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let _host = Uncounted::begin();
        LOG.with_borrow_mut(|log| {
            log.push_str(&record.args().to_string());
            log.push('\n');
        });
    }

    fn flush(&self) {}
}
