//! A device whose server sends what a vector says.

use std::sync::Arc;

use bailiwick_client::files::{FreshInMemory, RealmFiles};
use bailiwick_client::history::local_commit;
use bailiwick_client::local::{Batch, FileState, HistoryEntry, LocalFile, Snapshot};
use bailiwick_client::session::{FileRole, StorageAnswer, StorageRequest, UploadBatch};
use bailiwick_core::apply::Transaction;
use bailiwick_core::state::{ObjectStore as _, State};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Body, DownloadEntry, DownloadHeader};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

/// A device with nothing but a client file.
pub(crate) struct Device {
    files: RealmFiles,
}

/// Who wrote something, and when.
#[derive(Clone, Copy)]
pub(crate) struct Author {
    pub(crate) timestamp: OriginTimestamp,
    pub(crate) ident: FileIdent,
}

impl Device {
    pub(crate) fn new(ident: FileIdent) -> Self {
        let files = RealmFiles::new(Arc::new(LocalFile::in_memory()), FreshInMemory::default());
        let device = Self { files };
        let identify = StorageRequest::Identify(ident, Salt(1));
        assert!(matches!(device.execute(identify), StorageAnswer::Ready(_)));
        device
    }

    /// A device that had its client file from the beginning, so that its first transaction has version 2.
    pub(crate) fn that_is(ident: FileIdent) -> Self {
        let main = LocalFile::in_memory();
        let state = FileState { client_file: Some((ident, Salt(1))), ..FileState::default() };
        main.write().commit(&Batch { state, ..Batch::default() }).unwrap();
        Self { files: RealmFiles::new(Arc::new(main), FreshInMemory::default()) }
    }

    /// Takes a DOWNLOAD; the answer if it is refused.
    pub(crate) fn integrate(
        &self,
        header: DownloadHeader,
        entries: &[DownloadEntry],
    ) -> Result<(), Box<StorageAnswer>> {
        match self.execute(StorageRequest::Integrate(header, Body::from_entries(entries))) {
            StorageAnswer::Ready(_) => Ok(()),
            answer => Err(Box::new(answer)),
        }
    }

    /// Takes changesets as one DOWNLOAD whose server has integrated nothing of the device; the code that the server
    /// would be told if that fails.
    pub(crate) fn download(&self, changesets: &[(Author, Vec<u8>)]) -> Result<(), ErrorCode> {
        let at = self.snapshot().state().progress.download.server_version.0;
        let entries: Vec<_> = (at + 1..)
            .zip(changesets)
            .map(|(version, (author, bytes))| DownloadEntry {
                server_version: ServerVersion(version),
                last_integrated_client_version: ClientVersion(0),
                origin_timestamp: author.timestamp,
                origin_file_ident: author.ident,
                original_changeset_len: bytes.len() as u64,
                changeset: Bytes::copy_from_slice(bytes),
            })
            .collect();
        let end = ServerVersion(at + changesets.len() as u64);
        let header = DownloadHeader {
            session: SessionIdent(1),
            download_cursor: DownloadCursor {
                server_version: end,
                last_integrated_client_version: ClientVersion(0),
            },
            latest_server_version: SaltedVersion { version: end, salt: Salt(7) },
            upload_cursor: UploadCursor::default(),
            downloadable_bytes: 0,
        };
        let before = self.snapshot();
        match self.execute(StorageRequest::Integrate(header, Body::from_entries(&entries))) {
            StorageAnswer::Ready(status) => {
                assert_eq!(status.state.progress.download, header.download_cursor);
                Ok(())
            }
            StorageAnswer::IntegrationFailed { code, .. } => {
                let after = self.snapshot();
                assert_eq!(before.state(), after.state(), "a failure leaves a trace");
                assert_eq!(state(&before), state(&after), "a failure leaves a trace");
                Err(code)
            }
            answer => panic!("{answer:?}"),
        }
    }

    /// Commits a changeset as what the application wrote. If it cannot be applied, it only enters the history, and
    /// comes back as an error.
    pub(crate) fn commit(&self, timestamp: OriginTimestamp, bytes: &[u8]) -> Result<(), String> {
        let next = ClientVersion(self.snapshot().state().version.0 + 1);
        self.commit_as(next, timestamp, bytes)
    }

    /// As [`commit`](Self::commit), with this version, which is new.
    pub(crate) fn commit_as(
        &self,
        version: ClientVersion,
        timestamp: OriginTimestamp,
        bytes: &[u8],
    ) -> Result<(), String> {
        let writer = self.files.main().write();
        let snapshot = writer.snapshot().unwrap();
        let changeset = Changeset::decode(bytes).unwrap();
        let mut objects = Transaction::new(snapshot.schema(), &snapshot);
        let applied = objects.apply(&changeset).map_err(|error| error.to_string());
        let mut batch = local_commit(&snapshot, objects.finish(), changeset, timestamp);
        // A real device declares its strings as it meets them.
        batch.append[0].changeset = Bytes::copy_from_slice(bytes);
        batch.append[0].version = version;
        batch.state.version = version;
        writer.commit(&batch).unwrap();
        applied.map(|_| ())
    }

    /// The next UPLOAD after a position.
    pub(crate) fn upload(&self, after: UploadCursor) -> UploadBatch {
        match self.execute(StorageRequest::CollectUpload(after)) {
            StorageAnswer::Upload(upload) => upload,
            answer => panic!("{answer:?}"),
        }
    }

    pub(crate) fn download_cursor(&self) -> DownloadCursor {
        self.snapshot().state().progress.download
    }

    /// What there is to upload.
    pub(crate) fn history(&self) -> Vec<HistoryEntry> {
        let entries = self.snapshot().history(ClientVersion(0)).unwrap();
        entries.map(Result::unwrap).filter(HistoryEntry::is_uploadable).collect()
    }

    /// All objects.
    pub(crate) fn state(&self) -> State {
        state(&self.snapshot())
    }

    fn snapshot(&self) -> Snapshot {
        self.files.main().snapshot().unwrap()
    }

    fn execute(&self, request: StorageRequest) -> StorageAnswer {
        self.files.execute(FileRole::Main, request, OriginTimestamp(0))
    }
}

fn state(snapshot: &Snapshot) -> State {
    let rows = snapshot.rows(&[]).unwrap().into_iter().map(|row| {
        let object = snapshot.object(&row).unwrap().unwrap();
        (row, object)
    });
    State::new(snapshot.schema().clone(), rows)
}
