//! The tables of a file, and what a commit writes to them.
//!
//! ```text
//! table        key                      value
//! meta         "owner"                  app, user, partition
//!              "schema"                 the classes
//!              "state"                  client file, version, progress, counters
//!              "counts"                 how many objects each class has
//!              "reset"                  the client reset that is under way, if there is one
//! objects      row                      object
//! links        row, row of who links    nothing
//! history      version                  origin, timestamp, remote version, changeset
//! reciprocals  version                  changeset
//! ```

use std::collections::BTreeSet;

use bailiwick_core::EncodingError;
use bailiwick_core::schema::{ClassId, Schema};
use redb::{AccessGuard, ReadableTable as _, Table, TableDefinition, WriteTransaction};

use super::batch::{Batch, Change, HistoryChange};
use super::classes::ClassCache;
use super::file::{LocalError, storage};
use super::links::{self, LINKS, LinkColumns};
use super::options::Owner;
use super::record;
use super::state::FileState;

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
pub(super) const RECIPROCALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("reciprocals");
pub(super) const OWNER: &str = "owner";
pub(super) const SCHEMA: &str = "schema";
pub(super) const STATE: &str = "state";
pub(super) const COUNTS: &str = "counts";
pub(super) const RESET: &str = "reset";

type Meta<'t> = Table<'t, &'static str, &'static [u8]>;

/// Fills a new file.
pub(super) fn create(writing: &WriteTransaction, owner: &Owner) -> Result<(), LocalError> {
    let mut meta = writing.open_table(META).map_err(storage)?;
    put(&mut meta, OWNER, &record::encode_owner(owner))?;
    put(&mut meta, SCHEMA, &Schema::default().encode())?;
    put(&mut meta, STATE, &record::encode_state(&FileState::default()))?;
    put(&mut meta, COUNTS, &[])?;
    writing.open_table(OBJECTS).map_err(storage)?;
    writing.open_table(LINKS).map_err(storage)?;
    writing.open_table(HISTORY).map_err(storage)?;
    writing.open_table(RECIPROCALS).map_err(storage)?;
    Ok(())
}

/// Writes a batch; the state that was there before.
pub(super) fn write(
    writing: &WriteTransaction,
    batch: &Batch,
    classes: &ClassCache,
) -> Result<FileState, LocalError> {
    let mut meta = writing.open_table(META).map_err(storage)?;
    let before = get(&meta, STATE, record::decode_state)?;
    assert!(batch.state.version >= before.version, "versions only grow");
    if let Some(last) = batch.append.last() {
        assert!(last.version == batch.state.version, "the last entry has the new version");
        let versions = batch.append.iter().map(|entry| entry.version);
        assert!(
            [before.version].into_iter().chain(versions).is_sorted_by(|a, b| a < b),
            "each entry has a new version"
        );
    }
    if batch.state != before {
        put(&mut meta, STATE, &record::encode_state(&batch.state))?;
    }
    match &batch.reset {
        Change::Keep => (),
        Change::To(Some(reset)) => put(&mut meta, RESET, &reset.encode())?,
        Change::To(None) => drop(meta.remove(RESET).map_err(storage)?),
    }
    write_objects(writing, &mut meta, batch, classes)?;
    write_history(writing, batch)?;
    Ok(before)
}

fn write_objects(
    writing: &WriteTransaction,
    meta: &mut Meta<'_>,
    batch: &Batch,
    classes: &ClassCache,
) -> Result<(), LocalError> {
    let changes = &batch.changes;
    if changes.objects.is_empty() && changes.schema.is_none() {
        return Ok(());
    }
    let links_before = get(meta, SCHEMA, |bytes| classes.decode(bytes))?;
    if let Some(schema) = &changes.schema {
        put(meta, SCHEMA, &schema.encode())?;
    }
    let links_after = get(meta, SCHEMA, |bytes| classes.decode(bytes))?;
    let (links_before, links_after) = (&links_before.links, &links_after.links);
    let mut counts = get(meta, COUNTS, record::decode_counts)?;
    let mut objects = writing.open_table(OBJECTS).map_err(storage)?;
    let mut index = writing.open_table(LINKS).map_err(storage)?;
    for (row, object) in &changes.objects {
        let former = match object {
            Some(object) => objects.insert(&**row, &**object).map_err(storage)?,
            None => objects.remove(&**row).map_err(storage)?,
        };
        let count = counts.entry(class_of(row)?).or_default();
        match (&former, object) {
            (None, Some(_)) => *count += 1,
            (Some(_), None) => *count = count.saturating_sub(1),
            _ => (),
        }
        let targets = |links: &LinkColumns, stored: Option<&[u8]>| match stored {
            Some(stored) => links.targets(row, stored),
            None => Ok(BTreeSet::default()),
        };
        let before = targets(links_before, former.as_ref().map(AccessGuard::value))?;
        let after = targets(links_after, object.as_deref())?;
        links::replace(&mut index, row, &before, &after)?;
    }
    // No SDK erases columns. Objects keep what they held there, until they are written.
    if links_before.loses(links_after) {
        index.retain(|_, ()| false).map_err(storage)?;
        for entry in objects.iter().map_err(storage)? {
            let (row, object) = entry.map_err(storage)?;
            let targets = links_after.targets(row.value(), object.value())?;
            links::replace(&mut index, row.value(), &BTreeSet::default(), &targets)?;
        }
    }
    drop((objects, index));
    put(meta, COUNTS, &record::encode_counts(&counts))
}

fn write_history(writing: &WriteTransaction, batch: &Batch) -> Result<(), LocalError> {
    let mut history = writing.open_table(HISTORY).map_err(storage)?;
    let mut reciprocals = writing.open_table(RECIPROCALS).map_err(storage)?;
    for (version, changeset) in &batch.reciprocals {
        reciprocals.insert(version.0, &**changeset).map_err(storage)?;
    }
    let removed = match &batch.history {
        HistoryChange::Keep => None,
        HistoryChange::Trim(last) => Some(last.0),
        HistoryChange::Replace(_) => Some(u64::MAX),
    };
    if let Some(last) = removed {
        history.retain_in(..=last, |_, _| false).map_err(storage)?;
        reciprocals.retain_in(..=last, |_, _| false).map_err(storage)?;
    }
    let replaced = match &batch.history {
        HistoryChange::Replace(entries) => &**entries,
        _ => &[],
    };
    for entry in replaced.iter().chain(&batch.append) {
        history.insert(entry.version.0, &*record::encode_entry(entry)).map_err(storage)?;
        if let Some(reciprocal) = &entry.reciprocal {
            reciprocals.insert(entry.version.0, &**reciprocal).map_err(storage)?;
        }
    }
    Ok(())
}

fn put(meta: &mut Meta<'_>, key: &str, value: &[u8]) -> Result<(), LocalError> {
    meta.insert(key, value).map_err(storage)?;
    Ok(())
}

/// Reads a record that every file has.
pub(super) fn get<T>(
    meta: &impl redb::ReadableTable<&'static str, &'static [u8]>,
    key: &str,
    decode: impl FnOnce(&[u8]) -> Result<T, EncodingError>,
) -> Result<T, LocalError> {
    let record = meta.get(key).map_err(storage)?;
    let record = record.ok_or(EncodingError::Invalid("a record is missing"))?;
    Ok(decode(record.value())?)
}

fn class_of(row: &[u8]) -> Result<ClassId, EncodingError> {
    let class = row.first_chunk().ok_or(EncodingError::Invalid("a row does not name an object"))?;
    Ok(ClassId(u32::from_be_bytes(*class)))
}
