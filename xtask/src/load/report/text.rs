//! The report for people.

use std::fmt;

use super::{Comparison, Latency, Report, ServerUse, Settings, as_f64};
use crate::load::baseline::Noise;

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50_ms, p95_ms, p99_ms, max_ms, count } = self;
        if *count == 0 {
            return write!(f, "none");
        }
        write!(
            f,
            "p50 {p50_ms:.2} ms, p95 {p95_ms:.2} ms, p99 {p99_ms:.2} ms, max {max_ms:.2} ms ({count})"
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { devices, writers, partitions, changeset_len, pace, url } = &self.settings;
        writeln!(f, "server           {url}")?;
        let s = if *partitions == 1 { "" } else { "s" };
        writeln!(
            f,
            "devices          {devices}, {writers} of them writing, on {partitions} partition{s}"
        )?;
        writeln!(f, "writes           {pace}, {changeset_len} bytes each")?;
        writeln!(
            f,
            "acknowledged     {:.0} /s, {} in {:.1} s",
            self.acknowledged_per_second, self.acknowledged, self.seconds
        )?;
        writeln!(f, "  to the writer  {}", self.acknowledgement)?;
        writeln!(f, "  to others      {}", self.receipt)?;
        writeln!(
            f,
            "messages         {} sent, {} received",
            Len(self.sent_len),
            Len(self.received_len)
        )?;
        if let Some(server) = &self.server {
            let ServerUse { cores, cpu_us_each, memory, checkpoints } = server;
            write!(f, "server           {cores:.2} cores, ")?;
            if cpu_us_each.is_finite() {
                write!(f, "{cpu_us_each:.0} µs for each, ")?;
            }
            let (now, peak) = (Len(memory.resident_len), Len(memory.peak_len));
            write!(f, "{now} in memory, {peak} at most")?;
            match checkpoints {
                None => writeln!(f)?,
                Some(1) => writeln!(f, ", 1 checkpoint")?,
                Some(count) => writeln!(f, ", {count} checkpoints")?,
            }
        }
        writeln!(f, "load generator   {:.2} cores", self.own_cores)?;
        for (error, count) in &self.errors {
            writeln!(f, "error            {count} x {error}")?;
        }
        if let Some(missing) = &self.missing {
            writeln!(f, "missing          {missing}")?;
        }
        if let Some(limits) = &self.limits {
            write!(f, "{limits}")?;
        }
        if let Some(noise) = self.limits_spread.and_then(Noise::of) {
            writeln!(f, "{noise}")?;
        }
        for Comparison { name, figure, limit, ratio } in &self.ratios {
            writeln!(f, "  {name:<42} {figure:>10.2} : {limit:>8.2} = {ratio:.2}")?;
        }
        Ok(())
    }
}

/// Bytes, for people.
struct Len(u64);

impl fmt::Display for Len {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match as_f64(self.0) {
            len if len < 1024.0 * 1024.0 => write!(f, "{:.0} KiB", len / 1024.0),
            len => write!(f, "{:.1} MiB", len / (1024.0 * 1024.0)),
        }
    }
}
