//! A driver for tests: its clock and its files are made up.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::message::ClientMessage;
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::OriginTimestamp;
use bytes::Bytes;

use super::model::ModelRealm;
use crate::session::{
    Connection, ConnectionConfig, FileRole, Input, Output, RealmKey, ResetMode, SessionEvent,
    StorageAnswer, StorageRequest, SyncError, Time, WaitKey,
};

/// A machine, and all that it speaks to.
#[derive(Debug)]
pub(super) struct Rig {
    pub(super) version: ProtocolVersion,
    pub(super) machine: Connection,
    pub(super) now: Time,
    pub(super) wake_at: Option<Time>,
    pub(super) realms: BTreeMap<RealmKey, ModelRealm>,
    /// What was sent and not looked at.
    pub(super) sent: VecDeque<ClientMessage>,
    /// Requests that were not answered.
    pub(super) requests: VecDeque<(RealmKey, FileRole, StorageRequest)>,
    /// All other outputs, the latest last.
    pub(super) log: Vec<Output>,
    /// A connection is being made.
    pub(super) is_connecting: bool,
    /// Something was sent that has not left.
    pub(super) is_sending: bool,
    /// The latest MARK of each session.
    pub(super) marks: BTreeMap<SessionIdent, u64>,
    /// The timestamp of the latest PING.
    pub(super) pinged: u64,
    paths: BTreeMap<RealmKey, String>,
}

impl Rig {
    pub(super) fn new(version: u8) -> Self {
        Self {
            version: ProtocolVersion::new(version).unwrap(),
            machine: Connection::new(ConnectionConfig::default(), 1),
            now: Duration::ZERO,
            wake_at: None,
            realms: BTreeMap::new(),
            sent: VecDeque::new(),
            requests: VecDeque::new(),
            log: Vec::new(),
            is_connecting: false,
            is_sending: false,
            marks: BTreeMap::new(),
            pinged: 0,
            paths: BTreeMap::new(),
        }
    }

    /// Another machine.
    pub(super) fn restart(&mut self, seed: u64, max_queued_len: usize) {
        let config = ConnectionConfig { max_queued_len, ..ConnectionConfig::default() };
        self.machine = Connection::new(config, seed);
    }

    /// Whether a client reset was made whose end is not recorded.
    pub(super) fn is_reset_pending(&self, realm: u64) -> bool {
        self.realms[&RealmKey(realm)].reset_pending
    }

    /// A rig with one realm that is synced.
    pub(super) fn synced() -> Self {
        Self::synced_with(ResetMode::RecoverOrDiscard)
    }

    /// A rig with one realm that is synced: its file is identified, and its first DOWNLOAD integrated.
    pub(super) fn synced_with(reset_mode: ResetMode) -> Self {
        let mut rig = Self::new(14);
        rig.open(1, reset_mode);
        rig.settle();
        rig.receive("ident 1 2 4242\n");
        rig.receive("download 1 1 0 1 777 0 0 0 0 0 0\n");
        rig.receive("mark 1 1\n");
        rig.expect(&[
            "bind 1 3 0 1 0\n\"1\"",
            "ident 1 2 4242 0 0 0 0\n",
            "mark 1 1\n",
            "upload 1 0 0 0 3 1 1\n",
        ]);
        rig.log.clear();
        rig
    }

    pub(super) fn open(&mut self, realm: u64, reset_mode: ResetMode) {
        self.open_path(realm, format!("\"{realm}\""), reset_mode);
    }

    pub(super) fn open_path(&mut self, realm: u64, path: String, reset_mode: ResetMode) {
        let realm = RealmKey(realm);
        self.realms.entry(realm).or_default();
        self.paths.insert(realm, path.clone());
        self.input(Input::Open { realm, path, reset_mode });
    }

