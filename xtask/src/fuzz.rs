//! `cargo xtask fuzz`: the targets of `fuzz/`, built by cargo-fuzz and run by libFuzzer.
//!
//! It all works with a stable toolchain: without a sanitizer, which our code without `unsafe` has little need of.

mod run;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::step::{Rustc, Steps, cargo, root};
use run::Target;

/// Feeds arbitrary bytes to what reads the sync protocol and tokens, and to the merge, and looks for what goes wrong.
///
/// Inputs that reach something new are kept in `fuzz/corpus`, which is not in the repository, and used the next time;
/// `fuzz/seeds` is. A finding is kept in `fuzz/artifacts` and printed with the command that replays it.
///
/// Installs cargo-fuzz if it is missing. Needs a C++ compiler, which builds libFuzzer.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these targets.
    targets: Vec<String>,
    /// How long each target runs.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,
    /// How many targets run at a time; as many as there are cores, if it is not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Runs one target with this input, and nothing else.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["seconds", "jobs", "renew_seeds"])]
    replay: Option<PathBuf>,
    /// Replaces the seeds by a few inputs that together reach most of what seeds and corpus reach.
    #[arg(long, conflicts_with_all = ["seconds", "jobs"])]
    renew_seeds: bool,
}

/// The version of cargo-fuzz that is installed if there is none.
const CARGO_FUZZ: &str = "0.13.2";
/// Where the targets are built, from the root of the repository; apart from the crates, since they are built otherwise.
const BUILT: &str = "fuzz/target";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut steps = Steps::default();
        let targets = chosen(&self.targets)?;
        build(&mut steps, &targets)?;
        if let Some(input) = &self.replay {
            let [target] = &targets[..] else { bail!("name the one target that has this input") };
            return target.replay(input);
        }
        if self.renew_seeds {
            return targets.iter().try_for_each(Target::renew_seeds);
        }
        run::all(&targets, self.seconds, self.jobs)
    }
}

/// Adds the steps that build all targets, and run each for so many seconds.
pub(crate) fn check(steps: &mut Steps, seconds: u64) -> Result<()> {
    let targets = chosen(&[])?;
    let manifest = ["--manifest-path", "fuzz/Cargo.toml"];
    steps.command(cargo(&["fmt", "--check"]).args(manifest))?;
    // In the folder of the other crates, which have been checked, and with the lock file that cargo-fuzz would just
    // bring up to date.
    let clippy = ["clippy", "--locked", "--all-targets", "--target-dir", "target"];
    steps.command(cargo(&clippy).args(manifest).args(["--", "-D", "warnings"]))?;
    build(steps, &targets)?;
    let name = format!("cargo xtask fuzz --seconds {seconds}");
    steps.step(&name, || run::all(&targets, seconds, None))
}

/// The targets of these names; all of them, if none is given.
fn chosen(names: &[String]) -> Result<Vec<Target>> {
    let dir = root().join("fuzz/fuzz_targets");
    let mut all = Vec::new();
    for file in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = file?.path();
        all.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
    }
    all.sort();
    if let Some(unknown) = names.iter().find(|name| !all.contains(name)) {
        bail!("there is no target {unknown}; there are {}", all.join(", "));
    }
    all.retain(|name| names.is_empty() || names.contains(name));
    let built = root().join(BUILT).join(Rustc::ask()?.host()?).join("release");
    Ok(all.into_iter().map(|name| Target::new(name, &built)).collect())
}

fn build(steps: &mut Steps, targets: &[Target]) -> Result<()> {
    steps.install("fuzz", CARGO_FUZZ)?;
    let mut build = cargo(&["fuzz", "build", "--sanitizer", "none", "--target-dir"]);
    build.arg(root().join(BUILT));
    if let [target] = targets {
        build.arg(target.name());
    }
    steps.command(&mut build)
}
