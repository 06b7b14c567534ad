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

use super::file::{LocalError, storage};
use super::record::{self, HISTORY, META, OBJECTS, RECIPROCALS, RESET, SCHEMA, STATE};
use super::reset::PendingReset;
use super::state::{FileState, HistoryEntry};

/// One state of a file. Clones are the same state; pages that it needs are kept as long as it lives.
#[derive(Clone)]
pub struct Snapshot {
    tables: Arc<Tables>,
}

struct Tables {
    state: FileState,
    schema: Schema,
    reset: Option<PendingReset>,
    objects: ReadOnlyTable<&'static [u8], &'static [u8]>,
    history: ReadOnlyTable<u64, &'static [u8]>,
    reciprocals: ReadOnlyTable<u64, &'static [u8]>,
}

impl Snapshot {
    pub(super) fn new(reading: &ReadTransaction) -> Result<Self, LocalError> {
        let meta = reading.open_table(META).map_err(storage)?;
        let read = |key| {
            let bytes = meta.get(key).map_err(storage)?;
            bytes.ok_or(LocalError::Damaged(EncodingError::Invalid("a record is missing")))
        };
        let tables = Tables {
            state: record::decode_state(read(STATE)?.value())?,
            schema: Schema::decode(read(SCHEMA)?.value())?,
            reset: match meta.get(RESET).map_err(storage)? {
                Some(record) => Some(PendingReset::decode(record.value())?),
                None => None,
            },
            objects: reading.open_table(OBJECTS).map_err(storage)?,
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
        &self.tables.schema
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

    /// How many objects a class has; reads their keys.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn count(&self, class: ClassId) -> Result<usize, LocalError> {
        Ok(self.rows(&row_prefix(class))?.len())
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
            let reciprocal = tables.reciprocals.get(version.value()).map_err(storage)?;
            let reciprocal = reciprocal.map(|bytes| Bytes::copy_from_slice(bytes.value()));
            Ok(record::decode_entry(version.value(), bytes.value(), reciprocal)?)
        }))
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
