//! Programs that live as long as their values.

use std::fs::File;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
pub use nix::sys::signal::Signal;
use tempfile::TempDir;

const POLL: Duration = Duration::from_millis(10);

/// A running program with a folder of its own, in which its log is. Dropping it kills it; so does the end of this
/// process, whatever ends it.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    folder: TempDir,
}

impl Program {
    /// Starts what `command` makes, given the folder. Output goes to the log.
    pub fn start(command: impl FnOnce(&Path) -> Result<Command>) -> Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for a program")?;
        Self::start_in(folder, command)
    }

    /// The same in a folder that has been prepared, or that an earlier program left.
    pub fn start_in(folder: TempDir, command: impl FnOnce(&Path) -> Result<Command>) -> Result<Self> {
        let mut command = command(folder.path())?;
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let log = File::options().create(true).append(true).open(folder.path().join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let child = spawn(command).with_context(|| format!("starting {name}"))?;
        Ok(Self { name, child, folder })
    }

    /// Waits until `ready` says so. The error of a program that ended, or took longer than `limit`, holds its log.
    pub fn wait_until(&mut self, limit: Duration, mut ready: impl FnMut(&Path) -> bool) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}):\n{}", self.name, self.log());
            }
            if ready(self.folder.path()) {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("{} was not ready after {} s:\n{}", self.name, limit.as_secs(), self.log());
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until it has ended well. The error of one that ended otherwise, or not within `limit`, holds its log.
    pub fn finish(&mut self, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("{} ended ({status}):\n{}", self.name, self.log()),
                None if Instant::now() > deadline => {
                    bail!("{} goes on after {} s:\n{}", self.name, limit.as_secs(), self.log())
                }
                None => thread::sleep(POLL),
            }
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the process still runs.
    pub fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file that it writes its output to.
    #[must_use]
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Everything written so far.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        // Already gone is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A loopback port that is free, for programs that cannot say which port the kernel chose. It lies below those that
/// Linux gives to connections, so that none takes it before the program does, or while the program is restarted; and no
/// other call in this process gets it.
pub fn free_port() -> Result<u16> {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 22_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    // Processes that run at once begin in different places.
    let start = std::process::id().wrapping_mul(613);
    for _ in 0..COUNT {
        let number = start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT;
        let port = u16::try_from(FIRST + number)?;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// Whether somebody accepts connections there.
#[must_use]
pub fn accepts(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)).is_ok()
}

type Spawned = mpsc::Sender<std::io::Result<Child>>;

/// Starts a program that dies with this process.
///
/// Linux sends the signal when the *thread* that started the program ends, so one thread starts all of them and never
/// ends: a test's thread may.
fn spawn(command: Command) -> Result<Child> {
    static SPAWNER: OnceLock<mpsc::Sender<(Command, Spawned)>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<(Command, Spawned)>();
        thread::spawn(move || {
            for (mut command, answer) in receiver {
                die_with_parent(&mut command, Signal::SIGKILL);
                let _ = answer.send(command.spawn());
            }
        });
        sender
    });
    let (sender, receiver) = mpsc::channel();
    spawner.send((command, sender)).map_err(|_| anyhow!("the thread that starts programs has ended"))?;
    Ok(receiver.recv().context("the thread that starts programs has ended")??)
}

/// Lets the program get `signal` when the thread that starts it ends: for threads that wait for their programs.
#[expect(unsafe_code, reason = "the signal must be asked for between fork and exec")]
pub fn die_with_parent(command: &mut Command, signal: Signal) {
    // SAFETY: the closure calls async-signal-safe functions only and allocates nothing.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(signal)?;
            Ok(())
        });
    }
}
