//! A store that fails when told to, for tests of what stands on a store.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use crate::account::{Accounts, LoginSession, User};
use crate::store::{Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store};

/// Passes every call to another store, unless its [`Faults`] say otherwise.
///
/// As after the failure of a real medium, a write that failed stops the store: every later call fails
/// with [`StorageError::Stopped`] until [`Faults::reopen`].
///
/// ```
/// use bailiwick_storage::fault::{Fault, FaultyStore};
/// use bailiwick_storage::memory::MemoryStore;
/// use bailiwick_storage::store::{Commit, RealmKey, Store as _};
///
/// let store = FaultyStore::new(MemoryStore::new());
/// let faults = store.faults();
/// let realm = RealmKey::new(*b"realm");
///
/// faults.arrange(Fault::AfterCommit(1));
/// assert!(store.commit(&[(realm.clone(), Commit::default())]).is_err());
/// assert!(store.realm(&realm).is_err());
///
/// faults.reopen();
/// assert_eq!(store.realm(&realm)?.revision, 1); // It was written, although nobody was told.
/// # Ok::<(), bailiwick_storage::store::StorageError>(())
/// ```
#[derive(Debug)]
pub struct FaultyStore<S> {
    inner: S,
    faults: Faults,
}

/// Tells a [`FaultyStore`] when to fail; clones tell the same one.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    state: Arc<Mutex<State>>,
    has_gone_on: Arc<Condvar>,
}

/// When a call fails. Counts start with 1 for the next one; 0 never comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The n-th call that reads. Nothing happens, and the one after it succeeds.
    Read(u64),
    /// The n-th commit, or change of accounts, before anything is written.
    BeforeCommit(u64),
    /// The n-th commit, or change of accounts, after everything is written.
    AfterCommit(u64),
}

/// What the medium says when a fault was arranged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a test has arranged this failure: {0:?}")]
pub struct Arranged(pub Fault);

#[derive(Debug, Default)]
struct State {
    fault: Option<Fault>,
    /// How many of the fault's calls are still to come, with the one that fails.
    left: u64,
    stopped: bool,
    is_stalled: bool,
    reads: u64,
    commits: u64,
}

impl<S> FaultyStore<S> {
    /// Wraps a store; nothing fails yet.
    pub fn new(inner: S) -> Self {
        Self { inner, faults: Faults::default() }
    }

    /// What tells this store to fail.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    fn read<T>(&self, read: impl FnOnce(&S) -> Result<T, StorageError>) -> Result<T, StorageError> {
        match self.faults.state().count_read()? {
            Some(fault) => Err(StorageError::backend(Arranged(fault))),
            None => read(&self.inner),
        }
    }

    fn write<T>(
        &self,
        write: impl FnOnce(&S) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let stalled = |state: &mut State| state.is_stalled;
        let state = self.faults.has_gone_on.wait_while(self.faults.state(), stalled);
        let fault = state.unwrap_or_else(PoisonError::into_inner).count_commit()?;
        let Some(fault) = fault else { return write(&self.inner) };
        if let Fault::AfterCommit(_) = fault {
            write(&self.inner)?;
        }
        self.faults.state().stopped = true;
        Err(StorageError::backend(Arranged(fault)))
    }
}

impl Faults {
    /// Arranges a fault, instead of the one that was arranged before.
    pub fn arrange(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = Some(fault);
        let (Fault::Read(n) | Fault::BeforeCommit(n) | Fault::AfterCommit(n)) = fault;
        state.left = n;
    }

    /// Lets whoever writes wait, until [`go_on`](Self::go_on).
    pub fn stall(&self) {
        self.state().is_stalled = true;
    }

    /// The end of [`stall`](Self::stall).
    pub fn go_on(&self) {
        self.state().is_stalled = false;
        self.has_gone_on.notify_all();
    }

    /// Lets the store go on after a write has failed, as if it were opened again.
    pub fn reopen(&self) {
        let mut state = self.state();
        state.stopped = false;
        state.fault = None;
    }

    /// How many calls have read, so that a test can go through all of them.
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    /// How many calls have written, so that a test can go through all of them.
    pub fn commits(&self) -> u64 {
        self.state().commits
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn count_read(&mut self) -> Result<Option<Fault>, StorageError> {
        self.check_running()?;
        self.reads += 1;
        Ok(self.take_due(|fault| matches!(fault, Fault::Read(_))))
    }

    fn count_commit(&mut self) -> Result<Option<Fault>, StorageError> {
        self.check_running()?;
        self.commits += 1;
        Ok(self.take_due(|fault| !matches!(fault, Fault::Read(_))))
    }

    fn check_running(&self) -> Result<(), StorageError> {
        if self.stopped { Err(StorageError::Stopped) } else { Ok(()) }
    }

    /// Counts a call of the kind that the fault concerns; the fault, if this is the call that fails.
    fn take_due(&mut self, concerns: impl Fn(Fault) -> bool) -> Option<Fault> {
        if !concerns(self.fault?) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        if self.left == 0 { self.fault.take() } else { None }
    }
}

impl<S: Store> Store for FaultyStore<S> {
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        self.read(|inner| inner.realm(realm))
    }

    fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        self.read(|inner| inner.realms(after, limit))
    }

    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        self.read(|inner| inner.client_file(realm, ident))
    }

    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read(|inner| inner.entries(realm, after, until, max_len))
    }

    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        self.read(|inner| inner.reciprocals(realm, ident, after))
    }

    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.read(|inner| inner.objects(realm, rows))
    }

    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError> {
        self.read(|inner| inner.scan_objects(realm, prefix, after, limit))
    }

    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
        self.write(|inner| inner.commit(commits))
    }

    fn is_stopped(&self) -> bool {
        self.faults.state().stopped
    }

    fn is_checkpoint_due(&self) -> bool {
        self.inner.is_checkpoint_due()
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        self.faults.state().check_running()?;
        self.inner.checkpoint()
    }
}

impl<S: Accounts> Accounts for FaultyStore<S> {
    fn secret(&self, name: &str, proposal: &[u8]) -> Result<Vec<u8>, StorageError> {
        self.write(|inner| inner.secret(name, proposal))
    }

    fn put_user(&self, user: &User) -> Result<(), StorageError> {
        self.write(|inner| inner.put_user(user))
    }

    fn user(&self, id: &str) -> Result<Option<User>, StorageError> {
        self.read(|inner| inner.user(id))
    }

    fn create_user(&self, user: &User, session: &LoginSession) -> Result<(), StorageError> {
        self.write(|inner| inner.create_user(user, session))
    }

    fn put_session(&self, session: &LoginSession) -> Result<(), StorageError> {
        self.write(|inner| inner.put_session(session))
    }

    fn session(&self, id: &str) -> Result<Option<LoginSession>, StorageError> {
        self.read(|inner| inner.session(id))
    }

    fn revoke_session(&self, id: &str) -> Result<bool, StorageError> {
        self.write(|inner| inner.revoke_session(id))
    }

    fn delete_user(&self, id: &str) -> Result<bool, StorageError> {
        self.write(|inner| inner.delete_user(id))
    }
}
