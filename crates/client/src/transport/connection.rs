//! The connection of a user, and the realms that are synced over it.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;

use bailiwick_protocol::protocol_version::ProtocolVersion;
use bailiwick_protocol::version::OriginTimestamp;
use tokio::sync::{broadcast, mpsc};

use super::authenticator::Authenticator;
use super::connector::Connector;
use super::driver::{Driver, Opening};
use super::handle::SyncHandle;
use crate::files::RealmFiles;
use crate::local::Committed;
use crate::session::{ConnectionConfig, FileRole, ResetMode, StorageAnswer, StorageRequest};

/// How realms are synced.
#[derive(Clone, Debug)]
pub struct SyncConfig {
    /// How connections are made.
    pub connector: Connector,
    /// Timers and bounds of the protocol.
    pub connection: ConnectionConfig,
    /// Versions of the sync protocol to offer. The default is all of them.
    pub versions: RangeInclusive<ProtocolVersion>,
    /// Bytes that a message of the server may have, compressed as it is. The default is 128 MiB.
    pub max_message_len: usize,
}

/// The one connection of a user of an app, which all their realms share. Clones are the same.
///
/// It is made when a realm needs it, and dropped some time after the last one has gone. A task drives it for as long
/// as there is a clone of this or a [`SyncHandle`].
#[derive(Clone, Debug)]
pub struct SyncConnection {
    openings: mpsc::Sender<Opening>,
}

/// A realm to be synced.
#[derive(Debug)]
pub struct SyncRealm {
    /// The partition value as Extended JSON text.
    pub path: String,
    /// Where it is kept.
    pub storage: Arc<dyn RealmStorage>,
    /// What to do about a client reset.
    pub reset_mode: ResetMode,
}

/// The files of a realm, as the driver sees them.
pub trait RealmStorage: fmt::Debug + Send + Sync + 'static {
    /// Does what the session machine asks for; may take its time. A file has one request at a time.
    fn execute(
        &self,
        role: FileRole,
        request: StorageRequest,
        now: OriginTimestamp,
    ) -> StorageAnswer;

    /// News of the commits to the main file from now on.
    fn news(&self) -> broadcast::Receiver<Arc<Committed>>;
}

impl RealmStorage for RealmFiles {
    fn execute(
        &self,
        role: FileRole,
        request: StorageRequest,
        now: OriginTimestamp,
    ) -> StorageAnswer {
        self.execute(role, request, now)
    }

    fn news(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.news()
    }
}

/// Realms that wait for the driver; whoever has one more waits for room.
const OPENINGS: usize = 16;

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            connector: Connector::default(),
            connection: ConnectionConfig::default(),
            versions: ProtocolVersion::MIN..=ProtocolVersion::MAX,
            max_message_len: 128 * 1024 * 1024,
        }
    }
}

impl SyncConnection {
    /// Starts the task, in the runtime that this is called in.
    ///
    /// `seed` is for the delays of the protocol, which are random so that devices do not come back all at once.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn start(config: SyncConfig, authenticator: Arc<dyn Authenticator>, seed: u64) -> Self {
        let (openings, received) = mpsc::channel(OPENINGS);
        tokio::spawn(Driver::new(config, authenticator, seed, received).run());
        Self { openings }
    }

    /// Begins to sync a realm.
    pub async fn open(&self, realm: SyncRealm) -> SyncHandle {
        let (handle, commands, reports) = SyncHandle::new();
        // Commits that are made once the handle is there are heard of; those before are found in the file.
        let news = realm.storage.news();
        // If the task has ended, so have the channels of the handle, which tells whoever asks.
        let _ = self.openings.send(Opening { realm, news, commands, reports }).await;
        handle
    }
}
