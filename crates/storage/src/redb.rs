//! A store in one file, kept by [redb](https://docs.rs/redb): nothing to set up, one write
//! transaction for each batch.
//!
//! # Layout
//!
//! Format 2. A realm's key is translated to a number once, `id`, which is never reused; so what
//! belongs to a realm, or to one of its client files, is one range. Numbers in keys are big-endian with
//! 8 bytes, so byte order is their order. Each value starts with a byte that tells its layout.
//!
//! ```text
//! table           key                         value
//! meta            "format" | "next_realm"     format of the file | the next id, 8 bytes each
//! realms          realm key                   id, revision, head, salt, cumulative len, client files
//! schemas         id                          schema; missing if it is empty
//! entries         id version                  salt, origin, client version, time, cumulative len,
//!                                             required protocol (1 byte), changeset
//! client_files    id ident                    salt, upload cursor, acknowledged, locked version, last seen, user;
//!                                             without what is acknowledged in format 1, which is read too
//! reciprocals     id ident version            changeset
//! objects         id row                      object
//! users           user id                     created, disabled, identities
//! sessions        session id                  created, expires, user, device
//! user_sessions   user id, session id         nothing
//! secrets         name                        secret
//! ```
//!
//! # Commits
//!
//! A batch is one write transaction. Each commit is checked before anything of it is written, so that
//! a refused one has nothing to take back. Writers wait for each other; readers work on snapshots and
//! wait for nobody.
//!
//! # Crashes
//!
//! After a crash, opening the file finds the last acknowledged batch. How long that takes, and what commits
//! pay for it, is a choice: [`Repair`].
//!
//! After a commit has failed, the file may hold the batch or not, and the store answers
//! [`StorageError::Stopped`] until it is opened again.
//!
//! redb trusts the pages of a file that was closed properly: on one that something else has altered since it
//! may panic. [`RedbOptions::check`] is for files of doubtful origin.

mod accounts;
mod batch;
mod key;
mod open;
mod record;
mod snapshot;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use redb::{Database, ReadableDatabase as _};

use crate::store::{Commit, CommitRefused, ObjectRow, RealmKey, RealmRecord, StorageError, Store};
use batch::Tables;
pub use open::{OpenError, RedbOptions, Repair};
use snapshot::Snapshot;

/// Keeps everything in one file; see [the module](crate::redb).
#[derive(Debug)]
pub struct RedbStore {
    database: Database,
    repair: Repair,
    /// A write failed, so that what the file holds is unknown.
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
        Ok(Snapshot::new(self.database.begin_read().map_err(backend)?))
    }

    /// Runs a write transaction; `change` says whether there is something to commit.
    fn change<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<(T, Outcome), StorageError>,
    ) -> Result<T, StorageError> {
        self.check_running()?;
        let result = self.transact(change);
        // A damaged record was only read: nothing was written on account of it.
        if matches!(result, Err(StorageError::Backend(_))) {
            self.stopped.store(true, Ordering::Release);
        }
        result
    }

    fn transact<T>(
        &self,
        change: impl FnOnce(&mut Tables<'_>) -> Result<(T, Outcome), StorageError>,
    ) -> Result<T, StorageError> {
        let mut transaction = self.database.begin_write().map_err(backend)?;
        // The transaction before this one may have failed while this one waited.
        self.check_running()?;
        transaction.set_durability(redb::Durability::Immediate).map_err(backend)?;
        transaction.set_quick_repair(self.repair == Repair::Quick);
        let (answer, outcome) = {
            let mut tables = Tables::open(&transaction)?;
            change(&mut tables)?
        };
        match outcome {
            Outcome::Changed => transaction.commit().map_err(backend)?,
            Outcome::Unchanged => transaction.abort().map_err(backend)?,
        }
        Ok(answer)
    }

    fn check_running(&self) -> Result<(), StorageError> {
        if self.stopped.load(Ordering::Acquire) { Err(StorageError::Stopped) } else { Ok(()) }
    }
}

/// Whether a write transaction has something to commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Changed,
    Unchanged,
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
        self.change(|tables| {
            let mut answers = Vec::with_capacity(commits.len());
            for (key, commit) in commits {
                answers.push(tables.carry_out(key, commit)?);
            }
            let changed = answers.iter().any(Result::is_ok);
            Ok((answers, if changed { Outcome::Changed } else { Outcome::Unchanged }))
        })
    }
}

/// An error of redb; all of them mean that the medium or the file failed.
fn backend(error: impl Into<redb::Error>) -> StorageError {
    StorageError::backend(error.into())
}
