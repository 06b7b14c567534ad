//! The measurements that have targets, each as a ratio to what the machine can do.

mod goal;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use serde::Serialize;
use tempfile::TempDir;

use super::baseline::{self, BareServer, Limits, Noise, median, percentile};
use super::fleet::{Endpoint, Fleet, Pace, Plan};
use super::histogram::Histogram;
use super::measurement::{Measured, Measurement};
use super::process;
use super::recorder::Totals;
use super::report::{Latency, Report, Settings, as_f64};
use super::server::Server;
use super::{Args, SECONDS};
use goal::{Goal, Target};

/// A measurement that has targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scenario {
    /// 64 devices on 16 partitions write as much as the server takes, with 1, 8 and 64 in flight on each.
    Throughput,
    /// 64 devices on 16 partitions write 100 changesets a second, through several checkpoints (90 s unless told): from the
    /// write to its receipt.
    Latency,
    /// 5,000 devices are connected and do nothing: memory.
    Idle,
    /// One device writes, 2,000 receive it.
    Fanout,
    /// A device comes back with 100,000 changesets while 20 others write 100 a second: from a write of theirs to its receipt.
    Backlog,
}

/// What a scenario runs with.
struct Stage<'a> {
    args: &'a Args,
    folder: TempDir,
    server: Server,
    endpoint: Endpoint,
    bare: BareServer,
    /// How long rounds take together.
    seconds: f64,
    limits: Vec<Limits>,
    goals: Vec<Goal>,
}

/// What a scenario has shown.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    goals: Vec<Goal>,
    /// What the machine could do, in between.
    limits: Vec<Limits>,
    /// How much the limit that varied most did: the largest divided by the smallest.
    limits_spread: f64,
}

/// Rounds of load, with the machine measured before each and after the last.
const ROUNDS: u32 = 3;
/// How long rounds of [`Scenario::Latency`] take together. At that pace there is a checkpoint each 20 s: a flush takes a
/// page of 4 KiB, and half of the log has 8 MiB.
const LATENCY_SECONDS: f64 = 90.0;
/// Writes, or broadcasts, to all.
const CASTS: usize = 15;
/// Sockets of the largest scenario, and some files.
const MOST_FILES: u64 = 6000;
/// How long idle devices are left alone before memory is looked at.
const IDLE_TIME: Duration = Duration::from_secs(5);

impl Scenario {
    /// Runs it on a server of its own. The goals are printed as they are known.
    pub(super) async fn run(self, args: &Args) -> Result<Outcome> {
        self.check(args)?;
        process::allow_open_files(MOST_FILES)?;
        let folder = args.folder()?;
        let server = Server::start(folder.path(), args.server.as_deref())?;
        let tokens = vec![server.log_in().await?.into()];
        let endpoint = Endpoint { url: server.url(), tokens, version: args.protocol };
        let bare = BareServer::start()?;
        let mut stage = Stage {
            args,
            folder,
            server,
            endpoint,
            bare,
            seconds: args.seconds.unwrap_or(self.seconds()),
            limits: Vec::new(),
            goals: Vec::new(),
        };
        match self {
            Self::Throughput => stage.throughput().await?,
            Self::Latency => stage.latency().await?,
            Self::Idle => stage.idle().await?,
            Self::Fanout => stage.fanout().await?,
            Self::Backlog => stage.backlog().await?,
        }
        let Stage { goals, limits, .. } = stage;
        let limits_spread = Limits::spread(&limits);
        if let Some(noise) = Noise::of(limits_spread) {
            println!("{noise}");
        }
        Ok(Outcome { goals, limits, limits_spread })
    }

    fn seconds(self) -> f64 {
        if self == Self::Latency { LATENCY_SECONDS } else { SECONDS }
    }

    /// Options that would not change anything are mistakes.
    fn check(self, args: &Args) -> Result<()> {
        ensure!(
            args.seconds.is_none() || !matches!(self, Self::Idle | Self::Fanout),
            "--seconds is not for this scenario: it takes as long as it takes"
        );
        ensure!(
            args.payload.is_none() || self != Self::Idle,
            "--payload is not for this scenario: nothing is written"
        );
        Ok(())
    }
}

