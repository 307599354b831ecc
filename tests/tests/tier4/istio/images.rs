//! What `cargo xtask dist` makes: the same twice, and loaded out of a real registry by Istio's own code.

use std::path::Path;
use std::process::Command;

use e2e::companions::registry::Registry;
use e2e::image::{Image, Layout};
use e2e::tools;
use libtest_mimic::{Failed, Trial};
use serde_json::json;
use tidegate_render::Filter;

use super::manifest::{self, At};
use super::mesh::Mesh;
use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    vec![needing(
        &["istio-discovery", "docker-registry"],
        "istio::images::a_release_is_the_same_twice_and_loads_out_of_a_registry",
        releases,
    )]
}

fn releases() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let (once, twice) = (folder.path().join("once"), folder.path().join("twice"));
    for folder in [&once, &twice] {
        release(folder)?;
    }
    let sums = |folder: &Path| std::fs::read_to_string(folder.join("SHA256SUMS"));
    if sums(&once)? != sums(&twice)? {
        return Err(format!("released twice:\n{}\nand\n{}", sums(&once)?, sums(&twice)?).into());
    }

    let registry = Registry::start()?;
    let image = Image::read(&once.join("tidegate_rate_limit.oci"))?;
    registry.push("tidegate/rate-limit", "0.1.0", &image)?;
    let raw = Image::of(&std::fs::read(once.join("tidegate_rate_limit.wasm"))?, Layout::RawLayer, &[])?;
    registry.push("tidegate/rate-limit", "raw", &raw)?;

    let digest = |image: &Image| image.digest().trim_start_matches("sha256:").to_owned();
    for (tag, sha256, expected) in [
        ("0.1.0", digest(&image), [200, 429]),
        // Of another image, and an image of a shape that Istio does not load: refused, not let through.
        ("0.1.0", digest(&raw), [403, 403]),
        ("raw", digest(&raw), [403, 403]),
    ] {
        let mesh = Mesh::start()?;
        let limit = json!({"limits": [{"name": "a", "key": [{"header": "a"}], "quotas": [{"requests": 1, "per": "1h"}]}]});
        let mut plugin = manifest::plugin_with(Filter::RateLimit, At::Inbound, "fetched", &limit)?;
        plugin["spec"]["url"] = json!(format!("oci://{}/tidegate/rate-limit:{tag}", registry.address));
        plugin["spec"]["sha256"] = json!(sha256);
        mesh.istio.apply(&plugin.to_string())?;
        let proxied = mesh.sidecar()?;
        proxied.serves()?;
        for status in expected {
            proxied.expect("/", &[("a", "1")], status)?;
        }
    }
    Ok(())
}

fn release(folder: &Path) -> Result<(), Failed> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["xtask", "dist", "--only", "rate-limit", "--out"])
        .arg(folder)
        .current_dir(tools::repo_root())
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(format!("cargo xtask dist: {}\n{}", output.status, String::from_utf8_lossy(&said)).into())
}
