//! One commit, and what is told of it.

use std::sync::Arc;

use bailiwick_core::apply::Changes;
use bailiwick_core::state::ObjectRow;
use bailiwick_protocol::version::ClientVersion;
use bytes::Bytes;

use super::reset::PendingReset;
use super::state::{FileState, HistoryEntry};

/// All that one commit changes. It is durable as a whole or not at all.
#[derive(Debug, Default)]
pub struct Batch {
    /// Who caused it.
    pub origin: Origin,
    /// The schema and the objects.
    pub changes: Changes,
    /// The state of the file afterwards, which has the new version if the commit makes one.
    pub state: FileState,
    /// The history before anything is appended.
    pub history: HistoryChange,
    /// Local entries that were transformed: what their reciprocal form is now.
    pub reciprocals: Vec<(ClientVersion, Bytes)>,
    /// The entries of the new versions, in their order: one, or several if a transaction is large enough to be
    /// uploaded in pieces. The last one has the version of `state`.
    pub append: Vec<HistoryEntry>,
    /// The record of a client reset. A commit that changes nothing else makes no new version.
    pub reset: Change<Option<PendingReset>>,
}

/// What becomes of something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It stays.
    #[default]
    Keep,
    /// It is this from now on.
    To(T),
}

/// What becomes of the history.
#[derive(Debug, Default)]
pub enum HistoryChange {
    /// It stays.
    #[default]
    Keep,
    /// Entries up to and with this version are not needed any more.
    Trim(ClientVersion),
    /// A client reset: these entries are the whole history.
    Replace(Vec<HistoryEntry>),
}

/// Who caused a commit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Origin {
    /// The application.
    #[default]
    Local,
    /// The server: other devices' changes, or only progress.
    Remote,
    /// A client reset.
    Reset,
}

/// News of a commit, once it is durable.
#[derive(Clone, Debug)]
pub struct Committed {
    /// The version of the file.
    pub version: ClientVersion,
    /// Who caused it.
    pub origin: Origin,
    /// The objects that were written or removed, in the order of their rows.
    pub rows: Arc<[ObjectRow]>,
    /// Whether classes or fields came or went.
    pub schema_changed: bool,
    /// [`ByteCounters::uploadable`](super::ByteCounters::uploadable) of the file, if the commit has something to
    /// upload.
    pub uploadable: Option<u64>,
}
