//! A device: a user, their connection, and realms on it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bailiwick_client::files::{FreshInMemory, RealmFiles};
use bailiwick_client::local::LocalFile;
use bailiwick_client::realm::Realm;
use bailiwick_client::schema::{Class, PropertyType, Schema};
use bailiwick_client::session::ResetMode;
use bailiwick_client::transport::{
    AuthFailure, Authenticator, RealmStorage, Route, SyncConfig, SyncConnection, SyncHandle,
    SyncRealm, SyncStatus,
};
use bailiwick_client::value::Value;
use bailiwick_client::write::WriteError;
use bailiwick_protocol::version::OriginTimestamp;
use futures_util::future::BoxFuture;
use tokio::sync::oneshot;

use crate::login::{Login, post};
use crate::service::{Service, within};

/// A user, who counts what is asked of them.
#[derive(Debug)]
pub(crate) struct TestUser {
    server: SocketAddr,
    url: String,
    refresh_token: String,
    access_token: Mutex<String>,
    /// How often to panic before giving a token.
    pub(crate) panics: AtomicUsize,
    pub(crate) routes: AtomicUsize,
    pub(crate) route_refreshes: AtomicUsize,
    pub(crate) refreshes: AtomicUsize,
    pub(crate) log_outs: AtomicUsize,
    /// Told when nobody holds the user any more.
    dropped: Mutex<Option<oneshot::Sender<()>>>,
}

impl TestUser {
    /// A new user of a server, who reaches it at `address`.
    pub(crate) async fn new(service: &Service, address: SocketAddr) -> Self {
        let Login { access_token, refresh_token } = service.log_in().await;
        Self {
            url: format!("ws://{address}{}", sync_path(service)),
            refresh_token,
            access_token: Mutex::new(access_token),
            ..Self::offline(service)
        }
    }

    /// Somebody whose server does not answer.
    pub(crate) fn offline(service: &Service) -> Self {
        Self {
            server: service.address,
            url: format!("ws://{}{}", service.address, sync_path(service)),
            refresh_token: String::new(),
            access_token: Mutex::default(),
            panics: AtomicUsize::new(0),
            routes: AtomicUsize::new(0),
            route_refreshes: AtomicUsize::new(0),
            refreshes: AtomicUsize::new(0),
            log_outs: AtomicUsize::new(0),
            dropped: Mutex::default(),
        }
    }

    pub(crate) fn with_access_token(self, token: &str) -> Self {
        Self { access_token: Mutex::new(token.to_owned()), ..self }
    }

    pub(crate) fn with_refresh_token(self, token: &str) -> Self {
        Self { refresh_token: token.to_owned(), ..self }
    }

    /// Resolves once nobody holds the user any more.
    pub(crate) fn when_dropped(&self) -> oneshot::Receiver<()> {
        let (dropped, is_dropped) = oneshot::channel();
        *self.dropped.lock().unwrap() = Some(dropped);
        is_dropped
    }

    pub(crate) fn connect(self) -> SyncConnection {
        connect(Arc::new(self))
    }
}

fn sync_path(service: &Service) -> String {
    format!("/api/client/v2.0/app/{}/realm-sync", service.app_id())
}

pub(crate) fn connect(user: Arc<TestUser>) -> SyncConnection {
    SyncConnection::start(SyncConfig::default(), user, 1)
}

impl Authenticator for TestUser {
    fn route(&self) -> BoxFuture<'_, Result<Route, AuthFailure>> {
        self.routes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(Route { url: self.url.parse().unwrap(), is_confirmed: true }) })
    }

    fn refresh_route(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        self.route_refreshes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async { Ok(()) })
    }

    fn access_token(&self) -> BoxFuture<'_, Result<String, AuthFailure>> {
        Box::pin(async {
            let panics = self.panics.load(Ordering::Relaxed);
            if panics > 0 {
                self.panics.store(panics - 1, Ordering::Relaxed);
                panic!("the application's code");
            }
            Ok(self.access_token.lock().unwrap().clone())
        })
    }

    fn refresh_access_token(&self) -> BoxFuture<'_, Result<(), AuthFailure>> {
        Box::pin(async {
            self.refreshes.fetch_add(1, Ordering::Relaxed);
            let answer = post(self.server, "auth/session", &self.refresh_token, "").await;
            let Some(answer) = answer else {
                return Err(AuthFailure::LoggedOut("no refresh".to_owned()));
            };
            let token = answer["access_token"].as_str().unwrap();
            token.clone_into(&mut self.access_token.lock().unwrap());
            Ok(())
        })
    }

    fn logged_out(&self, _reason: &str) {
        self.log_outs.fetch_add(1, Ordering::Relaxed);
    }
}

