//! `cargo xtask dist`: what a release is made of. For each filter the module, the names of its functions, a bill of
//! materials and an image; for all of it the digests. The same sources give the same bytes, whoever makes them where.

mod sbom;
mod symbols;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use e2e::image::{Image, Layout, digest};

use crate::build::{Build, Built};
use crate::setup;
use crate::{paths, staging};

/// The filters that are released.
const FILTERS: [&str; 5] = ["auth", "header-routing", "rate-limit", "suite", "telemetry"];

#[derive(Args, Debug)]
pub(crate) struct Dist {
    /// Where it goes; what is there already is replaced.
    #[arg(long, value_name = "FOLDER", default_value = "target/dist")]
    out: PathBuf,

    /// Release this filter only, e.g. `auth` (may be given several times).
    #[arg(long, value_name = "FILTER")]
    only: Vec<String>,

    /// The tag in the images' layouts.
    #[arg(long, value_name = "TAG", default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
}

impl Dist {
    pub(crate) fn run(&self) -> Result<()> {
        let folder = paths::repo_root().join(&self.out);
        refuse_foreign(&folder)?;
        let chosen = self.choose()?;
        // All that is ever built, also where little is released: packages that are compiled together share the features of
        // their dependencies, and the modules that were tested are these.
        let mut built = Build::all(false).make_all()?;
        built.retain(|built| chosen.iter().any(|filter| built.module.name == module(filter)));
        let wasm_opt = setup::for_optimising()?;
        let mut table = String::new();
        staging::replace_dir(&folder, |partial| {
            for Built { module, compiled } in &built {
                let name = &module.name;
                println!("  releasing {name}");
                let bytes = fs::read(paths::wasm_dir().join(format!("{name}.wasm")))?;
                let raw =
                    fs::read(compiled).with_context(|| format!("cannot read {}", compiled.display()))?;
                let symbols = symbols::of(&raw, &bytes, &wasm_opt, partial)
                    .with_context(|| format!("the functions of {name} have no names"))?;
                let package = name.replace('_', "-");
                let image = Image::of(&bytes, Layout::Compat, &annotations(&package))?;
                fs::write(partial.join(format!("{name}.wasm")), &bytes)?;
                fs::write(partial.join(format!("{name}.symbols")), symbols)?;
                fs::write(partial.join(format!("{name}.cdx.json")), sbom::of(&package, &bytes)?)?;
                image.write(&partial.join(format!("{name}.oci")), &self.tag)?;
                writeln!(table, "  {package:<24} module sha256:{}", hex_digest(&bytes))?;
                writeln!(table, "  {:<24} image  {}", "", image.digest())?;
            }
            fs::write(partial.join("SHA256SUMS"), sums(partial)?)?;
            Ok(())
        })?;
        println!("\nreleased in {}, checked by `sha256sum --check SHA256SUMS`:", paths::shown(&folder));
        print!("{table}");
        Ok(())
    }

    fn choose(&self) -> Result<Vec<&str>> {
        if let Some(unknown) = self.only.iter().find(|filter| !FILTERS.contains(&filter.as_str())) {
            bail!("there is no filter `{unknown}` to release; there are: {}", FILTERS.join(", "));
        }
        let all = if self.only.is_empty() { FILTERS.to_vec() } else { Vec::new() };
        Ok(all.into_iter().chain(self.only.iter().map(String::as_str)).collect())
    }
}

/// The name of a filter's module.
fn module(filter: &str) -> String {
    format!("tidegate_{}", filter.replace('-', "_"))
}

/// Whatever else lies there is somebody's, and would be lost.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if empty || folder.join("SHA256SUMS").is_file() {
        return Ok(());
    }
    bail!("{} is not empty and no earlier release: name another with --out", paths::shown(folder));
}

/// What registries show of an image (OCI image specification, section "annotations").
fn annotations(package: &str) -> [(&'static str, &str); 3] {
    [
        ("org.opencontainers.image.title", package),
        ("org.opencontainers.image.version", env!("CARGO_PKG_VERSION")),
        ("org.opencontainers.image.licenses", "Apache-2.0"),
    ]
}

/// A line for each file, as `sha256sum` writes and checks it.
fn sums(folder: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    files.sort_unstable();
    let mut text = String::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap_or(&file).to_string_lossy().replace('\\', "/");
        writeln!(text, "{}  {name}", hex_digest(&fs::read(&file)?))?;
    }
    Ok(text)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

fn hex_digest(bytes: &[u8]) -> String {
    digest(bytes).trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_has_its_line() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::write(folder.path().join("b/c"), "").unwrap();
        fs::write(folder.path().join("a"), "x").unwrap();
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let x = "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
        assert_eq!(sums(folder.path()).unwrap(), format!("{x}  a\n{empty}  b/c\n"));
    }

    #[test]
    fn somebody_elses_folder_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        refuse_foreign(folder.path()).unwrap();
        refuse_foreign(&folder.path().join("not there")).unwrap();
        fs::write(folder.path().join("thesis.txt"), "").unwrap();
        assert!(refuse_foreign(folder.path()).unwrap_err().to_string().contains("no earlier release"));
        fs::write(folder.path().join("SHA256SUMS"), "").unwrap();
        refuse_foreign(folder.path()).unwrap();
    }

    #[test]
    fn every_filter_is_released() {
        let filters = fs::read_dir(paths::repo_root().join("filters")).unwrap();
        let mut names: Vec<String> =
            filters.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort_unstable();
        assert_eq!(names, FILTERS);
    }
}
