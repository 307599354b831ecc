//! Backends that answer with what they got.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::json;
use tidegate_testkit::scenario::shown;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// More than Envoy lets through.
const MOST_HEADERS: usize = 4_000;

/// The backends `stable` and `beta`, each speaking HTTP/1.1 and HTTP/2 without TLS on one port.
///
/// They answer `{"backend", "method", "path", "headers": [[name, value]…], "body_bytes"}` with bytes that are not
/// printable ASCII as `\xff`. A gRPC call is answered with the same text as a message, and the trailer `grpc-status: 0`.
///
/// | request header | effect |
/// |---|---|
/// | `x-echo-status: 404` | the response's status |
/// | `x-echo-header: name: value` | a header of the response; may stand several times |
/// | `x-echo-body: text` | the response's body instead of the echo, which then goes into its header `x-echo` |
/// | `x-echo-delay-ms: 300` | waits so long |
/// | `x-echo-grpc-status: 5` | the status in a gRPC call's trailers |
#[derive(Debug)]
pub struct Upstreams {
    /// Where `stable` listens.
    pub stable: SocketAddr,
    /// Where `beta` listens.
    pub beta: SocketAddr,
    runtime: Option<Runtime>,
}

impl Upstreams {
    /// Starts both.
    pub fn start() -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("upstream")
            .enable_all()
            .build()
            .context("starting the upstreams' runtime")?;
        let stable = runtime.block_on(listen("stable"))?;
        let beta = runtime.block_on(listen("beta"))?;
        Ok(Self { stable, beta, runtime: Some(runtime) })
    }
}

impl Drop for Upstreams {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn listen(backend: &'static str) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("binding an upstream")?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        // An accept fails when file descriptors run out; the next one may not.
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let _ = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service =
                    service_fn(
                        move |request| async move { Ok::<_, Infallible>(answer(backend, request).await) },
                    );
                let mut server = auto::Builder::new(TokioExecutor::new());
                server.http1().max_headers(MOST_HEADERS);
                server.http2().max_header_list_size(1 << 20);
                // A client that goes away is its own business.
                let _ = server.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Ok(address)
}

type Body = BoxBody<Bytes, Infallible>;

async fn answer(backend: &str, request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let received = body.collect().await.map_or(0, |body| body.to_bytes().len());
    let number =
        |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if let Some(delay) = number("x-echo-delay-ms") {
        tokio::time::sleep(Duration::from_millis(delay)).await;
    }
    // Both versions show the host alike.
    let authority = head.uri.authority().map(|authority| ["host".to_owned(), authority.to_string()]);
    let headers = head.headers.iter().map(|(name, value)| [name.to_string(), shown(value.as_bytes())]);
    let path = head.uri.path_and_query().map_or("", |path| path.as_str());
    let echo = json!({
        "backend": backend,
        "method": head.method.as_str(),
        "path": shown(path.as_bytes()),
        "headers": authority.into_iter().chain(headers).collect::<Vec<_>>(),
        "body_bytes": received,
    });
    let mut text = echo.to_string();
    let mut extra: Vec<(HeaderName, HeaderValue)> =
        head.headers.get_all("x-echo-header").iter().filter_map(wanted_header).collect();
    if let Some(body) = head.headers.get("x-echo-body") {
        extra.push((
            HeaderName::from_static("x-echo"),
            HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("")),
        ));
        text = String::from_utf8_lossy(body.as_bytes()).into_owned();
    }
    let grpc =
        head.headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let mut response = Response::new(if grpc {
        message(&text, number("x-echo-grpc-status").unwrap_or(0))
    } else {
        Full::from(text + "\n").boxed()
    });
    let kind = if grpc { "application/grpc" } else { "application/json" };
    response.headers_mut().insert("content-type", HeaderValue::from_static(kind));
    for (name, value) in extra {
        response.headers_mut().append(name, value);
    }
    let status =
        number("x-echo-status").and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    *response.status_mut() = status.unwrap_or(StatusCode::OK);
    response
}

/// `name: value`
fn wanted_header(text: &HeaderValue) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.to_str().ok()?.split_once(": ")?;
    Some((name.parse().ok()?, value.parse().ok()?))
}

/// A length-prefixed message, and the call's status in trailers.
fn message(text: &str, status: u64) -> Body {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status));
    Full::new(framed(text.as_bytes())).with_trailers(std::future::ready(Some(Ok(trailers)))).boxed()
}

/// A gRPC message with its five bytes of framing.
#[must_use]
pub(crate) fn framed(message: &[u8]) -> Bytes {
    let mut framed = BytesMut::with_capacity(message.len() + 5);
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put_slice(message);
    framed.freeze()
}
