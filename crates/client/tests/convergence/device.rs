//! A device: the production code over a file on a disk in memory, with what the world wants to know of it.

use std::sync::Arc;

use bailiwick_client::files::{FreshInMemory, RealmFiles};
use bailiwick_client::history::{local_commit, pending};
use bailiwick_client::local::{LocalFile, OpenOptions, Owner, Snapshot};
use bailiwick_client::session::{FileRole, StorageAnswer, StorageRequest};
use bailiwick_core::apply::Transaction;
use bailiwick_core::history::UploadedChangeset;
use bailiwick_core::state::{ObjectStore as _, State};
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Body, DownloadEntry, DownloadHeader};
use bailiwick_protocol::version::{
    ClientVersion, DownloadCursor, OriginTimestamp, SaltedVersion, UploadCursor,
};
use bailiwick_storage::disk::{Disk, Keeps};
use proptest::prelude::*;

use super::message::{DownloadMessage, UploadMessage};

/// A device. What is public here is what its file said last.
pub(super) struct Device {
    disk: Disk,
    files: Option<RealmFiles>,
    pub(super) file: Option<(FileIdent, Salt)>,
    pub(super) state: State,
    pub(super) download: DownloadCursor,
    pub(super) latest: SaltedVersion,
    acknowledged: UploadCursor,
    /// What the session has sent.
    sent: UploadCursor,
    /// The versions of what was written, and how long it is.
    written: Vec<(ClientVersion, u64)>,
}

impl Default for Device {
    fn default() -> Self {
        let mut device = Self {
            disk: Disk::default(),
            files: None,
            file: None,
            state: State::default(),
            download: DownloadCursor::default(),
            latest: SaltedVersion::default(),
            acknowledged: UploadCursor::default(),
            sent: UploadCursor::default(),
            written: Vec::new(),
        };
        device.reopen();
        device
    }
}

impl Device {
    /// Commits a transaction, whose effect is in `state` already.
    pub(super) fn commit(&mut self, timestamp: OriginTimestamp, changeset: Changeset) {
        let file = Arc::clone(self.files().main());
        let writer = file.write();
        let snapshot = writer.snapshot().unwrap();
        let mut objects = Transaction::new(snapshot.schema(), &snapshot);
        let _ = objects.apply(&changeset).unwrap();
        let batch = local_commit(&snapshot, objects.finish(), changeset, timestamp);
        let changesets = batch.append.iter().filter(|entry| entry.is_uploadable());
        self.written.extend(changesets.map(|it| (it.version, it.changeset.len() as u64)));
        writer.commit(&batch).unwrap();
        drop(writer);
        let expected = self.state.clone();
        self.refresh();
        assert_eq!(self.state, expected, "what was written, and what the file has");
    }

    pub(super) fn set_file(&mut self, (ident, salt): (FileIdent, Salt)) {
        let answer = self.execute(StorageRequest::Identify(ident, salt));
        assert!(matches!(answer, StorageAnswer::Ready(_)), "{answer:?}");
        self.refresh();
        assert_eq!(self.file, Some((ident, salt)));
    }

    /// The app starts again, and a new session starts to send where the last acknowledgement ended.
    pub(super) fn connect(&mut self) {
        self.reopen();
        self.sent = self.acknowledged;
    }

    /// The next UPLOAD, with at most `count` changesets; `None` if there is nothing to say.
    pub(super) fn upload(&mut self, count: usize) -> Option<UploadMessage> {
        let StorageAnswer::Upload(mut batch) =
            self.execute(StorageRequest::CollectUpload(self.sent))
        else {
            panic!("no upload");
        };
        if batch.entries.len() > count {
            batch.entries.truncate(count);
            let last = batch.entries.last()?;
            batch.progress = UploadCursor {
                client_version: last.client_version,
                last_integrated_server_version: last.last_integrated_server_version,
            };
        }
        let told = self.sent.last_integrated_server_version;
        if batch.entries.is_empty() && told >= batch.locked_server_version {
            return None;
        }
        self.sent = batch.progress;
        let changesets = batch.entries.into_iter().map(|entry| UploadedChangeset {
            cursor: UploadCursor {
                client_version: entry.client_version,
                last_integrated_server_version: entry.last_integrated_server_version,
            },
            origin_timestamp: entry.origin_timestamp,
            origin_file_ident: entry.origin_file_ident,
            bytes: entry.changeset,
        });
        Some(UploadMessage {
            progress: batch.progress,
            locked: batch.locked_server_version,
            changesets: changesets.collect(),
        })
    }

