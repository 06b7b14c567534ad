//! Group commit: many realms' commits share one flush to the disk.
//!
//! While one batch is being made durable, the next one gathers: throughput grows with load, and latency
//! stays near one flush. Another thread looks after the store: it makes the checkpoints, which nobody waits for, and
//! notices when the store has stopped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bailiwick_storage::store::{Commit, CommitRefused, RealmKey, StorageError, Store};
use tokio::sync::watch;

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

struct Job {
    realm: RealmKey,
    commit: Commit,
    done: Done,
}

/// What is called with the result of a commit.
type Done = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// Commits that become durable together, and who waits for each.
#[derive(Debug)]
pub struct Batch<W> {
    commits: Vec<(RealmKey, Commit)>,
    /// Bytes of their payloads.
    len: usize,
    waiting: Vec<W>,
}

/// The most commits of one batch; more wait for the next.
const MAX_BATCH: usize = 1024;
/// After so many bytes a batch is full: small beside the log of the store, for which nothing is written twice then.
const MAX_BATCH_LEN: usize = 4 << 20;
/// How often the store is looked after if nobody asks for it: accounts are changed without the committer, and a read
/// may find that the medium has failed.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

impl Committer {
    /// Starts the thread that commits, and the one that looks after the store; the first, for which one can wait, ends
    /// when the last clone is dropped, all jobs are done, and the second has ended with a last checkpoint.
    ///
    /// # Panics
    ///
    /// If the system has no thread left.
    pub fn start(store: Arc<dyn Store>) -> (Self, JoinHandle<()>) {
        let (jobs, queue) = mpsc::channel();
        let (failure, has_failed) = watch::channel(false);
        // One request is enough: whoever takes it looks whether a checkpoint is still due.
        let (request, requests) = mpsc::sync_channel(1);
        let (kept, keepers_failure) = (Arc::clone(&store), failure.clone());
        let keeper = start_thread("checkpoints", move || keep(&*kept, &requests, &keepers_failure));
        let committer = start_thread("committer", move || {
            commit_all(&*store, &queue, &request, &failure);
            drop(request);
            // It cannot panic, and if it did, there would be nothing left to do.
            let _ = keeper.join();
        });
        (Self { jobs, has_failed }, committer)
    }

    /// Makes a commit durable, and then calls `done` on the thread that commits: all others wait for it.
    ///
    /// # Errors
    ///
    /// If that thread has ended; `done` is not called.
    pub fn commit(
        &self,
        realm: RealmKey,
        commit: Commit,
        done: impl FnOnce(Result<(), CommitError>) + Send + 'static,
    ) -> Result<(), CommitError> {
        let job = Job { realm, commit, done: Box::new(done) };
        self.jobs.send(job).map_err(|_| CommitError::ShuttingDown)
    }

    /// Turns true when the storage has failed: what it holds is not known until it is opened again.
    pub fn has_failed(&self) -> watch::Receiver<bool> {
        self.has_failed.clone()
    }
}

impl<W> Batch<W> {
    /// A batch of nothing.
    pub fn new() -> Self {
        Self { commits: Vec::new(), len: 0, waiting: Vec::new() }
    }

    /// Takes a commit, and who waits for it.
    pub fn push(&mut self, realm: RealmKey, commit: Commit, who: W) {
        self.len = self.len.saturating_add(commit.payload_len());
        self.commits.push((realm, commit));
        self.waiting.push(who);
    }

    /// Whether the next commit has to wait for the next batch.
    pub fn is_full(&self) -> bool {
        self.commits.len() >= MAX_BATCH || self.len >= MAX_BATCH_LEN
    }

    /// Whether there is nothing to commit.
    pub fn is_empty(&self) -> bool {
        self.commits.is_empty()
    }

    /// Makes all of it durable, and says to each who waits what became of their commit. Blocks.
    ///
    /// # Errors
    ///
    /// If the storage failed, which everybody was told whose commit is not durable: what it holds is not known until it
    /// is opened again.
    pub fn commit(
        self,
        store: &dyn Store,
        mut tell: impl FnMut(W, Result<(), CommitError>),
    ) -> Result<(), Arc<StorageError>> {
        let Self { commits, len: _, waiting } = self;
        // A panic of the store is a failure of it: without its thread nothing could be committed any more,
        // and nobody would know why.
        let result = catch_unwind(AssertUnwindSafe(|| store.commit(&commits)))
            .unwrap_or_else(|_| Err(StorageError::backend("the store has panicked")));
        match result {
            Ok(results) => {
                for (who, result) in waiting.into_iter().zip(results) {
                    tell(who, result.map_err(CommitError::Refused));
                }
                Ok(())
            }
            Err(error) => {
                tracing::error!(commits = commits.len(), error = %Chain(&error), "the storage has failed");
                let error = Arc::new(error);
                for who in waiting {
                    tell(who, Err(CommitError::Storage(Arc::clone(&error))));
                }
                Err(error)
            }
        }
    }
}

impl<W> Default for Batch<W> {
    fn default() -> Self {
        Self::new()
    }
}

fn start_thread(name: &str, run: impl FnOnce() + Send + 'static) -> JoinHandle<()> {
    let builder = thread::Builder::new().name(name.to_owned());
    builder.spawn(run).expect("a thread can be started")
}

fn commit_all(
    store: &dyn Store,
    queue: &mpsc::Receiver<Job>,
    request: &mpsc::SyncSender<()>,
    failure: &watch::Sender<bool>,
) {
    while let Ok(first) = queue.recv() {
        let mut batch = Batch::new();
        batch.push(first.realm, first.commit, first.done);
        while !batch.is_full()
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job.realm, job.commit, job.done);
        }
        let result = batch.commit(store, |done: Done, result| {
            // One realm that panics is no reason to commit nothing any more for the others.
            if catch_unwind(AssertUnwindSafe(|| done(result))).is_err() {
                tracing::error!("a realm has panicked: a fault of the server, to be reported");
            }
        });
        if result.is_err() {
            failure.send_replace(true);
        } else if store.is_checkpoint_due() {
            // If one is requested already, that is as good.
            let _ = request.try_send(());
        }
    }
}

/// Makes checkpoints when they are due, until the store fails or nobody can ask any more; then a last one.
fn keep(store: &dyn Store, requests: &mpsc::Receiver<()>, failure: &watch::Sender<bool>) {
    let mut goes_on = true;
    while goes_on {
        goes_on = requests.recv_timeout(LOOK_INTERVAL) != Err(RecvTimeoutError::Disconnected);
        if store.is_stopped() {
            if !failure.send_replace(true) {
                tracing::error!("the storage has stopped, since it could not be read or written");
            }
            return;
        }
        if goes_on && !store.is_checkpoint_due() {
            continue;
        }
        let result = catch_unwind(AssertUnwindSafe(|| store.checkpoint()))
            .unwrap_or_else(|_| Err(StorageError::backend("the store has panicked")));
        if let Err(error) = result {
            tracing::error!(error = %Chain(&error), "the storage has failed at a checkpoint");
            failure.send_replace(true);
            return;
        }
    }
}
