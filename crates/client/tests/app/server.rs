//! A server whose clock can be moved, and the devices of all servers.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use axum::Router;
use bailiwick_client::app::{App, AppConfig};
use bailiwick_server::app::App as ServerApp;
use bailiwick_server::auth::Authenticator;
use bailiwick_server::clock::Clock;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::http::cors::AllowedOrigins;
use bailiwick_server::http::router::{Api, router};
use bailiwick_storage::account::Accounts;
use bailiwick_storage::memory::MemoryStore;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::service::Service;

/// A server whose clock runs ahead as told. It has no sync.
pub(crate) struct Tokens {
    base_url: String,
    pub(crate) accounts: Arc<MemoryStore>,
    clock: Arc<ShiftedClock>,
    serving: JoinHandle<()>,
}

/// A device: a folder of its own.
pub(crate) struct Device {
    pub(crate) folder: TempDir,
    pub(crate) base_url: String,
}

/// The example app.
pub(crate) const APP_ID: &str = "inventory-abcde";

#[derive(Debug, Default)]
struct ShiftedClock(AtomicU64);

impl Tokens {
    pub(crate) async fn start() -> Self {
        let accounts = Arc::new(MemoryStore::default());
        let app = example_app();
        let clock = Arc::<ShiftedClock>::default();
        let api = Arc::new(Api {
            authenticator: Arc::new(
                Authenticator::open(Arc::<MemoryStore>::clone(&accounts), &app.id).unwrap(),
            ),
            app: Arc::new(app),
            addressing: Addressing::FromHost,
            origins: AllowedOrigins::Any,
            clock: Arc::<ShiftedClock>::clone(&clock),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let serving = axum::serve(listener, router(&api, Router::new()));
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { base_url, accounts, clock, serving }
    }

    pub(crate) fn device(&self) -> Device {
        Device::of(self.base_url.clone())
    }

    /// Lets time go by, for the server.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::Relaxed);
    }

    /// Nobody answers any more.
    pub(crate) fn stop(self) {
        self.serving.abort();
    }

    pub(crate) fn disable(&self, user_id: &str, disabled: bool) {
        let mut user = self.accounts.user(user_id).unwrap().unwrap();
        user.disabled = disabled;
        self.accounts.put_user(&user).unwrap();
    }
}

impl Service {
    pub(crate) fn device(&self) -> Device {
        Device::of(format!("http://{}", self.address))
    }
}

impl Device {
    fn of(base_url: String) -> Self {
        Self { folder: tempfile::tempdir().unwrap(), base_url }
    }

    pub(crate) fn config(&self) -> AppConfig {
        AppConfig::new(&self.base_url, APP_ID, self.folder.path())
    }

    pub(crate) fn app(&self) -> App {
        App::new(self.config()).unwrap()
    }
}

impl Clock for ShiftedClock {
    fn now_ms(&self) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        u64::try_from(now.as_millis()).unwrap() + self.0.load(Ordering::Relaxed)
    }
}

fn example_app() -> ServerApp {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
    ServerApp::read(&folder).unwrap()
}
