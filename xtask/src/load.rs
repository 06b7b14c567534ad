//! `cargo xtask load`: thousands of devices that write, and what they cost the server.
//!
//! All devices are in this process, on one thread: each is the session machine and the WebSocket of the Rust client,
//! without a file. Figures mean little by themselves, so what the machine can do at best is measured in between.

mod bare;
mod baseline;
mod changeset;
mod connection;
mod file;
mod fleet;
mod histogram;
mod measurement;
mod pace;
mod plot;
mod process;
mod recorder;
mod report;
mod scenario;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use tempfile::TempDir;
use tokio::task::LocalSet;

use crate::step::{in_release, root};
use baseline::{BareServer, Limits};
use fleet::{Endpoint, Fleet, Pace, Plan};
use report::{Report, Settings};
use scenario::Scenario;
use server::Server;

/// Has thousands of devices write at the same time, and measures what comes of it.
///
/// Starts a server of its own, or drives the one at `--url`. Devices are those of the Rust client, without files, each
/// with a connection of its own. Reported are: acknowledged uploads a second; the time from a write on one device to
/// its acknowledgement, and to its receipt on another; bytes; errors; and what the server took, if it was started here.
///
/// Writes come at a fixed rate (--rate), counted from the instants at which they were due, so that a server that
/// stalls cannot hide it; or each device keeps some unacknowledged (--in-flight).
///
/// Figures of a shared machine mean little: with --baseline they come as ratios to what it can do at best, measured in
/// between.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask load --in-flight 8 --baseline                as many writes as the server takes
  cargo xtask load --devices 2000 --rate 100 --svg a.svg   100 writes a second, and how it went
  cargo xtask load --scenario throughput                   what has a target, and whether it is met
  cargo xtask load --url ws://127.0.0.1:7800 --path /realm-sync --protocol 9   another server")]
pub(crate) struct Args {
    /// Devices in all; they are dealt out to the partitions in turn.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    devices: u32,
    /// Partitions; without it, 16, or one for each device if there are fewer.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    partitions: Option<u32>,
    /// The first so many devices write, the others listen; without it, all write.
    #[arg(long, value_name = "N")]
    writers: Option<u32>,
    /// Changesets a second, all writers together.
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight", value_parser = within(LEAST_RATE, MOST_RATE))]
    rate: Option<f64>,
    /// Changesets that each writer keeps unacknowledged.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// How long to measure; without it 10, or as long as a scenario needs.
    #[arg(long, value_parser = within(LEAST_SECONDS, MOST_SECONDS))]
    seconds: Option<f64>,
    /// Length of a changeset, 1024 without it; one that is too short for a key and a time is as long as it must be.
    #[arg(long, value_name = "BYTES", value_parser = clap::value_parser!(u32).range(..=MAX_PAYLOAD))]
    payload: Option<u32>,
    /// Devices that share a connection.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    devices_per_connection: u32,
    /// The `bailiwick` to start; it is built otherwise.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    server: Option<PathBuf>,
    /// A server that runs already; one is started otherwise.
    #[arg(long, value_name = "ws://HOST:PORT")]
    url: Option<String>,
    /// The path of the sync WebSocket; `{device}` and `{partition}` stand for their numbers, if no devices share a
    /// connection.
    #[arg(long, requires = "url", default_value = "/realm-sync", value_name = "TEMPLATE")]
    path: String,
    /// Access tokens, one a line, which connections take in turn; blank lines are none.
    #[arg(long, requires = "url", value_name = "FILE")]
    token: Option<PathBuf>,
    /// The one version of the sync protocol to offer; all of them otherwise.
    #[arg(long, value_name = "VERSION", value_parser = protocol_version)]
    protocol: Option<ProtocolVersion>,
    /// Also measures what the machine can do, before, between and after three rounds of load.
    #[arg(long)]
    baseline: bool,
    /// Measures something that has a target, on a server of its own; --seconds and --payload count where they mean something.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "devices", "partitions", "writers", "rate", "in_flight", "devices_per_connection", "baseline", "svg"])]
    scenario: Option<Scenario>,
    /// The folder whose disk is used and measured; a temporary folder is made in there.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Where to write the report as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where to draw how it went.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Is a bare server, for the baseline.
    #[arg(long, hide = true)]
    bare: bool,
    /// Measures with this build, optimised or not.
    #[arg(long, hide = true)]
    this_build: bool,
}

