//! What the recorded clients sent, against what the machine sends in their place.
//!
//! The machine gets the recorded messages of the server, and files with the recorded changesets. It has to send the
//! recorded messages of the client, in the same order within each session. Numbers that a client chooses freely are
//! mapped: session idents, MARKs, timestamps of PINGs.

use std::collections::BTreeMap;
use std::path::Path;

use bailiwick_protocol::ident::{FileIdent, SessionIdent};
use bailiwick_protocol::message::{
    Body, ClientMessage, Mark, RequestIdent, ServerMessage, Upload, UploadEntry,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion};
use bytes::Bytes;
use serde_json::Value;

use super::rig::Rig;
use crate::session::{Input, RealmKey, ResetMode};

/// One recorded frame.
#[derive(Debug)]
enum Frame {
    Client(ClientMessage),
    Server(Bytes),
}

/// A recorded connection, being replayed.
struct Replay {
    rig: Rig,
    /// Recorded sessions: the realm.
    realms: BTreeMap<SessionIdent, RealmKey>,
    /// Recorded sessions: ours.
    idents: BTreeMap<SessionIdent, SessionIdent>,
    /// The recorded changesets of each realm that were not committed yet.
    commits: BTreeMap<RealmKey, Vec<UploadEntry>>,
    waits: u64,
    description: String,
}

/// No UPLOAD of a recording is longer.
const MAX_LEN: usize = 1 << 20;

fn recorded(name: &str, connection: Option<u8>) -> (u8, Vec<Frame>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors/wire");
    let text = std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let head = lines.next().unwrap();
    let number = u8::try_from(head["protocol"].as_u64().unwrap()).unwrap();
    let version = ProtocolVersion::new(number).unwrap();
    let start = connection.map(|number| format!("connection {number}:")).unwrap_or_default();
    let lines = lines.filter(|line| line["note"].as_str().unwrap().starts_with(&start));
    let frames = lines.map(|line| {
        let payload = Bytes::from(hex::decode(line["hex"].as_str().unwrap()).unwrap());
        if line["dir"] == "c2s" {
            Frame::Client(ClientMessage::parse(version, &payload).unwrap())
        } else {
            Frame::Server(payload)
        }
    });
    (number, frames.collect())
}

/// A recording, and what is special about it.
#[derive(Default)]
struct Recording {
    name: &'static str,
    /// Which connection, if there are those of several devices.
    connection: Option<u8>,
    reset_mode: ResetMode,
    /// Whether everything has left before the server answers.
    is_slow: bool,
    /// Versions that the recorded client made without any changes.
    empty_versions: &'static [u64],
    /// Positions of frames that the recorded client sent, and this one has no reason to send.
    skipped: &'static [usize],
    /// What this one sends at the end, and the recorded client had no time for.
    extra: &'static [&'static str],
}

impl Recording {
    #[track_caller]
    fn check(&self) {
        let (version, frames) = recorded(self.name, self.connection);
        let mut replay = Replay {
            rig: Rig::new(version),
            realms: BTreeMap::new(),
            idents: BTreeMap::new(),
            commits: BTreeMap::new(),
            waits: 0,
            description: String::new(),
        };
        replay.prepare(&frames, self);
        for (index, frame) in frames.into_iter().enumerate() {
            replay.description = format!("{}, frame {index}", self.name);
            match frame {
                _ if self.skipped.contains(&index) => (),
                Frame::Client(message) => replay.client(message),
                Frame::Server(payload) => {
                    if self.is_slow {
                        replay.rig.settle();
                    }
                    replay.server(&payload);
                }
            }
        }
        replay.rig.settle();
        replay.rig.expect(self.extra);
    }
}

#[track_caller]
fn check(name: &'static str) {
    Recording { name, ..Recording::default() }.check();
}

impl Replay {
    /// Opens the realms, and commits what was there before the first connection.
    fn prepare(&mut self, frames: &[Frame], recording: &Recording) {
        let mut paths = BTreeMap::new();
        for frame in frames {
            match frame {
                Frame::Client(ClientMessage::Bind(bind)) => {
                    let next = RealmKey(paths.len() as u64 + 1);
                    let key = *paths.entry(bind.path.clone()).or_insert(next);
                    self.realms.insert(bind.session, key);
                }
                Frame::Client(ClientMessage::Upload(upload)) => {
                    let commits =
                        self.commits.entry(self.realms[&upload.header.session]).or_default();
                    let entries = Upload::entries(upload.body.inflate(MAX_LEN).unwrap());
                    for entry in entries.map(Result::unwrap) {
                        // What is uploaded again was not written again.
                        let is_new =
                            commits.iter().all(|old| old.client_version < entry.client_version);
                        commits.extend(is_new.then_some(entry));
                    }
                }
                _ => (),
            }
        }
        for (path, key) in paths {
            let commits = self.commits.entry(key).or_default();
            commits.extend(recording.empty_versions.iter().map(|&version| nothing(version)));
            commits.sort_by_key(|entry| entry.client_version);
            self.rig.realms.entry(key).or_default();
            // Before anybody can connect.
            let mut is_early = true;
            while is_early {
                let commits = self.commits.entry(key).or_default();
                let main = &mut self.rig.realms.get_mut(&key).unwrap().main;
                is_early = commits
                    .first()
                    .is_some_and(|next| next.client_version.0 == main.state.version.0 + 1);
                if is_early {
                    let entry = commits.remove(0);
                    main.commit(entry.changeset, entry.origin_timestamp);
                }
            }
            self.rig.open_path(key.0, path, recording.reset_mode);
        }
        self.rig.settle();
    }

