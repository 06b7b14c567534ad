//! The contract between a server and whatever keeps its realms.
//!
//! [`Store`] says what holds for every implementation; the module `conformance` is the
//! same as test cases. Spec: server history, sections 1, 7 and 11.

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
///
/// The lists are carried out in the order of the fields, each from front to back; a later item wins
/// over an earlier one of the same key. A commit without any item still counts as one: the realm
/// exists from then on and its revision grows.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The revision that this commit was computed from.
    pub base_revision: u64,
    /// Entries to append; their versions follow the head without gaps. What they say as
    /// `cumulative_len` is ignored: the store fills it in.
    pub entries: Vec<Entry>,
    /// Client files to add or replace. New ones continue the idents without gaps.
    pub client_files: Vec<(FileIdent, ClientFile)>,
    /// Reciprocal forms to forget: those of this client file up to and including this version.
    /// Carried out before `reciprocals`.
    pub forget_reciprocals: Vec<(FileIdent, ServerVersion)>,
    /// Reciprocal forms to add or replace: what the entry of that version looks like to that client
    /// file. Only for versions after the last one that the client file has integrated.
    pub reciprocals: Vec<(FileIdent, ServerVersion, Bytes)>,
    /// Objects to write (`Some`) or remove (`None`; there need not be one).
    pub objects: Vec<(ObjectRow, Option<Bytes>)>,
    /// The new schema, if it changed.
    pub schema: Option<Bytes>,
}

/// Why a store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// The medium failed. After a commit: the batch may or may not be there, which only opening the
    /// store again can tell.
    #[error("the storage failed")]
    Backend(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// What was read is not what was written.
    #[error("the storage holds a damaged record: {0}")]
    Corrupt(&'static str),
    /// The medium has failed before, so that it is unknown what it holds. Nothing is read or
    /// written any more until the store is opened again.
    #[error("the storage has stopped after a failure; it must be opened again")]
    Stopped,
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
    /// The commit would break an invariant of the history: a fault of whoever computed it. The realm
    /// should stop, alone; the same commit is refused again.
    #[error("the commit is not a step of this realm: {0}")]
    Invalid(&'static str),
    /// The realm's stored records are damaged; the other realms are not concerned.
    #[error("the realm holds a damaged record: {0}")]
    Damaged(&'static str),
}

/// Keeps realms: their histories, client files and objects.
///
/// All methods block; a server calls them from threads that may.
///
/// - **Order.** Lists are answered in the order that each method names. The commits of one batch and
///   realm are carried out in order, and batches in the order of the calls.
/// - **Atomicity.** A commit is seen as a whole or not at all, by every method, while it is carried out
///   and after a crash. A method answers from one state of the store; two calls may see two states,
///   which their revisions tell apart.
/// - **Visibility and durability.** What [`commit`](Self::commit) acknowledged is seen by every later
///   call and is there after a crash. (`memory` forgets everything when it is dropped.)
/// - **Refusal.** A refused commit leaves nothing behind and leaves the others of its batch alone.
/// - **Failure.** After a failed commit the batch may or may not be there, each commit of it as a whole
///   or not at all. The store then answers [`StorageError::Stopped`] until it is opened again.
///
/// # Errors
///
/// Every method fails with [`StorageError::Backend`] when the medium does, with [`StorageError::Stopped`]
/// after a failed write, and if the store chooses so after a failed read, and when it reads with [`StorageError::Corrupt`]
/// for a record that does not decode or is missing. None of them is mistaken for "there is none".
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// The record of a realm; the default for a realm that does not exist.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError>;

    /// The realms that something was committed to, in byte order, after `after`, at most `limit`.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn realms(&self, after: Option<&RealmKey>, limit: usize)
    -> Result<Vec<RealmKey>, StorageError>;

    /// One client file; `None` for an ident that was not allocated.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says; a gap below the count is [`StorageError::Corrupt`].
    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError>;

    /// The entries after `after` up to and including `until`, ascending without gaps; ends with the
    /// first entry that brings the sum of their changesets above `max_len` bytes. So there is at least
    /// one, unless the range holds none, and entries that fill `max_len` exactly are followed by one
    /// more. A range that reaches beyond the head ends there.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says; a missing entry is [`StorageError::Corrupt`].
    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError>;

    /// The reciprocal forms of a client file after `after`, ascending. A version that is not among
    /// them looks to the client file as its entry does; empty bytes mean that it became empty.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError>;

    /// The objects of these rows, in their order; `None` for a row without object.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError>;

    /// The objects whose row starts with `prefix`, in byte order, after `after`, at most `limit`.
    /// The pages of a scan are separate calls: an object that is written meanwhile may be missed.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says.
    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError>;

    /// Makes all commits durable together, in one transaction; returns when that is done.
    /// The answers are in the order of the commits.
    ///
    /// Commits are independent: one that is refused leaves the others alone. Two of the same realm are
    /// carried out in order, so the second names the revision that the first one makes; it is
    /// [`CommitRefused::Outdated`] if the first one is refused. [`Commit::check`] lists what makes a
    /// commit [`CommitRefused::Invalid`].
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says. After `Err` nothing of the batch is acknowledged: it may or
    /// may not be there. A damaged record of one realm is not an error of the batch but refuses that
    /// realm's commits, with [`CommitRefused::Damaged`].
    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError>;

    /// Whether it answers [`StorageError::Stopped`], so that it has to be opened again. Costs nothing.
    fn is_stopped(&self) -> bool {
        false
    }

    /// Whether a [checkpoint](Self::checkpoint) would do good now. Costs nothing.
    fn is_checkpoint_due(&self) -> bool {
        false
    }

    /// Moves what was committed to where it stays, so that later commits need not wait for that. Takes long, and is for
    /// a thread of its own: all other methods go on meanwhile, but a commit that finds no room waits. Nothing that can be read changes, and nobody has to call
    /// it: a commit that cannot go on without does the same.
    ///
    /// # Errors
    ///
    /// As [the trait](Self#errors) says; a failure stops the store, which loses nothing that was acknowledged.
    fn checkpoint(&self) -> Result<(), StorageError> {
        Ok(())
    }
}

/// A realm key that is longer than [`RealmKey::MAX_LEN`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a realm key has at most {max} bytes, not {len}", max = RealmKey::MAX_LEN)]
pub struct RealmKeyTooLong {
    /// How many bytes the key would have.
    pub len: usize,
}

impl RealmKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 2048;

    /// Takes the key's bytes, whose length the caller has checked.
    ///
    /// # Panics
    ///
    /// If they are longer than [`MAX_LEN`](Self::MAX_LEN); [`try_new`](Self::try_new) is for bytes from
    /// outside.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        match Self::try_new(bytes) {
            Ok(key) => key,
            Err(error) => panic!("{error}"),
        }
    }

    /// Takes the key's bytes.
    ///
    /// # Errors
    ///
    /// If they are longer than [`MAX_LEN`](Self::MAX_LEN).
    pub fn try_new(bytes: impl Into<Box<[u8]>>) -> Result<Self, RealmKeyTooLong> {
        let bytes = bytes.into();
        if bytes.len() > Self::MAX_LEN {
            return Err(RealmKeyTooLong { len: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl StorageError {
    /// Wraps what the medium reported.
    pub fn backend(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Backend(source.into())
    }
}

impl fmt::Debug for RealmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RealmKey({})", self.0.escape_ascii())
    }
}
