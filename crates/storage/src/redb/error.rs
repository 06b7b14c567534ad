//! What goes wrong with a database, and why a store can't be opened.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::recovery::FORMAT;
use crate::store::StorageError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Two programs would overwrite each other's pages.
    #[error("{path} is open in another process; stop that one or use another directory")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program has written it.
    #[error(
        "{path} has storage format {found} and this program knows format {FORMAT}; \
         use the version of the program that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: u64,
    },
    /// It is somebody else's.
    #[error("{path} is not a store of this program; use another directory, or move the file away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is not what was written, and can't be repaired.
    #[error(
        "{path} is damaged; restore database and log from the same backup, then devices that were ahead of the \
         backup start again from its state"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is not the log that was written beside the store, whose latest commits are therefore missing.
    #[error(
        "{path} is missing, or belongs to another store; put back the one that was beside the store, \
         or restore both from the same backup"
    )]
    Unpaired {
        /// The log.
        path: PathBuf,
    },
    /// It is the log of a store whose database is gone, and may hold the latest commits of it.
    #[error(
        "{path} is the log of a store whose database is missing; put the database back beside it, restore both \
         from the same backup, or move the log away to begin anew"
    )]
    Orphaned {
        /// The log.
        path: PathBuf,
    },
    /// There is no store, and none was to be made.
    #[error("{path} does not exist; name the directory that a server keeps its data in")]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path} can't be opened; check that the directory can be written and has space left")]
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
pub(super) enum Cause {
    Locked,
    UnknownFormat(u64),
    Foreign,
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    Unpaired,
    Orphaned,
    Io(io::Error),
}

impl Cause {
    pub(super) fn new(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Foreign,
            // A page that lies behind the end.
            redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Self::Damaged(error.into())
            }
            redb::Error::Io(error) => Self::Io(error),
            error => Self::Damaged(error.into()),
        }
    }

    pub(super) fn of_storage(error: StorageError) -> Self {
        match error {
            StorageError::Backend(source) => match source.downcast::<redb::Error>() {
                Ok(error) => Self::new(*error),
                Err(source) => Self::Damaged(source),
            },
            error => Self::Damaged(error.into()),
        }
    }

    pub(super) fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Locked => OpenError::Locked { path },
            Self::UnknownFormat(found) => OpenError::UnknownFormat { path, found },
            Self::Foreign => OpenError::Foreign { path },
            Self::Damaged(source) => OpenError::Damaged { path, source },
            Self::Unpaired => OpenError::Unpaired { path },
            Self::Orphaned => OpenError::Orphaned { path },
            Self::Io(source) => OpenError::Io { path, source },
        }
    }
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// An error of redb; all of them mean that the medium or the file failed.
pub(super) fn backend(error: impl Into<redb::Error>) -> StorageError {
    StorageError::backend(error.into())
}

/// Reads pages that may not be what was written: redb panics on some that something else has altered.
pub(super) fn or_corrupt<T>(
    read: impl FnOnce() -> Result<T, StorageError>,
) -> Result<T, StorageError> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or(Err(CORRUPT_PAGE))
}

/// The same while the file at this path is opened.
pub(super) fn or_damaged<T>(
    path: &Path,
    open: impl FnOnce() -> Result<T, OpenError>,
) -> Result<T, OpenError> {
    catch_unwind(AssertUnwindSafe(open))
        .unwrap_or_else(|_| Err(Cause::of_storage(CORRUPT_PAGE).at(path)))
}

const CORRUPT_PAGE: StorageError = StorageError::Corrupt("a page of the database");
