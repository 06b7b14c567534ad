//! What a device of the load generator keeps instead of a file: only what its session machine asks about.
//!
//! It goes from version to version as a real file does, so that the server sees the same messages; but nothing is
//! decoded, merged or applied.

use std::collections::VecDeque;

use bailiwick_client::files::MAX_DOWNLOAD_LEN;
use bailiwick_client::history::{UPLOAD_HARD_LIMIT, UPLOAD_SOFT_LIMIT};
use bailiwick_client::local::{FileState, Progress};
use bailiwick_client::session::{FileStatus, StorageAnswer, StorageRequest, UploadBatch};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::{Body, Download, DownloadHeader, UploadEntry};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, ServerVersion, UploadCursor};
use bytes::Bytes;

/// A device's realm, in memory.
#[derive(Debug, Default)]
pub(super) struct MemoryFile {
    state: FileState,
    /// What the server has not acknowledged, oldest first.
    history: VecDeque<Entry>,
    last_uploadable: ClientVersion,
}

/// A version of the file.
#[derive(Debug)]
struct Entry {
    version: ClientVersion,
    /// What was integrated of the server's history.
    remote_version: ServerVersion,
    timestamp: OriginTimestamp,
    /// Empty if it was not written here.
    changeset: Bytes,
    /// When it was to be written, in nanoseconds since the beginning; `None` if it only declares the class.
    time_ns: Option<u64>,
}

/// What a request has brought.
#[derive(Debug)]
pub(super) enum News {
    /// The server has integrated what was written at this time.
    Acknowledged(u64),
    /// The server knows the class.
    Declared,
    /// The changeset of another device.
    Received(Bytes),
    /// There was a DOWNLOAD, and the server has nothing more for now.
    CaughtUp,
}

impl MemoryFile {
    /// A local write.
    pub(super) fn commit(
        &mut self,
        changeset: Bytes,
        timestamp: OriginTimestamp,
        time_ns: Option<u64>,
    ) -> ClientVersion {
        let version = self.next_version();
        let remote_version = self.state.progress.download.server_version;
        self.last_uploadable = version;
        self.history.push_back(Entry { version, remote_version, timestamp, changeset, time_ns });
        version
    }

    /// Does what the session machine asks for, and tells what it has brought.
    pub(super) fn execute(
        &mut self,
        request: StorageRequest,
        news: &mut Vec<News>,
    ) -> StorageAnswer {
        match request {
            StorageRequest::Load | StorageRequest::Discard | StorageRequest::EndReset => {
                self.ready()
            }
            StorageRequest::Identify(ident, salt) => {
                self.identify(ident, salt);
                self.ready()
            }
            StorageRequest::Integrate(header, body) => match self.integrate(&header, &body, news) {
                Ok(()) => self.ready(),
                Err(reason) => StorageAnswer::ProtocolViolation(reason),
            },
            StorageRequest::CollectUpload(after) => {
                StorageAnswer::Upload(self.collect_upload(after))
            }
            StorageRequest::BeginReset { message, .. } => StorageAnswer::ResetFailed(message),
            StorageRequest::Reset { .. } => {
                StorageAnswer::ResetFailed("there is no file to reset".to_owned())
            }
        }
    }

    fn ready(&self) -> StorageAnswer {
        StorageAnswer::Ready(FileStatus {
            state: self.state.clone(),
            last_uploadable: self.last_uploadable,
            reset_pending: false,
        })
    }

    fn identify(&mut self, ident: FileIdent, salt: Salt) {
        self.state.client_file = Some((ident, salt));
        self.note_progress();
    }

    fn integrate(
        &mut self,
        header: &DownloadHeader,
        body: &Body,
        news: &mut Vec<News>,
    ) -> Result<(), String> {
        let plain = body.inflate(MAX_DOWNLOAD_LEN).map_err(|error| error.to_string())?;
        for entry in Download::entries(plain) {
            news.push(News::Received(entry.map_err(|error| error.to_string())?.changeset));
        }
        let acknowledged = header.upload_cursor.client_version;
        let count = self.history.partition_point(|entry| entry.version <= acknowledged);
        for entry in self.history.drain(..count).filter(|entry| !entry.changeset.is_empty()) {
            news.push(entry.time_ns.map_or(News::Declared, News::Acknowledged));
        }
        let progress = Progress {
            download: header.download_cursor,
            upload: header.upload_cursor,
            latest: header.latest_server_version,
        };
        if progress.download.server_version >= progress.latest.version {
            news.push(News::CaughtUp);
        }
        if self.state.progress != progress {
            self.state.progress = progress;
            self.note_progress();
        }
        Ok(())
    }

    /// A version without changes of its own: what it tells the server is how far this device is.
    fn note_progress(&mut self) {
        let version = self.next_version();
        let remote_version = self.state.progress.download.server_version;
        let noted = self.history.back_mut().filter(|last| last.changeset.is_empty());
        if let Some(last) = noted {
            (last.version, last.remote_version) = (version, remote_version);
        } else {
            self.history.push_back(Entry {
                version,
                remote_version,
                timestamp: OriginTimestamp(0),
                changeset: Bytes::new(),
                time_ns: None,
            });
        }
    }

    fn collect_upload(&self, after: UploadCursor) -> UploadBatch {
        let locked_server_version = self.state.progress.download.server_version;
        let mut batch = UploadBatch { progress: after, locked_server_version, entries: Vec::new() };
        let mut len = 0;
        let first = self.history.partition_point(|entry| entry.version <= after.client_version);
        for entry in self.history.range(first..) {
            if !entry.changeset.is_empty() {
                let sum = len + entry.changeset.len();
                if sum >= UPLOAD_HARD_LIMIT && !batch.entries.is_empty() {
                    break;
                }
                len = sum;
                batch.entries.push(UploadEntry {
                    client_version: entry.version,
                    last_integrated_server_version: entry.remote_version,
                    origin_timestamp: entry.timestamp,
                    origin_file_ident: FileIdent::SELF,
                    changeset: entry.changeset.clone(),
                });
            }
            batch.progress = UploadCursor {
                client_version: entry.version,
                last_integrated_server_version: entry.remote_version,
            };
            if len >= UPLOAD_SOFT_LIMIT {
                break;
            }
        }
        batch
    }

    fn next_version(&mut self) -> ClientVersion {
        self.state.version.0 += 1;
        self.state.version
    }
}
