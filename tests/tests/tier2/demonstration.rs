//! What `cargo xtask up` promises, in a process of its own: signals end it, and nothing is left behind.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use e2e::client;
use e2e::up::Up;
use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        Trial::test("demonstration::every_step_shows_what_it_says", every_step),
        Trial::test("demonstration::a_difference_is_noticed", a_difference_is_noticed),
        Trial::test("demonstration::ports_that_are_taken_are_left_to_whom_has_them", taken_ports),
        Trial::test("demonstration::a_request_to_end_during_the_start_leaves_nothing", ended_early),
        Trial::test("demonstration::envoy_does_not_outlive_a_process_that_is_killed", killed),
        Trial::test("demonstration::a_bootstrap_of_ones_own_runs", own_bootstrap),
        Trial::test("demonstration::a_bad_bootstrap_is_told_plainly", bad_bootstraps),
    ];
    // The first as Ctrl-C in a terminal does it: to all processes there.
    for (name, signal, all) in [
        ("ctrl_c", Signal::SIGINT, true),
        ("sigint", Signal::SIGINT, false),
        ("sigterm", Signal::SIGTERM, false),
        ("a_closed_terminal", Signal::SIGHUP, false),
    ] {
        trials.push(Trial::test(format!("demonstration::{name}_leaves_nothing_behind"), move || {
            ended_by(signal, all)
        }));
    }
    trials
}

/// The words for [`instead_of_tests`], one a line.
const WORDS: &str = "TIDEGATE_TEST_UP";

/// Runs `up` where this program was started to do that. `None`: it shall run tests.
pub(crate) fn instead_of_tests() -> Option<ExitCode> {
    let words = std::env::var(WORDS).ok()?;
    let config = words.lines().find_map(|word| word.strip_prefix("config="));
    let is_there = |wanted: &str| words.lines().any(|word| word == wanted);
    let done = Up::read(config.map(Path::new)).and_then(|up| {
        let up = if is_there("usual ports") { up } else { up.on_free_ports() };
        up.run(is_there("check"))
    });
    Some(match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    })
}

/// A running `up`, in a process group of its own, whose temporary files lie in a folder of their own.
struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
    temporary: TempDir,
    printed: String,
}

impl Running {
    fn start(words: &str) -> Result<Self, Failed> {
        let temporary = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.env(WORDS, words).env("TMPDIR", temporary.path()).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let out = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        Ok(Self { child, out, temporary, printed: String::new() })
    }

    /// Reads what it prints until a line begins so.
    fn read_until(&mut self, beginning: &str) -> Result<(), Failed> {
        let mut line = String::new();
        while !line.starts_with(beginning) {
            line.clear();
            if self.out.read_line(&mut line)? == 0 {
                let errors = self.errors();
                return Err(format!(
                    "it ended before {beginning:?}:
{}{errors}",
                    self.printed
                )
                .into());
            }
            self.printed.push_str(&line);
        }
        Ok(())
    }

