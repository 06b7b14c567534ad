//! A server in this process, and requests to it, written byte by byte.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bailiwick_protocol::handshake::{SyncMode, offer};
use bailiwick_server::app::App;
use bailiwick_server::http::base_url::Addressing;
use bailiwick_server::serve::{ServeConfig, Server, StorageFailed};
use bailiwick_storage::account::Accounts;
use bailiwick_storage::memory::MemoryStore;
use bailiwick_storage::store::Store;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::peer::Peer;

/// How long anything may take; nothing comes near it unless something is wrong.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) app: App,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Arc<dyn Accounts>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), StorageFailed>>,
}

/// Who an anonymous login has made.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    pub(crate) access_token: String,
    pub(crate) refresh_token: String,
}

/// The answer to a request.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    /// What came after the head: the body, or the first frames.
    pub(crate) rest: Vec<u8>,
    pub(crate) stream: TcpStream,
}

impl Service {
    /// The example app, whose partition values are strings, on a store in memory.
    pub(crate) async fn start() -> Self {
        Self::with(|_, _| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut App, &mut ServeConfig)) -> Self {
        Self::on(Arc::new(MemoryStore::default()), change).await
    }

    pub(crate) async fn on<S: Store + Accounts>(
        store: Arc<S>,
        change: impl FnOnce(&mut App, &mut ServeConfig),
    ) -> Self {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/inventory");
        let mut app = App::read(&dir).unwrap();
        let mut config = ServeConfig::default();
        change(&mut app, &mut config);
        let server =
            Server::new(app.clone(), Arc::clone(&store), Addressing::FromHost, config).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(server.run(listener, async { drop(stopped.await) }));
        Self { address, app, store: store.clone(), accounts: store, stop: Some(stop), running }
    }

    /// Tells the server to stop; [`stopped`](Self::stopped) waits for it.
    pub(crate) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn stopped(self) {
        within("the server stops", self.running).await.unwrap().unwrap();
    }

    /// Waits until the server has stopped because its storage failed.
    pub(crate) async fn failed(self) {
        within("the server stops", self.running).await.unwrap().unwrap_err();
    }

    pub(crate) fn sync_path(&self) -> String {
        format!("/api/client/v2.0/app/{}/realm-sync", self.app.id)
    }

    pub(crate) async fn log_in(&self) -> Login {
        let path = format!("/api/client/v2.0/app/{}/auth/providers/anon-user/login", self.app.id);
        let body = r#"{"provider":"anon-user","options":{"device":{}}}"#;
        let answer = self.request("POST", &path, &[("Connection", "close")], body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let body = answer.body().await;
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        let field = |name: &str| body[name].as_str().unwrap().to_owned();
        Login { access_token: field("access_token"), refresh_token: field("refresh_token") }
    }

    /// A device of a new user.
    pub(crate) async fn connect(&self, version: u8) -> Peer {
        let login = self.log_in().await;
        self.connect_as(&login, version).await
    }

    /// A device of this user that speaks `version` and all below.
    pub(crate) async fn connect_as(&self, login: &Login, version: u8) -> Peer {
        let all = offer(SyncMode::Partition);
        let spoken = format!("com.mongodb.realm-sync#{version}");
        let offered = &all[all.find(&spoken).unwrap()..];
        let answer = self.upgrade(&login.access_token, offered).await;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.header("sec-websocket-protocol"), Some(spoken.as_str()));
        Peer::new(answer, version)
    }

    /// Asks for a WebSocket as a device does.
    pub(crate) async fn upgrade(&self, token: &str, offered: &str) -> Answer {
        let path = format!("{}?baas_at={token}", self.sync_path());
        self.upgrade_with(&path, &[("Sec-WebSocket-Protocol", offered)]).await
    }

    pub(crate) async fn upgrade_with(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut all = vec![
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        all.extend_from_slice(headers);
        self.request("GET", path, &all, "").await
    }

    /// Sends a request and reads the head of the answer.
    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\n", self.address);
        for (name, value) in headers {
            write!(request, "{name}: {value}\r\n").unwrap();
        }
        let len = body.len();
        let rest = "Content-Type: application/json\r\nContent-Length:";
        write!(request, "{rest} {len}\r\n\r\n{body}").unwrap();
        let answer = async {
            let mut stream = TcpStream::connect(self.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut received = Vec::new();
            let end = loop {
                let end = received.windows(4).position(|window| window == b"\r\n\r\n");
                if let Some(end) = end {
                    break end + 4;
                }
                let count = stream.read_buf(&mut received).await.unwrap();
                assert_ne!(count, 0, "the connection ended within the head of the answer");
            };
            let rest = received.split_off(end);
            let head = String::from_utf8(received).unwrap();
            let status = head.split(' ').nth(1).unwrap().parse().unwrap();
            Answer { status, head, rest, stream }
        };
        within("a request is answered", answer).await
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(':')?;
            found.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// The body, whose length the head tells.
    pub(crate) async fn body(mut self) -> String {
        let len: usize = self.header("content-length").unwrap().parse().unwrap();
        let read = async {
            while self.rest.len() < len {
                let count = self.stream.read_buf(&mut self.rest).await.unwrap();
                assert_ne!(count, 0, "the connection ended within the body of the answer");
            }
        };
        within("a body ends", read).await;
        String::from_utf8(self.rest).unwrap()
    }
}

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(DEADLINE, future).await;
    result.unwrap_or_else(|_| panic!("it takes too long until {what}"))
}
