//! That manifests allow a module all that it may ask of its host. A call that was left out would be refused in silence, and the
//! filter do less than it says.

use anyhow::{Context, Result, bail};
use tidegate_render::{Filter, NOT_EVERY_FILTERS, capabilities};
use walrus::Module;

/// An error naming what `name` imports and manifests do not allow it. Modules of no manifest may import anything.
pub(super) fn verify(name: &str, bytes: &[u8]) -> Result<()> {
    let filter = name.strip_prefix("tidegate_").and_then(|filter| Filter::named(&filter.replace('_', "-")));
    let Some(filter) = filter else { return Ok(()) };
    let module = Module::from_buffer(bytes).context("the finished module does not parse")?;
    let allowed = capabilities(filter);
    let missing: Vec<&str> = module
        .imports
        .iter()
        .map(|import| import.name.as_str())
        // These are linked in everywhere; who uses them is known from the filter's callbacks.
        .filter(|import| !NOT_EVERY_FILTERS.contains(import))
        .filter(|import| !allowed.iter().any(|allowed| allowed == import))
        .collect();
    if !missing.is_empty() {
        bail!(
            "it imports {}, which manifests do not allow it: see crates/render/src/capabilities.rs",
            missing.join(", ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_manifests_do_not_allow_is_found() {
        let module = |import: &str| {
            wat::parse_str(format!(
                "(module (import \"env\" \"{import}\" (func)) (memory (export \"memory\") 1))"
            ))
            .unwrap()
        };
        for known in ["proxy_log", "proxy_grpc_call", "random_get"] {
            verify("tidegate_telemetry", &module(known)).unwrap();
        }
        let told = verify("tidegate_rate_limit", &module("proxy_get_status")).unwrap_err().to_string();
        assert!(told.starts_with("it imports proxy_get_status, which manifests do not allow it"), "{told}");
        verify("tidegate_probe", &module("proxy_get_status")).unwrap();
    }
}
