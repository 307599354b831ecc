//! Ways in which an exchange can end.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, mpsc};

use e2e::bootstrap::cluster;
use e2e::client::{Connection, http2};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::{Value, json};
use tidegate_testkit::scenario::Request;

use super::peers::{NOBODY, read_request, server};
use super::{bootstrap, manager, metric, until};

fn configuration() -> Value {
    json!({"metrics": [
        {"name": "ended_total", "type": "counter", "labels": {
            "flags": "response_flags", "grpc": "grpc_status", "method": "method", "protocol": "protocol",
            "route": "route_name", "status": "status",
        }},
        {"name": "under_way", "type": "gauge", "value": "in_flight"},
        {"name": "response_bytes_total", "type": "counter", "value": "response_bytes", "labels": {"route": "route_name"}},
        {"name": "request_bytes_total", "type": "counter", "value": "request_bytes", "labels": {"route": "route_name"}},
    ]})
}

/// Whom routes lead to, each under its name as a prefix.
fn backends(upstreams: &Upstreams) -> Result<Vec<(&'static str, SocketAddr)>, Failed> {
    let silent = server(|mut stream| drop(stream.read_to_end(&mut Vec::new())))?;
    let after_request = |answer: &'static str| {
        server(move |stream| {
            let mut stream = BufReader::new(stream);
            if read_request(&mut stream).is_some() {
                // Whoever is gone gets no answer.
                let _ = stream.get_mut().write_all(answer.as_bytes());
            }
        })
    };
    let closing = after_request("")?;
    let cut = after_request("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc")?;
    // What comes behind the answer is sent back, until the client is done.
    let upgrade = server(|stream| {
        let mut stream = BufReader::new(stream);
        if read_request(&mut stream).is_none() {
            return;
        }
        let answer = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
        let mut piece = [0; 64];
        let _ = stream.get_mut().write_all(answer);
        while let Ok(length @ 1..) = stream.read(&mut piece) {
            let _ = stream.get_mut().write_all(&piece[..length]);
        }
    })?;
    Ok(vec![
        ("echo", upstreams.stable),
        ("dead", NOBODY),
        ("silent", silent),
        ("closing", closing),
        ("cut", cut),
        ("upgrade", upgrade),
    ])
}

fn envoy(upstreams: &Upstreams) -> Result<Envoy, Failed> {
    let backends = backends(upstreams)?;
    let route = |name: &str| {
        // Long enough for a client to go away before, short enough to wait for.
        let timeout = if name == "silent" { "1s" } else { "15s" };
        json!({"name": name, "match": {"prefix": format!("/{name}")}, "route": {"cluster": name, "timeout": timeout}})
    };
    let mut routes: Vec<Value> = backends.iter().map(|(name, _)| route(name)).collect();
    routes.push(json!({"name": "patient", "match": {"prefix": "/patient"}, "route": {"cluster": "silent", "timeout": "0s"}}));
    routes
        .push(json!({"name": "direct", "match": {"prefix": "/direct"}, "direct_response": {"status": 418}}));
    routes.push(
        json!({"name": "moved", "match": {"prefix": "/moved"}, "redirect": {"path_redirect": "/echo"}}),
    );
    let clusters = backends.iter().map(|(name, place)| cluster(name, *place));
    let mut bootstrap = bootstrap(&configuration(), json!(routes), clusters, upstreams)?;
    let manager = manager(&mut bootstrap)?;
    manager["http_protocol_options"] =
        json!({"accept_http_10": true, "default_host_for_http_10": "shop.example"});
    manager["upgrade_configs"] = json!([{"upgrade_type": "websocket"}]);
    let filters = manager["http_filters"].as_array_mut().ok_or("no filters")?;
    let deny = json!({"action": "DENY", "policies": {"forbidden": {
        "permissions": [{"header": {"name": "x-forbidden", "present_match": true}}],
        "principals": [{"any": true}],
    }}});
    // In front of telemetry, so that it never sees the request; and one behind it.
    filters.insert(0, native("rbac", "rbac.v3.RBAC", json!({"rules": deny})));
    let faults = json!({"abort": {"header_abort": {}, "percentage": {"numerator": 100}}});
    filters.insert(2, native("fault", "fault.v3.HTTPFault", faults));
    Ok(Envoy::start(&bootstrap, 2)?)
}

