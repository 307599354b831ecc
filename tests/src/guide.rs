//! Runs what a guide of `docs/` tells its readers to run.
//!
//! Blocks of code marked `console` hold commands, each behind `$ ` (one that ends in a backslash goes on in the next line), and
//! below each what it prints: every line shown must be among those printed, in this order. A block below the line
//! `<!-- needs a cluster -->` is not run; the guide says so beside it. Commands run in the repository's root.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tools;

/// A command of a guide.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For a shell.
    pub command: String,
    /// Lines that are printed, in this order, among others.
    pub shows: Vec<String>,
    /// Whether it needs a cluster.
    pub cluster: bool,
}

/// What stands above a block that nobody can run here.
const NEEDS_A_CLUSTER: &str = "<!-- needs a cluster -->";

/// The commands of a guide, in order.
#[must_use]
pub fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut cluster, mut goes_on, mut marked) = (None, false, false);
    for line in text.lines() {
        match (line.strip_prefix("```"), cluster) {
            (Some("console"), None) => cluster = Some(std::mem::take(&mut marked)),
            // Blocks of anything else are passed over whole.
            (Some(other), None) if !other.is_empty() => {}
            (Some(_), _) => cluster = None,
            (None, Some(cluster)) => match (line.strip_prefix("$ "), steps.last_mut()) {
                (_, Some(step)) if goes_on => {
                    step.command.push('\n');
                    step.command.push_str(line);
                    goes_on = line.ends_with('\\');
                }
                (Some(command), _) => {
                    goes_on = command.ends_with('\\');
                    steps.push(Step { command: command.to_owned(), shows: Vec::new(), cluster });
                }
                (None, Some(step)) if !line.trim().is_empty() => step.shows.push(line.to_owned()),
                _ => {}
            },
            (None, None) => marked |= line == NEEDS_A_CLUSTER,
        }
    }
    steps
}

/// Runs those that need no cluster; the error of one that fails, or does not print what is shown, holds all that it printed.
pub fn run(text: &str) -> Result<usize> {
    let steps: Vec<Step> = steps(text).into_iter().filter(|step| !step.cluster).collect();
    for step in &steps {
        let mut shell = Command::new("bash");
        shell.args(["-c", &format!("set -o pipefail; exec 2>&1; {}", step.command)]);
        let output = shell.current_dir(tools::repo_root()).output().context("running a guide's command")?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if !output.status.success() {
            bail!("{}: {}\n{printed}", step.command, output.status);
        }
        let mut lines = printed.lines();
        for shown in step.shows.iter().filter(|shown| shown.trim() != "…") {
            if !lines.any(|line| line.trim_end() == shown.trim_end()) {
                bail!("{}: does not print, or not in this order: {shown}\n{printed}", step.command);
            }
        }
    }
    Ok(steps.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUIDE: &str = "# A\n\n```yaml\n$ not: a command\n```\n\n```console\n$ printf 'a\\nb\\n%s\\n' \\\n    c\na\n…\nc\n$ true\n```\n\n\
        <!-- needs a cluster -->\n```console\n$ kubectl apply -f x\n```\n";

    #[test]
    fn commands_are_found_with_what_they_print() {
        let steps = steps(GUIDE);
        assert_eq!(steps.len(), 3);
        assert_eq!(steps[0].command, "printf 'a\\nb\\n%s\\n' \\\n    c");
        assert_eq!(steps[0].shows, ["a", "…", "c"]);
        assert_eq!(steps.iter().map(|step| step.cluster).collect::<Vec<_>>(), [false, false, true]);
    }

    #[test]
    fn what_is_shown_must_be_printed() {
        assert_eq!(run(GUIDE).unwrap(), 2);
        let error = run(&GUIDE.replace("\n…\nc\n", "\nc\nb\n")).unwrap_err().to_string();
        assert!(error.contains("not in this order: b"), "{error}");
        assert!(
            run(&GUIDE.replace("$ true", "$ false"))
                .unwrap_err()
                .to_string()
                .starts_with("false: exit status: 1")
        );
    }
}
