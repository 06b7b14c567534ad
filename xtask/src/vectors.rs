//! `cargo xtask vectors SUITE FILE...`: checks files in the format of the shared test vectors.
//!
//! A file holds JSON lines, as they are or compressed with gzip. In most suites each line is a case of its own; a
//! suite says in `Suite::checker` how its lines are checked. A suite is a module below this one with one function
//! that returns `Err` when Bailiwick does not do what the case states; the framework finds the files, names the
//! cases, uses all cores, and counts. A panic fails its case and no other.

mod apply;
mod changeset;
mod file;
mod history;
mod integer;
mod merge;
mod wire;

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use serde_json::Value;

/// Checks files of test vectors.
///
/// Prints `SUITE FILE: N passed, M failed` for each file, then the first failures with their reasons. Ends with 0
/// if every case of every file passed, with 1 if any failed (a file without cases counts as a failure), with 2 if a
/// file can't be read or the suite does not exist yet.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask vectors changesets vectors/changesets/basic.jsonl vectors/changesets/random.jsonl.gz
  cargo xtask vectors merge --base vectors/merge/pairs-base.json my-pairs.jsonl")]
pub struct Args {
    /// What the files are about.
    suite: Suite,
    /// JSON lines, or JSON lines compressed with gzip.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The common base state of the cases in a file of `merge` pairs [default: pairs-base.json beside the file].
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// How many failures of each file to explain.
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    explain: usize,
}

/// What a file of vectors is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Suite {
    /// Changesets that decode to the stated instructions and encode to the stated bytes.
    Changesets,
    /// Changesets that must be refused, with a byte offset.
    Invalid,
    /// Changesets that a strict server refuses although the reference accepts them.
    Lenient,
    /// The integer code alone.
    Integers,
    /// Transcripts of sync connections.
    Wire,
    /// Pairs of concurrent histories and their merged forms.
    Merge,
    /// Changesets and the state that they lead to.
    Apply,
    /// Runs of a server's history: allocation, uploads, downloads.
    History,
    /// Permission expressions and roles; not yet.
    Rules,
    /// App functions; not yet.
    Functions,
    /// Queries and updates over documents; not yet.
    Collections,
    /// Partition keys and values of whole apps; not yet.
    Partitioning,
}

/// How the lines of a file are checked.
enum Checker {
    /// Each line is a case of its own.
    Line(fn(&Value, &Context) -> Result<()>),
    /// A line means something only together with the lines before it. One outcome a line.
    File(fn(&[Value], &Context) -> Vec<Result<()>>),
}

/// What the cases of one file have in common.
#[derive(Debug, Default)]
pub struct Context {
    /// The base state of a file of `merge` pairs: changesets to apply, in order, to an empty realm.
    pub(crate) base: Option<Vec<Vec<u8>>>,
}

/// What checking one file gave.
#[derive(Debug)]
pub struct Report {
    /// How many cases passed.
    pub passed: usize,
    /// The others, in the order of the file.
    pub failures: Vec<Failure>,
}

/// A case that failed.
#[derive(Debug)]
pub struct Failure {
    /// The line, counted from one, and the name if the case has one.
    pub case: String,
    /// What was wrong.
    pub reason: String,
}

impl Args {
    pub(crate) fn run(self) -> ExitCode {
        let mut code = 0;
        for file in &self.files {
            match check_file(self.suite, file, self.base.as_deref()) {
                Ok(report) => {
                    println!("{} {}: {report}", self.suite, file.display());
                    report.explain(self.explain);
                    code = code.max(u8::from(!report.failures.is_empty()));
                }
                Err(error) => {
                    eprintln!("error: {error:#}");
                    code = 2;
                }
            }
        }
        ExitCode::from(code)
    }
}

/// Checks one file. `base` is used by [`Suite::Merge`] alone, as the option `--base` of the command.
///
/// # Errors
///
/// The file, or its base, can't be read, or the suite does not exist yet.
pub fn check_file(suite: Suite, path: &Path, base: Option<&Path>) -> Result<Report> {
    let checker = suite.checker().ok_or_else(|| anyhow!("there is no suite `{suite}` yet"))?;
    let base = if suite == Suite::Merge { file::base(path, base)? } else { None };
    Ok(checker.report(&file::lines(path)?, &Context { base }))
}

