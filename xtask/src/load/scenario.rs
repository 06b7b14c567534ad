//! The measurements that have targets, each as a ratio to what the machine can do.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde::Serialize;
use tempfile::TempDir;

use super::Args;
use super::baseline::{self, BareServer, Limits, median, percentile};
use super::fleet::{Endpoint, Fleet, Pace, Plan};
use super::process;
use super::recorder::Totals;
use super::report::{Latency, Report, Settings, as_f64};
use super::server::Server;

/// A measurement that has targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Scenario {
    /// 64 devices on 16 partitions write as much as the server takes, with 1, 8 and 64 in flight on each.
    Throughput,
    /// 64 devices on 16 partitions write 100 changesets a second: from the write to its receipt.
    Latency,
    /// 5,000 devices are connected and do nothing: memory.
    Idle,
    /// One device writes, 2,000 receive it.
    Fanout,
    /// A device comes back with 100,000 changesets while 20 others write 100 a second: from a write of theirs to its receipt.
    Backlog,
}

/// A figure that has a target.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Goal {
    pub(super) what: String,
    pub(super) figure: f64,
    pub(super) unit: &'static str,
    /// What it is measured against, in the same unit.
    pub(super) limit: f64,
    pub(super) against: &'static str,
    pub(super) ratio: f64,
    pub(super) target: Target,
    pub(super) is_met: bool,
}

/// Where a ratio should be.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Target {
    AtLeast(f64),
    AtMost(f64),
}

/// What a scenario runs with.
struct Stage<'a> {
    args: &'a Args,
    folder: TempDir,
    server: Server,
    endpoint: Endpoint,
    bare: BareServer,
    goals: Vec<Goal>,
}

/// Rounds of load, with the machine measured before each and after the last.
const ROUNDS: u32 = 3;
/// How much a limit may vary from round to round.
const STEADY: f64 = 2.0;
/// Writes, or broadcasts, to all.
const CASTS: usize = 15;
/// Sockets of the largest scenario, and some files.
const MOST_FILES: u64 = 6000;
/// How long idle devices are left alone before memory is looked at.
const IDLE_TIME: Duration = Duration::from_secs(5);

impl Scenario {
    /// Runs it on a server of its own. The goals are printed as they are known.
    pub(super) async fn run(self, args: &Args) -> Result<Vec<Goal>> {
        process::allow_open_files(MOST_FILES)?;
        let folder = args.folder()?;
        let server = Server::start(folder.path(), args.server.as_deref())?;
        let tokens = vec![server.log_in().await?.into()];
        let endpoint = Endpoint { url: server.url(), tokens, version: args.protocol };
        let bare = BareServer::start()?;
        let mut stage = Stage { args, folder, server, endpoint, bare, goals: Vec::new() };
        match self {
            Self::Throughput => stage.throughput().await?,
            Self::Latency => stage.latency().await?,
            Self::Idle => stage.idle().await?,
            Self::Fanout => stage.fanout().await?,
            Self::Backlog => stage.backlog().await?,
        }
        Ok(stage.goals)
    }
}

