//! `cargo xtask test`: every test that there is.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::step::{Steps, cargo, root};

/// Runs every test: unit, vectors, property, doc tests, some simulated worlds, some kills of a real server and its
/// devices, and the real Realm SDK against a real server.
///
/// More worlds and more kills are `cargo xtask sim` and `cargo xtask crash`.
///
/// The SDK runs in Node.js, which is the one thing that this needs besides Rust; the SDK itself is installed with
/// `npm ci` at the first run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the tests whose names contain this.
    filter: Option<String>,
}

/// Where the real SDK is installed.
const SDK_DIR: &str = "crates/server/tests/realm_sdk";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        run(&mut steps, self.filter.as_deref())?;
        steps.print_summary();
        Ok(())
    }
}

/// Adds the steps that run every test, or those whose names contain `filter`.
pub(crate) fn run(steps: &mut Steps, filter: Option<&str>) -> Result<()> {
    let sdk = root().join(SDK_DIR);
    need_node(&sdk)?;
    install_sdk(steps, &sdk)?;
    let tests = ["test", "--workspace", "--all-features", "--no-fail-fast"];
    let mut failures = Failures::default();
    let result = steps.heard_command(cargo(&tests).args(filter), |line| failures.hear(line));
    if !failures.text.is_empty() {
        // Thousands of lines may have followed.
        println!("\n==> what failed\n{}", failures.text);
    }
    result
}

/// What failed tests have to say, out of all that `cargo test` prints.
#[derive(Debug, Default)]
struct Failures {
    text: String,
    is_inside: bool,
}

impl Failures {
    fn hear(&mut self, line: &str) {
        match line {
            // The second one begins a list of names, which are there already.
            "failures:" => self.is_inside = !self.is_inside,
            line if self.is_inside => {
                self.text.push_str(line);
                self.text.push('\n');
            }
            _ => (),
        }
    }
}

/// Node.js is there, and new enough for what the SDK's scripts use.
fn need_node(sdk: &Path) -> Result<()> {
    let package =
        fs::read(sdk.join("package.json")).context("the tests of the SDK are not there")?;
    let package: serde_json::Value = serde_json::from_slice(&package).context("package.json")?;
    let oldest = package["engines"]["node"].as_str().and_then(|it| it.strip_prefix(">="));
    let oldest: u32 = oldest.and_then(|it| it.parse().ok()).context("package.json: engines")?;

    let need = || {
        format!(
            "Node.js {oldest} or later is needed (https://nodejs.org): the Realm SDK runs in it"
        )
    };
    let output = Command::new("node").arg("--version").output().with_context(need)?;
    let version = String::from_utf8_lossy(&output.stdout);
    match major(&version) {
        Some(major) if major >= oldest => Ok(()),
        _ => bail!("{}; found {}", need(), version.trim()),
    }
}

/// The first number of `v20.11.1`.
fn major(version: &str) -> Option<u32> {
    version.trim().strip_prefix('v')?.split('.').next()?.parse().ok()
}

fn install_sdk(steps: &mut Steps, dir: &Path) -> Result<()> {
    if is_fresh(dir) {
        return Ok(());
    }
    let npm = if cfg!(windows) { "npm.cmd" } else { "npm" };
    steps.command(Command::new(npm).args(["ci"]).current_dir(dir))
}

/// Whether what is installed is not older than what should be; npm writes its list of packages last.
fn is_fresh(dir: &Path) -> bool {
    let changed = |path: &str| fs::metadata(dir.join(path)).and_then(|it| it.modified()).ok();
    match (changed("package-lock.json"), changed("node_modules/.package-lock.json")) {
        (Some(wanted), Some(installed)) => installed >= wanted,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_the_first_number() {
        assert_eq!(major("v18.0.0\n"), Some(18));
        assert_eq!(major("v9.1.0"), Some(9));
        assert_eq!(major("20.1"), None);
        assert_eq!(major(""), None);
    }

    #[test]
    fn failures_of_all_programs_are_told_again() {
        let output = "running 2 tests\ntest a ... FAILED\ntest b ... ok\n\nfailures:\n\n---- a stdout ----\nwhy\n\n\n\
                      failures:\n    a\n\ntest result: FAILED.\ntest c ... FAILED\n\nfailures:\n\n---- c stdout ----\n\
                      how\n\nfailures:\n    c\n\ntest result: FAILED.\n";
        let mut failures = Failures::default();
        output.lines().for_each(|line| failures.hear(line));
        assert_eq!(failures.text, "\n---- a stdout ----\nwhy\n\n\n\n---- c stdout ----\nhow\n\n");
    }
}
