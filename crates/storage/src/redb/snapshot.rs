//! Reading: one state of the file, whatever is committed meanwhile.

use std::ops::Bound;

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use redb::{ReadOnlyTable, ReadTransaction, ReadableTable, TableDefinition};

use super::key::{self, RealmId};
use super::{backend, record};
use crate::store::{ObjectRow, RealmKey, RealmRecord, StorageError};

pub(super) struct Snapshot(ReadTransaction);

impl Snapshot {
    pub(super) fn new(transaction: ReadTransaction) -> Self {
        Self(transaction)
    }

    pub(super) fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        let Some((id, mut record)) = self.find(realm)? else { return Ok(RealmRecord::default()) };
        if let Some(schema) = self.table(key::SCHEMAS)?.get(&id.schema()).map_err(backend)? {
            record.schema = Bytes::copy_from_slice(record::decode_bytes(schema.value())?);
        }
        Ok(record)
    }

    pub(super) fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_bytes()));
        let realms = self.table(key::REALMS)?;
        let range = realms.range::<&[u8]>((start, Bound::Unbounded)).map_err(backend)?;
        range
            .take(limit)
            .map(|item| {
                let (key, _) = item.map_err(backend)?;
                RealmKey::try_new(key.value())
                    .map_err(|_| StorageError::Corrupt("a realm key is too long"))
            })
            .collect()
    }

    pub(super) fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        let Some((id, record)) = self.find(realm)? else { return Ok(None) };
        let file = read_client_file(&self.table(key::CLIENT_FILES)?, id, ident)?;
        let index = ident.0.checked_sub(FileIdent::FIRST_CLIENT.0);
        let is_allocated = index.is_some_and(|index| index < record.client_file_count);
        match (is_allocated, file) {
            (true, None) => Err(StorageError::Corrupt("a client file is missing")),
            (false, Some(_)) => Err(StorageError::Corrupt("a client file was not allocated")),
            (_, file) => Ok(file),
        }
    }

    pub(super) fn entries(
        &self,
        realm: &RealmKey,
        after: ServerVersion,
        until: ServerVersion,
        max_len: usize,
    ) -> Result<Vec<Entry>, StorageError> {
        let Some((id, record)) = self.find(realm)? else { return Ok(Vec::new()) };
        let until = until.min(record.head.version);
        if after >= until {
            return Ok(Vec::new());
        }
        let table = self.table(key::ENTRIES)?;
        let (first, last) = (id.entry(after.next()), id.entry(until));
        let mut entries: Vec<Entry> = Vec::new();
        let (mut next, mut len) = (after.next(), 0_usize);
        for item in table.range::<&[u8; 16]>(&first..=&last).map_err(backend)? {
            let (key, value) = item.map_err(backend)?;
            let version = key::version(key.value())?;
            let entry = record::decode_entry(version, value.value())?;
            let sum = entries.last().map(|before| before.cumulative_len);
            let follows = version == next
                && sum.is_none_or(|sum| {
                    sum.checked_add(entry.changeset.len() as u64) == Some(entry.cumulative_len)
                });
            if !follows {
                return Err(StorageError::Corrupt("an entry does not follow the one before"));
            }
            len = len.saturating_add(entry.changeset.len());
            entries.push(entry);
            if version == until || len > max_len {
                return Ok(entries);
            }
            next = version.next();
        }
        Err(StorageError::Corrupt("an entry is missing"))
    }

    pub(super) fn reciprocals(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        let Some((id, record)) = self.find(realm)? else { return Ok(Vec::new()) };
        if after >= record.head.version {
            return Ok(Vec::new());
        }
        let table = self.table(key::RECIPROCALS)?;
        let first = id.reciprocal(ident, after.next());
        let last = id.reciprocal(ident, record.head.version);
        let range = table.range::<&[u8; 24]>(&first..=&last).map_err(backend)?;
        range
            .map(|item| {
                let (key, value) = item.map_err(backend)?;
                let form = Bytes::copy_from_slice(record::decode_bytes(value.value())?);
                Ok((key::version(key.value())?, form))
            })
            .collect()
    }

    pub(super) fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        let Some((id, _)) = self.find(realm)? else { return Ok(vec![None; rows.len()]) };
        let table = self.table(key::OBJECTS)?;
        rows.iter()
            .map(|row| {
                let value = table.get(id.object(row).as_slice()).map_err(backend)?;
                value
                    .map(|value| Ok(Bytes::copy_from_slice(record::decode_bytes(value.value())?)))
                    .transpose()
            })
            .collect()
    }

    pub(super) fn scan_objects(
        &self,
        realm: &RealmKey,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(ObjectRow, Bytes)>, StorageError> {
        let Some((id, _)) = self.find(realm)? else { return Ok(Vec::new()) };
        let prefix = id.object(prefix);
        let after = after.map(|row| id.object(row)).filter(|after| *after >= prefix);
        let start = match &after {
            Some(after) => Bound::Excluded(after.as_slice()),
            None => Bound::Included(prefix.as_slice()),
        };
        let table = self.table(key::OBJECTS)?;
        let mut found = Vec::new();
        for item in table.range::<&[u8]>((start, Bound::Unbounded)).map_err(backend)?.take(limit) {
            let (key, value) = item.map_err(backend)?;
            if !key.value().starts_with(&prefix) {
                break;
            }
            let object = Bytes::copy_from_slice(record::decode_bytes(value.value())?);
            found.push((key::row(key.value())?.into(), object));
        }
        Ok(found)
    }

    /// The realm's id and its record without the schema.
    fn find(&self, realm: &RealmKey) -> Result<Option<(RealmId, RealmRecord)>, StorageError> {
        let value = self.table(key::REALMS)?.get(realm.as_bytes()).map_err(backend)?;
        value.map(|value| record::decode_realm(value.value())).transpose()
    }

    pub(super) fn table<K: redb::Key + 'static, V: redb::Value + 'static>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, StorageError> {
        self.0.open_table(definition).map_err(backend)
    }
}

pub(super) fn read_client_file(
    table: &impl ReadableTable<key::Bytes16, key::Slice>,
    id: RealmId,
    ident: FileIdent,
) -> Result<Option<ClientFile>, StorageError> {
    let value = table.get(&id.client_file(ident)).map_err(backend)?;
    value.map(|value| record::decode_client_file(value.value())).transpose()
}