    /// The machine has to send what the recorded client sent.
    #[track_caller]
    fn client(&mut self, mut expected: ClientMessage) {
        if let ClientMessage::Bind(bind) = &expected {
            self.await_bind(bind.session);
        }
        let mut tries = 0;
        let sent = loop {
            match self.next_sent(&expected) {
                Some(sent) => break sent,
                None if self.rig.step() => (),
                None => {
                    assert!(tries < 5, "nothing was sent: {}", self.description);
                    tries += 1;
                    self.nudge(&expected);
                }
            }
        };
        map_session(&mut expected, sent.session());
        match (&mut expected, &sent) {
            (ClientMessage::Mark(expected), ClientMessage::Mark(sent)) => {
                expected.request_ident = sent.request_ident;
            }
            (ClientMessage::Ping(expected), ClientMessage::Ping(sent)) => *expected = *sent,
            (ClientMessage::Error(expected), ClientMessage::Error(sent)) => {
                // The words are each client's own.
                assert!(!sent.message().is_empty());
                expected.body.clone_from(&sent.body);
            }
            _ => (),
        }
        assert_eq!(show(&sent), show(&expected), "{}", self.description);
    }

    /// The next message of the same session. A MARK may have been sent before the recorded client came to it.
    fn next_sent(&mut self, expected: &ClientMessage) -> Option<ClientMessage> {
        let ident = self.idents.get(&expected.session()).copied().unwrap_or_default();
        let sent = &mut self.rig.sent;
        loop {
            let position = sent.iter().position(|message| message.session() == ident)?;
            let message = sent.remove(position)?;
            let is_early = matches!(message, ClientMessage::Mark(_));
            if !is_early || matches!(expected, ClientMessage::Mark(_)) {
                return Some(message);
            }
        }
    }

    /// Sessions are known by their BIND.
    fn await_bind(&mut self, recorded: SessionIdent) {
        let key = self.realms[&recorded];
        let path = self.rig.path(key).to_owned();
        let is_bind = |message: &ClientMessage| matches!(message, ClientMessage::Bind(bind) if bind.path == path);
        let mut tries = 0;
        while !self.rig.sent.iter().any(is_bind) {
            if self.rig.step() {
                continue;
            }
            assert!(tries < 5, "there is no BIND: {}", self.description);
            tries += 1;
            self.rig.input(Input::Resume(key));
            if !self.rig.sent.iter().any(is_bind) {
                self.rig.wake();
            }
        }
        let bind = self.rig.sent.iter().find(|message| is_bind(message)).unwrap();
        self.idents.insert(recorded, bind.session());
    }

    /// Does what makes a client send such a message.
    fn nudge(&mut self, expected: &ClientMessage) {
        match expected {
            ClientMessage::Mark(mark) => {
                self.waits += 1;
                self.rig.wait_for_download(self.realms[&mark.session].0, self.waits);
            }
            ClientMessage::Upload(upload) => {
                let key = self.realms[&upload.header.session];
                while self.commit_next(key) {}
            }
            ClientMessage::Unbind(unbind) => {
                self.rig.input(Input::Pause(self.realms[&unbind.session]));
                self.rig.settle();
            }
            ClientMessage::Ping(_) => {
                self.rig.wake();
            }
            ClientMessage::Bind(_) | ClientMessage::Ident(_) | ClientMessage::Error(_) => (),
        }
    }

    /// Commits the next recorded changeset if its version is the next of the file.
    fn commit_next(&mut self, key: RealmKey) -> bool {
        let Some(commits) = self.commits.get_mut(&key) else { return false };
        let version = self.rig.realms[&key].main.state.version;
        if commits.first().is_none_or(|entry| entry.client_version.0 != version.0 + 1) {
            return false;
        }
        let entry = commits.remove(0);
        self.rig.commit(key.0, entry.changeset, entry.origin_timestamp);
        true
    }

