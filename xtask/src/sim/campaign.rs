//! Many seeds, in parallel if asked.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use indicatif::{HumanCount, ProgressBar, ProgressStyle};

use super::failure::Failure;
use super::fault::Fault;
use super::panics::caught;
use super::plan::{STEPS, Scenario};
use super::sabotage::Sabotage;
use super::shrink::shrink;
use super::tally::Tally;
use super::violation::{Check, Violation};
use super::world::{Outcome, World};
use crate::step::in_release;

/// Runs whole simulated worlds, each from one seed: devices, a server, and what can go wrong between them.
///
/// A world has 3 to 20 devices and 1 to 5 partitions; classes, transactions, faults, latencies and protocol versions are
/// chosen by its seed. Whenever it is healed, everybody has to come in step within 10 simulated seconds and to have the
/// same objects; after the last step the world ends. What the server promises is checked at each message and commit.
///
/// The 10 seconds begin when devices know that the network is back, as operating systems tell it. In some seeds a
/// device with a connection that is broken, and on which a PONG has come before, is not told, and has the time from one
/// PING to the next and the time that it waits for a PONG in addition.
///
/// Operations are counted as: a message that arrives, a connection that is made or lost, a file that does what it was
/// asked for, a transaction, a timer, a crash, another fault, a commit of the server, and each edit of a transaction.
///
/// A failure tells the seed, the step, and the command that repeats it up to there. It is run again until the shortest
/// prefix is found that fails in the same way, with as few faults as that takes, and the command that repeats that.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask sim --seed 7                                   one world, as it always is
  cargo xtask sim --seed 1000 --seeds 10000 --jobs 2         until the first that fails
  cargo xtask sim --seeds 10000 --keep-going                 all that fail
  cargo xtask sim --seeds 100 --without full-disk,rogue      worlds without these faults
  cargo xtask sim --seeds 100 --sabotage lose-entry          is a lost entry found?")]
pub struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// After so many events for four devices nothing more goes wrong, and the world ends once all are in step.
    #[arg(long, default_value_t = STEPS)]
    steps: u64,
    /// How many threads run seeds.
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Lists all seeds that fail, as they are; otherwise the first one ends it.
    #[arg(long)]
    keep_going: bool,
    /// Kinds of faults that never strike.
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<Fault>,
    /// Something that the simulation itself does wrong, to see that it is found.
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
}

/// How often it is told how far a campaign is, if there is no terminal to draw a bar on.
const SEEDS_A_LINE: u64 = 1000;

/// What is known of all seeds together.
struct Campaign<'a> {
    args: &'a Args,
    bar: ProgressBar,
    next: AtomicU64,
    operations: AtomicU64,
    tally: Mutex<Tally>,
    is_over: AtomicBool,
    failures: Mutex<Vec<Failure>>,
}

impl Args {
    /// Runs the seeds.
    ///
    /// # Errors
    ///
    /// cargo cannot be run.
    pub fn run(self) -> Result<ExitCode> {
        if let Some(code) = in_release()? {
            return Ok(code);
        }
        std::panic::set_hook(Box::new(|_| ())); // The text of a panic and its place are part of the violation.
        let bar = ProgressBar::new(self.seeds);
        let style = "{wide_bar} {pos}/{len} seeds, {per_sec}, {msg} operations, {eta} left";
        bar.set_style(ProgressStyle::with_template(style)?);
        let campaign = Campaign {
            args: &self,
            bar,
            next: AtomicU64::new(0),
            operations: AtomicU64::new(0),
            tally: Mutex::default(),
            is_over: AtomicBool::new(false),
            failures: Mutex::default(),
        };
        let begin = Instant::now();
        std::thread::scope(|scope| {
            for _ in 1..self.jobs {
                scope.spawn(|| campaign.run());
            }
            campaign.run();
        });
        campaign.bar.finish_and_clear();
        Ok(campaign.report(begin.elapsed().as_secs_f64()))
    }

    fn scenario(&self, seed: u64) -> Scenario {
        let without = self.without.iter().copied().collect();
        Scenario { seed, steps: self.steps, without, sabotage: self.sabotage }
    }
}

