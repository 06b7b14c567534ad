//! The messages of partition-based sync, in both directions: from bytes, and to the same bytes.
//!
//! One message is one binary WebSocket message: a header line of decimal fields, then a body. Parsing takes nothing
//! on trust: every field is there, in its only spelling, and every size is that of what came. Bodies keep the form in
//! which they travel until somebody asks for their entries, and share the memory of the payload.
//!
//! ```
//! use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;
//! use bailiwick_protocol::message::{Body, ClientMessage, ServerMessage, Upload};
//! use bailiwick_protocol::protocol_version::ProtocolVersion;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let version = ProtocolVersion::new(9).unwrap();
//! let payload = b"upload 1 0 45 0 5 1 1\n2 0 375249941155 0 3 abc3 1 375249941165 0 0 ";
//! let message = ClientMessage::parse(version, &payload.as_slice().into())?;
//! assert_eq!(message.print(), payload);
//!
//! let ClientMessage::Upload(upload) = message else { unreachable!() };
//! let plain = upload.body.inflate(DEFAULT_MAX_PLAIN_LEN)?;
//! let entries = Upload::entries(plain).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(entries[0].changeset, b"abc".as_slice());
//! assert_eq!(Body::from_entries(&entries), upload.body);
//!
//! // What was not understood says what the device is to be told.
//! let error = ClientMessage::parse(version, &b"upload 1  0\n".as_slice().into()).unwrap_err();
//! assert_eq!(error.to_string(), "upload: is_compressed: a digit is missing");
//! # Ok(())
//! # }
//! ```
//!
//! Errors to devices start as a [`ServerError`], which knows what real devices make of them, and become a message
//! once the version is known.
//!
//! Spec: wire protocol, sections 2 to 4.

mod bind;
mod ident;
mod upload;

mod download;
mod error_body;
mod log_message;
mod server_error;

mod client_error;
mod mark;
mod ping;
mod unbind;

mod body;
mod decimal;
mod entry;
mod error;
mod head;
pub mod limits;

use bytes::Bytes;

pub use bind::Bind;
pub use body::Body;
pub use client_error::ClientError;
pub use download::{CursorError, Download, DownloadHeader};
pub use entry::{DownloadEntry, Entries, Entry, UploadEntry};
pub use error::{EntryError, EntryFault, InflateError, NumberFault, ParseError, Refusal};
pub use error_body::{Backoff, ErrorBody, RejectedUpdate, Rejection};
pub use ident::{ClientIdent, ServerIdent};
pub use log_message::{LogLevel, LogLine, LogMessage};
pub use mark::{Mark, RequestIdent};
pub use ping::{Ping, Pong};
pub use server_error::{JsonError, ServerError, TextError};
pub use unbind::{Unbind, Unbound};
pub use upload::{Upload, UploadHeader};

use crate::ident::SessionIdent;
use crate::protocol_version::ProtocolVersion;
use head::{Head, Split};

/// What a device sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientMessage {
    /// Opens a session for a partition.
    Bind(Bind),
    /// Says which client file the device is.
    Ident(ClientIdent),
    /// Brings changesets.
    Upload(Upload),
    /// Asks to be told when everything up to now has been sent.
    Mark(Mark),
    /// Ends a session.
    Unbind(Unbind),
    /// Makes sure that the connection lives.
    Ping(Ping),
    /// Could not make use of what the server sent. Since 7.
    Error(ClientError),
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerMessage {
    /// Gives a device its client file ident.
    Ident(ServerIdent),
    /// Brings changesets, and acknowledges uploads.
    Download(Download),
    /// Everything up to when the device asked has been sent.
    Mark(Mark),
    /// The session has ended.
    Unbound(Unbound),
    /// The connection lives.
    Pong(Pong),
    /// An error, up to version 3.
    Error(TextError),
    /// An error, since 4.
    JsonError(JsonError),
    /// A line for the device's log. Since 10.
    LogMessage(LogMessage),
}

impl ClientMessage {
    /// Reads what came as one binary WebSocket message on a connection that speaks `version`.
    ///
    /// Takes time and memory in proportion to the header; bodies of UPLOADs share the memory of `payload`.
    ///
    /// # Errors
    ///
    /// Unless all of `payload` is one message that a device may send in this version. The error says what the
    /// device is told. Messages of flexible sync and those that no device sends any more are unknown.
    pub fn parse(version: ProtocolVersion, payload: &Bytes) -> Result<Self, ParseError> {
        let Split { name, fields, body } = head::split(payload)?;
        let head = |name| Head::new(name, fields);
        match name {
            b"bind" => Bind::parse(head(bind::NAME), &body).map(Self::Bind),
            b"ident" => ClientIdent::parse(head(ident::NAME), &body).map(Self::Ident),
            b"upload" => Upload::parse(head(upload::NAME), body).map(Self::Upload),
            b"mark" => Mark::parse(head(mark::NAME), &body).map(Self::Mark),
            b"unbind" => Unbind::parse(head(Unbind::NAME), &body).map(Self::Unbind),
            b"ping" => Ping::parse(head(Ping::NAME), &body).map(Self::Ping),
            b"json_error" if version.has_client_errors() => {
                ClientError::parse(head(ClientError::NAME), &body).map(Self::Error)
            }
            name => Err(unknown(name)),
        }
    }

