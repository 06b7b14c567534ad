//! The realms of a user: where their files are, and what keeps them in step with the server.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::version::OriginTimestamp;
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedMutexGuard, broadcast, watch};

use super::users_file::create_private_folder;
use super::{App, AppError, Inner, User, UserState};
use crate::files::{FreshOnDisk, RealmFiles};
use crate::local::{Committed, LocalFile, OpenError, OpenOptions, Owner};
use crate::realm::Realm;
use crate::schema::Schema;
use crate::session::{FileRole, ResetMode, StorageAnswer, StorageRequest, SyncError};
use crate::transport::{
    AuthFailure, Authenticator, RealmStorage, Route, SyncConfig, SyncConnection, SyncHandle,
    SyncRealm,
};
use crate::value::{ObjectId, Uuid};
use crate::write::WriteError;

/// A realm of a user that is about to be opened. See [`User::realm`].
#[derive(Clone, Debug)]
pub struct RealmBuilder {
    user: User,
    partition: PartitionValue,
    schema: Schema,
    reset_mode: ResetMode,
    cache_len: Option<usize>,
}

/// Why a realm cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRealmError {
    /// The user is not logged in.
    #[error(transparent)]
    User(#[from] AppError),
    /// The folder of the user cannot be made.
    #[error("{} cannot be made", .0.display())]
    Folder(PathBuf, #[source] std::io::Error),
    /// The file.
    #[error(transparent)]
    File(#[from] OpenError),
    /// The realm has other classes than the application, or the file fails.
    #[error(transparent)]
    Schema(#[from] WriteError),
    /// What the server has cannot be downloaded.
    #[error("the realm cannot be downloaded")]
    Download(#[from] SyncError),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
    /// The runtime is shutting down.
    #[error("the program is shutting down")]
    ShutDown,
}

/// A realm that is open, whoever has opened it.
#[derive(Debug)]
struct OpenRealm {
    file: Arc<LocalFile>,
    sync: SyncHandle,
    /// The app, its connections and the locks of its users live as long as a realm of theirs.
    _user: User,
}

/// The realms of an app, and their connections.
#[derive(Debug, Default)]
pub(super) struct Realms {
    /// By their files. Whoever opens one has the slot for himself.
    slots: Mutex<BTreeMap<PathBuf, Arc<tokio::sync::Mutex<Slot>>>>,
    /// By their users.
    connections: Mutex<BTreeMap<Arc<str>, SyncConnection>>,
}

/// What is left of the opening of a realm.
#[derive(Debug, Default)]
struct Slot {
    realm: Weak<OpenRealm>,
    /// A reader may have the file for longer than the realm is open.
    file: Weak<LocalFile>,
    /// Closed once the connection does not use the files any more.
    in_use: Option<watch::Receiver<()>>,
}

/// The files of a realm, as long as its connection uses them.
struct Storage {
    files: RealmFiles,
    _in_use: watch::Sender<()>,
}

/// A user, who may be gone together with the app.
#[derive(Debug)]
struct WeakUser {
    app: Weak<Inner>,
    id: Arc<str>,
}

impl User {
    /// Opens a realm: its file, which is made if there is none, and its sync with the server, which need not be
    /// there. What is stored can be read and written at once.
    ///
    /// The same realm may be opened more than once: all have one file and one session.
    ///
    /// # Errors
    ///
    /// See [`OpenRealmError`].
    pub async fn open(
        &self,
        partition: impl Into<PartitionValue>,
        schema: Schema,
    ) -> Result<Realm, OpenRealmError> {
        self.realm(partition, schema).open().await
    }

    /// As [`open`](Self::open), but waits until everything that the server has now is there.
    ///
    /// # Errors
    ///
    /// See [`OpenRealmError`].
    pub async fn open_and_download(
        &self,
        partition: impl Into<PartitionValue>,
        schema: Schema,
    ) -> Result<Realm, OpenRealmError> {
        self.realm(partition, schema).open_and_download().await
    }

    /// A realm to be opened in another way than the usual one.
    pub fn realm(&self, partition: impl Into<PartitionValue>, schema: Schema) -> RealmBuilder {
        RealmBuilder {
            user: self.clone(),
            partition: partition.into(),
            schema,
            reset_mode: ResetMode::default(),
            cache_len: None,
        }
    }

    /// Lets the realms that are open rest, since the server would not take their sessions.
    pub(super) async fn pause_realms(&self) {
        for realm in self.app.open_realms(&self.folder()).await {
            realm.sync.pause().await;
        }
    }

    /// Lets the realms that are still open go on.
    pub(super) async fn resume_realms(&self) {
        for realm in self.app.open_realms(&self.folder()).await {
            realm.sync.resume().await;
        }
    }
}

impl RealmBuilder {
    /// What to do when the server demands a client reset; [`ResetMode::RecoverOrDiscard`] unless told. Whoever opens a
    /// realm first decides.
    #[must_use]
    pub fn reset_mode(self, reset_mode: ResetMode) -> Self {
        Self { reset_mode, ..self }
    }

    /// How much memory pages of the file may occupy, in bytes. Whoever opens a realm first decides.
    #[must_use]
    pub fn cache_len(self, bytes: usize) -> Self {
        Self { cache_len: Some(bytes), ..self }
    }

    /// Where the file is: `<folder>/<app id>/<user id>/<hash>.realm`, with the SHA-256 of the partition value's
    /// [`to_key_bytes`](PartitionValue::to_key_bytes) in hexadecimal.
    pub fn path(&self) -> PathBuf {
        let hash = Sha256::digest(self.partition.to_key_bytes());
        self.user.folder().join(format!("{}.realm", hex::encode(hash)))
    }

    /// Opens the realm. See [`User::open`].
    ///
    /// # Errors
    ///
    /// See [`OpenRealmError`].
    pub async fn open(self) -> Result<Realm, OpenRealmError> {
        let realm = self.open_file().await?;
        realm.with_schema(self.schema).await
    }

    /// Opens the realm and waits until everything that the server has now is there. See [`User::open_and_download`].
    ///
    /// # Errors
    ///
    /// See [`OpenRealmError`].
    pub async fn open_and_download(self) -> Result<Realm, OpenRealmError> {
        let realm = self.open_file().await?;
        // The classes come from the server, so they are declared only after that.
        realm.sync.wait_for_download().await?;
        realm.with_schema(self.schema).await
    }

    async fn open_file(&self) -> Result<Arc<OpenRealm>, OpenRealmError> {
        let state = self.user.state();
        if state != UserState::LoggedIn {
            return Err(AppError::NotLoggedIn(state).into());
        }
        let path = self.path();
        let mut slot = self.user.app.slot(&path).await;
        if let Some(realm) = slot.realm.upgrade().filter(|_| slot.is_in_use()) {
            return Ok(realm);
        }
        if let Some(mut in_use) = slot.in_use.take() {
            // It ends with an error, when the other side is gone.
            while in_use.changed().await.is_ok() {}
        }
        let options = self.options();
        let file = match slot.file.upgrade() {
            Some(file) => file,
            None => open_file(path.clone(), options.clone()).await?,
        };
        let (sender, in_use) = watch::channel(());
        let copies = FreshOnDisk::beside(&path, options);
        let files = RealmFiles::new(Arc::clone(&file), copies);
        let realm = SyncRealm {
            path: self.partition.to_json(),
            storage: Arc::new(Storage { files, _in_use: sender }),
            reset_mode: self.reset_mode,
        };
        let sync = self.user.connection()?.open(realm).await;
        let realm = OpenRealm { file: Arc::clone(&file), sync, _user: self.user.clone() };
        let realm = Arc::new(realm);
        *slot = Slot {
            realm: Arc::downgrade(&realm),
            file: Arc::downgrade(&file),
            in_use: Some(in_use),
        };
        Ok(realm)
    }

    fn options(&self) -> OpenOptions {
        let mut options = OpenOptions::new(Owner {
            app_id: self.user.app.app_id().to_owned(),
            user_id: self.user.id().to_owned(),
            partition: self.partition.to_json(),
        });
        if let Some(key) = &self.user.app.inner.config.encryption_key {
            options = options.encryption_key(key.clone());
        }
        match self.cache_len {
            Some(bytes) => options.cache_len(bytes),
            None => options,
        }
    }
}

async fn open_file(path: PathBuf, options: OpenOptions) -> Result<Arc<LocalFile>, OpenRealmError> {
    let opening = move || {
        let folder = path.parent().unwrap_or(Path::new("."));
        create_private_folder(folder)
            .map_err(|error| OpenRealmError::Folder(folder.to_owned(), error))?;
        Ok(Arc::new(LocalFile::open(&path, &options)?))
    };
    tokio::task::spawn_blocking(opening).await.map_err(|_| OpenRealmError::ShutDown)?
}

impl Slot {
    fn is_in_use(&self) -> bool {
        self.in_use.as_ref().is_some_and(|in_use| in_use.has_changed().is_ok())
    }
}

impl OpenRealm {
    async fn with_schema(self: Arc<Self>, schema: Schema) -> Result<Realm, OpenRealmError> {
        let declaring = move || {
            let (file, sync) = (Arc::clone(&self.file), self.sync.clone());
            Realm::synced(file, schema, sync, self)
        };
        let realm = tokio::task::spawn_blocking(declaring).await;
        Ok(realm.map_err(|_| OpenRealmError::ShutDown)??)
    }
}

impl App {
    /// The slot of a file, for whoever opens it.
    async fn slot(&self, path: &Path) -> OwnedMutexGuard<Slot> {
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
    async fn open_realms(&self, folder: &Path) -> Vec<Arc<OpenRealm>> {
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

impl User {
    /// The connection that all realms of the user share.
    fn connection(&self) -> Result<SyncConnection, OpenRealmError> {
        let inner = &self.app.inner;
        let mut connections =
            inner.realms.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(&self.id) {
            return Ok(connection.clone());
        }
        let mut seed = [0; 8];
        getrandom::fill(&mut seed)?;
        let config = SyncConfig {
            connector: inner.config.connector.clone(),
            connection: inner.config.connection.clone(),
            ..SyncConfig::default()
        };
        let user = WeakUser { app: Arc::downgrade(inner), id: Arc::clone(&self.id) };
        let connection = SyncConnection::start(config, Arc::new(user), u64::from_ne_bytes(seed));
        connections.insert(Arc::clone(&self.id), connection.clone());
        Ok(connection)
    }
}

impl WeakUser {
    fn upgrade(&self) -> Result<User, AuthFailure> {
        let gone = || AuthFailure::Unavailable("the app is not used any more".to_owned());
        let inner = self.app.upgrade().ok_or_else(gone)?;
        Ok(User { app: App { inner }, id: Arc::clone(&self.id) })
    }
}

impl Authenticator for WeakUser {
    fn route(&self) -> BoxFuture<'_, Result<Route, AuthFailure>> {
        Box::pin(async { self.upgrade()?.route().await })
    }

    fn refresh_route(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async { self.upgrade()?.refresh_route().await })
    }

    fn access_token(&self) -> BoxFuture<'_, Result<String, AuthFailure>> {
        Box::pin(async { Authenticator::access_token(&self.upgrade()?).await })
    }

    fn refresh_access_token(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async { self.upgrade()?.refresh_access_token().await })
    }

    fn logged_out(&self, reason: &str) {
        if let Ok(user) = self.upgrade() {
            user.logged_out(reason);
        }
    }
}

impl RealmStorage for Storage {
    fn execute(
        &self,
        role: FileRole,
        request: StorageRequest,
        now: OriginTimestamp,
    ) -> StorageAnswer {
        self.files.execute(role, request, now)
    }

    fn news(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.files.news()
    }
}

impl From<ObjectId> for PartitionValue {
    fn from(id: ObjectId) -> Self {
        Self::ObjectId(id.0)
    }
}

impl From<Uuid> for PartitionValue {
    fn from(id: Uuid) -> Self {
        Self::Uuid(id.0)
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}
