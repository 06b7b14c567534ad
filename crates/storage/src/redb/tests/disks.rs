//! A store on disks that fail and crash together.

use crate::disk::{Disk, Keeps, Power};
use crate::redb::{OpenError, RedbOptions, RedbStore};

#[derive(Debug)]
pub(super) struct Disks {
    pub(super) database: Disk,
    pub(super) log: Disk,
    pub(super) power: Power,
}

impl Disks {
    pub(super) fn empty() -> Self {
        Self::new(Disk::default(), Disk::default())
    }

    pub(super) fn new(database: Disk, log: Disk) -> Self {
        let power = Power::default();
        let [database, log] = [database, log].map(|disk| disk.with_power(power.clone()));
        Self { database, log, power }
    }

    pub(super) fn open(&self, log_len: usize) -> Result<RedbStore, OpenError> {
        let options = RedbOptions::default().cache_len(1 << 20).log_len(log_len);
        options.on_backends(self.database.clone(), self.log.clone())
    }

    /// What a crash leaves.
    pub(super) fn crashed(&self, [database, log]: [Keeps; 2]) -> Self {
        Self::new(self.database.crashed(database), self.log.crashed(log))
    }
}
