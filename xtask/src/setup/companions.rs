//! What the tests of tiers 2 to 4 need beside Envoy. Each program is found, fetched or built in a way of its own, and linked to
//! from `target/tools/companions`, where the tests look.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use e2e::companions;

use super::{deb, go, oidc, redis, say, schemas};
use crate::{process, staging};

/// Finds, fetches or builds a program.
type Prepare = fn() -> Result<PathBuf>;

/// The program, if it is there already.
type Find = fn() -> Result<Option<PathBuf>>;

/// How each companion is had. Their names, and what to do by hand, are in `e2e::companions`.
const WAYS: &[(&str, Prepare, Find)] = &[
    ("redis-server", redis::prepare, || Ok(redis::find())),
    ("ratelimit", || go::tool("ratelimit"), || go::find_tool("ratelimit")),
    ("otelcol", || go::tool("otelcol"), || go::find_tool("otelcol")),
    ("prometheus", || prometheus("prometheus"), || Ok(find_prometheus("prometheus"))),
    ("promtool", || prometheus("promtool"), || Ok(find_prometheus("promtool"))),
    ("opa", || go::tool("opa"), || go::find_tool("opa")),
    ("oidc-provider", oidc::prepare, oidc::find),
    (
        "istio-discovery",
        || go::tool_of("istio", "istio-discovery"),
        || go::find_tool_of("istio", "istio-discovery"),
    ),
    ("istioctl", || go::tool_of("istio", "istioctl"), || go::find_tool_of("istio", "istioctl")),
    ("consul", || go::tool("consul"), || go::find_tool("consul")),
    ("envoy-gateway", || go::tool("envoy-gateway"), || go::find_tool("envoy-gateway")),
    ("docker-registry", registry, || Ok(find_registry())),
    ("schemas", schemas::prepare, schemas::find),
];

/// Prometheus and what belongs to it: from `PATH`, else out of Debian's package.
fn prometheus(program: &str) -> Result<PathBuf> {
    match process::on_path(program) {
        Some(found) => Ok(found),
        None => deb::program("prometheus", &format!("usr/bin/{program}")),
    }
}

fn find_prometheus(program: &str) -> Option<PathBuf> {
    process::on_path(program).or_else(|| deb::find("prometheus", &format!("usr/bin/{program}")))
}

/// A registry for images: from `PATH`, else out of Debian's package.
fn registry() -> Result<PathBuf> {
    match process::on_path("docker-registry") {
        Some(found) => Ok(found),
        None => deb::program("docker-registry", "usr/bin/docker-registry"),
    }
}

fn find_registry() -> Option<PathBuf> {
    process::on_path("docker-registry").or_else(|| deb::find("docker-registry", "usr/bin/docker-registry"))
}

/// Makes those of a tier ready. One that cannot be had is reported, and no reason to do without the others: the tests that
/// need it will say that they were not run.
pub(crate) fn prepare_all(tier: usize) {
    for companion in companions::ALL.iter().filter(|companion| companion.tier == tier) {
        match prepare(companion.name) {
            Ok(()) => say(companion.name, "ready"),
            Err(error) => {
                say(
                    companion.name,
                    &format!("not there: {error:#}\n             by hand: {}", companion.remedy),
                );
            }
        }
    }
}

/// Says which are there.
pub(super) fn check_all() {
    for companion in companions::ALL {
        let there = ways(companion.name).and_then(|(_, find)| find());
        match there {
            Ok(Some(_)) => say(companion.name, "there"),
            Ok(None) => say(
                companion.name,
                &format!("not there yet; `cargo xtask test --tier {}` fetches or builds it", companion.tier),
            ),
            Err(error) => say(companion.name, &format!("{error:#}")),
        }
    }
}

fn prepare(name: &str) -> Result<()> {
    let (prepare, _) = ways(name)?;
    let program = prepare()?.canonicalize()?;
    link(&program, &companions::place(name))
}

fn ways(name: &str) -> Result<(Prepare, Find)> {
    let way = WAYS.iter().find(|(known, _, _)| *known == name);
    way.map(|(_, prepare, find)| (*prepare, *find)).ok_or_else(|| anyhow!("nothing says how {name} is had"))
}

/// Replaces a link in one step: tests of another process may be using it.
fn link(program: &Path, place: &Path) -> Result<()> {
    if fs::read_link(place).is_ok_and(|target| target == program) {
        return Ok(());
    }
    let fresh = place.with_extension(format!("{}", std::process::id()));
    staging::create_dir(place.parent().context("companions have a folder")?)?;
    symlink(program, &fresh)
        .and_then(|()| fs::rename(&fresh, place))
        .with_context(|| format!("cannot link {} to {}", crate::paths::shown(place), program.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_companion_can_be_had() {
        let known: Vec<&str> = companions::ALL.iter().map(|companion| companion.name).collect();
        let ways: Vec<&str> = WAYS.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(known, ways);
    }
}
