//! Reading: one state of the store, whatever is committed meanwhile.

use std::cmp::Ordering;
use std::iter::{self, Peekable};
use std::ops::Bound;
use std::sync::Arc;

use bailiwick_core::history::{ClientFile, Entry};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;
use redb::ReadTransaction;

use super::error::backend;
use super::key::{self, RealmId, Table};
use super::memtable::{Memtable, Row};
use super::record;
use super::redo::Recordable;
use crate::store::{ObjectRow, RealmKey, RealmRecord, StorageError};

/// What the database holds, and on top of it what was committed since. A clone costs next to nothing.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) base: Arc<ReadTransaction>,
    /// What is being written to the database.
    pub(super) sealed: Memtable,
    /// What came after that.
    pub(super) active: Memtable,
}

/// A key, and what is there.
type Item = Result<(Vec<u8>, Row), StorageError>;

impl Snapshot {
    pub(super) fn new(base: ReadTransaction) -> Self {
        let (sealed, active) = (Memtable::default(), Memtable::default());
        Self { base: Arc::new(base), sealed, active }
    }

    /// The value of a key.
    #[expect(clippy::needless_pass_by_value, reason = "a key is a reference, or a pair of them")]
    pub(super) fn get<K: Recordable + redb::Key, V: Recordable>(
        &self,
        table: &Table<K, V>,
        key: K::SelfType<'_>,
    ) -> Result<Option<Bytes>, StorageError> {
        let name = K::to_bytes(&key);
        let in_memory = |memtable: &Memtable| memtable.get(table.number, &name).cloned();
        if let Some(row) = in_memory(&self.active).or_else(|| in_memory(&self.sealed)) {
            return Ok(row.value());
        }
        let base = self.base.open_table(table.definition).map_err(backend)?;
        let value = base.get(&key).map_err(backend)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&V::to_bytes(&value.value()))))
    }

    /// The keys of a range and their values, in order; pairs only as far as the first of the two is the same.
    pub(super) fn range<'k, K: Recordable + redb::Key, V: Recordable>(
        &self,
        table: &Table<K, V>,
        (first, last): (Bound<K::SelfType<'k>>, Bound<K::SelfType<'k>>),
    ) -> Result<impl Iterator<Item = Result<(Vec<u8>, Bytes), StorageError>>, StorageError> {
        let name = |key: &K::SelfType<'k>| K::to_bytes(key).into_owned();
        let names = (first.as_ref().map(name), last.as_ref().map(name));
        let base = self.base.open_table(table.definition).map_err(backend)?;
        let base = base.range((first, last)).map_err(backend)?.map(|item| {
            let (key, value) = item.map_err(backend)?;
            let value = Bytes::copy_from_slice(&V::to_bytes(&value.value()));
            Ok((K::to_bytes(&key.value()).into_owned(), Row::Put(value)))
        });
        let [sealed, active] = [&self.sealed, &self.active].map(|memtable| {
            let rows = memtable.range(table.number, &names);
            rows.map(|(key, row)| Ok((key.to_vec(), row.clone())))
        });
        let rows = over(over(base, sealed), active);
        Ok(rows.filter_map(|item| {
            item.map(|(key, row)| row.value().map(|value| (key, value))).transpose()
        }))
    }

    pub(super) fn realm(&self, realm: &RealmKey) -> Result<RealmRecord, StorageError> {
        let Some((id, mut record)) = self.find(realm)? else { return Ok(RealmRecord::default()) };
        if let Some(schema) = self.get(&key::SCHEMAS, &id.schema())? {
            record.schema = Bytes::copy_from_slice(record::decode_bytes(&schema)?);
        }
        Ok(record)
    }

    pub(super) fn realms(
        &self,
        after: Option<&RealmKey>,
        limit: usize,
    ) -> Result<Vec<RealmKey>, StorageError> {
        let start = after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.as_bytes()));
        let realms = self.range(&key::REALMS, (start, Bound::Unbounded))?;
        realms
            .take(limit)
            .map(|item| {
                let (key, _) = item?;
                RealmKey::try_new(key).map_err(|_| StorageError::Corrupt("a realm key is too long"))
            })
            .collect()
    }

    pub(super) fn client_file(
        &self,
        realm: &RealmKey,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        let Some((id, record)) = self.find(realm)? else { return Ok(None) };
        let file = self.client_file_of(id, ident)?;
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
        let (first, last) = (id.entry(after.next()), id.entry(until));
        let mut entries: Vec<Entry> = Vec::new();
        let (mut next, mut len) = (after.next(), 0_usize);
        for item in self.range(&key::ENTRIES, (Bound::Included(&first), Bound::Included(&last)))? {
            let (key, value) = item?;
            let version = key::version(&key)?;
            let entry = record::decode_entry(version, &value)?;
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
        let first = id.reciprocal(ident, after.next());
        let last = id.reciprocal(ident, record.head.version);
        let forms =
            self.range(&key::RECIPROCALS, (Bound::Included(&first), Bound::Included(&last)))?;
        forms
            .map(|item| {
                let (key, value) = item?;
                let form = Bytes::copy_from_slice(record::decode_bytes(&value)?);
                Ok((key::version(&key)?, form))
            })
            .collect()
    }

    pub(super) fn objects(
        &self,
        realm: &RealmKey,
        rows: &[ObjectRow],
    ) -> Result<Vec<Option<Bytes>>, StorageError> {
        let Some((id, _)) = self.find(realm)? else { return Ok(vec![None; rows.len()]) };
        rows.iter()
            .map(|row| {
                let value = self.get(&key::OBJECTS, &id.object(row))?;
                value
                    .map(|value| Ok(Bytes::copy_from_slice(record::decode_bytes(&value)?)))
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
        let mut found = Vec::new();
        for item in self.range(&key::OBJECTS, (start, Bound::Unbounded))?.take(limit) {
            let (key, value) = item?;
            if !key.starts_with(&prefix) {
                break;
            }
            let object = Bytes::copy_from_slice(record::decode_bytes(&value)?);
            found.push((key::row(&key)?.into(), object));
        }
        Ok(found)
    }

    /// The realm's id and its record without the schema.
    pub(super) fn find(
        &self,
        realm: &RealmKey,
    ) -> Result<Option<(RealmId, RealmRecord)>, StorageError> {
        let value = self.get(&key::REALMS, realm.as_bytes())?;
        value.map(|value| record::decode_realm(&value)).transpose()
    }

    pub(super) fn client_file_of(
        &self,
        id: RealmId,
        ident: FileIdent,
    ) -> Result<Option<ClientFile>, StorageError> {
        let value = self.get(&key::CLIENT_FILES, &id.client_file(ident))?;
        value.map(|value| record::decode_client_file(&value)).transpose()
    }
}

/// Both in one, in the order of the keys; for a key that both have, what is above.
fn over(
    below: impl Iterator<Item = Item>,
    above: impl Iterator<Item = Item>,
) -> impl Iterator<Item = Item> {
    let (mut below, mut above) = (below.peekable(), above.peekable());
    iter::from_fn(move || match order(&mut below, &mut above)? {
        Ordering::Less => below.next(),
        Ordering::Equal => below.next().and(above.next()),
        Ordering::Greater => above.next(),
    })
}

/// Which of the two comes next; an error before all else.
fn order(
    below: &mut Peekable<impl Iterator<Item = Item>>,
    above: &mut Peekable<impl Iterator<Item = Item>>,
) -> Option<Ordering> {
    match (below.peek(), above.peek()) {
        (None, None) => None,
        (Some(Ok((below, _))), Some(Ok((above, _)))) => Some(below.cmp(above)),
        (Some(_), None) | (Some(Err(_)), Some(_)) => Some(Ordering::Less),
        (None, Some(_)) | (Some(Ok(_)), Some(Err(_))) => Some(Ordering::Greater),
    }
}
