//! Why bytes from the other side were refused, and what that side is told.
//!
//! Spec: wire protocol, sections 2 and 6.2.

use std::str::Utf8Error;

use crate::close_code::CloseCode;
use crate::error_code::ConnectionCode;
pub use crate::message::decimal::NumberFault;
use crate::message::limits::MAX_HEADER_LEN;

/// Why a WebSocket message is not a sync message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// Empty, or not a header.
    #[error("there is no line feed within the first {MAX_HEADER_LEN} bytes")]
    NoHeader,
    /// No message of this direction, mode and protocol version; the name is cut after some characters.
    #[error("there is no message {0:?}")]
    UnknownMessage(String),
    /// A field is missing or is not what it should be.
    #[error("{message}: {field}: {fault}")]
    Field {
        /// The name of the message.
        message: &'static str,
        /// The name of the field.
        field: &'static str,
        /// What is wrong with it.
        fault: NumberFault,
    },
    /// The header goes on after the last field.
    #[error("{message}: the header goes on after its last field")]
    TrailingFields {
        /// The name of the message.
        message: &'static str,
    },
    /// A message of a session names none.
    #[error("{message}: 0 is not a session")]
    NoSession {
        /// The name of the message.
        message: &'static str,
    },
    /// What follows the header is shorter or longer than the header says.
    #[error("{message}: a body of {announced} bytes is announced, {actual} came")]
    Size {
        /// The name of the message.
        message: &'static str,
        /// The size that the header states, all parts together.
        announced: u64,
        /// The bytes after the header.
        actual: usize,
    },
    /// A part of the body is longer than any device makes it, or empty although it is needed.
    #[error("{message}: the length of the {part} is {len}, not {least} to {most}")]
    Length {
        /// The name of the message.
        message: &'static str,
        /// The part.
        part: &'static str,
        /// Its length in bytes.
        len: usize,
        /// The least length.
        least: usize,
        /// The greatest length.
        most: usize,
    },
    /// A text is not UTF-8.
    #[error("{message}: the body is not UTF-8")]
    NotUtf8 {
        /// The name of the message.
        message: &'static str,
        /// Where it ends being UTF-8.
        source: Utf8Error,
    },
    /// A JSON body is not JSON, or a field is missing or has the wrong type.
    #[error("{message}: the body is not what it should be")]
    Json {
        /// The name of the message.
        message: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// Why a body did not inflate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// Longer than the limit of the deployment; nothing was allocated.
    #[error("a plain body of {announced} bytes is announced, {limit} are allowed")]
    TooLarge {
        /// The announced length.
        announced: u64,
        /// The greatest length.
        limit: usize,
    },
    /// So few bytes can't inflate to so many; nothing was allocated.
    #[error("{compressed} bytes can't inflate to the announced {announced}")]
    Implausible {
        /// The length on the wire.
        compressed: usize,
        /// The announced length.
        announced: u64,
    },
    /// Not a zlib stream.
    #[error("the body is not a zlib stream")]
    Corrupt(#[source] flate2::DecompressError),
    /// The stream does not end where the message ends.
    #[error("the zlib stream does not end with the message")]
    WrongEnd,
    /// The stream is in order but does not yield the announced length.
    #[error("the body inflates to {actual} bytes, {announced} are announced")]
    WrongLength {
        /// The announced length.
        announced: u64,
        /// The actual length; if it is longer than announced, the least that it is.
        actual: usize,
    },
}

/// Why a plain body is not a list of entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {index}, at byte {offset} of the body: {field}: {fault}")]
pub struct EntryError {
    /// Which entry, from zero.
    pub index: usize,
    /// Where the field stands in the plain body.
    pub offset: usize,
    /// The field.
    pub field: &'static str,
    /// What is wrong with it.
    pub fault: EntryFault,
}

/// What is wrong with a field of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EntryFault {
    /// It is not a number.
    #[error(transparent)]
    Number(#[from] NumberFault),
    /// The changeset would end after the body.
    #[error("{announced} bytes are announced, {left} are left")]
    Truncated {
        /// The announced size of the changeset.
        announced: u64,
        /// The bytes that are left.
        left: usize,
    },
}

/// How a connection ends that brought unreadable bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// With this error, as the last message.
    Error(ConnectionCode),
    /// With this close code.
    Close(CloseCode),
}

impl ParseError {
    /// What the device is told.
    pub fn refusal(&self) -> Refusal {
        Refusal::Error(match self {
            Self::NoSession { .. } => ConnectionCode::BadSessionIdent,
            _ => ConnectionCode::BadSyntax,
        })
    }
}

impl InflateError {
    /// What the device is told.
    ///
    /// A body above the limit will never be accepted, so the device has to give it up.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::TooLarge { .. } => Refusal::Close(CloseCode::MessageTooBig),
            _ => Refusal::Error(ConnectionCode::OtherError),
        }
    }
}

impl EntryError {
    /// What the device is told.
    pub fn refusal(&self) -> Refusal {
        Refusal::Error(ConnectionCode::BadSyntax)
    }
}
