//! What a process has used, as /proc says.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Serialize;

/// What a process has used so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Usage {
    /// Time on processors, in user space and in the kernel.
    pub(super) cpu: Duration,
    pub(super) memory: Memory,
}

/// Bytes in memory.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Memory {
    /// Now (`VmRSS`).
    pub(super) resident_len: u64,
    /// At most so far (`VmHWM`).
    pub(super) peak_len: u64,
}

impl Usage {
    pub(super) fn of(process: u32) -> Result<Self> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))
        };
        let usage =
            parse(&read("stat")?, &read("status")?, rustix::param::clock_ticks_per_second());
        usage.context("/proc does not say what a process uses")
    }
}

fn parse(stat: &str, status: &str, ticks_per_second: u64) -> Option<Usage> {
    // The name of the program comes second, in parentheses, and may hold blanks.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11);
    let mut ticks = || times.next()?.parse::<u64>().ok();
    let cpu = Duration::from_millis((ticks()? + ticks()?) * 1000 / ticks_per_second);
    let len = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    let memory = Memory { resident_len: len("VmRSS:")?, peak_len: len("VmHWM:")? };
    Some(Usage { cpu, memory })
}

/// Whether any thread of a process works, or waits for a disk.
pub(super) fn is_busy(process: u32) -> Result<bool> {
    let threads = format!("/proc/{process}/task");
    let threads = fs::read_dir(&threads).with_context(|| format!("cannot read {threads}"))?;
    // A thread that has ended meanwhile does nothing.
    let mut stats = threads.filter_map(|it| fs::read_to_string(it.ok()?.path().join("stat")).ok());
    Ok(stats.any(|stat| works(&stat)))
}

fn works(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, fields)| fields.starts_with(['R', 'D']))
}

/// Lets this process, and those that it starts, have as many files and sockets open as they may have at most.
///
/// # Errors
///
/// If that is fewer than `count`.
pub(super) fn allow_open_files(count: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if maximum.is_some_and(|maximum| maximum < count) {
        let most = maximum.unwrap_or_default();
        bail!("{count} open files are needed, and {most} are allowed (`ulimit -Hn`)");
    }
    if current.is_some_and(|current| maximum.is_none_or(|maximum| current < maximum)) {
        let limit = Rlimit { current: Some(maximum.unwrap_or(count)), maximum };
        setrlimit(Resource::Nofile, limit).context("cannot have more open files")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_memory_are_read_from_their_places() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 4 0 100 1000 10";
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        let Usage { cpu, memory } = parse(stat, status, 100).unwrap();
        assert_eq!(cpu, Duration::from_secs(3));
        assert_eq!((memory.peak_len, memory.resident_len), (2 << 20, 1 << 20));
        assert!(parse("7 (x) S 1", status, 100).is_none());
    }

    #[test]
    fn a_thread_works_or_waits_for_a_disk_or_rests() {
        for (state, expected) in [("R", true), ("D", true), ("S", false), ("t", false)] {
            assert_eq!(works(&format!("7 (R) D) {state} 1 7 7")), expected, "{state}");
        }
        assert!(is_busy(std::process::id()).unwrap(), "it is being looked at");
        assert!(is_busy(u32::MAX).is_err());
    }

    #[test]
    fn this_process_uses_something() {
        assert!(Usage::of(std::process::id()).unwrap().memory.resident_len > 0);
        assert!(Usage::of(u32::MAX).is_err());
    }
}
