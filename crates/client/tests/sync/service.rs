//! A server in this process, whose store outlives it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_client::transport::{Connector, request};
use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::serve::{ServeConfig, Server, StorageFailed};
use bailiwick_storage::memory::MemoryStore;
use bytes::Bytes;
use hyper::Request;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long anything may take; nothing comes near it unless something is wrong.
const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    app: App,
    store: Arc<MemoryStore>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StorageFailed>>,
}

/// What a login gives.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

impl Service {
    /// The example app, whose partition values are strings.
    pub(crate) async fn start() -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
        let mut service = Self {
            address: ([127, 0, 0, 1], 0).into(),
            app: App::read(&dir).unwrap(),
            store: Arc::default(),
            running: None,
        };
        service.start_again().await;
        service
    }

    /// At the address where it was.
    pub(crate) async fn start_again(&mut self) {
        let (app, store) = (self.app.clone(), Arc::clone(&self.store));
        let server = Server::new(app, store, Addressing::FromHost, ServeConfig::default()).unwrap();
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(listener, async { drop(stopped.await) }));
        self.running = Some(Running { stop, task });
    }

    pub(crate) async fn stop(&mut self) {
        let Running { stop, task } = self.running.take().unwrap();
        stop.send(()).unwrap();
        within("the server stops", task).await.unwrap().unwrap();
    }

    pub(crate) fn app_id(&self) -> String {
        self.app.id.to_string()
    }

    /// A new user.
    pub(crate) async fn log_in(&self) -> Login {
        let path = format!("app/{}/auth/providers/anon-user/login", self.app_id());
        let body = r#"{"provider":"anon-user","options":{"device":{}}}"#;
        let answer = post(self.address, &path, "", body).await.unwrap();
        let field = |name: &str| answer[name].as_str().unwrap().to_owned();
        Login { access_token: field("access_token"), refresh_token: field("refresh_token") }
    }
}

/// A request to the server, and its answer unless that is an error.
pub(crate) async fn post(
    address: SocketAddr,
    path: &str,
    token: &str,
    body: &'static str,
) -> Option<serde_json::Value> {
    let posting = Request::post(format!("http://{address}/api/client/v2.0/{path}"))
        .header("Authorization", format!("Bearer {token}"))
        .header("Content-Type", "application/json")
        .body(Bytes::from_static(body.as_bytes()))
        .unwrap();
    let answer = request(&Connector::default(), posting, 1 << 20).await.unwrap();
    answer.status().is_success().then(|| serde_json::from_slice(answer.body()).unwrap())
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("it takes too long until {what}"))
}
