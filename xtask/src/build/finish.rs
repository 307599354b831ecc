//! Finishes a compiled module: keeps the exports that its filter uses and drops the rest, with all that only they
//! reach. A host crosses into the VM for every callback that is exported, so an unused one costs on each request.
//!
//! The filter lists its callbacks in the custom section `tidegate.callbacks`, which `export_filter!` writes.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use walrus::{FunctionBuilder, FunctionKind, Module, ModuleConfig};

/// The list of callbacks: names, each followed by a line feed.
const SECTION: &str = "tidegate.callbacks";

/// What every module exports: its memory, how the host allocates in it, its start, the ABI's version, and the life of
/// contexts.
pub(super) const ALWAYS: [&str; 7] = [
    "memory",
    "malloc",
    "_initialize",
    "proxy_abi_version_0_2_1",
    "proxy_on_context_create",
    "proxy_on_configure",
    "proxy_on_delete",
];

/// Our own implementations of callbacks carry this instead of `proxy_on_` and replace the SDK's.
const OWN: &str = "tidegate_on_";
const SDK: &str = "proxy_on_";

/// In the mangled names of the SDK's host calls, and of the default methods of its traits.
const SDK_HOST_CALLS: &str = "10proxy_wasm9hostcalls";
const SDK_METHODS: &str = "10proxy_wasm6traits";
/// How those default methods begin that wrap a host call.
const WRAPPERS: [&str; 21] = [
    "add_",
    "call_",
    "cancel_",
    "close_",
    "dequeue_",
    "dispatch_",
    "enqueue_",
    "get_current",
    "get_grpc",
    "get_http",
    "get_p",
    "get_shared",
    "get_vm",
    "open_",
    "register_",
    "remove_",
    "reset_",
    "resolve_",
    "resume_",
    "send_",
    "set_",
];

/// A module without what its filter does not use.
pub(crate) struct Pruned {
    pub(crate) bytes: Vec<u8>,
    /// The callbacks kept beside [`ALWAYS`], in alphabetical order.
    pub(super) callbacks: Vec<String>,
}

/// Whether functions keep their names, which are for debuggers and half of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Kept,
    Dropped,
}

/// Prunes a compiled module.
pub(crate) fn prune(raw: &[u8], names: Names) -> Result<Pruned> {
    let mut config = ModuleConfig::new();
    config
        .generate_name_section(names == Names::Kept)
        .generate_producers_section(false)
        .generate_dwarf(false);
    let mut module = config.parse(raw).context("the compiled module does not parse")?;

    let callbacks = listed(&mut module)?;
    replace_by_own(&mut module, &callbacks);
    drop_sdk_host_calls(&mut module);
    let kept: BTreeSet<&str> = ALWAYS.into_iter().chain(callbacks.iter().map(String::as_str)).collect();
    let unused: Vec<_> = module
        .exports
        .iter()
        .filter(|export| !kept.contains(export.name.as_str()))
        .map(|export| export.id())
        .collect();
    for id in unused {
        module.exports.delete(id);
    }
    let missing: Vec<&str> =
        kept.into_iter().filter(|name| !module.exports.iter().any(|export| export.name == *name)).collect();
    if !missing.is_empty() {
        bail!("the module lists callbacks or needs exports that it does not have: {}", missing.join(", "));
    }
    walrus::passes::gc::run(&mut module);
    Ok(Pruned { bytes: module.emit_wasm(), callbacks: callbacks.into_iter().collect() })
}

/// Takes the section off and returns what it lists beside [`ALWAYS`].
fn listed(module: &mut Module) -> Result<BTreeSet<String>> {
    let mut text = Vec::new();
    let mut found = false;
    while let Some(section) = module.customs.remove_raw(SECTION) {
        text.extend(section.data);
        found = true;
    }
    if !found {
        bail!(
            "it has no section `{SECTION}`: a filter's crate says `tidegate_proxy_host::export_filter!(ItsFilter);` \
             in its lib.rs"
        );
    }
    let text = String::from_utf8(text).with_context(|| format!("its section `{SECTION}` is not UTF-8"))?;
    let names = text.split('\n').filter(|name| !name.is_empty() && !ALWAYS.contains(name));
    let names: BTreeSet<String> = names.map(str::to_owned).collect();
    if let Some(other) = names.iter().find(|name| !name.starts_with(SDK)) {
        bail!("its section `{SECTION}` lists `{other}`, which is no proxy-wasm callback");
    }
    Ok(names)
}

/// Gives our implementations of the wanted callbacks the names that the host calls.
fn replace_by_own(module: &mut Module, callbacks: &BTreeSet<String>) {
    let own: Vec<_> = module
        .exports
        .iter()
        .filter_map(|export| Some((export.id(), format!("{SDK}{}", export.name.strip_prefix(OWN)?))))
        .collect();
    for (id, name) in own {
        if !callbacks.contains(&name) && !ALWAYS.contains(&name.as_str()) {
            continue;
        }
        let replaced = module.exports.iter().find(|export| export.name == name).map(|export| export.id());
        if let Some(replaced) = replaced {
            module.exports.delete(replaced);
        }
        module.exports.get_mut(id).name = name;
    }
}

/// Empties the SDK's host calls, and what wraps them: `proxy-host` has its own, and nobody calls these. The compiler keeps
/// them, with all that they reach, because a table of methods names them.
fn drop_sdk_host_calls(module: &mut Module) {
    let sdk: Vec<_> = module
        .funcs
        .iter_local()
        .map(|(id, _)| module.funcs.get(id))
        .filter(|function| function.name.as_deref().is_some_and(is_sdk_host_call))
        .map(|function| (function.id(), function.ty()))
        .collect();
    for (id, kind) in sdk {
        let (parameters, results) = module.types.params_results(kind);
        let (parameters, results) = (parameters.to_vec(), results.to_vec());
        let arguments = parameters.iter().map(|parameter| module.locals.add(*parameter)).collect();
        let mut body = FunctionBuilder::new(&mut module.types, &parameters, &results);
        body.func_body().unreachable();
        module.funcs.get_mut(id).kind = FunctionKind::Local(body.local_func(arguments));
    }
}

/// Whether a mangled name (`_ZN10proxy_wasm6traits7Context15get_shared_data17h…E`) is that of a host call of the SDK.
fn is_sdk_host_call(name: &str) -> bool {
    if name.contains(SDK_HOST_CALLS) {
        return true;
    }
    let Some((_, rest)) = name.split_once(SDK_METHODS) else { return false };
    // Each part of the path stands behind its length: the trait, then the method.
    let mut parts = rest.split(|character: char| character.is_ascii_digit()).filter(|part| !part.is_empty());
    parts.nth(1).is_some_and(|method| WRAPPERS.iter().any(|start| method.starts_with(start)))
}

#[cfg(test)]
mod tests;
