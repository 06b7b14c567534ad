//! `cargo xtask bench`: the benches, and a table of what they gave.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;

use crate::step::{Steps, cargo, root};

/// Runs the benches of all crates, then prints a table of the mean times.
///
/// A machine that does something else at the same time gives times that mean nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only the benches whose names contain this.
    filter: Option<String>,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut cargo = cargo(&["bench", "--workspace", "--all-features"]);
        for bench in benches()? {
            cargo.arg("--bench").arg(bench);
        }
        let start = SystemTime::now();
        Steps::default().command(cargo.arg("--").args(self.filter))?;
        let mut results = Vec::new();
        collect(&target_dir().join("criterion"), start, &mut results)?;
        ensure!(!results.is_empty(), "no bench has that name");
        print!("\n{}", table(&mut results));
        Ok(())
    }
}

/// What criterion measured.
struct Measured {
    name: String,
    mean_ns: f64,
    throughput: Option<Throughput>,
}

/// How much one iteration does, as criterion writes it.
#[derive(Clone, Copy, Deserialize)]
enum Throughput {
    Bytes(f64),
    Elements(f64),
}

/// The names of all benches.
fn benches() -> Result<Vec<String>> {
    let mut names = Vec::new();
    for package in fs::read_dir(root().join("crates"))? {
        let Ok(files) = fs::read_dir(package?.path().join("benches")) else { continue };
        for file in files {
            let path = file?.path();
            if path.extension() == Some(OsStr::new("rs")) {
                names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
            }
        }
    }
    names.sort();
    Ok(names)
}

fn target_dir() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), Into::into)
}

/// Criterion leaves a folder `new` for each bench; it is one of this run if it was written since `start`.
fn collect(dir: &Path, start: SystemTime, results: &mut Vec<Measured>) -> Result<()> {
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.file_name() == Some(OsStr::new("new")) {
            if fs::metadata(path.join("estimates.json"))?.modified()? >= start {
                results.push(measured(&path)?);
            }
        } else if path.is_dir() {
            collect(&path, start, results)?;
        }
    }
    Ok(())
}

fn measured(dir: &Path) -> Result<Measured> {
    #[derive(Deserialize)]
    struct Benchmark {
        full_id: String,
        /// Of no use here if it is in another unit than ours.
        throughput: serde_json::Value,
    }
    #[derive(Deserialize)]
    struct Estimates {
        mean: Estimate,
    }
    #[derive(Deserialize)]
    struct Estimate {
        point_estimate: f64,
    }

    let benchmark: Benchmark = serde_json::from_slice(&fs::read(dir.join("benchmark.json"))?)?;
    let estimates: Estimates = serde_json::from_slice(&fs::read(dir.join("estimates.json"))?)?;
    Ok(Measured {
        name: benchmark.full_id,
        mean_ns: estimates.mean.point_estimate,
        throughput: Throughput::deserialize(benchmark.throughput).ok(),
    })
}

fn table(results: &mut [Measured]) -> String {
    results.sort_by(|a, b| a.name.cmp(&b.name));
    let width = results.iter().map(|it| it.name.len()).max().unwrap_or_default();
    let mut table = String::new();
    for Measured { name, mean_ns, throughput } in results {
        let time = time(*mean_ns);
        let per_second = throughput.map(|it| per_second(it, *mean_ns)).unwrap_or_default();
        let line = format!("{name:<width$}  {time:>10}  {per_second}");
        writeln!(table, "{}", line.trim_end()).expect("a string takes all text");
    }
    table
}

fn time(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 1e9 => format!("{:.2} ms", ns / 1e6),
        ns => format!("{:.2} s", ns / 1e9),
    }
}

fn per_second(throughput: Throughput, ns: f64) -> String {
    match throughput {
        Throughput::Bytes(bytes) => format!("{:.0} MB/s", bytes / ns * 1e3),
        Throughput::Elements(elements) => format!("{:.0} /s", elements / ns * 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_time_and_throughput() {
        let result = |name: &str, mean_ns, throughput| Measured {
            name: name.to_owned(),
            mean_ns,
            throughput,
        };
        let mut results = [
            result("merge/list", 48e6, None),
            result("decode", 1500.0, Some(Throughput::Bytes(3000.0))),
            result("commit", 2e9, Some(Throughput::Elements(1000.0))),
        ];
        let expected = "commit          2.00 s  500 /s\ndecode          1.5 µs  2000 MB/s\nmerge/list    48.00 ms\n";
        assert_eq!(table(&mut results), expected);
    }
}
