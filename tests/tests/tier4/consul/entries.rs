//! Configuration entries for what the manifests of `envoy-config/consul` do not show. Consul takes JSON as it takes HCL.

use e2e::tools;
use libtest_mimic::Failed;
use serde_json::{Value, json};

/// A filter in `builtin/wasm`, from the file of this build.
pub(super) fn extension(filter: &str, configuration: &Value) -> Result<Value, Failed> {
    let code = json!({"Local": {"Filename": tools::module(filter)?}});
    Ok(extension_with(filter, code, &configuration.to_string()))
}

/// The same with any code and any text as configuration.
pub(super) fn extension_with(filter: &str, code: Value, configuration: &str) -> Value {
    json!({
        "Name": "builtin/wasm",
        "Required": true,
        "Arguments": {
            "Protocol": "http",
            "ListenerType": "inbound",
            "PluginConfig": {
                "Name": filter,
                "RootID": filter,
                "VmConfig": {"VmID": format!("tidegate.{filter}"), "Runtime": "v8", "Code": code},
                "Configuration": configuration,
            },
        },
    })
}

/// A service that speaks `protocol`, with these extensions in the order of its filter chain.
pub(super) fn service(name: &str, protocol: &str, extensions: &[Value]) -> String {
    json!({"Kind": "service-defaults", "Name": name, "Protocol": protocol, "EnvoyExtensions": extensions})
        .to_string()
}

/// `web`, which speaks HTTP, with these filters and their configurations.
pub(super) fn web(filters: &[(&str, &Value)]) -> Result<String, Failed> {
    let extensions = filters.iter().map(|(filter, configuration)| extension(filter, configuration));
    Ok(service("web", "http", &extensions.collect::<Result<Vec<_>, _>>()?))
}

/// Who may call `web`.
pub(super) fn intentions(sources: &Value) -> String {
    json!({"Kind": "service-intentions", "Name": "web", "Sources": sources}).to_string()
}
