//! The last look at a finished module: it parses, exports exactly what it should, and imports only what every
//! proxy-wasm host has.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use walrus::Module;

use super::finish::ALWAYS;

/// The host functions of ABI 0.2.1, each without its `proxy_`.
const HOST_CALLS: [&str; 39] = [
    "add_header_map_value",
    "call_foreign_function",
    "close_stream",
    "continue_stream",
    "define_metric",
    "dequeue_shared_queue",
    "done",
    "enqueue_shared_queue",
    "get_buffer_bytes",
    "get_buffer_status",
    "get_current_time_nanoseconds",
    "get_header_map_pairs",
    "get_header_map_size",
    "get_header_map_value",
    "get_log_level",
    "get_metric",
    "get_property",
    "get_shared_data",
    "get_status",
    "grpc_call",
    "grpc_cancel",
    "grpc_close",
    "grpc_send",
    "grpc_stream",
    "http_call",
    "increment_metric",
    "log",
    "record_metric",
    "register_shared_queue",
    "remove_header_map_value",
    "replace_header_map_value",
    "resolve_shared_queue",
    "send_local_response",
    "set_buffer_bytes",
    "set_effective_context",
    "set_header_map_pairs",
    "set_property",
    "set_shared_data",
    "set_tick_period_milliseconds",
];

/// An error naming every export and import that is wrong.
pub(super) fn verify(bytes: &[u8], callbacks: &[String]) -> Result<()> {
    let module = Module::from_buffer(bytes).context("the finished module does not parse")?;
    let seen: BTreeSet<&str> = module.exports.iter().map(|export| export.name.as_str()).collect();
    let wanted: BTreeSet<&str> = ALWAYS.into_iter().chain(callbacks.iter().map(String::as_str)).collect();
    let mut faults = Vec::new();
    faults.extend(wanted.difference(&seen).map(|name| format!("does not export {name}")));
    faults.extend(seen.difference(&wanted).map(|name| format!("exports {name}")));
    for import in module.imports.iter() {
        if !known(&import.module, &import.name) {
            faults.push(format!("imports {}.{}, which hosts do not have", import.module, import.name));
        }
    }
    if !faults.is_empty() {
        bail!("the finished module {}", faults.join("; it "));
    }
    Ok(())
}

fn known(module: &str, name: &str) -> bool {
    match module {
        "env" => name.strip_prefix("proxy_").is_some_and(|name| HOST_CALLS.contains(&name)),
        "wasi_snapshot_preview1" => ["random_get", "environ_get", "environ_sizes_get"].contains(&name),
        _ => false,
    }
}
