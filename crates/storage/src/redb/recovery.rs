//! Bringing a database and its log together when they are opened.

use std::path::Path;

use redb::{Database, ReadableDatabase as _, StorageBackend, TableError, TableHandle as _};

use super::error::{Cause, OpenError, backend};
use super::key;
use super::log::Log;
use super::tables::Tables;
use super::writing::flush;
use crate::store::StorageError;

/// The format that this version writes. It reads all before it, and makes their files its own: a version that knows
/// only an earlier one is to say so, and not to find a damaged file, or to overlook the log.
pub(super) const FORMAT: u64 = 3;
/// The first format with a log.
const FORMAT_WITH_LOG: u64 = 3;

/// What a database knows of its log.
#[derive(Clone, Copy)]
pub(super) struct Paired {
    id: u64,
    /// The last record that it holds.
    until: u64,
}

/// Checks the format; `None` if the database was just made or is from before there were logs.
pub(super) fn find_log(database: &Database) -> Result<Option<Paired>, Cause> {
    let reading = database.begin_read().map_err(Cause::new)?;
    let mut has_tables = false;
    let mut has_meta = false;
    for table in reading.list_tables().map_err(Cause::new)? {
        has_tables = true;
        has_meta |= table.name() == key::META.definition.name();
    }
    if !has_tables {
        return Ok(None);
    }
    if !has_meta {
        return Err(Cause::Foreign);
    }
    let meta = reading.open_table(key::META.definition).map_err(|error| match error {
        TableError::Storage(error) => Cause::new(error),
        // Another program's table of this name.
        _ => Cause::Foreign,
    })?;
    let number = |name| {
        let number = meta.get(name).map_err(Cause::new)?;
        Ok::<_, Cause>(number.map(|number| number.value()))
    };
    match number(key::FORMAT)?.ok_or(Cause::Foreign)? {
        1..FORMAT_WITH_LOG => Ok(None),
        FORMAT_WITH_LOG..=FORMAT => {
            let missing = || Cause::of_storage(StorageError::Corrupt("what it says of its log"));
            let (id, until) = (number(key::LOG)?, number(key::LOG_UNTIL)?);
            Ok(Some(Paired { id: id.ok_or_else(missing)?, until: until.ok_or_else(missing)? }))
        }
        found => Err(Cause::UnknownFormat(found)),
    }
}

/// Opens the log of a database, and makes all changes again that only the log knows.
///
/// # Errors
///
/// Names the file that is at fault.
pub(super) fn recover(
    (database, path): (&Database, &Path),
    (file, log_path): (Box<dyn StorageBackend>, &Path),
    Paired { id, until }: Paired,
) -> Result<Log, OpenError> {
    let (log, records) = Log::open(file, id, until).map_err(|cause| cause.at(log_path))?;
    if records.is_empty() {
        return Ok(log);
    }
    let repeat = || {
        let transaction = database.begin_write().map_err(backend)?;
        let mut tables = Tables::open(&transaction)?;
        records.iter().try_for_each(|changes| tables.repeat(changes))?;
        drop(tables);
        flush(transaction, log.mark().number)
    };
    repeat().map_err(|error| Cause::of_storage(error).at(path))?;
    Ok(log)
}

/// Makes a log the one of this database, and the database one of this format.
pub(super) fn pair(database: &Database, log: &Log) -> Result<(), StorageError> {
    let transaction = database.begin_write().map_err(backend)?;
    drop(Tables::open(&transaction)?);
    let mut meta = transaction.open_table(key::META.definition).map_err(backend)?;
    for (name, number) in [(key::FORMAT, FORMAT), (key::LOG, log.id())] {
        meta.insert(name, number).map_err(backend)?;
    }
    drop(meta);
    flush(transaction, log.mark().number)
}
