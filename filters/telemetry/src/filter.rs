//! Looks at each exchange when its request arrives, when its response does, and when it has ended.

use std::cell::OnceCell;
use std::time::Duration;

use tidegate_config::HeaderValue;
use tidegate_filter_api::{CallToken, Callbacks, CalloutResult, Exchange, Filter, Flow, Host, Timestamp};

use crate::access_log::{self, Log};
use crate::clock::Steady;
use crate::config::Config;
use crate::config::metric::{Metric, Value};
use crate::config::when::When;
use crate::ids::Ids;
use crate::metrics::{Export, Metrics};
use crate::otlp::{Counters, Exporter, Preamble, Sender, Signal};
use crate::source::Source;
use crate::span::Spans;
use crate::trace::{self, Tracing};
use crate::view::{self, Found, Now, Surroundings, View};

/// The telemetry filter.
pub struct Telemetry {
    around: Surroundings,
    metrics: Metrics,
    logs: Vec<Log>,
    tracing: Option<Tracing>,
    spans: Option<Spans>,
    clock: Steady,
    needs: Needs,
}

/// What the configuration looks at: each costs something.
#[derive(Debug, Clone, Copy)]
struct Needs {
    /// The request's headers when they arrive.
    arrival: bool,
    /// Requests that are under way are shown in gauges.
    in_flight: bool,
    /// The time until the response arrives.
    first_byte: bool,
    /// Whether anything is done when an exchange has ended.
    end: bool,
}

/// What is kept of one exchange.
#[derive(Debug, Default)]
pub struct Stream {
    found: Found,
    arrived: Option<Timestamp>,
    /// The gauges that show it.
    shown: Vec<u32>,
}

impl Filter for Telemetry {
    const NAME: &'static str = "telemetry";
    const CALLBACKS: Callbacks = Callbacks::REQUEST_HEADERS
        .and(Callbacks::RESPONSE_HEADERS)
        .and(Callbacks::LOG)
        .and(Callbacks::CALLOUT)
        .and(Callbacks::TICK);
    type Config = Config;
    type Stream = Stream;

    fn new(config: Config, host: &dyn Host) -> Self {
        let ids = Ids::new(host);
        let preamble = Preamble::new(&config.resource, &ids, host);
        let needs = Needs::of(&config);
        let export = config.metrics_to.as_ref().map(|(endpoint, every)| Export {
            sender: Sender::new(endpoint, Signal::Metrics),
            every: *every,
            preamble: preamble.clone(),
            counters: Counters::define(Signal::Metrics, host),
            began: host.now().0,
            last: Default::default(),
            sent: Default::default(),
        });
        let header_map = needs_header_map(&config.metrics);
        let metrics = Metrics::new(config.metrics, config.max_series, export, ids.key(), host);
        // One pair of counters for all logs: a metric is defined once.
        let log_counters = OnceCell::new();
        let counters = || *log_counters.get_or_init(|| Counters::define(Signal::Logs, host));
        let logs = config.access_log.into_iter().map(|log| {
            let counters = if log.to.is_some() { counters() } else { Counters::default() };
            Log::new(log, &preamble, counters, host)
        });
        let logs = logs.collect();
        let spans = config
            .trace
            .as_ref()
            .and_then(|trace| Spans::new(trace, &preamble, || Counters::define(Signal::Traces, host), host));
        let around = Surroundings {
            client_address: config.client_address,
            templates: config.path_templates,
            header_map,
            ids,
            locality: OnceCell::new(),
        };
        let tracing = config.trace.map(Tracing::new);
        Self { around, metrics, logs, tracing, spans, clock: Steady::default(), needs }
    }

    fn reads_request(&self) -> bool {
        self.needs.arrival
    }

    fn on_request(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) -> Flow {
        if self.needs.first_byte {
            stream.arrived = Some(host.now());
        }
        if let Some(tracing) = &self.tracing {
            let own = self.baggage(tracing, exchange, host);
            stream.found.context = Some(tracing.begin(exchange, &self.around.ids));
            let own: Vec<(&str, Option<Vec<u8>>)> =
                own.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
            tracing.write_baggage(&own, exchange);
        }
        if self.needs.in_flight {
            let now = Now::arriving(exchange, host);
            stream.shown = self.metrics.arrive(&View::new(&now, &self.around, &stream.found));
        }
        Flow::Continue
    }

    fn on_response(&self, stream: &mut Stream, exchange: &mut Exchange, host: &dyn Host) {
        if let Some(arrived) = stream.arrived
            && stream.found.time_to_first_byte.is_none()
        {
            stream.found.time_to_first_byte = Some(host.now().since(arrived));
        }
        let header = self.tracing.as_ref().and_then(|tracing| tracing.config().response_header.as_ref());
        if let (Some(name), Some(context)) = (header, &stream.found.context)
            && let Ok(value) = HeaderValue::new(trace::hex_text(&context.trace_id))
        {
            exchange.response_mut().set(name, &value);
        }
    }

