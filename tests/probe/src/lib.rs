//! A filter for tests only: what it does is in the request's headers, what came of it goes upstream as `x-probe-result`.
//!
//! | header | effect |
//! |---|---|
//! | `x-probe-call: CLUSTER` | pauses the request and calls the cluster |
//! | `x-probe-grpc: CLUSTER` | the same with a gRPC call |
//! | `x-probe-join: CLUSTER` | dispatches a call, unless one is under way, and waits for it with all others that do |
//! | `x-probe-body: 1` | reads the body: its size, and its checksum (the sum of its bytes) |
//! | `x-probe-foreign: NAME` | calls a function of the host without arguments |
//! | `x-probe-trap: 1` | traps |
//!
//! At each tick the counter `tidegate.probe.ticks` goes up; of response bodies `tidegate.probe.response_bytes` counts the
//! bytes.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use tidegate_config::{Cursor, Decode, HeaderName, HeaderValue};
use tidegate_filter_api::{
    BodyPiece, CallToken, Callbacks, Callout, CalloutFailure, CalloutResult, Exchange, Filter, Flow,
    GrpcCall, Host, HttpCall, MetricId, MetricKind,
};

/// `{"timeout": "250ms"}`
#[derive(Debug)]
pub struct Config {
    timeout: Duration,
}

impl Decode for Config {
    fn decode(cursor: Cursor<'_>) -> Option<Self> {
        let mut object = cursor.object()?;
        let timeout: Option<tidegate_config::Duration> = object.required("timeout");
        object.finish();
        Some(Self { timeout: timeout?.get() })
    }
}

/// The filter.
pub struct Probe {
    timeout: Duration,
    ticks: Option<MetricId>,
    response_bytes: Option<MetricId>,
    under_way: Cell<Option<CallToken>>,
    last: RefCell<String>,
}

/// What the filter keeps of one exchange: size and checksum of the body so far.
#[derive(Debug, Default)]
pub struct Body(u64, u64);

impl Filter for Probe {
    const NAME: &'static str = "probe";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::CALLOUT)
        .and(Callbacks::GRPC_CALLOUT)
        .and(Callbacks::REQUEST_BODY)
        .and(Callbacks::RESPONSE_BODY)
        .and(Callbacks::TICK);
    type Config = Config;
    type Stream = Body;

    fn new(config: Config, host: &dyn Host) -> Self {
        let counter = |name: &str| host.define_metric(MetricKind::Counter, name).ok();
        Self {
            timeout: config.timeout,
            ticks: counter("tidegate.probe.ticks"),
            response_bytes: counter("tidegate.probe.response_bytes"),
            under_way: Cell::new(None),
            last: RefCell::default(),
        }
    }

    fn on_request(&self, _: &mut Body, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        let request = exchange.request();
        assert!(request.first("x-probe-trap").is_none(), "the probe was told to trap");
        let text = |name: &str| request.first(name).map(|value| String::from_utf8_lossy(value).into_owned());
        if let Some(cluster) = text("x-probe-call") {
            return Flow::Call(self.http(cluster));
        }
        if let Some(cluster) = text("x-probe-grpc") {
            return Flow::Call(self.grpc(cluster));
        }
        if let Some(cluster) = text("x-probe-join") {
            return self.join(cluster, exchange, host);
        }
        if let Some(name) = text("x-probe-foreign") {
            let seen = match host.call_foreign(&name, &[]) {
                Ok(bytes) => format!("{} bytes", bytes.len()),
                Err(error) => error.to_string(),
            };
            return tell(&seen, exchange);
        }
        if request.first("x-probe-body").is_some() { Flow::ReadBody } else { Flow::Continue }
    }

    fn on_callout(&self, _: &mut Body, exchange: &mut Exchange, _: &dyn Host, result: CalloutResult) -> Flow {
        tell(&shown(result), exchange)
    }

    fn on_awaited(&self, _: &mut Body, exchange: &mut Exchange, _: &dyn Host) -> Flow {
        tell(&self.last.borrow(), exchange)
    }

    fn on_request_body(
        &self,
        body: &mut Body,
        exchange: &mut Exchange,
        _: &dyn Host,
        piece: BodyPiece<'_>,
    ) -> Flow {
        body.0 += piece.bytes.len() as u64;
        body.1 += piece.bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        if !piece.end {
            return Flow::ReadBody;
        }
        tell(&format!("{} bytes, checksum {}", body.0, body.1), exchange)
    }

    fn reads_response_body(&self, _: &Body) -> bool {
        true
    }

    fn on_response_body(&self, _: &mut Body, _: &mut Exchange, host: &dyn Host, piece: &[u8]) {
        if let Some(metric) = self.response_bytes {
            host.add(metric, i64::try_from(piece.len()).unwrap_or(i64::MAX));
        }
    }

    fn tick_period(&self) -> Option<Duration> {
        Some(Duration::from_millis(50))
    }

    fn on_tick(&self, host: &dyn Host) {
        if let Some(metric) = self.ticks {
            host.add(metric, 1);
        }
    }

    fn on_dispatched(&self, _: &dyn Host, token: CallToken, result: CalloutResult) {
        if self.under_way.get() == Some(token) {
            self.under_way.set(None);
        }
        *self.last.borrow_mut() = shown(result);
    }
}

impl Probe {
    fn http(&self, cluster: String) -> Callout {
        let header = |name: &str, value: &str| (name.to_owned(), value.as_bytes().to_vec());
        Callout::Http(HttpCall {
            cluster,
            headers: vec![
                header(":method", "GET"),
                header(":path", "/probe"),
                header(":authority", "probe"),
                header("x-echo-delay-ms", "100"),
            ],
            body: Vec::new(),
            timeout: self.timeout,
        })
    }

    fn grpc(&self, cluster: String) -> Callout {
        Callout::Grpc(GrpcCall {
            cluster,
            service: "tidegate.Probe",
            method: "Probe",
            metadata: vec![("x-probe".to_owned(), b"1".to_vec())],
            message: b"probe".to_vec(),
            timeout: self.timeout,
        })
    }

    fn join(&self, cluster: String, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        if let Some(token) = self.under_way.get() {
            return Flow::Await(token);
        }
        match host.dispatch(&self.http(cluster)) {
            Ok(token) => {
                self.under_way.set(Some(token));
                Flow::Await(token)
            }
            Err(error) => tell(&shown(Err(CalloutFailure::NotSent(error))), exchange),
        }
    }
}

fn shown(result: CalloutResult) -> String {
    match result {
        Ok(response) => format!("{} {} bytes", response.status().unwrap_or_default(), response.body.len()),
        Err(CalloutFailure::NotSent(error)) => format!("not sent: {error}"),
        Err(CalloutFailure::NoAnswer) => "no answer".to_owned(),
        Err(CalloutFailure::Grpc(status)) => format!("gRPC status {status}"),
    }
}

fn tell(text: &str, exchange: &mut Exchange) -> Flow {
    if let (Ok(name), Ok(value)) =
        (HeaderName::new("x-probe-result"), HeaderValue::new(text.as_bytes().to_vec()))
    {
        exchange.request_mut().set(&name, &value);
    }
    Flow::Continue
}

#[cfg(target_arch = "wasm32")]
tidegate_proxy_host::export_filter!(Probe);
