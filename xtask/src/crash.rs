//! `cargo xtask crash`: real processes that are killed, and what must be there nevertheless.
//!
//! The program serves a folder on a real disk. Devices write to it all the time: they are processes, too, of the
//! production client. Everybody is killed at moments that nobody has chosen, most of all the server. After each start of
//! the server a device that only reads, in this process, comes back and looks for all that was acknowledged. Now and
//! then everybody comes to rest and is compared with everybody else; at the end with what is on the server's disk, too.
//!
//! SIGKILL ends a process and leaves the page cache of the system: what was written is there afterwards, flushed or not.
//! So this finds what a process loses or leaves half done when it ends anywhere; that something was not flushed is found
//! by the simulation, whose disks forget it.

mod check;
mod device;
mod figures;
mod fill;
mod fleet;
mod ledger;
pub(crate) mod server;
mod writer;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::sim::choices::Choices;
use crate::step::in_release;
use device::Device;
use figures::Figures;
use fill::Filled;
use fleet::Fleet;
use server::ServerProcess;

pub(crate) use writer::Args as WriterArgs;

/// Kills the server and devices as they work, and looks whether anything is lost.
///
/// Real processes on a real disk: the release build of `bailiwick`, devices of the production client, SIGKILL at random
/// moments, which leave what was written, flushed or not: a missing flush is found by `cargo xtask sim`. After each start the server must answer in time, and a device must be in step; what was acknowledged must be
/// there, each transaction once; in the end all devices and the server's disk must agree. A failure keeps everything and
/// prints where. The seed decides about what is written and when somebody is killed, not how processes take turns.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask crash --times 500
  cargo xtask crash --times 20 --partitions 50 --json > crash.json")]
pub(crate) struct Args {
    /// How often the server is killed.
    #[arg(long, default_value_t = 500, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    times: u32,
    /// How many partitions the server has on its disk.
    #[arg(long, default_value_t = 1000, value_name = "P")]
    partitions: u32,
    /// How many devices write.
    #[arg(long, default_value_t = 6, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    devices: u32,
    /// Decides what happens; a random one unless told.
    #[arg(long)]
    seed: Option<u64>,
    /// In how many milliseconds the server must answer after a start, and a device be in step.
    #[arg(long, default_value_t = 2000, value_name = "MS")]
    ready_within: u64,
    /// Print the figures as JSON.
    #[arg(long)]
    json: bool,
    /// Use this `bailiwick`, and this build of the devices, instead of release builds.
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

/// Partitions that devices write to.
const BUSY: u32 = 4;
/// Kills after which everybody comes to rest and is compared.
const ROUNDS_UNTIL_REST: u32 = 50;
/// How long a device is waited for after a start, to say how much too long it took.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long everybody may take to come to rest.
const REST_TIMEOUT: Duration = Duration::from_secs(600);

impl Args {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let program = match &self.program {
            Some(program) => program.clone(),
            None => match in_release()? {
                Some(code) => return Ok(code),
                None => server::build()?,
            },
        };
        let seed = self.seed.unwrap_or_else(random_seed);
        let folder = tempfile::Builder::new().prefix("bailiwick-crash-").tempdir()?;
        let figures = match self.kill_all(&program, seed, folder.path()) {
            Ok(figures) => figures,
            Err(error) => {
                let kept = folder.keep();
                let kept = kept.display();
                return Err(error.context(format!("seed {seed}; everything is kept in {kept}")));
            }
        };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&figures.to_json())?);
        } else {
            print!("{figures}");
        }
        Ok(ExitCode::SUCCESS)
    }

    fn kill_all(&self, program: &Path, seed: u64, folder: &Path) -> Result<Figures> {
        let runtime = tokio::runtime::Runtime::new().context("no runtime")?;
        let mut choices = Choices::new(seed);
        let figures = Figures::new(seed, self.devices);
        let bar = bar(self.times)?;
        let mut server = ServerProcess::new(program, folder)?;
        server.start()?;
        let base_url = server.base_url().to_owned();

        bar.set_message("fills partitions");
        let busy: Vec<String> = (0..BUSY).map(|number| format!("busy {number}")).collect();
        let filled = self.partitions.saturating_sub(BUSY);
        let filling = fill::fill(&base_url, folder, seed, filled);
        let filled = runtime.block_on(within(REST_TIMEOUT, "filling partitions", filling))?;

        let reader = folder.join("reader");
        let reader = Device::open(&base_url, &reader, seed, 0, &busy);
        let reader = runtime.block_on(within(REST_TIMEOUT, "opening the reader", reader))?;
        let mut fleet = Fleet::new(&base_url, folder, seed, busy);
        for device in 1..=self.devices {
            fleet.start(device, &mut choices)?;
        }

        let killer = Killer { args: self, server, fleet, reader, runtime, bar, figures };
        killer.run(&mut choices, &filled, folder)
    }
}

/// Everybody who takes part.
struct Killer<'a> {
    args: &'a Args,
    server: ServerProcess,
    fleet: Fleet,
    /// A device that writes nothing.
    reader: Device,
    runtime: tokio::runtime::Runtime,
    bar: ProgressBar,
    figures: Figures,
}

