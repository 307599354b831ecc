//! Runs other programs: streamed, or quietly with a sign of life every few seconds.
//!
//! Children stay in our process group, so Ctrl-C reaches them together with us; where only we are ended, they are told to
//! end as well. Each is waited for by the thread that starts it.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::process::{Signal, die_with_parent};

/// When a quiet program's progress is first printed; then at twice that time and so on, but at least every
/// [`SLOWEST_BEAT`].
const FIRST_BEAT: Duration = Duration::from_secs(5);
const SLOWEST_BEAT: Duration = Duration::from_secs(30);

/// How many of a failed program's last lines go into the error.
const TAIL: usize = 20;

/// Runs a program whose output the user should see.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = with_us(command).status().with_context(|| cannot_start(command))?;
    check(command, status)
}

/// Runs a short program and returns what it wrote to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = with_us(command).stdin(Stdio::null()).output().with_context(|| cannot_start(command))?;
    if !output.status.success() {
        bail!("`{}` failed ({}):\n{}", line(command), output.status, tail(&output.stderr));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a longer program without showing its output: prints `what` with the time now and then, ends it after
/// `limit`, and puts its last lines into the error when it fails. Returns all that it wrote.
pub(crate) fn quietly(what: &str, command: &mut Command, limit: Duration) -> Result<String> {
    let mut child = with_us(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    let written = Arc::new(Mutex::new(Vec::new()));
    let mut readers = Vec::new();
    if let Some(out) = child.stdout.take() {
        readers.push(collect(out, Arc::clone(&written)));
    }
    if let Some(err) = child.stderr.take() {
        readers.push(collect(err, Arc::clone(&written)));
    }
    let start = Instant::now();
    let mut next = FIRST_BEAT;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            break None;
        }
        if start.elapsed() > next {
            println!("  … {what}: {} s", start.elapsed().as_secs());
            next += next.min(SLOWEST_BEAT);
        }
        thread::sleep(Duration::from_millis(20));
    };
    // A grandchild may hold the pipes open after a kill: wait for the readers only when the program ended by itself.
    if status.is_some() {
        for reader in readers {
            let _ = reader.join();
        }
    }
    let written = written.lock().unwrap_or_else(PoisonError::into_inner);
    match status {
        Some(status) if status.success() => Ok(String::from_utf8_lossy(&written).into_owned()),
        Some(status) => bail!("`{}` failed ({status}):\n{}", line(command), tail(&written)),
        None => bail!(
            "`{}` took more than {} s and was stopped:\n{}",
            line(command),
            limit.as_secs(),
            tail(&written)
        ),
    }
}

fn collect(mut from: impl Read + Send + 'static, into: Arc<Mutex<Vec<u8>>>) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(n @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap_or_else(PoisonError::into_inner).extend(buffer.iter().take(n));
        }
    })
}

/// Runs a program, hands each line of its standard output to `see` and prints it where `see` returns true.
/// Its standard error goes to ours.
pub(crate) fn each_line(command: &mut Command, mut see: impl FnMut(&str) -> bool) -> Result<ExitStatus> {
    let mut child = with_us(command)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| cannot_start(command))?;
    if let Some(out) = child.stdout.take() {
        for bytes in BufReader::new(out).split(b'\n') {
            let bytes = bytes?;
            let text = String::from_utf8_lossy(&bytes);
            if see(&text) {
                println!("{text}");
            }
        }
    }
    Ok(child.wait()?)
}

fn with_us(command: &mut Command) -> &mut Command {
    die_with_parent(command, Signal::SIGTERM);
    command
}

/// An error unless the program ended well.
pub(crate) fn check(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status}); its messages are above", line(command));
    }
    Ok(())
}

/// The command as one would type it, its program without folders.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(command.get_program()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        // Writing to a String cannot fail.
        let _ = write!(text, " {}", argument.to_string_lossy());
    }
    text
}

fn cannot_start(command: &Command) -> String {
    format!("cannot start `{}`: is it installed and on PATH?", command.get_program().to_string_lossy())
}

fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let skipped = lines.len().saturating_sub(TAIL);
    lines.into_iter().skip(skipped).map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}

/// Puts `folder` in front of the search path in the variable `name`.
pub(crate) fn prepend(command: &mut Command, name: &str, folder: &Path) -> Result<()> {
    let mut folders = vec![folder.to_path_buf()];
    if let Some(before) = std::env::var_os(name) {
        folders.extend(std::env::split_paths(&before));
    }
    let joined =
        std::env::join_paths(folders).with_context(|| format!("{} cannot be on {name}", folder.display()))?;
    command.env(name, joined);
    Ok(())
}

/// The first file of that name on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}
