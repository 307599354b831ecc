//! What a build is called with on each way; taking the ways themselves needs a network (CONTRIBUTING says how).

use std::ffi::OsStr;

use super::*;

fn on(via: Via) -> WasmStd {
    WasmStd {
        via,
        how: "found".to_owned(),
        forced: false,
        machine_rustc: "rustc".to_owned(),
        needs: Vec::new(),
        cargo: None,
        rustc: None,
        libraries: None,
        source: None,
        linker: None,
    }
}

fn variable(command: &Command, name: &str) -> Option<String> {
    let found = command.get_envs().find(|(found, _)| *found == OsStr::new(name))?;
    Some(found.1?.to_string_lossy().into_owned())
}

#[test]
fn with_the_target_installed_cargo_is_called_plainly() {
    let command = on(Via::Rustup).cargo("build").unwrap();
    assert_eq!(process::line(&command).split_once(' ').unwrap().1, "build --target wasm32-unknown-unknown");
    for name in ["RUSTC", "RUSTC_BOOTSTRAP", "__CARGO_TESTS_ONLY_SRC_ROOT", "LD_LIBRARY_PATH"] {
        assert_eq!(variable(&command, name), None);
    }
}

#[test]
fn from_source_the_standard_library_is_built_along() {
    let from_source = WasmStd { source: Some("/s/library".into()), ..on(Via::RustSrc) };
    let command = from_source.cargo("build").unwrap();
    assert!(process::line(&command).ends_with(" -Zbuild-std=std,panic_abort"));
    assert_eq!(variable(&command, "RUSTC_BOOTSTRAP").as_deref(), Some("1"));
    assert_eq!(variable(&command, "__CARGO_TESTS_ONLY_SRC_ROOT").as_deref(), Some("/s/library"));
    assert!(from_source.has_clippy());
}

#[test]
fn debians_set_brings_its_own_cargo_compiler_libraries_and_linker() {
    let set = WasmStd {
        cargo: Some("/d/bin/cargo".into()),
        rustc: Some("/d/bin/rustc".into()),
        libraries: Some("/d/lib".into()),
        source: Some("/d/library".into()),
        linker: Some("/d/wasm-ld".into()),
        ..on(Via::Distro)
    };
    let command = set.cargo("build").unwrap();
    assert_eq!(command.get_program(), "/d/bin/cargo");
    assert_eq!(variable(&command, "RUSTC").as_deref(), Some("/d/bin/rustc"));
    assert!(variable(&command, "LD_LIBRARY_PATH").unwrap().starts_with("/d/lib"));
    let linker = variable(&command, "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER");
    assert_eq!(linker.as_deref(), Some("/d/wasm-ld"));
    // The machine's cargo, which runs us, may have set these for its own compiler.
    for name in ["RUSTC_WRAPPER", "RUSTUP_TOOLCHAIN", "RUSTDOC"] {
        assert!(command.get_envs().any(|(found, value)| found == OsStr::new(name) && value.is_none()));
    }
    assert!(!set.has_clippy());
}

#[test]
fn a_choice_whose_parts_are_gone_or_whose_compiler_changed_no_longer_holds() {
    let folder = tempfile::tempdir().unwrap();
    let here = WasmStd { needs: vec![folder.path().to_path_buf()], ..on(Via::Rustup) };
    assert!(here.holds("rustc"));
    assert!(!here.holds("rustc of another version"));
    assert!(!WasmStd { needs: vec![folder.path().join("gone")], ..here }.holds("rustc"));
}

#[test]
fn a_standard_library_is_known_by_its_file() {
    let folder = tempfile::tempdir().unwrap();
    assert!(!has_std(&folder.path().join("gone")));
    assert!(!has_std(folder.path()));
    std::fs::write(folder.path().join("libstd-0123.rlib"), "").unwrap();
    assert!(has_std(folder.path()));
}
