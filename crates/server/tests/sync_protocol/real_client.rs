//! What real devices make of a server's messages.
//!
//! [`RealClient`] hears everything that a peer sends and receives and panics at the first message that a
//! device would not survive: one that crashes it, that it takes as a violation of the protocol (after which
//! a 13.x device stays away for an hour), or that it does not expect. Spec: wire protocol, sections 3, 5.4,
//! 6.3 and 7.

use std::collections::{BTreeMap, VecDeque};

use bailiwick_protocol::error_code::{ErrorCode, Level};
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{
    Body, ClientIdent, ClientMessage, Download, DownloadEntry, Mark, RequestIdent, ServerMessage,
    Upload,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use serde_json::Value;

/// A device's side of one connection.
#[derive(Debug)]
pub(crate) struct RealClient {
    version: ProtocolVersion,
    sessions: BTreeMap<SessionIdent, Session>,
    /// PINGs that were not answered yet.
    pings: VecDeque<u64>,
    has_ended: bool,
}

/// A device's file of one partition; it outlives sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeviceFile {
    pub(crate) ident: FileIdent,
    pub(crate) salt: Salt,
    pub(crate) download: DownloadCursor,
    pub(crate) latest: SaltedVersion,
    pub(crate) acknowledged: UploadCursor,
    /// The newest version that exists on the device.
    pub(crate) newest: ClientVersion,
    /// What was downloaded.
    pub(crate) entries: Vec<DownloadEntry>,
}

#[derive(Debug)]
struct Session {
    start: Start,
    end: End,
    last_mark_sent: RequestIdent,
    last_mark_received: RequestIdent,
    file: DeviceFile,
}

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// BIND asked for an ident that has not come.
    WaitsForIdent,
    Bound,
    Identified,
}

/// What is ending a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    NotYet,
    Failed,
    /// UNBIND was sent.
    Unbinding,
}

/// The most that a DOWNLOAD's body may be; no test comes near it.
const MAX_BODY_LEN: usize = 64 << 20;
/// What 13.13 knows of; it takes anything newer as a violation of the protocol.
const LAST_CODE_OF_13_13: u32 = 234;

impl RealClient {
    pub(crate) fn new(version: ProtocolVersion) -> Self {
        Self { version, sessions: BTreeMap::new(), pings: VecDeque::new(), has_ended: false }
    }

    /// The file of a session.
    pub(crate) fn file(&self, session: u64) -> &DeviceFile {
        &self.sessions[&SessionIdent(session)].file
    }

    /// Gives a session a file that an earlier session has left.
    pub(crate) fn adopt(&mut self, session: u64, file: DeviceFile) {
        self.sessions.get_mut(&SessionIdent(session)).unwrap().file = file;
    }

    pub(crate) fn sent(&mut self, message: &ClientMessage) {
        let ident = message.session();
        match message {
            ClientMessage::Ping(ping) => self.pings.push_back(ping.timestamp_ms),
            ClientMessage::Bind(bind) => {
                self.sessions.entry(ident).or_insert_with(|| Session {
                    start: if bind.need_client_file_ident {
                        Start::WaitsForIdent
                    } else {
                        Start::Bound
                    },
                    end: End::NotYet,
                    last_mark_sent: RequestIdent(0),
                    last_mark_received: RequestIdent(0),
                    file: DeviceFile::default(),
                });
            }
            message => {
                let Some(session) = self.sessions.get_mut(&ident) else { return };
                match message {
                    ClientMessage::Ident(claim) => session.identify(claim),
                    ClientMessage::Upload(upload) => session.note_upload(upload),
                    ClientMessage::Mark(mark) => {
                        session.last_mark_sent = session.last_mark_sent.max(mark.request_ident);
                    }
                    ClientMessage::Unbind(_) if session.end == End::Failed => {
                        self.sessions.remove(&ident);
                    }
                    ClientMessage::Unbind(_) => session.end = End::Unbinding,
                    _ => (),
                }
            }
        }
    }

