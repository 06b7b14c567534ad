//! The steps of a command that runs other programs: each is announced, timed and listed at the end.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the repository")
}

/// The cargo that runs us.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(root());
    command
}

/// Runs the same command in a release build, and says how it ended; `None` if this is one already.
///
/// For commands that would take many times as long without optimisation.
pub(crate) fn in_release() -> Result<Option<ExitCode>> {
    if !cfg!(debug_assertions) {
        return Ok(None);
    }
    let mut release = cargo(&["run", "--release", "--package", "xtask"]);
    release.arg("--manifest-path").arg(root().join("Cargo.toml"));
    release.arg("--").args(std::env::args_os().skip(1));
    // Paths among the arguments are relative to where we are.
    release.current_dir(std::env::current_dir()?);
    let status = release.status().context("can't run cargo")?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(Some(code.map_or(ExitCode::FAILURE, ExitCode::from)))
}

/// What the compiler says of itself.
pub(crate) struct Rustc(String);

impl Rustc {
    pub(crate) fn ask() -> Result<Self> {
        rustc(&["-vV"]).map(Self)
    }

    /// The triple of this machine.
    pub(crate) fn host(&self) -> Result<&str> {
        self.field("host")
    }

    pub(crate) fn field(&self, name: &str) -> Result<&str> {
        let fields = self.0.lines().filter_map(|line| line.split_once(": "));
        let mut values = fields.filter(|(field, _)| *field == name).map(|(_, value)| value);
        values.next().with_context(|| format!("rustc -vV has no {name}"))
    }

    /// The folder that it is installed in.
    pub(crate) fn sysroot() -> Result<PathBuf> {
        Ok(rustc(&["--print", "sysroot"])?.trim().into())
    }
}

fn rustc(arguments: &[&str]) -> Result<String> {
    let output = Command::new("rustc").args(arguments).output().context("can't run rustc")?;
    Ok(String::from_utf8(output.stdout)?)
}

/// The steps that are done, in order.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(String, Duration)>,
}

impl Steps {
    /// Installs a subcommand of cargo in this version, if there is none.
    pub(crate) fn install(&mut self, subcommand: &str, version: &str) -> Result<()> {
        let is_there = || {
            let mut command = cargo(&[subcommand, "--version"]);
            let command = command.stdout(Stdio::null()).stderr(Stdio::null());
            command.status().is_ok_and(|status| status.success())
        };
        if is_there() {
            return Ok(());
        }
        let name = format!("cargo-{subcommand}");
        self.command(&mut cargo(&["install", &name, "--locked", "--version", version]))?;
        ensure!(is_there(), "{name} is installed, but cargo does not find it");
        Ok(())
    }

    /// Runs a program to its end; its output is the step's. The name is the command line.
    pub(crate) fn command(&mut self, command: &mut Command) -> Result<()> {
        self.step(&name(command), || ended(command.status().with_context(|| cannot_run(command))?))
    }

    /// The same, and shows each line that the program prints to `hear`.
    pub(crate) fn heard_command(
        &mut self,
        command: &mut Command,
        mut hear: impl FnMut(&str),
    ) -> Result<()> {
        self.step(&name(command), || {
            let child = command.stdout(Stdio::piped()).spawn();
            let mut child = child.with_context(|| cannot_run(command))?;
            let output = child.stdout.take().expect("it is piped");
            for line in BufReader::new(output).split(b'\n') {
                let line = line?;
                let line = String::from_utf8_lossy(&line);
                println!("{line}");
                hear(&line);
            }
            ended(child.wait()?)
        })
    }

    /// Does one step. The error names it.
    pub(crate) fn step(&mut self, name: &str, step: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n==> {name}");
        let start = Instant::now();
        step().with_context(|| format!("failed: {name}"))?;
        self.done.push((name.to_owned(), start.elapsed()));
        Ok(())
    }

    /// Lists the steps with their durations.
    pub(crate) fn print_summary(&self) {
        println!();
        for (name, duration) in &self.done {
            println!("{:>8.1} s  {name}", duration.as_secs_f64());
        }
        let total: Duration = self.done.iter().map(|(_, duration)| duration).sum();
        println!("{:>8.1} s  in all; everything passed", total.as_secs_f64());
    }
}

fn name(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_stem().unwrap_or_default();
    let mut name = program.to_string_lossy().into_owned();
    for argument in command.get_args() {
        name.push(' ');
        name.push_str(&argument.to_string_lossy());
    }
    name
}

fn cannot_run(command: &Command) -> String {
    format!("can't run {}", command.get_program().to_string_lossy())
}

fn ended(status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { bail!("it ended with {status}") }
}
