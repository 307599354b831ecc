//! The machine: its cores and who runs on which, the CPU time that a process has taken, and how busy it was before.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::ClockId;
use nix::unistd::Pid;
use serde_json::{Value, json};

/// Who runs where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cores {
    /// One core for all: nothing is pinned.
    Shared,
    /// Envoy's core, and the load generator's; backends run on the last.
    Pinned { envoy: usize, load: usize, backends: usize },
}

impl Cores {
    /// From the cores that this process may use.
    pub(super) fn find() -> Result<Self> {
        let allowed = sched_getaffinity(this_thread()).context("asking which cores may be used")?;
        let usable: Vec<usize> =
            (0..CpuSet::count()).filter(|core| allowed.is_set(*core).unwrap_or(false)).collect();
        Ok(Self::among(&usable))
    }

    fn among(usable: &[usize]) -> Self {
        match usable {
            [envoy, load, .., backends] => Self::Pinned { envoy: *envoy, load: *load, backends: *backends },
            [envoy, load] => Self::Pinned { envoy: *envoy, load: *load, backends: *load },
            _ => Self::Shared,
        }
    }

    /// Pins every thread of an Envoy; those it starts later inherit it. An Envoy of several workers is let run where it
    /// likes: one core would not be what several workers are for.
    pub(super) fn pin_envoy(&self, pid: u32, workers: u32) -> Result<()> {
        let Self::Pinned { envoy, .. } = self else { return Ok(()) };
        if workers > 1 {
            return Ok(());
        }
        for entry in fs::read_dir(format!("/proc/{pid}/task")).context("listing Envoy's threads")? {
            let thread: i32 = entry?.file_name().to_string_lossy().parse().context("a thread's number")?;
            pin(Pid::from_raw(thread), *envoy)?;
        }
        Ok(())
    }

    /// Pins the calling thread to the load generator's core.
    pub(super) fn pin_load(&self) -> Result<()> {
        match self {
            Self::Shared => Ok(()),
            Self::Pinned { load, .. } => pin(this_thread(), *load),
        }
    }

    /// Pins the calling thread, and what it starts, to the backends' core.
    pub(super) fn pin_backends(&self) -> Result<()> {
        match self {
            Self::Shared => Ok(()),
            Self::Pinned { backends, .. } => pin(this_thread(), *backends),
        }
    }

    /// In a sentence.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Shared => {
                "this machine has one usable core: Envoy and the load share it, and nothing is pinned"
                    .to_owned()
            }
            Self::Pinned { envoy, load, .. } => format!("Envoy on core {envoy}, the load on core {load}"),
        }
    }
}

fn this_thread() -> Pid {
    Pid::from_raw(0)
}

fn pin(thread: Pid, core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core).with_context(|| format!("core {core}"))?;
    match sched_setaffinity(thread, &set) {
        // It ended since it was listed.
        Err(nix::errno::Errno::ESRCH) => Ok(()),
        other => other.with_context(|| format!("pinning a thread to core {core}")),
    }
}

/// The CPU time, user and system, that a process has taken so far, to the nanosecond.
pub(super) fn cpu_time(pid: u32) -> Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(pid).context("a process id")?);
    let clock = ClockId::pid_cpu_clock_id(pid).with_context(|| format!("the CPU clock of process {pid}"))?;
    Ok(Duration::from(clock.now().with_context(|| format!("reading the CPU clock of process {pid}"))?))
}

/// What the figures depend on, for the record.
pub(super) fn describe(cores: &Cores) -> Value {
    let cpus = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    json!({
        "cpu": model.map(|(_, model)| model),
        "cores": std::thread::available_parallelism().map_or(1, usize::from),
        "pinned": matches!(cores, Cores::Pinned { .. }),
        "kernel": kernel.trim(),
    })
}

/// How many programs wanted to run during the last minute, on average.
pub(super) fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_cores_are_one_each() {
        assert_eq!(Cores::among(&[0, 1]), Cores::Pinned { envoy: 0, load: 1, backends: 1 });
        assert_eq!(Cores::among(&[2, 5, 7, 9]), Cores::Pinned { envoy: 2, load: 5, backends: 9 });
    }

    #[test]
    fn one_core_is_shared_and_said_so() {
        assert_eq!(Cores::among(&[3]), Cores::Shared);
        assert!(Cores::Shared.describe().contains("one usable core"));
    }

    #[test]
    fn a_process_that_works_takes_time() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let mut sum = 0_u64;
        for number in 0..3_000_000_u64 {
            sum = std::hint::black_box(sum.wrapping_add(number));
        }
        assert!(cpu_time(own).unwrap() > before);
    }
}
