//! Finds the actor of a realm, or starts it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bailiwick_protocol::ident::Salt;
use bailiwick_storage::store::{RealmKey, Store};
use tokio::sync::{Semaphore, oneshot};

use super::command::Command;
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
    /// Bytes of changesets after which a DOWNLOAD ends.
    pub download_soft_limit: usize,
    /// How long an actor without anything to do stays.
    pub retire_after: Duration,
}

/// An open realm; its actor lives as long as there is one of these.
#[derive(Clone, Debug)]
pub struct RealmHandle {
    driver: Arc<Driver>,
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
    actors: Mutex<HashMap<RealmKey, Arc<Driver>>>,
}

/// Threads that read old history at a time.
const MAX_READS: usize = 32;

impl Default for RealmsConfig {
    fn default() -> Self {
        Self {
            max_backlog_len: 256 << 20,
            download_soft_limit: 1 << 20,
            retire_after: Duration::from_secs(30),
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
        Self {
            shared: Arc::new(Shared {
                store,
                committer,
                version_salt,
                config,
                clock,
                reads,
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
            return RealmHandle { driver: Arc::clone(driver) };
        }
        let driver = Arc::new(Driver::new(key.clone(), Arc::clone(&self.shared)));
        actors.insert(key.clone(), Arc::clone(&driver));
        let keeping = Driver::keep(Arc::downgrade(&driver), self.shared.config.retire_after);
        drop(tokio::spawn(keeping));
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

    /// How many realms are open.
    pub fn open_count(&self) -> usize {
        self.shared.actors().len()
    }
}

impl RealmHandle {
    /// Asks the realm for something; waits while too many others do. A realm that has failed drops the command, and
    /// with it the sender of the answer.
    pub async fn send(&self, command: Command) {
        self.driver.send(command).await;
    }
}

impl Shared {
    fn actors(&self) -> MutexGuard<'_, HashMap<RealmKey, Arc<Driver>>> {
        self.actors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets an actor that has nothing to do, unless somebody has got hold of it; whether it may end.
    pub(super) fn retire(&self, driver: &Arc<Driver>) -> bool {
        let mut actors = self.actors();
        if !actors.get(&driver.key).is_some_and(|known| Arc::ptr_eq(known, driver)) {
            return true; // Another one has taken its place, or all are to end.
        }
        // The registry's own, and the caller's.
        let is_unused = Arc::strong_count(driver) <= 2 && driver.is_idle();
        if is_unused {
            actors.remove(&driver.key);
        }
        is_unused
    }
}
