//! A device: a Node.js process that runs the Realm SDK.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Value, json};

use crate::dump::Dump;
use crate::server::{APP_ID, print_tail};

/// The longest that a device may take for one command. Only what is broken takes that long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A device process; ends with this value.
///
/// Every error that the SDK hands to the application fails the test, unless
/// [`expect_sync_error`](Self::expect_sync_error) or [`wait_for_event`](Self::wait_for_event) asks for it.
pub(crate) struct Device {
    name: &'static str,
    process: Child,
    log: PathBuf,
    talk: RefCell<Talk>,
}

struct Talk {
    commands: ChildStdin,
    lines: Receiver<Value>,
    events: VecDeque<Value>,
    answers: BTreeMap<u64, Value>,
    next_id: u64,
}

/// A command that the device is busy with.
#[must_use = "a command that is not waited for may have failed"]
pub(crate) struct Pending<'a> {
    device: &'a Device,
    id: u64,
    what: String,
}

impl Device {
    /// Starts a device; its log goes into `directory`.
    pub(crate) fn start(name: &'static str, base_url: &str, directory: &Path) -> Self {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/realm_sdk");
        assert!(
            home.join("node_modules/realm").is_dir(),
            "the Realm SDK is not installed: run `npm ci` in {} (`cargo xtask test` does it)",
            home.display()
        );
        let log = directory.join(format!("{name}.log"));
        let spawned = Command::new("node")
            .arg(home.join("device.mjs"))
            .args([base_url, APP_ID])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).unwrap())
            .spawn();
        let mut process = spawned.unwrap_or_else(|error| {
            panic!("cannot start `node`, which these tests need (version 20 or later): {error}")
        });
        let output = process.stdout.take().expect("stdout is piped");
        let (forward, lines) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line)
                    .unwrap_or_else(|_| json!({"event": "crash", "message": line}));
                if forward.send(line).is_err() {
                    break;
                }
            }
        });
        let talk = Talk {
            commands: process.stdin.take().expect("stdin is piped"),
            lines,
            events: VecDeque::new(),
            answers: BTreeMap::new(),
            next_id: 1,
        };
        let device = Self { name, process, log, talk: RefCell::new(talk) };
        device.wait_for_event("ready");
        device
    }

    /// Runs JavaScript on the device and returns what it returns.
    ///
    /// `device.mjs` says what the code can call.
    pub(crate) fn run(&self, code: &str) -> Value {
        self.begin(code).finish()
    }

    /// As [`run`](Self::run), without waiting for the end.
    pub(crate) fn begin(&self, code: &str) -> Pending<'_> {
        let mut talk = self.talk.borrow_mut();
        let id = talk.next_id;
        talk.next_id += 1;
        writeln!(talk.commands, "{}", json!({"id": id, "run": code})).unwrap();
        Pending { device: self, id, what: code.to_owned() }
    }

    /// Opens a realm; `partition` is Extended JSON. Returns at once, whether there is a connection or not.
    pub(crate) fn open(&self, schema: &str, partition: &str) {
        self.run(&format!("open({}, {})", json!(schema), json!(partition)));
    }

    /// Opens a realm as soon as everything that the server has is on the device.
    pub(crate) fn open_downloaded(&self, schema: &str, partition: &str) {
        self.run(&format!("await openDownloaded({}, {})", json!(schema), json!(partition)));
    }

    /// Carries out one transaction.
    pub(crate) fn write(&self, code: &str) {
        self.run(&format!("write(() => {{ {code} }})"));
    }

    /// Goes offline; writes go on.
    pub(crate) fn pause(&self) {
        self.run("realm.syncSession.pause()");
    }

    /// Goes online again.
    pub(crate) fn resume(&self) {
        self.run("realm.syncSession.resume()");
    }

    /// Waits until the server has acknowledged everything that was written here.
    pub(crate) fn upload(&self) {
        self.run("await uploaded()");
    }

    /// Waits until everything that the server has now is here.
    pub(crate) fn download(&self) {
        self.run("await downloaded()");
    }

    /// Waits until a JavaScript condition holds for the realm's contents.
    pub(crate) fn until(&self, condition: &str) {
        self.begin_until(condition).finish();
    }

    /// As [`until`](Self::until), without waiting for it yet.
    pub(crate) fn begin_until(&self, condition: &str) -> Pending<'_> {
        self.begin(&format!("await until(() => {condition})"))
    }

    /// Asserts that a JavaScript condition holds.
    pub(crate) fn check(&self, condition: &str) {
        let holds = self.run(&format!("return Boolean({condition})"));
        assert_eq!(holds, true, "{}: {condition}", self.name);
    }

    /// Everything in the realm that was opened last.
    pub(crate) fn dump(&self) -> Dump {
        let Value::Array(lines) = self.run("return dump()") else { panic!("a dump is an array") };
        Dump::new(self.name, lines)
    }

    /// Waits for an error that the SDK hands to the application; the test goes on only if this is its code.
    pub(crate) fn expect_sync_error(&self, code: u64) {
        let event = self.wait_for_event("sync error");
        assert_eq!(event["code"], code, "{}: {event}", self.name);
    }

    /// Waits for something that the device reports unasked.
    pub(crate) fn wait_for_event(&self, kind: &str) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut talk = self.talk.borrow_mut();
            if let Some(i) = talk.events.iter().position(|event| event["event"] == kind) {
                return talk.events.remove(i).expect("the position was just found");
            }
            self.read_line(&mut talk, deadline, kind);
        }
    }

    /// Takes in the next line that the device says.
    fn read_line(&self, talk: &mut Talk, deadline: Instant, what: &str) {
        let left = deadline.saturating_duration_since(Instant::now());
        let line = talk.lines.recv_timeout(left).unwrap_or_else(|error| {
            panic!("{}: nothing came after {PATIENCE:?} ({error}) for: {what}", self.name)
        });
        if let Some(id) = line["id"].as_u64() {
            talk.answers.insert(id, line);
        } else {
            let kind = line["event"].as_str().unwrap_or_default();
            assert!(!is_error(&line) || kind == what, "{}: {line}", self.name);
            talk.events.push_back(line);
        }
    }
}

impl Pending<'_> {
    /// Waits for the command's end and returns its result.
    pub(crate) fn finish(self) -> Value {
        let deadline = Instant::now() + PATIENCE;
        let mut talk = self.device.talk.borrow_mut();
        loop {
            if let Some(mut answer) = talk.answers.remove(&self.id) {
                let error = answer["error"].as_str();
                assert!(error.is_none(), "{}: {}: {error:?}", self.device.name, self.what);
                return answer["ok"].take();
            }
            self.device.read_line(&mut talk, deadline, &self.what);
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        if thread::panicking() {
            print_tail(self.name, &self.log, 60);
        } else {
            let talk = self.talk.borrow_mut();
            while let Ok(line) = talk.lines.recv_timeout(Duration::from_secs(1)) {
                assert!(!is_error(&line), "{}: {line}", self.name);
            }
        }
    }
}

/// Whether this is an event that no application wants to see.
fn is_error(line: &Value) -> bool {
    matches!(line["event"].as_str(), Some("sync error" | "crash"))
}

/// Brings devices to the same state: everybody's writes to the server, then the server's history to everybody.
pub(crate) fn settle(devices: &[&Device]) {
    for device in devices {
        device.upload();
    }
    for device in devices {
        device.download();
    }
}

/// Waits for the clock's next millisecond, so that what is written then is later than what was written before.
pub(crate) fn later() {
    let millis = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis();
    let now = millis();
    while millis() == now {
        thread::yield_now();
    }
}
