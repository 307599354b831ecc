//! Callouts of every unhappy kind, through the probe: an event for the filter, never a trap, never a request that hangs.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::thread;

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_testkit::scenario::{Request, Response};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("callouts::every_end_is_an_event", every_end_is_an_event),
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

/// A trap strands the VM's paused requests; a new VM serves the next one, and Envoy itself stays up.
fn a_trap_ends_in_a_new_vm() -> Result<(), Failed> {
    let mut envoy = probe(1)?;
    let address = envoy.address();
    let paused =
        thread::spawn(move || Connection::open(address)?.send(&request(&[("x-probe-call", "silent")])));
    let trapped = send(&envoy, &[("x-probe-trap", "1")])?;
    if trapped.status == 200 {
        return Err("a request that trapped was let through".into());
    }
    if !envoy.log().contains("the probe was told to trap") {
        return Err(format!("the panic hook said nothing\n{}", envoy.log()).into());
    }
    let paused = paused.join().map_err(|_| "the paused request's thread panicked")?;
    if paused.is_ok_and(|reply| reply.status == 200) {
        return Err("a request whose VM trapped was let through".into());
    }
    // Envoy waits about a second before it makes a new VM.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while send(&envoy, &[])?.status != 200 {
        if std::time::Instant::now() > deadline || !envoy.is_alive() {
            return Err(format!("no new VM\n{}", envoy.log()).into());
        }
        thread::sleep(std::time::Duration::from_millis(50));
    }
    Ok(())
}

/// An Envoy with the probe, and a cluster for each kind of answer.
fn probe(concurrency: u32) -> Result<Envoy, Failed> {
    let upstreams = Box::leak(Box::new(Upstreams::start()?));
    let configuration = json!({"timeout": "300ms"});
    let mut bootstrap = bootstrap::with_filters(&[("probe", &configuration)], upstreams, Form::StringValue)?;
    let clusters = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
    for (name, answer, _) in ANSWERS {
        clusters.push(bootstrap::cluster(name, answering(answer)?));
    }
    Ok(Envoy::start(&bootstrap, concurrency)?)
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
    Request {
        method: "GET".to_owned(),
        path: b"/".to_vec(),
        host: "shop.example".to_owned(),
        headers: headers
            .iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect(),
        body: Vec::new(),
        grpc: false,
    }
}
