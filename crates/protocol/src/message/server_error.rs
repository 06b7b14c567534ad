//! ERROR and `JSON_ERROR` to a device. Spec: wire protocol, sections 3.2 and 7.

use bytes::Bytes;

use crate::action::Action;
use crate::error_code::{ConnectionCode, ErrorCode, SessionCode};
use crate::ident::SessionIdent;
use crate::message::ServerMessage;
use crate::message::error::ParseError;
use crate::message::error_body::{self, ErrorBody, Rejection};
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
    CompensatingWrite(SessionIdent),
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

    /// An error that ends a session: the last message of it.
    ///
    /// # Panics
    ///
    /// If `session` is [`SessionIdent::CONNECTION`]; no received message has that as its session.
    pub fn session(session: SessionIdent, code: SessionCode, body: ErrorBody) -> Self {
        assert_ne!(session, SessionIdent::CONNECTION, "an error of a session names it");
        Self { subject: Subject::Session(session, code), body }
    }

    /// Writes were refused and are being undone: goes before the DOWNLOAD that undoes them. The session goes on,
    /// except with devices that know of no compensating writes: for them it is a client reset.
    ///
    /// Devices abort if they are not told which entry undoes the writes, so `rejection` is no option.
    ///
    /// # Panics
    ///
    /// If `session` is [`SessionIdent::CONNECTION`]; no received message has that as its session.
    pub fn compensating_write(
        session: SessionIdent,
        message: impl Into<String>,
        rejection: Rejection,
    ) -> Self {
        assert_ne!(session, SessionIdent::CONNECTION, "an error of a session names it");
        let body =
            ErrorBody { rejection: Some(rejection), ..ErrorBody::new(Action::Warning, message) };
        Self { subject: Subject::CompensatingWrite(session), body }
    }

    /// Whether nothing more may be sent to the session, or on the connection, once a device that speaks `version`
    /// was told.
    pub fn is_last(&self, version: ProtocolVersion) -> bool {
        !matches!(self.subject, Subject::CompensatingWrite(_)) || !version.has_compensating_writes()
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
        let Self { subject, body } = self;
        match subject {
            Subject::Connection(code) => {
                let code = code.for_version(version).into();
                (SessionIdent::CONNECTION, code, body.for_version(version))
            }
            Subject::Session(session, code) => {
                (session, code.for_version(version).into(), body.for_version(version))
            }
            Subject::CompensatingWrite(session) if version.has_compensating_writes() => {
                (session, ErrorCode::CompensatingWrite, body)
            }
            Subject::CompensatingWrite(session) => {
                let code = SessionCode::WriteNotAllowed.for_version(version);
                (session, code.into(), ErrorBody::new(Action::ClientReset, body.message))
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
