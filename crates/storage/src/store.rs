//! The contract between a server and whatever keeps its realms.

use std::fmt;

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{SaltedVersion, ServerVersion};
use bytes::Bytes;

/// Names a realm: one partition of one app.
///
/// The bytes are opaque to a store and at most [`RealmKey::MAX_LEN`] long.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealmKey(Box<[u8]>);

/// Names an object within a realm: its class, then its primary key, in an encoding whose byte order
/// groups the objects of a class (`bailiwick_core::state`).
pub type ObjectRow = Box<[u8]>;

/// What is known of a realm as a whole.
///
/// A realm that nothing was committed to reads as the default: empty, revision 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RealmRecord {
    /// Grows by one with each commit; a commit names the revision that it was computed from.
    pub revision: u64,
    /// The version of the last entry, with its salt; zeros if there is none.
    pub head: SaltedVersion,
    /// Bytes of all changesets of the history.
    pub cumulative_len: u64,
    /// How many client files were allocated; their idents are 2 and up, without gaps.
    pub client_file_count: u64,
    /// The classes and fields of the objects, encoded by `bailiwick_core::schema`; empty for no classes.
    pub schema: Bytes,
}

/// Everything that one step changes in one realm; becomes durable as a whole or not at all.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The revision that this commit was computed from.
    pub base_revision: u64,
    /// Entries to append; their versions follow the head without gaps, and `cumulative_len` is filled in.
    pub entries: Vec<Entry>,
    /// Client files to add or replace. New ones continue the idents without gaps.
    pub client_files: Vec<(FileIdent, ClientFile)>,
    /// Reciprocal forms to forget: those of this client file up to and including this version.
    /// Carried out before `reciprocals`.
    pub forget_reciprocals: Vec<(FileIdent, ServerVersion)>,
    /// Reciprocal forms to add or replace: what the entry of that version looks like to that client file.
    pub reciprocals: Vec<(FileIdent, ServerVersion, Bytes)>,
    /// Objects to write (`Some`) or remove (`None`).
    pub objects: Vec<(ObjectRow, Option<Bytes>)>,
    /// The new schema, if it changed.
    pub schema: Option<Bytes>,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The medium failed; nothing is known of what a commit left behind until the store is opened again.
    #[error("the storage failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was read is not what was written.
    #[error("the storage holds a damaged record: {0}")]
    Corrupt(&'static str),
}

/// Why one commit of a batch was refused; nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommitRefused {
    /// Somebody else has committed to the realm since the commit was computed.
    #[error("the realm is at revision {actual}, the commit was computed from {expected}")]
    Outdated {
        /// What the commit named.
        expected: u64,
        /// What the realm has.
        actual: u64,
    },
}

/// Keeps realms: their histories, client files and objects.
///
/// All methods block; a server calls them from threads that may. A method that reads sees every commit
/// that was acknowledged before the call, and of no commit a part.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The record of a realm; the default for a realm that does not exist.
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError>;

    /// The realms that something was committed to, in byte order, after `after`, at most `limit`.
    fn realms(&self, after: Option<&RealmKey>, limit: usize)
    -> Result<Vec<RealmKey>, StorageError>;

    /// One client file.
    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError>;

    /// The entries after `after` up to and including `until`, ascending; ends with the first entry that
    /// brings the sum of their changesets above `max_len` bytes, so that there is at least one.
    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError>;

    /// The reciprocal forms of a client file after `after`, ascending.
    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError>;

    /// The objects of these rows, in their order.
    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// The objects whose row starts with `prefix`, in byte order, after `after`, at most `limit`.
    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError>;

    /// Makes all commits durable together, with one flush to the medium; returns when that is done.
    ///
    /// Commits are independent: one that is refused leaves the others alone. Two of the same realm are
    /// carried out in order. After `Err` nothing of the batch is acknowledged: it may or may not be there.
    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError>;
}

impl RealmKey {
    /// The longest key.
    pub const MAX_LEN: usize = 2048;

    /// Takes the key's bytes.
    ///
    /// # Panics
    ///
    /// If they are longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        let bytes = bytes.into();
        assert!(bytes.len() <= Self::MAX_LEN, "a realm key has at most {} bytes", Self::MAX_LEN);
        Self(bytes)
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for RealmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealmKey({})", self.0.escape_ascii())
    }
}
