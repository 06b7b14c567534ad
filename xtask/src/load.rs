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
    #[arg(long, value_name = "PER_SECOND", conflicts_with = "in_flight", value_parser = positive)]
    rate: Option<f64>,
    /// Changesets that each writer keeps unacknowledged.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// How long to measure.
    #[arg(long, default_value_t = 10.0, value_parser = positive)]
    seconds: f64,
    /// Length of a changeset; one that is too short for a key and a time is as long as it must be.
    #[arg(long, default_value_t = 1024, value_name = "BYTES")]
    payload: usize,
    /// Devices that share a connection.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    devices_per_connection: u32,
    /// The `bailiwick` to start; it is built otherwise.
    #[arg(long, value_name = "FILE", conflicts_with = "url")]
    server: Option<PathBuf>,
    /// A server that runs already; one is started otherwise.
    #[arg(long, value_name = "ws://HOST:PORT")]
    url: Option<String>,
    /// The path of the sync WebSocket; `{device}` and `{partition}` stand for their numbers.
    #[arg(long, requires = "url", default_value = "/realm-sync", value_name = "TEMPLATE")]
    path: String,
    /// Access tokens, one a line, which connections take in turn.
    #[arg(long, requires = "url", value_name = "FILE")]
    token: Option<PathBuf>,
    /// The one version of the sync protocol to offer; all of them otherwise.
    #[arg(long, value_name = "VERSION", value_parser = protocol_version)]
    protocol: Option<ProtocolVersion>,
    /// Also measures what the machine can do, before, between and after three rounds of load.
    #[arg(long)]
    baseline: bool,
    /// Measures something that has a target, on a server of its own; --seconds and --payload count as well.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["url", "devices", "partitions", "writers", "rate", "in_flight", "baseline", "svg"])]
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
            let goals = LocalSet::new().block_on(&runtime, scenario.run(&self))?;
            if let Some(path) = &self.json {
                write(path, &serde_json::to_string_pretty(&goals)?)?;
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
        Ok(ExitCode::SUCCESS)
    }

    async fn measure(&self) -> Result<Report> {
        let folder = self.folder()?;
        let (server, endpoint) = self.reach(folder.path()).await?;
        let bare = self.baseline.then(BareServer::start).transpose()?;
        let plan = self.plan(endpoint)?;
        let fleet = Fleet::connect(&plan).await?;
        let pace = self.rate.map_or(Pace::InFlight(self.in_flight as usize), Pace::Rate);
        let count = if self.baseline { ROUNDS } else { 1 };
        let duration = Duration::from_secs_f64(self.seconds) / count;
        let (mut rounds, mut limits) = (Vec::new(), Vec::new());
        for _ in 0..count {
            if let Some(bare) = &bare {
                limits.push(Limits::measure(folder.path(), bare).await?);
            }
            rounds.push(fleet.measure(pace, duration, server.as_ref()).await?);
        }
        if let Some(bare) = &bare {
            limits.push(Limits::measure(folder.path(), bare).await?);
        }
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

    /// The server to measure: one that is started here, or the one that is named.
    async fn reach(&self, folder: &Path) -> Result<(Option<Server>, Endpoint)> {
        let version = self.protocol;
        if let Some(url) = &self.url {
            let url = format!("{}{}", url.trim_end_matches('/'), self.path);
            let tokens = match &self.token {
                Some(path) => read(path)?.lines().map(|line| line.trim().into()).collect(),
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
            payload: self.payload,
            endpoint,
        })
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

fn positive(text: &str) -> Result<f64> {
    let number: f64 = text.parse()?;
    ensure!(number.is_finite() && number > 0.0, "it is not a positive number");
    Ok(number)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
