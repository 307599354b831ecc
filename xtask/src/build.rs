//! `cargo xtask build`: compiles every filter to wasm32 and finishes each module to `target/wasm/tidegate_<filter>.wasm`.

mod allowed;
mod finish;
mod verify;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::setup::{self, WasmOpt, WasmStd};
use crate::workspace::{self, Package, Together};
use crate::{paths, process, staging};

#[derive(Args, Debug, Default)]
pub(crate) struct Build {
    /// Build this filter only, e.g. `auth` (may be given several times).
    #[arg(long, value_name = "FILTER")]
    only: Vec<String>,

    /// Leave wasm-opt out: some seconds less per changed module, each 10 to 15 % larger.
    #[arg(long)]
    no_opt: bool,

    /// Where the modules go if not to `target/wasm`: for those that are compared with them.
    #[arg(skip)]
    folder: Option<PathBuf>,
}

pub(crate) use finish::{Names, prune};

/// A finished module, and the file that the compiler made.
pub(crate) struct Built {
    pub(crate) module: Module,
    pub(crate) compiled: PathBuf,
}

/// A finished module.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Module {
    /// `tidegate_auth`.
    pub(crate) name: String,
    /// In bytes.
    pub(crate) size: usize,
    /// Of the finished file, in hexadecimal.
    sha256: String,
    /// The exports beside those that every module has.
    callbacks: Vec<String>,
    /// Of what the compiler made and how it was finished: the same again needs no work.
    made_from: String,
}

impl Build {
    /// Every filter.
    pub(crate) fn all(no_opt: bool) -> Build {
        Build { no_opt, ..Build::default() }
    }

    /// These filters only.
    pub(crate) fn only(filters: &[&str], no_opt: bool) -> Build {
        let only = filters.iter().map(|filter| (*filter).to_owned()).collect();
        Build { only, no_opt, ..Build::default() }
    }

    /// These filters without wasm-opt, in a folder of their own.
    pub(crate) fn unoptimised(filters: &[&str], folder: &Path) -> Build {
        Build { folder: Some(folder.to_owned()), ..Build::only(filters, true) }
    }

    /// Builds and prints a table.
    pub(crate) fn run(&self) -> Result<Vec<Module>> {
        let modules = self.make()?;
        print(&modules);
        Ok(modules)
    }

    /// Builds for another job, which has things of its own to print.
    pub(crate) fn make(&self) -> Result<Vec<Module>> {
        Ok(self.make_all()?.into_iter().map(|built| built.module).collect())
    }

    /// Builds for a job that looks at what the compiler made, too.
    pub(crate) fn make_all(&self) -> Result<Vec<Built>> {
        let chosen = self.choose(workspace::members()?)?;
        let wasm_std = setup::for_build()?;
        let wasm_opt = if self.no_opt { None } else { Some(setup::for_optimising()?) };
        let unfinished: Vec<Package> =
            chosen.iter().filter(|package| package.keeps_unfinished()).cloned().collect();
        let mut compiled = BTreeMap::new();
        for together in Together::of(chosen) {
            compiled.extend(compile(&wasm_std, &together)?);
        }

        let folder = self.folder.clone().unwrap_or_else(paths::wasm_dir);
        let _lock = staging::Lock::take_in(&folder, "build")?;
        let mut record = read_record(&folder);
        for name in unfinished.iter().filter_map(Package::module) {
            if let Some(file) = compiled.get(name) {
                keep_unfinished(name, file, &folder)?;
            }
        }
        let built = finish_all(compiled, wasm_opt.as_ref(), &record, &folder)?;
        record.extend(built.iter().map(|built| (built.module.name.clone(), built.module.clone())));
        staging::write_file(&record_file(&folder), &serde_json::to_vec_pretty(&record)?)?;
        Ok(built)
    }

    fn choose(&self, members: Vec<Package>) -> Result<Vec<Package>> {
        let all: Vec<Package> = members.into_iter().filter(|package| package.module().is_some()).collect();
        if self.only.is_empty() {
            return Ok(all);
        }
        let mut chosen = Vec::new();
        for wanted in &self.only {
            let plain =
                wanted.trim_start_matches("tidegate").trim_start_matches(['-', '_']).replace('_', "-");
            let full = format!("tidegate-{plain}");
            let Some(package) = all.iter().find(|package| package.name == full) else {
                let names: Vec<&str> =
                    all.iter().map(|package| package.name.trim_start_matches("tidegate-")).collect();
                bail!("there is no filter `{wanted}`; there are: {}", names.join(", "));
            };
            chosen.push(package.clone());
        }
        Ok(chosen)
    }
}