/// A realm on a device.
pub(crate) struct Device {
    pub(crate) realm: Realm,
    pub(crate) sync: SyncHandle,
}

impl Device {
    /// A device of a new user with one realm.
    pub(crate) async fn new(service: &Service, partition: &str) -> Self {
        let connection = TestUser::new(service, service.address).await.connect();
        Self::open(&connection, partition).await
    }

    pub(crate) async fn open(connection: &SyncConnection, partition: &str) -> Self {
        Self::open_file(connection, partition, Arc::new(LocalFile::in_memory())).await
    }

    pub(crate) async fn open_file(
        connection: &SyncConnection,
        partition: &str,
        file: Arc<LocalFile>,
    ) -> Self {
        let files = RealmFiles::new(Arc::clone(&file), FreshInMemory::default());
        Self::open_storage(connection, partition, file, Arc::new(files)).await
    }

    pub(crate) async fn open_storage(
        connection: &SyncConnection,
        partition: &str,
        file: Arc<LocalFile>,
        storage: Arc<dyn RealmStorage>,
    ) -> Self {
        let path = serde_json::to_string(partition).unwrap();
        let sync = SyncRealm { path, storage, reset_mode: ResetMode::default() };
        Self::open_realm(connection, file, sync).await
    }

    /// A realm whose partition value is spelled like this.
    pub(crate) async fn open_path(connection: &SyncConnection, path: &str) -> Self {
        Self::open_mode(connection, path, ResetMode::default()).await
    }

    /// A realm that does this about client resets.
    pub(crate) async fn open_mode(
        connection: &SyncConnection,
        path: &str,
        reset_mode: ResetMode,
    ) -> Self {
        let file = Arc::new(LocalFile::in_memory());
        let storage = Arc::new(RealmFiles::new(Arc::clone(&file), FreshInMemory::default()));
        let path = path.to_owned();
        Self::open_realm(connection, file, SyncRealm { path, storage, reset_mode }).await
    }

    async fn open_realm(
        connection: &SyncConnection,
        file: Arc<LocalFile>,
        sync: SyncRealm,
    ) -> Self {
        let realm = Realm::with_clock(file, schema(), Arc::new(tick)).unwrap();
        Self { realm, sync: connection.open(sync).await }
    }

    pub(crate) fn put(&self, id: i64, name: &str) {
        self.put_all(&[(id, name)]);
    }

    pub(crate) fn put_all(&self, items: &[(i64, &str)]) {
        self.realm
            .write(|tx| {
                for (id, name) in items {
                    tx.create_or_update("Item", *id)?.set("name", *name)?;
                }
                Ok::<_, WriteError>(())
            })
            .unwrap();
    }

    /// All items.
    pub(crate) fn items(&self) -> BTreeMap<i64, String> {
        let read = self.realm.write(|tx| {
            let mut items = BTreeMap::new();
            for key in tx.keys("Item")? {
                let mut item = tx.object("Item", key)?;
                let (Value::Int(id), Value::String(name)) = (item.get("_id")?, item.get("name")?)
                else {
                    panic!("an item has an integer and a text");
                };
                items.insert(id, name);
            }
            Ok::<_, WriteError>(items)
        });
        read.unwrap()
    }

    /// Waits until all is there and here that was there and here when it was called.
    pub(crate) async fn sync(&self) {
        within("all is uploaded", self.sync.wait_for_upload()).await.unwrap();
        within("all is downloaded", self.sync.wait_for_download()).await.unwrap();
    }

    pub(crate) async fn has_status(&self, status: SyncStatus) {
        let mut current = self.sync.status();
        let wait = current.wait_for(|current| *current == status);
        within(&format!("the realm is {status:?}"), wait).await.unwrap();
    }

    /// Waits until this item is there.
    pub(crate) async fn has_item(&self, id: i64, name: &str) {
        let mut news = self.realm.file().news();
        let wait = async {
            while self.items().get(&id).map(String::as_str) != Some(name) {
                // Whoever misses some looks all the same.
                drop(news.recv().await);
            }
        };
        within(&format!("item {id} is {name:?}"), wait).await;
    }
}

/// No two writes are made at the same time, so that the later one wins.
fn tick() -> OriginTimestamp {
    static NOW: AtomicU64 = AtomicU64::new(1);
    OriginTimestamp(NOW.fetch_add(1, Ordering::Relaxed))
}

fn schema() -> Schema {
    Schema::new().class(
        Class::new("Item")
            .primary_key("_id", PropertyType::Int)
            .property("name", PropertyType::String),
    )
}

pub(crate) fn items(items: &[(i64, &str)]) -> BTreeMap<i64, String> {
    items.iter().map(|(id, name)| (*id, (*name).to_owned())).collect()
}
