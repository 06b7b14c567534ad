//! One target: its files, and what libFuzzer says while it runs.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use anyhow::{Context as _, Result, bail, ensure};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::step::root;

/// A target that has been built.
#[derive(Debug)]
pub(super) struct Target {
    name: String,
    program: PathBuf,
}

/// What a run came to.
#[derive(Debug, Default, PartialEq)]
struct Report {
    executions: u64,
    per_second: u64,
    /// Edges of the program that were reached.
    coverage: u64,
    /// Edges with how often they were passed, and the like.
    features: u64,
    /// Inputs that are kept.
    corpus: u64,
    peak_mb: u64,
    /// Where the input is that went wrong.
    finding: Option<String>,
}

/// A step with an input of a few kilobytes takes milliseconds; the machine may be busy.
const TIMEOUT_S: u64 = 20;
/// Far more than a target needs, and far less than a machine has.
const MEMORY_MB: u64 = 1024;

/// How many seeds a target has at most.
const MAX_SEEDS: usize = 64;
/// The longest seed, in bytes.
const MAX_SEED_LEN: usize = 600;

/// Runs targets, some at a time, and prints what came of each.
pub(super) fn all(targets: &[Target], seconds: u64, jobs: Option<usize>) -> Result<()> {
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    let progress = MultiProgress::new();
    let next = Mutex::new(targets.iter());
    let work = || -> Result<usize> {
        let mut findings = 0;
        loop {
            let target = next.lock().expect("nobody panics with it").next();
            let Some(target) = target else { return Ok(findings) };
            let bar = progress.add(bar(seconds));
            let report = target.run(seconds, &bar)?;
            bar.finish_and_clear();
            progress.suspend(|| println!("{}", target.describe(&report)));
            findings += usize::from(report.finding.is_some());
        }
    };
    let findings = thread::scope(|scope| -> Result<usize> {
        let workers: Vec<_> = (0..jobs.max(1)).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker does not panic")).sum()
    })?;
    ensure!(findings == 0, "{findings} of {} targets found something", targets.len());
    Ok(())
}

fn bar(seconds: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:16} [{bar:30}] {elapsed} {msg}");
    ProgressBar::new(seconds).with_style(style.expect("the template is a constant"))
}

