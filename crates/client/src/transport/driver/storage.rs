//! Requests to files, on threads that may block.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::clock;
use crate::session::{FileRole, RealmKey, StorageAnswer, StorageRequest, SyncError};
use crate::transport::connection::RealmStorage;

/// An answer, and to what.
pub(super) type Answered = (RealmKey, FileRole, StorageAnswer);

/// The requests that are being done, and those that wait.
#[derive(Debug, Default)]
pub(super) struct Storage {
    running: JoinSet<Answered>,
    waiting: VecDeque<Job>,
}

#[derive(Debug)]
struct Job {
    realm: RealmKey,
    role: FileRole,
    request: StorageRequest,
    files: Arc<dyn RealmStorage>,
}

/// Requests that are done at the same time; disks do not get faster with more.
const MAX_RUNNING: usize = 8;

impl Storage {
    /// A file has one request at a time, so that there are never more than two for each realm.
    pub(super) fn request(
        &mut self,
        files: Arc<dyn RealmStorage>,
        realm: RealmKey,
        role: FileRole,
        request: StorageRequest,
    ) {
        self.waiting.push_back(Job { realm, role, request, files });
        self.start_some();
    }

    /// Waits for an answer; `None` if none is to come. Nothing is lost if the future is dropped.
    pub(super) async fn answer(&mut self) -> Option<Answered> {
        let answered = self.running.join_next().await?;
        self.start_some();
        // It is neither aborted nor does it panic; only a runtime that shuts down keeps it from being done.
        answered.ok()
    }

    fn start_some(&mut self) {
        while self.running.len() < MAX_RUNNING
            && let Some(job) = self.waiting.pop_front()
        {
            self.running.spawn_blocking(move || job.run());
        }
    }
}

impl Job {
    fn run(self) -> Answered {
        let Self { realm, role, request, files } = self;
        // Code of the application may be called on the way.
        let answer = catch_unwind(AssertUnwindSafe(|| {
            files.execute(role, request, clock::origin_timestamp())
        }));
        let answer = answer.unwrap_or_else(|_| {
            let text = "what was to be done with it has panicked".to_owned();
            StorageAnswer::Failed(SyncError::File(text))
        });
        (realm, role, answer)
    }
}