    /// The server says what it said.
    fn server(&mut self, payload: &Bytes) {
        let message = ServerMessage::parse(self.rig.version, payload).unwrap();
        let recorded = message.session();
        let payload = match message {
            // Answers the newest of whatever marks this client has sent.
            ServerMessage::Mark(_) => {
                let ident = self.idents[&recorded];
                let request_ident = RequestIdent(self.rig.marks[&ident]);
                ServerMessage::Mark(Mark { session: ident, request_ident }).print()
            }
            ServerMessage::Pong(_) => format!("pong {}\n", self.rig.pinged).into_bytes(),
            _ if recorded == SessionIdent::CONNECTION => payload.to_vec(),
            message => {
                if let ServerMessage::Download(_) = message {
                    // A DOWNLOAD takes the next version of the file, so what was written before comes first.
                    while !self.rig.requests.is_empty() {
                        self.rig.step();
                    }
                    let key = self.realms[&recorded];
                    while self.commit_next(key) {}
                }
                with_session(payload, message.name(), self.idents[&recorded])
            }
        };
        self.rig.hear(payload);
    }
}

/// A commit without changes.
fn nothing(version: u64) -> UploadEntry {
    UploadEntry {
        client_version: ClientVersion(version),
        last_integrated_server_version: ServerVersion(0),
        origin_timestamp: OriginTimestamp(0),
        origin_file_ident: FileIdent::SELF,
        changeset: Bytes::new(),
    }
}

/// A message as text; a body is shown as it was before it was compressed, for which there are many ways.
fn show(message: &ClientMessage) -> String {
    let mut message = message.clone();
    if let ClientMessage::Upload(upload) = &mut message {
        upload.body = Body::Plain(upload.body.inflate(MAX_LEN).unwrap());
    }
    message.print().escape_ascii().to_string()
}

/// The same message to another session.
fn with_session(payload: &[u8], name: &str, session: SessionIdent) -> Vec<u8> {
    let index = if name == "json_error" { 3 } else { 1 };
    let end = payload.iter().position(|&byte| byte == b'\n').unwrap();
    let head = std::str::from_utf8(&payload[..end]).unwrap();
    let mut fields: Vec<_> = head.split(' ').map(str::to_owned).collect();
    fields[index] = session.to_string();
    [fields.join(" ").as_bytes(), &payload[end..]].concat()
}

fn map_session(message: &mut ClientMessage, session: SessionIdent) {
    match message {
        ClientMessage::Bind(message) => message.session = session,
        ClientMessage::Ident(message) => message.session = session,
        ClientMessage::Upload(message) => message.header.session = session,
        ClientMessage::Mark(message) => message.session = session,
        ClientMessage::Unbind(message) => message.session = session,
        ClientMessage::Error(message) => message.session = session,
        ClientMessage::Ping(_) => (),
    }
}

#[test]
fn a_new_file_is_uploaded() {
    check("first-connect-upload");
    check("protocol-14-first-connect");
}

#[test]
fn two_devices_exchange_changes() {
    for name in ["second-client-download", "compressed-download"] {
        for connection in [Some(1), Some(2)] {
            Recording { name, connection, ..Recording::default() }.check();
        }
    }
}

#[test]
fn a_lost_acknowledgement_is_not_missed() {
    check("reconnect-existing-ident");
}

#[test]
fn realms_share_a_connection() {
    check("multi-session");
    check("partition-values");
}

#[test]
fn a_paused_realm_comes_back_on_the_same_connection() {
    check("pause-resume-same-connection");
}

#[test]
fn pings_go_on() {
    check("ping-pong");
}

#[test]
fn long_uploads_are_compressed() {
    check("compressed-upload");
    check("protocol-14-compressed-upload");
}

#[test]
fn sessions_survive_errors_or_end() {
    check("try-again-later");
    check("permission-denied");
    check("illegal-partition");
}

#[test]
fn an_expired_token_costs_a_connection() {
    // The recorded client acknowledges the same server version again, and once more with each DOWNLOAD.
    Recording { name: "token-expiry", skipped: &[13, 14], ..Recording::default() }.check();
}

#[test]
fn files_are_reset() {
    for (name, reset_mode, is_slow) in [
        ("client-reset-discard", ResetMode::DiscardLocal, false),
        // What was recovered is uploaded at once.
        ("client-reset-recover", ResetMode::Recover, true),
        ("client-reset-manual", ResetMode::Manual, false),
    ] {
        Recording { name, reset_mode, is_slow, ..Recording::default() }.check();
    }
}

#[test]
fn a_changeset_that_cannot_be_read_is_reported() {
    check("bad-changeset-from-server");
}

#[test]
fn a_violation_of_the_protocol_ends_the_connection() {
    let name = "protocol-violation-by-server";
    Recording { name, extra: &["mark 1 1\n"], ..Recording::default() }.check();
}

#[test]
fn writes_are_undone() {
    Recording { name: "compensating-write", empty_versions: &[3], ..Recording::default() }.check();
}

#[test]
fn log_messages_change_nothing() {
    check("protocol-14-log-message");
}
