//! Requests that well-behaved clients do not send: each gets a decision, none traps a worker.

use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::scenario::{Request, Response};

use crate::all_filters::{all_filters, expect_status, request, send, unharmed};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("hostile::bytes_in_every_header_position", bytes_everywhere),
        Trial::test("hostile::a_thousand_headers", many_headers),
        Trial::test("hostile::malformed_requests", malformed),
        Trial::test("hostile::random_hosts_make_no_stats", random_hosts),
        Trial::test("hostile::random_label_values_end_in_one_overflow_series", random_labels),
        Trial::test("hostile::names_that_backends_take_for_others_are_refused", underscores),
        Trial::test("hostile::quota_is_exact_over_four_workers", exact_quota),
    ]
}

fn bytes_everywhere() -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(1)?;
    let raw: &[u8] = b"a\xff\xfe\x80b";
    let read_by_filters: [&[u8]; 8] = [
        b"x-user-id",
        b"x-beta",
        b"x-opt-out",
        b"x-tidegate-route",
        b"x-auth-subject",
        b"x-tenant",
        b"x-other",
        b"user-agent",
    ];
    for name in read_by_filters {
        let reply = send(&envoy, &request("/api/bytes", &[(name, raw)]))?;
        expect_status(&String::from_utf8_lossy(name), &[200], &reply)?;
    }
    let reply = send(&envoy, &request("/orders", &[(b"x-api-key", raw)]))?;
    expect_status("x-api-key", &[401], &reply)?;
    // A name that is no token is Envoy's to refuse; a filter that saw it must survive.
    for name in [b"x-\xff".as_slice(), b"\xc3\xa9", b"x y", b""] {
        let reply = send(&envoy, &request("/orders", &[(name, b"1")]))?;
        expect_status("a name that is no token", &[400], &reply)?;
    }
    for path in [b"/a\xff".as_slice(), b"/\xc3\xa9"] {
        let reply = send(&envoy, &Request { path: path.to_vec(), ..request("/", &[]) })?;
        expect_status("a path of any bytes", &[400], &reply)?;
    }
    unharmed(&envoy)
}

fn many_headers() -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(1)?;
    // Above 1,024 pairs Envoy's call that sets all headers at once silently drops every one of them.
    let names: Vec<Vec<u8>> = (0..1100).map(|n| format!("x-{n}").into_bytes()).collect();
    let headers: Vec<(&[u8], &[u8])> = names.iter().map(|name| (name.as_slice(), b"v".as_slice())).collect();
    let response = Response::from(send(&envoy, &request("/orders", &headers))?);
    let arrived = response.upstream_headers.iter().filter(|(_, value)| value == "v").count();
    let subject = response.upstream_header("x-auth-subject");
    if (response.status, arrived, subject.as_deref()) != (200, 1100, Some("acme")) {
        return Err(format!(
            "expected 200, 1100 headers, acme; seen {}, {arrived}, {subject:?}",
            response.status
        )
        .into());
    }
    // Without a key they are refused like any other.
    let bare =
        Request { headers: request("/orders", &headers).headers.split_off(1), ..request("/orders", &[]) };
    expect_status("1,100 headers without a key", &[401], &send(&envoy, &bare)?)?;
    unharmed(&envoy)
}

fn malformed() -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(1)?;
    // Envoy answers these itself: filters see nothing but the end of the exchange.
    let texts: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\ncontent-length: x\r\n\r\n",
        b"BREW /pot HTTP/1.1\r\nhost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\nhost: a\r\n\r\n",
    ];
    for text in texts {
        let reply = Connection::open(envoy.address())?.exchange(text)?;
        expect_status(&String::from_utf8_lossy(text), &[400, 426, 505], &reply)?;
    }
    // The end of each reached the filters, which saw no header of it.
    settled(&envoy)?;
    let counted = envoy.stat(";.;shop_requests_total")?;
    if counted != texts.len() as u64 {
        return Err(format!("expected {} exchanges counted, seen {counted}", texts.len()).into());
    }
    // Without a path there is nothing to hold rules on paths against, whoever asks.
    for (key, expected) in [("", 400), ("x-api-key: acme-key-1\r\n", 400)] {
        let text = format!("CONNECT shop.example:443 HTTP/1.1\r\nhost: shop.example:443\r\n{key}\r\n");
        let reply = Connection::open(envoy.address())?.exchange(text.as_bytes())?;
        expect_status("CONNECT", &[expected], &reply)?;
    }
    // And one that goes away before it was answered.
    Connection::open(envoy.address())?
        .write(b"GET /healthz HTTP/1.1\r\nhost: a\r\nx-echo-delay-ms: 300\r\n\r\n")?;
    unharmed(&envoy)
}