impl Suite {
    /// How its files are checked; `None` as long as it does not exist.
    fn checker(self) -> Option<Checker> {
        Some(match self {
            Self::Changesets => Checker::Line(changeset::valid),
            Self::Invalid => Checker::Line(changeset::invalid),
            Self::Lenient => Checker::Line(changeset::lenient),
            Self::Integers => Checker::Line(integer::check),
            Self::Merge => Checker::Line(merge::check),
            Self::Wire => Checker::File(wire::check),
            Self::Apply => Checker::Line(apply::check),
            Self::History => Checker::Line(history::check),
            Self::Rules | Self::Functions | Self::Collections | Self::Partitioning => return None,
        })
    }
}

impl Checker {
    fn report(&self, lines: &[Vec<u8>], context: &Context) -> Report {
        if lines.is_empty() {
            let reason = "it has no cases".to_owned();
            return Report {
                passed: 0,
                failures: vec![Failure { case: "the file".to_owned(), reason }],
            };
        }
        let cases: Vec<_> =
            in_parallel(lines, |line| serde_json::from_slice::<Value>(line).map_err(Into::into));
        let outcomes = match self {
            Self::Line(check) => in_parallel(&cases, |case| match case {
                Ok(case) => unless_it_panics(|| check(case, context)),
                Err(error) => Err(unparsable(error)),
            }),
            Self::File(check) => whole_file(&cases, |values| check(values, context)),
        };
        Report::new(&cases, outcomes)
    }
}

fn whole_file(
    cases: &[Result<Value>],
    check: impl FnOnce(&[Value]) -> Vec<Result<()>>,
) -> Vec<Result<()>> {
    if let Some((i, Err(error))) = cases.iter().enumerate().find(|(_, case)| case.is_err()) {
        return vec![Err(unparsable(error).context(format!("line {}", i + 1)))];
    }
    let values: Vec<_> = cases.iter().flatten().cloned().collect();
    catch_unwind(AssertUnwindSafe(|| check(&values)))
        .unwrap_or_else(|panic| vec![Err(panicked(&*panic))])
}

fn unparsable(error: &anyhow::Error) -> anyhow::Error {
    anyhow!("not a line of JSON: {error}")
}

fn unless_it_panics(check: impl FnOnce() -> Result<()>) -> Result<()> {
    catch_unwind(AssertUnwindSafe(check)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> anyhow::Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    anyhow!("it panicked: {}", text.unwrap_or("(no text)"))
}

/// Maps each item, on all cores; the results are in the order of the items.
fn in_parallel<T: Sync, R: Send>(items: &[T], map: impl Fn(&T) -> R + Sync) -> Vec<R> {
    // Neighbours cost about the same, so each core takes several pieces from all over the file.
    const PIECES_PER_CORE: usize = 8;
    let cores = thread::available_parallelism().map_or(1, Into::into);
    let pieces: Vec<_> =
        items.chunks(items.len().div_ceil(cores * PIECES_PER_CORE).max(1)).collect();
    let mut results: Vec<(usize, Vec<R>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| {
                let (pieces, map) = (&pieces, &map);
                scope.spawn(move || {
                    let mine = pieces.iter().enumerate().skip(core).step_by(cores);
                    mine.map(|(i, piece)| (i, piece.iter().map(map).collect())).collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().expect("checks catch their panics"))
            .collect()
    });
    results.sort_by_key(|(i, _)| *i);
    results.into_iter().flat_map(|(_, results)| results).collect()
}

impl Report {
    fn new(cases: &[Result<Value>], outcomes: Vec<Result<()>>) -> Self {
        let mut report = Self { passed: 0, failures: Vec::new() };
        for (i, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(()) => report.passed += 1,
                Err(error) => report.failures.push(Failure {
                    case: case_name(i, cases.get(i).and_then(|case| case.as_ref().ok())),
                    reason: format!("{error:#}"),
                }),
            }
        }
        report
    }

    fn explain(&self, count: usize) {
        for failure in self.failures.iter().take(count) {
            println!("  {failure}");
        }
        if let Some(more) = self.failures.len().checked_sub(count).filter(|&more| more > 0) {
            println!("  and {more} more");
        }
    }
}

fn case_name(index: usize, case: Option<&Value>) -> String {
    match case.and_then(|case| case.get("name")).and_then(Value::as_str) {
        Some(name) => format!("line {}, {name}", index + 1),
        None => format!("line {}", index + 1),
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().expect("no suite is hidden").get_name())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failures.len())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A whole changeset may be in the reason; the first part tells enough to find the case.
        const LONGEST: usize = 1000;
        match self.reason.char_indices().nth(LONGEST) {
            Some((end, _)) => write!(f, "{}: {} [...]", self.case, &self.reason[..end]),
            None => write!(f, "{}: {}", self.case, self.reason),
        }
    }
}
