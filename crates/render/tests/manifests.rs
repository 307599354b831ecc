//! The manifests below `envoy-config/`: each holds its configuration whole, and says what happens when the filter cannot run.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tidegate_render::{Configuration, Filter, Form, LINKERD_SOURCES, Options, Place, SOURCES, render, tree};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../envoy-config")
}

/// Files below `part`, by name.
fn files(part: &str) -> BTreeMap<String, String> {
    let tree = tree(&folder()).unwrap();
    let named = tree.into_iter().map(|(file, text)| (file.display().to_string(), text));
    named.filter(|(file, _)| file.starts_with(part)).collect()
}

fn documents(text: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(text).unwrap()
}

fn source(name: &str) -> (Filter, Value) {
    let filter = SOURCES.iter().chain(&LINKERD_SOURCES).find(|(source, _)| *source == name).unwrap().1;
    let text = std::fs::read_to_string(folder().join(format!("filters/{name}.yaml"))).unwrap();
    (filter, serde_saphyr::from_str(&text).unwrap())
}

/// What filters are configured with, wherever it stands in a manifest.
fn configurations(value: &Value, found: &mut Vec<Value>) {
    match value {
        Value::Object(fields) => {
            for (key, field) in fields {
                let typed = key == "configuration" && field.get("value").is_some();
                if typed {
                    found.push(field["value"].clone());
                } else if key == "pluginConfig" || (key == "config" && fields.contains_key("failOpen")) {
                    found.push(field.clone());
                } else {
                    configurations(field, found);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| configurations(item, found)),
        _ => {}
    }
}

/// The part of an HCL file between the marks of its configuration.
fn from_hcl(text: &str) -> Value {
    let (_, rest) = text.split_once("        Configuration = <<-EOF\n").unwrap();
    serde_json::from_str(rest.split_once("\n        EOF\n").unwrap().0).unwrap()
}

/// The configuration's name in the name of a manifest: that of `istio/auth/wasmplugin.yaml` or `consul/auth-remote.hcl`.
fn configured_by(file: &str) -> Option<&'static str> {
    let names = SOURCES.iter().chain(&LINKERD_SOURCES).map(|(name, _)| *name);
    let rest = file.split_once('/')?.1;
    let fits = |name: &&str| rest.strip_prefix(*name).is_some_and(|rest| rest.starts_with(['/', '.', '-']));
    names.filter(fits).max_by_key(|name| name.len())
}

#[test]
fn every_manifest_holds_its_configuration_whole() {
    let mut seen = 0;
    for (file, text) in files("") {
        let Some(name) = configured_by(&file).filter(|_| !file.starts_with("filters/")) else { continue };
        let (filter, expected) = source(name);
        let found = if file.ends_with(".hcl") {
            vec![from_hcl(&text)]
        } else {
            let mut found = Vec::new();
            documents(&text).iter().for_each(|document| configurations(document, &mut found));
            // A ConfigMap holds a file.
            let held =
                documents(&text).iter().find_map(|it| Some(it["data"]["envoy.yaml"].as_str()?.to_owned()));
            held.iter().flat_map(|held| documents(held)).for_each(|held| configurations(&held, &mut found));
            found
        };
        assert_eq!(found, [expected], "{file}");
        // The filter's own code, over what a host would hand it.
        let found = found.first().unwrap().to_string();
        assert_eq!(Configuration::read(&found, Some(filter), None).unwrap().filter(), filter, "{file}");
        seen += 1;
    }
    assert!(seen >= 90, "{seen}");
}

#[test]
fn bootstraps_hold_theirs_and_the_comments() {
    for (name, _) in SOURCES {
        let text = &files("")[&format!("{name}.yaml")];
        let mut found = Vec::new();
        documents(text).iter().for_each(|document| configurations(document, &mut found));
        assert_eq!(found, [source(name).1], "{name}");
        let original = std::fs::read_to_string(folder().join(format!("filters/{name}.yaml"))).unwrap();
        for comment in original.lines().map(str::trim).filter(|line| line.starts_with("# ")) {
            assert!(text.contains(comment), "{name} has lost {comment}");
        }
    }
    let mut found = Vec::new();
    documents(&files("")["all-filters.yaml"])
        .iter()
        .for_each(|document| configurations(document, &mut found));
    let suite = source("suite").1;
    let parts = ["telemetry", "auth", "rate_limit", "header_routing"].map(|part| suite[part].clone());
    assert_eq!(found, parts);
}

/// Phase and priority, the order of an EnvoyFilter, and what happens where the filter cannot run.
#[test]
fn each_filter_has_its_place_and_its_failure_policy_in_istio() {
    for (filter, phase, priority, order, failure) in [
        (Filter::Auth, "AUTHN", 10, 20, "FAIL_RELOAD"),
        (Filter::RateLimit, "AUTHZ", 20, 30, "FAIL_RELOAD"),
        (Filter::HeaderRouting, "AUTHZ", 10, 40, "FAIL_RELOAD"),
        (Filter::Telemetry, "STATS", 10, 10, "FAIL_OPEN"),
        (Filter::Suite, "AUTHN", 10, 10, "FAIL_RELOAD"),
    ] {
        let files = files(&format!("istio/{}/", filter.name()));
        assert_eq!(files.len(), 6);
        for (file, text) in files {
            let document = documents(&text).remove(0);
            let spec = &document["spec"];
            if file.contains("envoyfilter") {
                assert_eq!(spec["priority"], order, "{file}");
                assert!(text.contains("failure_policy: FAIL_RELOAD"), "{file}");
                assert!(text.contains(&format!("vm_id: tidegate.{}\n", filter.name())), "{file}");
                let context = if file.contains("gateway") { "GATEWAY" } else { "SIDECAR_INBOUND" };
                let patches = spec["configPatches"].as_array().unwrap();
                assert!(patches.iter().all(|patch| patch["match"]["context"] == context), "{file}");
                continue;
            }
            let plugin = if document["kind"] == "WasmPlugin" { spec } else { &spec["wasm"] };
            assert_eq!((&spec["phase"], &spec["priority"]), (&phase.into(), &priority.into()), "{file}");
            assert_eq!(plugin["failStrategy"], failure, "{file}");
            assert_eq!(plugin["imagePullPolicy"], "IfNotPresent", "{file}");
            assert_eq!(plugin["sha256"].as_str().map(str::len), Some(64), "{file}");
            assert_eq!(spec["selector"]["matchLabels"]["app"], "web", "{file}");
        }
    }
}

#[test]
fn only_telemetry_may_fail_open() {
    for (file, text) in files("consul/") {
        let open = configured_by(&file).unwrap().starts_with("telemetry");
        assert_eq!(text.matches("Required = false").count(), usize::from(open), "{file}");
        assert_eq!(text.matches("Required = true").count(), usize::from(!open), "{file}");
    }
    for (file, text) in files("envoy-gateway/") {
        if file.ends_with("-patch.yaml") || file.ends_with("gateway.yaml") {
            continue;
        }
        let open = configured_by(&file).unwrap().starts_with("telemetry");
        assert_eq!(text.matches(&format!("failOpen: {open}\n")).count(), 1, "{file}");
    }
}

#[test]
fn two_plugins_of_one_filter_share_nothing_where_they_have_two_names() {
    let text = "limits: [{name: a, quotas: [{requests: 1, per: 1m}]}]\n";
    let configuration = Configuration::read(text, None, None).unwrap();
    for form in Form::ALL {
        if matches!(form, Form::Clusters | Form::Stats) {
            continue;
        }
        let named = |name: &str| {
            let mut options = Options { name: Some(name.to_owned()), ..Options::new(form) };
            options.clusters.insert("stable".to_owned(), Place::parse("web:80").unwrap());
            render(&configuration, &options).unwrap().text
        };
        let (one, two) = (named("plugin-one"), named("plugin-two"));
        assert_eq!(one.replace("plugin-one", "plugin-two"), two, "{form:?}");
        assert_ne!(one, two, "{form:?}");
    }
}

#[test]
fn what_a_host_cannot_do_is_warned_of() {
    let signed = "providers: {a: {hmac: {from: {header: s}, secret_env: K, signed: [method, body_sha256, \"header:date\"]}}}\n\
        rules: [{name: r, require: a}]\n";
    let configuration = Configuration::read(signed, None, None).unwrap();
    let warnings = |form| render(&configuration, &Options::new(form)).unwrap().warnings;
    for form in [Form::WasmPlugin, Form::TrafficExtension, Form::ServiceInbound, Form::ExtensionPolicyHttp] {
        assert!(
            warnings(form).concat().contains("`body_sha256`, which needs allow_on_headers_stop_iteration"),
            "{form:?}"
        );
    }
    for form in [Form::Bootstrap, Form::EnvoyFilterInlineInbound, Form::PatchPolicy] {
        assert_eq!(warnings(form), Vec::<String>::new(), "{form:?}");
        let text = render(&configuration, &Options::new(form)).unwrap().text;
        assert!(text.contains("allow_on_headers_stop_iteration: true"), "{form:?}");
    }
}

/// Istio drops what no prefix lets in, and leaves labels in names that it was not told of.
#[test]
fn istio_is_told_of_every_label_and_every_metric() {
    let stats = documents(&files("istio/")["istio/stats.yaml"]).remove(0);
    let defaults = &stats["meshConfig"]["defaultConfig"];
    for (name, _) in SOURCES {
        let telemetry = match source(name) {
            (Filter::Telemetry, configuration) => configuration,
            (Filter::Suite, configuration) => configuration["telemetry"].clone(),
            _ => continue,
        };
        let config = tidegate_config::decode(telemetry.to_string().as_bytes()).unwrap();
        for label in tidegate_render::istio_extra_tags(&[&config]) {
            assert!(
                defaults["extraStatTags"].as_array().unwrap().contains(&label.as_str().into()),
                "{name}: {label}"
            );
        }
        for prefix in tidegate_render::istio_prefixes(&[&config]) {
            let prefixes = defaults["proxyStatsMatcher"]["inclusionPrefixes"].as_array().unwrap();
            assert!(prefixes.contains(&prefix.as_str().into()), "{name}: {prefix}");
        }
    }
}

/// To an Envoy that Linkerd meshes every caller in the mesh comes from loopback.
#[test]
fn limits_by_address_behind_linkerds_proxy_are_warned_of() {
    for (key, hops, form, warned) in [
        ("[source]", 0, Form::LinkerdMesh, true),
        ("[source]", 1, Form::LinkerdMesh, true),
        ("[source]", 2, Form::LinkerdMesh, false),
        ("[principal]", 0, Form::LinkerdMesh, false),
        ("[{header: x-a}, source]", 0, Form::LinkerdMesh, true),
        ("[source]", 0, Form::LinkerdPublic, false),
        ("[source]", 0, Form::WasmPlugin, false),
    ] {
        for suite in [false, true] {
            let limits = format!(
                "{{limits: [{{name: by, key: {key}, quotas: [{{requests: 1, per: 1m}}]}}], client_address: {{trusted_hops: {hops}}}}}"
            );
            let text = if suite { format!("rate_limit: {limits}\n") } else { limits };
            let configuration = Configuration::read(&text, None, None).unwrap();
            let mut options = Options::new(form);
            options.clusters.insert("stable".to_owned(), Place::parse("web:80").unwrap());
            let warnings = render(&configuration, &options).unwrap().warnings.concat();
            assert_eq!(
                warnings.contains("the limit `by` counts by `source`"),
                warned,
                "{key} {hops} {form:?}"
            );
        }
    }
}

/// Whom a manifest is for, where its module comes from, in which namespace: as asked.
#[test]
fn what_is_asked_for_stands_in_the_manifest() {
    let text = "limits: [{name: a, quotas: [{requests: 1, per: 1m}]}]\n";
    let configuration = Configuration::read(text, None, None).unwrap();
    let digest = "ab".repeat(32);
    let mut options = Options::new(Form::WasmPlugin);
    options.namespace = Some("prod".to_owned());
    options.workload.insert("app".to_owned(), "cart".to_owned());
    options.module = Some(tidegate_render::Module::at("oci://r.example/x:2", Some(&digest)));
    let plugin = documents(&render(&configuration, &options).unwrap().text).remove(0);
    assert_eq!(plugin["metadata"]["namespace"], "prod");
    assert_eq!(plugin["spec"]["selector"]["matchLabels"]["app"], "cart");
    assert_eq!(
        (&plugin["spec"]["url"], &plugin["spec"]["sha256"]),
        (&"oci://r.example/x:2".into(), &digest.as_str().into())
    );
    options.form = Form::ServiceInbound;
    options.namespace = None;
    options.workload = BTreeMap::from([("service".to_owned(), "cart".to_owned())]);
    options.module = Some(tidegate_render::Module::at("/opt/x.wasm", None));
    let hcl = render(&configuration, &options).unwrap().text;
    assert!(hcl.contains("Name     = \"cart\"") && hcl.contains("Filename = \"/opt/x.wasm\""), "{hcl}");
}

/// In the wrong mode a gateway's plugin would see no request, and auth would let all of them in.
#[test]
fn a_gateway_is_known_by_each_label_that_gateways_have() {
    let text = "limits: [{name: a, quotas: [{requests: 1, per: 1m}]}]\n";
    let configuration = Configuration::read(text, None, None).unwrap();
    for (label, value, mode) in [
        ("istio", "ingressgateway", "CLIENT"),
        ("gateway.networking.k8s.io/gateway-name", "shop", "CLIENT"),
        ("app", "istio-ingressgateway", "CLIENT"),
        ("app", "web", "SERVER"),
    ] {
        for form in [Form::WasmPlugin, Form::TrafficExtension] {
            let mut options = Options::new(form);
            options.workload.insert(label.to_owned(), value.to_owned());
            let plugin = documents(&render(&configuration, &options).unwrap().text).remove(0);
            assert_eq!(plugin["spec"]["match"][0]["mode"], mode, "{label}={value} {form:?}");
        }
    }
}