/// Labels that clients choose freely: the bound holds them.
fn random_labels() -> Result<(), Failed> {
    const MOST: usize = 10;
    const SENT: u32 = 500;
    let upstreams = Upstreams::start()?;
    let telemetry = json!({
        "metrics": [{"name": "chosen", "type": "counter", "labels": {"host": "host", "tenant": {"header": "x-tenant"}}}],
        "max_series": MOST,
    });
    let bootstrap = bootstrap::with_filters(&[("telemetry", &telemetry)], &upstreams, Form::Struct)?;
    let envoy = Envoy::start(&bootstrap, 1)?;
    for n in 0..SENT {
        let tenant = format!("tenant-{n}").into_bytes();
        let mut request = request("/", &[(b"x-tenant", &tenant)]);
        request.host = format!("host-{n}.example");
        expect_status("a host", &[200], &send(&envoy, &request)?)?;
    }
    let deadline = Instant::now() + Duration::from_secs(5);
    let overflowing = u64::from(SENT) - MOST as u64;
    while envoy.stat("__overflow__")? != overflowing {
        if Instant::now() > deadline {
            return Err(format!(
                "expected {overflowing} in one series, seen {}",
                envoy.stat("__overflow__")?
            )
            .into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let series = envoy.stats()?.iter().filter(|(name, _)| name.ends_with("chosen")).count();
    if series != MOST + 1 {
        return Err(format!("expected {} series, seen {series}", MOST + 1).into());
    }
    Ok(())
}

/// CGI, WSGI and PHP make one variable of `x-auth-subject` and `x_auth_subject`.
fn underscores() -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(1)?;
    for name in [b"x_auth_subject".as_slice(), b"x_tidegate_route"] {
        for path in ["/healthz", "/orders"] {
            let reply = send(&envoy, &request(path, &[(name, b"root")]))?;
            expect_status("a name with an underscore", &[400], &reply)?;
        }
    }
    unharmed(&envoy)
}

fn random_hosts() -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(1)?;
    let send_hosts = |range: std::ops::Range<u32>| -> Result<usize, Failed> {
        for n in range {
            let tenant = format!("tenant-{n}").into_bytes();
            let mut request = request("/orders", &[(b"x-tenant", &tenant)]);
            request.host = format!("host-{n}.example");
            expect_status("a host", &[200], &send(&envoy, &request)?)?;
        }
        settled(&envoy)
    };
    let before = send_hosts(0..5)?;
    let after = send_hosts(5..200)?;
    if before != after {
        return Err(format!("expected {before} stats lines still, seen {after}").into());
    }
    Ok(())
}

/// The number of stats lines once all exchanges have been counted.
fn settled(envoy: &Envoy) -> Result<usize, Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let counted = envoy.stat(";.;shop_requests_total")?;
        let sent = envoy.stat_named("http.ingress.downstream_rq_completed")?;
        let lines = envoy.admin_get("/stats")?.lines().filter(|line| line.contains("wasmcustom")).count();
        if counted == sent && sent > 0 {
            return Ok(lines);
        }
        if Instant::now() > deadline {
            return Err(format!("{sent} exchanges, {counted} of them counted").into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn exact_quota() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let limit = json!({"limits": [{"name": "all", "key": [{"header": "x-user-id"}],
        "quotas": [{"requests": 100, "per": "1h"}]}]});
    let bootstrap = bootstrap::with_filters(&[("rate-limit", &limit)], &upstreams, Form::Struct)?;
    let envoy = Envoy::start(&bootstrap, 4)?;
    let sender = || -> anyhow::Result<usize> {
        let mut admitted = 0;
        for _ in 0..50 {
            // A connection each: they spread over the workers.
            let reply = Connection::open(envoy.address())?.send(&request("/", &[(b"x-user-id", b"ann")]))?;
            admitted += usize::from(reply.status == 200);
        }
        Ok(admitted)
    };
    let admitted = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..8).map(|_| scope.spawn(sender)).collect();
        let counts = senders
            .into_iter()
            .map(|sender| sender.join().map_err(|_| anyhow::anyhow!("a sender failed"))?);
        counts.sum::<anyhow::Result<usize>>()
    })?;
    // One comes back every 36 seconds: a slow run may see it.
    if !(100..=101).contains(&admitted) {
        return Err(format!("expected 100 of 400 admitted, seen {admitted}").into());
    }
    Ok(())
}
