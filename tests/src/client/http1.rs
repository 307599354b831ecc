//! HTTP/1.1 over a socket: what is asked for is sent, byte for byte.

use std::io::{BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tidegate_testkit::scenario::Request;

use super::{LIMIT, Reply};

/// One connection, one request in flight.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// A GET on a connection of its own.
pub fn get(address: SocketAddr, path: &str) -> Result<Reply> {
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    Connection::open(address)?.exchange(head.as_bytes())
}

impl Connection {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&address, LIMIT)
            .with_context(|| format!("connecting to {address}"))?;
        Self::over(stream)
    }

    /// Over a connection that is there already.
    pub fn over(stream: TcpStream) -> Result<Self> {
        stream.set_read_timeout(Some(LIMIT))?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends a request and reads its response.
    pub fn send(&mut self, request: &Request) -> Result<Reply> {
        self.start(request)?;
        self.read(request.method == "HEAD")
    }

    /// Sends a request and leaves its response for later.
    pub fn start(&mut self, request: &Request) -> Result<()> {
        let mut bytes = Vec::new();
        for part in
            [request.method.as_bytes(), b" ", &request.path, b" HTTP/1.1\r\nhost: ", request.host.as_bytes()]
        {
            bytes.extend_from_slice(part);
        }
        for (name, value) in &request.headers {
            for part in [b"\r\n".as_slice(), name, b": ", value] {
                bytes.extend_from_slice(part);
            }
        }
        if !request.body.is_empty() {
            bytes.extend_from_slice(format!("\r\ncontent-length: {}", request.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n\r\n");
        bytes.extend_from_slice(&request.body);
        self.write(&bytes)
    }

    /// Whether anything comes back within that time: a response, or the end of the connection.
    pub fn has_answer(&mut self, within: Duration) -> Result<bool> {
        let stream = self.stream.get_ref();
        stream.set_read_timeout(Some(within.max(Duration::from_millis(1))))?;
        let seen = stream.peek(&mut [0]);
        stream.set_read_timeout(Some(LIMIT))?;
        match seen {
            Ok(_) => Ok(true),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(false),
            Err(error) => Err(error).context("reading"),
        }
    }

    /// Sends bytes that may be no request at all, and reads what comes back.
    pub fn exchange(&mut self, bytes: &[u8]) -> Result<Reply> {
        self.write(bytes)?;
        self.read(false)
    }

    /// Sends bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.get_mut().write_all(bytes).context("sending")
    }

    /// Reads one response; informational ones are passed over.
    pub fn read(&mut self, without_body: bool) -> Result<Reply> {
        loop {
            let mut reply = self.read_head()?;
            if (100..200).contains(&reply.status) {
                continue;
            }
            if !without_body && !matches!(reply.status, 204 | 304) {
                reply.body = self.read_body(&reply)?;
            }
            return Ok(reply);
        }
    }

    fn read_head(&mut self) -> Result<Reply> {
        let line = self.read_line()?;
        let text = String::from_utf8_lossy(&line).into_owned();
        let status = text.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut reply = Reply {
            status: status.with_context(|| format!("no status line: {text:?}"))?,
            ..Reply::default()
        };
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                return Ok(reply);
            }
            let colon =
                line.iter().position(|byte| *byte == b':').context("a header line without a colon")?;
            let name = String::from_utf8_lossy(&line[..colon]).to_ascii_lowercase();
            reply.headers.push((name, line[colon + 1..].trim_ascii().to_vec()));
        }
    }

    fn read_body(&mut self, reply: &Reply) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        if reply.header("transfer-encoding") == Some(b"chunked") {
            loop {
                let line = String::from_utf8(self.read_line()?)?;
                let size = u64::from_str_radix(line.split(';').next().unwrap_or_default(), 16)
                    .with_context(|| format!("chunk size {line:?}"))?;
                self.stream.by_ref().take(size).read_to_end(&mut body)?;
                while !self.read_line()?.is_empty() {}
                if size == 0 {
                    return Ok(body);
                }
            }
        }
        match reply.header("content-length") {
            Some(length) => {
                let length: u64 = std::str::from_utf8(length)?.parse()?;
                self.stream.by_ref().take(length).read_to_end(&mut body)?;
                if body.len() as u64 != length {
                    bail!("{} of {length} body bytes", body.len());
                }
            }
            None => drop(self.stream.read_to_end(&mut body)?),
        }
        Ok(body)
    }

    /// A line without its end.
    fn read_line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line).context("reading")?;
        if line.pop() != Some(b'\n') {
            bail!("the connection was closed");
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Ok(line)
    }
}
