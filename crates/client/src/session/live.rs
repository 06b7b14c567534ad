//! A session of the connection that there is: from BIND to its end.
//!
//! Spec: client, sections 2.1, 3 and 4.1.

use std::collections::VecDeque;

use bailiwick_protocol::error_code::ErrorCode;
use bailiwick_protocol::ident::{FileIdent, Salt, SessionIdent};
use bailiwick_protocol::message::{Download, DownloadHeader};
use bailiwick_protocol::version::{ClientVersion, ServerVersion, UploadCursor};

use super::io::{SyncError, UploadBatch};
use crate::local::Progress;

/// A session. When it ends it is forgotten; a later one has another ident.
#[derive(Debug)]
pub(super) struct LiveSession {
    pub(super) ident: SessionIdent,
    pub(super) phase: Phase,
    /// What is to be integrated.
    pub(super) downloads: VecDeque<Download>,
    /// The length of that, in bytes.
    pub(super) queued_len: usize,
    /// How far the DOWNLOADs go that have come.
    pub(super) received: Progress,
    /// What is being undone on this device, until that is integrated.
    compensations: Vec<(ServerVersion, SyncError)>,
    /// The length of all that came since there were none, in bytes on the wire.
    compensations_len: usize,
    pub(super) uploads: Uploads,
    /// Integrating has precedence over gathering an UPLOAD, since one was gathered last; also at first, since a DOWNLOAD
    /// may say that the server has already got what would be uploaded.
    pub(super) has_collected: bool,
}

/// How far a session has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// BIND is to be sent.
    New,
    /// BIND has asked for a client file.
    WaitingForIdent,
    /// The server has allocated a client file, which is being kept.
    Identifying(FileIdent, Salt),
    /// IDENT is to be sent.
    Bound,
    /// IDENT was sent.
    Active,
    /// Something could not be integrated. The server is told, once; then there is silence.
    Broken(Option<Report>),
}

/// What the server is told of something that could not be integrated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) code: ErrorCode,
    pub(super) message: String,
}

/// How far a session has come with its uploads. Nothing of it outlives the session.
#[derive(Debug, Default)]
pub(super) struct Uploads {
    /// How far UPLOADs go that were sent or are to be sent.
    cursor: UploadCursor,
    /// Up to which version there is nothing more to gather.
    scanned: ClientVersion,
    /// What is to be sent.
    pub(super) batch: Option<UploadBatch>,
}

/// What a message costs besides its body, in bytes: so that empty ones count, too.
const DOWNLOAD_OVERHEAD: usize = 256;

/// How long the compensating writes may be that are not yet integrated, in bytes on the wire; more would be a server
/// that wants to fill the memory.
const MAX_COMPENSATIONS_LEN: usize = 4 << 20;

impl LiveSession {
    pub(super) fn new(ident: SessionIdent) -> Self {
        Self {
            ident,
            phase: Phase::New,
            downloads: VecDeque::new(),
            queued_len: 0,
            received: Progress::default(),
            compensations: Vec::new(),
            compensations_len: 0,
            uploads: Uploads::default(),
            has_collected: true,
        }
    }

    /// IDENT is sent: everything starts from what the file is at.
    pub(super) fn activate(&mut self, progress: Progress) {
        self.phase = Phase::Active;
        self.received = progress;
        self.uploads = Uploads::new(progress.upload);
    }

