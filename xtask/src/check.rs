//! `cargo xtask check`: exactly what CI runs.

use anyhow::Result;

use crate::step::{Steps, cargo};
use crate::{fuzz, test, tidy};

/// Runs exactly what CI runs: formatting, tidy, clippy with warnings denied, docs, every test, a while of
/// each fuzz target.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Everything but the tests.
    #[arg(long)]
    skip_tests: bool,
}

/// The crates that are published, each of which has to build without its default features.
const CRATES: [&str; 5] = [
    "bailiwick-protocol",
    "bailiwick-core",
    "bailiwick-storage",
    "bailiwick-server",
    "bailiwick-client",
];

/// How long each fuzz target runs, in seconds.
const FUZZ_S: u64 = 20;

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        steps.command(&mut cargo(&["fmt", "--all", "--check"]))?;
        steps.step("cargo xtask tidy", tidy::run)?;
        let deny_warnings = ["--", "-D", "warnings"];
        let clippy = ["clippy", "--workspace", "--all-targets", "--all-features"];
        steps.command(cargo(&clippy).args(deny_warnings))?;
        for package in CRATES {
            let clippy = ["clippy", "--package", package, "--no-default-features"];
            steps.command(cargo(&clippy).args(deny_warnings))?;
        }
        let doc = ["doc", "--workspace", "--all-features", "--no-deps"];
        steps.command(cargo(&doc).env("RUSTDOCFLAGS", "-D warnings"))?;
        if !self.skip_tests {
            test::run(&mut steps, None)?;
            fuzz::check(&mut steps, FUZZ_S)?;
        }
        steps.print_summary();
        Ok(())
    }
}
