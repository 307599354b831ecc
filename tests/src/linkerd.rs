//! A stand-in for Linkerd's proxy: it does to headers what linkerd2-proxy documents, and nothing else of what that does.
//!
//! Before a meshed program ([`Relay::inbound`]) it takes `l5d-client-id` out of every request and sets it to the name in the
//! caller's certificate, where the caller has one (linkerd2-proxy #184). What it does not take for HTTP, as TLS of the program's
//! own or the bytes of an opaque port, it passes on unread ([`Relay::opaque`]). Behind the program ([`Relay::outbound`], as with
//! `linkerd.io/inject: ingress`) it sends each request where `l5d-dst-override` says, takes that header out, and answers with
//! `l5d-proxy-error` where nobody is there. `l5d-retry-*` and `l5d-timeout` are instructions to it that the program hands on;
//! so that tests see them arrive, they are left in place.
//!
//! The program sees all connections come from loopback, as with the real one.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::header::HeaderValue;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;

/// The header with the caller's name.
pub const CLIENT_ID: &str = "l5d-client-id";
/// The header with the destination.
pub const DESTINATION: &str = "l5d-dst-override";
/// The header of a response that the proxy made itself.
pub const ERROR: &str = "l5d-proxy-error";

type Body = BoxBody<Bytes, hyper::Error>;

/// A running stand-in; it ends with its value.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    runtime: Option<Runtime>,
}

/// What is done with a connection.
enum Way {
    Inbound { program: SocketAddr, caller: Option<HeaderValue> },
    Outbound { services: BTreeMap<String, SocketAddr> },
    Opaque { program: SocketAddr },
}

impl Relay {
    /// In front of a program; its callers have this name in the mesh, or none.
    pub fn inbound(program: SocketAddr, caller: Option<&str>) -> Result<Self> {
        let caller = caller.map(HeaderValue::from_str).transpose()?;
        Self::start(Way::Inbound { program, caller })
    }

    /// In front of a program, on a port whose bytes are passed on unread.
    pub fn opaque(program: SocketAddr) -> Result<Self> {
        Self::start(Way::Opaque { program })
    }

    /// Behind a program: the services that there are, by the authority that `l5d-dst-override` names.
    pub fn outbound(services: &[(&str, SocketAddr)]) -> Result<Self> {
        let services = services.iter().map(|(name, place)| ((*name).to_owned(), *place)).collect();
        Self::start(Way::Outbound { services })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    fn start(way: Way) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("linkerd")
            .enable_all()
            .build()
            .context("starting a relay's runtime")?;
        let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).context("binding a relay")?;
        let address = listener.local_addr()?;
        runtime.spawn(accept(listener, Arc::new(way)));
        Ok(Self { address, runtime: Some(runtime) })
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    loop {
        // An accept fails when file descriptors run out; the next one may not.
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let way = Arc::clone(&way);
        tokio::spawn(async move {
            if let Way::Opaque { program } = *way {
                pass(stream, program).await;
                return;
            }
            let service = service_fn(|request| {
                let way = Arc::clone(&way);
                async move { Ok::<_, Infallible>(answer(request, &way).await) }
            });
            // Whoever goes away does so.
            let _ = server::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

async fn pass(mut from: TcpStream, program: SocketAddr) {
    if let Ok(mut to) = TcpStream::connect(program).await {
        // Ends with either side.
        let _ = tokio::io::copy_bidirectional(&mut from, &mut to).await;
    }
}

async fn answer(mut request: Request<Incoming>, way: &Way) -> Response<Body> {
    request.headers_mut().remove(CLIENT_ID);
    let place = match way {
        Way::Inbound { program, caller } => {
            if let Some(caller) = caller {
                request.headers_mut().insert(CLIENT_ID, caller.clone());
            }
            Some(*program)
        }
        Way::Outbound { services } => {
            let wanted = request.headers_mut().remove(DESTINATION);
            wanted.and_then(|wanted| services.get(wanted.to_str().ok()?).copied())
        }
        Way::Opaque { program } => Some(*program),
    };
    let Some(place) = place else { return failed("no service is there") };
    match forward(request, place).await {
        Ok(response) => response.map(BodyExt::boxed),
        Err(error) => failed(&error.to_string()),
    }
}

async fn forward(request: Request<Incoming>, place: SocketAddr) -> Result<Response<Incoming>> {
    let stream = TcpStream::connect(place).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

fn failed(why: &str) -> Response<Body> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    if let Ok(why) = HeaderValue::from_str(why) {
        response.headers_mut().insert(ERROR, why);
    }
    response
}
