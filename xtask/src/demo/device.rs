//! A device of the demo: an app with a folder of its own.

use std::path::Path;

use anyhow::{Context as _, Result};
use bailiwick_client::observe::ClassChange;
use bailiwick_client::{
    App, AppConfig, Credentials, Query, Realm, Schema, SyncHandle, WriteError, WriteTransaction,
};
use futures_util::StreamExt as _;

use super::Service;
use super::screen::{self, Column};
use super::story::{CLASS, InventoryItem, STORE};

/// A device: knows one partition, and works offline as well.
pub(super) struct Device {
    pub(super) name: &'static str,
    realm: Realm,
    sync: SyncHandle,
}

impl Device {
    /// A device that was just unpacked: logs in and downloads the partition.
    pub(super) async fn unpack(
        name: &'static str,
        service: &Service,
        folder: &Path,
    ) -> Result<Self> {
        let bar = screen::bar(name, "logs in and opens the partition")?;
        let config = AppConfig::new(&service.base_url, &service.app_id, folder.join(name));
        let user = App::new(config)?.log_in(Credentials::anonymous()).await?;
        let schema = Schema::new().with::<InventoryItem>();
        let realm = user.open_and_download(STORE, schema).await?;
        let sync = realm.sync().context("a realm of a user syncs")?.clone();
        let device = Self { name, realm, sync };
        device.sync.wait_for_upload().await?;
        bar.finish(*device.sync.progress().borrow());
        Ok(device)
    }

    /// One transaction.
    pub(super) fn write(
        &self,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<(), WriteError>,
    ) -> Result<()> {
        tokio::task::block_in_place(|| self.realm.write(edit))
            .with_context(|| format!("{} cannot write", self.name))
    }

    pub(super) async fn go_offline(&self) {
        self.sync.pause().await;
    }

    /// Goes online and waits until nothing is left to send or to receive.
    pub(super) async fn come_back(&self) -> Result<()> {
        self.sync.resume().await;
        self.catch_up().await
    }

    /// Waits until nothing is left to send or to receive.
    pub(super) async fn catch_up(&self) -> Result<()> {
        let bar = screen::bar(self.name, "")?;
        let mut progress = self.sync.progress();
        let done = async {
            self.sync.wait_for_upload().await?;
            self.sync.wait_for_download().await
        };
        tokio::pin!(done);
        loop {
            tokio::select! {
                done = &mut done => break done?,
                changed = progress.changed() => {
                    changed.context("sync has ended")?;
                    if let Some(progress) = &*progress.borrow() {
                        bar.show(progress);
                    }
                }
            }
        }
        bar.finish(*progress.borrow());
        Ok(())
    }

    /// What is in stock, by name.
    pub(super) fn items(&self) -> Result<Vec<InventoryItem>> {
        let by_name = Query::new().sort_by("name");
        Ok(self.realm.view()?.find(&by_name)?.collect::<Result<_, _>>()?)
    }

    pub(super) fn column(&self) -> Result<Column<'_>> {
        let lines = self.items()?;
        let lines = lines.iter().map(|item| format!("{:<14}{:>6}", item.name, item.quantity));
        Ok(Column { title: self.name, lines: lines.collect() })
    }

    /// Shows each change until the realm is closed.
    pub(super) async fn follow(&self) -> Result<()> {
        let mut changes = self.realm.observe_class(CLASS)?;
        while let Some(change) = changes.next().await {
            let ClassChange::Changed { view, inserted, modified, deleted } = change? else {
                continue;
            };
            let modified = modified.iter().map(|modified| &modified.key);
            for (what, key) in
                inserted.iter().map(|key| ("new", key)).chain(modified.map(|key| ("changed", key)))
            {
                if let Some(item) = view.get::<InventoryItem>(key)? {
                    screen::act(what, &item.name, &item.quantity.to_string());
                }
            }
            for key in deleted {
                screen::act("gone", &key.to_string(), "");
            }
        }
        Ok(())
    }

    pub(super) async fn close(self) {
        self.sync.close().await;
    }
}
