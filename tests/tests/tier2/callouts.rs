//! Callouts of every unhappy kind, through the probe: an event for the filter, never a trap, never a request that hangs.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;
use std::time::{Duration, Instant};

use e2e::bootstrap::{self, Form};
use e2e::client::{Connection, Multiplexed};
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::scenario::{Request, Response};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("callouts::every_end_is_an_event", every_end_is_an_event),
        Trial::test("callouts::every_end_of_a_grpc_call_is_an_event", every_end_of_a_grpc_call),
        Trial::test("callouts::one_call_serves_all_that_wait_for_it", one_call_serves_all),
        Trial::test("callouts::a_body_is_read_piece_by_piece", bodies),
        Trial::test("callouts::a_held_request_stays_held_while_its_body_arrives", stays_held),
        Trial::test("callouts::response_bodies_and_ticks_are_seen", responses_and_ticks),
        Trial::test("callouts::a_trap_ends_in_a_new_vm", a_trap_ends_in_a_new_vm),
    ]
}

/// What a peer answers a callout with before it closes; `None`: nothing at all, and it stays open. Envoy answers most
/// failures itself, as it would a client: 504 for a timeout, 503 for a reset, 502 for garbage.
type Answer = Option<&'static [u8]>;

const ANSWERS: [(&str, Answer, &str); 6] = [
    ("silent", None, "504"),
    ("closing", Some(b""), "503"),
    ("garbage", Some(b"\x00\xff not HTTP\r\n\r\n"), "502"),
    ("truncated", Some(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc"), "no answer"),
    ("empty", Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"), "200 0 bytes"),
    ("failing", Some(b"HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops"), "500 4 bytes"),
];

fn every_end_is_an_event() -> Result<(), Failed> {
    let envoy = probe(2)?;
    let expected = ANSWERS.iter().map(|(cluster, _, result)| (*cluster, *result));
    let others = [("stable", "200"), ("nowhere", "not sent: bad argument")];
    let mut wrong = Vec::new();
    for (cluster, result) in expected.chain(others) {
        let response = send(&envoy, &[("x-probe-call", cluster)])?;
        let seen =
            response.upstream_header("x-probe-result").unwrap_or_else(|| format!("{}", response.status));
        if !seen.starts_with(result) {
            wrong.push(format!("{cluster}: expected {result}, seen {seen}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), envoy.log()).into()) }
}

fn every_end_of_a_grpc_call() -> Result<(), Failed> {
    let envoy = probe(2)?;
    let mut wrong = Vec::new();
    // A server that speaks something else, one that says nothing, one that is not there, and no cluster at all.
    let ends = [
        ("grpc", "0 "),
        ("grpc-garbage", "gRPC status 14"),
        ("grpc-silent", "gRPC status 14"),
        ("grpc-dead", "gRPC status 14"),
        ("nowhere", "not sent"),
    ];
    for (cluster, result) in ends {
        let response = send(&envoy, &[("x-probe-grpc", cluster)])?;
        let seen = response.upstream_header("x-probe-result").unwrap_or_else(|| response.status.to_string());
        if !seen.starts_with(result) {
            wrong.push(format!("{cluster}: expected {result}, seen {seen}"));
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", wrong.join("\n"), envoy.log()).into()) }
}

fn one_call_serves_all() -> Result<(), Failed> {
    const WAITING: u64 = 8;
    let envoy = probe(1)?;
    let address = envoy.address();
    let senders: Vec<_> = (0..WAITING)
        .map(|_| {
            thread::spawn(move || Connection::open(address)?.send(&request(&[("x-probe-join", "stable")])))
        })
        .collect();
    for sender in senders {
        let reply = sender.join().map_err(|_| "a sender panicked")??;
        let seen = Response::from(reply).upstream_header("x-probe-result").unwrap_or_default();
        if !seen.starts_with("200 ") {
            return Err(format!("expected 200, seen {seen:?}\n{}", envoy.log()).into());
        }
    }
    // The requests themselves, and one call of all of them; two where one was late.
    let calls = envoy.stat_named("cluster.stable.upstream_rq_total")? - WAITING;
    if !(1..=2).contains(&calls) {
        return Err(format!("{calls} calls for {WAITING} requests that waited together").into());
    }
    Ok(())
}

fn bodies() -> Result<(), Failed> {
    let envoy = probe(1)?;
    let body: Vec<u8> = (0..300_000_u32).map(|n| (n % 251) as u8).collect();
    let sum: u64 = body.iter().map(|byte| u64::from(*byte)).sum();
    let expected = format!("{} bytes, checksum {sum}", body.len());
    let with = |body: &[u8]| Request {
        method: "POST".to_owned(),
        body: body.to_vec(),
        ..request(&[("x-probe-body", "1")])
    };
    let whole = Response::from(Connection::open(envoy.address())?.send(&with(&body))?);
    let empty = Response::from(Connection::open(envoy.address())?.send(&with(b""))?);
    let mut replies = vec![(whole, expected.clone()), (empty, "0 bytes, checksum 0".to_owned())];
    // Behind trailers there is no last piece.
    for trailers in [None, Some([("x-checksum", "1")].as_slice())] {
        let reply = Multiplexed::open(envoy.address())?.send_all(&[with(&body)], trailers)?.remove(0)?;
        replies.push((Response::from(reply), expected.clone()));
    }
    for (response, expected) in replies {
        let seen = response.upstream_header("x-probe-result");
        if seen.as_deref() != Some(&*expected) {
            return Err(
                format!("expected {expected}, seen {} {seen:?}\n{}", response.status, envoy.log()).into()
            );
        }
    }
    Ok(())
}

/// With `allow_on_headers_stop_iteration` Envoy goes on with a held request as soon as a piece of its body is not held
/// as well.
fn stays_held() -> Result<(), Failed> {
    let envoy = probe(1)?;
    let body = vec![b'x'; 100_000];
    for call in ["silent", "stable"] {
        let request =
            Request { method: "POST".to_owned(), body: body.clone(), ..request(&[("x-probe-call", call)]) };
        let response = Response::from(Connection::open(envoy.address())?.send(&request)?);
        if response.upstream_header("x-probe-result").is_none() {
            return Err(format!("{call}: went on without the answer: {response:?}\n{}", envoy.log()).into());
        }
    }
    Ok(())
}

fn responses_and_ticks() -> Result<(), Failed> {
    let envoy = probe(1)?;
    let sent = [("x-echo-body", "0123456789")];
    send(&envoy, &sent)?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let bytes = envoy.stat("tidegate.probe.response_bytes")?;
        let ticks = envoy.stat("tidegate.probe.ticks")?;
        if bytes == 11 && ticks > 5 {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("expected 11 bytes and some ticks, seen {bytes} and {ticks}").into());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// A trap strands the VM's paused requests; a new VM serves the next one, and Envoy itself stays up.
fn a_trap_ends_in_a_new_vm() -> Result<(), Failed> {
    // Longer than the test: the paused request must not go on by itself.
    let mut envoy = probe_with(1, true, "60s")?;
    let mut paused = Connection::open(envoy.address())?;
    paused.start(&request(&[("x-probe-call", "silent")]))?;
    wait_for("the callout of the paused request", &envoy, |envoy| {
        Ok(envoy.stat_named("cluster.silent.upstream_rq_active")? == 1)
    })?;
    if paused.has_answer(Duration::ZERO)? {
        return Err("the request was not paused".into());
    }

    let trapped = send(&envoy, &[("x-probe-trap", "1")])?;
    if trapped.status != 500 && trapped.status != 503 {
        return Err(format!("a request that trapped was answered with {}", trapped.status).into());
    }
    if !envoy.log().contains("the probe was told to trap") {
        return Err(format!("the panic hook said nothing\n{}", envoy.log()).into());
    }
    // Envoy waits about a second before it makes a new VM.
    wait_for("a new VM", &envoy, |envoy| Ok(send(envoy, &[])?.status == 200))?;
    let reloads = envoy.stat("vm_reload_success")?;
    if reloads != 1 || !envoy.is_alive() {
        return Err(format!("expected one new VM, seen {reloads}\n{}", envoy.log()).into());
    }
    // What was paused is never let through: nobody who could decide is left.
    if paused.has_answer(Duration::from_secs(1))? {
        let reply = paused.read(false)?;
        if reply.status < 500 {
            return Err(format!("a request whose VM trapped was answered with {}", reply.status).into());
        }
    }
    let reached = envoy.stat_named("cluster.stable.upstream_rq_total")?;
    if reached != 1 {
        return Err(format!("{reached} requests reached the backend, not only the one to the new VM").into());
    }
    Ok(())
}

/// Polls until something is so.
fn wait_for(what: &str, envoy: &Envoy, is_so: impl Fn(&Envoy) -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so(envoy)? {
        if Instant::now() > deadline {
            return Err(format!("{what} did not come about\n{}", envoy.log()).into());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// An Envoy with the probe, and a cluster for each kind of answer.
fn probe(concurrency: u32) -> Result<Envoy, Failed> {
    probe_with(concurrency, true, "300ms")
}

/// `reading`: whether bodies of held requests are shown to the filter; `timeout`: how long callouts may take.
fn probe_with(concurrency: u32, reading: bool, timeout: &str) -> Result<Envoy, Failed> {
    let upstreams = Box::leak(Box::new(Upstreams::start()?));
    let configuration = json!({"timeout": timeout});
    let mut bootstrap = bootstrap::with_filters(&[("probe", &configuration)], upstreams, Form::StringValue)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    for (name, answer, _) in ANSWERS {
        clusters.push(bootstrap::cluster(name, answering(answer)?));
    }
    clusters.push(bootstrap::grpc_cluster("grpc", upstreams.stable));
    clusters.push(bootstrap::grpc_cluster("grpc-garbage", answering(Some(b"not HTTP/2"))?));
    clusters.push(bootstrap::grpc_cluster("grpc-silent", answering(None)?));
    clusters.push(bootstrap::grpc_cluster("grpc-dead", closed()?));
    let plugin = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config";
    bootstrap.pointer_mut(plugin).ok_or("no plugin")?["allow_on_headers_stop_iteration"] = json!(reading);
    Ok(Envoy::start(&bootstrap, concurrency)?)
}

/// An address where nobody listens.
fn closed() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

/// A peer that reads a request, answers and closes.
fn answering(answer: Answer) -> Result<SocketAddr, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        let mut open = Vec::new();
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            if let Some(answer) = answer {
                let _ = stream.read(&mut [0; 4096]);
                let _ = stream.write_all(answer);
                let _ = stream.shutdown(Shutdown::Write);
            }
            open.push(stream);
        }
    });
    Ok(address)
}

fn send(envoy: &Envoy, headers: &[(&str, &str)]) -> Result<Response, Failed> {
    let reply = Connection::open(envoy.address())?.send(&request(headers))?;
    Ok(Response::from(reply))
}

fn request(headers: &[(&str, &str)]) -> Request {
    Request::get("/", headers)
}
