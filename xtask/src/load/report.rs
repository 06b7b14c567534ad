//! What came of it: for people, for programs, and as ratios to what the machine can do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use super::baseline::Limits;
use super::fleet::{Measured, Sample};
use super::histogram::Histogram;
use super::process::Memory;
use super::recorder::INTERVAL;

/// Everything that is known about a measurement.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// What was asked for.
    pub(super) settings: Settings,
    /// How long was measured, in seconds.
    pub(super) seconds: f64,
    /// Changesets that the server acknowledged in that time.
    pub(super) acknowledged: u64,
    pub(super) acknowledged_per_second: f64,
    /// From the write to the acknowledgement.
    pub(super) acknowledgement: Latency,
    /// From the write to the receipt on another device.
    pub(super) receipt: Latency,
    /// Since the devices have connected, and all arrived: changesets written, acknowledged, received by others.
    pub(super) total: Total,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
    /// What the server has used, if it was started here.
    pub(super) server: Option<ServerUse>,
    /// Processors that the load generator has kept busy.
    pub(super) own_cores: f64,
    /// What the machine can do, measured in between.
    pub(super) limits: Option<Limits>,
    pub(super) ratios: Vec<Comparison>,
    /// How it went.
    pub(super) points: Vec<Point>,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Settings {
    pub(super) devices: u32,
    pub(super) writers: u32,
    pub(super) partitions: u32,
    pub(super) changeset_len: usize,
    pub(super) pace: String,
    pub(super) url: String,
}

/// How long something took, in milliseconds; NaN, which is null in JSON, if it never happened.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) count: u64,
    pub(super) p50_ms: f64,
    pub(super) p95_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) max_ms: f64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Total {
    pub(super) written: u64,
    pub(super) acknowledged: u64,
    pub(super) received: u64,
    /// Bytes of sync messages, as they travel.
    pub(super) sent_len: u64,
    pub(super) received_len: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct ServerUse {
    /// Processors that it has kept busy.
    pub(super) cores: f64,
    /// Microseconds of processor time for each acknowledged changeset; not finite, which is null in JSON, if there
    /// are none.
    pub(super) cpu_us_each: f64,
    /// Bytes, at the end.
    pub(super) memory: Memory,
}

/// A figure, and the limit that it is compared with, in the same unit.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Comparison {
    pub(super) name: &'static str,
    pub(super) figure: f64,
    pub(super) limit: f64,
    pub(super) ratio: f64,
}

/// How things were in one interval.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Point {
    /// Seconds of measurement until its end.
    pub(super) second: f64,
    pub(super) acknowledged_per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) server_cores: Option<f64>,
    pub(super) own_cores: f64,
}

impl Report {
    /// The report of several rounds of measurement as one.
    pub(super) fn new(
        settings: Settings,
        rounds: &[Measured],
        limits: &[Limits],
        errors: BTreeMap<String, u64>,
    ) -> Self {
        let (mut acknowledged, mut received) = (Histogram::default(), Histogram::default());
        let (mut own_s, mut server_s, mut points) = (0.0, None, Vec::new());
        let mut seconds = 0.0;
        for round in rounds {
            let sum = round.window.sum();
            acknowledged.add(&sum.acknowledged);
            received.add(&sum.received);
            points.extend(self::points(round, seconds));
            seconds += round.elapsed.as_secs_f64();
            if let [first, .., last] = &round.samples[..] {
                let (own, server) = last.since(first);
                own_s += own.as_secs_f64();
                server_s = server.map(|server| server_s.unwrap_or(0.0) + server.as_secs_f64());
            }
        }
        let count = as_f64(acknowledged.count());
        let last = rounds.last().expect("there is a round");
        let memory = last.samples.last().and_then(|sample| sample.server).map(|it| it.memory);
        let server = server_s.zip(memory).map(|(cpu_s, memory)| ServerUse {
            cores: cpu_s / seconds,
            cpu_us_each: cpu_s * 1e6 / count,
            memory,
        });
        let total = Total {
            written: last.after.written,
            acknowledged: last.after.acknowledged,
            received: last.after.received,
            sent_len: last.after.sent_len,
            received_len: last.after.received_len,
        };
        let limits = (!limits.is_empty()).then(|| Limits::median(limits));
        let mut report = Self {
            settings,
            seconds,
            acknowledged: acknowledged.count(),
            acknowledged_per_second: count / seconds,
            acknowledgement: Latency::of(&acknowledged),
            receipt: Latency::of(&received),
            total,
            errors,
            server,
            own_cores: own_s / seconds,
            limits,
            ratios: Vec::new(),
            points,
        };
        report.ratios = report.ratios();
        report
    }

