//! `cargo xtask`: what maintainers run. `cargo xtask --help` lists it.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    xtask::Cli::parse().run()
}
