//! A running server: the store, the realms, and a listener in front of them.
//!
//! It starts in this order and stops in the opposite one: no new connections, the devices are sent away,
//! what they have uploaded becomes durable, the store is closed.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use bailiwick_protocol::message::limits::DEFAULT_MAX_PLAIN_LEN;
use bailiwick_storage::account::Accounts;
use bailiwick_storage::store::Store;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tower_http::timeout::TimeoutLayer;

use crate::app::App;
use crate::auth::{AuthError, Authenticator};
use crate::clock::{Clock, SystemClock};
use crate::http::base_url::{Addressing, BaseUrlError};
use crate::http::cors::AllowedOrigins;
use crate::http::router::{Api, router};
use crate::http::websocket::{self, WebSocketConfig};
use crate::realm::{Committer, Realms, RealmsConfig, random_salt};
use crate::session::SessionConfig;

/// What a server is bounded by, and how it treats its connections.
#[derive(Clone, Copy, Debug)]
pub struct ServeConfig {
    /// The realms.
    pub realms: RealmsConfig,
    /// The connections of devices.
    pub web_socket: WebSocketConfig,
    /// The longest body of an UPLOAD, inflated, in bytes. A device that has more in one transaction can
    /// never upload it.
    pub max_upload_len: usize,
    /// The most sessions of one connection: realms that a device has open at a time.
    pub max_sessions: usize,
    /// The most requests at a time; more wait until one is answered.
    pub max_requests: usize,
    /// How long a client may take to send the head of a request, from when it has connected or was answered.
    pub header_timeout: Duration,
    /// How long a connection may bring requests, also if its client does not read the answers. Devices that are
    /// connected bring none.
    pub max_connection_age: Duration,
    /// The most devices that are connected at a time; more are told to come back later.
    pub max_devices: usize,
    /// When the server stops: how long devices may take to leave, and requests to be answered; then what was uploaded to
    /// become durable; and then the store to be closed.
    pub drain_timeout: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        Self {
            realms: RealmsConfig::default(),
            web_socket: WebSocketConfig::default(),
            max_upload_len: DEFAULT_MAX_PLAIN_LEN,
            max_sessions: 1000,
            max_requests: 4096,
            header_timeout: Duration::from_secs(30),
            max_connection_age: Duration::from_secs(600),
            max_devices: 65_536,
            drain_timeout: Duration::from_secs(10),
        }
    }
}

