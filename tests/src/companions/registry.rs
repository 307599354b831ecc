//! A real registry of images, and images to put into it.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tidegate_testkit::scenario::Request;

use super::program;
use crate::client::{Connection, Reply};
use crate::namespace::Namespace;
use crate::process::{Program, accepts};

const PORT: u16 = 5000;

/// A running registry, in the network of a namespace, where it listens on `localhost:5000` without TLS.
#[derive(Debug)]
pub struct Registry {
    _program: Program,
}

/// How a module is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The last layer is `tar+gzip` and holds `plugin.wasm`: what every host loads.
    Compat,
    /// One layer that is the module itself.
    RawLayer,
}

impl Registry {
    /// Starts it.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let registry = program("docker-registry")?;
        let mut running = Program::start(|folder| {
            let file = folder.join("registry.yml");
            std::fs::write(&file, configuration(folder))?;
            let mut command = namespace.command(&registry);
            command.arg("serve").arg(file);
            Ok(command)
        })?;
        running.wait_until(Duration::from_secs(30), |_| {
            namespace.inside(|| Ok(accepts(PORT))).unwrap_or(false)
        })?;
        Ok(Self { _program: running })
    }

    /// Puts an image of a module there, as `localhost:5000/NAME:TAG`, and returns the digest of its manifest. Called
    /// inside of the namespace.
    pub fn push(name: &str, tag: &str, module: &Path, layout: Layout) -> Result<String> {
        let (layer, kind, uncompressed) = match layout {
            Layout::Compat => packed(module)?,
            Layout::RawLayer => {
                let module = std::fs::read(module)?;
                let uncompressed = digest(&module);
                (module, "application/vnd.module.wasm.content.layer.v1+wasm", uncompressed)
            }
        };
        let config = json!({"architecture": "wasm", "os": "wasi", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [uncompressed]}})
        .to_string()
        .into_bytes();
        let part = |kind: &str, bytes: &[u8]| json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()});
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": part("application/vnd.oci.image.config.v1+json", &config),
            "layers": [part(kind, &layer)],
        });
        upload(name, config)?;
        upload(name, layer)?;
        put_manifest(name, tag, &manifest)
    }
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A layer with the module as `plugin.wasm`, its type, and the digest of what it was before it was compressed.
fn packed(module: &Path) -> Result<(Vec<u8>, &'static str, String)> {
    let folder = tempfile::tempdir()?;
    std::fs::copy(module, folder.path().join("plugin.wasm"))?;
    let run = |program: &str, arguments: &[&str]| -> Result<Vec<u8>> {
        let output = Command::new(program).args(arguments).current_dir(folder.path()).output();
        let output = output.with_context(|| format!("starting {program}"))?;
        if !output.status.success() {
            bail!("{program}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(output.stdout)
    };
    // The same module makes the same digest.
    run("tar", &["--mtime=@0", "--owner=0", "--group=0", "-cf", "layer.tar", "plugin.wasm"])?;
    let uncompressed = digest(&std::fs::read(folder.path().join("layer.tar"))?);
    let layer = run("gzip", &["--stdout", "--no-name", "layer.tar"])?;
    Ok((layer, "application/vnd.oci.image.layer.v1.tar+gzip", uncompressed))
}

fn upload(name: &str, blob: Vec<u8>) -> Result<()> {
    let digest = digest(&blob);
    let begun = send("POST", &format!("/v2/{name}/blobs/uploads/"), "application/octet-stream", Vec::new())?;
    let location = begun.header("location").context("the registry says nowhere to upload to")?;
    let location = String::from_utf8(location.to_vec())?;
    let path =
        location.split_once("://").and_then(|(_, rest)| rest.find('/').map(|slash| rest[slash..].to_owned()));
    let path = path.unwrap_or(location);
    let joint = if path.contains('?') { '&' } else { '?' };
    let done = send("PUT", &format!("{path}{joint}digest={digest}"), "application/octet-stream", blob)?;
    expect_created(&done)
}

fn put_manifest(name: &str, tag: &str, manifest: &Value) -> Result<String> {
    let bytes = manifest.to_string().into_bytes();
    let digest = digest(&bytes);
    expect_created(&send("PUT", &format!("/v2/{name}/manifests/{tag}"), MANIFEST, bytes)?)?;
    Ok(digest.trim_start_matches("sha256:").to_owned())
}

fn expect_created(reply: &Reply) -> Result<()> {
    match reply.status {
        201 => Ok(()),
        other => bail!("the registry answers {other}: {}", String::from_utf8_lossy(&reply.body)),
    }
}

fn send(method: &str, path: &str, kind: &str, body: Vec<u8>) -> Result<Reply> {
    let mut request = Request::get(path, &[("content-type", kind)]);
    if body.is_empty() {
        request.headers.push((b"content-length".to_vec(), b"0".to_vec()));
    }
    request.method = method.to_owned();
    request.host = format!("localhost:{PORT}");
    request.body = body;
    Connection::open(([127, 0, 0, 1], PORT).into())?.send(&request)
}

fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn configuration(folder: &Path) -> String {
    json!({
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": folder.join("images")}},
        "http": {"addr": format!("127.0.0.1:{PORT}")},
    })
    .to_string()
}