    /// Takes the payload of a binary message.
    pub(crate) fn received(&mut self, payload: &Bytes) -> ServerMessage {
        let shown = &payload[..payload.len().min(300)].escape_ascii().to_string();
        assert!(!self.has_ended, "a message after the connection's error: {shown}");
        let message = ServerMessage::parse(self.version, payload)
            .unwrap_or_else(|error| panic!("a device cannot read {shown}: {error}"));
        assert_eq!(message.print(), payload[..], "another spelling of {shown}");
        match &message {
            ServerMessage::Ident(ident) => {
                let session = self.live(ident.session, shown);
                assert_eq!(
                    session.start,
                    Start::WaitsForIdent,
                    "an IDENT that was not asked for: {shown}"
                );
                session.start = Start::Bound;
                session.file.ident = ident.file_ident;
                session.file.salt = ident.file_ident_salt;
            }
            ServerMessage::Download(download) => {
                let session = self.live(download.header.session, shown);
                assert!(
                    session.start == Start::Identified,
                    "a DOWNLOAD before the device's IDENT: {shown}"
                );
                session.check_download(download, shown);
            }
            ServerMessage::Mark(Mark { session, request_ident }) => {
                let session = self.live(*session, shown);
                assert!(
                    session.start == Start::Identified,
                    "a MARK before the device's IDENT: {shown}"
                );
                assert!(
                    *request_ident > session.last_mark_received
                        && *request_ident <= session.last_mark_sent,
                    "a MARK that was not asked for: {shown}"
                );
                session.last_mark_received = *request_ident;
            }
            ServerMessage::Unbound(unbound) => {
                let session = self.live(unbound.session, shown);
                assert!(
                    session.end == End::Unbinding,
                    "an UNBOUND that was not asked for: {shown}"
                );
                self.sessions.remove(&unbound.session);
            }
            ServerMessage::Pong(pong) => {
                assert_eq!(
                    self.pings.pop_front(),
                    Some(pong.timestamp_ms),
                    "a PONG for no PING: {shown}"
                );
            }
            ServerMessage::Error(error) => {
                assert!(!self.version.has_json_errors(), "13.x aborts on ERROR: {shown}");
                self.check_error(error.code(), error.session(), shown);
            }
            ServerMessage::JsonError(error) => {
                let body = payload.iter().position(|&byte| byte == b'\n').unwrap() + 1;
                check_json(&serde_json::from_slice(&payload[body..]).unwrap(), shown);
                self.check_error(error.code(), error.session(), shown);
            }
            ServerMessage::LogMessage(_) => assert!(self.version.number() >= 10, "{shown}"),
        }
        message
    }

    /// A session in which something may be received.
    fn live(&mut self, ident: SessionIdent, shown: &str) -> &mut Session {
        let session = self
            .sessions
            .get_mut(&ident)
            .unwrap_or_else(|| panic!("there is no session for {shown}"));
        assert!(session.end != End::Failed, "a message to a session in error: {shown}");
        session
    }

    fn check_error(&mut self, code: ErrorCode, session: SessionIdent, shown: &str) {
        assert!(!code.aborts_devices(), "devices abort on {shown}");
        assert!(ErrorCode::NAMED.contains(&code), "no device knows {shown}");
        if self.version.number() <= 9 {
            assert!(code.number() <= LAST_CODE_OF_13_13, "13.13 does not know {shown}");
        }
        if session == SessionIdent::CONNECTION {
            assert_eq!(code.level(), Some(Level::Connection), "the wrong level: {shown}");
            self.has_ended = true;
        } else {
            assert_eq!(code.level(), Some(Level::Session), "the wrong level: {shown}");
            let state = self.live(session, shown);
            if state.end == End::Unbinding {
                // The UNBIND has crossed the error, and ends the session.
                self.sessions.remove(&session);
            } else {
                state.end = End::Failed;
            }
        }
    }
}

impl Session {
    fn identify(&mut self, claim: &ClientIdent) {
        self.start = Start::Identified;
        self.file.ident = claim.file_ident;
        self.file.salt = claim.file_ident_salt;
        self.file.download = claim.download_cursor;
        self.file.latest = claim.latest_server_version;
        let known = claim.download_cursor.last_integrated_client_version;
        self.file.newest = self.file.newest.max(known);
    }

    fn note_upload(&mut self, upload: &Upload) {
        self.file.newest = self.file.newest.max(upload.header.progress.client_version);
    }

