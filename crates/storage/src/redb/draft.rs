//! Committing: what a batch changes, on top of what is there.

use std::ops::Bound;

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

use super::key::{self, RealmId, Table};
use super::record;
use super::redo::{Change, Recordable, Redo};
use super::snapshot::Snapshot;
use crate::commit::CheckError;
use crate::store::{Commit, CommitRefused, RealmKey, RealmRecord, StorageError};

/// A state of the store that nobody else sees yet.
pub(super) struct Draft {
    pub(super) snapshot: Snapshot,
    redo: Redo,
}

impl Draft {
    /// `max_redo_len` is how much of what changes is written down, in bytes.
    pub(super) fn new(snapshot: Snapshot, max_redo_len: usize) -> Self {
        Self { snapshot, redo: Redo::new(max_redo_len) }
    }

    /// What was changed, in bytes; `None` if they are too long.
    pub(super) fn redo(&self) -> Option<&[u8]> {
        self.redo.bytes()
    }

    #[expect(clippy::needless_pass_by_value, reason = "keys and values are numbers and references")]
    pub(super) fn put<K: Recordable + redb::Key, V: Recordable>(
        &mut self,
        table: &Table<K, V>,
        key: K::SelfType<'_>,
        value: V::SelfType<'_>,
    ) {
        let (key, value) = (K::to_bytes(&key), V::to_bytes(&value));
        self.apply(Change { table: table.number, key: &key, value: Some(&value) });
    }

    /// What was there; without it there is no change.
    pub(super) fn remove<K: Recordable + redb::Key, V: Recordable>(
        &mut self,
        table: &Table<K, V>,
        key: K::SelfType<'_>,
    ) -> Result<Option<Bytes>, StorageError> {
        let name = K::to_bytes(&key).into_owned();
        let removed = self.snapshot.get(table, key)?;
        if removed.is_some() {
            self.apply(Change { table: table.number, key: &name, value: None });
        }
        Ok(removed)
    }

    fn apply(&mut self, change: Change<'_>) {
        self.redo.push(change);
        self.snapshot.active.apply(change);
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
        let (id, before) = match self.snapshot.find(key) {
            Ok(Some((id, record))) => (Some(id), record),
            Ok(None) => (None, RealmRecord::default()),
            Err(StorageError::Corrupt(what)) => return Ok(Err(CommitRefused::Damaged(what))),
            Err(error) => return Err(error),
        };
        let checked = commit.check(&before, |ident| match id {
            Some(id) => self.snapshot.client_file_of(id, ident),
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

    fn next_realm(&mut self) -> Result<RealmId, StorageError> {
        const DAMAGED: StorageError = StorageError::Corrupt("the next realm's id");
        let next = match self.snapshot.get(&key::META, key::NEXT_REALM)? {
            Some(next) => u64::of_bytes(&next).ok_or(DAMAGED)?,
            None => 1,
        };
        self.put(&key::META, key::NEXT_REALM, next.checked_add(1).ok_or(DAMAGED)?);
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
        self.put(&key::REALMS, key.as_bytes(), &record::encode_realm(id, after));
        for (entry, cumulative_len) in commit.entries_with_len(before) {
            let value = record::encode_entry(entry, cumulative_len);
            self.put(&key::ENTRIES, &id.entry(entry.version.version), &value);
        }
        for (ident, file) in &commit.client_files {
            let value = record::encode_client_file(file);
            self.put(&key::CLIENT_FILES, &id.client_file(*ident), &value);
        }
        for (ident, until) in &commit.forget_reciprocals {
            self.forget_reciprocals(id, *ident, *until)?;
        }
        for (ident, version, form) in &commit.reciprocals {
            let value = record::encode_bytes(form);
            self.put(&key::RECIPROCALS, &id.reciprocal(*ident, *version), &value);
        }
        for (row, object) in &commit.objects {
            let key = id.object(row);
            match object {
                Some(object) => self.put(&key::OBJECTS, &key, &record::encode_bytes(object)),
                None => drop(self.remove(&key::OBJECTS, &key)?),
            }
        }
        match &commit.schema {
            None => (),
            Some(schema) if schema.is_empty() => drop(self.remove(&key::SCHEMAS, &id.schema())?),
            Some(schema) => self.put(&key::SCHEMAS, &id.schema(), &record::encode_bytes(schema)),
        }
        Ok(())
    }

    fn forget_reciprocals(
        &mut self,
        id: RealmId,
        ident: FileIdent,
        until: ServerVersion,
    ) -> Result<(), StorageError> {
        let (first, last) = (id.reciprocal(ident, ServerVersion(0)), id.reciprocal(ident, until));
        let snapshot = self.snapshot.clone();
        let range = (Bound::Included(&first), Bound::Included(&last));
        for item in snapshot.range(&key::RECIPROCALS, range)? {
            let (key, _) = item?;
            self.apply(Change { table: key::RECIPROCALS.number, key: &key, value: None });
        }
        Ok(())
    }
}
