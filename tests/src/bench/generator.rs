//! The load: one thread, a few connections, on each one request in flight (Envoy closes connections that pipeline).
//!
//! It has to be cheaper than Envoy, or Envoy would wait for it: a request is bytes made beforehand in which digits change,
//! and of an answer only status and length are looked at.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SndBuf;

use super::load::{Load, Rendered};

/// Connections, as many as the reference measurements had.
const CONNECTIONS: usize = 16;
/// How long Envoy may leave all connections without an answer.
const SILENCE: Duration = Duration::from_secs(10);
/// Larger than any answer.
const BUFFER: usize = 64 * 1024;
/// Larger than any request; the kernel doubles it for its own purposes.
const SEND_BUFFER: usize = 200 * 1024;

/// For how long.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    /// At first without being measured: so long,
    pub(super) ramp: Duration,
    /// and so many requests.
    pub(super) ramp_requests: u64,
    /// Then measured.
    pub(super) window: Duration,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Driven {
    /// All requests, each answered.
    pub(super) all: u64,
    /// Those answered within the window.
    pub(super) requests: u64,
    /// The CPU time that passed within the window on the clock given.
    pub(super) cpu: Duration,
    /// How long the window really was.
    pub(super) wall: Duration,
}

/// Sends the load, from this place of its turn on, and reads `clock` at both ends of the window.
pub(super) fn drive(
    address: SocketAddr,
    load: &Load,
    from: u64,
    span: Span,
    clock: impl Fn() -> Result<Duration>,
) -> Result<Driven> {
    let mut source = Source::new(load, from);
    let epoll = Epoll::new(EpollCreateFlags::empty()).context("epoll")?;
    let mut connections = Vec::new();
    for index in 0..CONNECTIONS {
        let connection = Connection::open(address)?;
        epoll
            .add(&connection.stream, EpollEvent::new(EpollFlags::EPOLLIN, index as u64))
            .context("watching a connection")?;
        connections.push(connection);
    }
    for connection in &mut connections {
        connection.send(source.next())?;
    }

    let mut driven = Driven::default();
    let mut phase = Phase::Ramp(Instant::now());
    let mut in_flight = CONNECTIONS;
    let mut events = [EpollEvent::empty(); CONNECTIONS];
    while in_flight > 0 {
        let ready = epoll.wait(&mut events, SILENCE.as_millis() as u16).context("waiting for answers")?;
        ensure!(ready > 0, "no answer for {} s", SILENCE.as_secs());
        for event in &events[..ready] {
            let connection = &mut connections[event.data() as usize];
            let Some(status) = connection.receive()? else { continue };
            if status != load.status {
                let answer = String::from_utf8_lossy(&connection.buffer[..connection.last]).into_owned();
                bail!("a request was answered with {status}, not {}:\n{answer}", load.status);
            }
            driven.all += 1;
            match phase {
                Phase::Drain => in_flight -= 1,
                Phase::Ramp(_) | Phase::Window(..) => connection.send(source.next())?,
            }
        }
        match phase {
            Phase::Ramp(since) if since.elapsed() >= span.ramp && driven.all >= span.ramp_requests => {
                phase = Phase::Window(Instant::now(), clock()?, driven.all);
            }
            Phase::Window(since, cpu, before) if since.elapsed() >= span.window => {
                driven.cpu = clock()?.saturating_sub(cpu);
                driven.wall = since.elapsed();
                driven.requests = driven.all - before;
                phase = Phase::Drain;
            }
            _ => {}
        }
    }
    Ok(driven)
}

enum Phase {
    /// Since.
    Ramp(Instant),
    /// Since; what the clock showed, and how many requests had been answered.
    Window(Instant, Duration, u64),
    /// What is in flight is waited for.
    Drain,
}

/// The next request's bytes.
struct Source<'a> {
    load: &'a Load,
    rendered: Vec<Rendered>,
    place: u64,
}

impl<'a> Source<'a> {
    fn new(load: &'a Load, place: u64) -> Self {
        Self { load, rendered: load.requests.iter().map(Rendered::new).collect(), place }
    }

    fn next(&mut self) -> &[u8] {
        let (request, key) = self.load.turn(self.place);
        self.place += 1;
        self.rendered[request].with_key(key)
    }
}

struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    filled: usize,
    /// The length of the last answer, which the buffer still holds.
    last: usize,
}

impl Connection {
    fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_nodelay(true)?;
        setsockopt(&stream, SndBuf, &SEND_BUFFER).context("making room for a request's body")?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER], filled: 0, last: 0 })
    }

    /// A request fits into a socket's buffer, which is empty: the answer to the one before has arrived.
    fn send(&mut self, request: &[u8]) -> Result<()> {
        let written = self.stream.write(request).context("sending a request")?;
        ensure!(written == request.len(), "a request of {} bytes was cut at {written}", request.len());
        Ok(())
    }

    /// The status of an answer that has arrived as a whole.
    fn receive(&mut self) -> Result<Option<u16>> {
        match self.stream.read(&mut self.buffer[self.filled..]) {
            Ok(0) => bail!("Envoy closed the connection"),
            Ok(length) => self.filled += length,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("reading an answer"),
        }
        let Some((status, length)) = answer(&self.buffer[..self.filled])? else {
            ensure!(self.filled < BUFFER, "an answer of more than {BUFFER} bytes");
            return Ok(None);
        };
        ensure!(length == self.filled, "more than one answer to one request");
        self.last = self.filled;
        self.filled = 0;
        Ok(Some(status))
    }
}

/// Status and length of the answer that these bytes begin with, if it is complete.
fn answer(bytes: &[u8]) -> Result<Option<(u16, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    const LENGTH: &[u8] = b"\r\ncontent-length: ";
    let Some(end) = find(bytes, END) else { return Ok(None) };
    let head = &bytes[..end];
    let number = |bytes: &[u8]| std::str::from_utf8(bytes).ok()?.parse::<usize>().ok();
    let status = head.strip_prefix(b"HTTP/1.1 ").and_then(|rest| number(rest.get(..3)?));
    let status = status.and_then(|status| u16::try_from(status).ok());
    let Some(status) = status else { bail!("no HTTP/1.1 answer: {:?}", String::from_utf8_lossy(head)) };
    // Envoy writes names in lower case, and a length wherever it knows one; without, there would be chunks.
    let Some(at) = find(head, LENGTH) else {
        bail!(
            "an answer without a length, which this client cannot read: {:?}",
            String::from_utf8_lossy(head)
        );
    };
    let value = &head[at + LENGTH.len()..];
    let value = &value[..find(value, b"\r\n").unwrap_or(value.len())];
    let Some(body) = number(value) else { bail!("a length of {:?}", String::from_utf8_lossy(value)) };
    let length = end + END.len() + body;
    Ok((length <= bytes.len()).then_some((status, length)))
}

/// The first place of `wanted`, which begins with a CR.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == b'\r')?;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_complete_with_its_body() {
        let whole = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nserver: envoy\r\n\r\nstable";
        assert_eq!(answer(whole).unwrap(), Some((200, whole.len())));
        for cut in 0..whole.len() {
            assert_eq!(answer(&whole[..cut]).unwrap(), None, "{cut}");
        }
    }

    #[test]
    fn the_length_may_be_the_last_header() {
        let whole = b"HTTP/1.1 429 Too Many Requests\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(answer(whole).unwrap(), Some((429, whole.len())));
    }

    #[test]
    fn what_cannot_be_read_is_an_error() {
        assert!(answer(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n").is_err());
        assert!(answer(b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n").is_err());
        assert!(answer(b"\r\n\r\n").is_err());
    }
}