/// Why a server cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The users cannot be read.
    #[error("the accounts cannot be opened")]
    Accounts(#[from] AuthError),
    /// An origin of the app's configuration is not an origin.
    #[error("an allowed request origin of the app is not an origin")]
    Origin(#[from] BaseUrlError),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

/// A server that is ready to listen.
#[derive(Debug)]
pub struct Server {
    routes: Router,
    realms: Arc<Realms>,
    config: ServeConfig,
    stop: watch::Sender<bool>,
    /// Held by every connection.
    alive: mpsc::Sender<()>,
    /// Closed when all connections have ended.
    ended: mpsc::Receiver<()>,
    /// The storage, as commits and as changes of the accounts have found it.
    storage_failed: [watch::Receiver<bool>; 2],
    committer: JoinHandle<()>,
}

/// The storage has failed, and what it holds is not known until it is opened again: the process has to be
/// started anew. Nothing that was acknowledged is lost.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the storage has failed; mend what the log says, and start the server again")]
pub struct StorageFailed;

/// How long a request may take from its head to the head of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// How long to wait after the system has refused a connection, since it will refuse the next one as well.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

impl Server {
    /// Puts a server together; blocks on the store.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn new<S: Store + Accounts>(
        app: App,
        store: Arc<S>,
        addressing: Addressing,
        config: ServeConfig,
    ) -> Result<Self, StartError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let accounts: Arc<dyn Accounts> = Arc::<S>::clone(&store);
        let store: Arc<dyn Store> = store;
        let authenticator = Arc::new(Authenticator::open(accounts, &app.id)?);
        let origins = AllowedOrigins::from_list(&app.allowed_request_origins)?;
        let (committer, thread) = Committer::start(Arc::clone(&store));
        let storage_failed = [committer.has_failed(), authenticator.has_failed()];
        let realms = Arc::new(Realms::new(
            store,
            committer,
            random_salt()?,
            config.realms,
            Arc::clone(&clock),
        ));
        let sessions = SessionConfig {
            partition_key: app.sync.partition_key,
            max_upload_len: config.max_upload_len,
            max_sessions: config.max_sessions,
        };
        let api = Arc::new(Api { app: Arc::new(app), authenticator, addressing, origins, clock });
        let (stop, stopping) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let sync = websocket::SyncState {
            api: Arc::clone(&api),
            realms: Arc::clone(&realms),
            sessions: Arc::new(sessions),
            config: config.web_socket,
            stopping,
            alive: alive.clone(),
            places: Arc::new(Semaphore::new(config.max_devices)),
        };
        let timeout = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST_TIMEOUT);
        let routes = router(&api, websocket::routes(sync)).layer(timeout);
        Ok(Self { routes, realms, config, stop, alive, ended, storage_failed, committer: thread })
    }

    /// Serves until `stop` is ready, then ends cleanly: what devices have uploaded by then is durable.
    ///
    /// # Errors
    ///
    /// If the storage fails, which ends the server as well: no device could upload any more.
    pub async fn run(
        mut self,
        listener: TcpListener,
        stop: impl Future<Output = ()>,
    ) -> Result<(), StorageFailed> {
        // No HTTP/2: devices do not speak it without TLS.
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.config.header_timeout);
        let places = Arc::new(Semaphore::new(self.config.max_requests));
        let accept = async {
            loop {
                let place = Arc::clone(&places).acquire_owned().await.expect("it is never closed");
                let (stream, peer) = accept(&listener).await;
                let (routes, stopping) = (self.routes.clone(), self.stop.subscribe());
                let serving = serve(http.clone(), stream, routes, stopping, self.config);
                let alive = self.alive.clone();
                tokio::spawn(async move {
                    if let Err(error) = serving.await {
                        tracing::debug!(%peer, %error, "a connection failed");
                    }
                    drop((place, alive));
                });
            }
        };
        let [committing, accounting] = &mut self.storage_failed;
        let result = tokio::select! {
            () = accept => Ok(()),
            () = stop => Ok(()),
            // An error says that whoever would tell is gone, which is no better.
            _ = committing.wait_for(|failed| *failed) => Err(StorageFailed),
            _ = accounting.wait_for(|failed| *failed) => Err(StorageFailed),
        };
        drop(listener);
        tracing::info!(
            open_realms = self.realms.open_count(),
            "stopping: devices are being sent away"
        );
        self.stop.send_replace(true);
        drop((self.routes, self.alive));
        // No message is ever sent: it ends when the last connection drops its end.
        let leave = async { while self.ended.recv().await.is_some() {} };
        let drain_timeout = self.config.drain_timeout;
        if tokio::time::timeout(drain_timeout, leave).await.is_err() {
            tracing::warn!("some devices did not leave in time; their connections are cut");
        }
        if tokio::time::timeout(drain_timeout, self.realms.drain()).await.is_err() {
            tracing::warn!(
                "not all uploads were integrated in time; what is missing was not acknowledged, and its devices bring it again"
            );
        }
        self.realms.close();
        drop(self.realms);
        // The committer ends with the last actor; then the store is closed, and opens fast the next time.
        let closed = tokio::task::spawn_blocking(|| self.committer.join());
        match tokio::time::timeout(drain_timeout, closed).await {
            Ok(Ok(Ok(()))) => (),
            Ok(_) => {
                tracing::error!(
                    "the committer has panicked: a fault of the server, to be reported"
                );
            }
            Err(_) => tracing::warn!(
                "the store is still being written, or in use by a connection that was cut; the next start takes longer"
            ),
        }
        tracing::info!("stopped: everything that was acknowledged is stored");
        result
    }
}

/// Answers the requests of a connection until a device takes it over, or it ends. When its time is over, or the server
/// stops, the request that it is at is the last, and then it is cut.
async fn serve(
    http: http1::Builder,
    stream: TcpStream,
    routes: Router,
    mut stopping: watch::Receiver<bool>,
    config: ServeConfig,
) -> Result<(), hyper::Error> {
    let service = TowerToHyperService::new(routes);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = pin!(connection.with_upgrades());
    let stopped = async { drop(stopping.wait_for(|stopping| *stopping).await) };
    tokio::select! {
        served = connection.as_mut() => return served,
        () = stopped => (),
        () = tokio::time::sleep(config.max_connection_age) => (),
    }
    connection.as_mut().graceful_shutdown();
    tokio::time::timeout(config.drain_timeout, connection).await.unwrap_or(Ok(()))
}

async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%peer, %error, "a connection cannot send small messages at once");
                }
                return (stream, peer);
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}
