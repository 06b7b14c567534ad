//! This side of one connection without its socket: what is read, what waits to be written, and when it is over.
//!
//! An [`Endpoint`] is a [`Connection`] with all that is decided around it. Times are durations since any instant
//! that stays the same; they never go back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::close_code::CloseCode;
use bailiwick_protocol::error_code::ConnectionCode;
use bailiwick_protocol::ident::{FileIdent, SessionIdent};
use bailiwick_protocol::message::{ClientIdent, ClientMessage, Refusal, ServerMessage};
use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::DownloadCursor;
use bytes::Bytes;

use super::WebSocketConfig;
use crate::realm::Signal;
use crate::session::{
    AcceptedUpload, Connection, GoAway, Input, Output, PreparedDownload, SessionConfig, SessionKey,
};

/// One connection, from the upgrade to its end.
#[derive(Debug)]
pub struct Endpoint {
    machine: Connection,
    version: ProtocolVersion,
    config: WebSocketConfig,
    waiting: VecDeque<Outgoing>,
    heard_at: Duration,
    check_access_at: Duration,
    /// How long the device may take to go, once the last message was decided upon.
    closing: Option<Duration>,
    close_at: Option<Duration>,
    was_refused: bool,
}

/// What the device sent.
#[derive(Debug)]
pub enum Received {
    /// A message.
    Binary(Bytes),
    /// The same, read already.
    Message(ClientMessage),
    /// A message that cannot be one of this protocol.
    Text,
    /// The beginning of a message that is longer than any may be.
    TooBig,
    /// What the WebSocket itself answers.
    Control,
}

/// What is to be written.
#[derive(Debug)]
pub enum Outgoing {
    /// A message.
    Message(ServerMessage),
    /// A DOWNLOAD. [`Input::Writable`] says that it has left.
    Download(PreparedDownload),
    /// The end of the connection.
    Close(CloseCode),
}

/// What the driver must do; the session's realm is the one that was opened for it.
#[derive(Debug)]
pub enum Request {
    /// Open the realm of a partition for a session.
    Open(SessionKey, PartitionValue),
    /// Ask for a client file; the answer is [`Input::Allocated`].
    Allocate(SessionKey),
    /// Bind a client file; the answer is [`Input::Identified`].
    Identify(SessionKey, ClientIdent),
    /// Queue an upload.
    Upload(SessionKey, AcceptedUpload),
    /// Scan the history; the answer is [`Input::Scanned`].
    Scan(SessionKey, FileIdent, DownloadCursor),
    /// Let go of the realm, and of the client file if one is bound.
    Release(SessionKey),
    /// See whether the login still exists; if not, [`GoAway::AccessEnded`].
    CheckAccess,
}

/// Messages that wait to be written before nothing more is read.
const MAX_WAITING: usize = 64;
/// How long a device may take to go after a close frame: native ones send none back.
const CLOSE_FRAME_TIMEOUT: Duration = Duration::from_secs(1);

impl Endpoint {
    /// The endpoint of a connection that was made at `now`. The access token that let it in ends after
    /// `access_time_left`: from then on it is the login that counts.
    pub fn new(
        sessions: Arc<SessionConfig>,
        config: WebSocketConfig,
        version: ProtocolVersion,
        user_id: String,
        access_time_left: Duration,
        now: Duration,
    ) -> Self {
        Self {
            machine: Connection::new(sessions, version, user_id),
            version,
            config,
            waiting: VecDeque::new(),
            heard_at: now,
            check_access_at: now.saturating_add(access_time_left),
            closing: None,
            close_at: None,
            was_refused: false,
        }
    }

    /// Takes what the device sent. A MARK is about everything up to this moment: `latest` tells the news of a
    /// session's realm, if it is bound.
    pub fn receive(
        &mut self,
        now: Duration,
        received: Received,
        latest: impl FnOnce(SessionIdent) -> Option<(SessionKey, Signal)>,
        out: &mut Vec<Request>,
    ) {
        if !self.is_open() {
            return; // What the device had sent before it heard of the end.
        }
        self.heard_at = now;
        let (refusal, reason) = match received {
            Received::Control => return,
            Received::Message(message) => return self.on_message(message, latest, out),
            Received::Binary(bytes) => match ClientMessage::parse(self.version, &bytes) {
                Ok(message) => return self.on_message(message, latest, out),
                Err(error) => (error.refusal(), error.to_string()),
            },
            Received::Text => {
                let reason = "sync messages are binary, and this one is text";
                (Refusal::Error(ConnectionCode::BadSyntax), reason.to_owned())
            }
            Received::TooBig => {
                let reason = "a message is longer than any may be";
                (Refusal::Close(CloseCode::MessageTooBig), reason.to_owned())
            }
        };
        self.handle(Input::Unreadable { refusal, reason }, out);
    }

