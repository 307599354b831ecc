//! All four filters decide alike whatever protocol a request comes in: HTTP/1.1, HTTP/2 or gRPC, without and with a body
//! and trailers, on one worker and on four.

use e2e::client::{Connection, Multiplexed, Reply};
use e2e::envoy::Envoy;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;
use tidegate_testkit::scenario::{Request, Response};

use crate::all_filters::{all_filters, request, unharmed};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![Trial::test("protocols::many_at_once_on_one_connection", at_once)];
    for workers in [1, 4] {
        trials
            .push(Trial::test(format!("protocols::every_form_of_a_request::workers_{workers}"), move || {
                every_form(workers)
            }));
    }
    trials
}

/// How a request is written.
#[derive(Debug, Clone, Copy)]
enum Form {
    Http1 { body: Option<Framing> },
    Http2 { body: bool, trailers: bool },
    Grpc { message: bool, trailers: bool },
}

/// How an HTTP/1.1 request's body is delimited.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length,
    Chunks,
    ChunksAndTrailers,
}

const FORMS: [Form; 12] = [
    Form::Http1 { body: None },
    Form::Http1 { body: Some(Framing::Length) },
    Form::Http1 { body: Some(Framing::Chunks) },
    Form::Http1 { body: Some(Framing::ChunksAndTrailers) },
    Form::Http2 { body: false, trailers: false },
    Form::Http2 { body: false, trailers: true },
    Form::Http2 { body: true, trailers: false },
    Form::Http2 { body: true, trailers: true },
    Form::Grpc { message: false, trailers: false },
    Form::Grpc { message: false, trailers: true },
    Form::Grpc { message: true, trailers: false },
    Form::Grpc { message: true, trailers: true },
];

const BODY: &[u8] = &[b'x'; 20_000];

fn every_form(workers: u32) -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(workers)?;
    let mut wrong = Vec::new();
    for (number, form) in FORMS.into_iter().enumerate() {
        let mut expect = |what: &str, sent: &Request, expected: Seen| -> Result<(), Failed> {
            let seen = Seen::of(&form.send(&envoy, sent)?, form);
            if seen != expected {
                wrong.push(format!("{form:?}: {what}: expected {expected:?}, seen {seen:?}"));
            }
            Ok(())
        };
        let passed = |backend: &str| Seen {
            status: 200,
            grpc_status: form.is_grpc().then_some(0),
            backend: Some(backend.to_owned()),
            body_bytes: Some(form.body_bytes()),
        };
        let refused = |status: u16, grpc_status: u32| Seen {
            status: if form.is_grpc() { 200 } else { status },
            grpc_status: form.is_grpc().then_some(grpc_status),
            backend: None,
            body_bytes: None,
        };
        let without_key = Request { headers: Vec::new(), ..request("/orders", &[]) };
        expect("with a key", &request("/orders", &[]), passed("stable"))?;
        expect("without a key", &without_key, refused(401, 16))?;
        expect("another's", &other_identity(), refused(403, 7))?;
        expect("routed", &request("/orders", &[(b"x-beta", b"1")]), passed("beta"))?;
        let user = format!("user-{number}").into_bytes();
        let limited = request("/api/items", &[(b"x-user-id", &user)]);
        for _ in 0..3 {
            expect("within the quota", &limited, passed("stable"))?;
        }
        expect("beyond the quota", &limited, refused(429, 8))?;
    }
    if !wrong.is_empty() {
        return Err(format!("{}\n{}", wrong.join("\n"), envoy.log()).into());
    }
    unharmed(&envoy)
}

fn other_identity() -> Request {
    Request { headers: vec![(b"x-api-key".to_vec(), b"globex-key-1".to_vec())], ..request("/admin", &[]) }
}

impl Form {
    fn is_grpc(self) -> bool {
        matches!(self, Self::Grpc { .. })
    }

    /// What the backend gets: a gRPC message has five bytes of framing.
    fn body_bytes(self) -> u64 {
        let body = BODY.len() as u64;
        match self {
            Self::Http1 { body: None } | Self::Http2 { body: false, .. } => 0,
            Self::Http1 { body: Some(_) } | Self::Http2 { body: true, .. } => body,
            Self::Grpc { message, .. } => 5 + if message { body } else { 0 },
        }
    }

