//! A real Redis.

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use tempfile::TempDir;

use super::program;
use crate::process::Program;

/// A running Redis that keeps nothing on disk. It listens on a socket in the file system, so that one that is started
/// again is found where the old one was.
#[derive(Debug)]
pub struct Redis {
    program: Program,
    socket: PathBuf,
    // The socket's folder outlives the program: see `restart`.
    _folder: TempDir,
}

impl Redis {
    /// Starts it.
    pub fn start() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let socket = folder.path().join("redis.sock");
        Ok(Self { program: run(&socket)?, socket, _folder: folder })
    }

    /// The socket that it listens on.
    #[must_use]
    pub fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.program.kill();
    }

    /// Starts it again on the same socket, with nothing in it.
    pub fn restart(&mut self) -> Result<()> {
        self.program = run(&self.socket)?;
        Ok(())
    }
}

fn run(socket: &std::path::Path) -> Result<Program> {
    let mut running = Program::start(|folder| {
        let mut command = Command::new(program("redis-server")?);
        command.args(["--port", "0", "--save", "", "--appendonly", "no", "--daemonize", "no"]);
        command.arg("--unixsocket").arg(socket).current_dir(folder);
        Ok(command)
    })?;
    running.wait_until(Duration::from_secs(20), |_| UnixStream::connect(socket).is_ok())?;
    Ok(running)
}