    fn ratios(&self) -> Vec<Comparison> {
        let Some(limits) = &self.limits else { return Vec::new() };
        let ratio = |name, figure, limit| Comparison { name, figure, limit, ratio: figure / limit };
        let per_second = self.acknowledged_per_second;
        let trip_ms = (limits.sync_s + limits.echo_s) * 1e3;
        let mut ratios = vec![
            ratio("uploads/s : redb, one row a commit", per_second, limits.one_row),
            ratio("uploads/s : redb, 100 rows a commit", per_second, limits.hundred_rows),
            ratio("receipt p50 ms : fdatasync + echo", self.receipt.p50_ms, trip_ms),
            ratio("receipt p99 ms : fdatasync + echo", self.receipt.p99_ms, trip_ms),
        ];
        // Nobody may have received anything.
        ratios.retain(|it| it.ratio.is_finite());
        ratios
    }
}

fn points(round: &Measured, start: f64) -> Vec<Point> {
    let length = INTERVAL.as_secs_f64();
    let intervals = round.window.intervals.iter().zip(round.samples.windows(2)).zip(1_u32..);
    let points = intervals.map(|((interval, samples), number)| {
        let (own, server) = samples[1].since(&samples[0]);
        let received = Latency::of(&interval.received);
        Point {
            second: start + length * f64::from(number),
            acknowledged_per_second: as_f64(interval.acknowledged.count()) / length,
            p50_ms: received.p50_ms,
            p99_ms: received.p99_ms,
            server_cores: server.map(|server| server.as_secs_f64() / length),
            own_cores: own.as_secs_f64() / length,
        }
    });
    points.collect()
}

impl Sample {
    /// Processor time since an earlier sample: of the load generator, and of the server.
    fn since(&self, earlier: &Self) -> (Duration, Option<Duration>) {
        let server = self.server.zip(earlier.server);
        let own = self.own.cpu.saturating_sub(earlier.own.cpu);
        (own, server.map(|(now, before)| now.cpu.saturating_sub(before.cpu)))
    }
}

impl Latency {
    pub(super) fn of(histogram: &Histogram) -> Self {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let quantile = |per_mille| histogram.quantile(per_mille).map_or(f64::NAN, ms);
        Self {
            count: histogram.count(),
            p50_ms: quantile(500),
            p95_ms: quantile(950),
            p99_ms: quantile(990),
            max_ms: quantile(1000),
        }
    }
}

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
            Len(self.total.sent_len),
            Len(self.total.received_len)
        )?;
        if let Some(server) = &self.server {
            let ServerUse { cores, cpu_us_each, memory } = server;
            write!(f, "server           {cores:.2} cores, ")?;
            if cpu_us_each.is_finite() {
                write!(f, "{cpu_us_each:.0} µs for each, ")?;
            }
            let (now, peak) = (Len(memory.resident_len), Len(memory.peak_len));
            writeln!(f, "{now} in memory, {peak} at most")?;
        }
        writeln!(f, "load generator   {:.2} cores", self.own_cores)?;
        for (error, count) in &self.errors {
            writeln!(f, "error            {count} x {error}")?;
        }
        if let Some(limits) = &self.limits {
            write!(f, "{limits}")?;
        }
        for Comparison { name, figure, limit, ratio } in &self.ratios {
            writeln!(f, "  {name:<38} {figure:>10.2} : {limit:>8.2} = {ratio:.2}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |s: f64| s * 1e6;
        writeln!(f, "this machine     medians of what was measured in between")?;
        writeln!(f, "  fdatasync      {:.0} µs after appending 100 bytes", us(self.sync_s))?;
        writeln!(f, "  redb           {:.0} commits/s of one row of 1 KiB", self.one_row)?;
        writeln!(f, "                 {:.0} rows/s in commits of 100", self.hundred_rows)?;
        writeln!(f, "  WebSocket      {:.0} µs for an echo of 100 bytes", us(self.echo_s))
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

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn as_f64(count: u64) -> f64 {
    count as f64
}
