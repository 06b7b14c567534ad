//! A store on disks that fail and crash together, or that let a test in.

use std::fmt;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

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

/// A disk that calls a test before each flush.
#[derive(Debug, Default)]
pub(super) struct Watched {
    pub(super) disk: Disk,
    pub(super) hook: Hook,
}

/// What is called; it is not called again meanwhile.
#[derive(Clone, Default)]
pub(super) struct Hook(Arc<Mutex<Option<Called>>>);

type Called = Box<dyn FnMut() + Send>;

impl Hook {
    pub(super) fn set(&self, hook: impl FnMut() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Box::new(hook));
    }

    fn call(&self) {
        let hook = self.0.lock().unwrap().take();
        if let Some(mut hook) = hook {
            hook();
            *self.0.lock().unwrap() = Some(hook);
        }
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

impl StorageBackend for Watched {
    fn len(&self) -> std::io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> std::io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> std::io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> std::io::Result<()> {
        self.hook.call();
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> std::io::Result<()> {
        self.disk.write(offset, data)
    }
}
