//! What maintainers run: tests, the gate, vectors, benches. `cargo xtask --help` lists the commands.
//!
//! A command is a module with a clap `Args` struct and a `run` that ends in an exit code: 0 for success, 1 when
//! something that was checked is wrong, 2 when the command could not do its work.
//!
//! It is a library too, so that `cargo test` runs the same checks over the repository's vectors.

#![expect(clippy::print_stdout, reason = "a command line program talks to its user")]

pub mod vectors;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// What maintainers of Bailiwick run.
///
/// `cargo xtask test` is the one to start with; `cargo xtask check` is what has to pass before a change lands.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Vectors(vectors::Args),
}

impl Cli {
    /// Runs the command that the arguments name.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Vectors(args) => args.run(),
        }
    }
}
