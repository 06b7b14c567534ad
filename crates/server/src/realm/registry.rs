//! Finds the actor of a realm, or starts it.

use std::collections::HashMap;
use std::num::NonZero;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bailiwick_protocol::ident::Salt;
use bailiwick_storage::store::{RealmKey, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::command::{Command, Queued};
use super::committer::Committer;
use super::driver::Driver;
use crate::clock::Clock;

/// All realms of a server.
#[derive(Debug)]
pub struct Realms {
    shared: Arc<Shared>,
}

/// What the realms of a server are bounded by.
#[derive(Clone, Copy, Debug)]
pub struct RealmsConfig {
    /// Bytes of memory for the uploads that one realm queues before it turns devices away.
    pub max_backlog_len: usize,
    /// Bytes of memory for the uploads that all realms together queue and integrate, at most 4 GiB; more wait in the
    /// network.
    pub max_total_backlog_len: u32,
    /// Bytes of memory for the reciprocal forms that a step makes: what others wrote, in the form for a client file that
    /// conflicts with it and had not seen it. A device with a changeset that leads to more alone is reset.
    pub max_reciprocals_len: usize,
    /// Bytes of changesets after which a DOWNLOAD ends.
    pub download_soft_limit: usize,
    /// How long an actor without anything to do stays.
    pub retire_after: Duration,
    /// From how many open realms on it does not stay at all: devices can open any number, one after the other.
    pub many_realms: usize,
}

/// An open realm; its actor lives as long as there is one of these.
#[derive(Clone, Debug)]
pub struct RealmHandle {
    pub(super) driver: Arc<Driver>,
}

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) store: Arc<dyn Store>,
    pub(super) committer: Committer,
    /// The salt of the versions that this run of the server makes.
    pub(super) version_salt: Salt,
    pub(super) config: RealmsConfig,
    pub(super) clock: Arc<dyn Clock>,
    /// Bounds the threads that read old history from the disk.
    pub(super) reads: Semaphore,
    /// Bytes of memory that are left for uploads, in all realms.
    pub(super) memory: Arc<Semaphore>,
    /// Bounds the steps that are computed at a time: decoded changesets take many times their length.
    pub(super) steps: Arc<Semaphore>,
    actors: Mutex<HashMap<RealmKey, Arc<Driver>>>,
}

/// Threads that read old history at a time.
const MAX_READS: usize = 32;
/// Steps that may be computed at a time on the smallest machine; they wait for the disk now and then.
const MIN_STEPS: usize = 4;

impl Default for RealmsConfig {
    fn default() -> Self {
        Self {
            max_backlog_len: 256 << 20,
            max_total_backlog_len: 1 << 30,
            max_reciprocals_len: 128 << 20,
            download_soft_limit: 1 << 20,
            retire_after: Duration::from_secs(30),
            many_realms: 10_000,
        }
    }
}

impl Realms {
    /// Serves the realms of a store.
    pub fn new(
        store: Arc<dyn Store>,
        committer: Committer,
        version_salt: Salt,
        config: RealmsConfig,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let actors = Mutex::default();
        let reads = Semaphore::new(MAX_READS);
        let max_permits = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let max_total_backlog_len = config.max_total_backlog_len.clamp(1, max_permits);
        let config = RealmsConfig { max_total_backlog_len, ..config };
        let memory = Arc::new(Semaphore::new(max_total_backlog_len as usize));
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let steps = Arc::new(Semaphore::new((2 * cores).max(MIN_STEPS)));
        Self {
            shared: Arc::new(Shared {
                store,
                committer,
                version_salt,
                config,
                clock,
                reads,
                memory,
                steps,
                actors,
            }),
        }
    }

    /// The realm of a key; it need not exist yet. Must be called within a tokio runtime.
    pub fn open(&self, key: &RealmKey) -> RealmHandle {
        let mut actors = self.shared.actors();
        if let Some(driver) = actors.get(key)
            && !driver.has_failed()
        {
            return RealmHandle::of(driver);
        }
        let driver = Driver::start(key.clone(), Arc::clone(&self.shared));
        actors.insert(key.clone(), Arc::clone(&driver));
        RealmHandle { driver }
    }

