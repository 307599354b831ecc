//! `cargo xtask render`: the manifest for a filter's configuration, for any host; with `--all`, everything below
//! `envoy-config/`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use sha2::{Digest, Sha256};
use tidegate_render::{Configuration, Filter, Form, Host, Module, Options, Place};

use crate::paths;

#[derive(Args, Debug)]
pub(crate) struct Render {
    /// A filter's configuration, in YAML or JSON.
    #[arg(value_name = "FILE", required_unless_present = "all")]
    file: Option<PathBuf>,

    /// What is to run the filter: envoy, istio, consul, envoy-gateway or linkerd.
    #[arg(long, value_name = "HOST", required_unless_present = "all", value_parser = host)]
    to: Option<Host>,

    /// Write everything below `envoy-config/` anew, from `envoy-config/filters/`.
    #[arg(long, conflicts_with_all = ["file", "to", "form", "filter", "name", "module", "namespace", "workload", "cluster", "env", "out"])]
    all: bool,

    /// Which kind of manifest; without it, the host's usual one.
    #[arg(long, value_name = "FORM")]
    form: Option<String>,

    /// Which filter the configuration is for, where neither its keys nor its name say.
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    filter: Option<Filter>,

    /// What the plugin is called; without it, as its filter. Two plugins of one filter need two names.
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Where the module comes from: a path, file://…, http://…, https://… or oci://…
    #[arg(long, value_name = "PLACE")]
    module: Option<String>,

    /// The digest of a module that is fetched: 64 hexadecimal digits, or a file to take it of.
    #[arg(long, value_name = "DIGEST", requires = "module")]
    sha256: Option<String>,

    /// The namespace of the manifest.
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,

    /// Whom it is for: a label (Istio; may be given several times), service=NAME (Consul), route=NAME (Envoy Gateway).
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    workload: Vec<(String, String)>,

    /// Where a cluster is that the configuration calls: NAME=HOST:PORT or NAME=https://HOST.
    #[arg(long, value_name = "NAME=PLACE", value_parser = cluster)]
    cluster: Vec<(String, Place)>,

    /// A variable that the module reads a secret from, to stand in the manifest: for trying only.
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    env: Vec<(String, String)>,

    /// Write it here instead of printing it.
    #[arg(long, value_name = "PATH")]
    out: Option<PathBuf>,
}

impl Render {
    pub(crate) fn run(&self) -> Result<()> {
        if self.all {
            return write_all();
        }
        let (Some(file), Some(host)) = (&self.file, self.to) else {
            bail!("say which configuration, and for which host: --to HOST FILE")
        };
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
        let told = |error: tidegate_render::Error| anyhow!("{}: {error}", file.display());
        let configuration = Configuration::read(&text, self.filter, stem.as_deref()).map_err(told)?;
        let manifest = tidegate_render::render(&configuration, &self.options(host)?).map_err(told)?;
        for warning in &manifest.warnings {
            eprintln!("warning: {}: {warning}", file.display());
        }
        match &self.out {
            None => print!("{}", manifest.text),
            Some(out) => write(out, &manifest.text)?,
        }
        Ok(())
    }

    fn options(&self, host: Host) -> Result<Options> {
        let mut options = Options::new(form(host, self.form.as_deref())?);
        options.name.clone_from(&self.name);
        options.namespace.clone_from(&self.namespace);
        options.workload = once("--workload", &self.workload)?;
        options.clusters = once("--cluster", &self.cluster)?;
        options.variables = once("--env", &self.env)?;
        options.file = self.out.as_ref().map(|out| out.display().to_string());
        let sha256 = self.sha256.as_deref().map(digest).transpose()?;
        options.module = self.module.as_deref().map(|place| Module::at(place, sha256.as_deref()));
        if let (Some(Module::File(path)), Some(_)) = (&options.module, &sha256) {
            bail!("--sha256 is for a module that is fetched; {path} is a file, whose digest nobody compares")
        }
        Ok(options)
    }
}

/// By key, of which the last would silently replace the others.
fn once<V: Clone>(option: &str, given: &[(String, V)]) -> Result<BTreeMap<String, V>> {
    let mut values = BTreeMap::new();
    for (key, value) in given {
        if values.insert(key.clone(), value.clone()).is_some() {
            bail!("{option} says {key} twice")
        }
    }
    Ok(values)
}

fn form(host: Host, name: Option<&str>) -> Result<Form> {
    let mut forms = host.forms();
    let found = match name {
        None => forms.next(),
        Some(name) => forms.find(|form| form.name() == name),
    };
    found.ok_or_else(|| {
        let names: Vec<&str> = host.forms().map(Form::name).collect();
        anyhow!("{} has no form `{}`; it has: {}", host.name(), name.unwrap_or(""), names.join(", "))
    })
}

fn host(name: &str) -> Result<Host, String> {
    let names = || Host::ALL.map(Host::name).join(", ");
    Host::ALL
        .into_iter()
        .find(|host| host.name() == name)
        .ok_or_else(|| format!("expected one of {}", names()))
}

