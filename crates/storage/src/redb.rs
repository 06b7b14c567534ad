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
//! After a commit or a checkpoint has failed, the files may hold the batch or not, and the store answers
//! [`StorageError::Stopped`] until it is opened again.
//!
//! redb trusts the pages of a file that was closed properly: on one that something else has altered since it
//! may panic. [`RedbOptions::check`] is for files of doubtful origin.

mod accounts;
mod batch;
mod key;
mod log;
mod memtable;
mod open;
mod record;
mod redo;
mod snapshot;
mod tables;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use redb::{Database, Durability, ReadTransaction, ReadableDatabase as _, WriteTransaction};

use crate::store::{Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store};
use batch::Draft;
use log::{Log, Mark};
use memtable::Memtable;
pub use open::{OpenError, RedbOptions};
use snapshot::Snapshot;
use tables::Tables;

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
        self.check_running()?;
        Ok(self.current())
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

    /// Changes something, durably when this returns. No change costs nothing.
    fn change<T>(
        &self,
        change: impl Fn(&mut Draft) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        if let Some(answer) = self.try_change(&change)? {
            return Ok(answer);
        }
        // Somebody may be making room.
        drop(self.checkpointing.lock());
        match self.try_change(&change)? {
            Some(answer) => Ok(answer),
            None => self.change_directly(&change),
        }
    }

    /// Does nothing if the log has no room.
    fn try_change<T>(
        &self,
        change: impl Fn(&mut Draft) -> Result<T, StorageError>,
    ) -> Result<Option<T>, StorageError> {
        let mut log = self.log()?;
        let mut draft = Draft::new(self.current(), log.max_len());
        let answer = self.stopping(change(&mut draft))?;
        match draft.redo() {
            Some([]) => (),
            Some(changes) if log.has_room(changes.len()) => {
                self.stopping(log.append(changes).map_err(StorageError::backend))?;
                let active = draft.snapshot.active;
                self.publish(|current| current.active = active);
                self.is_due.store(log.is_filling(), Ordering::Release);
            }
            _ => return Ok(None),
        }
        Ok(Some(answer))
    }

    /// Writes a change to the database, with all that came before it.
    fn change_directly<T>(
        &self,
        change: impl Fn(&mut Draft) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let _alone = self.checkpointing.lock().map_err(|_| StorageError::Stopped)?;
        let mut log = self.log()?;
        let mut draft = Draft::new(self.current(), 0);
        let answer = self.stopping(change(&mut draft))?;
        let mark = log.mark();
        let base = self.stopping(self.write(&draft.snapshot.active, mark.number))?;
        self.publish(|current| *current = Snapshot::new(base));
        self.release(&mut log, mark);
        Ok(answer)
    }

    /// Only for one at a time.
    fn write_memtable(&self) -> Result<(), StorageError> {
        let mark = {
            let log = self.log()?;
            if !log.is_begun() {
                return Ok(());
            }
            self.publish(|current| current.sealed = std::mem::take(&mut current.active));
            log.mark()
        };
        let sealed = self.current().sealed;
        let base = self.write(&sealed, mark.number)?;
        let mut log = self.log()?;
        let before = self.publish(|current| {
            *current =
                Snapshot { active: std::mem::take(&mut current.active), ..Snapshot::new(base) };
        });
        self.release(&mut log, mark);
        drop(log);
        drop(before);
        Ok(())
    }

    fn release(&self, log: &mut Log, mark: Mark) {
        log.release(mark);
        self.is_due.store(log.is_filling(), Ordering::Release);
    }

    /// The log, to commit something; unless what came before has failed.
    fn log(&self) -> Result<MutexGuard<'_, Log>, StorageError> {
        let log = self.log.lock().map_err(|_| StorageError::Stopped)?;
        self.check_running()?;
        Ok(log)
    }

    /// Makes the changes of a memtable in the database, which has the log up to this number then; its new state.
    fn write(&self, memtable: &Memtable, until: u64) -> Result<ReadTransaction, StorageError> {
        let transaction = self.database.begin_write().map_err(backend)?;
        let mut tables = Tables::open(&transaction)?;
        memtable.changes().try_for_each(|change| tables.apply(change))?;
        drop(tables);
        flush(transaction, until)?;
        self.database.begin_read().map_err(backend)
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
        if self.stopped.load(Ordering::Acquire) { Err(StorageError::Stopped) } else { Ok(()) }
    }
}

impl Drop for RedbStore {
    /// Leaves nothing for the next opening to repeat.
    fn drop(&mut self) {
        // What is not written now is in the log.
        let _ = self.checkpoint();
    }
}

/// Makes a transaction durable, after which the database has the log up to this number.
fn flush(mut transaction: WriteTransaction, until: u64) -> Result<(), StorageError> {
    transaction.set_durability(Durability::Immediate).map_err(backend)?;
    // Without it, opening after a crash would read the whole database.
    transaction.set_quick_repair(true);
    let mut meta = transaction.open_table(key::META.definition).map_err(backend)?;
    meta.insert(key::LOG_UNTIL, until).map_err(backend)?;
    drop(meta);
    transaction.commit().map_err(backend)
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
        self.change(|draft| draft.carry_out_all(commits))
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

/// An error of redb; all of them mean that the medium or the file failed.
fn backend(error: impl Into<redb::Error>) -> StorageError {
    StorageError::backend(error.into())
}
