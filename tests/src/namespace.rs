//! A machine within the machine: a network, a process table and a root of its own, for programs that take ports and paths
//! that a test may not. Needs root and Linux's namespaces; the machine itself stays as it is.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use nix::sched::{CloneFlags, setns};
use tempfile::TempDir;

use crate::process::Program;

const UNSHARE: [&str; 6] = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation=private"];

/// Makes the root `$1`: everything that the machine has, and what is in `$2` laid over it; then becomes the command behind.
///
/// Each folder of the machine's root is mounted below a root in memory, where further folders can stand beside them. Those
/// that `$2` has as well get a layer above: what is written there stays in memory.
const ROOT: &str = r#"
set -e
root=$1; over=$2; shift 2
ip link set lo up
mount -t tmpfs tmpfs "$root"
mkdir "$root/.written" "$root/.work"
for entry in /*; do
    name=${entry#/}
    if [ -L "$entry" ]; then cp -P "$entry" "$root/$name"
    elif [ "$name" = proc ]; then mkdir "$root/proc"; mount -t proc proc "$root/proc"
    elif [ -d "$over/$name" ]; then
        mkdir "$root/$name" "$root/.written/$name" "$root/.work/$name"
        layers="lowerdir=$over/$name:$entry,upperdir=$root/.written/$name,workdir=$root/.work/$name"
        mount -t overlay overlay -o "$layers" "$root/$name"
    elif [ -d "$entry" ]; then mkdir "$root/$name"; mount --rbind "$entry" "$root/$name"
    fi
done
for entry in "$over"/*; do
    name=${entry##*/}
    if [ ! -e "$root/$name" ]; then cp -r "$entry" "$root/$name"; fi
done
exec chroot "$root" "$@"
"#;

/// A program in namespaces of its own. All that runs in there ends with it.
#[derive(Debug)]
pub struct Namespace {
    program: Program,
}

impl Namespace {
    /// Why there can be none here.
    #[must_use]
    pub fn missing() -> Option<String> {
        let tried = Command::new("unshare").args(UNSHARE).args(["ip", "link", "set", "lo", "up"]).output();
        match tried {
            Ok(output) if output.status.success() => None,
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Some(format!("namespaces need root: {why}"))
            }
            Err(error) => Some(format!("namespaces need util-linux's unshare and iproute2's ip: {error}")),
        }
    }

    /// Starts the command that `command` makes, given its folder. What is below `over` stands in its root, where there may
    /// be none or others outside: `over/etc/hosts` is its `/etc/hosts`. What it writes into folders of the machine's root
    /// that `over` has too stays in memory.
    pub fn start(
        folder: TempDir,
        over: &Path,
        command: impl FnOnce(&Path) -> Result<Command>,
    ) -> Result<Self> {
        let root = folder.path().join("root");
        std::fs::create_dir_all(&root)?;
        let mut program = Program::start_in(folder, |folder| {
            let inner = command(folder)?;
            let mut outer = Command::new("unshare");
            outer.args(UNSHARE).args(["sh", "-c", ROOT, "sh"]).arg(&root).arg(over);
            outer.arg(inner.get_program()).args(inner.get_args());
            for (name, value) in inner.get_envs() {
                match value {
                    Some(value) => outer.env(name, value),
                    None => outer.env_remove(name),
                };
            }
            Ok(outer)
        })?;
        let (own, its) = (network("self")?, format!("{}", program.pid()));
        program.wait_until(Duration::from_secs(20), |_| network(&its).is_ok_and(|network| network != own))?;
        Ok(Self { program })
    }

    /// Does something in this network. Sockets that were made there stay there, and so do threads.
    pub fn inside<T: Send>(&self, action: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        let network = File::open(format!("/proc/{}/ns/net", self.program.pid())).context("it has ended")?;
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(network, CloneFlags::CLONE_NEWNET).context("entering a network")?;
                action()
            });
            inside.join().map_err(|_| anyhow!("what was done inside panicked"))?
        })
    }

    /// The program, to wait for.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Everything written so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.program.log()
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.program.folder()
    }

    /// A command that is run in this network.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.program.pid())).arg(program);
        command
    }
}

/// Which network a process is in.
fn network(process: &str) -> Result<String> {
    let link = std::fs::read_link(format!("/proc/{process}/ns/net"))?;
    let name = link.to_string_lossy().into_owned();
    if name.is_empty() {
        bail!("no network");
    }
    Ok(name)
}
