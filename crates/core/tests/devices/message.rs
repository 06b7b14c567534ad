//! What travels between a device and the server.

use bailiwick_core::history::UploadedChangeset;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

/// UPLOAD.
#[derive(Clone, Debug)]
pub(super) struct UploadMessage {
    pub(super) progress: UploadCursor,
    pub(super) locked: ServerVersion,
    pub(super) changesets: Vec<UploadedChangeset>,
}

/// DOWNLOAD.
#[derive(Clone, Debug)]
pub(super) struct DownloadMessage {
    pub(super) cursor: DownloadCursor,
    pub(super) latest: SaltedVersion,
    pub(super) upload: UploadCursor,
    pub(super) changesets: Vec<DownloadedChangeset>,
}

/// One changeset of a DOWNLOAD.
#[derive(Clone, Debug)]
pub(super) struct DownloadedChangeset {
    pub(super) server_version: ServerVersion,
    pub(super) last_integrated_client_version: ClientVersion,
    pub(super) origin_timestamp: OriginTimestamp,
    pub(super) origin_file_ident: FileIdent,
    pub(super) bytes: Bytes,
}
