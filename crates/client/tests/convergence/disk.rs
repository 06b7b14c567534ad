//! A disk in memory, which outlives the files that are opened on it, and may fail.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// A disk; clones are the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk(Arc<Content>);

#[derive(Debug, Default)]
struct Content {
    bytes: Mutex<Vec<u8>>,
    /// With which of the next changes it fails; 0 if it does not.
    until_failure: AtomicUsize,
    has_failed: AtomicBool,
}

impl Disk {
    /// Takes so many changes more, then fails until it is [repaired](Self::repair).
    pub(super) fn fail_after(&self, changes: usize) {
        self.0.until_failure.store(changes + 1, Ordering::SeqCst);
    }

    pub(super) fn repair(&self) {
        self.0.until_failure.store(0, Ordering::SeqCst);
        self.0.has_failed.store(false, Ordering::SeqCst);
    }

    fn check(&self) -> io::Result<()> {
        if self.0.has_failed.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk has failed"));
        }
        Ok(())
    }

    fn change(&self) -> io::Result<()> {
        let counter = &self.0.until_failure;
        let before = counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if before == Ok(1) {
            self.0.has_failed.store(true, Ordering::SeqCst);
        }
        self.check()
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        self.check()?;
        Ok(self.0.bytes.lock().unwrap().len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.check()?;
        let bytes = self.0.bytes.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let found = bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(found);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change()?;
        self.0.bytes.lock().unwrap().resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.change()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.change()?;
        let mut bytes = self.0.bytes.lock().unwrap();
        let start = usize::try_from(offset).unwrap();
        let place = bytes.get_mut(start..start + data.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        place.copy_from_slice(data);
        Ok(())
    }
}
