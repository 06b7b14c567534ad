//! A store that stalls and panics when told to, and counts.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::{
    Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store,
};
use bytes::Bytes;

#[derive(Debug, Default)]
pub(super) struct TestStore {
    inner: MemoryStore,
    gate: Mutex<Gate>,
    opened: Condvar,
    /// Reading the reciprocal forms of this client file panics, as a fault of the program would.
    panics_for: AtomicU64,
    object_reads_count: AtomicUsize,
    has_stopped: AtomicBool,
}

#[derive(Debug, Default)]
struct Gate {
    is_closed: bool,
    /// A commit waits.
    is_holding: bool,
    /// The next commit panics.
    panics: bool,
    checkpoint: Checkpoint,
    /// How many commits each batch had.
    batches: Vec<usize>,
}

/// What a store says of checkpoints.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Checkpoint {
    #[default]
    NotDue,
    /// One is due, and runs until something else is set.
    Due,
    /// One is due, and panics.
    Panics,
    /// One runs.
    Running,
    Made,
}

impl TestStore {
    pub(super) fn set_checkpoint(&self, checkpoint: Checkpoint) {
        self.gate().checkpoint = checkpoint;
        self.opened.notify_all();
    }

    pub(super) fn checkpoint_state(&self) -> Checkpoint {
        self.gate().checkpoint
    }

    /// Says from now on that it has stopped.
    pub(super) fn stop(&self) {
        self.has_stopped.store(true, Ordering::Relaxed);
    }

    /// Lets the next commit wait.
    pub(super) fn hold(&self) {
        self.gate().is_closed = true;
    }

    /// Lets the next commit panic.
    pub(super) fn panic_at_commit(&self) {
        self.gate().panics = true;
    }

    pub(super) fn let_go(&self) {
        self.gate().is_closed = false;
        self.opened.notify_all();
    }

    pub(super) fn is_holding(&self) -> bool {
        self.gate().is_holding
    }

    pub(super) fn batches(&self) -> Vec<usize> {
        self.gate().batches.clone()
    }

    pub(super) fn panic_for(&self, ident: FileIdent) {
        self.panics_for.store(ident.0, Ordering::Relaxed);
    }

    /// How often objects were asked for.
    pub(super) fn object_reads(&self) -> usize {
        self.object_reads_count.load(Ordering::Relaxed)
    }

    fn gate(&self) -> std::sync::MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for TestStore {
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        self.inner.realm(realm)
    }

    fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        self.inner.realms(after, limit)
    }

    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        self.inner.client_file(realm, ident)
    }

    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        self.inner.entries(realm, after, until, max_len)
    }

    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        assert_ne!(self.panics_for.load(Ordering::Relaxed), ident.0, "a test has arranged this");
        self.inner.reciprocals(realm, ident, after)
    }

    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.object_reads_count.fetch_add(1, Ordering::Relaxed);
        self.inner.objects(realm, rows)
    }

    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError> {
        self.inner.scan_objects(realm, prefix, after, limit)
    }

    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
        let mut gate = self.gate();
        gate.is_holding = gate.is_closed;
        while gate.is_closed {
            gate = self.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        gate.is_holding = false;
        gate.batches.push(commits.len());
        let panics = std::mem::take(&mut gate.panics);
        drop(gate);
        assert!(!panics, "a test has arranged this");
        self.inner.commit(commits)
    }

    fn is_stopped(&self) -> bool {
        self.has_stopped.load(Ordering::Relaxed)
    }

    fn is_checkpoint_due(&self) -> bool {
        matches!(self.gate().checkpoint, Checkpoint::Due | Checkpoint::Panics)
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        let mut gate = self.gate();
        assert_ne!(gate.checkpoint, Checkpoint::Panics, "a test has arranged this");
        if gate.checkpoint != Checkpoint::Due {
            return Ok(());
        }
        gate.checkpoint = Checkpoint::Running;
        while gate.checkpoint == Checkpoint::Running {
            gate = self.opened.wait(gate).unwrap_or_else(PoisonError::into_inner);
        }
        Ok(())
    }
}
