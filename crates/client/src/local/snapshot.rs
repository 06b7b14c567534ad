//! One state of a file, to be read.

use std::sync::Arc;

use bailiwick_core::EncodingError;
use bailiwick_core::schema::{ClassId, Schema};
use bailiwick_core::state::{
    Object, ObjectRow, ObjectStore, PrimaryKey, decode_row, encode_row, row_prefix,
};
use bailiwick_protocol::version::ClientVersion;
use bytes::Bytes;
use redb::{ReadOnlyTable, ReadTransaction};

use super::classes::{ClassCache, Classes};
use super::file::{LocalError, storage};
use super::links::{self, LINKS};
use super::record;
use super::reset::PendingReset;
use super::state::{FileState, HistoryEntry};
use super::tables::{self, COUNTS, HISTORY, META, OBJECTS, RECIPROCALS, RESET, SCHEMA, STATE};

/// One state of a file. Clones are the same state; pages that it needs are kept as long as it lives, but once
/// the [`LocalFile`](super::LocalFile) is dropped they are not read any more ([`LocalError::Closed`]).
#[derive(Clone)]
pub struct Snapshot {
    tables: Arc<Tables>,
}

struct Tables {
    state: FileState,
    classes: Arc<Classes>,
    reset: Option<PendingReset>,
    objects: ReadOnlyTable<&'static [u8], &'static [u8]>,
    links: ReadOnlyTable<(&'static [u8], &'static [u8]), ()>,
    meta: ReadOnlyTable<&'static str, &'static [u8]>,
    history: ReadOnlyTable<u64, &'static [u8]>,
    reciprocals: ReadOnlyTable<u64, &'static [u8]>,
}

impl Snapshot {
    pub(super) fn new(reading: &ReadTransaction, classes: &ClassCache) -> Result<Self, LocalError> {
        let meta = reading.open_table(META).map_err(storage)?;
        let tables = Tables {
            state: tables::get(&meta, STATE, record::decode_state)?,
            classes: tables::get(&meta, SCHEMA, |bytes| classes.decode(bytes))?,
            reset: match meta.get(RESET).map_err(storage)? {
                Some(record) => Some(PendingReset::decode(record.value())?),
                None => None,
            },
            meta,
            objects: reading.open_table(OBJECTS).map_err(storage)?,
            links: reading.open_table(LINKS).map_err(storage)?,
            history: reading.open_table(HISTORY).map_err(storage)?,
            reciprocals: reading.open_table(RECIPROCALS).map_err(storage)?,
        };
        Ok(Self { tables: Arc::new(tables) })
    }

    /// All but schema, objects and history.
    pub fn state(&self) -> &FileState {
        &self.tables.state
    }

    /// The client reset that is under way.
    pub fn pending_reset(&self) -> Option<&PendingReset> {
        self.tables.reset.as_ref()
    }

    /// The classes.
    pub fn schema(&self) -> &Schema {
        &self.tables.classes.schema
    }

    /// The object with this key.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn get(&self, class: ClassId, key: &PrimaryKey) -> Result<Option<Object>, LocalError> {
        let stored = self.object(&encode_row(class, key))?;
        Ok(stored.map(|bytes| Object::decode(&bytes)).transpose()?)
    }

    /// The objects of a class, in the order of their keys, read one by one.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn objects(
        &self,
        class: ClassId,
    ) -> Result<impl Iterator<Item = Result<(PrimaryKey, Object), LocalError>> + use<>, LocalError>
    {
        let prefix = row_prefix(class);
        let range = self.tables.objects.range(prefix.as_slice()..).map_err(storage)?;
        Ok(range
            .map(|entry| {
                let (row, object) = entry.map_err(storage)?;
                let (class, key) = decode_row(row.value())
                    .map_err(|_| EncodingError::Invalid("a row does not name an object"))?;
                Ok((class, key, Object::decode(object.value())?))
            })
            .take_while(move |entry| match entry {
                Ok((found, ..)) => *found == class,
                Err(_) => true,
            })
            .map(|entry| entry.map(|(_, key, object)| (key, object))))
    }

    /// How many objects a class has.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn count(&self, class: ClassId) -> Result<usize, LocalError> {
        let counts = tables::get(&self.tables.meta, COUNTS, record::decode_counts)?;
        let count = counts.get(&class).copied().unwrap_or_default();
        Ok(usize::try_from(count).unwrap_or(usize::MAX))
    }

    /// The rows of the objects that link to the object of this row, in their order, whether or not it exists.
    /// They hold the link somewhere: in a field, in a collection or in an embedded object.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn links_to(&self, row: &[u8]) -> Result<Vec<ObjectRow>, LocalError> {
        links::sources(&self.tables.links, row)
    }

    /// The history after a version, oldest first, read one by one.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn history(
        &self,
        after: ClientVersion,
    ) -> Result<impl DoubleEndedIterator<Item = Result<HistoryEntry, LocalError>> + use<>, LocalError>
    {
        let tables = Arc::clone(&self.tables);
        let range = tables.history.range(after.0.saturating_add(1)..).map_err(storage)?;
        Ok(range.map(move |entry| {
            let (version, bytes) = entry.map_err(storage)?;
            tables.entry(version.value(), bytes.value())
        }))
    }

    /// The entry of a version, if it was not trimmed.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn history_entry(
        &self,
        version: ClientVersion,
    ) -> Result<Option<HistoryEntry>, LocalError> {
        let bytes = self.tables.history.get(version.0).map_err(storage)?;
        bytes.map(|bytes| self.tables.entry(version.0, bytes.value())).transpose()
    }
}

impl Tables {
    fn entry(&self, version: u64, bytes: &[u8]) -> Result<HistoryEntry, LocalError> {
        let reciprocal = self.reciprocals.get(version).map_err(storage)?;
        let reciprocal = reciprocal.map(|bytes| Bytes::copy_from_slice(bytes.value()));
        Ok(record::decode_entry(version, bytes, reciprocal)?)
    }
}

impl ObjectStore for Snapshot {
    type Error = LocalError;

    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, LocalError> {
        let object = self.tables.objects.get(row).map_err(storage)?;
        Ok(object.map(|bytes| Bytes::copy_from_slice(bytes.value())))
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, LocalError> {
        let mut rows = Vec::new();
        for entry in self.tables.objects.range(prefix..).map_err(storage)? {
            let (row, _) = entry.map_err(storage)?;
            if !row.value().starts_with(prefix) {
                break;
            }
            rows.push(row.value().into());
        }
        Ok(rows)
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("state", &self.tables.state).finish_non_exhaustive()
    }
}
