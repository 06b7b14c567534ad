//! One file of a realm, as the machine knows it.

use bailiwick_protocol::ident::SessionIdent;
use bailiwick_protocol::version::ClientVersion;

use super::backoff::Backoff;
use super::io::{FileRole, FileStatus, StorageRequest, Time, UploadBatch};
use super::live::{LiveSession, Phase};
use super::mark::{Marks, Waiter};
use crate::local::ByteCounters;

/// A file, the request to it that is under way, and its session.
#[derive(Debug)]
pub(super) struct File {
    role: FileRole,
    /// What it is at; none before it is loaded, and after it has failed.
    pub(super) status: Option<FileStatus>,
    /// Whether the storage need not be asked what it is at.
    pub(super) is_loaded: bool,
    /// The latest commit of the application that was told: the version, and all that is uploadable.
    committed: (ClientVersion, u64),
    /// The newest version that the storage has named when it gathered an UPLOAD.
    scanned: ClientVersion,
    /// The request under way.
    pub(super) pending: Option<Pending>,
    pub(super) session: Option<LiveSession>,
    pub(super) marks: Marks,
    /// Whether uploads need not wait for a MARK.
    pub(super) may_upload: bool,
    /// The session was ended by an error and is bound again then.
    pub(super) suspended_until: Option<Time>,
    pub(super) backoff: Backoff,
    /// A fresh copy that cannot be completed, and is to be removed.
    pub(super) is_useless: bool,
}

/// A request under way, and the session on whose behalf it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Load,
    Identify(SessionIdent),
    Integrate(SessionIdent),
    /// With the newest version then.
    CollectUpload(SessionIdent, ClientVersion),
    Discard,
    BeginReset,
    Reset,
    EndReset,
}

impl File {
    pub(super) fn new(role: FileRole) -> Self {
        Self {
            role,
            status: None,
            is_loaded: false,
            committed: (ClientVersion(0), 0),
            scanned: ClientVersion(0),
            pending: None,
            session: None,
            marks: Marks::default(),
            may_upload: false,
            suspended_until: None,
            backoff: Backoff::default(),
            is_useless: false,
        }
    }

    /// What is known of the file means nothing any more.
    pub(super) fn forget(&mut self) {
        self.status = None;
        self.is_loaded = false;
    }

    /// The application has committed.
    pub(super) fn commit(&mut self, version: ClientVersion, uploadable: u64) {
        if version > self.committed.0 {
            self.committed = (version, uploadable);
        }
    }

    /// The storage has gathered an UPLOAD for a session, which may be over.
    pub(super) fn gathered(
        &mut self,
        session: SessionIdent,
        batch: UploadBatch,
        newest: ClientVersion,
    ) {
        self.scanned = self.scanned.max(batch.progress.client_version);
        if let Some(session) = self.session(session)
            && session.phase == Phase::Active
        {
            session.uploads.gathered(batch, newest);
        }
    }

    /// A session for the connection that there is.
    pub(super) fn begin_session(&mut self, ident: SessionIdent) {
        self.session = Some(LiveSession::new(ident));
        self.marks.begin_session();
        if self.role == FileRole::Main && !self.may_upload {
            self.marks.request_once(Waiter::Uploads);
        }
    }

    /// The next request that the session makes, for which none may be under way.
    pub(super) fn next_request(&mut self) -> Option<(Pending, StorageRequest)> {
        let (newest, uploads) = (self.newest(), self.role == FileRole::Main && self.may_upload);
        let session = self.session.as_mut()?;
        let ident = session.ident;
        match session.phase {
            Phase::Identifying(file, salt) => {
                Some((Pending::Identify(ident), StorageRequest::Identify(file, salt)))
            }
            Phase::Active => {
                let wanted = if uploads { session.uploads.wanted(newest) } else { None };
                let is_turn = session.downloads.is_empty() || !session.has_collected;
                session.has_collected = wanted.is_some() && is_turn;
                if let Some(cursor) = wanted.filter(|_| is_turn) {
                    let pending = Pending::CollectUpload(ident, newest);
                    return Some((pending, StorageRequest::CollectUpload(cursor)));
                }
                let download = session.next_download()?;
                let request = StorageRequest::Integrate(download.header, download.body);
                Some((Pending::Integrate(ident), request))
            }
            Phase::New | Phase::WaitingForIdent | Phase::Bound | Phase::Broken(_) => None,
        }
    }

    /// The session, if it is this one.
    pub(super) fn session(&mut self, ident: SessionIdent) -> Option<&mut LiveSession> {
        self.session.as_mut().filter(|session| session.ident == ident)
    }

    /// Whether a session can be had.
    pub(super) fn is_ready(&self) -> bool {
        self.is_loaded
            && self.status.is_some()
            && self.suspended_until.is_none()
            && !self.is_useless
    }

    /// The newest version that is known.
    pub(super) fn newest(&self) -> ClientVersion {
        let loaded = self.status.as_ref().map(|status| status.state.version);
        self.committed.0.max(self.scanned).max(loaded.unwrap_or_default())
    }

    /// The version of the newest changeset that is to be uploaded or was.
    pub(super) fn last_uploadable(&self) -> Option<ClientVersion> {
        let status = self.status.as_ref()?;
        let is_newer = self.committed.0 > status.state.version;
        Some(if is_newer { self.committed.0 } else { status.last_uploadable })
    }

    /// Up to where the server has acknowledged.
    pub(super) fn acknowledged(&self) -> Option<ClientVersion> {
        self.status.as_ref().map(|status| status.state.progress.upload.client_version)
    }

    /// How much has travelled.
    pub(super) fn bytes(&self) -> Option<ByteCounters> {
        let FileStatus { state, .. } = self.status.as_ref()?;
        let is_newer = self.committed.0 > state.version;
        let uploadable = if is_newer { self.committed.1 } else { state.bytes.uploadable };
        Some(ByteCounters { uploadable, ..state.bytes })
    }
}
