//! What maintainers run: the demo, tests, the gate, vectors; simulations, crashes, load, fuzzing, coverage, mutants and
//! benches. `cargo xtask --help` lists the commands.
//!
//! A command is a module with a clap `Args` struct and its `run`. The exit code is 0 for success and 1 when something is
//! wrong; 2 is for arguments that can't be used.
//!
//! It is a library too, so that `cargo test` runs the same checks over the repository's vectors.

#![expect(clippy::print_stdout, reason = "a command line program talks to its user")]

pub mod sim;
pub mod vectors;

mod bench;
mod check;
mod coverage;
mod crash;
mod demo;
mod fuzz;
mod load;
mod mutants;
mod step;
mod stored_realm;
mod test;
mod tidy;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// What maintainers of Bailiwick run.
///
/// `cargo xtask demo` shows what this is; `cargo xtask test` runs every test; `cargo xtask check` is what has to pass before a change lands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Args),
    Test(test::Args),
    Check(check::Args),
    Tidy(tidy::Args),
    Vectors(vectors::Args),
    Bench(bench::Args),
    Crash(crash::Args),
    #[command(hide = true)]
    CrashWriter(crash::WriterArgs),
    Sim(sim::Args),
    Load(load::Args),
    Fuzz(fuzz::Args),
    Coverage(coverage::Args),
    Mutants(mutants::Args),
}

impl Cli {
    /// Runs the command that the arguments name.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Demo(args) => exit_code(args.run()),
            Command::Test(args) => exit_code(args.run()),
            Command::Check(args) => exit_code(args.run()),
            Command::Tidy(args) => exit_code(args.run()),
            Command::Vectors(args) => args.run(),
            Command::Bench(args) => exit_code(args.run()),
            Command::Crash(args) => ended(args.run()),
            Command::CrashWriter(args) => ended(args.run()),
            Command::Sim(args) => ended(args.run()),
            Command::Load(args) => ended(args.run()),
            Command::Fuzz(args) => exit_code(args.run()),
            Command::Coverage(args) => exit_code(args.run()),
            Command::Mutants(args) => exit_code(args.run()),
        }
    }
}

fn exit_code(result: Result<()>) -> ExitCode {
    ended(result.map(|()| ExitCode::SUCCESS))
}

fn ended(result: Result<ExitCode>) -> ExitCode {
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
