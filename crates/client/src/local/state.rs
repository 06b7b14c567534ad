//! The small things that a file keeps besides objects. Spec: client, section 1.1.

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

/// All of a file but its schema, objects and history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileState {
    /// The client file that the server has allocated.
    pub client_file: Option<(FileIdent, Salt)>,
    /// The version that the latest commit has produced; 1 is the empty file, of which nobody speaks.
    pub version: ClientVersion,
    /// How far both sides have come.
    pub progress: Progress,
    /// How much has travelled.
    pub bytes: ByteCounters,
}

/// How far the device and the server have come with each other's histories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What the device has integrated of the server's history.
    pub download: DownloadCursor,
    /// What the server has acknowledged of the device's.
    pub upload: UploadCursor,
    /// The latest version of the server's history that the device has heard of.
    pub latest: SaltedVersion,
}

/// Sizes of changesets, uncompressed, since the file began or was reset. Spec: client, section 5.4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteCounters {
    /// Integrated.
    pub downloaded: u64,
    /// Still to come, as the last DOWNLOAD said.
    pub remaining: u64,
    /// Acknowledged.
    pub uploaded: u64,
    /// Written here.
    pub uploadable: u64,
}

/// What one version of the file has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The version that it produced.
    pub version: ClientVersion,
    /// The author: [`FileIdent::SELF`] for what was written here.
    pub origin_file_ident: FileIdent,
    /// When it was written.
    pub origin_timestamp: OriginTimestamp,
    /// The server version that was integrated then.
    pub remote_version: ServerVersion,
    /// The changeset as it was written; empty if nothing of it is to be uploaded.
    pub changeset: Bytes,
    /// The changeset as transformed past what was integrated since; `None` if that did not change it, empty if
    /// nothing was left.
    pub reciprocal: Option<Bytes>,
}

impl Default for FileState {
    fn default() -> Self {
        Self {
            client_file: None,
            version: ClientVersion(1),
            progress: Progress::default(),
            bytes: ByteCounters::default(),
        }
    }
}

impl HistoryEntry {
    /// Whether the server is to get it.
    pub fn is_uploadable(&self) -> bool {
        self.origin_file_ident == FileIdent::SELF && !self.changeset.is_empty()
    }

    /// Where the server stands once it has integrated this version.
    pub fn cursor(&self) -> UploadCursor {
        UploadCursor {
            client_version: self.version,
            last_integrated_server_version: self.remote_version,
        }
    }
}
