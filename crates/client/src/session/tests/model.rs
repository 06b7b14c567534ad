//! The files of a realm, as far as the machine can tell them from real ones.

use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::{Body, Download, DownloadHeader, UploadEntry};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use crate::local::{ByteCounters, FileState, HistoryEntry, Progress};
use crate::session::{FileRole, FileStatus, ResetMode, StorageAnswer, StorageRequest, UploadBatch};

/// The files of one realm.
#[derive(Debug, Default)]
pub(super) struct ModelRealm {
    pub(super) main: ModelFile,
    pub(super) fresh: Option<ModelFile>,
    pub(super) reset_pending: bool,
}

/// One file.
#[derive(Debug, Default)]
pub(super) struct ModelFile {
    pub(super) state: FileState,
    history: Vec<HistoryEntry>,
}

const UPLOAD_LEN: usize = 128 << 10;
const MAX_DOWNLOAD_LEN: usize = 1 << 20;

impl ModelRealm {
    pub(super) fn execute(&mut self, role: FileRole, request: StorageRequest) -> StorageAnswer {
        match request {
            StorageRequest::BeginReset { mode: ResetMode::Recover, .. } if self.reset_pending => {
                return StorageAnswer::ResetFailed("a client reset leads to another".to_owned());
            }
            StorageRequest::BeginReset { mode, .. } => {
                self.reset_pending = true;
                self.main.state.version.0 += 1;
                return StorageAnswer::ResetBegun(mode);
            }
            StorageRequest::Reset { mode } => return self.reset(mode),
            StorageRequest::Discard => self.fresh = Some(ModelFile::default()),
            StorageRequest::EndReset => self.reset_pending = false,
            _ => (),
        }
        let file = match role {
            FileRole::Main => &mut self.main,
            FileRole::Fresh => self.fresh.get_or_insert_default(),
        };
        match request {
            StorageRequest::Identify(ident, salt) => file.identify(ident, salt),
            StorageRequest::Integrate(header, body) => {
                if let Some(answer) = file.integrate(&header, &body) {
                    return answer;
                }
            }
            StorageRequest::CollectUpload(after) => {
                return StorageAnswer::Upload(file.collect_upload(after));
            }
            _ => (),
        }
        StorageAnswer::Ready(self.status(role))
    }

    fn status(&self, role: FileRole) -> FileStatus {
        let file = match role {
            FileRole::Main => &self.main,
            FileRole::Fresh => self.fresh.as_ref().unwrap(),
        };
        FileStatus {
            state: file.state.clone(),
            last_uploadable: file.last_uploadable(),
            reset_pending: role == FileRole::Main && self.reset_pending,
        }
    }

    fn reset(&mut self, mode: ResetMode) -> StorageAnswer {
        let Some(fresh) = self.fresh.take().map(|fresh| fresh.state) else {
            return StorageAnswer::ResetFailed("there is no fresh copy".to_owned());
        };
        if fresh.client_file.is_none() {
            return StorageAnswer::ResetFailed("the fresh copy is empty".to_owned());
        }
        let at = fresh.progress.download.server_version;
        let acknowledged = self.main.state.progress.upload.client_version;
        let main = &mut self.main;
        let recovered = mode != ResetMode::DiscardLocal;
        main.history
            .retain(|entry| recovered && entry.is_uploadable() && entry.version > acknowledged);
        let uploadable = main.history.iter_mut().map(|entry| {
            entry.remote_version = at;
            entry.changeset.len() as u64
        });
        main.state = FileState {
            client_file: fresh.client_file,
            version: ClientVersion(main.state.version.0 + 1),
            progress: Progress {
                download: DownloadCursor {
                    server_version: at,
                    last_integrated_client_version: ClientVersion(0),
                },
                upload: UploadCursor {
                    client_version: ClientVersion(0),
                    last_integrated_server_version: at,
                },
                latest: fresh.progress.latest,
            },
            bytes: ByteCounters { uploadable: uploadable.sum(), ..ByteCounters::default() },
        };
        StorageAnswer::ResetDone { status: self.status(FileRole::Main), recovered }
    }
}

