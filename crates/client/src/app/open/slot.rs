//! Which realms of an app are open, so that each has one file and one session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::{OwnedMutexGuard, watch};

use super::OpenRealmError;
use crate::app::{App, User};
use crate::local::LocalFile;
use crate::realm::Realm;
use crate::schema::Schema;
use crate::transport::{SyncConnection, SyncHandle};

/// A realm that is open, whoever has opened it.
#[derive(Debug)]
pub(super) struct OpenRealm {
    pub(super) file: Arc<LocalFile>,
    pub(super) sync: SyncHandle,
    /// The app, its connections and the locks of its users live as long as a realm of theirs.
    pub(super) _user: User,
}

/// The realms of an app, and their connections.
#[derive(Debug, Default)]
pub(in crate::app) struct Realms {
    /// By their files. Whoever opens one has the slot for himself.
    slots: Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<Slot>>>>,
    /// By their users.
    pub(super) connections: Mutex<BTreeMap<Arc<str>, SyncConnection>>,
}

/// What is left of the opening of a realm.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) realm: Weak<OpenRealm>,
    /// A reader may have the file for longer than the realm is open.
    pub(super) file: Weak<LocalFile>,
    /// Closed once the connection does not use the files any more.
    pub(super) in_use: Option<watch::Receiver<()>>,
}

impl OpenRealm {
    /// A realm with these classes, which are declared where the file does not have them.
    pub(super) async fn with_schema(
        self: Arc<Self>,
        schema: Schema,
    ) -> Result<Realm, OpenRealmError> {
        let declaring = move || {
            let (file, sync) = (Arc::clone(&self.file), self.sync.clone());
            Realm::synced(file, schema, sync, self)
        };
        let realm = tokio::task::spawn_blocking(declaring).await;
        Ok(realm.map_err(|_| OpenRealmError::ShutDown)??)
    }
}

impl Slot {
    /// The realm, if it is open and was not closed by hand.
    pub(super) fn open_realm(&self) -> Option<Arc<OpenRealm>> {
        self.realm.upgrade().filter(|_| self.is_in_use())
    }

    /// Waits until the connection does not use the files any more, which somebody has let go of.
    pub(super) async fn wait_until_free(&self) {
        if let Some(mut in_use) = self.in_use.clone() {
            // It ends with an error, when the other side is gone.
            while in_use.changed().await.is_ok() {}
        }
    }

    fn is_in_use(&self) -> bool {
        self.in_use.as_ref().is_some_and(|in_use| in_use.has_changed().is_ok())
    }
}

impl App {
    /// The slot of a file, for whoever opens it.
    pub(super) async fn slot(&self, path: &Path) -> OwnedMutexGuard<Slot> {
        let slot = {
            let mut slots = self.inner.realms.slots.lock().unwrap_or_else(PoisonError::into_inner);
            // A slot that nobody waits for and that remembers nothing is not needed.
            slots.retain(|_, slot| match (Arc::strong_count(slot), slot.try_lock()) {
                (1, Ok(slot)) => slot.is_in_use() || slot.file.strong_count() > 0,
                _ => true,
            });
            Arc::clone(slots.entry(path.to_owned()).or_default())
        };
        slot.lock_owned().await
    }

    /// The realms in a folder that are open.
    pub(super) async fn open_realms(&self, folder: &Path) -> Vec<Arc<OpenRealm>> {
        let slots = {
            let slots = self.inner.realms.slots.lock().unwrap_or_else(PoisonError::into_inner);
            let slots = slots.iter().filter(|(path, _)| path.starts_with(folder));
            slots.map(|(_, slot)| Arc::clone(slot)).collect::<Vec<_>>()
        };
        let mut realms = Vec::new();
        for slot in slots {
            realms.extend(slot.lock().await.realm.upgrade());
        }
        realms
    }
}
