//! `LOG_MESSAGE`: a line for the log of a device. Spec: wire protocol, section 3.2.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::ident::SessionIdent;
use crate::message::error::ParseError;
use crate::message::head::{self, Head, size};
use crate::protocol_version::ProtocolVersion;

/// A line for the log of a device.
///
/// There is none for versions that would take it as a violation of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogMessage {
    session: SessionIdent,
    line: LogLine,
}

/// What a [`LogMessage`] says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// How important it is; devices take none as [`LogLevel::Debug`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<LogLevel>,
    /// The text.
    #[serde(default, rename = "msg", skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The request id that the device shows in later lines; the first one stays.
    #[serde(default, rename = "co_id", skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// How important a [`LogLine`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are those of every log")]
pub enum LogLevel {
    Fatal,
    Error,
    Warn,
    Info,
    Detail,
    Debug,
    Trace,
}

impl LogMessage {
    pub(super) const NAME: &str = "log_message";

    /// The message to a session, or to the connection, if devices of this version understand it.
    pub fn for_version(
        version: ProtocolVersion,
        session: SessionIdent,
        line: LogLine,
    ) -> Option<Self> {
        version.has_log_messages().then_some(Self { session, line })
    }

    /// The session, or the connection.
    pub fn session(&self) -> SessionIdent {
        self.session
    }

    /// What it says.
    pub fn line(&self) -> &LogLine {
        &self.line
    }

    pub(super) fn parse(mut head: Head<'_>, body: &Bytes) -> Result<Self, ParseError> {
        let session = head.session_or_connection()?;
        let len = head.number("size")?;
        head.end_with_size(len, body)?;
        let line = serde_json::from_slice(body)
            .map_err(|source| ParseError::Json { message: Self::NAME, source })?;
        Ok(Self { session, line })
    }

    pub(super) fn print_to(&self, out: &mut Vec<u8>) {
        let body = serde_json::to_vec(&self.line).expect("texts and a level are always JSON");
        head::push(out, Self::NAME, &[self.session.0, size(body.len())]);
        out.extend_from_slice(&body);
    }
}