    /// Hands in one input and does nothing else.
    pub(super) fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.machine.handle(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Send(bytes) => {
                    let message = ClientMessage::parse(self.version, &bytes).unwrap();
                    match &message {
                        ClientMessage::Mark(mark) => {
                            self.marks.insert(mark.session, mark.request_ident.0);
                        }
                        ClientMessage::Ping(ping) => self.pinged = ping.timestamp_ms,
                        _ => (),
                    }
                    self.sent.push_back(message);
                    self.is_sending = true;
                }
                Output::Store(realm, role, request) => {
                    self.requests.push_back((realm, role, request));
                }
                Output::WakeAt(time) => self.wake_at = time,
                Output::Connect => {
                    self.is_connecting = true;
                    self.log.push(output);
                }
                Output::Disconnect => {
                    self.is_connecting = false;
                    self.is_sending = false;
                    self.log.push(output);
                }
                output => self.log.push(output),
            }
        }
    }

    /// Answers whatever can be answered, as if all went well.
    pub(super) fn settle(&mut self) {
        while self.step() {}
    }

    /// Answers one thing; false if nothing is left to be answered.
    pub(super) fn step(&mut self) -> bool {
        if let Some((realm, role, request)) = self.requests.pop_front() {
            let answer = self.realms.get_mut(&realm).unwrap().execute(role, request);
            self.input(Input::Stored(realm, role, answer));
        } else if std::mem::take(&mut self.is_connecting) {
            self.input(Input::Connected(Ok(self.version)));
        } else if std::mem::take(&mut self.is_sending) {
            self.input(Input::Writable);
        } else {
            return false;
        }
        true
    }

    /// Answers the oldest request.
    pub(super) fn answer(&mut self, answer: StorageAnswer) {
        let (realm, role, _) = self.requests.pop_front().unwrap();
        self.input(Input::Stored(realm, role, answer));
        self.settle();
    }

    pub(super) fn receive(&mut self, message: impl AsRef<[u8]>) {
        self.hear(message);
        self.settle();
    }

    /// Hands in a message and does nothing else.
    pub(super) fn hear(&mut self, message: impl AsRef<[u8]>) {
        self.input(Input::Received(Bytes::copy_from_slice(message.as_ref())));
    }

    /// The application commits.
    pub(super) fn commit(&mut self, realm: u64, changeset: Bytes, timestamp: OriginTimestamp) {
        let realm = RealmKey(realm);
        let file = &mut self.realms.get_mut(&realm).unwrap().main;
        file.commit(changeset, timestamp);
        let (version, uploadable) = (file.state.version, file.state.bytes.uploadable);
        self.input(Input::Committed { realm, version, uploadable });
        self.settle();
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        while let Some(time) = self.wake_at.filter(|&time| time <= end) {
            self.now = self.now.max(time);
            self.wake_at = None;
            self.input(Input::Timeout);
            self.settle();
        }
        self.now = end;
    }

    /// Lets time pass until the machine wants to be woken; returns how long that was.
    pub(super) fn sleep(&mut self) -> Duration {
        let start = self.now;
        self.wake();
        self.settle();
        self.since(start)
    }

    /// How long ago that was.
    pub(super) fn since(&self, start: Time) -> Duration {
        self.now.saturating_sub(start)
    }

    /// Wakes the machine as it wants, and does nothing else.
    pub(super) fn wake(&mut self) {
        let time = self.wake_at.take().expect("the machine waits for something");
        self.now = self.now.max(time);
        self.input(Input::Timeout);
    }

    /// Exactly these were sent since the last time.
    #[track_caller]
    pub(super) fn expect(&mut self, expected: &[&str]) {
        let sent: Vec<_> = self.sent.drain(..).map(|message| message.print()).collect();
        let sent: Vec<_> = sent.iter().map(|message| message.escape_ascii().to_string()).collect();
        let expected: Vec<_> =
            expected.iter().map(|message| message.as_bytes().escape_ascii().to_string()).collect();
        assert_eq!(sent, expected);
    }

    /// The outputs since the last time, but for messages, requests and timers; in short.
    pub(super) fn outputs(&mut self) -> Vec<String> {
        self.log.drain(..).map(|output| short(&output)).collect()
    }

    /// Exactly these outputs came since the last time.
    #[track_caller]
    pub(super) fn expect_outputs(&mut self, expected: &[&str]) {
        assert_eq!(self.outputs(), expected);
    }

    pub(super) fn wait_for_upload(&mut self, realm: u64, wait: u64) {
        self.input(Input::WaitForUpload(RealmKey(realm), WaitKey(wait)));
        self.settle();
    }

    pub(super) fn wait_for_download(&mut self, realm: u64, wait: u64) {
        self.input(Input::WaitForDownload(RealmKey(realm), WaitKey(wait)));
        self.settle();
    }

    /// The partition value of a realm.
    pub(super) fn path(&self, realm: RealmKey) -> &str {
        &self.paths[&realm]
    }
}

/// An output in a few words.
fn short(output: &Output) -> String {
    match output {
        Output::Event(RealmKey(realm), event) => format!("{realm}: {}", short_event(event)),
        Output::WaitDone(WaitKey(wait), Ok(())) => format!("wait {wait} done"),
        Output::WaitDone(WaitKey(wait), Err(error)) => {
            format!("wait {wait} failed: {}", short_error(error))
        }
        Output::Closed(RealmKey(realm)) => format!("{realm}: closed"),
        Output::Log(realm, line) => {
            format!(
                "log {:?}: {}",
                realm.map(|realm| realm.0),
                line.message.as_deref().unwrap_or_default()
            )
        }
        output => format!("{output:?}"),
    }
}

fn short_event(event: &SessionEvent) -> String {
    match event {
        SessionEvent::Progress(bytes) => format!(
            "progress {}+{} {}/{}",
            bytes.downloaded, bytes.remaining, bytes.uploaded, bytes.uploadable
        ),
        SessionEvent::Connected(is_connected) => format!("connected {is_connected}"),
        SessionEvent::Error(error) => short_error(error),
        SessionEvent::ResetStarted => "reset started".to_owned(),
        SessionEvent::ResetDone { recovered } => format!("reset done, recovered {recovered}"),
    }
}

fn short_error(error: &SyncError) -> String {
    format!("{}{error}", if error.is_fatal() { "fatal: " } else { "" })
}
