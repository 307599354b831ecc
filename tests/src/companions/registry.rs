//! A real registry of images.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::json;
use tidegate_testkit::scenario::Request;

use super::program;
use crate::client::{Connection, Reply};
use crate::image::{Image, MANIFEST, digest};
use crate::namespace::Namespace;
use crate::process::{Program, accepts, free_port};

/// A running registry on loopback, without TLS.
#[derive(Debug)]
pub struct Registry {
    /// Where it listens.
    pub address: SocketAddr,
    _program: Program,
}

/// Where images are looked for in a network of its own.
const PORT: u16 = 5000;

impl Registry {
    /// Starts one.
    pub fn start() -> Result<Self> {
        // The port may be somebody else's by the time that it is taken.
        Self::start_on(free_port()?, None).or_else(|_| Self::start_on(free_port()?, None))
    }

    /// Starts one in the network of a namespace, as `localhost:5000`. It is spoken to from inside.
    pub fn start_in(namespace: &Namespace) -> Result<Self> {
        Self::start_on(PORT, Some(namespace))
    }

    fn start_on(port: u16, namespace: Option<&Namespace>) -> Result<Self> {
        let registry = program("docker-registry")?;
        let mut running = Program::start(|folder| {
            let file = folder.join("registry.yml");
            std::fs::write(&file, configuration(folder, port))?;
            let mut command =
                namespace.map_or_else(|| std::process::Command::new(&registry), |it| it.command(&registry));
            command.arg("serve").arg(file);
            Ok(command)
        })?;
        running.wait_until(Duration::from_secs(30), |_| match namespace {
            None => accepts(port),
            Some(namespace) => namespace.inside(|| Ok(accepts(port))).unwrap_or(false),
        })?;
        Ok(Self { address: ([127, 0, 0, 1], port).into(), _program: running })
    }

    /// Puts an image there, as `NAME:TAG`.
    pub fn push(&self, name: &str, tag: &str, image: &Image) -> Result<()> {
        for blob in &image.blobs {
            self.upload(name, blob)?;
        }
        let manifest = image.manifest.clone();
        expect_created(&self.send("PUT", &format!("/v2/{name}/manifests/{tag}"), MANIFEST, manifest)?)
    }

    fn upload(&self, name: &str, blob: &[u8]) -> Result<()> {
        const BYTES: &str = "application/octet-stream";
        let begun = self.send("POST", &format!("/v2/{name}/blobs/uploads/"), BYTES, Vec::new())?;
        let location = begun.header("location").context("the registry says nowhere to upload to")?;
        let location = String::from_utf8(location.to_vec())?;
        let path = location
            .split_once("://")
            .and_then(|(_, rest)| rest.find('/').map(|slash| rest[slash..].to_owned()));
        let path = path.unwrap_or(location);
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joint}digest={}", digest(blob));
        expect_created(&self.send("PUT", &path, BYTES, blob.to_vec())?)
    }

    fn send(&self, method: &str, path: &str, kind: &str, body: Vec<u8>) -> Result<Reply> {
        let mut request = Request::get(path, &[("content-type", kind)]);
        if body.is_empty() {
            request.headers.push((b"content-length".to_vec(), b"0".to_vec()));
        }
        request.method = method.to_owned();
        request.host = format!("localhost:{}", self.address.port());
        request.body = body;
        Connection::open(self.address)?.send(&request)
    }
}

fn expect_created(reply: &Reply) -> Result<()> {
    match reply.status {
        201 => Ok(()),
        other => bail!("the registry answers {other}: {}", String::from_utf8_lossy(&reply.body)),
    }
}

fn configuration(folder: &Path, port: u16) -> String {
    json!({
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
        "http": {"addr": format!("127.0.0.1:{port}")},
    })
    .to_string()
}
