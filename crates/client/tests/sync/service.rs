//! A server in this process, whose store outlives it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::serve::{ServeConfig, Server, StorageFailed};
use bailiwick_storage::account::Accounts;
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::Store;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take; nothing comes near it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    pub(crate) kept: Kept,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StorageFailed>>,
}

/// Where the server keeps what it has while it does not run.
pub(crate) enum Kept {
    Memory(Arc<MemoryStore>),
    Disk(TempDir),
}

impl Service {
    /// The example app, whose partition values are strings, in memory.
    pub(crate) async fn start() -> Self {
        Self::on(Kept::Memory(Arc::default())).await
    }

    /// A server that can be backed up.
    pub(crate) async fn start_on_disk() -> Self {
        Self::on(Kept::Disk(tempfile::tempdir().unwrap())).await
    }

    async fn on(kept: Kept) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
        let (address, app) = (([127, 0, 0, 1], 0).into(), App::read(&dir).unwrap());
        let mut service = Self { address, app, kept, running: None };
        service.start_again().await;
        service
    }

    /// At the address where it was.
    pub(crate) async fn start_again(&mut self) {
        let server = match &self.kept {
            Kept::Memory(store) => self.server(Arc::clone(store)),
            Kept::Disk(dir) => self.server(Arc::new(RedbStore::open(store_in(dir)).unwrap())),
        };
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(listener, async { drop(stopped.await) }));
        self.running = Some(Running { stop, task });
    }

    fn server<S: Store + Accounts>(&self, store: Arc<S>) -> Server {
        let config = ServeConfig::default();
        Server::new(self.app.clone(), store, Addressing::FromHost, config).unwrap()
    }

    /// Copies what is on disk. The server does not run.
    pub(crate) fn back_up(&self) {
        let Kept::Disk(dir) = &self.kept else { panic!("there is nothing on disk") };
        copy_store(&store_in(dir), &dir.path().join("backup"));
    }

    /// Puts the copy back. The server does not run.
    pub(crate) fn restore(&self) {
        let Kept::Disk(dir) = &self.kept else { panic!("there is nothing on disk") };
        copy_store(&dir.path().join("backup"), &store_in(dir));
    }

    pub(crate) async fn stop(&mut self) {
        let Running { stop, task } = self.running.take().unwrap();
        stop.send(()).unwrap();
        within("the server stops", task).await.unwrap().unwrap();
    }
}

/// The database and its log.
fn copy_store(from: &Path, to: &Path) {
    std::fs::copy(from, to).unwrap();
    std::fs::copy(from.with_extension("log"), to.with_extension("log")).unwrap();
}

fn store_in(dir: &TempDir) -> PathBuf {
    dir.path().join("store")
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("it takes too long until {what}"))
}
