//! What of a realm outlives the process: its disks.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bailiwick_client::files::{FreshError, FreshFile};
use bailiwick_client::local::{LocalFile, OpenOptions, Owner, Progress};
use bailiwick_client::session::ResetMode;
use bailiwick_storage::disk::{Disk, Keeps, Power};

use crate::sim::partition::Partition;

/// The realm of a partition on one device.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) partition: Partition,
    pub(crate) reset_mode: ResetMode,
    /// Which version of the app's schema the device has.
    pub(crate) schema_version: usize,
    main: Disk,
    fresh: Arc<FreshDisk>,
    /// How far the main file was, for as long as it is the same history.
    pub(crate) progress: Progress,
}

/// Where the fresh copy of a client reset is.
#[derive(Debug, Default)]
struct FreshDisk {
    power: Power,
    disk: Mutex<Option<Disk>>,
}

/// The fresh copy, as the files of a realm see it.
#[derive(Debug)]
pub(super) struct FreshCopy {
    disk: Arc<FreshDisk>,
    options: OpenOptions,
}

/// Memory for pages: simulated files are small.
const CACHE_LEN: usize = 1 << 18;

impl Folder {
    pub(crate) fn new(partition: Partition, reset_mode: ResetMode, schema_version: usize) -> Self {
        Self {
            partition,
            reset_mode,
            schema_version,
            main: Disk::default(),
            fresh: Arc::default(),
            progress: Progress::default(),
        }
    }

    /// The file of the main realm.
    pub(super) fn main(&self) -> Disk {
        self.main.clone()
    }

    pub(super) fn options(&self) -> OpenOptions {
        let owner = Owner { partition: self.partition.path(), ..Owner::default() };
        OpenOptions::new(owner).cache_len(CACHE_LEN)
    }

    pub(super) fn fresh(&self) -> FreshCopy {
        FreshCopy { disk: Arc::clone(&self.fresh), options: self.options() }
    }

    /// The disks after a crash, which need `power` from now on, and have as much room as before; whether there is
    /// something of which a part was kept.
    pub(super) fn crash(&mut self, keeps: Keeps, power: &Power) -> bool {
        let room = self.main.room();
        self.main = self.main.crashed(keeps).with_power(power.clone());
        let is_torn = self.main.take_usage().torn_count > 0;
        let fresh = self.fresh.disk().as_ref().map(|disk| disk.crashed(keeps));
        let disk = Mutex::new(fresh.map(|disk| disk.with_power(power.clone())));
        self.fresh = Arc::new(FreshDisk { power: power.clone(), disk });
        self.set_room(room);
        is_torn
    }

    /// From now on flushing the main file only says that it is done.
    pub(super) fn pretend_to_flush(&self) {
        self.main.pretend_to_flush();
    }

    /// How many bytes may still be written where nothing was before.
    pub(super) fn set_room(&self, bytes: Option<usize>) {
        self.main.set_room(bytes);
        if let Some(fresh) = &*self.fresh.disk() {
            fresh.set_room(bytes);
        }
    }

    /// How often disks were flushed since this was asked last.
    pub(super) fn take_sync_count(&self) -> usize {
        let fresh = self.fresh.disk().as_ref().map_or(0, |disk| disk.take_usage().sync_count);
        self.main.take_usage().sync_count + fresh
    }
}

impl FreshDisk {
    fn disk(&self) -> std::sync::MutexGuard<'_, Option<Disk>> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FreshFile for FreshCopy {
    fn open(&self) -> Result<Arc<LocalFile>, FreshError> {
        let mut disk = self.disk.disk();
        let new = || Disk::default().with_power(self.disk.power.clone());
        let disk = disk.get_or_insert_with(new).clone();
        Ok(Arc::new(LocalFile::on_backend(disk, &self.options)?))
    }

    fn remove(&self) -> Result<(), FreshError> {
        let mut disk = self.disk.disk();
        if disk.is_some() {
            let failed = |source: io::Error| FreshError::Remove { path: "fresh".into(), source };
            self.disk.power.spend().map_err(failed)?;
            *disk = None;
        }
        Ok(())
    }
}
