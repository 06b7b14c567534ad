//! Why a DOWNLOAD cannot be integrated.

use std::ops::RangeInclusive;

use bailiwick_core::EncodingError;
use bailiwick_core::apply::{ApplyError, Refusal};
use bailiwick_core::merge::MergeError;
use bailiwick_protocol::changeset::DecodeError;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::message::{CursorError, EntryError};
use bailiwick_protocol::version::{ClientVersion, ServerVersion};

use crate::local::LocalError;

/// Why a DOWNLOAD was not integrated. Nothing of it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IntegrationError {
    /// The server breaks the protocol.
    #[error(transparent)]
    Protocol(#[from] ProtocolViolation),
    /// The server says that changesets are based on less than it said before.
    #[error("the upload cursor goes back to server version {0}")]
    BadProgress(ServerVersion),
    /// A changeset can't be read.
    #[error("the changeset of server version {0} is malformed")]
    Malformed(ServerVersion, #[source] DecodeError),
    /// Changesets contradict what was written here.
    #[error(
        "one of the changesets of server versions {} to {} contradicts that of client version {local}",
        .received.start(), .received.end()
    )]
    Contradiction {
        /// The changesets that were merged at once.
        received: RangeInclusive<ServerVersion>,
        /// The local one.
        local: ClientVersion,
        /// What is wrong.
        source: Box<MergeError>,
    },
    /// A changeset can't be applied.
    #[error("the changeset of server version {0} cannot be applied")]
    Refused(ServerVersion, #[source] Box<Refusal>),
    /// The file, not the server.
    #[error(transparent)]
    Local(#[from] LocalError),
}

/// What no server may send. Spec: client, sections 4.1 and 4.2.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolViolation {
    /// Before the device has a client file.
    #[error("DOWNLOAD before IDENT")]
    NoClientFile,
    /// The header contradicts itself.
    #[error(transparent)]
    Header(#[from] CursorError),
    /// A cursor goes back.
    #[error("the {0} goes back")]
    GoesBack(&'static str),
    /// Something is acknowledged that does not exist yet.
    #[error("client versions are acknowledged that do not exist")]
    NotWritten,
    /// The body does not consist of entries.
    #[error("the body is malformed")]
    Entry(#[from] EntryError),
    /// The server versions do not ascend between those of the old and the new cursor.
    #[error("server version {0} is out of order")]
    ServerVersion(ServerVersion),
    /// The client versions do not ascend between those of the old and the new cursor.
    #[error("the last integrated client version of server version {0} is out of order")]
    ClientVersion(ServerVersion),
    /// Written by nobody, or by this device.
    #[error("the author of server version {0} is not another client file")]
    Author(ServerVersion),
}

impl IntegrationError {
    /// The code with which the server is told, if it is told: not of violations of the protocol, after which there
    /// is no connection any more, and not of problems with the file.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::BadProgress(_) => Some(ErrorCode::BadProgress),
            Self::Malformed(..) | Self::Contradiction { .. } | Self::Refused(..) => {
                Some(ErrorCode::BadChangeset)
            }
            Self::Protocol(_) | Self::Local(_) => None,
        }
    }

    /// What became of applying the changeset of a server version.
    pub(super) fn of_applying(version: ServerVersion, error: ApplyError<LocalError>) -> Self {
        match error {
            ApplyError::Refused(refusal) => Self::Refused(version, Box::new(refusal)),
            ApplyError::Store(error) => Self::Local(error),
            ApplyError::Corrupt(error) => Self::Local(error.into()),
            _ => Self::Local(EncodingError::Invalid("a stored object").into()),
        }
    }
}
