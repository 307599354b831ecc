//! What each module may ask of its host, and be told by it: Envoy refuses the rest.
//!
//! Least privilege for a module that comes from elsewhere: one that was exchanged for another can at most do what the
//! filter does. That the lists suffice is shown by every test in a real Envoy, where the harness sets them too, and looked at
//! whenever a module is built.

use std::collections::BTreeSet;

use tidegate_filter_api::{Callbacks, Filter as Implemented};

use crate::filter::Filter;

/// How long a line of the list may be.
const WIDTH: usize = 96;

/// What every filter uses.
const ALWAYS: [&str; 26] = [
    "environ_get",
    "environ_sizes_get",
    "proxy_add_header_map_value",
    "proxy_call_foreign_function",
    "proxy_close_stream",
    "proxy_continue_stream",
    "proxy_define_metric",
    "proxy_done",
    "proxy_get_buffer_bytes",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_get_header_map_value",
    "proxy_get_log_level",
    "proxy_get_property",
    "proxy_get_shared_data",
    "proxy_increment_metric",
    "proxy_log",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_delete",
    "proxy_record_metric",
    "proxy_remove_header_map_value",
    "proxy_replace_header_map_value",
    "proxy_send_local_response",
    "proxy_set_effective_context",
    "random_get",
];

/// What some filters use and others only have linked in.
pub const NOT_EVERY_FILTERS: [&str; 5] = [
    "proxy_grpc_call",
    "proxy_http_call",
    "proxy_set_property",
    "proxy_set_shared_data",
    "proxy_set_tick_period_milliseconds",
];

/// The names of a filter's capabilities, sorted: of host calls and of callbacks.
#[must_use]
pub fn capabilities(filter: Filter) -> Vec<String> {
    let callbacks = callbacks(filter);
    let mut names: BTreeSet<String> = ALWAYS.into_iter().map(str::to_owned).collect();
    names.extend(exports(callbacks));
    for (callback, call) in [
        (Callbacks::CALLOUT, "proxy_http_call"),
        (Callbacks::GRPC_CALLOUT, "proxy_grpc_call"),
        (Callbacks::TICK, "proxy_set_tick_period_milliseconds"),
    ] {
        if callbacks.contains(callback) {
            names.insert(call.to_owned());
        }
    }
    if filter != Filter::Telemetry {
        names.insert("proxy_set_property".to_owned());
    }
    if filter != Filter::HeaderRouting {
        names.insert("proxy_set_shared_data".to_owned());
    }
    names.into_iter().collect()
}

fn callbacks(filter: Filter) -> Callbacks {
    match filter {
        Filter::Auth => tidegate_auth::Auth::CALLBACKS,
        Filter::RateLimit => tidegate_rate_limit::RateLimit::CALLBACKS,
        Filter::HeaderRouting => tidegate_header_routing::HeaderRouting::CALLBACKS,
        Filter::Telemetry => tidegate_telemetry::Telemetry::CALLBACKS,
        Filter::Suite => tidegate_suite::Suite::CALLBACKS,
    }
}

/// The list that the module itself carries; a length that suffices for all callbacks, the rest of it zeros.
fn exports(callbacks: Callbacks) -> Vec<String> {
    let list: [u8; 512] = callbacks.export_list();
    let text = String::from_utf8_lossy(&list).into_owned();
    text.trim_end_matches('\0').lines().map(str::to_owned).collect()
}

/// The list as a mapping of names to what `nothing` stands for, on lines that can be read.
pub(crate) fn mapping(filter: Filter, nothing: &str, quoted: bool) -> String {
    let mut lines: Vec<String> = vec![String::new()];
    for name in capabilities(filter) {
        let entry = if quoted { format!("\"{name}\" = {nothing},") } else { format!("{name}: {nothing},") };
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&entry),
            Some(line) if line.len() + entry.len() < WIDTH => {
                line.push(' ');
                line.push_str(&entry);
            }
            _ => lines.push(entry),
        }
    }
    lines.join("\n").trim_end_matches(',').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_may_call_only_as_it_does() {
        let may = |filter, name: &str| capabilities(filter).iter().any(|capability| capability == name);
        assert!(may(Filter::Auth, "proxy_http_call") && may(Filter::Auth, "proxy_grpc_call"));
        assert!(may(Filter::RateLimit, "proxy_grpc_call") && !may(Filter::RateLimit, "proxy_http_call"));
        assert!(may(Filter::Telemetry, "proxy_http_call") && !may(Filter::Telemetry, "proxy_grpc_call"));
        assert!(!may(Filter::RateLimit, "proxy_on_http_call_response"));
        assert!(Filter::ALL.into_iter().all(|filter| may(filter, "proxy_on_request_headers")));
        assert!(!may(Filter::Telemetry, "proxy_set_property"));
    }
}
