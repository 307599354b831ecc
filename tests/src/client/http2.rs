//! HTTP/2 without TLS, and gRPC over it.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::http2 as protocol;
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tidegate_testkit::scenario::Request;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{LIMIT, Reply};
use crate::upstream::framed;

type Body = BoxBody<Bytes, std::convert::Infallible>;

/// One connection, any number of requests at the same time.
pub struct Multiplexed {
    runtime: Runtime,
    sender: protocol::SendRequest<Body>,
}

/// A request on a connection of its own; with `grpc`, a unary call.
pub fn http2(address: SocketAddr, request: &Request) -> Result<Reply> {
    let mut connection = Multiplexed::open(address)?;
    let reply = connection.send_all(std::slice::from_ref(request), None)?;
    reply.into_iter().next().context("no reply")?
}

impl Multiplexed {
    /// Connects.
    pub fn open(address: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sender = runtime.block_on(async { timeout(LIMIT, handshake(address)).await })??;
        Ok(Self { runtime, sender })
    }

    /// Sends all requests at once, each with these trailers, and returns the replies in the order of the requests.
    pub fn send_all(
        &mut self,
        requests: &[Request],
        trailers: Option<&[(&str, &str)]>,
    ) -> Result<Vec<Result<Reply>>> {
        let trailers = trailers.map(header_map).transpose()?;
        let mut waiting = Vec::new();
        for request in requests {
            let request = build(request, trailers.clone())?;
            let mut sender = self.sender.clone();
            waiting.push(self.runtime.spawn(async move {
                timeout(LIMIT, async move {
                    sender.ready().await?;
                    let response = sender.send_request(request).await?;
                    read(response).await
                })
                .await?
            }));
        }
        self.runtime.block_on(async {
            let mut replies = Vec::new();
            for reply in waiting {
                replies.push(reply.await?);
            }
            Ok(replies)
        })
    }
}

async fn handshake(address: SocketAddr) -> Result<protocol::SendRequest<Body>> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let (sender, connection) = protocol::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // Its end shows in the requests.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn build(request: &Request, trailers: Option<HeaderMap>) -> Result<hyper::Request<Body>> {
    let path = std::str::from_utf8(&request.path).context("this client's paths are UTF-8")?;
    let mut builder = hyper::Request::builder()
        .method(request.method.as_str())
        .uri(format!("http://{}{path}", request.host));
    if request.grpc {
        builder = builder.header("content-type", "application/grpc").header("te", "trailers");
    }
    for (name, value) in &request.headers {
        builder = builder.header(HeaderName::from_bytes(name)?, HeaderValue::from_bytes(value)?);
    }
    let body = match (request.grpc, request.body.is_empty()) {
        (true, _) => Full::new(framed(&request.body)).boxed(),
        (false, true) => Empty::new().boxed(),
        (false, false) => Full::new(Bytes::from(request.body.clone())).boxed(),
    };
    let body = match trailers {
        Some(trailers) => body.with_trailers(std::future::ready(Some(Ok(trailers)))).boxed(),
        None => body,
    };
    Ok(builder.body(body)?)
}

async fn read(response: hyper::Response<hyper::body::Incoming>) -> Result<Reply> {
    let (head, body) = response.into_parts();
    let collected = body.collect().await?;
    let trailers = collected.trailers().map(pairs).unwrap_or_default();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: pairs(&head.headers),
        body: collected.to_bytes().to_vec(),
        trailers,
    })
}

fn pairs(headers: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    headers.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

fn header_map(headers: &[(&str, &str)]) -> Result<HeaderMap> {
    let pairs = headers
        .iter()
        .map(|(name, value)| Ok((HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?)));
    pairs.collect()
}
