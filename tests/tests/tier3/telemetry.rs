//! Telemetry beside what it is for: a real Prometheus, and the real OpenTelemetry collector.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form, cluster};
use e2e::client::Connection;
use e2e::companions::otelcol::Collector;
use e2e::companions::prometheus::{Prometheus, Sample, promtool};
use e2e::envoy::Envoy;
use e2e::tools::repo_root;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};

use crate::needing;

const PROMETHEUS: &[&str] = &["prometheus", "promtool"];

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        needing(PROMETHEUS, "telemetry::prometheus_finds_labels_and_buckets", labels),
        needing(PROMETHEUS, "telemetry::every_query_of_the_dashboard_has_an_answer", dashboard),
        needing(&["promtool"], "telemetry::the_alerts_fire_when_they_should", alerts),
        needing(&["otelcol"], "telemetry::logs_spans_and_metrics_reach_a_collector", || {
            everything_arrives("telemetry", |configuration| configuration)
        }),
        needing(&["otelcol"], "telemetry::logs_spans_and_metrics_reach_a_collector_from_the_suite", || {
            everything_arrives("suite", |configuration| json!({"telemetry": configuration}))
        }),
        needing(&["otelcol"], "telemetry::a_collector_dies_and_comes_back", dies_and_comes_back),
        Trial::test("telemetry::a_million_requests_in_flat_memory", soak),
    ]
}

/// Envoy as `envoy-config/` has it, with its collector somewhere else.
fn envoy(file: &str, collector: Option<SocketAddr>, upstreams: &Upstreams) -> Result<Envoy, Failed> {
    let mut bootstrap = bootstrap::read(&repo_root().join("envoy-config").join(file))?;
    bootstrap::fit(&mut bootstrap, upstreams)?;
    if let Some(place) = collector {
        let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        clusters.retain(|cluster| cluster["name"] != "collector");
        clusters.push(cluster("collector", place));
    }
    Ok(Envoy::start(&bootstrap, 2)?)
}

/// Where nobody listens: this port is given to nobody.
const NOBODY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// A request of its own connection, so that all workers take part.
fn send(envoy: &Envoy, request: &str) -> Result<u16, Failed> {
    Ok(Connection::open(envoy.address())?.exchange(request.as_bytes())?.status)
}

fn get(envoy: &Envoy, path: &str, headers: &str) -> Result<u16, Failed> {
    send(envoy, &format!("GET {path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n{headers}\r\n"))
}

/// Some of everything that the metrics tell apart.
fn traffic(envoy: &Envoy) -> Result<(), Failed> {
    get(envoy, "/users/7", "x-tenant: acme\r\n")?;
    get(envoy, "/users/8", "x-tenant: evil\";code=\"503\r\n")?;
    get(envoy, "/elsewhere", "x-tenant: globex\r\nx-echo-status: 503\r\n")?;
    send(envoy, "POST /orders/3/items HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nabcde")?;
    Ok(())
}