    fn on_message(
        &mut self,
        message: ClientMessage,
        latest: impl FnOnce(SessionIdent) -> Option<(SessionKey, Signal)>,
        out: &mut Vec<Request>,
    ) {
        if let ClientMessage::Mark(mark) = &message
            && let Some((key, signal)) = latest(mark.session)
        {
            self.handle(Input::Signal(key, signal), out);
        }
        self.handle(Input::Message(message), out);
    }

    /// Takes anything else that happened.
    pub fn handle(&mut self, input: Input, out: &mut Vec<Request>) {
        let mut outputs = Vec::new();
        self.machine.handle(input, &mut outputs);
        for output in outputs {
            match output {
                Output::Send(message) => self.waiting.push_back(Outgoing::Message(message)),
                Output::SendFirst(message) => self.send_first(message),
                Output::SendDownload(download) => {
                    self.waiting.push_back(Outgoing::Download(download));
                }
                Output::Open(key, partition) => out.push(Request::Open(key, partition)),
                Output::Allocate(key) => out.push(Request::Allocate(key)),
                Output::Identify(key, ident) => out.push(Request::Identify(key, ident)),
                Output::Upload(key, upload) => out.push(Request::Upload(key, upload)),
                Output::Scan(key, ident, cursor) => out.push(Request::Scan(key, ident, cursor)),
                Output::Release(key) => out.push(Request::Release(key)),
                Output::Finish => self.closing = Some(self.config.closing_timeout),
                Output::Close(code) => {
                    self.waiting.push_back(Outgoing::Close(code));
                    self.was_refused = true;
                    self.closing = Some(CLOSE_FRAME_TIMEOUT);
                }
            }
        }
    }

    /// Does what is due, and says when to call it again if nothing happens before; `None` once the connection is to be
    /// closed, whatever still waits. To be called after everything else.
    pub fn tick(&mut self, now: Duration, out: &mut Vec<Request>) -> Option<Duration> {
        if self.closing.is_none() && now >= self.idle_at() {
            self.handle(Input::GoAway(GoAway::Idle), out);
        }
        if let Some(timeout) = self.closing {
            let close_at = *self.close_at.get_or_insert(now + timeout);
            return (now < close_at).then_some(close_at);
        }
        if now >= self.check_access_at {
            self.check_access_at = now + self.config.access_check_interval;
            out.push(Request::CheckAccess);
        }
        Some(self.idle_at().min(self.check_access_at))
    }

    /// Whether the last message was not decided upon yet.
    pub fn is_open(&self) -> bool {
        self.closing.is_none()
    }

    /// Whether a close frame is the last message: the device may still be sending what is not wanted.
    pub fn was_refused(&self) -> bool {
        self.was_refused
    }

    /// Whether the next message of the device may be read. At the end anything is, to find out that it has left.
    pub fn wants_messages(&self) -> bool {
        !self.is_open() || (self.machine.wants_messages() && self.waiting.len() < MAX_WAITING)
    }

    /// The next message to be written.
    pub fn next_outgoing(&mut self) -> Option<Outgoing> {
        self.waiting.pop_front()
    }

    /// How many sessions there are.
    pub fn session_count(&self) -> usize {
        self.machine.session_count()
    }

    /// How many messages wait to be written.
    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Before all that wait, but after those that came first, too.
    fn send_first(&mut self, message: ServerMessage) {
        let is_pong =
            |outgoing: &&Outgoing| matches!(outgoing, Outgoing::Message(ServerMessage::Pong(_)));
        let index = self.waiting.iter().take_while(is_pong).count();
        self.waiting.insert(index, Outgoing::Message(message));
    }

    fn idle_at(&self) -> Duration {
        self.heard_at + self.config.idle_timeout
    }
}

#[cfg(test)]
mod tests;
