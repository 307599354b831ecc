//! Fetches Debian packages without installing them: apt with lists and cache of its own below `target/tools`. The
//! machine's own apt is read (its sources and keys, what is installed), never changed; no root is needed, and apt checks
//! signatures as always.

mod suites;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::{paths, process, staging};

/// Suites that may carry a wanted version, smallest lists first. Which of them exist is found out by asking.
const OTHER_SUITES: [&str; 7] =
    ["trixie-backports", "forky-backports", "trixie", "forky", "duke", "testing", "sid"];

const FETCH_LIMIT: Duration = Duration::from_secs(300);

/// An apt with a state of its own.
pub(super) struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

/// A package in a certain version.
pub(super) struct Found {
    pub(super) package: String,
    pub(super) version: String,
}

impl Apt {
    /// With the machine's own sources.
    pub(super) fn of_this_machine() -> Result<Apt> {
        let apt = Apt::new("machine")?;
        apt.update("this machine's package lists")?;
        Ok(apt)
    }

    /// The first suite, the machine's own included, that has one of `packages` in a version that suits.
    pub(super) fn find(packages: &[&str], suits: impl Fn(&str) -> bool) -> Result<(Apt, Found)> {
        let machine = Apt::of_this_machine()?;
        if let Some(found) = machine.look_for(packages, &suits) {
            return Ok((machine, found));
        }
        for suite in OTHER_SUITES {
            let Some(apt) = Apt::of_suite(suite)? else { continue };
            if let Some(found) = apt.look_for(packages, &suits) {
                return Ok((apt, found));
            }
        }
        bail!("no Debian suite that could be reached has {} in the compiler's version", packages.join(" or "))
    }

    /// With the machine's sources, their suite's name replaced. `None` where there is no such suite.
    fn of_suite(suite: &str) -> Result<Option<Apt>> {
        let mut apt = Apt::new(suite)?;
        let sources = apt.folder.join("sources");
        staging::create_dir(&sources)?;
        for (name, text) in suites::sources_of(suite)? {
            staging::write_file(&sources.join(name), text.as_bytes())?;
        }
        apt.set("Dir::Etc::sourcelist", "-");
        apt.set("Dir::Etc::sourceparts", &sources.display().to_string());
        match apt.update(&format!("the package lists of {suite}")) {
            Ok(()) => Ok(Some(apt)),
            Err(_) => Ok(None),
        }
    }

    fn new(name: &str) -> Result<Apt> {
        if process::on_path("apt-get").is_none() || process::on_path("dpkg-deb").is_none() {
            bail!("this machine has no apt");
        }
        let folder = paths::tools_dir().join("apt").join(name);
        staging::create_dir(&folder.join("lists/partial"))?;
        staging::create_dir(&folder.join("cache/archives/partial"))?;
        let mut apt = Apt { folder, options: Vec::new() };
        let (lists, cache) = (apt.folder.join("lists"), apt.folder.join("cache"));
        apt.set("Dir::State::lists", &lists.display().to_string());
        apt.set("Dir::Cache", &cache.display().to_string());
        apt.set("Acquire::Languages", "none");
        apt.set("Acquire::IndexTargets::deb::DEP-11::DefaultEnabled", "false");
        // apt run by root would fetch as a user who may not write here.
        apt.set("APT::Sandbox::User", "root");
        apt.set("Debug::NoLocking", "1");
        Ok(apt)
    }

    fn set(&mut self, name: &str, value: &str) {
        self.options.push(format!("{name}={value}"));
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C");
        for option in &self.options {
            command.args(["-o", option]);
        }
        command
    }

    /// apt-get ends well even if a source failed; a suite that does not exist is told from `--error-on=any`.
    fn update(&self, what: &str) -> Result<()> {
        let mut command = self.command("apt-get");
        command.args(["update", "--error-on=any"]);
        let done = process::quietly(&format!("fetching {what}"), &mut command, FETCH_LIMIT);
        done.with_context(|| format!("cannot fetch {what}"))?;
        Ok(())
    }

    fn look_for(&self, packages: &[&str], suits: &impl Fn(&str) -> bool) -> Option<Found> {
        packages.iter().find_map(|package| {
            let list = process::output(self.command("apt-cache").args(["madison", package])).ok()?;
            let versions = list.lines().filter_map(|line| line.split('|').nth(1)).map(str::trim);
            let version = versions.filter(|version| suits(version)).map(str::to_owned).next()?;
            Some(Found { package: (*package).to_owned(), version })
        })
    }

    /// The names of all that a package needs, directly or not, one on a line.
    pub(super) fn all_dependencies(&self, package: &str) -> Result<String> {
        let mut command = self.command("apt-cache");
        command.args(["depends", "--recurse", "--important", package]);
        process::output(&mut command).with_context(|| format!("this machine's apt sources have no {package}"))
    }

    /// Downloads packages (`name=version`) and unpacks them into `into`.
    pub(super) fn unpack(&mut self, packages: &[String], into: &Path) -> Result<()> {
        let archives = self.folder.join("cache/archives");
        let mut command = self.command("apt-get");
        command.arg("download").args(packages).current_dir(&archives);
        process::quietly(&format!("fetching {}", packages.join(" ")), &mut command, FETCH_LIMIT)?;
        unpack_all(&archives, into)
    }

    /// Downloads packages and those of their dependencies that are not installed, and unpacks them into `into`.
    pub(super) fn unpack_with_libraries(&mut self, packages: &[&str], into: &Path) -> Result<()> {
        let archives = self.folder.join("cache/archives");
        let mut command = self.command("apt-get");
        command.args(["install", "--yes", "--download-only", "--no-install-recommends", "--reinstall"]);
        command.args(packages);
        process::quietly(&format!("fetching {}", packages.join(" ")), &mut command, FETCH_LIMIT)?;
        unpack_all(&archives, into)
    }
}

/// Unpacks what was downloaded, and removes it.
fn unpack_all(archives: &Path, into: &Path) -> Result<()> {
    staging::create_dir(into)?;
    let mut any = false;
    for entry in fs::read_dir(archives)?.flatten() {
        let file = entry.path();
        if file.extension().is_some_and(|extension| extension == "deb") {
            let what = format!("unpacking {}", entry.file_name().to_string_lossy());
            let mut command = Command::new("dpkg-deb");
            command.arg("--extract").arg(&file).arg(into);
            process::quietly(&what, &mut command, FETCH_LIMIT)?;
            fs::remove_file(&file)?;
            any = true;
        }
    }
    if !any {
        bail!("apt downloaded nothing");
    }
    Ok(())
}
