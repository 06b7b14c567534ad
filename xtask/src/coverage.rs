//! `cargo xtask coverage`: which lines of `protocol` and `core` their tests reach.
//!
//! Tests are no lines to be reached: what stands below `#[cfg(test)]` is left out, and so are files of tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail, ensure};

use crate::step::{Rustc, Steps, cargo, root};

/// Measures which lines of `protocol` and `core` are reached by their own tests and by the vectors, and fails if it is
/// less than a floor.
///
/// Installs cargo-llvm-cov if it is missing. Needs the LLVM tools of the compiler's version: `rustup component add
/// llvm-tools`, or a package like Debian's `llvm-22`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The least share of each crate's lines, in per cent.
    #[arg(long, value_name = "PERCENT", default_value_t = 90.0)]
    floor: f64,
    /// Lists the lines that are not reached, too.
    #[arg(long)]
    lines: bool,
}

/// The crates that are measured.
const CRATES: [&str; 2] = ["protocol", "core"];
/// The version of cargo-llvm-cov that is installed if there is none.
const CARGO_LLVM_COV: &str = "0.9.1";

/// What one file has: the numbers of its lines, and whether they were reached.
type Lines = BTreeMap<usize, bool>;

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        steps.install("llvm-cov", CARGO_LLVM_COV)?;
        let tools = tools()?;
        let mut run = |arguments: &[&str]| {
            let mut command = cargo(&["llvm-cov"]);
            steps.command(
                command.args(arguments).envs(tools.iter().map(|(name, tool)| (name, tool))),
            )
        };
        run(&["clean", "--workspace"])?;
        let packages = ["--package", "bailiwick-protocol", "--package", "bailiwick-core"];
        run(&[&["--no-report", "--all-features"], &packages[..]].concat())?;
        run(&["--no-report", "--package", "xtask", "--test", "vectors"])?;
        run(&["report", "--lcov", "--output-path", "target/coverage.lcov"])?;
        let lcov = fs::read_to_string(root().join("target/coverage.lcov"))?;
        self.report(&files(&lcov)?)
    }

    fn report(&self, files: &BTreeMap<String, Lines>) -> Result<()> {
        let mut below = Vec::new();
        for name in CRATES {
            let folder = format!("crates/{name}/src/");
            let files = || files.iter().filter(|(path, _)| path.starts_with(&folder));
            println!("\n{name}");
            for (path, lines) in files() {
                println!("  {}  {}", share(lines.values()), path.trim_start_matches(&folder));
                if self.lines {
                    for number in lines.iter().filter(|(_, hit)| !**hit).map(|(number, _)| number) {
                        println!("           {path}:{number}");
                    }
                }
            }
            let all: Vec<bool> = files().flat_map(|(_, lines)| lines.values().copied()).collect();
            println!("  {}  in all", share(&all));
            if percent(&all) < self.floor {
                below.push(name);
            }
        }
        ensure!(below.is_empty(), "below {} %: {}", self.floor, below.join(", "));
        Ok(())
    }
}

/// What tells cargo-llvm-cov where the tools are, if it has to be told: they must know what the compiler writes.
fn tools() -> Result<Vec<(&'static str, String)>> {
    if std::env::var_os("LLVM_COV").is_some() {
        return Ok(Vec::new());
    }
    let rustc = Rustc::ask()?;
    let major = rustc.field("LLVM version")?.split('.').next().unwrap_or_default();
    let bundled = Rustc::sysroot()?.join(format!("lib/rustlib/{}/bin/llvm-cov", rustc.host()?));
    if bundled.exists() {
        return Ok(Vec::new());
    }
    let tools = [("LLVM_COV", "llvm-cov"), ("LLVM_PROFDATA", "llvm-profdata")];
    let tools = tools.map(|(name, tool)| (name, format!("{tool}-{major}")));
    for (_, tool) in &tools {
        let output = Command::new(tool).arg("--version").stdout(Stdio::null()).status();
        if output.is_err() {
            bail!("{tool} is missing: rustup component add llvm-tools, or install llvm-{major}");
        }
    }
    Ok(tools.into())
}

/// The lines of each file that are no tests, by the path from the root of the repository.
fn files(lcov: &str) -> Result<BTreeMap<String, Lines>> {
    let mut files = BTreeMap::new();
    for record in lcov.split("end_of_record") {
        let Some(path) = record.lines().find_map(|line| line.strip_prefix("SF:")) else { continue };
        let Ok(name) = Path::new(path).strip_prefix(root()) else { continue };
        let name = name.to_string_lossy().replace('\\', "/");
        if name.ends_with("/tests.rs") || name.contains("/tests/") {
            continue;
        }
        let source = fs::read_to_string(path).with_context(|| path.to_owned())?;
        files.insert(name, lines(record, first_test(&source)));
    }
    Ok(files)
}

/// The lines of one file up to its tests.
fn lines(record: &str, end: usize) -> Lines {
    let data = record.lines().filter_map(|line| line.strip_prefix("DA:"));
    let lines = data.filter_map(|data| {
        let (number, count) = data.split_once(',')?;
        Some((number.parse().ok()?, count.split(',').next()? != "0"))
    });
    lines.filter(|(number, _)| *number < end).collect()
}

/// The number of the line where the tests of a file begin, which stand last.
fn first_test(source: &str) -> usize {
    let mut lines = source.lines().zip(source.lines().skip(1));
    let found = lines.position(|(line, next)| line == "#[cfg(test)]" && next == "mod tests {");
    found.map_or(usize::MAX, |index| index + 1)
}

fn share<'a>(lines: impl IntoIterator<Item = &'a bool>) -> String {
    let lines: Vec<bool> = lines.into_iter().copied().collect();
    let hit = lines.iter().filter(|hit| **hit).count();
    format!("{:6.1} % {hit:>5} of {:>5}", percent(&lines), lines.len())
}

#[expect(clippy::cast_precision_loss, reason = "a number of lines")]
fn percent(lines: &[bool]) -> f64 {
    let hit = lines.iter().filter(|hit| **hit).count();
    if lines.is_empty() { 100.0 } else { 100.0 * hit as f64 / lines.len() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_tests_are_left_out() {
        let source = "fn a() {}\n\n#[cfg(test)]\nmod tests {\n}\n";
        assert_eq!(first_test(source), 3);
        assert_eq!(first_test("#[cfg(test)]\nmod tests;\n"), usize::MAX);
        let record = "SF:x\nDA:1,7\nDA:2,0\nDA:3,1\nDA:4,1,x\n";
        let lines = lines(record, first_test(source));
        assert_eq!(lines, BTreeMap::from([(1, true), (2, false)]));
        assert_eq!(share(lines.values()).trim(), "50.0 %     1 of     2");
    }
}
