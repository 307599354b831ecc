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
        assert!(!error.to_string().contains("for :"), "{error}");
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

/// Whoever says what a form has no word for would believe that it holds.
#[test]
fn what_a_form_would_pass_over_is_refused_and_all_of_it_at_once() {
    let configuration = read(LIMITS, None).unwrap();
    for (form, key, expected) in [
        (Form::Bootstrap, "app", "none: the form selects no workload"),
        (Form::ServiceInbound, "app", "one service=NAME"),
        (Form::ProxyDefaults, "service", "none: the form selects no workload"),
        (Form::ExtensionPolicyHttp, "service", "one route=NAME"),
        (Form::LinkerdMesh, "app", "none: the form selects no workload"),
    ] {
        let mut options = Options::new(form);
        options.clusters.insert("stable".to_owned(), Place::parse("web:80").unwrap());
        assert!(render(&configuration, &options).is_ok(), "{form:?}");
        options.workload.insert(key.to_owned(), "a".to_owned());
        let told = render(&configuration, &options).unwrap_err().to_string();
        assert_eq!(told, format!("the workload: expected {expected}, found \"{key}=a\""), "{form:?}");
    }
    let text = "rules: [{name: r, require: a}]\nproviders: {a: {external: {grpc: {cluster: opa}}}, \
        b: {external: {grpc: {cluster: other}}}}\n";
    let configuration = read(text, None).unwrap();
    let options = Options {
        name: Some("A".to_owned()),
        namespace: Some("prod".to_owned()),
        ..Options::new(Form::Bootstrap)
    };
    let told = render(&configuration, &options).unwrap_err().to_string();
    let told: Vec<&str> = told.lines().collect();
    let [name, namespace, opa, other] = told.as_slice() else { panic!("{told:#?}") };
    assert!(name.starts_with("the name: expected") && namespace.starts_with("the namespace: expected none"));
    assert!(opa.contains("--cluster opa=HOST:PORT") && other.contains("--cluster other=HOST:PORT"));
}

/// Names that YAML, or Kubernetes' YAML 1.1, would read as a truth or as a number.
#[test]
fn names_stay_texts_whatever_they_look_like() {
    let configuration = read(LIMITS, None).unwrap();
    for name in ["on", "no", "null", "123", "1e3"] {
        for form in Form::ALL {
            let mut options = Options::new(form);
            options.name = Some(name.to_owned());
            let has_namespace =
                !matches!(form.host(), tidegate_render::Host::Envoy | tidegate_render::Host::Consul);
            options.namespace = has_namespace.then(|| name.to_owned());
            options.clusters.insert("stable".to_owned(), Place::parse("web:80").unwrap());
            let Ok(manifest) = render(&configuration, &options) else {
                assert!(matches!(form, Form::Clusters | Form::Stats));
                continue;
            };
            let text = manifest.text;
            assert!(
                !text.contains(&format!(": {name}\n")) && !text.contains(&format!(": {name}}}")),
                "{text}"
            );
            assert!(!has_namespace || text.contains(&format!("namespace: \"{name}\"")), "{form:?}: {text}");
        }
    }
    for (module, expected) in
        [("*x", "filename: \"*x\"}"), ("a:", "filename: \"a:\"}"), ("123", "filename: \"123\"}")]
    {
        let options = Options { module: Some(Module::at(module, None)), ..Options::new(Form::Bootstrap) };
        let text = render(&configuration, &options).unwrap().text;
        assert!(text.contains(expected), "{text}");
    }
}

/// Envoy finds a server by a cluster only: a module's is in the same manifest.
#[test]
fn a_module_that_envoy_fetches_comes_with_the_cluster_of_its_server() {
    let configuration = read(LIMITS, None).unwrap();
    for (form, cluster) in [
        (Form::Bootstrap, "- name: modules\n"),
        (Form::EnvoyFilterInlineInbound, "applyTo: CLUSTER\n"),
        (Form::PatchPolicy, "      name: modules\n"),
    ] {
        for (url, host, port, tls) in [
            ("https://m.example/x.wasm", "m.example", 443, true),
            ("http://m.example/x.wasm", "m.example", 80, false),
            ("http://10.0.0.1:8000/x.wasm", "10.0.0.1", 8000, false),
            ("http://m.example", "m.example", 80, false),
            ("https://m.example:8443/x", "m.example", 8443, true),
        ] {
            let options = Options { module: Some(Module::at(url, None)), ..Options::new(form) };
            let text = render(&configuration, &options).unwrap().text;
            serde_saphyr::from_multiple::<serde_json::Value>(&text).unwrap();
            let place = format!("{{address: {host}, port_value: {port}}}");
            assert!(text.contains(cluster) && text.contains(&place), "{form:?} {url}: {text}");
            assert_eq!(text.contains(&format!("sni: {host}")), tls, "{form:?} {url}: {text}");
        }
        let options = Options { module: Some(Module::at("/x.wasm", None)), ..Options::new(form) };
        let text = render(&configuration, &options).unwrap().text;
        assert!(!text.contains("modules"), "{form:?}: {text}");
    }
    // Delivered on its own, the filter's module is fetched by Istio's agent.
    let module = Some(Module::at("https://m.example/x.wasm", None));
    let ecds = Options { module, ..Options::new(Form::EnvoyFilterEcdsGateway) };
    assert!(!render(&configuration, &ecds).unwrap().text.contains("applyTo: CLUSTER"));
    let options =
        Options { module: Some(Module::at("https:///x.wasm", None)), ..Options::new(Form::Bootstrap) };
    let told = render(&configuration, &options).unwrap_err().to_string();
    assert!(told.starts_with("the module: expected http:// or https://, a host"), "{told}");
}

/// Connections from outside pass Linkerd's proxy by: nobody there takes a forged name away.
#[test]
fn names_from_linkerds_proxy_are_not_believed_where_it_is_passed_by() {
    let text = "providers: {mesh: {mtls: {trust_domain: cluster.local, l5d_client_id: {trusted: {cidrs: [10.0.0.0/8]}}}}}\n\
        rules: [{name: rest, require: mesh}]\n";
    let configuration = read(text, None).unwrap();
    let mut options = Options::new(Form::LinkerdPublic);
    options.clusters.insert("stable".to_owned(), Place::parse("web:80").unwrap());
    let told = render(&configuration, &options).unwrap_err().to_string();
    assert!(told.starts_with("l5d_client_id: expected the form mesh"), "{told}");
    options.form = Form::LinkerdMesh;
    assert!(render(&configuration, &options).is_ok());
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
