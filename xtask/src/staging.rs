//! Installing so that neither a second process nor an earlier, half-finished run can do harm: one lock per thing, a
//! folder on the side, and a rename as the last step.

use std::fs::{self, File, TryLockError};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::paths;

/// Holds a lock file until dropped. The system releases it when the process dies.
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock called `name` on what `target/tools` holds, saying so when another process has it.
    pub(crate) fn take(name: &str) -> Result<Lock> {
        Lock::take_in(&paths::tools_dir(), name)
    }

    /// The same on what `folder` holds: checkouts that share their tools do not wait for each other's modules.
    pub(crate) fn take_in(folder: &Path, name: &str) -> Result<Lock> {
        create_dir(folder)?;
        let path = folder.join(format!(".{name}.lock"));
        let file = File::create(&path).with_context(|| cannot("write", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                println!("another `cargo xtask` holds {}: waiting for it", paths::shown(&path));
                file.lock().with_context(|| cannot("lock", &path))?;
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(|| cannot("lock", &path)),
        }
        Ok(Lock { _file: file })
    }
}

/// Lets `fill` make a folder on the side, then puts it in the place of `target`.
pub(crate) fn replace_dir(target: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let Some(name) = target.file_name() else { bail!("{} has no name", target.display()) };
    let partial = target.with_file_name(format!("{}.partial", name.to_string_lossy()));
    remove_dir(&partial)?;
    create_dir(&partial)?;
    fill(&partial)?;
    remove_dir(target)?;
    fs::rename(&partial, target).with_context(|| cannot("rename to", target))
}

/// Writes a file in one step: a reader sees the old content or the new one.
pub(crate) fn write_file(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        create_dir(folder)?;
    }
    let Some(name) = path.file_name() else { bail!("{} has no name", path.display()) };
    let partial = path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id()));
    fs::write(&partial, content).with_context(|| cannot("write", &partial))?;
    fs::rename(&partial, path).with_context(|| cannot("rename to", path))
}

/// Makes a folder and those above it.
pub(crate) fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| cannot("create", path))
}

fn remove_dir(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| cannot("remove", path))
        }
        _ => Ok(()),
    }
}

fn cannot(what: &str, path: &Path) -> String {
    format!("cannot {what} {}: check its permissions and the disk's free space", path.display())
}
