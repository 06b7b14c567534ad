//! Why a client reset is not made.

use bailiwick_core::EncodingError;
use bailiwick_core::apply::ApplyError;
use bailiwick_protocol::changeset::DecodeError;
use bailiwick_protocol::version::ClientVersion;

use crate::local::LocalError;

/// Why a client reset is not even begun. The application has to decide, as in mode manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResetRefused {
    /// The application wants to decide by itself, or has decided to give the file up.
    #[error("the application deals with client resets by itself")]
    Manual,
    /// The server demands something else.
    #[error("the server does not demand a client reset")]
    NotDemanded,
    /// Local changes are to be kept, which the server forbids.
    #[error("the server does not allow to recover local changes")]
    RecoveryForbidden,
    /// The last reset was not through when the server demanded another one, or it could not be made.
    #[error("a client reset was made before and did not come to its end")]
    Cycle,
}

/// Why a client reset cannot be made. The file is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ResetFailure {
    /// The fresh copy never got a client file.
    #[error("the server's state was not downloaded")]
    NoFreshCopy,
    /// A class of the file is unknown to the server.
    #[error("the server does not know class {class:?} any more")]
    ClassMissing {
        /// The class.
        class: String,
    },
    /// A class has become one of another kind, or has another primary key.
    #[error("class {class:?} has another kind or primary key on the server")]
    ClassDiffers {
        /// The class.
        class: String,
    },
    /// A field of the file is unknown to the server.
    #[error("the server does not know field {field:?} of class {class:?} any more")]
    FieldMissing {
        /// The class.
        class: String,
        /// The field.
        field: String,
    },
    /// A field holds something else on the server.
    #[error("field {field:?} of class {class:?} has another type on the server")]
    FieldDiffers {
        /// The class.
        class: String,
        /// The field.
        field: String,
    },
    /// A local change removes a class or field.
    #[error("the local change of version {0} removes a class or field, which is not recovered")]
    Destructive(ClientVersion),
    /// A local change cannot be read.
    #[error("the local change of version {0} cannot be read")]
    Unreadable(ClientVersion, #[source] DecodeError),
    /// A local change contradicts what the server has.
    #[error("the local change of version {version} does not fit the server's state")]
    Contradiction {
        /// The version of the local change.
        version: ClientVersion,
        /// What does not fit.
        #[source]
        source: Box<ApplyError<LocalError>>,
    },
    /// One of the files.
    #[error("a file cannot be read")]
    Local(#[from] LocalError),
}

impl From<EncodingError> for ResetFailure {
    fn from(error: EncodingError) -> Self {
        Self::Local(error.into())
    }
}
