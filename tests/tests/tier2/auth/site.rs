//! An Envoy with auth in it, and servers that answer as a test wants.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use e2e::bootstrap::{self, Form};
use e2e::client::Connection;
use e2e::envoy::Envoy;
use e2e::upstream::Upstreams;
use libtest_mimic::Failed;
use serde_json::Value;
use tidegate_testkit::scenario::{Request, Response};

/// Envoy and what stands behind it.
pub(super) struct Site {
    pub(super) envoy: Envoy,
    _upstreams: Upstreams,
}

impl Site {
    /// With auth, and further clusters.
    pub(super) fn start(auth: &Value, clusters: &[Value], concurrency: u32) -> Result<Self, Failed> {
        Self::start_with(&[("auth", auth)], clusters, concurrency, |_| ())
    }

    /// With these filters, in a bootstrap that `change` has the last word on.
    pub(super) fn start_with(
        filters: &[(&str, &Value)],
        clusters: &[Value],
        concurrency: u32,
        change: impl FnOnce(&mut Value),
    ) -> Result<Self, Failed> {
        let upstreams = Upstreams::start()?;
        let mut bootstrap = bootstrap::with_filters(filters, &upstreams, Form::Struct)?;
        let list = bootstrap["static_resources"]["clusters"].as_array_mut().ok_or("no clusters")?;
        list.extend_from_slice(clusters);
        change(&mut bootstrap);
        Ok(Self { envoy: Envoy::start(&bootstrap, concurrency)?, _upstreams: upstreams })
    }

    pub(super) fn send(&self, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
        send(self.envoy.address(), path, headers)
    }

    pub(super) fn status(&self, path: &str, headers: &[(&str, &str)]) -> Result<u16, Failed> {
        Ok(self.send(path, headers)?.status)
    }

    /// The status must be this one.
    pub(super) fn expect(
        &self,
        what: &str,
        expected: u16,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(), Failed> {
        let seen = self.status(path, headers)?;
        if seen == expected {
            return Ok(());
        }
        Err(format!("{what}: expected {expected}, seen {seen}\n{}", self.envoy.log()).into())
    }
}

/// A GET on a connection of its own.
pub(super) fn send(address: SocketAddr, path: &str, headers: &[(&str, &str)]) -> Result<Response, Failed> {
    let request = Request::get(path, headers);
    Ok(Connection::open(address)?.send(&request)?.into())
}

/// What a server answers a request with before it closes.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// These bytes.
    Bytes(Vec<u8>),
    /// Nothing, and the connection stays open.
    Silence,
    /// Whatever is set when the gate opens.
    Gate,
}

impl Answer {
    pub(super) fn of(status: &str, body: &str) -> Self {
        let head =
            format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
        Self::Bytes([head.as_bytes(), body.as_bytes()].concat())
    }
}

/// A server whose answer can be changed.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    answer: Arc<(Mutex<Answer>, Condvar)>,
    requests: Arc<AtomicUsize>,
    seen: Arc<Mutex<String>>,
}

impl Server {
    pub(super) fn start(answer: Answer) -> Result<Self, Failed> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let server = Self {
            address: listener.local_addr()?,
            answer: Arc::new((Mutex::new(answer), Condvar::new())),
            requests: Arc::new(AtomicUsize::new(0)),
            seen: Arc::default(),
        };
        let serving = server.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let serving = serving.clone();
                thread::spawn(move || serving.serve(stream));
            }
        });
        Ok(server)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut buffer = [0; 16 * 1024];
        let Ok(length @ 1..) = stream.read(&mut buffer) else { return };
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = request;
        self.requests.fetch_add(1, Ordering::SeqCst);
        let (answer, changed) = &*self.answer;
        let mut answer = answer.lock().unwrap_or_else(PoisonError::into_inner);
        while matches!(*answer, Answer::Gate) {
            answer = changed.wait(answer).unwrap_or_else(PoisonError::into_inner);
        }
        let now = answer.clone();
        drop(answer);
        match now {
            Answer::Bytes(bytes) => {
                let _ = stream.write_all(&bytes);
                let _ = stream.shutdown(Shutdown::Write);
                // Closing with bytes unread would reset the connection.
                let _ = stream.read(&mut buffer);
            }
            // Until the other side gives up.
            Answer::Silence | Answer::Gate => drop(stream.read(&mut buffer)),
        }
    }

    pub(super) fn set(&self, answer: Answer) {
        *self.answer.0.lock().unwrap_or_else(PoisonError::into_inner) = answer;
        self.answer.1.notify_all();
    }

    /// How many requests have come.
    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// The last request, as it came.
    pub(super) fn seen(&self) -> String {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn cluster(&self, name: &str) -> Value {
        bootstrap::cluster(name, self.address)
    }
}

/// Looks again until it holds.
pub(super) fn eventually(what: &str, mut holds: impl FnMut() -> Result<bool, Failed>) -> Result<(), Failed> {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(15);
    while !holds()? {
        if std::time::Instant::now() > deadline {
            return Err(format!("not so in 15 s: {what}").into());
        }
        thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(())
}