/// Partitions, unless one asks for another number.
const PARTITIONS: u32 = 16;
/// How long to measure, unless one asks for another time.
const SECONDS: f64 = 10.0;
const LEAST_SECONDS: f64 = 0.1;
/// What is counted is kept for each half second until the end.
const MOST_SECONDS: f64 = 3600.0;
/// One write in each of the longest measurements.
const LEAST_RATE: f64 = 1.0 / MOST_SECONDS;
/// More than this program could write.
const MOST_RATE: f64 = 1e6;
/// Bytes of a changeset, unless one asks for another number.
const PAYLOAD: u32 = 1024;
/// As long as an UPLOAD may be, without what else there is in it.
const MAX_PAYLOAD: i64 = 15 << 20;
/// Rounds of load between the measurements of the machine.
const ROUNDS: u32 = 3;

impl Args {
    pub(crate) fn run(self) -> Result<ExitCode> {
        if self.bare {
            process::allow_open_files(OTHER_FILES)?;
            return bare::serve().map(|()| ExitCode::SUCCESS);
        }
        if !self.this_build
            && let Some(code) = in_release()?
        {
            return Ok(code);
        }
        process::allow_open_files(u64::from(self.devices) + OTHER_FILES)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        if let Some(scenario) = self.scenario {
            let outcome = LocalSet::new().block_on(&runtime, scenario.run(&self))?;
            if let Some(path) = &self.json {
                write(path, &serde_json::to_string_pretty(&outcome)?)?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let report = LocalSet::new().block_on(&runtime, self.measure())?;
        print!("{report}");
        if let Some(path) = &self.json {
            write(path, &serde_json::to_string_pretty(&report)?)?;
        }
        if let Some(path) = &self.svg {
            write(path, &plot::svg(&report))?;
        }
        Ok(if report.missing.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn measure(&self) -> Result<Report> {
        self.check()?;
        let folder = self.folder()?;
        let (server, endpoint) = self.reach(folder.path()).await?;
        let bare = self.baseline.then(BareServer::start).transpose()?;
        let plan = self.plan(endpoint)?;
        let fleet = Fleet::connect(&plan).await?;
        let pace = self.rate.map_or(Pace::InFlight(self.in_flight as usize), Pace::Rate);
        let count = if self.baseline { ROUNDS } else { 1 };
        let duration = Duration::from_secs_f64(self.seconds.unwrap_or(SECONDS)) / count;
        let (mut rounds, mut limits) = (Vec::new(), Vec::new());
        for _ in 0..count {
            limits.extend(self.limits(folder.path(), server.as_ref(), bare.as_ref()).await?);
            let round = fleet.measure(pace, duration, server.as_ref()).await?;
            let is_whole = round.missing.is_none();
            rounds.push(round);
            if !is_whole {
                break;
            }
        }
        limits.extend(self.limits(folder.path(), server.as_ref(), bare.as_ref()).await?);
        let settings = Settings {
            devices: plan.devices,
            writers: plan.writers,
            partitions: plan.partitions,
            changeset_len: fleet.changeset_len(),
            pace: pace.to_string(),
            url: plan.endpoint.url,
        };
        Ok(Report::new(settings, &rounds, &limits, fleet.errors()))
    }

    /// Options that would not change anything are mistakes.
    fn check(&self) -> Result<()> {
        let is_template = self.path.contains("{device}") || self.path.contains("{partition}");
        ensure!(
            !is_template || self.devices_per_connection == 1,
            "{{device}} and {{partition}} in --path say nothing if devices share a connection (--devices-per-connection)"
        );
        Ok(())
    }

    /// What the machine can do now, if that is to be measured. A server of our own has nothing to do meanwhile.
    async fn limits(
        &self,
        folder: &Path,
        server: Option<&Server>,
        bare: Option<&BareServer>,
    ) -> Result<Option<Limits>> {
        let Some(bare) = bare else { return Ok(None) };
        if let Some(server) = server {
            server.rest().await?;
        }
        Ok(Some(Limits::measure(folder, bare).await?))
    }

    /// The server to measure: one that is started here, or the one that is named.
    async fn reach(&self, folder: &Path) -> Result<(Option<Server>, Endpoint)> {
        let version = self.protocol;
        if let Some(url) = &self.url {
            let url = format!("{}{}", url.trim_end_matches('/'), self.path);
            let tokens = match &self.token {
                Some(path) => tokens(&read(path)?)
                    .with_context(|| format!("there is no token in {}", path.display()))?,
                None => Vec::new(),
            };
            return Ok((None, Endpoint { url, tokens, version }));
        }
        let server = Server::start(folder, self.server.as_deref())?;
        let tokens = vec![server.log_in().await?.into()];
        let endpoint = Endpoint { url: server.url(), tokens, version };
        Ok((Some(server), endpoint))
    }

    fn plan(&self, endpoint: Endpoint) -> Result<Plan> {
        let writers = self.writers.unwrap_or(self.devices);
        let partitions = self.partitions.unwrap_or_else(|| self.devices.min(PARTITIONS));
        ensure!(partitions <= self.devices, "there are more partitions than devices");
        ensure!(writers <= self.devices, "there are more writers than devices");
        Ok(Plan {
            devices: self.devices,
            partitions,
            writers,
            untimed: None,
            devices_per_connection: self.devices_per_connection,
            payload: self.payload(),
            endpoint,
        })
    }

    fn payload(&self) -> usize {
        self.payload.unwrap_or(PAYLOAD) as usize
    }

    /// A temporary folder: not among those of the system, which may be in memory.
    fn folder(&self) -> Result<TempDir> {
        let dir = self.dir.clone().unwrap_or_else(|| root().join("target"));
        let folder = tempfile::Builder::new().prefix("load-").tempdir_in(&dir);
        folder.with_context(|| format!("cannot make a folder in {}", dir.display()))
    }
}

/// Files and sockets beside those of devices.
const OTHER_FILES: u64 = 200;

fn protocol_version(text: &str) -> Result<ProtocolVersion> {
    let version = text.parse().ok().and_then(ProtocolVersion::new);
    let (least, most) = (ProtocolVersion::MIN, ProtocolVersion::MAX);
    version.with_context(|| format!("it is not one of {least} to {most}"))
}

/// Reads numbers of this range.
fn within(least: f64, most: f64) -> impl Fn(&str) -> Result<f64> + Clone {
    move |text| {
        let number: f64 = text.parse()?;
        ensure!((least..=most).contains(&number), "it is not between {least:.4} and {most}");
        Ok(number)
    }
}

/// One a line; none if there is no token at all.
fn tokens(text: &str) -> Option<Vec<Arc<str>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Some(lines.map(Arc::from).collect()).filter(|tokens: &Vec<_>| !tokens.is_empty())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_stand_one_a_line_between_blank_ones() {
        for (text, expected) in [
            ("", None),
            (" \n\n", None),
            ("a", Some(vec!["a"])),
            ("\n a \r\n\nb\n\n", Some(vec!["a", "b"])),
        ] {
            let tokens = tokens(text);
            let tokens = tokens.as_ref().map(|all| all.iter().map(|it| &**it).collect::<Vec<_>>());
            assert_eq!(tokens, expected, "{text:?}");
        }
    }

    #[test]
    fn only_numbers_that_can_be_measured_with_are_taken() {
        let seconds = within(LEAST_SECONDS, MOST_SECONDS);
        let rate = within(LEAST_RATE, MOST_RATE);
        for text in ["0", "-1", "1e300", "1e-300", "inf", "NaN", "x", ""] {
            assert!(seconds(text).is_err() && rate(text).is_err(), "{text}");
        }
        assert!(seconds("0.5").is_ok() && rate("0.02").is_ok());
    }
}