fn labels() -> Result<(), Failed> {
    const ROUNDS: u32 = 5;
    let upstreams = Upstreams::start()?;
    let envoy = envoy("telemetry.yaml", None, &upstreams)?;
    let prometheus = Prometheus::start(envoy.admin(), &[])?;
    for _ in 0..ROUNDS {
        traffic(&envoy)?;
    }
    let rounds = f64::from(ROUNDS);
    let is = |wanted: f64| move |samples: &[Sample]| samples.len() == 1 && samples[0].value == wanted;
    for (query, wanted) in [
        (r#"sum(shop_requests_total{tenant="acme", code="2xx", method="GET", route="stable"})"#, rounds),
        (r#"sum(shop_requests_total{tenant="other", code="2xx"})"#, rounds),
        (r#"sum(shop_requests_total{code="5xx"})"#, rounds),
        (r#"sum(shop_requests_total{method="POST", tenant="unknown"})"#, rounds),
        ("sum(shop_requests_total)", 4.0 * rounds),
        (r#"sum(shop_latency_milliseconds_count{path="/users/{id}"})"#, 2.0 * rounds),
        (r#"sum(shop_latency_milliseconds_count{path="/orders/{id}/items"})"#, rounds),
        (r#"sum(shop_latency_milliseconds_count{path="other"})"#, rounds),
        // As configured: five bytes fit the first bucket of bytes, and a quarter of a GiB is the last.
        (r#"sum(shop_upload_bytes_bucket{le="64"})"#, rounds),
        (r#"count(shop_upload_bytes_bucket)"#, 13.0),
        (r#"sum(shop_latency_milliseconds_bucket{le="10000"})"#, 4.0 * rounds),
        (r#"count(shop_latency_milliseconds_bucket{path="other"})"#, 15.0),
        ("shop_in_flight", 0.0),
    ] {
        prometheus.query_until(query, is(wanted))?;
    }
    let named = prometheus.query("shop_requests_total")?;
    let expected: BTreeSet<&str> =
        ["__name__", "code", "instance", "job", "method", "route", "tenant"].into();
    for sample in named {
        let names: BTreeSet<&str> = sample.labels.keys().map(String::as_str).collect();
        if names != expected {
            return Err(format!("expected the labels {expected:?}, seen {names:?}").into());
        }
    }
    checked_by_promtool(&envoy.admin_get("/stats/prometheus")?)
}

/// Of what telemetry itself writes promtool says nothing but that Envoy has no help texts, and that it would rather have
/// seconds, which a histogram of whole numbers cannot hold.
fn checked_by_promtool(scraped: &str) -> Result<(), Failed> {
    let ours = |line: &&str| {
        let name = line.strip_prefix("# TYPE ").unwrap_or(line);
        name.starts_with("shop_")
    };
    let exposition: String = scraped.lines().filter(ours).map(|line| format!("{line}\n")).collect();
    if !exposition.contains("shop_requests_total{") {
        return Err(format!("nothing to check in\n{scraped}").into());
    }
    let said = match promtool(&["check", "metrics"], Some(&exposition)) {
        Ok(said) => said,
        Err(error) => format!("{error:#}"),
    };
    let known = ["no help text", r#"use base unit "seconds" instead of "milliseconds""#];
    let complaints = said.lines().filter(|line| line.starts_with("shop_"));
    let complaints: Vec<&str> =
        complaints.filter(|line| !known.iter().any(|known| line.ends_with(known))).collect();
    let parsed = !said.contains("error while linting");
    if complaints.is_empty() && parsed { Ok(()) } else { Err(said.into()) }
}

fn dashboard() -> Result<(), Failed> {
    let dashboard: Value =
        serde_json::from_slice(&std::fs::read(repo_root().join("examples/grafana/dashboard.json"))?)?;
    let mut queries = Vec::new();
    let mut variables = Vec::new();
    for panel in dashboard["panels"].as_array().ok_or("no panels")? {
        for target in panel["targets"].as_array().ok_or("a panel without targets")? {
            queries.push(target["expr"].as_str().ok_or("a target without a query")?.to_owned());
        }
    }
    for variable in dashboard["templating"]["list"].as_array().ok_or("no variables")? {
        let query = variable["query"]["query"].as_str();
        variables.extend(query.and_then(|query| query.strip_prefix("label_values(")?.strip_suffix(')')));
    }
    if queries.len() < 10 || variables.len() != 1 {
        return Err(format!("{} queries, {} variables", queries.len(), variables.len()).into());
    }
    let upstreams = Upstreams::start()?;
    let envoy = envoy("telemetry-otlp.yaml", Some(NOBODY), &upstreams)?;
    let rules = repo_root().join("examples/grafana/alerts.yaml");
    let prometheus = Prometheus::start(envoy.admin(), &[&rules])?;
    for variable in variables {
        let (metric, label) = variable.split_once(", ").ok_or("label_values of a metric and a label")?;
        traffic(&envoy)?;
        prometheus.query_until(metric, |samples| {
            !samples.is_empty() && samples.iter().all(|sample| sample.labels.contains_key(label))
        })?;
    }
    for query in queries {
        let query =
            query.replace("$__rate_interval", "10s").replace("$__range", "30s").replace("$route", ".*");
        if query.contains('$') {
            return Err(format!("{query}: a variable that the test does not know").into());
        }
        // A rate needs traffic between two scrapes.
        let sent = |samples: &[Sample]| {
            traffic(&envoy).is_ok()
                && !samples.is_empty()
                && samples.iter().all(|sample| sample.value.is_finite())
        };
        prometheus.query_until(&query, sent)?;
    }
    Ok(())
}

fn alerts() -> Result<(), Failed> {
    let folder = repo_root().join("examples/grafana");
    let path = |file: &str| folder.join(file).display().to_string();
    promtool(&["check", "rules", &path("alerts.yaml")], None)?;
    promtool(&["test", "rules", &path("alerts-test.yaml")], None)?;
    Ok(())
}

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// One request of each kind, with all three signals on their way to one collector.
fn everything_arrives(filter: &str, within: fn(Value) -> Value) -> Result<(), Failed> {
    let collector = Collector::start()?;
    let configuration = json!({
        "metrics_to": {"otlp": {"cluster": "collector"}, "every": "1s"},
        "preset": "otel_http",
        "path_templates": ["/users/{id}"],
        "access_log": [{"to": {"otlp": {"cluster": "collector"}}, "fields": ["path", "query", "status"],
            "batch": {"every": "200ms"}}],
        "trace": {"otlp": {"cluster": "collector"}, "batch": {"every": "200ms"}},
        "resource": {"service.name": "shop-gateway"},
    });
    let upstreams = Upstreams::start()?;
    let configuration = within(configuration);
    let mut bootstrap = bootstrap::with_filters(&[(filter, &configuration)], &upstreams, Form::Struct)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    clusters.push(cluster("collector", collector.address()));
    let envoy = Envoy::start(&bootstrap, 1)?;
    get(
        &envoy,
        "/users/7?token=s3cret&page=2",
        &format!("traceparent: {PARENT}\r\nauthorization: s3cret\r\n"),
    )?;
    get(&envoy, "/nowhere", "x-echo-status: 503\r\n")?;
    // As the collector's debug exporter prints it.
    let expected = [
        "service.name: Str(shop-gateway)",
        // The log record, and that it belongs to the trace.
        "path: Str(/users/7)",
        "query: Str(token=[redacted]&page=2)",
        "status: Int(200)",
        "Trace ID: 4bf92f3577b34da6a3ce929d0e0e4736",
        "SeverityText: ERROR",
        // The span.
        "Name           : GET /users/{id}",
        "Parent ID      : 00f067aa0ba902b7",
        "Kind           : Server",
        "http.route: Str(/users/{id})",
        "envoy.route_name: Str(stable)",
        "Status code    : Error",
        // The metrics of the conventions.
        "-> Name: http.server.request.duration",
        "-> Unit: s",
        "-> Name: http.server.active_requests",
    ];
    let missing = |printed: &str| -> Vec<&str> {
        expected.into_iter().filter(|text| !printed.contains(*text)).collect()
    };
    let printed = collector.wait_until(Duration::from_secs(15), |printed| missing(printed).is_empty());
    let printed = printed.map_err(|error| format!("missing {:?}\n{error}", missing(&collector.printed())))?;
    if printed.contains("s3cret") || envoy.log().contains("s3cret") {
        return Err("a secret was written".into());
    }
    Ok(())
}

/// Killed and started again in mid-traffic: each record is either delivered or counted as dropped.
fn dies_and_comes_back() -> Result<(), Failed> {
    const EACH: u64 = 300;
    let mut collector = Collector::start()?;
    let batch = json!({"max": 20, "every": "200ms"});
    let configuration = json!({
        "access_log": [{"to": {"otlp": {"cluster": "collector", "timeout": "1s"}}, "fields": ["path"],
            "batch": batch, "queue": 100}],
        "trace": {"otlp": {"cluster": "collector", "timeout": "1s"}, "batch": batch, "queue": 100},
    });
    let upstreams = Upstreams::start()?;
    let mut bootstrap = bootstrap::with_filters(&[("telemetry", &configuration)], &upstreams, Form::Struct)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    clusters.push(cluster("collector", collector.address()));
    let envoy = Envoy::start(&bootstrap, 2)?;
    let requests = |phase: &str| -> Result<(), Failed> {
        for number in 0..EACH {
            let status = get(&envoy, &format!("/{phase}/{number}"), "")?;
            if status != 200 {
                return Err(format!("{phase}: a request got {status}").into());
            }
        }
        Ok(())
    };
    let count = |what: &str, signal: &str| {
        envoy.stat_named(&format!("wasmcustom.tidegate.telemetry.{what}_{signal}"))
    };
    let signals = ["log_records", "spans"];
    let until = |what: &str, wanted: &dyn Fn(u64, u64) -> bool| -> Result<(), Failed> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let mut seen = Vec::new();
            for signal in signals {
                seen.push((count("exported", signal)?, count("dropped", signal)?));
            }
            if seen.iter().all(|(exported, dropped)| wanted(*exported, *dropped)) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{what}: exported and dropped are {seen:?}\n{}", envoy.log()).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
    };
    requests("before")?;
    until("some is delivered", &|exported, _| exported > 0)?;
    collector.kill();
    requests("without")?;
    until("some is dropped", &|_, dropped| dropped > 0)?;
    collector.restart()?;
    requests("after")?;
    until("it adds up", &|exported, dropped| exported + dropped == 3 * EACH)?;
    // A message that was taken, but whose answer was lost, is sent twice or taken for lost: never the other way round.
    let paths = |printed: &str| -> BTreeSet<String> {
        let lines = printed.lines().filter(|line| line.contains("-> path: Str(/"));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    let spans = |printed: &str| -> BTreeSet<String> {
        let ids = printed.lines().filter_map(|line| line.trim().strip_prefix("ID             : "));
        ids.map(str::to_owned).collect()
    };
    let (logs_exported, spans_exported) = (count("exported", "log_records")?, count("exported", "spans")?);
    // What it has taken it prints a moment later.
    let printed = collector.wait_until(Duration::from_secs(15), |printed| {
        paths(printed).len() as u64 >= logs_exported && spans(printed).len() as u64 >= spans_exported
    });
    let printed = printed.map_err(|error| {
        format!("{logs_exported} log records and {spans_exported} spans are said to be delivered\n{error}")
    })?;
    let paths = paths(&printed);
    for (signal, seen) in signals.into_iter().zip([paths.len() as u64, spans(&printed).len() as u64]) {
        if seen > 3 * EACH {
            return Err(format!("{seen} {signal} were seen, and {} sent", 3 * EACH).into());
        }
    }
    if !paths.iter().any(|path| path.contains("/after/")) {
        return Err("nothing was delivered after the restart".into());
    }
    Ok(())
}

/// Requests that clients make up: a new label value, a new trace and a record for a collector that is not there, each time.
fn soak() -> Result<(), Failed> {
    const REQUESTS: u64 = 1_000_000;
    /// Enough for all bounds to be reached.
    const WARM: u64 = 200_000;
    const VALUES: u64 = 100_000;
    /// What Envoy itself may gain meanwhile: buffers, connections, allocator caches.
    const MOST_KIB: u64 = 16 * 1024;
    let configuration = json!({
        "metrics": [
            {"name": "by_id_total", "type": "counter", "labels": {"id": {"header": "x-id"}, "code": "status"}},
            {"name": "latency_milliseconds", "type": "histogram", "value": "duration"},
            {"name": "under_way", "type": "gauge", "value": "in_flight"},
        ],
        "max_series": 1_000,
        "access_log": [{"to": {"otlp": {"cluster": "collector"}}, "when": {"sample": 0.1}, "queue": 1_000}],
        "trace": {"sample": 0.1, "otlp": {"cluster": "collector"}, "queue": 1_000},
    });
    let upstreams = Upstreams::start()?;
    let mut bootstrap = bootstrap::with_filters(&[("telemetry", &configuration)], &upstreams, Form::Struct)?;
    let routes = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts/0/routes";
    *bootstrap.pointer_mut(routes).ok_or("no routes")? =
        json!([{"match": {"prefix": "/"}, "direct_response": {"status": 200}}]);
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    clusters.push(cluster("collector", NOBODY));
    let envoy = Envoy::start(&bootstrap, 2)?;
    let many = |from: u64, to: u64| -> Result<(), Failed> {
        thread::scope(|scope| {
            let half = from + (to - from) / 2;
            let parts =
                [from..half, half..to].map(|part| scope.spawn(|| sender(envoy.address(), part, VALUES)));
            parts.into_iter().try_for_each(|part| Ok(part.join().map_err(|_| "a sender panicked")??))
        })
    };
    many(0, WARM)?;
    let warm = envoy.resident_kib()?;
    many(WARM, REQUESTS)?;
    let end = envoy.resident_kib()?;
    println!("{WARM} requests: {warm} KiB, {REQUESTS} requests: {end} KiB");
    if end > warm + MOST_KIB {
        return Err(format!("{warm} KiB after {WARM} requests, {end} KiB after {REQUESTS}").into());
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    loop {
        let series = envoy.stats_below("wasmcustom.code=")?;
        let counted: u64 = series.iter().map(|(_, count)| count).sum();
        let under_way = envoy.stat_named("wasmcustom.under_way")?;
        if counted == REQUESTS && under_way == 0 && series.len() <= 1_001 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("{counted} counted in {} series, {under_way} under way", series.len()).into());
        }
        thread::sleep(Duration::from_millis(50));
    }
}

fn sender(place: SocketAddr, requests: std::ops::Range<u64>, values: u64) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(place)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let mut answer = [0; 1024];
    for request in requests {
        let text = format!("GET / HTTP/1.1\r\nhost: a\r\nx-id: {}\r\n\r\n", request % values);
        stream.write_all(text.as_bytes())?;
        let length = stream.read(&mut answer)?;
        if !answer[..length].starts_with(b"HTTP/1.1 200 ") {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer[..length]).into_owned()));
        }
    }
    Ok(())
}
