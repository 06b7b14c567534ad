//! Realms at work: one actor for each partition that somebody has open, and the one committer that makes
//! their commits durable together.
//!
//! An actor owns its partition's head, its recent entries and its bound client files. It is a state machine
//! without I/O, and never waits for the disk: uploads gather while one integration runs, and are integrated
//! together next. An idle partition costs nothing but its rows: its actor ends once nobody holds it.
//!
//! A server drives its actors from the tasks of the connections and from the thread that commits ([`Realms`]); a
//! simulation has the same parts, [`Actor`], [`compute`], [`Batch`] and the rest, and a schedule of its own.

mod actor;
mod command;
mod committer;
mod driver;
mod integration;
mod read;
mod recent;
mod registry;
mod scan;
#[cfg(test)]
mod tests;

pub use actor::{Actor, Input, Output, Purpose};
pub use command::{
    Bound, Callers, Channels, Command, ConnectionId, Identified, IdentifyRefused, Queued,
    SessionEnd, Signal,
};
pub use committer::{Batch, CommitError, Committer};
pub use integration::{Computed, Given, Step, compute, random_salt};
pub use read::{Records, Request};
pub use registry::{RealmHandle, Realms, RealmsConfig};
pub use scan::{Scanned, StoreScan};

use bailiwick_storage::store::StorageError;

/// Why a realm could not do what it was asked; the device may try again later.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RealmError {
    /// The storage failed.
    #[error("the storage failed: {0}")]
    Storage(std::sync::Arc<StorageError>),
    /// The realm's own records contradict each other; it takes no part until an operator has looked.
    #[error("the realm is damaged: {0}")]
    Damaged(std::sync::Arc<str>),
    /// More wait already than should.
    #[error("too many devices are waiting for the realm")]
    Overloaded,
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl From<StorageError> for RealmError {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupt(_) => Self::Damaged(error.to_string().into()),
            _ => Self::Storage(error.into()),
        }
    }
}

/// An error with all its causes, in one line: for the log.
pub(crate) struct Chain<'a>(pub(crate) &'a dyn std::error::Error);

impl std::fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}