/// Compiles the packages in one call and returns their modules' names and files.
fn compile(wasm_std: &WasmStd, together: &Together) -> Result<BTreeMap<String, PathBuf>> {
    if together.packages.is_empty() {
        return Ok(BTreeMap::new());
    }
    let mut command = wasm_std.cargo("build")?;
    command.args(["--release", "--lib", "--message-format=json-render-diagnostics"]);
    together.choose(&mut command);
    let mut files = BTreeMap::new();
    let status = process::each_line(&mut command, |line| {
        if let Ok(Message { reason, filenames }) = serde_json::from_str(line)
            && reason == "compiler-artifact"
        {
            for file in filenames.into_iter().filter(|file| file.extension().is_some_and(|it| it == "wasm")) {
                let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                files.extend(name.map(|name| (name, file)));
            }
        }
        false
    })?;
    process::check(&command, status)?;
    let wanted: Vec<&str> = together.packages.iter().filter_map(Package::module).collect();
    if let Some(missing) = wanted.iter().find(|name| !files.contains_key(**name)) {
        bail!("cargo built no {missing}.wasm");
    }
    files.retain(|name, _| wanted.contains(&name.as_str()));
    Ok(files)
}

/// Copies a module as the compiler made it to `NAME_unfinished.wasm`.
fn keep_unfinished(name: &str, compiled: &Path, folder: &Path) -> Result<()> {
    let raw = fs::read(compiled).with_context(|| format!("cannot read {}", compiled.display()))?;
    staging::write_file(&folder.join(format!("{name}_unfinished.wasm")), &raw)
}

/// Finishes several modules at a time: wasm-opt takes seconds and one core.
fn finish_all(
    compiled: BTreeMap<String, PathBuf>,
    wasm_opt: Option<&WasmOpt>,
    record: &BTreeMap<String, Module>,
    folder: &Path,
) -> Result<Vec<Built>> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let queue = Mutex::new(compiled.into_iter());
    let done = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some((name, file)) = unpoisoned(&queue).next() else { break };
                    let module = finish(&name, &file, wasm_opt, record.get(&name), folder)
                        .with_context(|| format!("{name} was compiled, but its module cannot be finished"));
                    unpoisoned(&done).push(module.map(|module| Built { module, compiled: file }));
                }
            });
        }
    });
    let mut built =
        done.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect::<Result<Vec<_>>>()?;
    built.sort_by(|a, b| a.module.name.cmp(&b.module.name));
    Ok(built)
}

fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line of cargo's machine-readable output.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

fn finish(
    name: &str,
    compiled: &Path,
    wasm_opt: Option<&WasmOpt>,
    before: Option<&Module>,
    folder: &Path,
) -> Result<Module> {
    let raw = fs::read(compiled).with_context(|| format!("cannot read {}", compiled.display()))?;
    let target = folder.join(format!("{name}.wasm"));
    let made_from = recipe(&raw, wasm_opt)?;
    if let Some(before) = before
        && before.made_from == made_from
        && fs::read(&target).is_ok_and(|bytes| hex(&Sha256::digest(bytes)) == before.sha256)
    {
        return Ok(before.clone());
    }

    let pruned = prune(&raw, Names::Dropped)?;
    let mut bytes = pruned.bytes;
    if let Some(wasm_opt) = wasm_opt {
        println!("  optimising {name}");
        let (from, to) = (folder.join(format!(".{name}.in")), folder.join(format!(".{name}.out")));
        staging::write_file(&from, &bytes)?;
        wasm_opt.optimise(&from, &to, Names::Dropped)?;
        bytes = fs::read(&to)?;
        fs::remove_file(&from)?;
        fs::remove_file(&to)?;
    }
    verify::verify(&bytes, &pruned.callbacks)?;
    allowed::verify(name, &bytes)?;
    staging::write_file(&target, &bytes)?;
    let sha256 = hex(&Sha256::digest(&bytes));
    Ok(Module { name: name.to_owned(), size: bytes.len(), sha256, callbacks: pruned.callbacks, made_from })
}

/// What a finished module depends on: the compiled one, and what finishes it. Not this whole program, which changes with
/// every edit to the test harness.
fn recipe(raw: &[u8], wasm_opt: Option<&WasmOpt>) -> Result<String> {
    let mut hash = Sha256::new();
    hash.update(raw);
    hash.update(include_str!("build/finish.rs"));
    hash.update(include_str!("build/verify.rs"));
    hash.update(include_str!("build/allowed.rs"));
    hash.update(include_str!("../../crates/render/src/capabilities.rs"));
    hash.update(workspace::locked_version("walrus")?.unwrap_or_default());
    if let Some(wasm_opt) = wasm_opt {
        hash.update(wasm_opt.identity()?);
    }
    Ok(hex(&hash.finalize()))
}

fn read_record(folder: &Path) -> BTreeMap<String, Module> {
    // Only spares work: unreadable is as good as absent.
    let bytes = fs::read(record_file(folder)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

fn record_file(folder: &Path) -> PathBuf {
    folder.join("modules.json")
}

fn print(modules: &[Module]) {
    let width = modules.iter().map(|module| module.name.len()).max().unwrap_or(0) + ".wasm".len();
    println!("\nmodules in {}:", paths::shown(&paths::wasm_dir()));
    for module in modules {
        let (file, size) = (format!("{}.wasm", module.name), module.size as f64 / 1024.0);
        println!("  {file:<width$}  {size:>6.1} KiB  sha256 {}", module.sha256);
        println!("  {:<width$}  keeps {}", "", module.callbacks.join(", "));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
