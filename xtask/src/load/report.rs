//! What came of it: for people, for programs, and as ratios to what the machine can do.

mod points;
mod text;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::baseline::Limits;
use super::histogram::Histogram;
use super::measurement::Measured;
use super::process::Memory;
use super::recorder::Interval;

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
    /// From the write to the acknowledgement, of all that was to be written in that time.
    pub(super) acknowledgement: Latency,
    /// From the write to the receipt on another device, of all that was to be written in that time.
    pub(super) receipt: Latency,
    /// Bytes of sync messages, as they travel, that devices sent and received in that time.
    pub(super) sent_len: u64,
    pub(super) received_len: u64,
    /// Since the devices have connected, and all arrived: changesets written, acknowledged, received by others.
    pub(super) total: Total,
    /// What went wrong, and how often.
    pub(super) errors: BTreeMap<String, u64>,
    /// Why not everything that was written was waited for; the latencies lack what did not come.
    pub(super) missing: Option<String>,
    /// What the server has used, if it was started here.
    pub(super) server: Option<ServerUse>,
    /// Processors that the load generator has kept busy.
    pub(super) own_cores: f64,
    /// What the machine can do: medians of what was measured in between.
    pub(super) limits: Option<Limits>,
    /// Each of the measurements.
    pub(super) limits_measured: Vec<Limits>,
    /// How much the limit that varied most did: the largest divided by the smallest.
    pub(super) limits_spread: Option<f64>,
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
    /// Checkpoints that it has made in that time, if that can be known.
    pub(super) checkpoints: Option<u64>,
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
    /// From the write to the receipt on another device, of what was to be written in it.
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
    pub(super) server_cores: Option<f64>,
    pub(super) own_cores: f64,
    /// Checkpoints that the server has ended in it, if that can be known.
    pub(super) checkpoints: Option<u64>,
}

impl Report {
    /// The report of several rounds of measurement as one.
    pub(super) fn new(
        settings: Settings,
        rounds: &[Measured],
        limits: &[Limits],
        errors: BTreeMap<String, u64>,
    ) -> Self {
        let (mut sum, mut points) = (Interval::default(), Vec::new());
        let (mut seconds, mut own_s, mut server_s) = (0.0, 0.0, None);
        for round in rounds {
            sum.add(&round.window.sum());
            points.extend(points::points(round, seconds));
            let elapsed_s = round.elapsed.as_secs_f64();
            if let [first, .., last] = &round.samples[..] {
                let (own, server) = last.cores_since(first);
                own_s += own * elapsed_s;
                server_s = server.map(|server| server_s.unwrap_or(0.0) + server * elapsed_s);
            }
            seconds += elapsed_s;
        }
        let count = as_f64(sum.acknowledged);
        let last = rounds.last().expect("there is a round");
        let memory = last.samples.last().and_then(|sample| sample.server).map(|it| it.memory);
        let server = server_s.zip(memory).map(|(cpu_s, memory)| ServerUse {
            cores: cpu_s / seconds,
            cpu_us_each: cpu_s * 1e6 / count,
            memory,
            checkpoints: rounds.iter().map(Measured::checkpoints).sum(),
        });
        let total = Total {
            written: last.after.written,
            acknowledged: last.after.acknowledged,
            received: last.after.received,
        };
        let mut report = Self {
            settings,
            seconds,
            acknowledged: sum.acknowledged,
            acknowledged_per_second: count / seconds,
            acknowledgement: Latency::of(&sum.acknowledgements),
            receipt: Latency::of(&sum.receipts),
            sent_len: rounds.iter().map(|round| round.sent_len).sum(),
            received_len: rounds.iter().map(|round| round.received_len).sum(),
            total,
            errors,
            missing: rounds.iter().find_map(|round| round.missing.clone()),
            server,
            own_cores: own_s / seconds,
            limits: (!limits.is_empty()).then(|| Limits::median(limits)),
            limits_measured: limits.to_vec(),
            limits_spread: (!limits.is_empty()).then(|| Limits::spread(limits)),
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
        let (to_writer, to_others) = (&self.acknowledgement, &self.receipt);
        let mut ratios = vec![
            ratio("uploads/s : redb, one row a commit", per_second, limits.one_row),
            ratio("uploads/s : redb, 100 rows a commit", per_second, limits.hundred_rows),
        ];
        let trips = [
            ("acknowledgement p50 ms : fdatasync + echo", to_writer.p50_ms),
            ("acknowledgement p95 ms : fdatasync + echo", to_writer.p95_ms),
            ("acknowledgement p99 ms : fdatasync + echo", to_writer.p99_ms),
            ("acknowledgement max ms : fdatasync + echo", to_writer.max_ms),
            ("receipt p50 ms : fdatasync + echo", to_others.p50_ms),
            ("receipt p95 ms : fdatasync + echo", to_others.p95_ms),
            ("receipt p99 ms : fdatasync + echo", to_others.p99_ms),
            ("receipt max ms : fdatasync + echo", to_others.max_ms),
        ];
        ratios.extend(trips.map(|(name, ms)| ratio(name, ms, trip_ms)));
        // Nobody may have written or received anything.
        ratios.retain(|it| it.ratio.is_finite());
        ratios
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

#[expect(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn as_f64(count: u64) -> f64 {
    count as f64
}
