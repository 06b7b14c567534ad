//! What a device checks before it integrates a DOWNLOAD. Spec: client, sections 4.1 and 4.2.

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::message::{DownloadEntry, DownloadHeader, Entries};
use bailiwick_protocol::version::{DownloadCursor, OriginTimestamp, ServerVersion};

use super::error::{IntegrationError, ProtocolViolation};
use crate::local::FileState;

/// What the entries of a DOWNLOAD have together.
#[derive(Debug, Default)]
pub(super) struct Received {
    /// Author and timestamp of the last one, if there is one.
    pub(super) last: Option<(FileIdent, OriginTimestamp)>,
    /// Their sizes before they were compacted.
    pub(super) original_len: u64,
}

/// The header goes on where the file is at, and does not contradict itself.
pub(super) fn check_header(
    state: &FileState,
    header: &DownloadHeader,
) -> Result<(), IntegrationError> {
    header.check().map_err(ProtocolViolation::from)?;
    let (download, upload) = (state.progress.download, state.progress.upload);
    let (new_download, new_upload) = (header.download_cursor, header.upload_cursor);
    let goes_back = [
        (
            "latest server version",
            header.latest_server_version.version < state.progress.latest.version,
        ),
        ("upload cursor", new_upload.client_version < upload.client_version),
        ("download cursor", new_download.server_version < download.server_version),
        (
            "last integrated client version",
            new_download.last_integrated_client_version < download.last_integrated_client_version,
        ),
    ];
    if let Some((what, _)) = goes_back.into_iter().find(|(_, goes_back)| *goes_back) {
        return Err(ProtocolViolation::GoesBack(what).into());
    }
    if new_upload.client_version > state.version {
        return Err(ProtocolViolation::NotWritten.into());
    }
    let base = new_upload.last_integrated_server_version;
    if base != ServerVersion(0) && base < upload.last_integrated_server_version {
        return Err(IntegrationError::BadProgress(base));
    }
    Ok(())
}

/// The entries lead from the old cursor to that of the header, and others have written them.
pub(super) fn check_entries(
    from: DownloadCursor,
    header: &DownloadHeader,
    own: FileIdent,
    entries: Entries<DownloadEntry>,
) -> Result<Received, ProtocolViolation> {
    let (mut received, mut at, end) = (Received::default(), from, header.download_cursor);
    for entry in entries {
        let entry = entry?;
        let version = entry.server_version;
        let integrated = entry.last_integrated_client_version;
        if version <= at.server_version || version > end.server_version {
            return Err(ProtocolViolation::ServerVersion(version));
        }
        if integrated < at.last_integrated_client_version
            || integrated > end.last_integrated_client_version
        {
            return Err(ProtocolViolation::ClientVersion(version));
        }
        if entry.origin_file_ident == FileIdent::SELF || entry.origin_file_ident == own {
            return Err(ProtocolViolation::Author(version));
        }
        at = DownloadCursor { server_version: version, last_integrated_client_version: integrated };
        received.last = Some((entry.origin_file_ident, entry.origin_timestamp));
        received.original_len = received.original_len.saturating_add(entry.original_changeset_len);
    }
    Ok(received)
}