impl Campaign<'_> {
    /// Runs one seed after the other until there are no more.
    fn run(&self) {
        while !self.is_over.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.args.seeds {
                return;
            }
            let scenario = self.args.scenario(self.args.seed + number);
            match run(scenario) {
                Ok(outcome) => self.passed(scenario, outcome),
                Err(failure) => self.failed(failure),
            }
            self.bar.inc(1);
            let seeds = self.bar.position();
            if self.bar.is_hidden() && seeds.is_multiple_of(SEEDS_A_LINE) {
                let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
                println!("{}", self.count(seeds, failures.len()));
            }
        }
    }

    fn passed(&self, scenario: Scenario, outcome: Outcome) {
        let before = self.operations.fetch_add(outcome.operations, Ordering::Relaxed);
        let operations = HumanCount(before + outcome.operations);
        *self.tally.lock().unwrap_or_else(PoisonError::into_inner) += outcome.tally;
        self.bar.set_message(operations.to_string());
        if self.args.seeds == 1 {
            println!("seed {}: {outcome}", scenario.seed);
        }
    }

    fn failed(&self, failure: Failure) {
        if self.args.keep_going {
            self.bar.suspend(|| println!("{failure}"));
        } else {
            self.is_over.store(true, Ordering::Relaxed);
        }
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push(failure);
    }

    /// What was done so far.
    fn count(&self, seeds: u64, failures: usize) -> String {
        let operations = HumanCount(self.operations.load(Ordering::Relaxed));
        format!("{} seeds and {operations} operations, {failures} failed", HumanCount(seeds))
    }

    fn report(&self, seconds: f64) -> ExitCode {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let seeds = self.next.load(Ordering::Relaxed).min(self.args.seeds);
        println!("{} in {seconds:.1} s", self.count(seeds, failures.len()));
        println!("met: {}", self.tally.lock().unwrap_or_else(PoisonError::into_inner));
        if !self.args.keep_going
            && let Some(failure) = failures.first()
        {
            println!("{failure}\nlooking for the shortest run that fails as this one");
            println!("{}", shrink(failure));
        }
        if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

/// Runs one world to its end.
///
/// # Errors
///
/// The first promise that was broken, and after how many events.
pub fn run(scenario: Scenario) -> Result<Outcome, Failure> {
    let mut world = None;
    let result = caught(|| world.insert(World::new(scenario)).run());
    let result = result.unwrap_or_else(|panic| Err(Violation::new(Check::Panics, panic)));
    let step = world.map_or(0, |world| world.steps());
    result.map_err(|violation| Failure { scenario, step, violation })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Xtask {
        #[command(subcommand)]
        command: Command,
    }

    #[derive(Debug, clap::Subcommand)]
    enum Command {
        Sim(Args),
    }

    /// What a command that was printed simulates.
    fn read(command: &str) -> Scenario {
        let words = command.strip_prefix("cargo ").unwrap().split(' ');
        let Command::Sim(args) = Xtask::try_parse_from(words).unwrap().command;
        args.scenario(args.seed)
    }

    #[test]
    fn a_failure_tells_seed_and_step_and_the_command_that_repeats_it() {
        let without = [Fault::Cut, Fault::HalfOpen].into_iter().collect();
        let sabotage = Some(Sabotage::Accuse);
        let failure = run(Scenario { without, sabotage, ..Scenario::of(1) }).unwrap_err();
        let text = failure.to_string();
        let start = format!("seed 1, step {}: Honest: ", failure.step);
        assert!(text.starts_with(&start), "{text}");
        let (_, command) = text.split_once("to repeat it: ").unwrap();
        assert_eq!(read(command), failure.prefix());
        assert_eq!(run(read(command)).unwrap_err().violation, failure.violation);
    }

    #[test]
    fn a_panic_is_a_finding_with_its_place_and_step() {
        let scenario = Scenario { sabotage: Some(Sabotage::Panic), ..Scenario::of(1) };
        let failure = run(scenario).unwrap_err();
        assert_eq!(failure.violation.check, Check::Panics);
        assert!(failure.violation.message.contains("tamper.rs:"), "{failure}");
        assert!(failure.step > 0, "{failure}");
    }
}