    /// The checks of section 5.4; their numbers are in the messages.
    fn check_download(&mut self, download: &Download, shown: &str) {
        let header = &download.header;
        if self.end == End::Unbinding {
            return; // The device ignores it.
        }
        let file = &mut self.file;
        let (was, is) = (file.download, header.download_cursor);
        let rules = [
            ("1", header.latest_server_version.version >= file.latest.version),
            ("2", header.upload_cursor.client_version >= file.acknowledged.client_version),
            ("3", header.upload_cursor.client_version <= file.newest),
            ("4", is.server_version >= was.server_version),
            ("5", is.server_version <= header.latest_server_version.version),
            ("6", is.last_integrated_client_version >= was.last_integrated_client_version),
            ("7", is.last_integrated_client_version <= header.upload_cursor.client_version),
            ("8", is.server_version >= header.upload_cursor.last_integrated_server_version),
            (
                "14",
                header.upload_cursor.last_integrated_server_version
                    >= file.acknowledged.last_integrated_server_version,
            ),
            (
                "salt",
                (header.latest_server_version.version == ServerVersion(0))
                    == (header.latest_server_version.salt == Salt(0)),
            ),
        ];
        for (rule, holds) in rules {
            assert!(holds, "rule {rule} is broken: {shown} at {file:?}");
        }
        if let Body::Compressed { uncompressed_len, bytes } = &download.body {
            assert!(*uncompressed_len > 1024, "so short a body is not compressed: {shown}");
            assert!((bytes.len() as u64) < *uncompressed_len, "compressed to more: {shown}");
        }
        let plain = download.body.inflate(MAX_BODY_LEN).unwrap();
        let mut last = was;
        for entry in Download::entries(plain) {
            let entry = entry.unwrap_or_else(|error| panic!("rule 13: {error}: {shown}"));
            let client = entry.last_integrated_client_version;
            assert!(entry.server_version > last.server_version, "rules 9, 10: {shown}");
            assert!(entry.server_version <= is.server_version, "rule 10: {shown}");
            assert!(client >= last.last_integrated_client_version, "rule 11: {shown}");
            assert!(client <= is.last_integrated_client_version, "rule 11: {shown}");
            assert!(entry.origin_file_ident != FileIdent::SELF, "rule 12: {shown}");
            assert!(entry.origin_file_ident != file.ident, "rule 12: {shown}");
            assert!(!entry.changeset.is_empty(), "an empty changeset is useless: {shown}");
            assert_eq!(entry.original_changeset_len, entry.changeset.len() as u64, "{shown}");
            last = DownloadCursor {
                server_version: entry.server_version,
                last_integrated_client_version: client,
            };
            file.entries.push(entry);
        }
        file.download = is;
        file.latest = header.latest_server_version;
        file.acknowledged = header.upload_cursor;
    }
}

/// The fields that devices need, each of its type, and no others.
fn check_json(body: &Value, shown: &str) {
    let fields = body.as_object().unwrap();
    for (name, value) in fields {
        let fits = match name.as_str() {
            "tryAgain" | "shouldClientReset" | "isRecoveryModeDisabled" => value.is_boolean(),
            "message" | "logURL" | "action" => value.is_string(),
            "backoffIntervalSec" | "backoffMaxDelaySec" | "backoffMultiplier" => value.is_u64(),
            _ => false,
        };
        assert!(fits, "field {name} of {shown}");
    }
    for name in
        ["tryAgain", "message", "shouldClientReset", "isRecoveryModeDisabled", "logURL", "action"]
    {
        assert!(fields.contains_key(name), "{name} is missing in {shown}");
    }
    let backoff = ["backoffIntervalSec", "backoffMaxDelaySec", "backoffMultiplier"];
    let count = backoff.iter().filter(|name| fields.contains_key(**name)).count();
    assert!(count == 0 || count == 3, "a part of the back-off is missing in {shown}");
    // The actions that this server has a use for; 13.13 knows them all.
    let (action, try_again) = (fields["action"].as_str().unwrap(), &fields["tryAgain"]);
    let is_reset = action == "ClientReset";
    match action {
        "Transient" => assert_eq!(try_again, true, "{shown}"),
        "ApplicationBug" | "ProtocolViolation" | "ClientReset" => {
            assert_eq!(try_again, false, "{shown}");
        }
        _ => panic!("an action that no case needs: {shown}"),
    }
    assert_eq!(fields["shouldClientReset"], is_reset, "what devices of 4 to 6 go by: {shown}");
}
