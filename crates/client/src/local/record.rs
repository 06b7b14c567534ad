//! The tables, and the bytes in them.
//!
//! ```text
//! table        key                 value
//! meta         "schema"            the classes
//!              "state"             client file, version, progress, counters
//!              "reset"             the client reset that is under way, if there is one
//! objects      row                 object
//! history      version             origin, timestamp, remote version (8 bytes each), changeset
//! reciprocals  version             changeset
//! ```
//!
//! Numbers are big-endian.

use bailiwick_core::EncodingError;
use bailiwick_core::schema::Schema;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;
use redb::{ReadableTable as _, TableDefinition, WriteTransaction};

use super::batch::{Batch, Change, HistoryChange};
use super::file::{LocalError, storage};
use super::state::{ByteCounters, FileState, HistoryEntry, Progress};

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
pub(super) const OBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("objects");
pub(super) const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
pub(super) const RECIPROCALS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("reciprocals");
pub(super) const SCHEMA: &str = "schema";
pub(super) const STATE: &str = "state";
pub(super) const RESET: &str = "reset";

pub(super) fn create_tables(writing: &WriteTransaction) -> Result<(), LocalError> {
    let mut meta = writing.open_table(META).map_err(storage)?;
    if meta.get(STATE).map_err(storage)?.is_none() {
        meta.insert(STATE, &*encode_state(&FileState::default())).map_err(storage)?;
        meta.insert(SCHEMA, &*Schema::default().encode()).map_err(storage)?;
    }
    writing.open_table(OBJECTS).map_err(storage)?;
    writing.open_table(HISTORY).map_err(storage)?;
    writing.open_table(RECIPROCALS).map_err(storage)?;
    Ok(())
}

pub(super) fn write(writing: &WriteTransaction, batch: &Batch) -> Result<(), LocalError> {
    let mut meta = writing.open_table(META).map_err(storage)?;
    meta.insert(STATE, &*encode_state(&batch.state)).map_err(storage)?;
    if let Some(schema) = &batch.changes.schema {
        meta.insert(SCHEMA, &*schema.encode()).map_err(storage)?;
    }
    match &batch.reset {
        Change::Keep => (),
        Change::To(Some(reset)) => drop(meta.insert(RESET, &*reset.encode()).map_err(storage)?),
        Change::To(None) => drop(meta.remove(RESET).map_err(storage)?),
    }
    let mut objects = writing.open_table(OBJECTS).map_err(storage)?;
    for (row, object) in &batch.changes.objects {
        match object {
            Some(object) => objects.insert(&**row, &**object).map_err(storage)?,
            None => objects.remove(&**row).map_err(storage)?,
        };
    }
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
        history.insert(entry.version.0, &*encode_entry(entry)).map_err(storage)?;
        if let Some(reciprocal) = &entry.reciprocal {
            reciprocals.insert(entry.version.0, &**reciprocal).map_err(storage)?;
        }
    }
    Ok(())
}

fn encode_state(state: &FileState) -> Vec<u8> {
    let (ident, salt) = state.client_file.unwrap_or_default();
    let FileState { version, progress, bytes, .. } = state;
    let numbers = [
        ident.0,
        salt.0,
        version.0,
        progress.download.server_version.0,
        progress.download.last_integrated_client_version.0,
        progress.upload.client_version.0,
        progress.upload.last_integrated_server_version.0,
        progress.latest.version.0,
        progress.latest.salt.0,
        bytes.downloaded,
        bytes.remaining,
        bytes.uploaded,
        bytes.uploadable,
    ];
    numbers.map(u64::to_be_bytes).concat()
}

pub(super) fn decode_state(mut bytes: &[u8]) -> Result<FileState, EncodingError> {
    let input = &mut bytes;
    let (ident, salt) = (FileIdent(number(input)?), Salt(number(input)?));
    Ok(FileState {
        client_file: (ident != FileIdent::SELF).then_some((ident, salt)),
        version: ClientVersion(number(input)?),
        progress: Progress {
            download: DownloadCursor {
                server_version: ServerVersion(number(input)?),
                last_integrated_client_version: ClientVersion(number(input)?),
            },
            upload: UploadCursor {
                client_version: ClientVersion(number(input)?),
                last_integrated_server_version: ServerVersion(number(input)?),
            },
            latest: SaltedVersion {
                version: ServerVersion(number(input)?),
                salt: Salt(number(input)?),
            },
        },
        bytes: ByteCounters {
            downloaded: number(input)?,
            remaining: number(input)?,
            uploaded: number(input)?,
            uploadable: number(input)?,
        },
    })
}

fn encode_entry(entry: &HistoryEntry) -> Vec<u8> {
    let head = [entry.origin_file_ident.0, entry.origin_timestamp.0, entry.remote_version.0]
        .map(u64::to_be_bytes);
    [head.as_flattened(), &entry.changeset].concat()
}

pub(super) fn decode_entry(
    version: u64,
    mut bytes: &[u8],
    reciprocal: Option<Bytes>,
) -> Result<HistoryEntry, EncodingError> {
    let input = &mut bytes;
    Ok(HistoryEntry {
        version: ClientVersion(version),
        origin_file_ident: FileIdent(number(input)?),
        origin_timestamp: OriginTimestamp(number(input)?),
        remote_version: ServerVersion(number(input)?),
        changeset: Bytes::copy_from_slice(input),
        reciprocal,
    })
}

pub(super) fn number(input: &mut &[u8]) -> Result<u64, EncodingError> {
    let (number, rest) = input.split_first_chunk().ok_or(EncodingError::Truncated)?;
    *input = rest;
    Ok(u64::from_be_bytes(*number))
}

/// Appends a text behind its length.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u64).to_be_bytes());
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn text(input: &mut &[u8]) -> Result<String, EncodingError> {
    let len = usize::try_from(number(input)?).map_err(|_| EncodingError::Truncated)?;
    let (text, rest) = input.split_at_checked(len).ok_or(EncodingError::Truncated)?;
    *input = rest;
    let text = std::str::from_utf8(text);
    Ok(text.map_err(|_| EncodingError::Invalid("a text is not UTF-8"))?.to_owned())
}
