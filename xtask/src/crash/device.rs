//! A device: the production client over real sockets, with some partitions.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bailiwick_client::{
    App, AppConfig, Credentials, Realm, SyncError, SyncHandle, SyncNotice, User,
};
use bailiwick_core::state::State;
use futures_util::StreamExt as _;

use super::server::APP_ID;
use crate::sim::app::{self, App as Application, Clocks, Memory, Style, VERSIONS};
use crate::sim::choices::Choices;

/// A device.
pub(super) struct Device {
    pub(super) realms: BTreeMap<String, OpenRealm>,
    /// What nobody would expect of a server that loses nothing.
    problems: Problems,
}

/// One partition of it.
#[derive(Clone)]
pub(super) struct OpenRealm {
    pub(super) realm: Realm,
    pub(super) sync: SyncHandle,
    pub(super) application: Arc<Application>,
    pub(super) version: usize,
}

#[derive(Clone, Default)]
struct Problems(Arc<Mutex<Vec<String>>>);

/// How long to wait before the server is asked for a login again.
const LOGIN_PAUSE: Duration = Duration::from_millis(50);
/// Memory for pages of one file: there are many.
const CACHE_LEN: usize = 4 << 20;

impl Device {
    /// Opens partitions in a folder; logs in if nobody has, however often that takes.
    pub(super) async fn open(
        base_url: &str,
        folder: &Path,
        seed: u64,
        device_seed: u64,
        partitions: &[String],
    ) -> Result<Self> {
        let user = log_in(base_url, folder).await?;
        let mut device = Self { realms: BTreeMap::new(), problems: Problems::default() };
        let mut choices = Choices::new(device_seed);
        for partition in partitions {
            let application = Arc::new(application(seed, partition));
            let version = choices.below(VERSIONS);
            let schema = application.schema(version);
            let realm = user.realm(partition.clone(), schema).cache_len(CACHE_LEN).open().await?;
            let sync = realm.sync().context("a realm of a user syncs")?.clone();
            tokio::spawn(device.problems.clone().watch(sync.clone(), partition.clone()));
            let open = OpenRealm { realm, sync, application, version };
            device.realms.insert(partition.clone(), open);
        }
        Ok(device)
    }

    /// Connects at once if it has no connection.
    pub(super) async fn reconnect(&self) {
        // All partitions have one connection.
        if let Some(open) = self.realms.values().next() {
            open.sync.reconnect().await;
        }
    }

    /// Waits until the server has all that is written.
    pub(super) async fn upload(&self) -> Result<()> {
        for open in self.realms.values() {
            open.sync.wait_for_upload().await?;
        }
        Ok(())
    }

    /// Waits until it has all that the server has.
    pub(super) async fn download(&self) -> Result<()> {
        for open in self.realms.values() {
            open.sync.wait_for_download().await?;
        }
        Ok(())
    }

    /// All that it has, by partition.
    pub(super) fn contents(&self) -> Result<BTreeMap<String, State>> {
        let contents = |(partition, open): (&String, &OpenRealm)| {
            Ok((partition.clone(), app::contents(&open.realm.snapshot()?)))
        };
        self.realms.iter().map(contents).collect()
    }

    /// What has gone wrong since somebody asked.
    pub(super) fn take_problems(&self) -> Vec<String> {
        self.problems.take()
    }
}

impl Problems {
    async fn watch(self, sync: SyncHandle, partition: String) {
        let mut notices = sync.notices();
        // The stream must not keep the realm open.
        drop(sync);
        while let Some(notice) = notices.next().await {
            let is_usual = match &notice {
                SyncNotice::Error(
                    SyncError::Server { fatal, .. } | SyncError::Connect { fatal, .. },
                ) => !fatal,
                _ => false,
            };
            if !is_usual {
                let problem = format!("{partition}: {notice:?}");
                self.0.lock().unwrap_or_else(PoisonError::into_inner).push(problem);
            }
        }
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The application of a partition: for devices as old as may be, and with clocks that agree, as those of processes of one
/// computer do, or for clocks that show anything. The devices themselves speak the newest protocol version.
pub(super) fn application(seed: u64, partition: &str) -> Application {
    let salt = partition.bytes().fold(seed, |salt, byte| salt.rotate_left(8) ^ u64::from(byte));
    let mut choices = Choices::new(salt);
    let lowest = *choices.pick(&[8, 13, 14]);
    let clocks = *choices.pick(&[Clocks::Steady, Clocks::Jumping]);
    let style = Style { lowest, clocks, memory: Memory::Everything };
    Application::new(&mut choices, style)
}

/// The user of a folder, logged in.
pub(super) async fn log_in(base_url: &str, folder: &Path) -> Result<User> {
    let app = App::new(AppConfig::new(base_url, APP_ID, folder))?;
    loop {
        if let Some(user) = app.current_user() {
            return Ok(user);
        }
        // The server may be dead right now.
        if app.log_in(Credentials::anonymous()).await.is_err() {
            tokio::time::sleep(LOGIN_PAUSE).await;
        }
    }
}
