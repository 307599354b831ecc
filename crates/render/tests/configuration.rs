//! Which filter a configuration is for, what is wrong with it, and what is found in it.

use tidegate_render::{Called, Configuration, Error, Filter, Form, Module, Options, Place, render};

fn read(text: &str, stem: Option<&str>) -> Result<Configuration, Error> {
    Configuration::read(text, None, stem)
}

const LIMITS: &str = "limits: [{name: a, quotas: [{requests: 1, per: 1m}]}]\n";

#[test]
fn the_filter_is_found_from_the_configuration() {
    for (text, expected) in [
        (LIMITS, Filter::RateLimit),
        ("rules: [{name: a, allow: anyone}]\n", Filter::Auth),
        ("rules: []\nroute_header: x-r\n", Filter::HeaderRouting),
        ("metrics: [{name: a, type: counter}]\n", Filter::Telemetry),
        ("rate_limit: {limits: [{name: a, quotas: [{requests: 1, per: 1m}]}]}\n", Filter::Suite),
        (r#"{"trace": {"propagate": ["w3c"]}}"#, Filter::Telemetry),
    ] {
        // The name of the file says something else, and is not asked.
        match read(text, Some("suite")) {
            Ok(configuration) => assert_eq!(configuration.filter(), expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }
}

#[test]
fn of_a_configuration_that_is_refused_the_keys_or_the_name_tell() {
    for (text, stem, expected) in [
        (
            "limits: [{nme: a}]\n",
            None,
            "the filter rate-limit refuses the configuration:\nlimits[0]: expected the key",
        ),
        ("rules: [{nme: a}]\n", Some("auth"), "the filter auth refuses"),
        ("rules: [{nme: a}]\n", Some("header-routing-canary"), "the filter header-routing refuses"),
        ("metrics: [{name: a-b}]\nrules: []\n", Some("auth"), "the filter telemetry refuses"),
    ] {
        let told = read(text, stem).unwrap_err().to_string();
        assert!(told.starts_with(expected), "{text}: {told}");
    }
}

#[test]
fn all_errors_are_told_at_once_by_path() {
    let text = "limits: [{name: a, quotas: [{requests: -1, per: 1m}]}, {name: a, quotas: [{requests: 1, pr: 1m}]}]\n";
    let told = read(text, None).unwrap_err().to_string();
    assert!(told.contains("\nlimits[0].quotas[0].requests: expected"), "{told}");
    assert!(told.contains("\nlimits[1].quotas[0].pr: expected one of"), "{told}");
}

#[test]
fn where_nothing_tells_it_is_asked() {
    for (text, stem) in [
        ("rules: [{nme: a}]\n", None),
        ("a: 1\n", Some("mine")),
        ("{}", None),
        ("rules: 1\n", Some("authority")),
    ] {
        let error = read(text, stem).unwrap_err();
        assert!(matches!(error, Error::Ambiguous(_)), "{text}: {error}");
        assert!(error.to_string().ends_with("say for which with --filter"), "{error}");
    }
    assert!(matches!(read("a: [1", None), Err(Error::Unreadable(_))));
}

#[test]
fn clusters_are_found_with_what_they_speak() {
    let text = "providers:\n  \
        a: {jwt: {issuer: i, jwks: {cluster: idp, path: /k}}}\n  \
        b: {external: {grpc: {cluster: opa}}}\n  \
        c: {external: {http: {cluster: checks, path_prefix: /x}}}\n\
        rules: [{name: r, require: {any_of: [a, b, c]}}]\n";
    let called = |name: &str, grpc| Called { name: name.to_owned(), grpc };
    let clusters = Configuration::read(text, Some(Filter::Auth), None).unwrap().clusters();
    assert_eq!(clusters, [called("checks", false), called("idp", false), called("opa", true)]);
    let text = format!("{LIMITS}global: {{cluster: ratelimit, domain: d}}\n")
        .replace("name: a,", "name: a, global: true,");
    assert_eq!(read(&text, None).unwrap().clusters(), [called("ratelimit", true)]);
}

#[test]
fn a_cluster_whose_place_nobody_has_said_is_asked_for() {
    let text = "rules: [{name: r, require: a}]\nproviders: {a: {external: {grpc: {cluster: opa}}}}\n";
    let configuration = read(text, None).unwrap();
    let mut options = Options::new(Form::Bootstrap);
    let told = render(&configuration, &options).unwrap_err().to_string();
    assert!(told.contains("calls the cluster `opa`: say where it is with --cluster opa=HOST:PORT"), "{told}");
    options.clusters.insert("opa".to_owned(), Place::parse("https://opa.example.com").unwrap());
    let text = render(&configuration, &options).unwrap().text;
    assert!(text.contains("type: STRICT_DNS") && text.contains("port_value: 443"), "{text}");
    assert!(text.contains("match_typed_subject_alt_names"), "a certificate of anybody's would do: {text}");
}

#[test]
fn secrets_are_read_from_the_environment_under_their_names() {
    let text = "providers:\n  \
        a: {hmac: {from: {header: s}, secret_env: HOOK, signed: [method, path, \"header:date\"]}}\n  \
        b: {jwt: {issuer: i, jwks: {inline: {keys: [{kty: oct, alg: HS256, k_env: KEY}]}}, algorithms: [HS256]}}\n\
        rules: [{name: r, require: {any_of: [a, b]}}]\n";
    let configuration = read(text, None).unwrap();
    assert_eq!(configuration.variables(), ["HOOK", "KEY"]);
    let plugin = render(&configuration, &Options::new(Form::WasmPlugin)).unwrap().text;
    assert!(
        plugin.contains("- {name: HOOK, valueFrom: HOST}")
            && plugin.contains("- {name: KEY, valueFrom: HOST}")
    );
    let mut options = Options::new(Form::Bootstrap);
    options.variables.insert("HOOK".to_owned(), "for-trying".to_owned());
    let bootstrap = render(&configuration, &options).unwrap().text;
    assert!(bootstrap.contains("{key_values: {HOOK: \"for-trying\"}, host_env_keys: [KEY]}"), "{bootstrap}");
}

#[test]
fn places_and_modules_are_understood_or_refused() {
    let place = |text: &str| Place::parse(text).map(|place| (place.to_string(), place.tls));
    assert_eq!(place("a.example:80"), Some(("a.example:80".to_owned(), false)));
    assert_eq!(place("https://a.example"), Some(("a.example:443".to_owned(), true)));
    for wrong in ["", "a", ":80", "a:port", "a b:80", "a\n:80"] {
        assert_eq!(place(wrong), None, "{wrong:?}");
    }
    assert_eq!(Module::at("file:///x.wasm", None), Module::File("/x.wasm".to_owned()));
    let configuration = read(LIMITS, None).unwrap();
    for (form, module, expected) in [
        (Form::ExtensionPolicyHttp, "/x.wasm", "takes an address that begins with http:// or https://"),
        (Form::ExtensionPolicyImage, "https://a/x.wasm", "takes an image, oci://"),
        (Form::ServiceInbound, "oci://a/b:1", "takes a file, or an address"),
        (Form::ServiceRemote, "/x.wasm", "takes an address that begins with http:// or https://"),
        (Form::EnvoyFilterInlineInbound, "oci://a/b:1", "takes a file, or an address"),
    ] {
        let options = Options { module: Some(Module::at(module, None)), ..Options::new(form) };
        let told = render(&configuration, &options).unwrap_err().to_string();
        assert!(told.contains(expected), "{form:?} {module}: {told}");
    }
}

#[test]
fn a_module_that_envoy_fetches_has_a_cluster_to_come_from() {
    let configuration = read(LIMITS, None).unwrap();
    for (url, place, tls) in [
        ("https://m.example.com/x.wasm", "address: m.example.com, port_value: 443", true),
        ("http://127.0.0.1:8000/x.wasm", "address: 127.0.0.1, port_value: 8000", false),
        ("http://m.example.com", "address: m.example.com, port_value: 80", false),
        ("https://m.example.com:8443/x", "address: m.example.com, port_value: 8443", true),
    ] {
        let with = |form| Options { module: Some(Module::at(url, None)), ..Options::new(form) };
        let made = render(&configuration, &with(Form::Bootstrap)).unwrap();
        let text = made.text;
        assert!(text.contains("- name: modules\n") && text.contains(place), "{url}: {text}");
        assert_eq!((text.contains("sni: "), made.warnings.is_empty()), (tls, true), "{url}");
        let made = render(&configuration, &with(Form::EnvoyFilterInlineInbound)).unwrap();
        assert!(made.warnings.concat().contains("from a cluster `modules`"), "{url}");
    }
}

#[test]
fn what_would_say_something_else_in_a_manifest_is_refused() {
    let configuration = read(LIMITS, None).unwrap();
    let refused = |change: &dyn Fn(&mut Options)| {
        let mut options = Options::new(Form::WasmPlugin);
        change(&mut options);
        render(&configuration, &options).unwrap_err().to_string()
    };
    for name in ["", "A", "a b", "-a", "a_b", "a: b", "a\n", &"a".repeat(41)] {
        let told = refused(&|options| options.name = Some(name.to_owned()));
        assert!(told.starts_with("the name: expected 1 to 40 lower-case letters"), "{told}");
        let told = refused(&|options| options.namespace = Some(name.to_owned()));
        assert!(told.starts_with("the namespace: expected"), "{told}");
    }
    for (key, value) in [("", "a"), ("app", "a\nspec: {}"), ("a: b", "c"), ("app", "\"}")] {
        let told = refused(&|options| drop(options.workload.insert(key.to_owned(), value.to_owned())));
        assert!(told.starts_with("the workload: expected"), "{told}");
    }
    for place in ["/a b.wasm", "https://a/x\nphase: STATS", "oci://a\"b", "/a{b}"] {
        let told = refused(&|options| options.module = Some(Module::at(place, None)));
        assert!(told.starts_with("the module: expected"), "{told}");
    }
    let told = refused(&|options| options.module = Some(Module::at("https://a/x", Some("abc"))));
    assert!(told.starts_with("the module's digest: expected 64"), "{told}");
    for name in ["", "A=B", "NOT_READ"] {
        let told = refused(&|options| drop(options.variables.insert(name.to_owned(), "s3cret".to_owned())));
        assert!(told.starts_with("a variable: expected") && !told.contains("s3cret"), "{told}");
    }
}

/// A key of an elliptic curve has a `y`, which kubectl would take for `true`.
#[test]
fn what_kubernetes_would_read_otherwise_is_quoted() {
    let text = "providers: {a: {jwt: {issuer: i, jwks: {inline: {keys: [{kty: EC, crv: P-256, \
        x: b_A7lJJBzh2t1DUZ5pYOCoW0GmmgXDKBA6orzhWUyhY, y: PE91OlW_AdxT9sCwx-7ni0DG_30lqW4igrmJzvccFEo}]}}}}}\n\
        # why\nrules: [{name: r, require: a}]\n";
    let configuration = read(text, None).unwrap();
    let plugin = render(&configuration, &Options::new(Form::WasmPlugin)).unwrap().text;
    for part in ["\"y\": PE91OlW", "# why"] {
        assert!(plugin.contains(part), "{part}: {plugin}");
    }
}
