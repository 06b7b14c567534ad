//! Writing: the tables of one write transaction, and what was changed in them.

use redb::WriteTransaction;

use bailiwick_protocol::version::ServerVersion;

use super::key::{self, RealmId};
use super::record;
use super::redo::{Change, Recorded, Redo, Repeat};
use super::snapshot::read_client_file;
use crate::commit::CheckError;
use crate::store::{Commit, CommitRefused, RealmKey, RealmRecord, StorageError};

/// All tables; opening one for the first time makes it.
pub(super) struct Tables<'t> {
    pub(super) redo: Redo,
    pub(super) meta: Recorded<'t, key::Text, u64>,
    realms: Recorded<'t, key::Slice, key::Slice>,
    schemas: Recorded<'t, key::Bytes8, key::Slice>,
    entries: Recorded<'t, key::Bytes16, key::Slice>,
    client_files: Recorded<'t, key::Bytes16, key::Slice>,
    reciprocals: Recorded<'t, key::Bytes24, key::Slice>,
    objects: Recorded<'t, key::Slice, key::Slice>,
    pub(super) users: Recorded<'t, key::Text, key::Slice>,
    pub(super) sessions: Recorded<'t, key::Text, key::Slice>,
    pub(super) user_sessions: Recorded<'t, (key::Text, key::Text), ()>,
    pub(super) secrets: Recorded<'t, key::Text, key::Slice>,
}

impl<'t> Tables<'t> {
    /// `max_redo_len` is how much of what changes is written down, in bytes.
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        max_redo_len: usize,
    ) -> Result<Self, StorageError> {
        // The numbers are part of the log's format.
        Ok(Self {
            redo: Redo::new(max_redo_len),
            meta: Recorded::open(transaction, key::META, 0)?,
            realms: Recorded::open(transaction, key::REALMS, 1)?,
            schemas: Recorded::open(transaction, key::SCHEMAS, 2)?,
            entries: Recorded::open(transaction, key::ENTRIES, 3)?,
            client_files: Recorded::open(transaction, key::CLIENT_FILES, 4)?,
            reciprocals: Recorded::open(transaction, key::RECIPROCALS, 5)?,
            objects: Recorded::open(transaction, key::OBJECTS, 6)?,
            users: Recorded::open(transaction, key::USERS, 7)?,
            sessions: Recorded::open(transaction, key::SESSIONS, 8)?,
            user_sessions: Recorded::open(transaction, key::USER_SESSIONS, 9)?,
            secrets: Recorded::open(transaction, key::SECRETS, 10)?,
        })
    }

    /// What was changed.
    pub(super) fn into_redo(self) -> Redo {
        self.redo
    }

    /// Makes changes again that were made once.
    pub(super) fn repeat(&mut self, mut changes: &[u8]) -> Result<(), StorageError> {
        let mut tables = [
            &mut self.meta as &mut dyn Repeat,
            &mut self.realms,
            &mut self.schemas,
            &mut self.entries,
            &mut self.client_files,
            &mut self.reciprocals,
            &mut self.objects,
            &mut self.users,
            &mut self.sessions,
            &mut self.user_sessions,
            &mut self.secrets,
        ];
        while !changes.is_empty() {
            let change = Change::read(&mut changes)?;
            let table = tables.iter_mut().find(|table| table.number() == change.table);
            table.ok_or(StorageError::Corrupt("a table in the log"))?.repeat(&change)?;
        }
        Ok(())
    }

    /// Checks and writes commits; the answers are in their order.
    pub(super) fn carry_out_all(
        &mut self,
        commits: &[(RealmKey, Commit)],
    ) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
        commits.iter().map(|(key, commit)| self.carry_out(key, commit)).collect()
    }

    /// Checks one commit, then writes it; nothing is written of one that is refused.
    fn carry_out(
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
            Some(id) => read_client_file(&self.client_files.table, id, ident),
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
        let value = self.realms.get(key.as_bytes())?;
        value.map(|value| record::decode_realm(value.value())).transpose()
    }

    fn next_realm(&mut self) -> Result<RealmId, StorageError> {
        let next = self.meta.get(key::NEXT_REALM)?.map_or(1, |id| id.value());
        let after = next.checked_add(1).ok_or(StorageError::Corrupt("the next realm's id"))?;
        self.meta.put(&mut self.redo, key::NEXT_REALM, after)?;
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
        let redo = &mut self.redo;
        let value = record::encode_realm(id, after);
        self.realms.put(redo, key.as_bytes(), &value)?;
        for (entry, cumulative_len) in commit.entries_with_len(before) {
            let value = record::encode_entry(entry, cumulative_len);
            self.entries.put(redo, &id.entry(entry.version.version), &value)?;
        }
        for (ident, file) in &commit.client_files {
            let value = record::encode_client_file(file);
            self.client_files.put(redo, &id.client_file(*ident), &value)?;
        }
        for (ident, until) in &commit.forget_reciprocals {
            let first = id.reciprocal(*ident, ServerVersion(0));
            let last = id.reciprocal(*ident, *until);
            self.reciprocals.remove_range(redo, &first, &last)?;
        }
        for (ident, version, form) in &commit.reciprocals {
            let value = record::encode_bytes(form);
            self.reciprocals.put(redo, &id.reciprocal(*ident, *version), &value)?;
        }
        for (row, object) in &commit.objects {
            let key = id.object(row);
            match object {
                Some(object) => self.objects.put(redo, &key, &record::encode_bytes(object))?,
                None => drop(self.objects.remove(redo, &key)?),
            }
        }
        match &commit.schema {
            None => (),
            Some(schema) if schema.is_empty() => {
                self.schemas.remove(redo, &id.schema())?;
            }
            Some(schema) => {
                self.schemas.put(redo, &id.schema(), &record::encode_bytes(schema))?;
            }
        }
        Ok(())
    }
}
