//! Writing to the database.

use redb::WriteTransaction;

use super::error::backend;
use super::key;
use super::key::Table;
use super::redo::{Change, Recordable};
use crate::store::StorageError;

/// All tables; opening one for the first time makes it.
pub(super) struct Tables<'t>([Box<dyn Apply + 't>; 11]);

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StorageError> {
        fn open<'t, K: Recordable + redb::Key, V: Recordable>(
            transaction: &'t WriteTransaction,
            table: &Table<K, V>,
        ) -> Result<Box<dyn Apply + 't>, StorageError> {
            Ok(Box::new(transaction.open_table(table.definition).map_err(backend)?))
        }
        // In the order of their numbers.
        Ok(Self([
            open(transaction, &key::META)?,
            open(transaction, &key::REALMS)?,
            open(transaction, &key::SCHEMAS)?,
            open(transaction, &key::ENTRIES)?,
            open(transaction, &key::CLIENT_FILES)?,
            open(transaction, &key::RECIPROCALS)?,
            open(transaction, &key::OBJECTS)?,
            open(transaction, &key::USERS)?,
            open(transaction, &key::SESSIONS)?,
            open(transaction, &key::USER_SESSIONS)?,
            open(transaction, &key::SECRETS)?,
        ]))
    }

    pub(super) fn apply(&mut self, change: Change<'_>) -> Result<(), StorageError> {
        let table = self.0.get_mut(usize::from(change.table));
        table.ok_or(StorageError::Corrupt("a table in the log"))?.apply(change)
    }

    /// Makes changes again that were made once.
    pub(super) fn repeat(&mut self, mut changes: &[u8]) -> Result<(), StorageError> {
        while !changes.is_empty() {
            self.apply(Change::read(&mut changes)?)?;
        }
        Ok(())
    }
}

/// A table that can be changed as the log says.
trait Apply {
    fn apply(&mut self, change: Change<'_>) -> Result<(), StorageError>;
}

impl<K: Recordable + redb::Key, V: Recordable> Apply for redb::Table<'_, K, V> {
    fn apply(&mut self, change: Change<'_>) -> Result<(), StorageError> {
        const DAMAGED: StorageError = StorageError::Corrupt("a change in the log");
        let key = K::of_bytes(change.key).ok_or(DAMAGED)?;
        match change.value {
            Some(value) => {
                let value = V::of_bytes(value).ok_or(DAMAGED)?;
                self.insert(key, value).map_err(backend)?;
            }
            None => {
                self.remove(key).map_err(backend)?;
            }
        }
        Ok(())
    }
}