fn native(name: &str, message: &str, mut config: Value) -> Value {
    config["@type"] = json!(format!("type.googleapis.com/envoy.extensions.filters.http.{message}"));
    json!({"name": format!("envoy.filters.http.{name}"), "typed_config": config})
}

fn request(path: &str, headers: &[(&str, &str)], grpc: bool) -> Request {
    let headers = headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
    Request {
        method: if grpc { "POST" } else { "GET" }.to_owned(),
        path: path.as_bytes().to_vec(),
        host: "shop.example".to_owned(),
        headers: headers.collect(),
        body: Vec::new(),
        grpc,
    }
}

/// Sends bytes, reads what comes back until the peer has nothing more to say.
fn raw(envoy: &Envoy, bytes: &[u8]) -> Result<(), Failed> {
    let mut connection = Connection::open(envoy.address())?;
    connection.write(bytes)?;
    // What it is does not matter here, nor whether the connection is closed in the middle of it.
    let _ = connection.read(false);
    Ok(())
}

/// One exchange of each kind: each is counted once, as what it was, and nothing stays under way.
pub(super) fn every_ending() -> Result<(), Failed> {
    let upstreams = Upstreams::start()?;
    let envoy = envoy(&upstreams)?;
    // `flags`, `grpc`, `method`, `protocol`, `route`, `status` of each.
    let mut expected: Vec<[&str; 6]> = Vec::new();
    let plain = [
        ("/echo", [], ["unknown", "unknown", "GET", "HTTP/1.1", "echo", "200"]),
        ("/dead", [], ["UF", "unknown", "GET", "HTTP/1.1", "dead", "503"]),
        ("/silent", [], ["UT", "unknown", "GET", "HTTP/1.1", "silent", "504"]),
        ("/closing", [], ["UC", "unknown", "GET", "HTTP/1.1", "closing", "503"]),
        ("/nowhere", [], ["NR", "unknown", "GET", "HTTP/1.1", "unknown", "404"]),
        ("/direct", [], ["unknown", "unknown", "GET", "HTTP/1.1", "direct", "418"]),
        ("/moved", [], ["unknown", "unknown", "GET", "HTTP/1.1", "moved", "301"]),
    ];
    for (path, headers, seen) in plain {
        Connection::open(envoy.address())?.send(&request(path, &headers, false))?;
        expected.push(seen);
    }
    let denied = [
        ("x-forbidden", "1", ["unknown", "unknown", "GET", "HTTP/1.1", "echo", "403"]),
        ("x-envoy-fault-abort-request", "503", ["FI", "unknown", "GET", "HTTP/1.1", "echo", "503"]),
    ];
    for (name, value, seen) in denied {
        Connection::open(envoy.address())?.send(&request("/echo", &[(name, value)], false))?;
        expected.push(seen);
    }
    let calls = [
        ("/echo", "0", ["unknown", "OK", "POST", "HTTP/2", "echo", "200"]),
        ("/echo", "7", ["unknown", "PERMISSION_DENIED", "POST", "HTTP/2", "echo", "200"]),
        ("/dead", "0", ["UF", "UNAVAILABLE", "POST", "HTTP/2", "dead", "200"]),
    ];
    for (path, status, seen) in calls {
        http2(envoy.address(), &request(path, &[("x-echo-grpc-status", status)], true))?;
        expected.push(seen);
    }
    let rude: [(&[u8], [&str; 6]); 4] = [
        (b"GET /cut HTTP/1.1\r\nhost: a\r\n\r\n", ["UPE", "unknown", "GET", "HTTP/1.1", "cut", "200"]),
        (b"GET /echo HTTP/1.0\r\n\r\n", ["unknown", "unknown", "GET", "HTTP/1.0", "echo", "200"]),
        (b"no request at all\r\n\r\n", ["DPE", "unknown", "unknown", "HTTP/1.1", "unknown", "400"]),
        (
            b"PROPFIND /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc",
            ["unknown", "unknown", "_OTHER", "HTTP/1.1", "echo", "200"],
        ),
    ];
    for (bytes, seen) in rude {
        raw(&envoy, bytes)?;
        expected.push(seen);
    }
    upgrade(&envoy)?;
    expected.push(["DC", "unknown", "GET", "HTTP/1.1", "upgrade", "101"]);
    // A client that goes away while it waits: not before the request is seen to be under way.
    let mut gone = Connection::open(envoy.address())?;
    gone.start(&request("/patient", &[], false))?;
    until("a request is under way", &envoy, || Ok(metric(&envoy, "under_way")? == 1))?;
    drop(gone);
    expected.push(["DC", "unknown", "GET", "HTTP/1.1", "patient", "unknown"]);

    let name = |values: &[&str; 6]| {
        let labels = ["flags", "grpc", "method", "protocol", "route", "status"];
        let labels: String =
            labels.iter().zip(values).map(|(label, value)| format!("{label}=.={value};.;")).collect();
        format!("wasmcustom.{labels}ended_total")
    };
    let mut names: Vec<String> = expected.iter().map(name).collect();
    names.sort_unstable();
    let mut seen = Vec::new();
    let told = until("every ending is told", &envoy, || {
        seen = envoy.stats_below("wasmcustom.flags")?;
        Ok(seen.iter().map(|(_, count)| count).sum::<u64>() >= names.len() as u64)
    });
    seen.sort_unstable();
    let once: Vec<(String, u64)> = names.into_iter().map(|name| (name, 1)).collect();
    if seen != once {
        return Err(format!("expected {once:#?}\nseen {seen:#?}\n{}", envoy.log()).into());
    }
    told?;
    until("nothing is under way", &envoy, || Ok(metric(&envoy, "under_way")? == 0))
}