    fn send(self, envoy: &Envoy, request: &Request) -> anyhow::Result<Reply> {
        let (grpc, body, trailers) = match self {
            Self::Http1 { body } => return http1(envoy, request, body),
            Self::Http2 { body, trailers } => (false, body, trailers),
            Self::Grpc { message, trailers } => (true, message, trailers),
        };
        let request = Request {
            method: if grpc || body { "POST" } else { "GET" }.to_owned(),
            body: if body { BODY.to_vec() } else { Vec::new() },
            grpc,
            ..request.clone()
        };
        let trailers = trailers.then_some([("x-checksum", "1")].as_slice());
        Multiplexed::open(envoy.address())?.send_all(&[request], trailers)?.remove(0)
    }
}

fn http1(envoy: &Envoy, request: &Request, body: Option<Framing>) -> anyhow::Result<Reply> {
    let mut connection = Connection::open(envoy.address())?;
    let Some(framing) = body else { return connection.send(request) };
    let request = Request { method: "POST".to_owned(), ..request.clone() };
    let chunked = |trailers: &[u8]| {
        let (first, second) = BODY.split_at(BODY.len() / 3);
        let chunk = |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        [&chunk(first), &chunk(second), b"0\r\n".as_slice(), trailers, b"\r\n"].concat()
    };
    let bytes = match framing {
        Framing::Length => return connection.send(&Request { body: BODY.to_vec(), ..request }),
        Framing::Chunks => chunked(b""),
        Framing::ChunksAndTrailers => chunked(b"x-checksum: 1\r\n"),
    };
    let header = (b"transfer-encoding".to_vec(), b"chunked".to_vec());
    let headers = request.headers.iter().cloned().chain([header]).collect();
    connection.start(&Request { headers, ..request })?;
    connection.write(&bytes)?;
    connection.read(false)
}

/// What came of a request.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    grpc_status: Option<u32>,
    backend: Option<String>,
    body_bytes: Option<u64>,
}

impl Seen {
    fn of(reply: &Reply, form: Form) -> Self {
        let echo = if form.is_grpc() { reply.body.get(5..).unwrap_or_default() } else { &reply.body };
        let echo: Value = serde_json::from_slice(echo).unwrap_or_default();
        Self {
            status: reply.status,
            grpc_status: reply.grpc_status(),
            backend: echo["backend"].as_str().map(str::to_owned),
            body_bytes: echo["body_bytes"].as_u64(),
        }
    }
}

fn at_once() -> Result<(), Failed> {
    let (envoy, _upstreams) = all_filters(4)?;
    let mut connection = Multiplexed::open(envoy.address())?;
    let plain = request("/orders", &[]);
    let body = Request { method: "POST".to_owned(), body: vec![b'x'; 100_000], ..plain.clone() };
    let grpc = Request { grpc: true, body: b"m".to_vec(), ..body.clone() };
    let refused = Request { headers: Vec::new(), ..body.clone() };
    let grpc_refused = Request { headers: Vec::new(), ..grpc.clone() };
    let requests = [plain, body, grpc, refused, grpc_refused];
    let expected = [
        (200, None, true),
        (200, None, true),
        (200, Some(0), true),
        (401, None, false),
        (200, Some(16), false),
    ];
    for trailers in [None, Some([("x-checksum", "1")].as_slice())] {
        // Twenty of each at the same time on one connection.
        let many: Vec<Request> = requests.iter().cycle().take(100).cloned().collect();
        let replies = connection.send_all(&many, trailers)?;
        for (index, reply) in replies.into_iter().enumerate() {
            let response = Response::from(reply?);
            let seen = (response.status, response.grpc_status, response.reached.is_some());
            if seen != expected[index % expected.len()] {
                let expected = expected[index % expected.len()];
                return Err(format!("request {index}: expected {expected:?}, seen {seen:?}").into());
            }
        }
    }
    unharmed(&envoy)
}
