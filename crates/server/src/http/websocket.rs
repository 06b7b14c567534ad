//! The sync WebSocket: the upgrade, and the driver between a socket, the state machine of its connection
//! and the realms of its sessions.
//!
//! The driver has no opinions: it hands events to an [`Endpoint`](endpoint::Endpoint), which is the state machine
//! and what is decided around it, and does what comes out. Spec: wire protocol, section 1.

mod driver;
pub mod endpoint;
mod upgrade;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use bailiwick_core::partition::PartitionValue;
use bailiwick_storage::store::RealmKey;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::http::router::ApiState;
use crate::realm::Realms;
use crate::session::SessionConfig;

/// What all connections share.
#[derive(Clone, Debug)]
pub struct SyncState {
    /// The HTTP side: the app, its users, the clock.
    pub api: ApiState,
    /// The realms.
    pub realms: Arc<Realms>,
    /// What the state machines need.
    pub sessions: Arc<SessionConfig>,
    /// How connections are treated.
    pub config: WebSocketConfig,
    /// Turns true when the server stops.
    pub stopping: watch::Receiver<bool>,
    /// Held by every connection: closed once all have ended.
    pub alive: mpsc::Sender<()>,
    /// One for each device that may be connected.
    pub places: Arc<Semaphore>,
}

/// How connections are treated.
#[derive(Clone, Copy, Debug)]
pub struct WebSocketConfig {
    /// A connection on which nothing is heard for so long is dead. Devices send a PING every minute, the
    /// first one within a minute.
    pub idle_timeout: Duration,
    /// How long a device may take to close a connection after the last message on it.
    pub closing_timeout: Duration,
    /// How often it is looked up that a login still exists, once the access token has expired.
    pub access_check_interval: Duration,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_secs(240),
            closing_timeout: Duration::from_secs(5),
            access_check_interval: Duration::from_secs(1800),
        }
    }
}

/// The route of the sync WebSocket.
pub fn routes(sync: SyncState) -> Router {
    Router::new().route(PATH, get(upgrade::upgrade)).with_state(Arc::new(sync))
}

const PATH: &str = "/api/client/v2.0/app/{app_id}/realm-sync";

impl SyncState {
    /// The realm of a partition: the app's id after its length, then the partition value.
    pub fn realm_key(&self, partition: &PartitionValue) -> RealmKey {
        realm_key(self.api.app.id.as_str(), partition)
    }
}

/// The realm of a partition of an app.
///
/// # Panics
///
/// If the app id is longer than an app id can be.
pub fn realm_key(app_id: &str, partition: &PartitionValue) -> RealmKey {
    let mut bytes = vec![u8::try_from(app_id.len()).expect("an app id has at most 128 bytes")];
    bytes.extend_from_slice(app_id.as_bytes());
    bytes.extend_from_slice(&partition.to_key_bytes());
    RealmKey::new(bytes)
}
