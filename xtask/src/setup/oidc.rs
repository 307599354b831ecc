//! An OpenID provider: npm's `oidc-provider`, pinned by the lock file in `xtask/tools/oidc-provider`, under a script of ours.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Node;
use crate::{paths, process, staging};

const FILES: [&str; 3] = ["package.json", "package-lock.json", "op.mjs"];

/// The program that starts it: built already, or made now.
pub(super) fn prepare() -> Result<PathBuf> {
    if let Some(found) = find()? {
        return Ok(found);
    }
    let node = Node::prepare()?;
    staging::replace_dir(&folder(), |partial| {
        for name in FILES {
            fs::copy(pins().join(name), partial.join(name))?;
        }
        let mut npm = node.npm()?;
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier"]);
        npm.current_dir(partial);
        process::quietly("installing oidc-provider with npm", &mut npm, Duration::from_secs(300))
            .context("npm cannot install oidc-provider: is the npm registry in reach?")?;
        let start = format!(
            "#!/bin/sh\nexec \"{}\" \"$(dirname \"$(readlink -f \"$0\")\")/op.mjs\" \"$@\"\n",
            node.command().get_program().to_string_lossy()
        );
        let program = partial.join("oidc-provider");
        fs::write(&program, start)?;
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
        Ok(())
    })?;
    Ok(program())
}

/// The one that is there already, if it is made of our files still.
pub(super) fn find() -> Result<Option<PathBuf>> {
    let read = |folder: PathBuf, name: &str| fs::read(folder.join(name)).ok();
    let same = |name: &&str| {
        let (ours, theirs) = (read(pins(), name), read(folder(), name));
        ours.is_some() && ours == theirs
    };
    Ok((FILES.iter().all(&same) && program().is_file()).then(program))
}

fn folder() -> PathBuf {
    paths::tools_dir().join("oidc-provider")
}

fn program() -> PathBuf {
    folder().join("oidc-provider")
}

fn pins() -> PathBuf {
    paths::pins_dir().join("oidc-provider")
}
