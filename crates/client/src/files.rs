//! The files of one realm, and what its session machine asks of them.
//!
//! [`RealmFiles::execute`] carries out one [`StorageRequest`] and blocks until it is durable. It has no clock and no
//! threads of its own, so that a simulation can run it as a driver does.
//!
//! ```
//! use std::sync::Arc;
//!
//! use bailiwick_client::clock::origin_timestamp;
//! use bailiwick_client::files::{FreshInMemory, RealmFiles};
//! use bailiwick_client::local::LocalFile;
//! use bailiwick_client::session::{FileRole, StorageAnswer, StorageRequest};
//!
//! let files = RealmFiles::new(Arc::new(LocalFile::in_memory()), FreshInMemory::default());
//! let answer = files.execute(FileRole::Main, StorageRequest::Load, origin_timestamp());
//! assert!(matches!(answer, StorageAnswer::Ready(status) if status.state.client_file.is_none()));
//! ```

mod fresh;
mod reset;
mod set_aside;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::{Body, Download, DownloadHeader};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp, UploadCursor};
use tokio::sync::broadcast;

use crate::causes::with_causes;
use crate::history::{self, IntegrationError, Unintegrated};
use crate::local::{Batch, Committed, FileState, LocalError, LocalFile, ResetStage, Snapshot};
use crate::reset::{Observation, ResetDemand};
use crate::session::{FileRole, FileStatus, StorageAnswer, StorageRequest, SyncError};

pub use fresh::{FreshError, FreshFile, FreshInMemory, FreshOnDisk};
pub use set_aside::open_main;

/// The longest DOWNLOAD, in bytes, before it is integrated: what a device is ready to inflate.
pub const MAX_DOWNLOAD_LEN: usize = 128 << 20;

/// The files of one realm.
#[derive(Debug)]
pub struct RealmFiles {
    main: Arc<LocalFile>,
    fresh: Mutex<Option<Arc<LocalFile>>>,
    /// Opens and removes the fresh copy.
    copies: Box<dyn FreshFile>,
    newest: Mutex<Newest>,
    /// Of the main file.
    unintegrated: Mutex<Unintegrated>,
    observation: Observation,
}

/// Up to which version the main file's history was searched, and the newest version there that is to be uploaded.
#[derive(Clone, Copy, Debug, Default)]
struct Newest {
    searched: ClientVersion,
    found: ClientVersion,
}

impl RealmFiles {
    /// The files of a realm whose main file is open.
    pub fn new(main: Arc<LocalFile>, copies: impl FreshFile + 'static) -> Self {
        Self {
            main,
            fresh: Mutex::default(),
            copies: Box::new(copies),
            newest: Mutex::default(),
            unintegrated: Mutex::default(),
            observation: Observation::default(),
        }
    }

    /// The file that the application uses.
    pub fn main(&self) -> &Arc<LocalFile> {
        &self.main
    }

    /// News of commits to the main file from now on.
    pub fn news(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.main.news()
    }

    /// Carries out a request at the time `now`. It may be repeated: what was integrated is not integrated again.
    ///
    /// Requests of one role come one at a time.
    pub fn execute(
        &self,
        role: FileRole,
        request: StorageRequest,
        now: OriginTimestamp,
    ) -> StorageAnswer {
        self.try_execute(role, request, now)
            .unwrap_or_else(|error| StorageAnswer::Failed(SyncError::File(with_causes(&error))))
    }

    fn try_execute(
        &self,
        role: FileRole,
        request: StorageRequest,
        now: OriginTimestamp,
    ) -> Result<StorageAnswer, FilesError> {
        match request {
            StorageRequest::Load => {
                if role == FileRole::Main {
                    self.tidy(&self.main.snapshot()?)?;
                }
                self.ready(role)
            }
            StorageRequest::Identify(ident, salt) => {
                self.identify(role, ident, salt)?;
                self.ready(role)
            }
            StorageRequest::Integrate(header, body) => self.integrate(role, &header, &body),
            StorageRequest::CollectUpload(after) => self.collect_upload(role, after),
            StorageRequest::BeginReset { mode, action, code, message } => {
                self.begin_reset(&ResetDemand { mode, action, code, message }, now)
            }
            StorageRequest::Reset { mode } => self.reset(mode),
            StorageRequest::Discard => {
                self.remove_fresh()?;
                let (state, last_uploadable) = (FileState::default(), ClientVersion(0));
                Ok(StorageAnswer::Ready(FileStatus {
                    state,
                    last_uploadable,
                    reset_pending: false,
                }))
            }
            StorageRequest::EndReset => self.end_reset(),
        }
    }

