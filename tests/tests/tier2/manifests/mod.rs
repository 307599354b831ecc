//! The manifests of `envoy-config/`, as far as they can be held against something without a mesh: each resource against its
//! schema, by kind; what they hold for Envoy, by a real Envoy. That they hold their configurations is tested beside what
//! makes them, in `crates/render`.

mod envoy;
mod resources;

use std::path::{Path, PathBuf};

use e2e::tools;
use libtest_mimic::{Failed, Trial};
use serde_json::Value;

pub(crate) fn trials() -> Vec<Trial> {
    resources::trials().into_iter().chain(envoy::trials()).collect()
}

/// Every YAML file below folders of `envoy-config/`, with its documents.
fn files(folders: &[&str]) -> Result<Vec<(PathBuf, Vec<Value>)>, Failed> {
    let root = tools::repo_root().join("envoy-config");
    let mut found = Vec::new();
    for folder in folders {
        collect(&root, Path::new(folder), &mut found)?;
    }
    if found.len() < folders.len() {
        return Err(format!("expected files below each of {folders:?}, seen {found:?}").into());
    }
    found.sort();
    let read = |file: PathBuf| {
        let text = std::fs::read_to_string(root.join(&file))?;
        let documents =
            serde_saphyr::from_multiple(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        Ok((file, documents))
    };
    found.into_iter().map(read).collect()
}

fn collect(root: &Path, below: &Path, found: &mut Vec<PathBuf>) -> Result<(), Failed> {
    for entry in std::fs::read_dir(root.join(below))? {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "yaml") {
            found.push(path);
        }
    }
    Ok(())
}
