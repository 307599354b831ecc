//! Bounds under many values, and labels as Envoy shows them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::ops::Range;
use std::thread;
use std::time::Duration;

use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::json;

use super::{bootstrap, direct, metric, until};

const VALUES: u64 = 100_000;
const MAX_SERIES: usize = 2_000;
const WORKERS: u32 = 2;

/// A client makes up a new value with each request: the number of series has its bound, and no request is lost.
pub(super) fn many_values() -> Result<(), Failed> {
    let by = |name: &str| json!({"name": name, "type": "counter", "labels": {"id": {"header": "x-id"}}});
    let configuration = json!({"metrics": [by("first_total"), by("second_total")], "max_series": MAX_SERIES});
    let upstreams = Upstreams::start()?;
    let envoy = Envoy::start(&bootstrap(&configuration, direct(), [], &upstreams)?, WORKERS)?;
    thread::scope(|scope| {
        let half = VALUES / 2;
        let senders = [0..half, half..VALUES].map(|values| scope.spawn(|| send(&envoy, values)));
        senders
            .into_iter()
            .try_for_each(|sender| Ok::<_, Failed>(sender.join().map_err(|_| "a sender panicked")??))
    })?;
    let mut series = Vec::new();
    until("all requests are told", &envoy, || {
        series = envoy.stats_below("wasmcustom.id=")?;
        Ok(series.iter().map(|(_, count)| count).sum::<u64>() >= 2 * VALUES)
    })?;
    let (overflow, own): (Vec<_>, Vec<_>) =
        series.iter().partition(|(name, _)| name.contains("__overflow__"));
    let overflowed: u64 = overflow.iter().map(|(_, count)| count).sum();
    let counted = overflowed + own.iter().map(|(_, count)| count).sum::<u64>();
    let dropped = metric(&envoy, "tidegate.telemetry.dropped_label_sets")?;
    // As many as there may be, by all workers together; one more for each metric; each request in exactly one of each.
    if (own.len(), overflow.len(), counted, dropped) != (MAX_SERIES, 2, 2 * VALUES, overflowed) {
        return Err(format!(
            "{} series and {} of overflow, {counted} counted, {overflowed} of them overflowed, {dropped} said so",
            own.len(),
            overflow.len()
        )
        .into());
    }
    Ok(())
}

/// One request at a time on a connection, each with a value of its own.
fn send(envoy: &Envoy, values: Range<u64>) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(envoy.address())?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    let mut answer = [0; 1024];
    for value in values {
        stream.write_all(format!("GET / HTTP/1.1\r\nhost: a\r\nx-id: {value}\r\n\r\n").as_bytes())?;
        let length = stream.read(&mut answer)?;
        if !answer[..length].starts_with(b"HTTP/1.1 200 ") {
            return Err(std::io::Error::other(String::from_utf8_lossy(&answer[..length]).into_owned()));
        }
    }
    Ok(())
}

/// What `cargo xtask stats-tags` prints makes labels of names again, and no label of a part of another's name; what a
/// client wrote into a value is a value. The ready-made set has the names that are said.
pub(super) fn labels_arrive() -> Result<(), Failed> {
    let configuration = json!({"preset": "otel_http", "metrics": [{"name": "shop_requests_total", "type": "counter", "labels": {
        "code": "status", "grpc_code": "grpc_status", "tenant": {"header": "x-tenant"}, "x_code": {"header": "x-code"},
    }}]});
    let upstreams = Upstreams::start()?;
    let envoy = Envoy::start(&bootstrap(&configuration, direct(), [], &upstreams)?, 1)?;
    let forged =
        b"GET / HTTP/1.1\r\nhost: a\r\nx-tenant: a;.;grpc_code=.=OK;.;b\r\nx-code: grpc_code=.=9;.;\r\n\r\n";
    Connection::open(envoy.address())?.exchange(forged)?;
    let of_convention = r#"{http_request_method="GET",http_response_status_code="200",network_protocol_version="1.1",url_scheme="http"}"#;
    let mut expected = vec![
        r#"shop_requests_total{code="200",grpc_code="unknown",tenant="a_._grpc_code_._OK_._b",x_code="grpc_code_._9_._"} 1"#
            .to_owned(),
        r#"http_server_active_requests{http_request_method="GET",url_scheme="http"} 0"#.to_owned(),
    ];
    for histogram in ["request_duration_milliseconds", "request_body_size_bytes", "response_body_size_bytes"]
    {
        expected.push(format!("http_server_{histogram}_count{of_convention} 1"));
    }
    let mut seen = Vec::new();
    let told = until("the labels arrive", &envoy, || {
        let scraped = envoy.admin_get("/stats/prometheus")?;
        let ours = |line: &&str| line.starts_with("shop_") || line.starts_with("http_server_");
        seen = scraped.lines().filter(ours).map(str::to_owned).collect();
        Ok(expected.iter().all(|line| seen.contains(line)))
    });
    told.map_err(|_| format!("expected {expected:#?}\nseen {seen:#?}").into())
}
