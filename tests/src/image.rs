//! OCI images that hold a module: what `cargo xtask dist` writes, and what tests put into a registry.
//!
//! The shape is the "compat" variant of the [specification of wasm images][spec]: one layer, `tar+gzip`, with the module as
//! `plugin.wasm`. It is the one that every host loads: Istio, Envoy Gateway, and whatever unpacks ordinary images.
//!
//! [spec]: https://github.com/solo-io/wasm/blob/master/spec/spec-compat.md

use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The type of an image's manifest (OCI image specification, section "manifest").
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
const RAW_LAYER: &str = "application/vnd.module.wasm.content.layer.v1+wasm";

/// How a module is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The last layer is `tar+gzip` and holds `plugin.wasm`.
    Compat,
    /// One layer that is the module itself: hosts refuse it, and tests want to see how.
    RawLayer,
}

/// An image: the same bytes for the same module and annotations, wherever and whenever it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The manifest, whose digest is the image's.
    pub manifest: Vec<u8>,
    /// The configuration, then the layer.
    pub blobs: [Vec<u8>; 2],
}

impl Image {
    /// Wraps a module. `annotations` go into the manifest (OCI image specification, section "annotations").
    pub fn of(module: &[u8], layout: Layout, annotations: &[(&str, &str)]) -> Result<Self> {
        let (layer, kind, uncompressed) = match layout {
            Layout::Compat => {
                let archive = archive(module)?;
                let uncompressed = digest(&archive);
                (compress(&archive)?, LAYER, uncompressed)
            }
            Layout::RawLayer => (module.to_vec(), RAW_LAYER, digest(module)),
        };
        let configuration = json!({
            "architecture": "wasm",
            "os": "wasi",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [uncompressed]},
        });
        let configuration = serde_json::to_vec(&configuration)?;
        let annotations: Value = annotations.iter().map(|(name, text)| (*name, *text)).collect();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": descriptor(CONFIG, &configuration),
            "layers": [descriptor(kind, &layer)],
            "annotations": annotations,
        });
        Ok(Self { manifest: serde_json::to_vec(&manifest)?, blobs: [configuration, layer] })
    }

    /// `sha256:…` of the manifest: what a reference by digest names.
    #[must_use]
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// Writes an image layout (OCI image specification, section "image layout"): a folder that `skopeo`, `crane` and `oras`
    /// copy into any registry. The folder must not be there yet.
    pub fn write(&self, folder: &Path, tag: &str) -> Result<()> {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).with_context(|| format!("cannot create {}", blobs.display()))?;
        for blob in self.blobs.iter().chain([&self.manifest]) {
            let name = digest(blob);
            fs::write(blobs.join(name.trim_start_matches("sha256:")), blob)?;
        }
        let mut manifest = descriptor(MANIFEST, &self.manifest);
        manifest["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
        let index = json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [manifest],
        });
        fs::write(folder.join("index.json"), serde_json::to_vec(&index)?)?;
        fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(())
    }
}

impl Image {
    /// Reads an image layout of one image.
    pub fn read(folder: &Path) -> Result<Self> {
        let parsed = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).context("not JSON");
        let blob = |descriptor: &Value| -> Result<Vec<u8>> {
            let digest = descriptor["digest"].as_str().context("a part without a digest")?;
            let file = folder.join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
            fs::read(&file).with_context(|| format!("cannot read {}", file.display()))
        };
        let index = parsed(&fs::read(folder.join("index.json"))?)?;
        let manifest = blob(&index["manifests"][0])?;
        let parts = parsed(&manifest)?;
        Ok(Self { blobs: [blob(&parts["config"])?, blob(&parts["layers"][0])?], manifest })
    }
}

/// What a manifest says of a part.
fn descriptor(kind: &str, bytes: &[u8]) -> Value {
    json!({"mediaType": kind, "digest": digest(bytes), "size": bytes.len()})
}

/// `sha256:` and the digest in hexadecimal.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// A tar archive of `plugin.wasm`. No time, no owner: nothing of the machine or the day.
fn archive(module: &[u8]) -> Result<Vec<u8>> {
    let mut header = tar::Header::new_ustar();
    header.set_size(module.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_data(&mut header, "plugin.wasm", module)?;
    Ok(archive.into_inner()?)
}

fn compress(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut compressed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    compressed.write_all(bytes)?;
    Ok(compressed.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(bytes).unwrap()
    }

    #[test]
    fn the_last_layer_holds_the_module_as_plugin_wasm() {
        let image =
            Image::of(b"\0asm a module", Layout::Compat, &[("org.opencontainers.image.version", "1")])
                .unwrap();
        let manifest = parsed(&image.manifest);
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        assert_eq!(manifest["layers"][0]["digest"], digest(&image.blobs[1]));
        assert_eq!(manifest["layers"][0]["size"], image.blobs[1].len());
        assert_eq!(manifest["config"]["digest"], digest(&image.blobs[0]));
        assert_eq!(manifest["annotations"]["org.opencontainers.image.version"], "1");

        let mut archive = Vec::new();
        flate2::read::GzDecoder::new(image.blobs[1].as_slice()).read_to_end(&mut archive).unwrap();
        assert_eq!(parsed(&image.blobs[0])["rootfs"]["diff_ids"][0], digest(&archive));
        let mut archive = tar::Archive::new(archive.as_slice());
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        let mut module = Vec::new();
        entry.read_to_end(&mut module).unwrap();
        assert_eq!(
            (entry.path().unwrap().to_str(), module.as_slice()),
            (Some("plugin.wasm"), &b"\0asm a module"[..])
        );
        assert!(entries.next().is_none());
    }

    #[test]
    fn an_image_depends_on_the_module_alone() {
        let image = |module: &[u8]| Image::of(module, Layout::Compat, &[]).unwrap();
        assert_eq!(image(b"a"), image(b"a"));
        assert_ne!(image(b"a").digest(), image(b"b").digest());
    }

    #[test]
    fn a_layout_names_every_blob_by_its_digest() {
        let folder = tempfile::tempdir().unwrap();
        let image = Image::of(b"a module", Layout::Compat, &[]).unwrap();
        image.write(folder.path(), "1.0").unwrap();
        let index = parsed(&fs::read(folder.path().join("index.json")).unwrap());
        assert_eq!(index["manifests"][0]["digest"], image.digest());
        assert_eq!(index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"], "1.0");
        assert!(folder.path().join("oci-layout").is_file());
        let blobs: Vec<_> =
            fs::read_dir(folder.path().join("blobs/sha256")).unwrap().map(Result::unwrap).collect();
        assert_eq!(blobs.len(), 3);
        assert_eq!(Image::read(folder.path()).unwrap(), image);
        for blob in blobs {
            let name = format!("sha256:{}", blob.file_name().to_string_lossy());
            assert_eq!(digest(&fs::read(blob.path()).unwrap()), name);
        }
    }
}
