//! What a device keeps of one realm: its objects, the changes that the server has not confirmed, and how far
//! both sides have come. One file, one writer at a time, any number of readers.
//!
//! Everything that happens to a file is one [`Batch`]: computed from a [`Snapshot`] by pure functions, then
//! committed as a whole. Spec: client, section 1.

mod backend;
mod batch;
mod cipher;
mod classes;
mod disk;
mod fault;
mod file;
mod head;
mod links;
mod open;
mod options;
mod record;
mod reset;
mod snapshot;
mod state;
mod tables;

pub use batch::{Batch, Change, Committed, HistoryChange, Origin};
pub use fault::OpenError;
pub use file::{LocalError, LocalFile, Writer};
pub use options::{EncryptionKey, OpenOptions, Owner};
pub use reset::{EffectiveMode, PendingReset, ResetStage};
pub use snapshot::Snapshot;
pub use state::{ByteCounters, FileState, HistoryEntry, Progress};

#[cfg(test)]
mod tests;
