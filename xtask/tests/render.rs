//! `cargo xtask render` as its users meet it: what it prints, where it writes, and how it fails.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use std::fs;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Runs it in a folder with these files.
fn render(files: &[(&str, &str)], words: &[&str]) -> (TempDir, Output) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    let output = command.arg("render").args(words).current_dir(folder.path()).output().unwrap();
    (folder, output)
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Of one that fails, with nothing on its output.
fn error(files: &[(&str, &str)], words: &[&str]) -> String {
    let (_folder, output) = render(files, words);
    assert!(!output.status.success(), "{words:?}");
    assert_eq!(out(&output), "", "{words:?}");
    String::from_utf8(output.stderr).unwrap()
}

const LIMITS: &str = "limits: [{name: a, quotas: [{requests: 1, per: 1m}]}]\n";

#[test]
fn each_host_gets_its_usual_form() {
    for (host, expected) in [
        ("envoy", "static_resources:"),
        ("istio", "kind: WasmPlugin"),
        ("consul", "Kind     = \"service-defaults\""),
        ("envoy-gateway", "kind: EnvoyExtensionPolicy"),
        ("linkerd", "linkerd.io/inject: ingress"),
    ] {
        let (_folder, output) = render(
            &[("mine.yaml", LIMITS)],
            &["--to", host, "--cluster", "stable=web.shop.svc.cluster.local:80", "mine.yaml"],
        );
        assert!(output.status.success(), "{output:?}");
        assert!(out(&output).contains(expected), "{host}: {}", out(&output));
    }
}

#[test]
fn a_manifest_goes_where_it_is_wanted_with_the_digest_of_a_file() {
    let (folder, output) = render(
        &[("mine.yaml", LIMITS), ("module.wasm", "")],
        &[
            "--to",
            "istio",
            "--form",
            "trafficextension",
            "--name",
            "second",
            "--workload",
            "app=cart",
            "--module",
            "https://m.example/x.wasm",
            "--sha256",
            "module.wasm",
            "--out",
            "made/it.yaml",
            "mine.yaml",
        ],
    );
    assert!(output.status.success(), "{output:?}");
    assert_eq!(out(&output), "");
    let made = fs::read_to_string(folder.path().join("made/it.yaml")).unwrap();
    for part in [
        "kind: TrafficExtension",
        "name: tidegate-second",
        "{app: \"cart\"}",
        "url: https://m.example/x.wasm",
        "sha256: \"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\"",
    ] {
        assert!(made.contains(part), "{part}: {made}");
    }
}

#[test]
fn what_the_filter_refuses_is_refused_here_all_at_once() {
    let told = error(
        &[("mine.yaml", "limits: [{name: a, quotas: [{request: 1, per: 1m}]}, {name: b, quotas: []}]\n")],
        &["--to", "istio", "mine.yaml"],
    );
    assert!(
        told.starts_with("error: mine.yaml: the filter rate-limit refuses the configuration:\n"),
        "{told}"
    );
    assert!(told.contains("limits[0].quotas[0]") && told.contains("\nlimits[1].quotas: expected"), "{told}");
}

#[test]
fn what_cannot_be_told_is_asked_for() {
    let told = error(&[("mine.yaml", "rules: [{nme: a}]\n")], &["--to", "istio", "mine.yaml"]);
    assert!(told.contains("say for which with --filter"), "{told}");
    let told =
        error(&[("mine.yaml", "rules: [{nme: a}]\n")], &["--to", "istio", "--filter", "auth", "mine.yaml"]);
    assert!(told.contains("the filter auth refuses"), "{told}");
    let told = error(&[("auth.yaml", "rules: [{nme: a}]\n")], &["--to", "istio", "auth.yaml"]);
    assert!(told.contains("the filter auth refuses"), "the file's name says it: {told}");
}

#[test]
fn words_that_are_wrong_are_answered_with_those_that_are_right() {
    let files = [("mine.yaml", LIMITS)];
    for (words, expected) in [
        (&["--to", "nginx", "mine.yaml"][..], "expected one of envoy, istio, consul, envoy-gateway, linkerd"),
        (
            &["--to", "consul", "--form", "wasmplugin", "mine.yaml"],
            "consul has no form `wasmplugin`; it has: inbound,",
        ),
        (&["--to", "istio", "--filter", "limit", "mine.yaml"], "expected one of telemetry, auth,"),
        (&["--to", "istio", "none.yaml"], "cannot read none.yaml"),
        (
            &["--to", "istio", "--name", "My Plugin", "mine.yaml"],
            "the name: expected 1 to 40 lower-case letters",
        ),
        (&["--to", "istio", "--module", "oci://a/b:1", "--sha256", "abc", "mine.yaml"], "abc is neither"),
        (&["--to", "istio", "--form", "clusters", "mine.yaml"], "has nothing to say for this configuration"),
        (&["--to", "linkerd", "mine.yaml"], "say where it is with --cluster stable=HOST:PORT"),
        (&["--to", "envoy", "--cluster", "stable", "mine.yaml"], "expected KEY=VALUE"),
        (&["--to", "envoy", "--cluster", "stable=nowhere", "mine.yaml"], "expected NAME=HOST:PORT"),
        (&["mine.yaml"], "--to <HOST>"),
    ] {
        let told = error(&files, words);
        assert!(told.contains(expected), "{words:?}: {told}");
    }
}

#[test]
fn a_warning_leaves_the_manifest_whole() {
    let limits = "limits: [{name: a, key: [source], quotas: [{requests: 1, per: 1m}]}]\n";
    let (_folder, output) =
        render(&[("mine.yaml", limits)], &["--to", "linkerd", "--cluster", "stable=web:80", "mine.yaml"]);
    assert!(output.status.success());
    assert!(out(&output).contains("kind: Deployment"));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(told.starts_with("warning: mine.yaml: the limit `a` counts by `source`"), "{told}");
}
