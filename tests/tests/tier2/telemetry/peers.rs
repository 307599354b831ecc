//! Servers that behave as badly as a test wants.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Where nobody listens: a port that was free a moment ago may be somebody's by now, and this one is given to nobody.
pub(super) const NOBODY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1));

/// Serves each connection in a thread of its own.
pub(super) fn server(serve: impl Fn(TcpStream) + Send + Sync + 'static) -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = Arc::clone(&serve);
            thread::spawn(move || serve(stream));
        }
    });
    Ok(address)
}

/// Reads the head of a request, and its body where its length is announced. `None` at the end of the connection.
pub(super) fn read_request(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut length = 0;
    let mut begun = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(announced) = line.strip_prefix("content-length:") {
            length = announced.trim().parse().ok()?;
        }
        if line.is_empty() && begun {
            break;
        }
        begun = true;
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(body)
}

/// A collector that answers as it is told to.
#[derive(Clone, Default)]
pub(super) struct Collector(Arc<Mutex<Told>>);

#[derive(Default)]
struct Told {
    answer: &'static str,
    delay: Duration,
    calls: Vec<Instant>,
    /// Bodies of messages that were taken.
    taken: Vec<Vec<u8>>,
}

pub(super) const TAKEN: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";

impl Collector {
    pub(super) fn start(answer: &'static str) -> std::io::Result<(Self, SocketAddr)> {
        let collector = Self::default();
        collector.answer(answer, Duration::ZERO);
        let shared = collector.clone();
        let address = server(move |stream| shared.serve(stream))?;
        Ok((collector, address))
    }

    /// From now on it answers like this, after so long.
    pub(super) fn answer(&self, answer: &'static str, delay: Duration) {
        let mut told = self.0.lock().expect("no panic while it was held");
        (told.answer, told.delay) = (answer, delay);
    }

    /// When it was called.
    pub(super) fn calls(&self) -> Vec<Instant> {
        self.0.lock().expect("no panic while it was held").calls.clone()
    }

    /// How often these bytes stand in what it took.
    pub(super) fn taken(&self, wanted: &[u8]) -> u64 {
        let told = self.0.lock().expect("no panic while it was held");
        told.taken
            .iter()
            .map(|body| body.windows(wanted.len()).filter(|part| *part == wanted).count() as u64)
            .sum()
    }

    fn serve(&self, stream: TcpStream) {
        let Ok(mut answers) = stream.try_clone() else { return };
        let mut requests = BufReader::new(stream);
        while let Some(body) = read_request(&mut requests) {
            let (answer, delay) = {
                let mut told = self.0.lock().expect("no panic while it was held");
                told.calls.push(Instant::now());
                if told.answer == TAKEN && told.delay.is_zero() {
                    told.taken.push(body);
                }
                (told.answer, told.delay)
            };
            thread::sleep(delay);
            if answers.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}
