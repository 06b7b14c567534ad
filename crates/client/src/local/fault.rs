//! Why a file cannot be opened.

use std::io;
use std::path::{Path, PathBuf};

use super::file::LocalError;
use super::head::FORMAT;

/// Why a file cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Two of them would overwrite each other's pages.
    #[error("{path} is open already, here or in another process; close it there first")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this library has written it.
    #[error(
        "{path} has file format {found} and this program knows format {FORMAT}; \
         use the version of the program that wrote it, or a newer one"
    )]
    FutureFormat {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: u32,
    },
    /// It is something else.
    #[error("{path} is not a realm file of this library; use another path, or move the file away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error(
        "{path} is damaged; move it away and open the realm again, \
         which downloads all that was uploaded"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was encrypted with another key.
    #[error("{path} is encrypted with another key; open it with the key that it was made with")]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// A key was given and the file needs none.
    #[error(
        "{path} is not encrypted; open it without a key, or move it away to begin anew with one"
    )]
    NotEncrypted {
        /// The file.
        path: PathBuf,
    },
    /// The file needs a key and none was given.
    #[error("{path} is encrypted; open it with the key that it was made with")]
    KeyNeeded {
        /// The file.
        path: PathBuf,
    },
    /// It holds another realm.
    #[error("{path} belongs to another {part}, {found:?}; use a path of its own for each realm")]
    Owner {
        /// The file.
        path: PathBuf,
        /// What differs: app, user or partition.
        part: &'static str,
        /// What the file says there.
        found: String,
    },
    /// The file system refused.
    #[error("{path} can't be used; check that its directory can be written and has space left")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

/// An [`OpenError`] without the path.
#[derive(Debug)]
pub(super) enum Fault {
    Locked,
    FutureFormat(u32),
    Foreign,
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    WrongKey,
    NotEncrypted,
    KeyNeeded,
    Owner { part: &'static str, found: String },
    Io(io::Error),
}

impl Fault {
    pub(super) fn damaged(what: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Damaged(what.into())
    }

    pub(super) fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Locked => OpenError::Locked { path },
            Self::FutureFormat(found) => OpenError::FutureFormat { path, found },
            Self::Foreign => OpenError::Foreign { path },
            Self::Damaged(source) => OpenError::Damaged { path, source },
            Self::WrongKey => OpenError::WrongKey { path },
            Self::NotEncrypted => OpenError::NotEncrypted { path },
            Self::KeyNeeded => OpenError::KeyNeeded { path },
            Self::Owner { part, found } => OpenError::Owner { path, part, found },
            Self::Io(source) => OpenError::Io { path, source },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // The file ends early, or redb was led astray.
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput => Self::damaged(error),
            _ => Self::Io(error),
        }
    }
}

impl From<redb::Error> for Fault {
    fn from(error: redb::Error) -> Self {
        match error {
            redb::Error::Io(error) => error.into(),
            error => Self::damaged(error),
        }
    }
}

impl From<redb::DatabaseError> for Fault {
    fn from(error: redb::DatabaseError) -> Self {
        redb::Error::from(error).into()
    }
}

impl From<LocalError> for Fault {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::Storage(error) => (*error).into(),
            error => Self::damaged(error),
        }
    }
}
