//! What a device keeps of one realm: its objects, the changes that the server has not confirmed, and how far
//! both sides have come. One file, one writer at a time, any number of readers.
//!
//! Everything that happens to a file is one [`Batch`]: computed from a [`Snapshot`] by pure functions, then
//! committed as a whole. Spec: client, section 1.
//!
//! With a key the file is encrypted, and whose it is is looked at whenever it is opened:
//!
//! ```
//! use bailiwick_client::local::{EncryptionKey, LocalFile, OpenError, OpenOptions, Owner};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("store42.realm");
//! let owner = Owner {
//!     app_id: "inventory-abcde".into(),
//!     user_id: "507f1f77bcf86cd799439011".into(),
//!     partition: "\"Store 42\"".into(),
//! };
//! let options = OpenOptions::new(owner).encryption_key(EncryptionKey::new([7; 64]));
//! drop(LocalFile::open(&path, &options)?);
//!
//! let other_key = options.clone().encryption_key(EncryptionKey::new([8; 64]));
//! assert!(matches!(LocalFile::open(&path, &other_key), Err(OpenError::WrongKey { .. })));
//! let other_user = Owner { user_id: "507f191e810c19729de860ea".into(), ..Owner::default() };
//! let other_user = OpenOptions::new(other_user).encryption_key(EncryptionKey::new([7; 64]));
//! assert!(matches!(LocalFile::open(&path, &other_user), Err(OpenError::Owner { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
