//! `docs/istio.md` is true: its files and commands are run, in their order, and print what it says.

use std::path::Path;
use std::process::Command;

use e2e::companions;
use e2e::tools;
use libtest_mimic::{Failed, Trial};

use super::manifest;
use super::mesh::{Mesh, Proxied};
use super::refusals;
use crate::needing::needing;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        needing(
            &["istio-discovery", "istioctl"],
            "istio::guide::every_command_does_as_it_says",
            every_command,
        ),
        Trial::test("istio::guide::tells_where_each_failure_is_told", tells_of_failures),
    ]
}

/// What is not run, by its first line.
const NEEDS_A_CLUSTER: &str = "# needs a cluster";

enum Step {
    /// A file, by the name in its first line.
    File { name: String, text: String },
    /// A command, and what it prints.
    Command { line: String, output: String },
}

fn every_command() -> Result<(), Failed> {
    let steps = steps(&guide()?)?;
    let commands = steps.iter().filter(|step| matches!(step, Step::Command { .. })).count();
    if commands < 25 {
        return Err(format!("the guide has {commands} commands only").into());
    }
    // Below the repository, so that `cargo xtask` is what it is there.
    std::fs::create_dir_all(tools::repo_root().join("target"))?;
    let folder = tempfile::tempdir_in(tools::repo_root().join("target"))?;
    let mesh = Mesh::start()?;
    let proxied = mesh.gateway()?;
    proxied.serves()?;
    // Functions that earlier commands have defined.
    let mut defined = String::new();
    for step in &steps {
        match step {
            Step::File { name, text } => std::fs::write(folder.path().join(name), text)?,
            Step::Command { line, output } => {
                run(line, output, &mut defined, folder.path(), &mesh, &proxied)?;
            }
        }
    }
    Ok(())
}

fn run(
    line: &str,
    output: &str,
    defined: &mut String,
    folder: &Path,
    mesh: &Mesh,
    proxied: &Proxied<'_>,
) -> Result<(), Failed> {
    if let Some(file) = line.strip_prefix("kubectl apply -f ") {
        return apply(&std::fs::read_to_string(folder.join(file))?, mesh, proxied);
    }
    if line.contains("() {") {
        defined.push_str(line);
        defined.push('\n');
        return Ok(());
    }
    // Once: most of them count.
    let seen = shell(&format!("{defined}{line}"), folder, proxied)?;
    if seen.trim_end() != output.trim_end() {
        return Err(proxied.failed(&format!("$ {line}\nexpected\n{output}\nseen\n{seen}")));
    }
    Ok(())
}

/// Gives a manifest to Istio and waits until Envoy has taken it.
fn apply(text: &str, mesh: &Mesh, proxied: &Proxied<'_>) -> Result<(), Failed> {
    let plugin = text.contains("kind: WasmPlugin");
    let before = proxied.taken(plugin)?;
    mesh.istio.apply(&manifest::fit(text))?;
    proxied.until("Envoy has taken it", || Ok(proxied.taken(plugin)? > before && proxied.settled()?))
}

/// What a command printed, on both of its outputs, without the lines of cargo about its own work.
fn shell(script: &str, folder: &Path, proxied: &Proxied<'_>) -> Result<String, Failed> {
    let companions = companions::place("istioctl");
    let mut path = companions.parent().map(|folder| folder.as_os_str().to_owned()).unwrap_or_default();
    path.push(":");
    path.push(std::env::var_os("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("exec 2>&1\n{script}")).current_dir(folder).env("PATH", path);
    command.env("GATEWAY", proxied.address.to_string()).env("ADMIN", proxied.envoy.admin().to_string());
    command.env("CARGO_TERM_QUIET", "true").env_remove("KUBECONFIG");
    let output = command.output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn guide() -> Result<String, Failed> {
    Ok(std::fs::read_to_string(tools::repo_root().join("docs/istio.md"))?)
}

/// What is to be done, in the order of the page.
fn steps(guide: &str) -> Result<Vec<Step>, Failed> {
    let mut steps = Vec::new();
    let mut rest = guide;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (kind, after) = after.split_once('\n').ok_or("a block without end")?;
        let (block, after) = after.split_once("\n```").ok_or("a block without end")?;
        rest = after;
        match kind {
            "yaml" => {
                let name = block.lines().next().and_then(|line| line.strip_prefix("# "));
                let name = name.ok_or("a file's first line is its name")?.to_owned();
                steps.push(Step::File { name, text: format!("{block}\n") });
            }
            "console" if block.starts_with(NEEDS_A_CLUSTER) => {}
            "console" => commands(block, &mut steps)?,
            other => return Err(format!("what to do with a block of {other:?}?").into()),
        }
    }
    Ok(steps)
}

fn commands(block: &str, steps: &mut Vec<Step>) -> Result<(), Failed> {
    for line in block.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step::Command { line: command.to_owned(), output: String::new() });
            }
            (None, Some(Step::Command { output, .. })) => {
                output.push_str(line);
                output.push('\n');
            }
            (None, _) => return Err(format!("output of nothing: {line}").into()),
        }
    }
    Ok(())
}

/// The words that the tests of failures wait for are those of the guide.
fn tells_of_failures() -> Result<(), Failed> {
    let guide = guide()?;
    let missing: Vec<&str> = refusals::TOLD.into_iter().filter(|told| !guide.contains(told)).collect();
    if missing.is_empty() { Ok(()) } else { Err(format!("the guide does not name {missing:?}").into()) }
}