fn filter(name: &str) -> Result<Filter, String> {
    let names = || Filter::ALL.map(Filter::name).join(", ");
    Filter::named(name).ok_or_else(|| format!("expected one of {}", names()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    pair.map(|(key, value)| (key.to_owned(), value.to_owned())).ok_or_else(|| "expected KEY=VALUE".to_owned())
}

fn cluster(text: &str) -> Result<(String, Place), String> {
    let (name, place) = pair(text)?;
    let place = Place::parse(&place).ok_or("expected NAME=HOST:PORT or NAME=https://HOST")?;
    Ok((name, place))
}

/// Of a text or of a file's content, in lower-case hexadecimal.
fn digest(text: &str) -> Result<String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    let content = fs::read(text).with_context(|| {
        format!("--sha256 takes 64 hexadecimal digits or a file to take the digest of; {text} is neither")
    })?;
    Ok(Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn write(out: &Path, text: &str) -> Result<()> {
    if let Some(folder) = out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    fs::write(out, text).with_context(|| format!("cannot write {}", out.display()))
}

fn folder() -> PathBuf {
    paths::repo_root().join("envoy-config")
}

fn write_all() -> Result<()> {
    let (folder, mut written) = (folder(), 0);
    for (file, text) in tidegate_render::tree(&folder)? {
        let path = folder.join(&file);
        if fs::read_to_string(&path).is_ok_and(|there| there == text) {
            continue;
        }
        write(&path, &text)?;
        println!("{}", paths::shown(&path));
        written += 1;
    }
    println!("{written} files written anew; all others were as they should be");
    let strangers = differences(&folder)?;
    if !strangers.is_empty() {
        bail!("{}", strangers.join("\n"));
    }
    Ok(())
}

/// What below `envoy-config/` is not as `cargo xtask render --all` makes it.
pub(crate) fn check() -> Result<Vec<String>> {
    differences(&folder())
}

fn differences(folder: &Path) -> Result<Vec<String>> {
    const REMEDY: &str = "`cargo xtask render --all` makes it anew";
    let wanted: BTreeMap<PathBuf, String> = tidegate_render::tree(folder)?.into_iter().collect();
    let mut there = BTreeSet::new();
    collect(folder, Path::new(""), &mut there)?;
    let mut findings = Vec::new();
    for (file, text) in &wanted {
        let name = Path::new("envoy-config").join(file);
        let name = name.display();
        match fs::read_to_string(folder.join(file)) {
            Err(_) => findings.push(format!("{name} is not there: {REMEDY}")),
            Ok(found) if found != *text => {
                let line = found.lines().zip(text.lines()).position(|(found, text)| found != text);
                let line = line.unwrap_or_else(|| found.lines().count().min(text.lines().count())) + 1;
                findings.push(format!("{name}:{line} is stale: {REMEDY}"));
            }
            Ok(_) => {}
        }
    }
    for file in there.iter().filter(|file| !wanted.contains_key(*file)) {
        let name = Path::new("envoy-config").join(file);
        findings.push(format!(
            "{} is made of nothing: delete it, or name it in crates/render/src/tree.rs",
            name.display()
        ));
    }
    Ok(findings)
}

fn collect(root: &Path, below: &Path, files: &mut BTreeSet<PathBuf>) -> Result<()> {
    let folder = root.join(below);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let path = below.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(root, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied() -> tempfile::TempDir {
        let copy = tempfile::tempdir().unwrap();
        for (file, text) in tidegate_render::tree(&folder()).unwrap() {
            write(&copy.path().join(file), &text).unwrap();
        }
        copy
    }

    #[test]
    fn nothing_below_envoy_config_is_stale() {
        assert_eq!(check().unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_is_stale_missing_or_strange_is_named_with_the_remedy() {
        let copy = copied();
        assert_eq!(differences(copy.path()).unwrap(), Vec::<String>::new());
        let bootstrap = copy.path().join("rate-limit.yaml");
        let text = fs::read_to_string(&bootstrap).unwrap();
        fs::write(&bootstrap, text.replace("requests: 3,", "requests: 4,")).unwrap();
        fs::remove_file(copy.path().join("istio/auth/wasmplugin.yaml")).unwrap();
        write(&copy.path().join("istio/mine.yaml"), "a: 1\n").unwrap();
        let findings = differences(copy.path()).unwrap();
        let [missing, stale, strange] = findings.as_slice() else { panic!("{findings:#?}") };
        assert!(
            missing.starts_with(
                "envoy-config/istio/auth/wasmplugin.yaml is not there: `cargo xtask render --all`"
            )
        );
        assert!(stale.starts_with("envoy-config/rate-limit.yaml:") && stale.contains("is stale"), "{stale}");
        assert!(strange.starts_with("envoy-config/istio/mine.yaml is made of nothing"), "{strange}");
    }

    #[test]
    fn a_changed_configuration_makes_every_manifest_of_it_stale() {
        let copy = copied();
        let source = copy.path().join("filters/rate-limit.yaml");
        let text = fs::read_to_string(&source).unwrap();
        fs::write(&source, text.replace("requests: 3,", "requests: 4,")).unwrap();
        let findings = differences(copy.path()).unwrap();
        assert!(findings.len() >= 14, "{findings:#?}");
        assert!(
            findings.iter().all(|finding| finding.contains("rate-limit") && finding.contains("is stale"))
        );
        fs::write(&source, text.replace("quotas:", "qoutas:")).unwrap();
        let refused = differences(copy.path()).unwrap_err().to_string();
        assert!(refused.starts_with("filters/rate-limit.yaml: the filter rate-limit refuses"), "{refused}");
        assert!(refused.contains("limits[0].qoutas: expected one of"), "{refused}");
    }
}