impl ModelFile {
    /// The application commits.
    pub(super) fn commit(&mut self, changeset: Bytes, origin_timestamp: OriginTimestamp) {
        self.state.bytes.uploadable += changeset.len() as u64;
        self.append(FileIdent::SELF, changeset);
        self.history.last_mut().unwrap().origin_timestamp = origin_timestamp;
    }

    fn append(&mut self, origin_file_ident: FileIdent, changeset: Bytes) {
        self.state.version.0 += 1;
        self.history.push(HistoryEntry {
            version: self.state.version,
            origin_file_ident,
            origin_timestamp: OriginTimestamp(0),
            remote_version: self.state.progress.download.server_version,
            changeset,
            reciprocal: None,
        });
    }

    fn identify(&mut self, ident: FileIdent, salt: Salt) {
        self.state.client_file = Some((ident, salt));
        self.append(FileIdent::SELF, Bytes::new());
    }

    /// Integrates a DOWNLOAD, or says why not.
    fn integrate(&mut self, header: &DownloadHeader, body: &Body) -> Option<StorageAnswer> {
        let violation = |error: String| Some(StorageAnswer::ProtocolViolation(error));
        if self.state.client_file.is_none() {
            return violation("DOWNLOAD before IDENT".to_owned());
        }
        let entries = match body.inflate(MAX_DOWNLOAD_LEN) {
            Ok(plain) => Download::entries(plain),
            Err(error) => return violation(error.to_string()),
        };
        for entry in entries {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => return violation(error.to_string()),
            };
            if let Err(error) = Changeset::decode(&entry.changeset) {
                let (code, message) = (ErrorCode::BadChangeset, error.to_string());
                return Some(StorageAnswer::IntegrationFailed { code, message });
            }
            self.state.bytes.downloaded += entry.original_changeset_len;
        }
        self.state.progress = Progress {
            download: header.download_cursor,
            upload: header.upload_cursor,
            latest: header.latest_server_version,
        };
        self.state.bytes.remaining = header.downloadable_bytes;
        let acknowledged = self.history.iter().filter(|entry| {
            entry.is_uploadable() && entry.version <= header.upload_cursor.client_version
        });
        self.state.bytes.uploaded = acknowledged.map(|entry| entry.changeset.len() as u64).sum();
        self.append(FileIdent::SERVER, Bytes::new());
        None
    }

    fn collect_upload(&self, after: UploadCursor) -> UploadBatch {
        let locked_server_version = self.state.progress.download.server_version;
        let mut batch = UploadBatch { progress: after, locked_server_version, entries: Vec::new() };
        let mut len = 0;
        let scanned = self.history.iter().filter(|entry| entry.version > after.client_version);
        for entry in scanned {
            if len >= UPLOAD_LEN {
                return batch;
            }
            batch.progress = UploadCursor {
                client_version: entry.version,
                last_integrated_server_version: entry
                    .remote_version
                    .max(batch.progress.last_integrated_server_version),
            };
            if entry.is_uploadable() {
                len += entry.changeset.len();
                batch.entries.push(UploadEntry {
                    client_version: entry.version,
                    last_integrated_server_version: entry.remote_version,
                    origin_timestamp: entry.origin_timestamp,
                    origin_file_ident: FileIdent::SELF,
                    changeset: entry.changeset.clone(),
                });
            }
        }
        // A client reset makes a version without an entry.
        if batch.progress.client_version < self.state.version && self.state.version.0 > 1 {
            batch.progress.client_version = self.state.version;
        }
        batch
    }

    /// The newest changeset to upload.
    pub(super) fn last_uploadable(&self) -> ClientVersion {
        let last = self.history.iter().rfind(|entry| entry.is_uploadable());
        last.map(|entry| entry.version).unwrap_or_default()
    }

    /// The server version that is integrated.
    pub(super) fn integrated(&self) -> ServerVersion {
        self.state.progress.download.server_version
    }
}
