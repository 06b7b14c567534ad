//! The realms of a user: where their files are, and what keeps them in step with the server.

mod slot;
mod storage;
mod weak_user;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use bailiwick_core::partition::PartitionValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::{AppError, User, UserState};
use crate::files::{FreshOnDisk, RealmFiles, open_main};
use crate::local::{LocalFile, OpenError, OpenOptions, Owner};
use crate::realm::Realm;
use crate::reset::ResetObserver;
use crate::schema::Schema;
use crate::session::{ResetMode, SyncError};
use crate::transport::{SyncConfig, SyncConnection, SyncRealm};
use crate::value::{ObjectId, Uuid};
use crate::write::WriteError;

use slot::{OpenRealm, Slot};
use storage::Storage;
use weak_user::WeakUser;

pub(super) use slot::Realms;

/// A realm of a user that is about to be opened. See [`User::realm`].
#[derive(Clone)]
pub struct RealmBuilder {
    user: User,
    partition: PartitionValue,
    schema: Schema,
    reset_mode: ResetMode,
    cache_len: Option<usize>,
    observer: Option<Arc<dyn ResetObserver>>,
}

/// Why a realm cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenRealmError {
    /// The user is not logged in.
    #[error(transparent)]
    User(#[from] AppError),
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
    ///
    /// ```no_run
    /// use bailiwick_client::{OpenRealmError, ResetMode, Schema, User};
    ///
    /// # async fn example(user: &User) -> Result<(), OpenRealmError> {
    /// let realm = user.realm("Store 42", Schema::new()).reset_mode(ResetMode::DiscardLocal);
    /// let realm = realm.cache_len(64 << 20).open_and_download().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn realm(&self, partition: impl Into<PartitionValue>, schema: Schema) -> RealmBuilder {
        RealmBuilder {
            user: self.clone(),
            partition: partition.into(),
            schema,
            reset_mode: ResetMode::default(),
            cache_len: None,
            observer: None,
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

    /// Who is told before and after a client reset. Whoever opens a realm first decides.
    #[must_use]
    pub fn observe_resets(self, observer: Arc<dyn ResetObserver>) -> Self {
        Self { observer: Some(observer), ..self }
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

    /// Opens the file and begins to sync it; comes to its end even if nobody waits for it, so that the file is
    /// never half open.
    async fn open_file(&self) -> Result<Arc<OpenRealm>, OpenRealmError> {
        let builder = self.clone();
        let opening = tokio::spawn(async move { builder.open_file_now().await });
        opening.await.map_err(|_| OpenRealmError::ShutDown)?
    }

    async fn open_file_now(&self) -> Result<Arc<OpenRealm>, OpenRealmError> {
        let state = self.user.state();
        if state != UserState::LoggedIn {
            return Err(AppError::NotLoggedIn(state).into());
        }
        let path = self.path();
        let mut slot = self.user.app.slot(&path).await;
        if let Some(realm) = slot.open_realm() {
            return Ok(realm);
        }
        slot.wait_until_free().await;
        let options = self.options();
        let file = match slot.file.upgrade() {
            Some(file) => file,
            None => open_file(path.clone(), options.clone()).await?,
        };
        let files = RealmFiles::new(Arc::clone(&file), FreshOnDisk::beside(&path, options));
        if let Some(observer) = &self.observer {
            files.observe_resets(Arc::clone(observer));
        }
        let (sender, in_use) = watch::channel(());
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
        let (file, aside) = open_main(&path, &options)?;
        if let Some(aside) = aside {
            tracing::warn!(path = %aside.display(), "a realm was given up; its file is kept");
        }
        Ok(Arc::new(file))
    };
    tokio::task::spawn_blocking(opening).await.map_err(|_| OpenRealmError::ShutDown)?
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
        let user = Arc::new(WeakUser::new(self));
        let connection = SyncConnection::start(config, user, u64::from_ne_bytes(seed));
        connections.insert(Arc::clone(&self.id), connection.clone());
        Ok(connection)
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

impl fmt::Debug for RealmBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RealmBuilder")
            .field("user", &self.user)
            .field("partition", &self.partition)
            .field("reset_mode", &self.reset_mode)
            .finish_non_exhaustive()
    }
}