    fn identify(&self, role: FileRole, ident: FileIdent, salt: Salt) -> Result<(), FilesError> {
        self.change(role, |snapshot| {
            let is_new = snapshot.state().client_file != Some((ident, salt));
            Ok(is_new.then(|| history::identify(snapshot, ident, salt)))
        })
    }

    fn integrate(
        &self,
        role: FileRole,
        header: &DownloadHeader,
        body: &Body,
    ) -> Result<StorageAnswer, FilesError> {
        let entries = match body.inflate(MAX_DOWNLOAD_LEN) {
            Ok(plain) => Download::entries(plain),
            Err(error) => return Ok(StorageAnswer::ProtocolViolation(with_causes(&error))),
        };
        let outcome = self.change(role, |snapshot| {
            Ok(match role {
                FileRole::Main => {
                    history::integrate(snapshot, &mut self.unintegrated(), header, entries)?
                }
                // Nothing is written there.
                FileRole::Fresh => {
                    history::integrate(snapshot, &mut Unintegrated::default(), header, entries)?
                }
            })
        });
        match outcome {
            Ok(()) => self.ready(role),
            Err(FilesError::Integration(error)) => {
                let message = with_causes(&error);
                Ok(match error.code() {
                    Some(code) => StorageAnswer::IntegrationFailed { code, message },
                    None => StorageAnswer::ProtocolViolation(message),
                })
            }
            Err(error) => Err(error),
        }
    }

    fn collect_upload(
        &self,
        role: FileRole,
        after: UploadCursor,
    ) -> Result<StorageAnswer, FilesError> {
        let file = self.file(role)?;
        Ok(StorageAnswer::Upload(history::collect_upload(&file.snapshot()?, after)?))
    }

    fn ready(&self, role: FileRole) -> Result<StorageAnswer, FilesError> {
        let file = self.file(role)?;
        Ok(StorageAnswer::Ready(self.status(role, &file.snapshot()?)?))
    }

    /// Commits what `compute` makes of the file, if it makes anything.
    fn change(
        &self,
        role: FileRole,
        compute: impl FnOnce(&Snapshot) -> Result<Option<Batch>, FilesError>,
    ) -> Result<(), FilesError> {
        let file = self.file(role)?;
        let writer = file.write();
        if let Some(batch) = compute(&writer.snapshot()?)? {
            writer.commit(&batch)?;
        }
        Ok(())
    }

    /// The file in this role; the fresh copy is opened, or made, if it is not open.
    fn file(&self, role: FileRole) -> Result<Arc<LocalFile>, FilesError> {
        match role {
            FileRole::Main => Ok(Arc::clone(&self.main)),
            FileRole::Fresh => {
                let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
                match &*fresh {
                    Some(file) => Ok(Arc::clone(file)),
                    None => Ok(Arc::clone(fresh.insert(self.open_fresh()?))),
                }
            }
        }
    }

    fn status(&self, role: FileRole, snapshot: &Snapshot) -> Result<FileStatus, LocalError> {
        let last_uploadable = match role {
            FileRole::Main => self.last_uploadable(snapshot)?,
            // Nothing is written there.
            FileRole::Fresh => ClientVersion(0),
        };
        Ok(FileStatus {
            state: snapshot.state().clone(),
            last_uploadable,
            reset_pending: snapshot
                .pending_reset()
                .is_some_and(|reset| reset.stage == ResetStage::Applied),
        })
    }

    fn unintegrated(&self) -> MutexGuard<'_, Unintegrated> {
        self.unintegrated.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Searches only what was not searched before, so that it costs little however long the history is.
    fn last_uploadable(&self, snapshot: &Snapshot) -> Result<ClientVersion, LocalError> {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = history::last_uploadable(snapshot, newest.searched)? {
            newest.found = found;
        }
        newest.searched = newest.searched.max(snapshot.state().version);
        Ok(newest.found)
    }
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
enum FilesError {
    #[error(transparent)]
    Local(#[from] LocalError),
    #[error(transparent)]
    Fresh(#[from] FreshError),
    #[error(transparent)]
    Integration(IntegrationError),
}

impl From<IntegrationError> for FilesError {
    fn from(error: IntegrationError) -> Self {
        match error {
            IntegrationError::Local(error) => Self::Local(error),
            error => Self::Integration(error),
        }
    }
}
