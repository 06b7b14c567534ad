//! One connection of a device and its sessions, as a state machine without I/O.
//!
//! [`Connection::handle`] takes what happened and appends what is to be done. Sockets, realms and clocks
//! are the driver's ([`crate::http::websocket`]). The machine holds no queue of its own: a session keeps a
//! cursor, and the next DOWNLOAD is built when the last one has left. Spec: wire protocol, sections 5 and 6.

mod download;
#[cfg(test)]
pub(crate) mod tests;
mod upload;
mod verdict;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bailiwick_core::apply::FORGIVING_PROTOCOL;
use bailiwick_core::history::UploadProgress;
use bailiwick_core::partition::{PartitionKey, PartitionValue};
use bailiwick_protocol::error_code::{ConnectionCode, SessionCode};
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{
    Bind, ClientError, ClientIdent, ClientMessage, DownloadEntry, DownloadHeader, ErrorBody, Mark,
    Refusal, RequestIdent, ServerError, ServerIdent, ServerMessage, Unbound, Upload,
};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::{DownloadCursor, ServerVersion, UploadCursor};

use crate::realm::{IdentifyRefused, RealmError, Scanned, SessionEnd, Signal};
pub use download::PreparedDownload;
pub use upload::AcceptedUpload;

/// What all connections of an app have in common.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// What the partition values of the app are.
    pub partition_key: PartitionKey,
    /// The longest body of an UPLOAD, inflated, in bytes.
    pub max_upload_len: usize,
    /// The most sessions of one connection.
    pub max_sessions: usize,
}

/// Characters of what a device reports that go to the log.
const MAX_REPORT_LEN: usize = 1000;

/// One session, even if the device uses its number again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionKey {
    /// The device's number.
    pub ident: SessionIdent,
    /// Ours.
    pub incarnation: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The device sent this.
    Message(ClientMessage),
    /// The device sent something else.
    Unreadable {
        /// What it is to be told.
        refusal: Refusal,
        /// What was wrong.
        reason: String,
    },
    /// The answer to [`Output::Allocate`].
    Allocated(SessionKey, Result<(FileIdent, Salt), RealmError>),
    /// The answer to [`Output::Identify`]: what is integrated or queued of the device's history, what it
    /// has locked, and the head of the realm's history.
    Identified(SessionKey, Result<(UploadCursor, ServerVersion, ServerVersion), IdentifyRefused>),
    /// The answer to [`Output::Scan`].
    Scanned(SessionKey, Result<Scanned, RealmError>),
    /// News of the realm of an identified session.
    Signal(SessionKey, Signal),
    /// All that was sent has left.
    Writable,
    /// The device has to go.
    GoAway(GoAway),
}

/// Why a device has to go, through no fault of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoAway {
    /// The server stops.
    ShuttingDown,
    /// The user or the login session does not exist any more.
    AccessEnded,
    /// Nothing was heard for too long.
    Idle,
    /// The device speaks flexible sync, and the app is partitioned.
    WrongMode,
}

/// What the driver must do.
#[derive(Debug)]
pub enum Output {
    /// Send a message after those before it.
    Send(ServerMessage),
    /// Send a message before all that wait.
    SendFirst(ServerMessage),
    /// Send a DOWNLOAD, and say [`Input::Writable`] once it has left.
    SendDownload(PreparedDownload),
    /// Open the realm of a partition for a session.
    Open(SessionKey, PartitionValue),
    /// Ask the session's realm for a client file.
    Allocate(SessionKey),
    /// Ask the session's realm to bind a client file. No message may be handed in before the answer.
    Identify(SessionKey, ClientIdent),
    /// Queue an upload in the session's realm.
    Upload(SessionKey, AcceptedUpload),
    /// Ask the session's realm for the entries after a cursor.
    Scan(SessionKey, FileIdent, DownloadCursor),
    /// Let go of the session's realm, and of the client file if it is bound to one.
    Release(SessionKey),
    /// The last message was sent: wait a little for the device to close the connection, then close it.
    Finish,
    /// Close the connection with this code.
    Close(bailiwick_protocol::close_code::CloseCode),
}

