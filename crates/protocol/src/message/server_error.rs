//! ERROR and `JSON_ERROR` to a device. Spec: wire protocol, sections 3.2 and 7.

use bytes::Bytes;

use crate::error_code::{ConnectionCode, ErrorCode, SessionCode};
use crate::ident::SessionIdent;
use crate::message::ServerMessage;
use crate::message::error::ParseError;
use crate::message::error_body::{self, ErrorBody};
use crate::message::head::{self, Head, size};
use crate::protocol_version::ProtocolVersion;

/// What a server has to tell a device: with a code that no device aborts on, at the level where the code belongs.
///
/// It becomes a message once the version is known that the device speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerError {
    subject: Subject,
    body: ErrorBody,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    Connection(ConnectionCode),
    Session(SessionIdent, SessionCode),
}

/// A `JSON_ERROR`, for versions from 4 on.
///
/// Only [`ServerError::into_message`] makes one to be sent; a received one may have any code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    session: SessionIdent,
    code: ErrorCode,
    body: ErrorBody,
}

/// An ERROR, for versions 2 and 3.
///
/// Only [`ServerError::into_message`] makes one to be sent; a received one may have any code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    session: SessionIdent,
    code: ErrorCode,
    try_again: bool,
    text: String,
}

impl ServerError {
    /// An error that ends the connection: the last message on it.
    pub fn connection(code: ConnectionCode, body: ErrorBody) -> Self {
        Self { subject: Subject::Connection(code), body }
    }

    /// An error that ends a session, or, as a compensating write, does not.
    ///
    /// # Panics
    ///
    /// If `session` is [`SessionIdent::CONNECTION`]; no received message has that as its session.
    pub fn session(session: SessionIdent, code: SessionCode, body: ErrorBody) -> Self {
        assert_ne!(session, SessionIdent::CONNECTION, "an error of a session names it");
        Self { subject: Subject::Session(session, code), body }
    }

    /// The message for a device that speaks `version`: of the right kind, with a code and an action that are known
    /// there.
    pub fn into_message(self, version: ProtocolVersion) -> ServerMessage {
        let (session, code, body) = self.known_in(version);
        if version.has_json_errors() {
            return ServerMessage::JsonError(JsonError { session, code, body });
        }
        let ErrorBody { message: text, try_again, .. } = body;
        ServerMessage::Error(TextError { session, code, try_again, text })
    }

    fn known_in(self, version: ProtocolVersion) -> (SessionIdent, ErrorCode, ErrorBody) {
        let Self { subject, mut body } = self;
        body = body.for_version(version);
        match subject {
            Subject::Connection(code) => {
                (SessionIdent::CONNECTION, code.for_version(version).into(), body)
            }
            Subject::Session(session, code) => {
                let known = code.for_version(version);
                if code == SessionCode::CompensatingWrite && known != code {
                    body = body.without_compensation();
                }
                (session, known.into(), body)
            }
        }
    }
}

impl JsonError {
    pub(super) const NAME: &str = "json_error";

    /// The session, or the connection.
    pub fn session(&self) -> SessionIdent {
        self.session
    }

    /// What happened.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// All about it.
    pub fn body(&self) -> &ErrorBody {
        &self.body
    }

    pub(super) fn parse(
        version: ProtocolVersion,
        mut head: Head<'_>,
        body: &Bytes,
    ) -> Result<Self, ParseError> {
        let code = ErrorCode::from_number(head.code()?);
        let len = head.number("size")?;
        let session = head.session_or_connection()?;
        head.end_with_size(len, body)?;
        let body = error_body::parse(version, body)
            .map_err(|source| ParseError::Json { message: Self::NAME, source })?;
        Ok(Self { session, code, body })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        let body = error_body::print(&self.body);
        let fields = [u64::from(self.code.number()), size(body.len()), self.session.0];
        head::push(out, Self::NAME, &fields);
        out.extend_from_slice(&body);
    }
}

impl TextError {
    pub(super) const NAME: &str = "error";

    /// The session, or the connection.
    pub fn session(&self) -> SessionIdent {
        self.session
    }

    /// What happened.
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// Whether to come back.
    pub fn try_again(&self) -> bool {
        self.try_again
    }

    /// What happened, for people.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let code = ErrorCode::from_number(head.code()?);
        let len = head.number("size")?;
        let try_again = head.flag("try_again")?;
        let session = head.session_or_connection()?;
        head.end_with_size(len, body)?;
        Ok(Self { session, code, try_again, text: head::text(Self::NAME, body)? })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        let fields = [
            u64::from(self.code.number()),
            size(self.text.len()),
            u64::from(self.try_again),
            self.session.0,
        ];
        head::push(out, Self::NAME, &fields);
        out.extend_from_slice(self.text.as_bytes());
    }
}