    /// The bytes of one binary WebSocket message.
    pub fn print(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Bind(message) => message.print_to(&mut out),
            Self::Ident(message) => message.print_to(&mut out),
            Self::Upload(message) => message.print_to(&mut out),
            Self::Mark(message) => message.print_to(&mut out),
            Self::Unbind(message) => message.print_to(&mut out),
            Self::Ping(message) => message.print_to(&mut out),
            Self::Error(message) => message.print_to(&mut out),
        }
        out
    }

    /// The session that the message belongs to; a PING belongs to the connection.
    pub fn session(&self) -> SessionIdent {
        match self {
            Self::Bind(message) => message.session,
            Self::Ident(message) => message.session,
            Self::Upload(message) => message.header.session,
            Self::Mark(message) => message.session,
            Self::Unbind(message) => message.session,
            Self::Ping(_) => SessionIdent::CONNECTION,
            Self::Error(message) => message.session,
        }
    }

    /// The name, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Bind(_) => bind::NAME,
            Self::Ident(_) => ident::NAME,
            Self::Upload(_) => upload::NAME,
            Self::Mark(_) => mark::NAME,
            Self::Unbind(_) => Unbind::NAME,
            Self::Ping(_) => Ping::NAME,
            Self::Error(_) => ClientError::NAME,
        }
    }
}

impl ServerMessage {
    /// Reads what came as one binary WebSocket message on a connection that speaks `version`.
    ///
    /// Takes time and memory in proportion to the header and to the JSON of errors and log messages; bodies of
    /// DOWNLOADs share the memory of `payload`.
    ///
    /// # Errors
    ///
    /// Unless all of `payload` is one message that a server may send in this version. ERROR is read in every
    /// version, as devices do.
    pub fn parse(version: ProtocolVersion, payload: &Bytes) -> Result<Self, ParseError> {
        let Split { name, fields, body } = head::split(payload)?;
        let head = |name| Head::new(name, fields);
        match name {
            b"ident" => ServerIdent::parse(head(ident::NAME), &body).map(Self::Ident),
            b"download" => Download::parse(head(download::NAME), body).map(Self::Download),
            b"mark" => Mark::parse(head(mark::NAME), &body).map(Self::Mark),
            b"unbound" => Unbound::parse(head(Unbound::NAME), &body).map(Self::Unbound),
            b"pong" => Pong::parse(head(Pong::NAME), &body).map(Self::Pong),
            b"error" => TextError::parse(head(TextError::NAME), &body).map(Self::Error),
            b"json_error" if version.has_json_errors() => {
                JsonError::parse(version, head(JsonError::NAME), &body).map(Self::JsonError)
            }
            b"log_message" if version.has_log_messages() => {
                LogMessage::parse(head(LogMessage::NAME), &body).map(Self::LogMessage)
            }
            name => Err(unknown(name)),
        }
    }

    /// The bytes of one binary WebSocket message.
    ///
    /// For a DOWNLOAD that is made from entries, see [`DownloadHeader::print_with`].
    pub fn print(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Ident(message) => message.print_to(&mut out),
            Self::Download(message) => message.print_to(&mut out),
            Self::Mark(message) => message.print_to(&mut out),
            Self::Unbound(message) => message.print_to(&mut out),
            Self::Pong(message) => message.print_to(&mut out),
            Self::Error(message) => message.print_to(&mut out),
            Self::JsonError(message) => message.print_to(&mut out),
            Self::LogMessage(message) => message.print_to(&mut out),
        }
        out
    }

    /// The session that the message belongs to, or the connection.
    pub fn session(&self) -> SessionIdent {
        match self {
            Self::Ident(message) => message.session,
            Self::Download(message) => message.header.session,
            Self::Mark(message) => message.session,
            Self::Unbound(message) => message.session,
            Self::Pong(_) => SessionIdent::CONNECTION,
            Self::Error(message) => message.session(),
            Self::JsonError(message) => message.session(),
            Self::LogMessage(message) => message.session(),
        }
    }

    /// The name, for logs and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ident(_) => ident::NAME,
            Self::Download(_) => download::NAME,
            Self::Mark(_) => mark::NAME,
            Self::Unbound(_) => Unbound::NAME,
            Self::Pong(_) => Pong::NAME,
            Self::Error(_) => TextError::NAME,
            Self::JsonError(_) => JsonError::NAME,
            Self::LogMessage(_) => LogMessage::NAME,
        }
    }
}

/// The longest part of an unknown name that is kept, in bytes; names that exist are shorter.
const MAX_NAME_LEN: usize = 32;

fn unknown(name: &[u8]) -> ParseError {
    let name = &name[..name.len().min(MAX_NAME_LEN)];
    ParseError::UnknownMessage(String::from_utf8_lossy(name).into_owned())
}
