//! Many seeds, one after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};

use super::fault::{Fault, Faults};
use super::plan::{Sabotage, Scenario};
use super::violation::{Check, Violation};
use super::world::{Outcome, World};
use crate::step::in_release;

/// Runs whole simulated worlds: devices, a server, and everything that can go wrong.
///
/// A world follows from its seed. What is checked all the time, and whenever everything is healed, is what the server
/// promises.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// So many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// After so many events nothing more goes wrong, and everybody has to come in step.
    #[arg(long, default_value_t = 800)]
    steps: u64,
    /// A kind of fault that never strikes.
    #[arg(long, value_enum, value_delimiter = ',')]
    without: Vec<Fault>,
    /// Something that the simulation itself does wrong, to see that it is found.
    #[arg(long, value_enum)]
    sabotage: Option<Sabotage>,
    /// Goes on after a seed that fails.
    #[arg(long)]
    keep_going: bool,
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
        let bar = ProgressBar::new(self.seeds);
        let style = "{bar:30} {pos}/{len} seeds, {per_sec}, {msg} operations, {eta}";
        bar.set_style(ProgressStyle::with_template(style)?);
        let without = self.without.iter().fold(Faults::NONE, |faults, fault| faults.with(*fault));
        let (begin, mut operations, mut failures) = (Instant::now(), 0, 0);
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            let scenario = Scenario { seed, steps: self.steps, without, sabotage: self.sabotage };
            match run(scenario) {
                Ok(outcome) => {
                    operations += outcome.operations;
                    if self.seeds == 1 {
                        println!("seed {seed}: {outcome:?}");
                    }
                }
                Err(violation) => {
                    failures += 1;
                    bar.suspend(|| println!("seed {seed}: {violation}"));
                    if !self.keep_going {
                        break;
                    }
                }
            }
            bar.set_message(operations.to_string());
            bar.inc(1);
        }
        bar.finish();
        let seconds = begin.elapsed().as_secs_f64();
        println!("{operations} operations in {seconds:.1} s, {failures} failures");
        Ok(if failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Runs one world.
pub(crate) fn run(scenario: Scenario) -> Result<Outcome, Violation> {
    // The world is not used again after a panic.
    catch_unwind(AssertUnwindSafe(|| World::new(scenario).run())).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Violation::new(Check::Panics, text.unwrap_or("something panicked")))
    })
}
