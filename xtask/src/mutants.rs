//! `cargo xtask mutants`: whether the tests of the merge notice when it is changed.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::step::{Steps, cargo, root};

/// Changes `core::merge` in all ways that cargo-mutants knows, one at a time, and fails if the tests of the merge do not
/// notice too many of the changes.
///
/// `.cargo/mutants.toml` says which changes and which tests. Each takes some seconds, and there are about 800: a shard of
/// them is a fair sample. What goes unnoticed is listed, and stays in `target/mutants.out`.
///
/// Installs cargo-mutants if it is missing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only every N-th change, beginning with number K of them, which counts from 0.
    #[arg(long, value_name = "K/N")]
    shard: Option<String>,
    /// The largest share of changes that may go unnoticed, in per cent of those that compile.
    #[arg(long, value_name = "PERCENT", default_value_t = 20.0)]
    ceiling: f64,
}

/// The version of cargo-mutants that is installed if there is none.
const CARGO_MUTANTS: &str = "27.1.0";

/// What the tests need not spend their time on; what goes unnoticed with so few cases may be tried again with more.
const ENVIRONMENT: [(&str, &str); 4] = [
    ("PROPTEST_CASES", "32"),
    ("PROPTEST_MAX_SHRINK_ITERS", "0"),
    ("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "1"),
    ("CARGO_PROFILE_DEV_DEBUG", "0"),
];

/// What came of the changes.
#[derive(Debug, Deserialize)]
struct Outcomes {
    caught: u32,
    missed: u32,
    /// A test does not end, which is noticed as well.
    timeout: u32,
    /// They do not compile.
    unviable: u32,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        Steps::default().install("mutants", CARGO_MUTANTS)?;
        let mut mutants = cargo(&["mutants", "--package", "bailiwick-core", "--output", "target"]);
        // By default neighbours are in one shard.
        mutants.args(["--sharding", "round-robin"]).envs(ENVIRONMENT);
        mutants.args(self.shard.iter().flat_map(|shard| ["--shard", shard]));
        let status = mutants.status().context("can't run cargo")?;
        // 2 and 3: some were missed, or ran into the time limit.
        ensure!(matches!(status.code(), Some(0 | 2 | 3)), "cargo-mutants ended with {status}");
        let outcomes = fs::read(root().join("target/mutants.out/outcomes.json"))?;
        let outcomes: Outcomes = serde_json::from_slice(&outcomes)?;
        let Outcomes { caught, missed, timeout, unviable } = outcomes;
        let share = 100.0 * f64::from(missed) / f64::from((caught + missed + timeout).max(1));
        println!("{missed} unnoticed, which is {share:.1} %; {caught} noticed");
        println!("{timeout} did not end, {unviable} did not compile");
        ensure!(share <= self.ceiling, "more than {} %", self.ceiling);
        Ok(())
    }
}
