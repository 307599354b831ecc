//! What scenarios are replayed on.

use std::time::Duration;

use serde::Deserialize;

use super::bytes::shown;

/// Filters in a host, with the backends `stable` and `beta` behind them.
pub trait Target {
    /// Sends one request and waits for its response. `Err` says why there was none.
    fn send(&mut self, request: &Request) -> Result<Response, String>;

    /// Lets time pass.
    fn advance(&mut self, by: Duration);

    /// The sum of all counters, since the start, whose name contains `name`.
    fn metric(&mut self, name: &str) -> u64;

    /// What was logged since the start.
    fn log(&mut self) -> String;

    /// Gives metrics and log lines time to arrive: waits a moment and returns true while it makes sense to look again.
    /// `looks` counts how often somebody has looked. A target without threads has nothing to wait for.
    fn look_again(&mut self, looks: u32) -> bool {
        let _ = looks;
        false
    }
}

/// A request, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `GET`
    pub method: String,
    /// Path and query, as sent.
    pub path: Vec<u8>,
    /// The authority.
    pub host: String,
    /// In the order in which they are sent.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// Without any framing: a gRPC message's five bytes are the target's business.
    pub body: Vec<u8>,
    /// A unary gRPC call: HTTP/2, `content-type: application/grpc`, `te: trailers`.
    pub grpc: bool,
}

impl Request {
    /// A GET for a path of `shop.example`.
    #[must_use]
    pub fn get(path: &str, headers: &[(&str, &str)]) -> Self {
        let headers =
            headers.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()));
        Self {
            method: "GET".to_owned(),
            path: path.as_bytes().to_vec(),
            host: "shop.example".to_owned(),
            headers: headers.collect(),
            body: Vec::new(),
            grpc: false,
        }
    }
}

/// A response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As received.
    pub body: Vec<u8>,
    /// The backend that answered; `None` for a local reply.
    pub reached: Option<String>,
    /// What the backend saw, `:path` and `host` among it, values as [`shown`]; empty for a local reply.
    pub upstream_headers: Vec<(String, String)>,
    /// From the trailers, or the headers of a response without body.
    pub grpc_status: Option<u32>,
}

impl Response {
    /// Fills `reached` and `upstream_headers` from the body or the header `x-echo`, if an echo backend wrote it.
    #[must_use]
    pub fn with_echo(mut self) -> Self {
        #[derive(Deserialize)]
        struct Echo {
            backend: String,
            #[serde(default)]
            path: String,
            headers: Vec<(String, String)>,
        }
        // A gRPC message stands behind five bytes of framing.
        let header =
            self.headers.iter().find(|(name, _)| name == "x-echo").map(|(_, value)| value.as_slice());
        let bodies = [header, Some(self.body.as_slice()), self.body.get(5..)];
        let echo = bodies.into_iter().flatten().find_map(|body| serde_json::from_slice::<Echo>(body).ok());
        if let Some(echo) = echo {
            self.reached = Some(echo.backend);
            self.upstream_headers = echo.headers;
            self.upstream_headers.push((":path".to_owned(), echo.path));
        }
        self
    }

    /// All values of a header, joined by `, `; `None` if it is absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        joined(&self.headers, name, |value| shown(value))
    }

    /// The same of the request as the backend saw it.
    #[must_use]
    pub fn upstream_header(&self, name: &str) -> Option<String> {
        joined(&self.upstream_headers, name, String::clone)
    }
}

fn joined<T>(headers: &[(String, T)], name: &str, text: impl Fn(&T) -> String) -> Option<String> {
    let values: Vec<String> = headers
        .iter()
        .filter(|(other, _)| other.eq_ignore_ascii_case(name))
        .map(|(_, value)| text(value))
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}