    /// Waits until all that was queued in any realm is durable, or has failed.
    pub async fn drain(&self) {
        let actors: Vec<_> = self.shared.actors().values().cloned().collect();
        for driver in actors {
            let (answer, drained) = oneshot::channel();
            driver.send(Command::Drain { answer }).await;
            let _ = drained.await;
        }
    }

    /// Lets all actors end, once nobody holds their realms any more.
    pub fn close(&self) {
        self.shared.actors().clear();
    }

    /// Bytes that may still be queued, in all realms.
    #[cfg(test)]
    pub(super) fn memory_left(&self) -> usize {
        self.shared.memory.available_permits()
    }

    /// How many more long steps may be computed.
    #[cfg(test)]
    pub(super) fn steps_left(&self) -> usize {
        self.shared.steps.available_permits()
    }

    /// Lets no more steps be computed but short ones.
    #[cfg(test)]
    pub(super) fn take_all_steps(&self) -> OwnedSemaphorePermit {
        let steps = Arc::clone(&self.shared.steps);
        let count = steps.available_permits().try_into().expect("there are few");
        steps.try_acquire_many_owned(count).expect("none is computed")
    }

    /// How many realms are open.
    pub fn open_count(&self) -> usize {
        self.shared.actors().len()
    }
}

impl RealmHandle {
    pub(super) fn of(driver: &Arc<Driver>) -> Self {
        Self { driver: Arc::clone(driver) }
    }

    /// Asks the realm for something; waits while too many others do, and an upload while too much is queued in all
    /// realms. A realm that has failed drops the command, and with it the sender of the answer.
    pub async fn send(&self, command: Command) {
        self.driver.send(command).await;
    }
}

impl Drop for RealmHandle {
    fn drop(&mut self) {
        self.driver.let_go();
    }
}

impl Shared {
    fn actors(&self) -> MutexGuard<'_, HashMap<RealmKey, Arc<Driver>>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes memory for what a command brings; waits while there is not so much.
    pub(super) async fn take_memory(&self, command: &Command) -> OwnedSemaphorePermit {
        let Command::Upload(Queued { upload, .. }) = command else { return self.no_memory() };
        let len = u32::try_from(upload.cost).unwrap_or(u32::MAX);
        let len = len.min(self.config.max_total_backlog_len);
        if len == 0 {
            return self.no_memory(); // Without waiting for those who want some.
        }
        let taken = Arc::clone(&self.memory).acquire_many_owned(len).await;
        taken.expect("the semaphore is never closed")
    }

    pub(super) fn no_memory(&self) -> OwnedSemaphorePermit {
        let nothing = Arc::clone(&self.memory).try_acquire_many_owned(0);
        nothing.expect("nothing is always left, and the semaphore is never closed")
    }

    /// As [`retire`](Self::retire), where there are so many that none is kept for those who may come.
    pub(super) fn retire_if_many(&self, driver: &Arc<Driver>) {
        if is_unused(driver) && self.actors().len() > self.config.many_realms {
            self.retire(driver);
        }
    }

    /// Forgets an actor that has nothing to do, unless somebody has got hold of it; whether it may end.
    pub(super) fn retire(&self, driver: &Arc<Driver>) -> bool {
        let mut actors = self.actors();
        if !actors.get(&driver.key).is_some_and(|known| Arc::ptr_eq(known, driver)) {
            return true; // Another one has taken its place, or all are to end.
        }
        let may_end = is_unused(driver) && driver.is_idle();
        if may_end {
            actors.remove(&driver.key);
        }
        may_end
    }
}

/// Whether nobody has got hold of an actor but the registry and the caller.
fn is_unused(driver: &Arc<Driver>) -> bool {
    Arc::strong_count(driver) <= 2
}
