//! A server of files, for hosts that fetch modules.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

/// Answers `GET /NAME` over HTTP/1.1 without TLS, until the process ends: its thread holds nothing else.
#[derive(Debug)]
pub struct Files {
    address: SocketAddr,
}

impl Files {
    /// Serves these on a port of the kernel's choice.
    pub fn serve(files: BTreeMap<String, Vec<u8>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").context("binding a server of files")?;
        let address = listener.local_addr()?;
        let files = Arc::new(files);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let files = Arc::clone(&files);
                // A client that goes away is its own business.
                thread::spawn(move || drop(answer(stream, &files)));
            }
        });
        Ok(Self { address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn answer(mut stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) -> Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let request = lines.next().context("no request")??;
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let path = request.split(' ').nth(1).unwrap_or_default();
    let file = files.get(path.trim_start_matches('/'));
    let (status, body) = file.map_or(("404 Not Found", &b"no such file\n"[..]), |file| ("200 OK", file));
    write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len())?;
    if !request.starts_with("HEAD ") {
        stream.write_all(body)?;
    }
    Ok(())
}