/// The state of one connection.
#[derive(Debug)]
pub struct Connection {
    config: Arc<SessionConfig>,
    version: ProtocolVersion,
    user_id: String,
    sessions: BTreeMap<SessionIdent, Session>,
    last_incarnation: u64,
    /// The session whose DOWNLOAD is being built.
    scanning: Option<SessionKey>,
    /// The sessions that have something to send, in the order in which they may.
    ready: VecDeque<SessionIdent>,
    is_writable: bool,
    is_over: bool,
}

#[derive(Debug)]
struct Session {
    key: SessionKey,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// BIND came; the client file is being allocated.
    Allocating,
    /// IDENT is to come.
    WaitingForIdent,
    /// IDENT came; the realm is looking at it.
    Identifying(ClientIdent),
    /// The client file is bound.
    Active(Active),
    /// An error was sent; whatever comes is ignored until UNBIND.
    Failed,
}

#[derive(Debug)]
struct Active {
    file_ident: FileIdent,
    progress: UploadProgress,
    /// What was sent.
    cursor: DownloadCursor,
    /// What is there to be sent.
    head: ServerVersion,
    /// The first DOWNLOAD is sent whether or not there is anything in it.
    has_downloaded: bool,
    /// The newest MARK, and the version that has to be sent before it is answered.
    mark: Option<(RequestIdent, ServerVersion)>,
}

impl Connection {
    /// A connection that has just been upgraded.
    pub fn new(config: Arc<SessionConfig>, version: ProtocolVersion, user_id: String) -> Self {
        Self {
            config,
            version,
            user_id,
            sessions: BTreeMap::new(),
            last_incarnation: 0,
            scanning: None,
            ready: VecDeque::new(),
            is_writable: true,
            is_over: false,
        }
    }

    /// Takes one event; appends to `out`, in order, what the driver must do.
    pub fn handle(&mut self, input: Input, out: &mut Vec<Output>) {
        if self.is_over {
            return;
        }
        match input {
            Input::Message(message) => self.on_message(message, out),
            Input::Unreadable { refusal, reason } => self.refuse(refusal, &reason, out),
            Input::Allocated(key, result) => self.on_allocated(key, result, out),
            Input::Identified(key, result) => self.on_identified(key, result, out),
            Input::Scanned(key, result) => self.on_scanned(key, result, out),
            Input::Signal(key, signal) => self.on_signal(key, signal, out),
            Input::Writable => self.is_writable = true,
            Input::GoAway(reason) => self.end(verdict::go_away(reason), out),
        }
        self.pump(out);
    }

    /// Whether the next message may be handed in.
    pub fn wants_messages(&self) -> bool {
        !self.sessions.values().any(|session| matches!(session.phase, Phase::Identifying(_)))
    }