    fn on_log(&self, stream: &mut Stream, exchange: &Exchange, host: &dyn Host) {
        self.metrics.leave(&std::mem::take(&mut stream.shown));
        if !self.needs.end {
            return;
        }
        let now = Now::ended(exchange, host);
        let view = View::new(&now, &self.around, &stream.found);
        self.metrics.end(&view);
        for log in &self.logs {
            log.write(&view, self.clock.now());
        }
        if let (Some(spans), Some(tracing), Some(context)) =
            (&self.spans, &self.tracing, &stream.found.context)
            && context.recorded
        {
            let span = spans.write(context, tracing.config(), &view);
            spans.exporter().push(span, self.clock.now(), host);
        }
    }

    fn tick_period(&self) -> Option<Duration> {
        let exporters = self.exporters().map(|exporter| exporter.period().min(Duration::from_secs(1)));
        exporters.chain(self.metrics.period()).min()
    }

    fn on_tick(&self, host: &dyn Host) {
        let now = self.clock.tick(host);
        self.metrics.tick(now, host);
        self.exporters().for_each(|exporter| exporter.tick(now, host));
    }

    fn on_end(&self, host: &dyn Host) {
        self.metrics.finish(self.clock.now(), host);
        self.exporters().for_each(|exporter| exporter.end(host));
    }

    fn on_dispatched(&self, host: &dyn Host, token: CallToken, result: CalloutResult) {
        let now = self.clock.now();
        let taken = access_log::ended(&self.logs, token, &result, now, host)
            || self.spans.as_ref().is_some_and(|spans| spans.exporter().ended(token, &result, now, host));
        if !taken {
            self.metrics.ended(token, &result, now, host);
        }
    }
}

impl Telemetry {
    fn exporters(&self) -> impl Iterator<Item = &Exporter> {
        self.logs.iter().filter_map(Log::exporter).chain(self.spans.as_ref().map(Spans::exporter))
    }

    /// One's own members of the baggage, as far as they have a value.
    fn baggage(
        &self,
        tracing: &Tracing,
        exchange: &Exchange,
        host: &dyn Host,
    ) -> Vec<(String, Option<Vec<u8>>)> {
        /// A longer value is none: half of one would be another.
        const LONGEST: usize = 256;
        let found = Found::default();
        let now = Now::arriving(exchange, host);
        let view = View::new(&now, &self.around, &found);
        let member = |(key, source): &(String, Source)| {
            let value = match view.value(source) {
                view::Value::Text(text) if text.len() <= LONGEST => Some(text.into_owned()),
                view::Value::Number(number) => Some(number.to_string().into_bytes()),
                _ => None,
            };
            (key.clone(), value)
        };
        tracing.config().baggage.iter().map(member).collect()
    }
}

impl Needs {
    fn of(config: &Config) -> Self {
        let metrics = &config.metrics;
        let early = || metrics.iter().filter(|metric| metric.value == Value::InFlight);
        let from_request = |metric: &Metric| {
            metric.when.is_some() || metric.labels.iter().any(|label| label.source.is_of_request_headers())
        };
        let fields = config.access_log.iter().flat_map(|log| &log.fields);
        let attributes = config.trace.iter().flat_map(|trace| &trace.attributes);
        let shows_first_byte = fields
            .chain(attributes)
            .any(|field| field.source == Source::Attribute(crate::attribute::Attribute::TimeToFirstByte));
        Self {
            arrival: config.trace.is_some() || early().any(from_request),
            in_flight: early().next().is_some(),
            first_byte: shows_first_byte
                || metrics.iter().any(|metric| matches!(metric.value, Value::TimeToFirstByte(_))),
            end: early().count() < metrics.len()
                || !config.access_log.is_empty()
                || config.trace.as_ref().is_some_and(|trace| trace.to.is_some()),
        }
    }
}

/// Whether metrics are better off with the map of the request's headers than with one host call for each that they name.
fn needs_header_map(metrics: &[Metric]) -> bool {
    /// The map costs about as much as three calls.
    const FEW: usize = 2;
    let at_end = || metrics.iter().filter(|metric| metric.value != Value::InFlight);
    let conditions = at_end().filter_map(|metric| metric.when.as_ref());
    if conditions.clone().any(When::looks_at_request)
        || at_end().any(|metric| metric.labels.iter().any(|label| label.source.needs_header_map()))
    {
        return true;
    }
    let mut headers: Vec<Source> = Vec::new();
    let labels = at_end().flat_map(|metric| &metric.labels).map(|label| label.source.clone());
    let values = at_end().filter_map(|metric| match &metric.value {
        Value::Number(source) => Some(source.clone()),
        _ => None,
    });
    for source in labels.chain(values).filter(Source::is_of_request_headers) {
        if !headers.contains(&source) {
            headers.push(source);
        }
    }
    headers.len() > FEW
}
