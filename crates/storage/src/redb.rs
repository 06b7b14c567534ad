//! A store in two files: a database of [redb](https://docs.rs/redb), and a log of what was committed since the
//! database was last flushed. Nothing to set up; a batch costs one flush of the log.
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
//! A batch, or a change of the accounts, is one write transaction. Each commit is checked before anything of it is
//! written, so that a refused one has nothing to take back. Before the transaction is shown to anybody, its changes are
//! appended to the log and flushed; redb then keeps them in memory. So what is seen is durable. Writers wait for each
//! other; readers work on snapshots and wait for nobody.
//!
//! A transaction that finds no room in the log is flushed by redb, with all that came before it, and the log starts
//! again. That one takes longer: redb writes each page that has changed since, and flushes twice.
//!
//! # Crashes
//!
//! Opening finds the database as it was last flushed, and makes the changes of the log again. That takes no longer
//! than the log is long: some milliseconds for each MiB. A store that was closed has nothing to repeat.
//!
//! After a commit has failed, the files may hold the batch or not, and the store answers
//! [`StorageError::Stopped`] until it is opened again.
//!
//! redb trusts the pages of a file that was closed properly: on one that something else has altered since it
//! may panic. [`RedbOptions::check`] is for files of doubtful origin.

mod accounts;
mod batch;
mod key;
mod log;
mod open;
mod record;
mod redo;
mod snapshot;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, RwLock};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use redb::{Database, Durability, ReadableDatabase as _, WriteTransaction};

use crate::store::{Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store};
use batch::Tables;
use log::Log;
pub use open::{OpenError, RedbOptions};
use snapshot::Snapshot;

/// Keeps everything in two files; see [the module](crate::redb).
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    /// Whoever writes holds it until the end; after a panic in between nobody writes any more.
    log: Mutex<Log>,
    /// Held while something is told to be there that cannot be read yet.
    catching_up: RwLock<()>,
    /// A write failed, so that what the files hold is unknown.
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

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        // After a panic in between, what was told can be read when the store is opened again.
        let _is_up_to_date = self.catching_up.read().map_err(|_| StorageError::Stopped)?;
        self.check_running()?;
        Ok(Snapshot::new(self.database.begin_read().map_err(backend)?))
    }

    /// Runs a write transaction, which is durable when this returns. One that changes nothing costs nothing.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut answer = None;
        self.change_early(change, |it| answer = Some(it))?;
        Ok(answer.expect("it is told before there is no error"))
    }

    /// The same, but tells the answer as soon as the transaction is durable.
    fn change_early<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, StorageError>,
        durable: impl FnOnce(T),
    ) -> Result<(), StorageError> {
        let mut log = self.log.lock().map_err(|_| StorageError::Stopped)?;
        // The transaction before this one may have failed while this one waited.
        self.check_running()?;
        let result = self.transact(&mut log, change, durable);
        // A damaged record was only read: nothing was written on account of it.
        if matches!(result, Err(StorageError::Backend(_))) {
            self.stopped.store(true, Ordering::Release);
        }
        result
    }

    fn transact<T>(
        &self,
        log: &mut Log,
        change: impl FnOnce(&mut Tables<'_>) -> Result<T, StorageError>,
        durable: impl FnOnce(T),
    ) -> Result<(), StorageError> {
        let mut transaction = self.database.begin_write().map_err(backend)?;
        let mut tables = Tables::open(&transaction, log.max_len())?;
        let answer = change(&mut tables)?;
        let redo = tables.into_redo();
        match redo.bytes() {
            Some([]) => {
                transaction.abort().map_err(backend)?;
                durable(answer);
            }
            Some(changes) if log.has_room(changes.len()) => {
                log.append(changes).map_err(StorageError::backend)?;
                let _reads_wait = self.catching_up.write().map_err(|_| StorageError::Stopped)?;
                durable(answer);
                let committed = transaction
                    .set_durability(Durability::None)
                    .map_err(backend)
                    .and_then(|()| transaction.commit().map_err(backend));
                if committed.is_err() {
                    // Whoever reads next must not find what was before.
                    self.stopped.store(true, Ordering::Release);
                }
                committed?;
            }
            _ => {
                flush(transaction, log)?;
                durable(answer);
            }
        }
        Ok(())
    }

    fn check_running(&self) -> Result<(), StorageError> {
        if self.stopped.load(Ordering::Acquire) { Err(StorageError::Stopped) } else { Ok(()) }
    }
}

impl Drop for RedbStore {
    /// Leaves nothing for the next opening to repeat.
    fn drop(&mut self) {
        let is_running = !*self.stopped.get_mut();
        if let Ok(log) = self.log.get_mut()
            && is_running
            && log.is_begun()
        {
            // What is not flushed is in the log.
            let _ = self.database.begin_write().map_err(backend).and_then(|last| flush(last, log));
        }
    }
}

/// Commits a transaction, durably with all that came before it, and starts the log again.
fn flush(mut transaction: WriteTransaction, log: &mut Log) -> Result<(), StorageError> {
    transaction.set_durability(Durability::Immediate).map_err(backend)?;
    // Without it, opening after a crash would read the whole database.
    transaction.set_quick_repair(true);
    let mut meta = transaction.open_table(key::META).map_err(backend)?;
    meta.insert(key::LOG_UNTIL, log.last()).map_err(backend)?;
    drop(meta);
    transaction.commit().map_err(backend)?;
    log.restart();
    Ok(())
}

impl Store for RedbStore {
    fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        self.snapshot()?.realm(realm)
    }

    fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        self.snapshot()?.realms(after, limit)
    }

    fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        self.snapshot()?.client_file(realm, ident)
    }

    fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        self.snapshot()?.entries(realm, after, until, max_len)
    }

    fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        self.snapshot()?.reciprocals(realm, ident, after)
    }

    fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        self.snapshot()?.objects(realm, rows)
    }

    fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError> {
        self.snapshot()?.scan_objects(realm, prefix, after, limit)
    }

    fn commit(
        &self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
        self.change(|tables| tables.carry_out_all(commits))
    }

    fn commit_early(
        &self,
        commits: &[(RealmKey, Commit)],
        durable: &mut dyn FnMut(Vec<Result<(), CommitRefused>>),
    ) -> Result<(), StorageError> {
        self.change_early(|tables| tables.carry_out_all(commits), durable)
    }
}

/// An error of redb; all of them mean that the medium or the file failed.
fn backend(error: impl Into<redb::Error>) -> StorageError {
    StorageError::backend(error.into())
}