    /// Whether the last message was sent.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    fn on_message(&mut self, message: ClientMessage, out: &mut Vec<Output>) {
        match message {
            ClientMessage::Ping(ping) => {
                out.push(Output::SendFirst(ServerMessage::Pong(ping.pong())));
            }
            ClientMessage::Bind(bind) => self.on_bind(&bind, out),
            ClientMessage::Error(error) if error.session == SessionIdent::CONNECTION => {
                self.on_error(&error);
            }
            message => {
                if let Some(session) = self.sessions.get_mut(&message.session()) {
                    match (&mut session.phase, message) {
                        (Phase::Failed, ClientMessage::Unbind(unbind)) => {
                            self.sessions.remove(&unbind.session);
                        }
                        // What was on its way when the error went out.
                        (Phase::Failed, _) => (),
                        (_, ClientMessage::Unbind(unbind)) => self.on_unbind(unbind.session, out),
                        (_, ClientMessage::Error(error)) => self.on_error(&error),
                        (Phase::WaitingForIdent, ClientMessage::Ident(ident)) => {
                            session.phase = Phase::Identifying(ident);
                            out.push(Output::Identify(session.key, ident));
                        }
                        (Phase::Active(_), ClientMessage::Upload(upload)) => {
                            self.on_upload(&upload, out);
                        }
                        (Phase::Active(active), ClientMessage::Mark(mark)) => {
                            active.mark = Some((mark.request_ident, active.head));
                            self.is_ready(mark.session);
                        }
                        (_, message) => {
                            let reason =
                                format!("{} came at the wrong time", message.name().to_uppercase());
                            self.violation(ConnectionCode::BadMessageOrder, &reason, out);
                        }
                    }
                } else {
                    let reason = format!(
                        "{} names session {}, which does not exist",
                        message.name(),
                        message.session()
                    );
                    self.violation(ConnectionCode::BadSessionIdent, &reason, out);
                }
            }
        }
    }

    fn on_bind(&mut self, bind: &Bind, out: &mut Vec<Output>) {
        if self.sessions.contains_key(&bind.session) {
            let reason = format!("session {} exists", bind.session);
            return self.violation(ConnectionCode::ReuseOfSessionIdent, &reason, out);
        }
        // Sessions in error take room as well, until the device unbinds them.
        if self.sessions.len() >= self.config.max_sessions.saturating_mul(2) {
            return self.end(verdict::session_flood(self.config.max_sessions), out);
        }
        self.last_incarnation += 1;
        let key = SessionKey { ident: bind.session, incarnation: self.last_incarnation };
        match self.partition(bind) {
            Ok(partition) => {
                out.push(Output::Open(key, partition));
                let phase = if bind.need_client_file_ident {
                    out.push(Output::Allocate(key));
                    Phase::Allocating
                } else {
                    Phase::WaitingForIdent
                };
                self.sessions.insert(bind.session, Session { key, phase });
            }
            Err((code, body)) => {
                self.sessions.insert(bind.session, Session { key, phase: Phase::Failed });
                self.send_error(bind.session, code, body, out);
            }
        }
    }

    /// The partition that a BIND asks for.
    fn partition(&self, bind: &Bind) -> Result<PartitionValue, (SessionCode, ErrorBody)> {
        if self.sessions.len() >= self.config.max_sessions {
            return Err(verdict::too_many_sessions(self.config.max_sessions));
        }
        if bind.is_subserver {
            return Err(verdict::subserver());
        }
        self.config.partition_key.bind(&bind.path).map_err(|error| verdict::partition(&error))
    }

    fn on_allocated(
        &mut self,
        key: SessionKey,
        result: Result<(FileIdent, Salt), RealmError>,
        out: &mut Vec<Output>,
    ) {
        // If the session has ended meanwhile, the ident is never used.
        let Some(session) = self.session(key) else { return };
        let Phase::Allocating = session.phase else { return };
        match result {
            Ok((file_ident, file_ident_salt)) => {
                session.phase = Phase::WaitingForIdent;
                let ident = ServerIdent { session: key.ident, file_ident, file_ident_salt };
                out.push(Output::Send(ServerMessage::Ident(ident)));
            }
            Err(error) => self.fail(key.ident, verdict::realm(&error), out),
        }
    }

    fn on_identified(
        &mut self,
        key: SessionKey,
        result: Result<(UploadCursor, ServerVersion, ServerVersion), IdentifyRefused>,
        out: &mut Vec<Output>,
    ) {
        let Some(session) = self.session(key) else { return };
        let Phase::Identifying(ident) = session.phase else { return };
        match result {
            Ok((threshold, locked, head)) => {
                session.phase = Phase::Active(Active {
                    file_ident: ident.file_ident,
                    progress: UploadProgress::new(threshold, locked),
                    cursor: ident.download_cursor,
                    head,
                    has_downloaded: false,
                    mark: None,
                });
                self.is_ready(key.ident);
            }
            Err(IdentifyRefused::BoundInOtherSession) => {
                let reason =
                    format!("client file {} is bound in another session", ident.file_ident);
                self.violation(ConnectionCode::BoundInOtherSession, &reason, out);
            }
            Err(IdentifyRefused::Ident(error)) => self.fail(key.ident, verdict::ident(&error), out),
            Err(IdentifyRefused::Realm(error)) => self.fail(key.ident, verdict::realm(&error), out),
        }
    }

    fn on_upload(&mut self, upload: &Upload, out: &mut Vec<Output>) {
        let ident = upload.header.session;
        let Some(Session { key, phase: Phase::Active(active) }) = self.sessions.get_mut(&ident)
        else {
            return;
        };
        let sent = active.cursor.server_version;
        match upload::accept(
            upload,
            active.file_ident,
            &mut active.progress,
            sent,
            self.config.max_upload_len,
        ) {
            Ok(Some(accepted)) => out.push(Output::Upload(*key, accepted)),
            Ok(None) => (),
            Err(upload::Refused::Message(refusal, reason)) => self.refuse(refusal, &reason, out),
            Err(upload::Refused::Session(code, body)) => self.fail(ident, (code, body), out),
        }
    }

    fn on_unbind(&mut self, ident: SessionIdent, out: &mut Vec<Output>) {
        if let Some(session) = self.sessions.remove(&ident) {
            out.push(Output::Release(session.key));
            out.push(Output::Send(ServerMessage::Unbound(Unbound { session: ident })));
        }
    }

    /// The device could not make use of what it was sent. It says no more in this session, which it ends
    /// when the application does; there is nothing to answer.
    fn on_error(&self, error: &ClientError) {
        tracing::error!(
            user_id = self.user_id,
            session = error.session.0,
            code = %error.code,
            message = error.message().chars().take(MAX_REPORT_LEN).collect::<String>(),
            "a device reports an error",
        );
    }

    fn on_scanned(
        &mut self,
        key: SessionKey,
        result: Result<Scanned, RealmError>,
        out: &mut Vec<Output>,
    ) {
        if self.scanning == Some(key) {
            self.scanning = None;
        }
        let version = self.version;
        let Some(Session { phase: Phase::Active(active), .. }) = self.session(key) else { return };
        let scanned = match result {
            Ok(scanned) => scanned,
            Err(error) => return self.fail(key.ident, verdict::realm(&error), out),
        };
        let items = &scanned.download.items;
        let required =
            items.iter().map(|item| item.entry.required_protocol).max().unwrap_or_default();
        if required > version.number() {
            return self.fail(key.ident, verdict::too_old(version, required), out);
        }
        active.cursor = scanned.download.cursor;
        active.head = active.head.max(scanned.head.version);
        active.has_downloaded = true;
        let header = DownloadHeader {
            session: key.ident,
            download_cursor: active.cursor,
            latest_server_version: scanned.head,
            upload_cursor: scanned.upload_cursor,
            downloadable_bytes: scanned.remaining_len,
        };
        let entries = items.iter().map(|item| DownloadEntry {
            server_version: item.entry.version.version,
            last_integrated_client_version: item.last_integrated_client_version,
            origin_timestamp: item.entry.origin_timestamp,
            origin_file_ident: item.origin_file_ident(),
            original_changeset_len: item.entry.changeset.len() as u64,
            changeset: item.entry.changeset.clone(),
        });
        self.is_writable = false;
        let entries = entries.collect();
        let for_older = (version.number() < FORGIVING_PROTOCOL).then_some(scanned.schema);
        out.push(Output::SendDownload(PreparedDownload { header, entries, for_older }));
        self.is_ready(key.ident);
    }

    fn on_signal(&mut self, key: SessionKey, signal: Signal, out: &mut Vec<Output>) {
        let Some(Session { phase: Phase::Active(active), .. }) = self.session(key) else { return };
        active.head = active.head.max(signal.head);
        match signal.end {
            None => self.is_ready(key.ident),
            Some(SessionEnd::Rejected(rejection)) => {
                self.fail(key.ident, verdict::rejected(&rejection), out);
            }
            Some(SessionEnd::Failed(error)) => self.fail(key.ident, verdict::realm(&error), out),
            Some(SessionEnd::TakenOver) => self.end(verdict::taken_over(), out),
            Some(SessionEnd::Overloaded) => self.end(verdict::overloaded(), out),
        }
    }

    /// Puts a session among those that may have something to send.
    fn is_ready(&mut self, ident: SessionIdent) {
        if !self.ready.contains(&ident) {
            self.ready.push_back(ident);
        }
    }

    /// Answers MARKs, and asks for the next DOWNLOAD if there is room for one.
    fn pump(&mut self, out: &mut Vec<Output>) {
        for _ in 0..self.ready.len() {
            let Some(ident) = self.ready.pop_front() else { return };
            let Some(Session { key, phase: Phase::Active(active) }) = self.sessions.get_mut(&ident)
            else {
                continue;
            };
            if let Some((request_ident, target)) = active.mark
                && active.has_downloaded
                && active.cursor.server_version >= target
            {
                active.mark = None;
                out.push(Output::Send(ServerMessage::Mark(Mark { session: ident, request_ident })));
            }
            if active.has_downloaded && active.cursor.server_version >= active.head {
                continue;
            }
            if self.is_writable && self.scanning.is_none() {
                self.scanning = Some(*key);
                out.push(Output::Scan(*key, active.file_ident, active.cursor));
            } else if self.scanning != Some(*key) {
                self.ready.push_back(ident);
            }
        }
    }

    fn session(&mut self, key: SessionKey) -> Option<&mut Session> {
        self.sessions.get_mut(&key.ident).filter(|session| session.key == key)
    }

    /// Ends a session with an error; nothing more is sent in it.
    fn fail(
        &mut self,
        ident: SessionIdent,
        (code, body): (SessionCode, ErrorBody),
        out: &mut Vec<Output>,
    ) {
        if let Some(session) = self.sessions.get_mut(&ident) {
            out.push(Output::Release(session.key));
            session.phase = Phase::Failed;
            self.send_error(ident, code, body, out);
        }
    }

    fn send_error(
        &self,
        ident: SessionIdent,
        code: SessionCode,
        body: ErrorBody,
        out: &mut Vec<Output>,
    ) {
        tracing::warn!(
            user_id = self.user_id,
            session = ident.0,
            %code,
            message = body.message,
            "ended a session",
        );
        let error = ServerError::session(ident, code, body);
        out.push(Output::Send(error.into_message(self.version)));
    }

    /// Answers what the device should not have sent.
    fn violation(&mut self, code: ConnectionCode, reason: &str, out: &mut Vec<Output>) {
        self.end(verdict::violation(code, reason), out);
    }

    fn refuse(&mut self, refusal: Refusal, reason: &str, out: &mut Vec<Output>) {
        match refusal {
            Refusal::Error(code) => self.violation(code, reason, out),
            Refusal::Close(code) => {
                tracing::warn!(user_id = self.user_id, ?code, reason, "closed a connection");
                self.is_over = true;
                out.push(Output::Close(code));
            }
        }
    }

    /// Ends the connection with an error as the last message.
    fn end(&mut self, (code, body): (ConnectionCode, ErrorBody), out: &mut Vec<Output>) {
        tracing::info!(user_id = self.user_id, %code, message = body.message, "ended a connection");
        self.is_over = true;
        let error = ServerError::connection(code, body);
        out.push(Output::Send(error.into_message(self.version)));
        out.push(Output::Finish);
    }
}
