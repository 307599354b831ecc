//! Guides: what their readers type, typed; what they are promised to see, seen.

use std::fmt::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use e2e::companions;
use e2e::namespace::Namespace;
use e2e::tools;
use libtest_mimic::Failed;

/// A command, and the lines that it shows.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    shown: Vec<String>,
}

/// What stands above a block that nobody can run here.
const NOT_RUN: &str = "<!-- needs a cluster -->";

/// Runs the commands of `docs/NAME.md` one after the other in one shell, at the repository's root, on a machine of its own
/// that has these programs on its `PATH`. What a command is to show is waited for.
pub(crate) fn run(name: &str, programs: &[&str]) -> Result<(), Failed> {
    let text = std::fs::read_to_string(tools::repo_root().join("docs").join(name))?;
    let steps = steps(&text);
    if steps.is_empty() {
        return Err(format!("docs/{name} has no commands").into());
    }
    let folder = tempfile::tempdir()?;
    let path = folder.path().to_path_buf();
    let bin = path.join("bin");
    // What the guide installs stays out of the machine.
    for made in ["bin", "over/etc", "over/var"] {
        std::fs::create_dir_all(path.join(made))?;
    }
    symlink(tools::envoy_binary()?.canonicalize()?, bin.join("envoy"))?;
    for program in programs {
        symlink(companions::program(program)?.canonicalize()?, bin.join(program))?;
    }
    std::fs::write(path.join("guide.sh"), script(&steps, &path)?)?;
    let mut namespace = Namespace::start(folder, &path.join("over"), |folder| {
        let mut command = Command::new("sh");
        command.arg(folder.join("guide.sh")).env("PATH", search_path(&bin)).env("HOME", folder);
        Ok(command)
    })?;
    Ok(namespace.program().finish(Duration::from_secs(300))?)
}

fn search_path(first: &Path) -> String {
    format!("{}:{}", first.display(), std::env::var("PATH").unwrap_or_default())
}

/// The shell script of the steps. That modules are built is what every test of this tier begins with.
fn script(steps: &[Step], folder: &Path) -> Result<String, Failed> {
    let mut script = format!("set -e\ncd '{}'\n{SHOWS}", tools::repo_root().display());
    // Where this build's modules are, if not there.
    let modules = tools::modules_dir().display().to_string();
    for (number, step) in steps.iter().enumerate() {
        if step.command.starts_with("cargo xtask build") {
            continue;
        }
        let command = step.command.replace("target/wasm", &modules);
        if step.shown.is_empty() {
            writeln!(script, "printf '$ %s\\n' {}\n{}", quoted(&command), command)?;
        } else {
            let expected: PathBuf = folder.join(format!("expected-{number}"));
            std::fs::write(&expected, step.shown.join("\n") + "\n")?;
            writeln!(script, "shows '{}' {}", expected.display(), quoted(&command))?;
        }
    }
    Ok(script)
}

/// Repeats a command until each line of a file is part of what it prints. Guides write logs into one folder.
const SHOWS: &str = r#"
shows() {
    tries=0
    while :; do
        seen=$(eval "$2" 2>&1) || true
        missing=
        while IFS= read -r line; do
            case "$seen" in *"$line"*) ;; *) missing=$line ;; esac
        done < "$1"
        if [ -z "$missing" ]; then printf '$ %s\n' "$2"; return; fi
        tries=$((tries + 1))
        if [ $tries -gt 300 ]; then
            echo "\$ $2: expected: $missing"; echo "seen: $seen"
            tail -n 20 /var/lib/tidegate/*.log; exit 1
        fi
        sleep 0.2
    done
}
"#;

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// The commands of all blocks that can be run.
fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut within, mut skipped) = (false, false);
    for line in text.lines() {
        if line.starts_with("```") {
            within = line == "```console" && !skipped;
            skipped = false;
        } else if line == NOT_RUN {
            skipped = true;
        } else if let (true, Some(command)) = (within, line.strip_prefix("$ ")) {
            // What follows two spaces and a number sign is for the reader.
            let command = command.split_once("    # ").map_or(command, |(command, _)| command);
            steps.push(Step { command: command.trim_end().to_owned(), shown: Vec::new() });
        } else if let (true, Some(step)) = (within, steps.last_mut()) {
            match line.strip_prefix("> ") {
                Some(more) => step.command.push_str(&format!("\n{more}")),
                None => step.shown.push(line.to_owned()),
            }
        }
    }
    steps
}
