//! A store in two files: a database of [redb](https://docs.rs/redb), and a log of what was committed since the
//! database was last written to. Nothing to set up; a batch costs one flush of the log.
//!
//! # Layout
//!
//! Format 3. A realm's key is translated to a number once, `id`, which is never reused; so what
//! belongs to a realm, or to one of its client files, is one range. Numbers in keys are big-endian with
//! 8 bytes, so byte order is their order. Each value starts with a byte that tells its layout.
//!
//! ```text
//! table           key                         value
//! meta            "format" | "next_realm"     format of the file | the next id, 8 bytes each
//!                 "log" | "log_until"         id of the log | number of its last record that is in the tables;
//!                                             without a log in formats 1 and 2, which are read too
//! realms          realm key                   id, revision, head, salt, cumulative len, client files
//! schemas         id                          schema; missing if it is empty
//! entries         id version                  salt, origin, client version, time, cumulative len,
//!                                             required protocol (1 byte), changeset
//! client_files    id ident                    salt, upload cursor, acknowledged, locked version, last seen, user;
//!                                             without what is acknowledged in format 1
//! reciprocals     id ident version            changeset
//! objects         id row                      object
//! users           user id                     created, disabled, identities
//! sessions        session id                  created, expires, user, device
//! user_sessions   user id, session id         nothing
//! secrets         name                        secret
//! ```
//!
//! The log lies beside the database; its name has `.log` at the end. Its records are what `redo.rs` draws: the changes
//! of the tables, in the order in which they were made. They belong together: a backup has both, copied while no
//! process has them open.
//!
//! # Commits
//!
//! A batch, or a change of the accounts, is one record of the log. Each commit is checked before anything of it is
//! kept, so that a refused one has nothing to take back. Once the record is flushed, its changes are put into a
//! table in memory, the memtable, where readers find them: what is seen is durable. The database is not touched.
//!
//! A [checkpoint](Store::checkpoint) writes the memtable to the database, in one transaction, and releases the
//! log's records; meanwhile commits go into another memtable. It is [due](Store::is_checkpoint_due) when the log is half
//! full. A commit that finds no room waits for the one that runs; if there is none, or no room even then, it is written
//! to the database at once, with all that came before it. So is one that is larger than the whole log. The memtables
//! hold what the log holds, and with small rows take a few times as much room.
//!
//! Writers wait for each other while one flushes the log. Readers work on snapshots, which are the database as of the last
//! checkpoint and both memtables, and wait for nobody.
//!
//! # Crashes
//!
//! Opening finds the database as of the last checkpoint, and makes the changes of the log again. That takes no longer
//! than the log is long: some milliseconds for each MiB. A store that was closed has nothing to repeat.
//!
//! After a commit or a checkpoint has failed, the files may hold the batch or not; after a page could not be read, redb
//! reads no other. So the store answers [`StorageError::Stopped`] then, until it is opened again.
//!
//! redb trusts the pages of a file that was closed properly, and may panic on one that something else has altered since:
//! whoever opens or reads it hears that it is damaged, and a commit stops the store. Closing may end the process then.
//! [`RedbOptions::check`] is for files of doubtful origin.

mod accounts;
mod draft;
mod error;
mod key;
mod log;
mod memtable;
mod open;
mod record;
mod recovery;
mod redo;
mod snapshot;
mod tables;
mod writing;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use redb::Database;

use crate::store::{Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store};
pub use error::OpenError;
use error::or_corrupt;
use log::Log;
pub use open::RedbOptions;
use snapshot::Snapshot;

/// Keeps everything in two files; see [the module](crate::redb).
#[derive(Debug)]
pub struct RedbStore {
    /// What readers find. It holds a state of the database, and goes before it.
    snapshot: RwLock<Snapshot>,
    database: Database,
    /// Whoever commits holds it until the end; after a panic in between nobody commits any more.
    log: Mutex<Log>,
    /// Held for a whole checkpoint, at whose beginning and end nothing is sealed. Taken before `log`.
    checkpointing: Mutex<()>,
    /// Whether the log is filling.
    is_due: AtomicBool,
    /// The medium has failed, so that what the files hold is unknown.
    stopped: AtomicBool,
}

impl RedbStore {
    /// Opens or makes a store in this file, with the default [options](RedbOptions).
    ///
    /// # Errors
    ///
    /// Why the file can't be used, and what to do about it: see [`OpenError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, OpenError> {
        RedbOptions::default().open(path)
    }

    /// Opens or makes the store of this directory, with the default [options](RedbOptions).
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if the directory can't be made.
    pub fn in_dir(dir: impl AsRef<Path>) -> Result<Self, OpenError> {
        RedbOptions::default().in_dir(dir)
    }

    /// Reads what is durable. After a failure nothing can be relied on: redb reads no page any more that it has not in
    /// memory.
    fn read<T>(
        &self,
        read: impl FnOnce(&Snapshot) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        self.check_running()?;
        let snapshot = self.current();
        self.stopping(or_corrupt(|| read(&snapshot)))
    }

    fn current(&self) -> Snapshot {
        // Nothing panics while it holds the lock.
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes what readers find; what they found before is returned, since forgetting it may take time.
    fn publish(&self, change: impl FnOnce(&mut Snapshot)) -> Snapshot {
        let mut snapshot = self.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        let before = snapshot.clone();
        change(&mut snapshot);
        before
    }

    /// Stops everything after a failure of the medium, while whoever comes next still waits. A damaged record was only
    /// read: nothing was written on account of it.
    fn stopping<T>(&self, result: Result<T, StorageError>) -> Result<T, StorageError> {
        if matches!(result, Err(StorageError::Backend(_))) {
            self.stopped.store(true, Ordering::Release);
        }
        result
    }

    fn check_running(&self) -> Result<(), StorageError> {
        if self.is_stopped() { Err(StorageError::Stopped) } else { Ok(()) }
    }
}

impl Drop for RedbStore {
    /// Leaves nothing for the next opening to repeat.
    fn drop(&mut self) {
        // What is not written now is in the log.
        let _ = self.checkpoint();
    }
}

impl Store for RedbStore {
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        self.read(|snapshot| snapshot.realm(realm))
    }

    fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        self.read(|snapshot| snapshot.realms(after, limit))
    }

    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        self.read(|snapshot| snapshot.client_file(realm, ident))
    }

    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        self.read(|snapshot| snapshot.entries(realm, after, until, max_len))
    }

    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        self.read(|snapshot| snapshot.reciprocals(realm, ident, after))
    }

    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.read(|snapshot| snapshot.objects(realm, rows))
    }

    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError> {
        self.read(|snapshot| snapshot.scan_objects(realm, prefix, after, limit))
    }

    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
        self.change(|draft| draft.carry_out_all(commits))
    }

    fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire) || self.log.is_poisoned()
    }

    fn is_checkpoint_due(&self) -> bool {
        self.is_due.load(Ordering::Acquire)
    }

    fn checkpoint(&self) -> Result<(), StorageError> {
        let _alone = self.checkpointing.lock().map_err(|_| StorageError::Stopped)?;
        let result = self.write_memtable();
        if result.is_err() {
            // Another one would take what this one has left for written.
            self.stopped.store(true, Ordering::Release);
        }
        result
    }
}
