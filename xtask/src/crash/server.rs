//! The program under test, as a process.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::step::{cargo, root};

/// The app that is served.
const APP: &str = "examples/inventory";
/// The id that it has.
pub(super) const APP_ID: &str = "inventory-abcde";
/// How long an answer may take before nobody waits for it any more.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// `bailiwick serve` on a folder; killed when it is dropped.
pub(super) struct ServerProcess {
    program: PathBuf,
    data: PathBuf,
    log: PathBuf,
    process: Option<Child>,
    address: Option<SocketAddr>,
    base_url: String,
}

/// Builds the program, and says where it is.
pub(crate) fn build() -> Result<PathBuf> {
    let mut cargo = cargo(&["build", "--release", "--package", "bailiwick-server"]);
    // What cargo says belongs to nobody's figures.
    let build = cargo.args(["--bin", "bailiwick"]).arg("--message-format=json-render-diagnostics");
    let output = build.stderr(Stdio::inherit()).output().context("can't run cargo")?;
    ensure!(output.status.success(), "bailiwick can't be built");
    let messages = String::from_utf8(output.stdout)?;
    let program = messages.lines().rev().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        Some(message.get("executable")?.as_str()?.into())
    });
    program.context("cargo has not said where bailiwick is")
}

impl ServerProcess {
    pub(super) fn new(program: &Path, folder: &Path) -> Result<Self> {
        let program = program.canonicalize().with_context(|| program.display().to_string())?;
        Ok(Self {
            program,
            data: folder.join("server"),
            log: folder.join("server.log"),
            process: None,
            address: None,
            base_url: String::new(),
        })
    }

    /// Starts the process, and returns as soon as it has answered a request. Always at the same address.
    pub(super) fn start(&mut self) -> Result<()> {
        self.spawn()?;
        let process = self.process.as_mut().expect("it was just spawned");
        let output = process.stdout.take().context("stdout is piped")?;
        let (said, says) = mpsc::channel();
        // What is written to stdout must be read for as long as the process runs.
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody listens once it has said where it is.
                let _ = said.send(line);
            }
        });
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        let address = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = says.recv_timeout(left).map_err(|error| match error {
                RecvTimeoutError::Timeout => anyhow!("the server does not say where it listens"),
                RecvTimeoutError::Disconnected => anyhow!("the server has ended while it started"),
            })?;
            if let Some(url) = line.trim().strip_prefix("listening on http://") {
                break url.parse().context("where it listens")?;
            }
        };
        self.address = Some(address);
        self.base_url = format!("http://{address}");
        ask(address).context("the server does not answer")
    }

    /// Starts the process, whether it answers or not.
    pub(super) fn spawn(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "the server runs already");
        let log = File::options().create(true).append(true).open(&self.log)?;
        let listen = self.address.map_or("127.0.0.1:0".to_owned(), |address| address.to_string());
        let mut program = self.command("serve");
        program.args(["--log", "warn", "--listen", &listen]);
        let process = program.stdout(Stdio::piped()).stderr(log).spawn();
        self.process = Some(process.context("can't start the server")?);
        Ok(())
    }

    /// Ends the process without a chance to do anything about it.
    pub(super) fn kill(&mut self) -> Result<()> {
        let mut process = self.process.take().context("the server does not run")?;
        if let Some(status) = process.try_wait()? {
            bail!("the server has ended by itself with {status}; see {}", self.log.display());
        }
        process.kill()?;
        process.wait()?;
        Ok(())
    }

    /// Runs the program without anything to do.
    pub(super) fn run_bare(&self) -> Result<()> {
        let output = Command::new(&self.program).arg("--version").output()?;
        ensure!(output.status.success(), "bailiwick --version: {}", output.status);
        Ok(())
    }

    /// What `bailiwick dump` says of a partition.
    pub(super) fn dump(&self, partition: &str) -> Result<Vec<Value>> {
        let partition = Value::from(partition).to_string();
        let output = self.command("dump").args(["--partition", &partition]).output()?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "bailiwick dump: {}: {errors}", output.status);
        let lines = String::from_utf8(output.stdout)?;
        lines.lines().map(|line| Ok(serde_json::from_str(line)?)).collect()
    }

    /// The folder that is served. Only while the process does not run.
    pub(super) fn data(&self) -> Result<&Path> {
        ensure!(self.process.is_none(), "the server still runs");
        Ok(&self.data)
    }

    /// Nothing has gone wrong that only the log tells of.
    pub(super) fn check_log(&self) -> Result<()> {
        let log = fs::read_to_string(&self.log)?;
        let is_bad = |line: &&str| line.contains("ERROR") || line.contains("panicked");
        match log.lines().find(is_bad) {
            Some(line) => bail!("the server says: {line}"),
            None => Ok(()),
        }
    }

    pub(super) fn base_url(&self) -> &str {
        &self.base_url
    }

    fn command(&self, command: &str) -> Command {
        let mut program = Command::new(&self.program);
        program.arg(command).arg("--app").arg(root().join(APP)).arg("--data").arg(&self.data);
        program.stdin(Stdio::null());
        program
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // There is nobody who could be told.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Asks for what every device asks for first.
fn ask(address: SocketAddr) -> Result<()> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(ANSWER_TIMEOUT))?;
    let path = format!("/api/client/v2.0/app/{APP_ID}/location");
    let head = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.lines().next().unwrap_or_default();
    ensure!(status.starts_with("HTTP/1.1 200"), "it answers {status:?}");
    Ok(())
}
