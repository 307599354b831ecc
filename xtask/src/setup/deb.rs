//! Programs out of Debian packages, unpacked below `target/tools`: nothing is installed, and no root is needed.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::apt::Apt;
use crate::paths;
use crate::staging::{self, Lock};

/// `program` (such as `usr/bin/redis-server`) out of `package`: unpacked already, or unpacked now.
pub(super) fn program(package: &str, program: &str) -> Result<PathBuf> {
    if let Some(found) = find(package, program) {
        return Ok(found);
    }
    let _lock = Lock::take("deb")?;
    let folder = folder(package);
    let name = Path::new(program).file_name().context("a program has a name")?;
    staging::replace_dir(&folder, |partial| {
        let root = partial.join("root");
        Apt::of_this_machine()?.unpack_with_libraries(&[package], &root)?;
        if !root.join(program).exists() {
            bail!("Debian's {package} has no {program}");
        }
        // The libraries that came along are found by the place where they will be, not by where they are now.
        let (root, starter) = (folder.join("root"), partial.join(name));
        let libraries = libraries(&partial.join("root"), &root)?;
        let script = format!(
            "#!/bin/sh\nLD_LIBRARY_PATH=\"{libraries}\" exec \"{}\" \"$@\"\n",
            root.join(program).display()
        );
        fs::write(&starter, script)?;
        Ok(fs::set_permissions(&starter, fs::Permissions::from_mode(0o755))?)
    })?;
    Ok(folder.join(name))
}

/// The program, if it is unpacked already.
pub(super) fn find(package: &str, program: &str) -> Option<PathBuf> {
    let starter = folder(package).join(Path::new(program).file_name()?);
    starter.is_file().then_some(starter)
}

/// The folders of libraries below `root`, as they will be called below `finally`.
fn libraries(root: &Path, finally: &Path) -> Result<String> {
    let mut folders = Vec::new();
    for lib in ["lib", "usr/lib"] {
        let Ok(entries) = fs::read_dir(root.join(lib)) else { continue };
        for entry in entries {
            let name = entry?.file_name();
            if name.to_string_lossy().ends_with("-linux-gnu") {
                folders.push(finally.join(lib).join(name).display().to_string());
            }
        }
    }
    Ok(folders.join(":"))
}

fn folder(package: &str) -> PathBuf {
    paths::tools_dir().join(format!("deb-{package}"))
}
