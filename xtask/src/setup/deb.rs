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
    // Another program of the package may have been asked for earlier.
    if !folder.join("root").join(program).exists() {
        staging::replace_dir(&folder, |partial| {
            Apt::of_this_machine()?.unpack_with_libraries(&[package], &partial.join("root"))?;
            if !partial.join("root").join(program).exists() {
                bail!("Debian's {package} has no {program}");
            }
            Ok(())
        })?;
    }
    // The libraries that came along are found beside it, also when the checkout has been moved.
    let libraries = libraries(&folder.join("root"))?;
    let script = format!(
        "#!/bin/sh\nroot=$(dirname \"$(readlink -f \"$0\")\")/root\n\
         LD_LIBRARY_PATH=\"{libraries}\" exec \"$root/{program}\" \"$@\"\n",
    );
    let starter = starter(package, program).context("a program has a name")?;
    staging::write_file(&starter, script.as_bytes())?;
    fs::set_permissions(&starter, fs::Permissions::from_mode(0o755))?;
    Ok(starter)
}

/// The program, if it is unpacked already.
pub(super) fn find(package: &str, program: &str) -> Option<PathBuf> {
    starter(package, program).filter(|starter| starter.is_file())
}

fn starter(package: &str, program: &str) -> Option<PathBuf> {
    Some(folder(package).join(Path::new(program).file_name()?))
}

/// The folders of libraries below `root`, as the script names them.
fn libraries(root: &Path) -> Result<String> {
    let mut folders = Vec::new();
    for lib in ["lib", "usr/lib"] {
        let Ok(entries) = fs::read_dir(root.join(lib)) else { continue };
        for entry in entries {
            let name = entry?.file_name();
            if name.to_string_lossy().ends_with("-linux-gnu") {
                folders.push(format!("$root/{lib}/{}", name.display()));
            }
        }
    }
    Ok(folders.join(":"))
}

fn folder(package: &str) -> PathBuf {
    paths::tools_dir().join(format!("deb-{package}"))
}
