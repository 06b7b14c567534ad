//! Group commit: many realms' commits share one flush to the disk.
//!
//! While one batch is being made durable, the next one gathers: throughput grows with load, and latency
//! stays near one flush.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bailiwick_storage::store::{Commit, CommitRefused, RealmKey, StorageError, Store};
use tokio::sync::{mpsc, oneshot, watch};

use super::Chain;

/// Takes commits from many actors; a clone is another end of the same queue.
#[derive(Clone, Debug)]
pub struct Committer {
    jobs: mpsc::Sender<Job>,
    has_failed: watch::Receiver<bool>,
}

/// Why a commit did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CommitError {
    /// The realm has moved on since the commit was computed.
    #[error(transparent)]
    Refused(#[from] CommitRefused),
    /// The storage failed; whether the commit happened is not known.
    #[error("the storage failed")]
    Storage(#[source] Arc<StorageError>),
    /// The server is going down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

#[derive(Debug)]
struct Job {
    realm: RealmKey,
    commit: Commit,
    done: oneshot::Sender<Result<(), CommitError>>,
}

/// The most commits of one batch; more wait for the next.
const MAX_BATCH: usize = 1024;

impl Committer {
    /// Starts the thread that commits; it ends when the last clone is dropped and all jobs are done.
    ///
    /// # Panics
    ///
    /// If the system has no thread left.
    pub fn start(store: Arc<dyn Store>) -> (Self, std::thread::JoinHandle<()>) {
        let (jobs, queue) = mpsc::channel(MAX_BATCH);
        let (failure, has_failed) = watch::channel(false);
        let thread = std::thread::Builder::new()
            .name("committer".to_owned())
            .spawn(move || run(&*store, queue, &failure))
            .expect("a thread can be started");
        (Self { jobs, has_failed }, thread)
    }

    /// Makes a commit durable; returns when it is.
    ///
    /// # Errors
    ///
    /// See [`CommitError`].
    pub async fn commit(&self, realm: RealmKey, commit: Commit) -> Result<(), CommitError> {
        let (done, answer) = oneshot::channel();
        let job = Job { realm, commit, done };
        self.jobs.send(job).await.map_err(|_| CommitError::ShuttingDown)?;
        answer.await.unwrap_or(Err(CommitError::ShuttingDown))
    }

    /// Turns true when the storage has failed: what it holds is not known until it is opened again.
    pub fn has_failed(&self) -> watch::Receiver<bool> {
        self.has_failed.clone()
    }
}

fn run(store: &dyn Store, mut queue: mpsc::Receiver<Job>, failure: &watch::Sender<bool>) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![(first.realm, first.commit)];
        let mut waiting = vec![first.done];
        while batch.len() < MAX_BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push((job.realm, job.commit));
            waiting.push(job.done);
        }
        match commit(store, &batch) {
            Ok(results) => {
                for (done, result) in waiting.into_iter().zip(results) {
                    // Nobody waits any more if the actor was dropped at shutdown.
                    let _ = done.send(result.map_err(CommitError::Refused));
                }
            }
            Err(error) => {
                tracing::error!(commits = batch.len(), error = %Chain(&error), "the storage has failed");
                failure.send_replace(true);
                let error = Arc::new(error);
                for done in waiting {
                    let _ = done.send(Err(CommitError::Storage(Arc::clone(&error))));
                }
            }
        }
    }
}

/// A panic of the store is a failure of it: without this thread nothing could be committed any more, and nobody
/// would know why.
fn commit(
    store: &dyn Store,
    batch: &[(RealmKey, Commit)],
) -> Result<Vec<Result<(), CommitRefused>>, StorageError> {
    catch_unwind(AssertUnwindSafe(|| store.commit(batch)))
        .unwrap_or_else(|_| Err(StorageError::backend("the store has panicked")))
}
