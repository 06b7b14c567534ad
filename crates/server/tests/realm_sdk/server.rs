//! The program under test, as a process.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::device::Device;
use crate::dump::Dump;

pub(crate) const APP_ID: &str = "inventory-abcde";

/// Starting and ending may take this long on a busy machine; both normally take far less than a second.
const PATIENCE: Duration = Duration::from_secs(20);

/// `bailiwick serve` with directories of its own; ends with this value.
pub(crate) struct Server {
    process: Option<Child>,
    base_url: String,
    directory: TempDir,
}

impl Server {
    /// Starts the program for an app whose partition key is a string.
    pub(crate) fn start() -> Self {
        Self::start_with_partition_type("string")
    }

    /// Starts the program for an app whose partition key has this type, as `sync/config.json` spells it.
    pub(crate) fn start_with_partition_type(partition_type: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_app(&directory.path().join("app"), partition_type);
        let mut server = Self { process: None, base_url: String::new(), directory };
        server.spawn("127.0.0.1:0");
        server
    }

    /// Starts the program again on the same data and the same port.
    pub(crate) fn restart(&mut self) {
        assert!(self.process.is_none(), "the server still runs");
        let address = self.base_url.trim_start_matches("http://").to_owned();
        self.spawn(&address);
    }

    /// Ends the process the hard way, without a chance to tidy up.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks the process to end, and expects that it does so cleanly.
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().expect("the server runs");
        let asked =
            Command::new("kill").args(["-TERM", &process.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let status = wait_for_exit(&mut process);
        assert!(status.success(), "the server ended with {status} when asked to end");
    }

    /// Keeps a copy of the data, which [`restore`](Self::restore) can go back to. Only while the server does not run.
    pub(crate) fn back_up(&self) {
        self.copy_files("data", "backup");
    }

    /// Replaces the data by the copy. Only while the server does not run.
    pub(crate) fn restore(&self) {
        fs::remove_dir_all(self.directory.path().join("data")).unwrap();
        self.copy_files("backup", "data");
    }

    /// A new device: a process that runs the SDK, logged in as a new anonymous user.
    pub(crate) fn device(&self, name: &'static str) -> Device {
        let device = self.stranger(name);
        device.run("return await logIn()");
        device
    }

    /// A device that nobody has logged in on.
    pub(crate) fn stranger(&self, name: &'static str) -> Device {
        Device::start(name, &self.base_url, self.directory.path())
    }

    /// What the server has materialised of a partition. Only while it does not run.
    pub(crate) fn dump(&self, partition: &str) -> Dump {
        assert!(self.process.is_none(), "the server still runs");
        let output = self.program("dump").args(["--partition", partition]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "bailiwick dump: {}\n{errors}", output.status);
        let lines = String::from_utf8(output.stdout).unwrap();
        Dump::new("the server", lines.lines().map(|line| serde_json::from_str(line).unwrap()))
    }

    /// Where the program answers.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    fn spawn(&mut self, listen: &str) {
        let log = File::options().create(true).append(true).open(self.log()).unwrap();
        let mut process = self
            .program("serve")
            .args(["--listen", listen])
            .stdout(Stdio::piped())
            .stderr(log.try_clone().unwrap())
            .spawn()
            .unwrap();
        let output = process.stdout.take().expect("stdout is piped");
        self.process = Some(process);
        self.base_url = listening_on(output, log);
    }

    fn copy_files(&self, from: &str, to: &str) {
        assert!(self.process.is_none(), "the server still runs");
        let [from, to] = [from, to].map(|name| self.directory.path().join(name));
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }

    fn program(&self, command: &str) -> Command {
        let mut program = Command::new(env!("CARGO_BIN_EXE_bailiwick"));
        program
            .arg(command)
            .arg("--app")
            .arg(self.directory.path().join("app"))
            .arg("--data")
            .arg(self.directory.path().join("data"))
            .stdin(Stdio::null());
        program
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
        if thread::panicking() {
            print_tail("the server", &self.log(), 100);
        }
    }
}

/// Prints the end of a log, for a test that fails.
pub(crate) fn print_tail(whose: &str, log: &Path, line_count: usize) {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    let lines: Vec<_> = text.lines().collect();
    eprintln!("--- the end of the log of {whose}:");
    for line in &lines[lines.len().saturating_sub(line_count)..] {
        eprintln!("{line}");
    }
}

fn write_app(directory: &Path, partition_type: &str) {
    let files = [
        (
            "realm_config.json",
            json!({"config_version": 20_210_101, "app_id": APP_ID, "name": "inventory"}),
        ),
        (
            "sync/config.json",
            json!({
                "type": "partition",
                "state": "enabled",
                "development_mode_enabled": true,
                "service_name": "mongodb-atlas",
                "database_name": "store",
                "partition": {
                    "key": "_partition",
                    "type": partition_type,
                    "required": false,
                    "permissions": {"read": true, "write": true},
                },
            }),
        ),
    ];
    for (name, content) in files {
        let path = directory.join(name);
        fs::create_dir_all(path.parent().expect("the name has a parent")).unwrap();
        fs::write(path, serde_json::to_vec_pretty(&content).unwrap()).unwrap();
    }
}

/// Waits for the line that says where the program answers; the program's output goes on into its log.
fn listening_on(output: impl std::io::Read + Send + 'static, mut log: File) -> String {
    let (announce, announced) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = writeln!(log, "{line}");
            if let Some(address) = line.trim().strip_prefix("listening on ") {
                let _ = announce.send(address.to_owned());
            }
        }
    });
    match announced.recv_timeout(PATIENCE) {
        Ok(base_url) => base_url,
        Err(RecvTimeoutError::Disconnected) => panic!("the server ended while it started"),
        Err(RecvTimeoutError::Timeout) => panic!("the server did not say where it listens"),
    }
}

fn wait_for_exit(process: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = process.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = process.kill();
            panic!("the server did not end within {PATIENCE:?} after SIGTERM");
        }
        thread::sleep(Duration::from_millis(10));
    }
}