/// Bytes in both directions over a connection that has been switched over.
fn upgrade(envoy: &Envoy) -> Result<(), Failed> {
    let mut stream = TcpStream::connect(envoy.address())?;
    stream.set_read_timeout(Some(std::time::Duration::from_secs(15)))?;
    stream.write_all(
        b"GET /upgrade HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    )?;
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        answer.push(byte[0]);
    }
    if !answer.starts_with(b"HTTP/1.1 101 ") {
        return Err(String::from_utf8_lossy(&answer).into_owned().into());
    }
    stream.write_all(b"twelve bytes")?;
    let mut back = [0; 12];
    stream.read_exact(&mut back)?;
    // It is one exchange, and not over before the connection is.
    until("the upgraded connection is under way", envoy, || Ok(metric(envoy, "under_way")? == 1))?;
    drop(stream);
    until("it is over, and its bytes are told", envoy, || {
        let bytes = |name: &str| metric(envoy, &format!("route=.=upgrade;.;{name}"));
        let seen =
            (metric(envoy, "under_way")?, bytes("request_bytes_total")?, bytes("response_bytes_total")?);
        Ok(seen == (0, 12, 12))
    })
}

/// A stream is under way for as long as it lasts, and its bytes are told at its end.
pub(super) fn long_streams() -> Result<(), Failed> {
    const PIECES: u64 = 5;
    let upstreams = Upstreams::start()?;
    let (next, told) = mpsc::channel::<()>();
    let told = Arc::new(Mutex::new(told));
    // A piece each time it is told to; the end when nobody tells any more.
    let stream = server(move |stream| {
        let mut stream = BufReader::new(stream);
        if read_request(&mut stream).is_none() {
            return;
        }
        let stream = stream.get_mut();
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
        let Ok(told) = told.lock() else { return };
        while told.recv().is_ok() {
            let _ = stream.write_all(b"4\r\nabcd\r\n");
        }
        let _ = stream.write_all(b"0\r\n\r\n");
    })?;
    let routes = json!([{"name": "stream", "match": {"prefix": "/"}, "route": {"cluster": "stream", "timeout": "0s"}}]);
    let bootstrap = bootstrap(&configuration(), routes, [cluster("stream", stream)], &upstreams)?;
    let envoy = Envoy::start(&bootstrap, 2)?;
    let mut client = Connection::open(envoy.address())?;
    client.start(&request("/", &[], false))?;
    let bytes = "route=.=stream;.;response_bytes_total";
    for _ in 0..PIECES {
        next.send(())?;
        until("the stream is under way", &envoy, || Ok(metric(&envoy, "under_way")? == 1))?;
        if metric(&envoy, bytes)? != 0 {
            return Err("bytes are told before the end".into());
        }
    }
    drop(next);
    let reply = client.read(false)?;
    if reply.body.len() as u64 != 4 * PIECES {
        return Err(format!("{} bytes arrived", reply.body.len()).into());
    }
    until("the stream is over", &envoy, || {
        Ok((metric(&envoy, "under_way")?, metric(&envoy, bytes)?) == (0, 4 * PIECES))
    })
}