    fn errors(&mut self) -> String {
        let mut errors = String::new();
        // What cannot be read is not shown.
        let _ = self.child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut errors));
        errors
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// All addresses printed so far.
    fn addresses(&self) -> Vec<SocketAddr> {
        let words = self.printed.split_whitespace().filter_map(|word| word.strip_prefix("http://"));
        words.filter_map(|word| word.trim_end_matches(',').parse().ok()).collect()
    }

    fn finish(&mut self) -> Result<ExitStatus, Failed> {
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                return Err("it does not end".into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// No file and no process; with the processes went their ports.
    fn left_nothing(&self, children: &[Pid]) -> Result<(), Failed> {
        let files: Vec<_> =
            std::fs::read_dir(self.temporary.path())?.flatten().map(|file| file.path()).collect();
        let processes: Vec<_> = children.iter().filter(|child| kill(**child, None).is_ok()).collect();
        if files.is_empty() && processes.is_empty() {
            return Ok(());
        }
        Err(format!("left behind: files {files:?}, processes {processes:?}").into())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind either.
        let _ = killpg(self.pid(), Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

/// The processes that `parent` started.
fn children(parent: Pid) -> Result<Vec<Pid>, Failed> {
    let mut children = Vec::new();
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        // Behind the name, which may hold anything in its brackets: state, then the parent.
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        if fields.split_whitespace().nth(1) == Some(&parent.to_string()) {
            children.push(Pid::from_raw(pid));
        }
    }
    Ok(children)
}

fn every_step() -> Result<(), Failed> {
    let mut up = Running::start("check")?;
    let status = up.finish()?;
    up.out.read_to_string(&mut up.printed)?;
    if !status.success() || up.printed.matches('✓').count() < 9 || up.printed.contains('✗') {
        let errors = up.errors();
        return Err(format!("{status}\n{}{errors}", up.printed).into());
    }
    up.left_nothing(&[])
}

/// With one filter of the four most steps must fail.
fn a_difference_is_noticed() -> Result<(), Failed> {
    let mut bootstrap = e2e::bootstrap::read(&e2e::tools::repo_root().join("envoy-config/rate-limit.yaml"))?;
    e2e::bootstrap::free_ports(&mut bootstrap)?;
    let file = written(&bootstrap.to_string())?;
    let mut up = Running::start(&format!("check\nconfig={}", file.path().display()))?;
    if up.finish()?.success() {
        return Err("all steps agreed without auth".into());
    }
    up.out.read_to_string(&mut up.printed)?;
    if !up.printed.contains("✗ auth: without a key, 401") {
        return Err(format!("the difference was not told:\n{}", up.printed).into());
    }
    Ok(())
}

fn ended_by(signal: Signal, all: bool) -> Result<(), Failed> {
    let mut up = Running::start("")?;
    up.read_until("Ctrl-C ends it.")?;
    let (addresses, children) = (up.addresses(), children(up.pid())?);
    if addresses.len() < 4 || children.len() != 1 {
        return Err(
            format!("expected 4 addresses, 1 child: {addresses:?}, {children:?}\n{}", up.printed).into()
        );
    }
    let reply = client::get(addresses[0], "/healthz")?;
    if reply.status != 200 {
        return Err(format!("expected 200 from {}, seen {}", addresses[0], reply.status).into());
    }
    if all {
        killpg(up.pid(), signal)?
    } else {
        kill(up.pid(), signal)?
    }
    let status = up.finish()?;
    if !status.success() {
        return Err(format!("{status}\n{}", up.errors()).into());
    }
    up.left_nothing(&children)
}

fn taken_ports() -> Result<(), Failed> {
    // As in `envoy-config/all-filters.yaml`. Who else has them, has them for the same purpose here.
    let usual = [10000, 9901].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let _taken = usual.map(TcpListener::bind);
    let mut up = Running::start("usual ports")?;
    up.read_until("Ctrl-C ends it.")?;
    let addresses = up.addresses();
    if let Some(shared) = usual.iter().find(|address| addresses.contains(address)) {
        return Err(format!("it runs on {shared}, which was taken").into());
    }
    let reply = client::get(*addresses.first().ok_or("no address")?, "/healthz")?;
    if reply.status == 200 { Ok(()) } else { Err(format!("expected 200, seen {}", reply.status).into()) }
}

fn ended_early() -> Result<(), Failed> {
    let mut up = Running::start("")?;
    up.read_until("starting Envoy")?;
    kill(up.pid(), Signal::SIGTERM)?;
    let status = up.finish()?;
    if !status.success() {
        return Err(format!("{status}\n{}", up.errors()).into());
    }
    up.left_nothing(&[])
}

fn killed() -> Result<(), Failed> {
    let mut up = Running::start("")?;
    up.read_until("Ctrl-C ends it.")?;
    let children = children(up.pid())?;
    kill(up.pid(), Signal::SIGKILL)?;
    up.finish()?;
    let deadline = Instant::now() + Duration::from_secs(30);
    while children.iter().any(|child| kill(*child, None).is_ok()) {
        if Instant::now() > deadline {
            return Err("Envoy outlived what started it".into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn written(text: &str) -> Result<tempfile::NamedTempFile, Failed> {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
    std::fs::write(file.path(), text)?;
    Ok(file)
}

/// Without admin interface, and with its own idea of routes.
fn own() -> Value {
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "mine",
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}],
        "route_config": {"virtual_hosts": [{"name": "mine", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "beta"}}]}]},
    });
    let address = |port: u16| json!({"socket_address": {"address": "127.0.0.1", "port_value": port}});
    json!({"static_resources": {
        "listeners": [{"name": "mine", "address": address(0),
            "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}]}],
        "clusters": [{"name": "beta", "load_assignment": {"cluster_name": "beta",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(1)}}]}]}}],
    }})
}

fn own_bootstrap() -> Result<(), Failed> {
    let file = written(&own().to_string())?;
    let mut up = Running::start(&format!("config={}", file.path().display()))?;
    up.read_until("Ctrl-C ends it.")?;
    let address = *up.addresses().first().ok_or("no address")?;
    let reply = client::get(address, "/")?;
    let body = String::from_utf8_lossy(&reply.body).into_owned();
    if reply.status != 200 || !body.contains("\"backend\":\"beta\"") {
        return Err(format!("expected 200 from beta, seen {}: {body}", reply.status).into());
    }
    Ok(())
}

fn bad_bootstraps() -> Result<(), Failed> {
    let mut misspelt = own();
    misspelt["static_resources"]["listeners"][0]["adress"] = json!(1);
    let mut bad_filter = e2e::bootstrap::read(&e2e::tools::repo_root().join("envoy-config/rate-limit.yaml"))?;
    e2e::bootstrap::free_ports(&mut bad_filter)?;
    let bad_filter = bad_filter.to_string().replace("\"quotas\"", "\"qoutas\"");
    let cases = [
        ("a: [1", "is neither YAML nor JSON"),
        ("[1, 2]", "is no Envoy bootstrap, which is a mapping"),
        ("", "is no Envoy bootstrap, which is a mapping"),
        ("static_resources: {}", "it has no listener, so nobody could send it a request"),
        (&misspelt.to_string(), "no such field: 'adress'"),
        (&bad_filter, "limits[0].qoutas: expected one of"),
        (&bad_filter, "limits[0]: expected \"quotas\", \"concurrency\" or \"global\", found none of them"),
    ];
    for (text, expected) in cases {
        let file = written(text)?;
        told(file.path(), expected)?;
    }
    told(Path::new("no/such/file.yaml"), "cannot read no/such/file.yaml: No such file")
}

fn told(file: &Path, expected: &str) -> Result<(), Failed> {
    let mut up = Running::start(&format!("config={}", file.display()))?;
    let (status, errors) = (up.finish()?, up.errors());
    if status.code() != Some(1) || !errors.contains(expected) || !errors.contains(&file.display().to_string())
    {
        return Err(format!("expected {expected:?} and the file's name, seen {status}:\n{errors}").into());
    }
    up.left_nothing(&[])
}