impl Stage<'_> {
    async fn throughput(&mut self) -> Result<()> {
        let fleet = self.connect(64, 16, 64).await?;
        for in_flight in [1, 8, 64] {
            let (mut per_second, mut ack_ms, mut cpu_us) = (Vec::new(), Vec::new(), Vec::new());
            let mut limits = vec![self.limits().await?];
            for _ in 0..ROUNDS {
                let pace = Pace::InFlight(in_flight);
                let report = self.report(&fleet, pace).await?;
                per_second.push(report.acknowledged_per_second);
                ack_ms.push(report.acknowledgement.p50_ms);
                cpu_us.extend(report.server.map(|server| server.cpu_us_each));
                limits.push(self.limits().await?);
            }
            say_spread(&limits);
            let limits = Limits::median(&limits);
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
        let (mut p50, mut p99, mut limits) = (Vec::new(), Vec::new(), vec![self.limits().await?]);
        let mut trips = Vec::new();
        for _ in 0..ROUNDS {
            trips.extend(baseline::trips(self.folder.path(), &self.bare, RATE).await?);
            let report = self.report(&fleet, Pace::Rate(RATE)).await?;
            println!("receipts: {}", report.receipt);
            p50.push(report.receipt.p50_ms);
            p99.push(report.receipt.p99_ms);
            limits.push(self.limits().await?);
        }
        say_spread(&limits);
        let limits = Limits::median(&limits);
        print!("{limits}");
        let at_once_ms = (limits.sync_s + limits.echo_s) * 1e3;
        for (percent, times, target) in [(50, p50, 2.5), (99, p99, 4.0)] {
            let ms = median(times.into_iter());
            let of_trips_ms = percentile(trips.clone(), percent) * 1e3;
            for (limit_ms, against) in [
                (at_once_ms, "fdatasync + echo, medians, one after the other without a pause"),
                (median(trips.iter().copied()) * 1e3, "fdatasync + echo, 100 times a second, p50"),
                (of_trips_ms, "the same, this percentile"),
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
        let mut listeners = self.bare.listeners(others).await?;
        for _ in 0..CASTS {
            bare.push(listeners.broadcast(fleet.changeset_len()).await?.as_secs_f64());
            ours.push(fleet.write_to_all().await?.as_secs_f64());
        }
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
        let pace = Pace::Rate(100.0);
        let before = self.report(&fleet, pace).await?.receipt;
        println!("before: {before}");
        let writing = fleet.begin(pace);
        fleet.come_back_with(OFFLINE)?;
        let is_over = |_, totals: &Totals| totals.untimed == OFFLINE as u64;
        let during = fleet.observe(Some(&self.server), is_over).await?;
        drop(writing);
        let seconds = during.elapsed.as_secs_f64();
        let during = Latency::of(&during.window.sum().received);
        ensure!(during.count > 0, "nothing came to the others while the changesets came");
        println!("during: {during}; {OFFLINE} changesets integrated in {seconds:.1} s");
        fleet.settle().await?;
        let what = format!("p99 of 20 others while {OFFLINE} changesets come");
        let target = Target::AtMost(2.0);
        let limit = (before.p99_ms, "their p99 before");
        self.goal(Goal::new(what, (during.p99_ms, "ms"), limit, target));
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
            payload: self.args.payload,
            endpoint: self.endpoint.clone(),
        }
    }

    async fn limits(&self) -> Result<Limits> {
        Limits::measure(self.folder.path(), &self.bare).await
    }

    /// A round of load.
    async fn report(&self, fleet: &Fleet, pace: Pace) -> Result<Report> {
        let duration = Duration::from_secs_f64(self.args.seconds / f64::from(ROUNDS));
        let measured = fleet.measure(pace, duration, Some(&self.server)).await?;
        let report = Report::new(Settings::default(), &[measured], &[], fleet.errors());
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

/// Says so if the machine was not the same all the time.
fn say_spread(limits: &[Limits]) {
    let spread = Limits::spread(limits);
    if spread > STEADY {
        println!(
            "noisy    a limit of the machine varied {spread:.1} x meanwhile: the ratios below say little"
        );
    }
}

/// What a server refused was not measured.
fn no_errors(fleet: &Fleet) -> Result<()> {
    ensure!(fleet.errors().is_empty(), "there were errors{}", fleet.shown_errors());
    Ok(())
}

impl Goal {
    /// Whether a figure reaches its target, measured against `limit`.
    fn new(
        what: String,
        (figure, unit): (f64, &'static str),
        (limit, against): (f64, &'static str),
        target: Target,
    ) -> Self {
        let ratio = figure / limit;
        let is_met = match target {
            Target::AtLeast(least) => ratio >= least,
            Target::AtMost(most) => ratio <= most,
        };
        Self { what, figure, unit, limit, against, ratio, target, is_met }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, figure, unit, limit, against, ratio, target, is_met } = self;
        let met = if *is_met { "met" } else { "not met" };
        let (sign, target) = match target {
            Target::AtLeast(least) => (">=", least),
            Target::AtMost(most) => ("<=", most),
        };
        write!(
            f,
            "{met:<7}  {what}: {figure:.2} {unit} = {ratio:.2} x {limit:.2} ({against}); target {sign} {target}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_met_at_its_edge() {
        let is_met =
            |figure, target| Goal::new(String::new(), (figure, ""), (2.0, ""), target).is_met;
        assert!(is_met(1.0, Target::AtLeast(0.5)) && !is_met(0.9, Target::AtLeast(0.5)));
        assert!(is_met(4.0, Target::AtMost(2.0)) && !is_met(4.1, Target::AtMost(2.0)));
        assert!(!is_met(f64::NAN, Target::AtMost(2.0)), "what was not measured");
    }
}