impl Stage<'_> {
    async fn throughput(&mut self) -> Result<()> {
        let fleet = self.connect(64, 16, 64).await?;
        self.measure_machine().await?;
        for in_flight in [1, 8, 64] {
            let (mut per_second, mut ack_ms, mut cpu_us) = (Vec::new(), Vec::new(), Vec::new());
            let before = self.limits.len() - 1;
            for _ in 0..ROUNDS {
                let round = self.round(&fleet, Pace::InFlight(in_flight)).await?;
                let report = Self::report(&fleet, &[round])?;
                per_second.push(report.acknowledged_per_second);
                ack_ms.push(report.acknowledgement.p50_ms);
                cpu_us.extend(report.server.map(|server| server.cpu_us_each));
                self.measure_machine().await?;
            }
            let limits = Limits::median(&self.limits[before..]);
            let [per_second, ack_ms, cpu_us] =
                [per_second, ack_ms, cpu_us].map(|values| median(values.into_iter()));
            println!(
                "{in_flight} in flight: {per_second:.0} /s, acknowledged in {ack_ms:.1} ms (p50), {cpu_us:.0} µs of server CPU each"
            );
            for (limit, against, target) in [
                (limits.one_row, "redb, one row a commit", 20.0),
                (limits.hundred_rows, "redb, 100 rows a commit", 0.5),
            ] {
                let what = format!("durable uploads, {in_flight} in flight");
                let target = Target::AtLeast(target);
                self.goal(Goal::new(what, (per_second, "/s"), (limit, against), target));
            }
        }
        no_errors(&fleet)
    }

    async fn latency(&mut self) -> Result<()> {
        const RATE: f64 = 100.0;
        let fleet = self.connect(64, 16, 64).await?;
        let (mut rounds, mut trips) = (Vec::new(), Vec::new());
        self.measure_machine().await?;
        for _ in 0..ROUNDS {
            trips.extend(baseline::trips(self.folder.path(), &self.bare, RATE).await?);
            let round = self.round(&fleet, Pace::Rate(RATE)).await?;
            println!(
                "a round: {}{}",
                Latency::of(&round.window.sum().receipts),
                checkpoints(&round)
            );
            rounds.push(round);
            self.measure_machine().await?;
        }
        let all = Self::report(&fleet, &rounds)?;
        println!("all:     {}", all.receipt);
        let mut beside = Histogram::default();
        for round in &rounds {
            beside.add(&round.receipts_beside_checkpoints());
        }
        println!("written in a half second with a checkpoint, or before: {}", Latency::of(&beside));
        let limits = Limits::median(&self.limits);
        print!("{limits}");
        let at_once_ms = (limits.sync_s + limits.echo_s) * 1e3;
        let paced_ms = percentile(trips.clone(), 50) * 1e3;
        for (percent, ms, target) in [(50, all.receipt.p50_ms, 2.5), (99, all.receipt.p99_ms, 4.0)]
        {
            let same_ms = percentile(trips.clone(), percent) * 1e3;
            for (limit_ms, against) in [
                (at_once_ms, "fdatasync + echo, medians, one after the other without a pause"),
                (paced_ms, "fdatasync + echo, 100 times a second, p50"),
                (same_ms, "the same, this percentile"),
            ] {
                let what = format!("write seen elsewhere at {RATE} /s, p{percent}");
                let target = Target::AtMost(target);
                self.goal(Goal::new(what, (ms, "ms"), (limit_ms, against), target));
            }
        }
        no_errors(&fleet)
    }

    async fn idle(&mut self) -> Result<()> {
        const DEVICES: u32 = 5000;
        let bare = self.bare.idle_len(DEVICES).await?;
        self.measure_machine().await?;
        let before = self.server.usage()?.memory.resident_len;
        let fleet = self.connect(DEVICES, 1000, 0).await?;
        tokio::time::sleep(IDLE_TIME).await;
        let memory = self.server.usage()?.memory;
        let grown = as_f64(memory.resident_len.saturating_sub(before));
        let each = grown / f64::from(DEVICES) / 1024.0;
        println!(
            "server: {} KiB before, {} with {DEVICES} sessions",
            before >> 10,
            memory.resident_len >> 10
        );
        self.measure_machine().await?;
        let against = "bare WebSocket echo server, 4 KiB buffers";
        let what = format!("memory of an idle session of {DEVICES}");
        let limit = (bare / 1024.0, against);
        self.goal(Goal::new(what, (each, "KiB"), limit, Target::AtMost(2.0)));
        no_errors(&fleet)
    }

    async fn fanout(&mut self) -> Result<()> {
        const DEVICES: u32 = 2001;
        let fleet = self.connect(DEVICES, 1, 1).await?;
        let others = DEVICES as usize - 1;
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        self.measure_machine().await?;
        let mut listeners = self.bare.listeners(others).await?;
        for _ in 0..CASTS {
            bare.push(listeners.broadcast(fleet.changeset_len()).await?.as_secs_f64());
            ours.push(fleet.write_to_all().await?.as_secs_f64());
        }
        self.measure_machine().await?;
        let others = as_f64(others as u64);
        let [ours, bare] = [ours, bare].map(|times| others / median(times.into_iter()));
        let what = format!("receipts a second, one write to {others} sessions");
        let limit = (bare, "bare broadcast loop");
        self.goal(Goal::new(what, (ours, "/s"), limit, Target::AtLeast(0.5)));
        no_errors(&fleet)
    }

    async fn backlog(&mut self) -> Result<()> {
        const OFFLINE: usize = 100_000;
        let mut plan = self.plan(21, 1, 21);
        plan.untimed = Some(20);
        let fleet = Fleet::connect(&plan).await?;
        self.measure_machine().await?;
        let pace = Pace::Rate(100.0);
        let round = self.round(&fleet, pace).await?;
        let before = Self::report(&fleet, &[round])?.receipt;
        println!("before: {before}");
        self.server.rest().await?;
        let writing = fleet.begin(pace);
        let mut measurement = Measurement::begin(&fleet, Some(&self.server))?;
        fleet.come_back_with(OFFLINE)?;
        // Whatever goes wrong, the others go on.
        let has_failed = || !fleet.recorder().errors.is_empty();
        let is_over = |totals: &Totals| totals.untimed == OFFLINE as u64 || has_failed();
        measurement.run_until(is_over).await?;
        no_errors(&fleet)?;
        let during = measurement.end(|| drop(writing)).await?;
        let report = Self::report(&fleet, &[during])?;
        let (receipt, seconds) = (report.receipt, report.seconds);
        println!("during: {receipt}; {OFFLINE} changesets integrated in {seconds:.1} s");
        self.measure_machine().await?;
        let what = format!("p99 of 20 others while {OFFLINE} changesets come");
        let target = Target::AtMost(2.0);
        let limit = (before.p99_ms, "their p99 before");
        self.goal(Goal::new(what, (receipt.p99_ms, "ms"), limit, target));
        no_errors(&fleet)
    }

    async fn connect(&self, devices: u32, partitions: u32, writers: u32) -> Result<Fleet> {
        Fleet::connect(&self.plan(devices, partitions, writers)).await
    }

    fn plan(&self, devices: u32, partitions: u32, writers: u32) -> Plan {
        Plan {
            devices,
            partitions,
            writers,
            devices_per_connection: 1,
            untimed: None,
            payload: self.args.payload(),
            endpoint: self.endpoint.clone(),
        }
    }

    async fn measure_machine(&mut self) -> Result<()> {
        self.server.rest().await?;
        self.limits.push(Limits::measure(self.folder.path(), &self.bare).await?);
        Ok(())
    }

    /// A round of load.
    async fn round(&self, fleet: &Fleet, pace: Pace) -> Result<Measured> {
        let duration = Duration::from_secs_f64(self.seconds / f64::from(ROUNDS));
        fleet.measure(pace, duration, Some(&self.server)).await
    }

    /// What rounds have shown together. All that was written must have come.
    fn report(fleet: &Fleet, rounds: &[Measured]) -> Result<Report> {
        let report = Report::new(Settings::default(), rounds, &[], fleet.errors());
        if let Some(missing) = report.missing {
            bail!("{missing}");
        }
        ensure!(
            report.acknowledgement.count > 0 && report.receipt.count > 0,
            "nothing was acknowledged, or nothing came to other devices, within {:.1} s: measure for longer (--seconds){}",
            report.seconds,
            fleet.shown_errors()
        );
        Ok(report)
    }

    fn goal(&mut self, goal: Goal) {
        println!("{goal}");
        self.goals.push(goal);
    }
}

/// How many checkpoints there were in a round, if it is known.
fn checkpoints(round: &Measured) -> String {
    round.checkpoints().map_or_else(String::new, |count| format!(", checkpoints: {count}"))
}

/// What a server refused was not measured.
fn no_errors(fleet: &Fleet) -> Result<()> {
    ensure!(fleet.errors().is_empty(), "there were errors{}", fleet.shown_errors());
    Ok(())
}
