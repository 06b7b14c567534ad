//! The steps of a client reset, each durable before the next one.
//!
//! A crash between any two of them is harmless. Before the commit that takes the server's state over, the main file is
//! as it was, and the reset is made again; the fresh copy goes on where it was interrupted. After it, the main file
//! has the client file of the copy, and a copy that was not removed does not belong to it any more.

use std::sync::{Arc, PoisonError};

use bailiwick_protocol::version::OriginTimestamp;

use super::{FilesError, Newest, RealmFiles};
use crate::causes::with_causes;
use crate::history::Unintegrated;
use crate::local::{LocalFile, PendingReset, ResetStage, Snapshot};
use crate::reset::{self, ResetDemand, ResetFailure, ResetObserver, ResetRefused};
use crate::session::{FileRole, ResetMode, StorageAnswer};

impl RealmFiles {
    /// Tells an observer of each client reset from now on. There is one observer; a second one is not heard.
    pub fn observe_resets(&self, observer: Arc<dyn ResetObserver>) {
        self.observation.set(observer);
    }

    /// Decides about a reset, and keeps a record that it was tried.
    pub(super) fn begin_reset(
        &self,
        demand: &ResetDemand,
        now: OriginTimestamp,
    ) -> Result<StorageAnswer, FilesError> {
        let writer = self.main.write();
        match reset::guard(&writer.snapshot()?, demand, now, PendingReset::LIBRARY_VERSION) {
            Ok((mode, batch)) => {
                writer.commit(&batch)?;
                Ok(StorageAnswer::ResetBegun(mode))
            }
            Err(refused) => {
                self.remove_fresh()?;
                Ok(StorageAnswer::ResetFailed(with_causes(&refused)))
            }
        }
    }

    /// Takes over the state of the fresh copy, and removes the copy.
    pub(super) fn reset(&self, mode: ResetMode) -> Result<StorageAnswer, FilesError> {
        if !self.observation.before(&self.main.snapshot()?) {
            // It does not count as tried, or local changes would be dropped the next time.
            self.change(FileRole::Main, |main| Ok(Some(reset::end(main))))?;
            let reason = "the application's observer of client resets has panicked";
            return Ok(StorageAnswer::ResetFailed(reason.to_owned()));
        }
        let fresh = self.file(FileRole::Fresh)?.snapshot()?;
        let writer = self.main.write();
        let before = writer.snapshot()?;
        if before.pending_reset().is_some_and(reset::is_given_up) {
            drop((writer, fresh));
            // Since the reset has begun.
            return self.fail_reset(&with_causes(&ResetRefused::Manual));
        }
        let planned = match mode {
            ResetMode::DiscardLocal => {
                reset::discard_local(&before, &fresh).map(|batch| (batch, false))
            }
            _ => reset::recover(&before, &fresh).map(|batch| (batch, true)),
        };
        let planned = match (mode, planned) {
            (ResetMode::RecoverOrDiscard, Err(error)) => {
                let reason = with_causes(&error);
                tracing::warn!(reason, "local changes cannot be recovered and are dropped");
                reset::discard_local(&before, &fresh).map(|batch| (batch, false))
            }
            (_, planned) => planned,
        };
        let (batch, recovered) = match planned {
            Ok(planned) => planned,
            Err(ResetFailure::Local(error)) => {
                drop((writer, fresh));
                // It may be the copy that cannot be read.
                self.remove_fresh()?;
                return Err(error.into());
            }
            Err(failure) => {
                drop((writer, fresh));
                return self.fail_reset(&with_causes(&failure));
            }
        };
        writer.commit(&batch)?;
        // What was recovered has other changesets under the versions that it had.
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Newest::default();
        *self.unintegrated() = Unintegrated::default();
        let after = writer.snapshot()?;
        drop((writer, fresh));
        // The reset is made, with or without the copy being gone: it is known as one that was taken over.
        if let Err(error) = self.remove_fresh() {
            tracing::warn!(error = with_causes(&error), "the fresh copy of a realm is still there");
        }
        self.observation.after(&before, &after, recovered);
        let status = self.status(FileRole::Main, &after)?;
        Ok(StorageAnswer::ResetDone { status, recovered })
    }

    /// Forgets the record of a reset that is through.
    pub(super) fn end_reset(&self) -> Result<StorageAnswer, FilesError> {
        self.change(FileRole::Main, |main| Ok(main.pending_reset().map(|_| reset::end(main))))?;
        self.ready(FileRole::Main)
    }

    /// Removes the fresh copy of a reset that was made, if the process ended before it could be removed.
    pub(super) fn tidy(&self, main: &Snapshot) -> Result<(), FilesError> {
        let is_made =
            main.pending_reset().is_some_and(|record| record.stage == ResetStage::Applied);
        if is_made { self.remove_fresh() } else { Ok(()) }
    }

    /// Removes the fresh copy, if there is one.
    pub(super) fn remove_fresh(&self) -> Result<(), FilesError> {
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        *fresh = None;
        Ok(self.copies.remove()?)
    }

    /// Opens a fresh copy that was made for the main file as it is, or makes one.
    pub(super) fn open_fresh(&self) -> Result<Arc<LocalFile>, FilesError> {
        let main = self.main.snapshot()?;
        if let Ok(copy) = self.copies.open()
            && reset::is_fresh_copy_of(&main, &copy.snapshot()?)
        {
            return Ok(copy);
        }
        self.copies.remove()?;
        let copy = self.copies.open()?;
        let writer = copy.write();
        writer.commit(&reset::mark_fresh_copy(&main, &writer.snapshot()?))?;
        drop(writer);
        Ok(copy)
    }

    fn fail_reset(&self, reason: &str) -> Result<StorageAnswer, FilesError> {
        self.change(FileRole::Main, |main| Ok(Some(reset::fail(main))))?;
        self.remove_fresh()?;
        Ok(StorageAnswer::ResetFailed(reason.to_owned()))
    }
}