impl Target {
    /// The target of this name, in the folder where targets are built.
    pub(super) fn new(name: String, built: &Path) -> Self {
        let program = built.join(&name);
        Self { name, program }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs with one input, with the output that there is.
    pub(super) fn replay(&self, input: &Path) -> Result<()> {
        let status = Command::new(&self.program).arg(input).status()?;
        ensure!(status.success(), "{} goes wrong with this input: {status}", self.name);
        Ok(())
    }

    /// Replaces the seeds by a few inputs that together reach most of what seeds and corpus reach.
    pub(super) fn renew_seeds(&self) -> Result<()> {
        let [corpus, seeds] = self.folders()?;
        let renewed = self.folder("seeds.new")?;
        let mut merge = Command::new(&self.program);
        merge.args(["-set_cover_merge=1", "-use_counters=0"]);
        merge.arg(format!("-max_len={MAX_SEED_LEN}")).args([&renewed, &seeds, &corpus]);
        ensure!(merge.stderr(Stdio::null()).status()?.success(), "libFuzzer could not merge");
        let mut found = Vec::new();
        for file in fs::read_dir(&renewed)? {
            let file = file?;
            found.push((file.metadata()?.len(), file.path()));
        }
        found.sort();
        fs::remove_dir_all(&seeds)?;
        fs::create_dir_all(&seeds)?;
        let count = found.len().min(MAX_SEEDS);
        // Short ones and long ones.
        for (_, path) in (0..count).map(|i| &found[i * found.len() / count]) {
            fs::copy(path, seeds.join(path.file_name().expect("it is a file")))?;
        }
        fs::remove_dir_all(&renewed)?;
        println!("{:16} {count} seeds", self.name);
        Ok(())
    }

    fn run(&self, seconds: u64, bar: &ProgressBar) -> Result<Report> {
        bar.set_prefix(self.name.clone());
        let [corpus, seeds] = self.folders()?;
        let artifacts = self.folder("artifacts")?;
        let mut command = Command::new(&self.program);
        command.arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-timeout={TIMEOUT_S}")).arg(format!("-rss_limit_mb={MEMORY_MB}"));
        // What is reported as slow is kept like a finding.
        command.arg(format!("-report_slow_units={TIMEOUT_S}"));
        command.arg(format!("-artifact_prefix={}/", artifacts.display()));
        command.args(["-print_final_stats=1", "-reload=0"]);
        let dictionary = root().join("fuzz/dictionaries").join(&self.name);
        if dictionary.exists() {
            command.arg(format!("-dict={}", dictionary.display()));
        }
        command.args([corpus, seeds]).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child =
            command.spawn().with_context(|| format!("can't run {}", self.program.display()))?;

        let log_path = artifacts.join("log");
        let mut log = File::create(&log_path)?;
        let mut report = Report::default();
        let stderr = child.stderr.take().expect("it is piped");
        for line in BufReader::new(stderr).split(b'\n') {
            let line = line?;
            log.write_all(&line)?;
            log.write_all(b"\n")?;
            report.read(&String::from_utf8_lossy(&line));
            bar.set_position(bar.elapsed().as_secs().min(seconds));
            bar.set_message(format!("{} executions", report.executions));
        }
        let status = child.wait()?;
        if !status.success() && report.finding.is_none() {
            bail!("{} ended with {status}; see {}", self.name, log_path.display());
        }
        Ok(report)
    }

    fn describe(&self, report: &Report) -> String {
        let Report { executions, per_second, coverage, features, corpus, peak_mb, .. } = report;
        let text = format!(
            "{:16} {executions:>10} executions {per_second:>7}/s {coverage:>6} edges \
             {features:>7} features {corpus:>5} inputs {peak_mb:>4} MB",
            self.name
        );
        let Some(path) = &report.finding else { return text };
        let root = format!("{}/", root().display());
        let path = path.strip_prefix(&root).unwrap_or(path);
        format!(
            "{text}\n  a finding: see fuzz/artifacts/{0}/log\n  replay it: cargo xtask fuzz {0} --replay {path}",
            self.name
        )
    }

    /// What was found before, and what is in the repository.
    fn folders(&self) -> Result<[PathBuf; 2]> {
        Ok([self.folder("corpus")?, self.folder("seeds")?])
    }

    fn folder(&self, kind: &str) -> Result<PathBuf> {
        let path = root().join("fuzz").join(kind).join(&self.name);
        fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
        Ok(path)
    }
}

impl Report {
    /// Takes what one line of libFuzzer says.
    fn read(&mut self, line: &str) {
        if let Some(rest) = line.strip_prefix('#') {
            let mut words = rest.split_whitespace();
            self.executions =
                words.next().and_then(|it| it.parse().ok()).unwrap_or(self.executions);
            let words: Vec<_> = words.collect();
            for pair in words.windows(2) {
                let value = pair[1].split('/').next().and_then(|it| it.parse().ok());
                let Some(value) = value else { continue };
                match pair[0] {
                    "cov:" => self.coverage = value,
                    "ft:" => self.features = value,
                    "corp:" => self.corpus = value,
                    "exec/s:" => self.per_second = value,
                    _ => (),
                }
            }
        } else if let Some(rest) = line.strip_prefix("stat::") {
            let Some((name, value)) = rest.split_once(':') else { return };
            let Ok(value) = value.trim().parse() else { return };
            match name {
                "number_of_executed_units" => self.executions = value,
                "average_exec_per_sec" => self.per_second = value,
                "peak_rss_mb" => self.peak_mb = value,
                _ => (),
            }
        } else if let Some((_, path)) = line.split_once("Test unit written to ") {
            self.finding = Some(path.to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_what_libfuzzer_says_last() {
        let mut report = Report::default();
        for line in [
            "INFO: Running with entropic power schedule (0xFF, 100).",
            "#2\tINITED cov: 10 ft: 11 corp: 1/1b exec/s: 0 rss: 30Mb",
            "#40\tNEW    cov: 12 ft: 20 corp: 5/100b lim: 4 exec/s: 20 rss: 31Mb L: 2/2 MS: 1 x",
            "stat::number_of_executed_units: 90",
            "stat::average_exec_per_sec:     45",
            "stat::peak_rss_mb:              33",
        ] {
            report.read(line);
        }
        let expected = Report {
            executions: 90,
            per_second: 45,
            coverage: 12,
            features: 20,
            corpus: 5,
            peak_mb: 33,
            finding: None,
        };
        assert_eq!(report, expected);
        report.read("artifact_prefix='./'; Test unit written to ./crash-1234");
        assert_eq!(report.finding.as_deref(), Some("./crash-1234"));
    }
}
