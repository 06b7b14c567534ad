//! What was done and how long it took.

use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::Counts;

/// The figures of a run.
#[derive(Debug)]
pub(super) struct Figures {
    seed: u64,
    devices: u32,
    pub(super) server_kills: usize,
    /// Those of them while it was starting.
    pub(super) kills_during_start: usize,
    pub(super) device_kills: usize,
    /// How often everybody came to rest and was compared.
    pub(super) rests: usize,
    pub(super) counts: Counts,
    pub(super) disk: Disk,
    /// From each start to the first answer.
    ready: Vec<Duration>,
    /// From each start to a device that has all that the server has.
    in_step: Vec<Duration>,
    /// From the start of a process that does nothing to its end.
    bare: Vec<Duration>,
}

/// What is on the server's disk in the end.
#[derive(Debug, Default)]
pub(super) struct Disk {
    pub(super) partitions: usize,
    pub(super) entries: usize,
    pub(super) len: u64,
}

impl Figures {
    pub(super) fn new(seed: u64, devices: u32) -> Self {
        Self {
            seed,
            devices,
            server_kills: 0,
            kills_during_start: 0,
            device_kills: 0,
            rests: 0,
            counts: Counts::default(),
            disk: Disk::default(),
            ready: Vec::new(),
            in_step: Vec::new(),
            bare: Vec::new(),
        }
    }

    pub(super) fn add_start(&mut self, bare: Duration, ready: Duration, in_step: Duration) {
        self.bare.push(bare);
        self.ready.push(ready);
        self.in_step.push(in_step);
    }

    /// How far it is.
    pub(super) fn progress(&self, counts: Counts) -> String {
        let last = self.ready.last().copied().unwrap_or_default();
        let Counts { written, acknowledged } = counts;
        format!(
            "{written} transactions, {acknowledged} acknowledged; ready after {} ms, at most {} ms",
            last.as_millis(),
            quantile(&self.ready, 1.0).as_millis()
        )
    }

    pub(super) fn to_json(&self) -> Value {
        json!({
            "seed": self.seed,
            "devices": self.devices,
            "kills": {
                "server": self.server_kills,
                "server_during_start": self.kills_during_start,
                "devices": self.device_kills,
            },
            "transactions": {
                "written": self.counts.written,
                "acknowledged": self.counts.acknowledged,
            },
            "comparisons": self.rests,
            "partitions": self.disk.partitions,
            "entries": self.disk.entries,
            "disk_bytes": self.disk.len,
            "bare_process_ms": times(&self.bare),
            "ready_ms": times(&self.ready),
            "in_step_ms": times(&self.in_step),
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, devices, disk, counts, .. } = self;
        writeln!(f, "nothing is lost, nothing is there twice, and all agree (seed {seed})")?;
        writeln!(
            f,
            "  {} kills of the server, {} of them while it started; {} kills of {devices} devices",
            self.server_kills, self.kills_during_start, self.device_kills
        )?;
        writeln!(
            f,
            "  {} transactions, {} of them acknowledged to who wrote them; compared {} times",
            counts.written, counts.acknowledged, self.rests
        )?;
        writeln!(
            f,
            "  {} partitions, {} entries, {} MiB on the server's disk",
            disk.partitions,
            disk.entries,
            disk.len >> 20
        )?;
        let rows = [
            ("ready", &self.ready),
            ("a device in step", &self.in_step),
            ("for comparison, a process that does nothing", &self.bare),
        ];
        writeln!(f, "  ms after a start:    p50    p99    max")?;
        for (name, times) in rows {
            let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| quantile(times, part).as_millis());
            writeln!(f, "                    {p50:>6} {p99:>6} {max:>6}  {name}")?;
        }
        Ok(())
    }
}

fn times(times: &[Duration]) -> Value {
    let ms = |part| quantile(times, part).as_secs_f64() * 1e3;
    json!({ "p50": ms(0.5), "p99": ms(0.99), "max": ms(1.0), "count": times.len() })
}

/// The time that this part of all did not exceed.
fn quantile(times: &[Duration], part: f64) -> Duration {
    let mut times = times.to_vec();
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "it is rounded to a place among them"
    )]
    let place = (part * times.len().saturating_sub(1) as f64).ceil() as usize;
    times.get(place).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_times_that_were_measured() {
        let times: Vec<_> = [5, 1, 4, 2, 3].map(Duration::from_millis).into();
        assert_eq!(quantile(&times, 0.0), Duration::from_millis(1));
        assert_eq!(quantile(&times, 0.5), Duration::from_millis(3));
        assert_eq!(quantile(&times, 0.51), Duration::from_millis(4));
        assert_eq!(quantile(&times, 1.0), Duration::from_millis(5));
        assert_eq!(quantile(&[], 0.5), Duration::ZERO);
    }
}
