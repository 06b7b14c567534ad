//! The bytes in the tables. Numbers are big-endian.

use std::collections::BTreeMap;

use bailiwick_core::EncodingError;
use bailiwick_core::schema::ClassId;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::options::Owner;
use super::state::{ByteCounters, FileState, HistoryEntry, Progress};

pub(super) fn encode_owner(owner: &Owner) -> Vec<u8> {
    let mut out = Vec::new();
    for text in [&owner.app_id, &owner.user_id, &owner.partition] {
        put_text(&mut out, text);
    }
    out
}

pub(super) fn decode_owner(mut bytes: &[u8]) -> Result<Owner, EncodingError> {
    let input = &mut bytes;
    let owner = Owner { app_id: text(input)?, user_id: text(input)?, partition: text(input)? };
    finish(input)?;
    Ok(owner)
}

/// How many objects each class has; classes without objects may be missing.
pub(super) type Counts = BTreeMap<ClassId, u64>;

pub(super) fn encode_counts(counts: &Counts) -> Vec<u8> {
    counts
        .iter()
        .filter(|(_, count)| **count > 0)
        .flat_map(|(class, count)| [u64::from(class.0), *count].map(u64::to_be_bytes).concat())
        .collect()
}

pub(super) fn decode_counts(mut bytes: &[u8]) -> Result<Counts, EncodingError> {
    let input = &mut bytes;
    let mut counts = Counts::new();
    while !input.is_empty() {
        counts.insert(ClassId(small(input)?), number(input)?);
    }
    Ok(counts)
}

pub(super) fn encode_state(state: &FileState) -> Vec<u8> {
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
    let state = FileState {
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
    };
    finish(input)?;
    Ok(state)
}

pub(super) fn encode_entry(entry: &HistoryEntry) -> Vec<u8> {
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

pub(super) fn small(input: &mut &[u8]) -> Result<u32, EncodingError> {
    u32::try_from(number(input)?).map_err(|_| EncodingError::Invalid("a number is too large"))
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

/// Nothing may be left over.
pub(super) fn finish(input: &[u8]) -> Result<(), EncodingError> {
    if input.is_empty() { Ok(()) } else { Err(EncodingError::Trailing(input.len())) }
}
