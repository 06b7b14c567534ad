//! What an application says of its server and of itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hyper::{Request, Response};

use super::transport::{HttpTransport, MAX_ANSWER_LEN, TransportError};
use crate::local::EncryptionKey;
use crate::session::ConnectionConfig;
use crate::transport::{self, Connector};

/// What an application says of its server and of itself.
#[derive(Clone, Debug)]
pub struct AppConfig {
    /// Where the server is: `https://sync.example.com`, `http://localhost:9090`.
    pub base_url: String,
    /// The client app id, such as `inventory-abcde`.
    pub app_id: String,
    /// Where files are kept, below a folder for each app; made if it is not there.
    pub folder: PathBuf,
    /// Encrypts what is kept: the users and the realms.
    pub encryption_key: Option<EncryptionKey>,
    /// How long an HTTP request may take. 60 s, as with the other clients, which is also the most unless there is a
    /// `transport`.
    pub request_timeout: Duration,
    /// How connections are made, and whose certificates are believed.
    pub connector: Connector,
    /// The timers and bounds of sync.
    pub connection: ConnectionConfig,
    /// Carries HTTP requests in place of `connector`, which still makes the connections for sync.
    pub transport: Option<Arc<dyn HttpTransport>>,
    pub(super) clock: Clock,
}

/// Says what time it is.
#[derive(Clone)]
pub(super) struct Clock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

/// HTTP over the connections of this library.
#[derive(Debug)]
pub(super) struct Direct(pub(super) Connector);

impl AppConfig {
    /// The usual configuration. The values are checked by [`App::new`](super::App::new).
    pub fn new(
        base_url: impl Into<String>,
        app_id: impl Into<String>,
        folder: impl Into<PathBuf>,
    ) -> Self {
        Self {
            base_url: base_url.into(),
            app_id: app_id.into(),
            folder: folder.into(),
            encryption_key: None,
            request_timeout: Duration::from_secs(60),
            connector: Connector::default(),
            connection: ConnectionConfig::default(),
            transport: None,
            clock: Clock(Arc::new(SystemTime::now)),
        }
    }
}

impl Clock {
    #[cfg(test)]
    pub(super) fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Seconds since 1970.
    pub(super) fn now_s(&self) -> i64 {
        let since = (self.0)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
    }
}

impl HttpTransport for Direct {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> BoxFuture<'_, Result<Response<Bytes>, TransportError>> {
        Box::pin(async {
            let answer = transport::request(&self.0, request, MAX_ANSWER_LEN).await;
            answer.map_err(TransportError::new)
        })
    }
}

impl std::fmt::Debug for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}
