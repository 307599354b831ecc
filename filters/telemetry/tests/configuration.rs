//! What is refused, with every error at once and by path.

use tidegate_telemetry::Telemetry;
use tidegate_testkit::fake::{refusal, worker};

/// One error a line.
fn refused(configuration: &str, expected: &[&str]) {
    let found = refusal::<Telemetry>(configuration);
    assert_eq!(found.lines().collect::<Vec<_>>(), expected, "{configuration}");
}

fn metric(metric: &str, expected: &[&str]) {
    refused(&format!(r#"{{"metrics": [{metric}]}}"#), expected);
}

#[test]
fn the_example_of_the_readme_is_accepted() {
    let text = include_str!("../README.md");
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let value: serde_json::Value = serde_saphyr::from_str(example).unwrap();
    let _ = worker::<Telemetry>(&value.to_string());
}

#[test]
fn the_readme_has_every_attribute() {
    let text = include_str!("../README.md");
    let error = refusal::<Telemetry>(r#"{"access_log": [{"to": "log", "fields": ["nonsense"]}]}"#);
    let names: Vec<&str> = error.split('"').skip(1).step_by(2).filter(|name| *name != "nonsense").collect();
    assert!(names.len() > 30, "{error}");
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

#[test]
fn the_readme_has_every_metric_of_the_filters_own() {
    let text = include_str!("../README.md");
    let to = r#"{"otlp": {"cluster": "collector"}}"#;
    let worker = worker::<Telemetry>(&format!(
        r#"{{"metrics_to": {to}, "preset": "otel_http", "access_log": [{{"to": {to}}}],
            "trace": {{"otlp": {{"cluster": "collector"}}}}}}"#
    ));
    let names = worker.host().metric_names();
    let own: Vec<&String> = names.iter().filter(|name| name.starts_with("tidegate.")).collect();
    assert!(own.len() >= 8, "{own:?}");
    for name in own.into_iter().filter(|name| !name.ends_with("host_errors")) {
        assert!(text.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

/// The example that the filter was built from, word for word, with a list of fields where it has dots.
#[test]
fn the_first_example_is_accepted() {
    let example = r#"
metrics:
  - {name: shop_requests_total, type: counter, labels: {route: route_name, method: method, code: status_class, tenant: {header: x-tenant, allow: [acme, globex]}}}
  - {name: shop_latency_milliseconds, type: histogram, value: duration, labels: {path: path_template}}
  - {name: shop_upload_bytes, type: histogram, value: request_bytes, when: {methods: [PUT, POST]}}
  - {name: shop_in_flight, type: gauge, value: in_flight}
path_templates: ["/users/{id}", "/orders/{id}/items"]
max_series: 2000
access_log:
  - {when: {any: [{status: {gte: 500}}, {duration: {gte: 1s}}, {sample: 0.01}]}, to: log, fields: {path: path, query: query}, redact: {query: [token], headers: [authorization]}}
  - {to: {otlp: {cluster: collector}}, batch: {max: 512, every: 2s}, queue: 4096}
trace: {propagate: [w3c, b3], sample: 0.05, baggage: {tenant: {header: x-tenant}}, otlp: {cluster: collector}}
"#;
    let value: serde_json::Value = serde_saphyr::from_str(example).unwrap();
    let _ = worker::<Telemetry>(&value.to_string());
}

#[test]
fn everything_at_once_is_accepted() {
    let _ = worker::<Telemetry>(
        r#"{"metrics": [
            {"name": "shop_requests_total", "type": "counter", "labels": {"route": "route_name", "method": "method",
                "code": "status_class", "tenant": {"header": "x-tenant", "allow": ["acme", "globex"]}}},
            {"name": "shop_latency_milliseconds", "type": "histogram", "value": "duration", "labels": {"path": "path_template"}},
            {"name": "shop_upload_bytes", "type": "histogram", "value": "request_bytes", "when": {"methods": ["PUT", "POST"]}},
            {"name": "shop_in_flight", "type": "gauge", "value": "in_flight"}],
        "preset": "otel_http",
        "path_templates": ["/users/{id}", "/orders/{id}/items"],
        "max_series": 2000.0,
        "access_log": [
            {"when": {"any": [{"status": {"gte": 500}}, {"duration": {"gte": "1s"}}, {"sample": 0.01}]}, "to": "log",
                "fields": {"verb": "method", "agent": {"header": "user-agent"}}, "redact": {"query": ["tel"], "headers": ["x-key"]}},
            {"to": {"otlp": {"cluster": "collector"}}, "batch": {"max": 512, "every": "2s"}, "queue": 4096}],
        "trace": {"propagate": ["w3c", "b3"], "sample": 0.05, "baggage": {"tenant": {"header": "x-tenant"}},
            "otlp": {"cluster": "collector"}, "response_header": "x-trace-id"},
        "client_address": {"trusted_hops": 1},
        "resource": {"service.name": "shop"}}"#,
    );
}

#[test]
fn a_configuration_that_does_nothing_is_refused() {
    refused(
        "{}",
        &["configuration: expected \"metrics\", \"preset\", \"access_log\" or \"trace\", found none of them"],
    );
}

#[test]
fn all_errors_are_told_at_once() {
    refused(
        r#"{"metrics": [{"name": "a-b", "type": "counter"},
                        {"name": "latency_seconds", "type": "histogram", "value": "duration"},
                        {"name": "c", "type": "counter", "labels": {"p": "path", "x-y": "method", "z": "zone"}}],
            "max_series": 0, "access_log": [{"to": "log", "fields": ["method", "body"]}], "trace": {"sample": 2}, "metric": []}"#,
        &[
            "metrics[0].name: expected a metric name of letters, digits and \"_\", found \"a-b\"",
            "metrics[1].name: expected a name in the unit of its values, such as \"latency_milliseconds\", found \"latency_seconds\"",
            "metrics[2].labels.p: expected an attribute with few values (nearly every request has a \"path\" of its own), found \"path\"",
            "metrics[2].labels.x-y: expected a label named in letters, digits and \"_\", other than \"__…\", \"le\" and \"quantile\", found \"x-y\"",
            "metrics[2].labels.z: expected one of \"route_name\", \"upstream_cluster\", \"upstream_address\", \"host\", \"method\", \"scheme\", \"protocol\", \"protocol_version\", \"path_template\", \"status\", \"status_class\", \"grpc_status\", \"error_type\", \"response_flags\", \"response_details\", \"source_locality\", \"principal\", \"limit\", \"auth_rule\", \"routing_rule\", \"routing_arm\" or {header}, {response_header}, {cookie}, {claim}, found \"zone\"",
            "max_series: expected an integer from 1 to 100000, found 0",
            "access_log[0].fields[1]: expected one of \"route_name\", \"upstream_cluster\", \"upstream_address\", \"host\", \"method\", \"scheme\", \"protocol\", \"protocol_version\", \"path\", \"query\", \"path_template\", \"status\", \"status_class\", \"grpc_status\", \"error_type\", \"response_flags\", \"response_details\", \"duration\", \"time_to_first_byte\", \"request_bytes\", \"response_bytes\", \"time\", \"source\", \"source_locality\", \"principal\", \"limit\", \"auth_rule\", \"routing_rule\", \"routing_arm\", \"decision\", \"trace_id\", \"span_id\" or {header}, {response_header}, {cookie}, {claim}, {text}, found \"body\"",
            "trace.sample: expected a number from 0 to 1, such as 0.05 for one in twenty, found 2",
            "metric: expected one of \"path_templates\", \"metrics_to\", \"preset\", \"metrics\", \"max_series\", \"access_log\", \"trace\", \"client_address\", \"resource\", found an unknown key",
        ],
    );
}

#[test]
fn a_name_says_the_unit_of_its_values() {
    for (name, unit, better) in [
        ("x_seconds", "", "x_milliseconds"),
        ("x_seconds_total", "", "x_milliseconds_total"),
        ("x_milliseconds", r#", "unit": "us""#, "x_microseconds"),
        ("x_microseconds", "", "x_milliseconds"),
    ] {
        let metric_json = format!(r#"{{"name": "{name}", "type": "histogram", "value": "duration"{unit}}}"#);
        let expected = format!(
            "metrics[0].name: expected a name in the unit of its values, such as \"{better}\", found \"{name}\""
        );
        metric(&metric_json, &[&expected]);
    }
    // Exact seconds go out by OTLP, and then nothing else is in seconds.
    let by_otlp =
        |metric: &str| format!(r#"{{"metrics_to": {{"otlp": {{"cluster": "c"}}}}, "metrics": [{metric}]}}"#);
    let _ =
        worker::<Telemetry>(&by_otlp(r#"{"name": "x_seconds", "type": "histogram", "value": "duration"}"#));
    refused(
        &by_otlp(r#"{"name": "x_milliseconds", "type": "histogram", "value": "duration"}"#),
        &[
            "metrics[0].name: expected a name in the unit of its values, such as \"x_seconds\", found \"x_milliseconds\"",
        ],
    );
}

#[test]
fn a_metric_has_a_value_that_its_type_can_hold() {
    metric(r#"{"name": "x", "type": "histogram"}"#, &["metrics[0]: expected the key \"value\", found none"]);
    metric(r#"{"name": "x", "type": "gauge"}"#, &["metrics[0]: expected the key \"value\", found none"]);
    metric(
        r#"{"name": "x", "type": "timer"}"#,
        &["metrics[0].type: expected one of \"counter\", \"gauge\", \"histogram\", found \"timer\""],
    );
    metric(
        r#"{"name": "x", "type": "gauge", "value": "duration"}"#,
        &[
            "metrics[0].value: expected \"in_flight\", {header}, {response_header} or {constant} for a gauge, found \"duration\"",
        ],
    );
    metric(
        r#"{"name": "x", "type": "counter", "value": "in_flight"}"#,
        &["metrics[0].value: expected \"in_flight\" on a gauge only, found \"in_flight\""],
    );
    metric(
        r#"{"name": "x", "type": "counter", "value": "bytes"}"#,
        &[
            "metrics[0].value: expected one of \"duration\", \"time_to_first_byte\", \"request_bytes\", \"response_bytes\", \"in_flight\" or {header}, {response_header}, {constant}, found \"bytes\"",
        ],
    );
    metric(
        r#"{"name": "x", "type": "counter", "unit": "ms"}"#,
        &["metrics[0].unit: expected no such key: only times have a unit, found \"ms\""],
    );
    metric(
        r#"{"name": "x", "type": "histogram", "value": "duration", "unit": "s"}"#,
        &["metrics[0].unit: expected one of \"ms\", \"us\", found \"s\""],
    );
    metric(
        r#"{"name": "x", "type": "histogram", "value": "duration", "buckets": [1]}"#,
        &[
            "metrics[0].buckets: expected no such key: Envoy's histogram_bucket_settings has the buckets, found a list",
        ],
    );
    metric(
        r#"{"name": "x", "type": "counter", "value": {"constant": -1}}"#,
        &["metrics[0].value.constant: expected an integer from 0 to 1000000000, found -1"],
    );
    refused(
        r#"{"metrics": [{"name": "x", "type": "counter"}, {"name": "x", "type": "counter"}]}"#,
        &["metrics: expected each metric name once, found \"x\" twice"],
    );
    refused(r#"{"preset": "otel"}"#, &["preset: expected \"otel_http\", found \"otel\""]);
}

#[test]
fn what_is_under_way_has_labels_and_conditions_that_are_known_at_arrival() {
    metric(
        r#"{"name": "x", "type": "gauge", "value": "in_flight", "labels": {"code": "status", "t": {"claim": "tier"}},
            "when": {"status": [200], "methods": ["GET"]}}"#,
        &[
            "metrics[0].labels.code: expected an attribute that is known when a request arrives: one of \"route_name\", \"host\", \"method\", \"scheme\", \"protocol\", \"protocol_version\", \"path_template\", \"source_locality\", found \"status\"",
            "metrics[0].labels.t: expected one of \"header\", \"cookie\", found none of them",
            "metrics[0].labels.t.claim: expected one of \"header\", \"cookie\", \"allow\", found an unknown key",
            "metrics[0].when.status: expected a condition that is known when a request arrives, found a list",
        ],
    );
}

#[test]
fn a_label_is_bounded_and_no_credential() {
    metric(
        r#"{"name": "x", "type": "counter", "labels": {"a": {"header": "authorization"}, "b": {"cookie": "session_id"},
            "c": "path_template", "d": "trace_id", "__e": "method", "le": "method", "f": {"header": "x-t", "allow": []}}}"#,
        &[
            "metrics[0].labels.a: expected no name of a credential, found one",
            "metrics[0].labels.b: expected no name of a credential, found one",
            "metrics[0].labels.c: expected \"path_templates\" beside the metrics, found none",
            "metrics[0].labels.d: expected an attribute with few values (nearly every request has a \"trace_id\" of its own), found \"trace_id\"",
            "metrics[0].labels.__e: expected a label named in letters, digits and \"_\", other than \"__…\", \"le\" and \"quantile\", found \"__e\"",
            "metrics[0].labels.le: expected a label named in letters, digits and \"_\", other than \"__…\", \"le\" and \"quantile\", found \"le\"",
            "metrics[0].labels.f.allow: expected a list of at least one, found an empty list",
        ],
    );
    let labels: Vec<String> = (0..17).map(|label| format!("\"l{label}\": \"method\"")).collect();
    metric(
        &format!(r#"{{"name": "x", "type": "counter", "labels": {{{}}}}}"#, labels.join(",")),
        &["metrics[0].labels: expected at most 16 labels, found 17"],
    );
}

#[test]
fn conditions_say_something() {
    metric(
        r#"{"name": "x", "type": "counter", "when": {}}"#,
        &["metrics[0].when: expected at least one condition, found none"],
    );
    metric(
        r#"{"name": "x", "type": "counter", "when": {"any": [{}], "not": {"any": [{}]}, "duration": {"gte": "2s", "lt": "1s"},
            "grpc_status": ["MAYBE"], "status": ["6xx"], "sample": "half"}}"#,
        &[
            "metrics[0].when.status[0]: expected a status such as 401, a class such as \"5xx\", or a range such as {gte: 500}, found \"6xx\"",
            "metrics[0].when.grpc_status[0]: expected the name of a gRPC status such as \"UNAVAILABLE\", found \"MAYBE\"",
            "metrics[0].when.duration: expected bounds that some durations meet and others do not, found none or all",
            "metrics[0].when.sample: expected a number from 0 to 1, such as 0.05 for one in twenty, found \"half\"",
            "metrics[0].when.any[0]: expected at least one condition, found none",
            "metrics[0].when.not.any: expected one of \"paths\", \"hosts\", \"methods\", \"headers\", \"query\", \"cookies\", \"source\", \"principal\", \"principals\", \"claims\", \"status\", \"grpc_status\", \"duration\", \"sample\", found an unknown key",
        ],
    );
}

#[test]
fn destinations_and_queues_make_sense() {
    refused(
        r#"{"access_log": [{"to": "stdout"}, {}, {"to": {"otlp": {}}}]}"#,
        &[
            "access_log[0].to: expected \"log\" or {otlp}, found \"stdout\"",
            "access_log[1]: expected the key \"to\", found none",
            "access_log[2].to.otlp: expected the key \"cluster\", found none",
        ],
    );
    refused(
        r#"{"trace": {"otlp": {"cluster": "c", "timeout": "500us"}}}"#,
        &["trace.otlp.timeout: expected a duration from \"1ms\" to \"1h\", found \"500us\""],
    );
    refused(
        r#"{"access_log": [{"to": "log", "batch": {"max": 5}, "queue": 9}]}"#,
        &[
            "access_log[0].batch: expected no such key where nothing is sent by OTLP, found an object",
            "access_log[0].queue: expected no such key where nothing is sent by OTLP, found 9",
        ],
    );
    refused(
        r#"{"access_log": [{"to": {"otlp": {"cluster": "c"}}, "batch": {"max": 0, "every": "10ms"}, "queue": 0},
                           {"to": {"otlp": {"cluster": "c"}}, "batch": {"max": 100}, "queue": 50}]}"#,
        &[
            "access_log[0].batch.max: expected an integer from 1 to 10000, found 0",
            "access_log[0].batch.every: expected a duration from \"100ms\" to \"1h\", found \"10ms\"",
            "access_log[0].queue: expected an integer from 1 to 100000, found 0",
            "access_log[1].queue: expected \"queue\" of at least batch.max (100), found 50",
        ],
    );
    refused(
        r#"{"access_log": [{"to": {"otlp": {"cluster": "c", "path": "v1", "headers": {"host": "x", "x-key": "a\nb", "x-token": {"env": "OTLP_TOKEN"}}, "timeout": "0s"}}}],
            "metrics_to": {"otlp": {"cluster": "c"}, "every": "1ms"}}"#,
        &[
            "metrics_to.every: expected a duration from \"1s\" to \"1h\", found \"1ms\"",
            "access_log[0].to.otlp.path: expected a path starting with \"/\", found \"v1\"",
            "access_log[0].to.otlp.headers.host: expected a header name other than those that frame a message, found \"host\"",
            "access_log[0].to.otlp.headers.x-key: expected a header value without control characters, or {env}, found 3 characters (not shown)",
            "access_log[0].to.otlp.headers.x-token.env: expected the name of an environment variable of the module (vm_config.environment_variables), found none of that name",
            "access_log[0].to.otlp.timeout: expected a duration above zero such as \"250ms\", \"10s\", \"1m\", \"24h\" or \"7d\", found \"0s\"",
        ],
    );
}

#[test]
fn fields_have_names_and_sources() {
    refused(
        r#"{"access_log": [{"to": "log", "fields": []}, {"to": "log", "fields": "method"}, {"to": "log", "fields": [{"header": "x"}]},
            {"to": "log", "fields": {"a b": "method", "c": "path_template", "d": 5}}]}"#,
        &[
            "access_log[0].fields: expected from 1 to 64 fields, found 0",
            "access_log[1].fields: expected a list of attributes, or a map from names to attributes, found \"method\"",
            "access_log[2].fields[0]: expected the name of an attribute (other sources need a map with names), found an object",
            "access_log[3].fields.a b: expected a field named in letters, digits, \"_\", \".\" and \"-\", found \"a b\"",
            "access_log[3].fields.c: expected \"path_templates\" beside the access log, found none",
            "access_log[3].fields.d: expected one of \"route_name\", \"upstream_cluster\", \"upstream_address\", \"host\", \"method\", \"scheme\", \"protocol\", \"protocol_version\", \"path\", \"query\", \"path_template\", \"status\", \"status_class\", \"grpc_status\", \"error_type\", \"response_flags\", \"response_details\", \"duration\", \"time_to_first_byte\", \"request_bytes\", \"response_bytes\", \"time\", \"source\", \"source_locality\", \"principal\", \"limit\", \"auth_rule\", \"routing_rule\", \"routing_arm\", \"decision\", \"trace_id\", \"span_id\" or {header}, {response_header}, {cookie}, {claim}, {text}, found 5",
        ],
    );
}

#[test]
fn traces_speak_known_formats_and_tell_no_credentials() {
    refused(
        r#"{"trace": {"propagate": ["w3c", "jaeger"], "incoming": "drop", "baggage": {"a b": {"text": "x"},
            "c": {"header": "authorization"}, "d": "status"}, "response_header": ":status", "batch": {}}}"#,
        &[
            "trace.propagate[1]: expected one of \"w3c\", \"b3\", \"b3_multi\", found \"jaeger\"",
            "trace.incoming: expected one of \"continue\", \"restart\", found \"drop\"",
            "trace.baggage.a b: expected a key of letters, digits, \"-\", \"_\" and \".\", found \"a b\"",
            "trace.baggage.c: expected no name of a credential: baggage goes to everybody, found one",
            "trace.baggage.d: expected an attribute that is known when a request arrives: one of \"route_name\", \"host\", \"method\", \"scheme\", \"protocol\", \"protocol_version\", \"path_template\", \"source_locality\", \"principal\", found \"status\"",
            "trace.response_header: expected a header name of letters, digits and \"-\", found \":status\"",
            "trace.batch: expected no such key where nothing is sent by OTLP, found an object",
        ],
    );
    refused(
        r#"{"trace": {"propagate": ["w3c", "w3c"]}}"#,
        &["trace.propagate: expected a list of at least one format, each once, found none, or one twice"],
    );
}
