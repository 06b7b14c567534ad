//! Writing: the tables of one write transaction.

use redb::{ReadableTable as _, Table, WriteTransaction};

use bailiwick_protocol::version::ServerVersion;

use super::key::{self, RealmId};
use super::snapshot::read_client_file;
use super::{backend, record};
use crate::commit::CheckError;
use crate::store::{Commit, CommitRefused, RealmKey, RealmRecord, StorageError};

/// All tables; opening one for the first time makes it.
pub(super) struct Tables<'t> {
    pub(super) meta: Table<'t, key::Text, u64>,
    realms: Table<'t, key::Slice, key::Slice>,
    schemas: Table<'t, key::Bytes8, key::Slice>,
    entries: Table<'t, key::Bytes16, key::Slice>,
    client_files: Table<'t, key::Bytes16, key::Slice>,
    reciprocals: Table<'t, key::Bytes24, key::Slice>,
    objects: Table<'t, key::Slice, key::Slice>,
    pub(super) users: Table<'t, key::Text, key::Slice>,
    pub(super) sessions: Table<'t, key::Text, key::Slice>,
    pub(super) user_sessions: Table<'t, (key::Text, key::Text), ()>,
    pub(super) secrets: Table<'t, key::Text, key::Slice>,
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StorageError> {
        Ok(Self {
            meta: transaction.open_table(key::META).map_err(backend)?,
            realms: transaction.open_table(key::REALMS).map_err(backend)?,
            schemas: transaction.open_table(key::SCHEMAS).map_err(backend)?,
            entries: transaction.open_table(key::ENTRIES).map_err(backend)?,
            client_files: transaction.open_table(key::CLIENT_FILES).map_err(backend)?,
            reciprocals: transaction.open_table(key::RECIPROCALS).map_err(backend)?,
            objects: transaction.open_table(key::OBJECTS).map_err(backend)?,
            users: transaction.open_table(key::USERS).map_err(backend)?,
            sessions: transaction.open_table(key::SESSIONS).map_err(backend)?,
            user_sessions: transaction.open_table(key::USER_SESSIONS).map_err(backend)?,
            secrets: transaction.open_table(key::SECRETS).map_err(backend)?,
        })
    }

    /// Checks one commit, then writes it; nothing is written of one that is refused.
    pub(super) fn carry_out(
        &mut self,
        key: &RealmKey,
        commit: &Commit,
    ) -> Result<Result<(), CommitRefused>, StorageError> {
        let (id, before) = match self.find(key) {
            Ok(Some((id, record))) => (Some(id), record),
            Ok(None) => (None, RealmRecord::default()),
            Err(StorageError::Corrupt(what)) => return Ok(Err(CommitRefused::Damaged(what))),
            Err(error) => return Err(error),
        };
        let checked = commit.check(&before, |ident| match id {
            Some(id) => read_client_file(&self.client_files, id, ident),
            None => Ok(None),
        });
        match checked {
            Ok(after) => {
                let id = match id {
                    Some(id) => id,
                    None => self.next_realm()?,
                };
                self.write(key, id, commit, &before, &after)?;
                Ok(Ok(()))
            }
            Err(CheckError::Refused(refused)) => Ok(Err(refused)),
            Err(CheckError::Storage(error)) => Err(error),
        }
    }

    fn find(&self, key: &RealmKey) -> Result<Option<(RealmId, RealmRecord)>, StorageError> {
        let value = self.realms.get(key.as_bytes()).map_err(backend)?;
        value.map(|value| record::decode_realm(value.value())).transpose()
    }

    fn next_realm(&mut self) -> Result<RealmId, StorageError> {
        let next = self.meta.get(key::NEXT_REALM).map_err(backend)?.map_or(1, |id| id.value());
        let after = next.checked_add(1).ok_or(StorageError::Corrupt("the next realm's id"))?;
        self.meta.insert(key::NEXT_REALM, after).map_err(backend)?;
        Ok(RealmId(next))
    }

    fn write(
        &mut self,
        key: &RealmKey,
        id: RealmId,
        commit: &Commit,
        before: &RealmRecord,
        after: &RealmRecord,
    ) -> Result<(), StorageError> {
        let value = record::encode_realm(id, after);
        self.realms.insert(key.as_bytes(), value.as_slice()).map_err(backend)?;
        for (entry, cumulative_len) in commit.entries_with_len(before) {
            let value = record::encode_entry(entry, cumulative_len);
            let key = id.entry(entry.version.version);
            self.entries.insert(&key, value.as_slice()).map_err(backend)?;
        }
        for (ident, file) in &commit.client_files {
            let value = record::encode_client_file(file);
            self.client_files.insert(&id.client_file(*ident), value.as_slice()).map_err(backend)?;
        }
        for (ident, until) in &commit.forget_reciprocals {
            let first = id.reciprocal(*ident, ServerVersion(0));
            let last = id.reciprocal(*ident, *until);
            self.reciprocals
                .retain_in::<&[u8; 24], _>(&first..=&last, |_, _| false)
                .map_err(backend)?;
        }
        for (ident, version, form) in &commit.reciprocals {
            let value = record::encode_bytes(form);
            let key = id.reciprocal(*ident, *version);
            self.reciprocals.insert(&key, value.as_slice()).map_err(backend)?;
        }
        for (row, object) in &commit.objects {
            let key = id.object(row);
            match object {
                Some(object) => {
                    let value = record::encode_bytes(object);
                    self.objects.insert(key.as_slice(), value.as_slice()).map_err(backend)?;
                }
                None => {
                    self.objects.remove(key.as_slice()).map_err(backend)?;
                }
            }
        }
        match &commit.schema {
            None => (),
            Some(schema) if schema.is_empty() => {
                self.schemas.remove(&id.schema()).map_err(backend)?;
            }
            Some(schema) => {
                let value = record::encode_bytes(schema);
                self.schemas.insert(&id.schema(), value.as_slice()).map_err(backend)?;
            }
        }
        Ok(())
    }
}