    /// Integrates a DOWNLOAD. With `until`, the disk fails about there, and the app starts again.
    pub(super) fn integrate(
        &mut self,
        message: &DownloadMessage,
        until: Option<usize>,
    ) -> Result<(), TestCaseError> {
        let (header, body) = print(message);
        if let Some(until) = until {
            return self.integrate_and_fail(header, body, until);
        }
        // The second time it is known.
        let mut ends = Vec::new();
        for _ in 0..2 {
            match self.execute(StorageRequest::Integrate(header, body.clone())) {
                StorageAnswer::Ready(status) => ends.push(status.state),
                answer => {
                    return Err(TestCaseError::fail(format!("it cannot integrate: {answer:?}")));
                }
            }
        }
        prop_assert_eq!(&ends[0], &ends[1], "integrated twice");
        self.refresh();
        prop_assert_eq!(self.download, header.download_cursor);
        prop_assert_eq!(self.latest, header.latest_server_version);
        prop_assert_eq!(self.acknowledged, header.upload_cursor);
        if self.acknowledged.client_version > self.sent.client_version {
            self.sent = self.acknowledged;
        }
        self.check_counters()
    }

    /// Whether the server has acknowledged all that the device wrote.
    pub(super) fn is_acknowledged(&self) -> bool {
        pending(&self.snapshot()).unwrap().is_none()
    }

    /// The versions that the server has acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = ClientVersion> {
        let written = self.written.iter().map(|(version, _)| *version);
        written.filter(|version| *version <= self.acknowledged.client_version)
    }

    /// What was integrated is there with all that belongs to it, or not at all.
    fn integrate_and_fail(
        &mut self,
        header: DownloadHeader,
        body: Body,
        until: usize,
    ) -> Result<(), TestCaseError> {
        let (before, download) = (self.state.clone(), self.download);
        self.disk.fail_after(until * 3);
        let _ = self.execute(StorageRequest::Integrate(header, body));
        self.reopen();
        if self.download == download {
            prop_assert_eq!(&self.state, &before, "half a DOWNLOAD");
        } else {
            prop_assert_eq!(self.download, header.download_cursor);
        }
        self.check_counters()
    }

    fn check_counters(&self) -> Result<(), TestCaseError> {
        let bytes = self.snapshot().state().bytes;
        let acknowledged = self.acknowledged.client_version;
        let written: u64 = self.written.iter().map(|(_, len)| len).sum();
        let uploaded = self.written.iter().filter(|(version, _)| *version <= acknowledged);
        prop_assert_eq!(bytes.uploadable, written);
        prop_assert_eq!(bytes.uploaded, uploaded.map(|(_, len)| len).sum::<u64>());
        Ok(())
    }

    fn reopen(&mut self) {
        // The old one lets go of the disk before the new one reads it.
        self.files = None;
        self.disk = self.disk.crashed(Keeps::Everything);
        let options = OpenOptions::new(Owner::default());
        let main = LocalFile::on_backend(self.disk.clone(), &options).unwrap();
        self.files = Some(RealmFiles::new(Arc::new(main), FreshInMemory::default()));
        self.refresh();
    }

    fn refresh(&mut self) {
        let snapshot = self.snapshot();
        let rows = snapshot.rows(&[]).unwrap().into_iter().map(|row| {
            let object = snapshot.object(&row).unwrap().unwrap();
            (row, object)
        });
        self.state = State::new(snapshot.schema().clone(), rows);
        self.file = snapshot.state().client_file;
        self.download = snapshot.state().progress.download;
        self.latest = snapshot.state().progress.latest;
        self.acknowledged = snapshot.state().progress.upload;
    }

    fn files(&self) -> &RealmFiles {
        self.files.as_ref().expect("it is open but while it is opened")
    }

    fn snapshot(&self) -> Snapshot {
        self.files().main().snapshot().unwrap()
    }

    fn execute(&self, request: StorageRequest) -> StorageAnswer {
        self.files().execute(FileRole::Main, request, OriginTimestamp(0))
    }
}

/// The message as it arrives.
fn print(message: &DownloadMessage) -> (DownloadHeader, Body) {
    let entries = message.changesets.iter().map(|changeset| DownloadEntry {
        server_version: changeset.server_version,
        last_integrated_client_version: changeset.last_integrated_client_version,
        origin_timestamp: changeset.origin_timestamp,
        origin_file_ident: changeset.origin_file_ident,
        original_changeset_len: changeset.bytes.len() as u64,
        changeset: changeset.bytes.clone(),
    });
    let header = DownloadHeader {
        session: SessionIdent(1),
        download_cursor: message.cursor,
        latest_server_version: message.latest,
        upload_cursor: message.upload,
        downloadable_bytes: 0,
    };
    (header, Body::from_entries(&entries.collect::<Vec<_>>()))
}