    /// Takes a DOWNLOAD if it goes on from those before it. `newest` is the newest version of the file.
    ///
    /// # Errors
    ///
    /// What is wrong with its header.
    pub(super) fn receive(
        &mut self,
        download: Download,
        newest: ClientVersion,
    ) -> Result<(), &'static str> {
        check(&download.header, &self.received, newest)?;
        self.received = Progress {
            download: download.header.download_cursor,
            upload: download.header.upload_cursor,
            latest: download.header.latest_server_version,
        };
        self.queued_len += queued_len(&download);
        self.downloads.push_back(download);
        Ok(())
    }

    /// The DOWNLOAD to integrate next.
    pub(super) fn next_download(&mut self) -> Option<Download> {
        let download = self.downloads.pop_front()?;
        self.queued_len -= queued_len(&download);
        Some(download)
    }

    /// Nothing more is integrated in this session.
    pub(super) fn fail(&mut self, report: Report) {
        self.phase = Phase::Broken(Some(report));
        self.downloads.clear();
        self.queued_len = 0;
        self.uploads.batch = None;
    }

    /// Keeps a compensating write until what undoes it is integrated; false if there are too many. `len` is its length
    /// on the wire.
    pub(super) fn compensate(
        &mut self,
        version: ServerVersion,
        error: SyncError,
        len: usize,
    ) -> bool {
        self.compensations.push((version, error));
        self.compensations_len += len;
        self.compensations_len <= MAX_COMPENSATIONS_LEN
    }

    /// The compensating writes that are integrated.
    pub(super) fn take_compensations(&mut self, integrated: ServerVersion) -> Vec<SyncError> {
        let is_integrated = |(version, _): &mut (ServerVersion, _)| *version <= integrated;
        let taken =
            self.compensations.extract_if(.., is_integrated).map(|(_, error)| error).collect();
        if self.compensations.is_empty() {
            self.compensations_len = 0;
        }
        taken
    }
}

fn queued_len(download: &Download) -> usize {
    download.body.len() + DOWNLOAD_OVERHEAD
}

/// Spec: client, section 4.1.
fn check(
    header: &DownloadHeader,
    at: &Progress,
    newest: ClientVersion,
) -> Result<(), &'static str> {
    let (download, upload) = (header.download_cursor, header.upload_cursor);
    if header.latest_server_version.version < at.latest.version {
        Err("the latest server version goes back")
    } else if upload.client_version < at.upload.client_version {
        Err("the upload cursor goes back")
    } else if upload.client_version > newest {
        Err("the upload cursor is beyond what this device has written")
    } else if download.server_version < at.download.server_version {
        Err("the download cursor goes back")
    } else if download.last_integrated_client_version < at.download.last_integrated_client_version {
        Err("the client version of the download cursor goes back")
    } else if header.check().is_err() {
        Err("the cursors contradict each other")
    } else {
        Ok(())
    }
}

impl Uploads {
    fn new(acknowledged: UploadCursor) -> Self {
        // Version 1 is the empty file.
        let scanned = acknowledged.client_version.max(ClientVersion(1));
        Self { cursor: acknowledged, scanned, batch: None }
    }

    /// From where to gather, if there may be anything up to `newest`.
    pub(super) fn wanted(&self, newest: ClientVersion) -> Option<UploadCursor> {
        (self.batch.is_none() && newest > self.scanned).then_some(self.cursor)
    }

    /// Takes what was gathered when `newest` was the newest version. An UPLOAD without changesets is of use if it
    /// tells the server that more of its history was integrated.
    pub(super) fn gathered(&mut self, batch: UploadBatch, newest: ClientVersion) {
        let (was, is) = (self.cursor, batch.progress);
        if is.client_version <= was.client_version {
            self.scanned = newest;
            return;
        }
        self.cursor = is;
        self.scanned = if batch.entries.is_empty() {
            newest.max(is.client_version)
        } else {
            is.client_version
        };
        let is_news = is.last_integrated_server_version > was.last_integrated_server_version;
        if is_news || !batch.entries.is_empty() {
            self.batch = Some(batch);
        }
    }

    /// The server has all up to there, perhaps from an earlier session.
    pub(super) fn acknowledged(&mut self, cursor: UploadCursor) {
        if cursor.client_version > self.cursor.client_version {
            self.cursor = cursor;
            self.scanned = self.scanned.max(cursor.client_version);
            self.batch = None;
        }
    }
}
