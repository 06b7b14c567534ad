//! Writing: commits into the log, and what the log holds into the database.

use std::sync::MutexGuard;
use std::sync::atomic::Ordering;

use redb::{Durability, ReadTransaction, ReadableDatabase as _, WriteTransaction};

use super::draft::Draft;
use super::error::backend;
use super::log::{Log, Mark};
use super::memtable::Memtable;
use super::snapshot::Snapshot;
use super::tables::Tables;
use super::{RedbStore, key};
use crate::store::StorageError;

/// What became of a change.
enum Attempt<T> {
    /// It is durable.
    Done(T),
    /// The log has no room until something is released. Nothing was changed.
    NoRoom,
    /// The log is too short for it. Nothing was changed.
    TooLong,
}

impl RedbStore {
    /// Changes something, durably when this returns. No change costs nothing.
    pub(super) fn change<T>(
        &self,
        change: impl Fn(&mut Draft) -> Result<T, StorageError>,
    ) -> Result<T, StorageError> {
        let mut attempt = self.try_change(&change)?;
        if let Attempt::NoRoom = attempt {
            // Somebody may be making room.
            drop(self.checkpointing.lock());
            attempt = self.try_change(&change)?;
        }
        match attempt {
            Attempt::Done(answer) => Ok(answer),
            Attempt::NoRoom | Attempt::TooLong => self.change_directly(&change),
        }
    }

    fn try_change<T>(
        &self,
        change: impl Fn(&mut Draft) -> Result<T, StorageError>,
    ) -> Result<Attempt<T>, StorageError> {
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
            Some(_) => return Ok(Attempt::NoRoom),
            None => return Ok(Attempt::TooLong),
        }
        Ok(Attempt::Done(answer))
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
        let mark = log.skip();
        let base = self.stopping(self.write(&draft.snapshot.active, mark.number))?;
        self.publish(|current| *current = Snapshot::new(base));
        self.release(&mut log, mark);
        Ok(answer)
    }

    /// Writes what has gathered in memory to the database. Only for one at a time.
    pub(super) fn write_memtable(&self) -> Result<(), StorageError> {
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
}

/// Makes a transaction durable, after which the database has the log up to this number.
pub(super) fn flush(mut transaction: WriteTransaction, until: u64) -> Result<(), StorageError> {
    transaction.set_durability(Durability::Immediate).map_err(backend)?;
    // Without it, opening after a crash would read the whole database.
    transaction.set_quick_repair(true);
    let mut meta = transaction.open_table(key::META.definition).map_err(backend)?;
    meta.insert(key::LOG_UNTIL, until).map_err(backend)?;
    drop(meta);
    transaction.commit().map_err(backend)
}
