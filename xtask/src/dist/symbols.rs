//! The names of a module's functions. What is released has none: they are half of a file. A trap's backtrace in Envoy's log
//! says `wasm-function[NUMBER]`, and the line with that number says which it was.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};
use rustc_demangle::demangle;
use walrus::ModuleConfig;

use crate::build::{Names, prune};
use crate::setup::WasmOpt;

/// `NUMBER NAME` for every function of `released`, found by finishing `compiled` once more with its names.
pub(super) fn of(compiled: &[u8], released: &[u8], wasm_opt: &WasmOpt, scratch: &Path) -> Result<String> {
    let (from, to) = (scratch.join(".named.in"), scratch.join(".named.out"));
    fs::write(&from, prune(compiled, Names::Kept)?.bytes)?;
    wasm_opt.optimise(&from, &to, Names::Kept)?;
    let named = fs::read(&to)?;
    fs::remove_file(&from)?;
    fs::remove_file(&to)?;
    // The numbers are those of the released module only if it is the same but for the names.
    if without_names(&named)? != without_names(released)? {
        bail!("finished with its names it is another module");
    }
    let module = ModuleConfig::new().parse(&named).context("the named module does not parse")?;
    let mut functions: Vec<(usize, String)> = module
        .funcs
        .iter()
        .map(|function| {
            let name = function.name.as_deref().unwrap_or("?");
            (function.id().index(), format!("{:#}", demangle(name)))
        })
        .collect();
    functions.sort_unstable();
    let mut text = String::new();
    for (number, name) in functions {
        writeln!(text, "{number} {name}")?;
    }
    Ok(text)
}

fn without_names(module: &[u8]) -> Result<Vec<u8>> {
    let mut config = ModuleConfig::new();
    config.generate_name_section(false).generate_producers_section(false);
    Ok(config.parse(module).context("the module does not parse")?.emit_wasm())
}