impl Killer<'_> {
    fn run(mut self, choices: &mut Choices, filled: &Filled, folder: &Path) -> Result<Figures> {
        for round in 1..=self.args.times {
            self.round(choices).with_context(|| format!("kill {round}"))?;
            if round % ROUNDS_UNTIL_REST == 0 && round < self.args.times {
                self.rest(folder).with_context(|| format!("at rest after kill {round}"))?;
                self.fleet.tell("go")?;
            }
            self.bar.set_message(self.figures.progress(self.fleet.ledger().counts()));
            self.bar.inc(1);
        }
        self.rest(folder).context("at rest in the end")?;
        self.figures.counts = self.fleet.ledger().counts();
        self.fleet.stop()?;
        // Once more, so that what is on the disk is what a crash has left there.
        self.server.kill()?;
        self.figures.server_kills += 1;
        self.figures.disk = check::disk(&self.server, &self.reader.contents()?, filled)?;
        self.server.check_log()?;
        self.bar.finish_and_clear();
        Ok(self.figures)
    }

    /// Lets everybody work for a while, kills the server, starts it again, and looks for what was acknowledged.
    fn round(&mut self, choices: &mut Choices) -> Result<()> {
        thread::sleep(Duration::from_millis(50 + choices.below(500) as u64));
        if choices.one_in(4) {
            self.fleet.kill_one(choices)?;
            self.figures.device_kills += 1;
            thread::sleep(Duration::from_millis(choices.below(50) as u64));
        }
        let acknowledged = self.fleet.ledger().take_acknowledged();
        self.server.kill()?;
        self.figures.server_kills += 1;
        while choices.one_in(8) {
            // Whoever comes back from a crash may crash again before that is done.
            self.server.spawn()?;
            thread::sleep(Duration::from_millis(choices.below(40) as u64));
            self.server.kill()?;
            self.figures.server_kills += 1;
            self.figures.kills_during_start += 1;
        }
        let limit = Duration::from_millis(self.args.ready_within);
        let started = Instant::now();
        self.server.run_bare()?;
        let bare = started.elapsed();
        let started = Instant::now();
        self.server.start()?;
        let ready = started.elapsed();
        let downloading = async {
            self.reader.reconnect().await;
            self.reader.download().await
        };
        let what = "the reader's download after a start";
        self.runtime.block_on(within(limit.max(START_TIMEOUT), what, downloading))?;
        let in_step = started.elapsed();
        self.figures.add_start(bare, ready, in_step);
        ensure!(ready <= limit, "the server answered {ready:?} after its start, not in {limit:?}");
        ensure!(
            in_step <= limit,
            "a device was in step {in_step:?} after a start, not in {limit:?}"
        );
        self.fleet.tell("back")?;
        check::acknowledged(&self.reader, &acknowledged)?;
        self.check_problems()
    }

    /// Lets everybody finish what they have begun, and compares what they have. Nobody writes until told to go on.
    fn rest(&mut self, folder: &Path) -> Result<()> {
        let deadline = Instant::now() + REST_TIMEOUT;
        self.fleet.upload(deadline)?;
        let left = deadline.saturating_duration_since(Instant::now());
        let what = "the reader's download at rest";
        self.runtime.block_on(within(left, what, self.reader.download()))?;
        self.fleet.compare(folder, deadline)?;
        let contents = self.reader.contents()?;
        check::contents(&contents, &self.fleet.saved(folder))?;
        check::marks(&contents, &self.fleet.ledger())?;
        self.check_problems()?;
        self.figures.rests += 1;
        Ok(())
    }

    /// Nobody has met with anything but that the server was not there.
    fn check_problems(&self) -> Result<()> {
        let mut problems = self.fleet.take_problems();
        problems.extend(self.reader.take_problems());
        match problems.first() {
            Some(problem) => bail!("a device has a problem: {problem}"),
            None => Ok(()),
        }
    }
}

/// Waits no longer than that: a server that loses somebody's request would never be found out otherwise.
async fn within<T>(
    limit: Duration,
    what: &str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    match tokio::time::timeout(limit, work).await {
        Ok(result) => result.with_context(|| what.to_owned()),
        Err(_) => bail!("{what} has not ended in {limit:?}"),
    }
}

fn random_seed() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| u64::from(now.subsec_nanos()))
}

fn bar(times: u32) -> Result<ProgressBar> {
    let style =
        ProgressStyle::with_template("{wide_bar} {pos}/{len} kills, {eta} left\n{wide_msg}")?;
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(times.into()), target).with_style(style);
    bar.enable_steady_tick(Duration::from_millis(200));
    Ok(bar)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    #[test]
    fn what_never_ends_is_an_error_that_names_it() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let wait = |work: Result<()>| within(Duration::from_secs(60), "it", async { work });
        runtime.block_on(wait(Ok(()))).unwrap();
        let failed = runtime.block_on(wait(Err(anyhow::anyhow!("failed")))).unwrap_err();
        assert_eq!(format!("{failed:#}"), "it: failed");
        let never = within(Duration::from_millis(1), "a download", pending::<Result<()>>());
        let late = runtime.block_on(never).unwrap_err().to_string();
        assert_eq!(late, "a download has not ended in 1ms");
    }
}
