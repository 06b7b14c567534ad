//! What a server writes to: a disk with the database and one with its log, which lose power together.

use bailiwick_storage::disk::{Disk, Keeps, Power};
use bailiwick_storage::redb::{OpenError, RedbOptions, RedbStore};

use crate::sim::choices::Choices;

#[derive(Clone, Debug, Default)]
pub(crate) struct Disks {
    database: Disk,
    log: Disk,
    power: Power,
    /// How long the log is when it is made.
    log_len: usize,
}

/// Memory for pages: simulated files are small.
const CACHE_LEN: usize = 1 << 18;

impl Disks {
    /// Empty ones; a short log is full now and then.
    pub(super) fn new(log_len: usize) -> Self {
        Self { log_len, ..Self::default() }.changed(|_| Disk::default())
    }

    /// The same with other disks, with power of their own.
    fn changed(&self, mut change: impl FnMut(&Disk) -> Disk) -> Self {
        let power = Power::default();
        // A crash makes no room.
        let mut change = |disk: &Disk| {
            let changed = change(disk).with_power(power.clone());
            changed.set_room(disk.room());
            changed
        };
        let (database, log) = (change(&self.database), change(&self.log));
        Self { database, log, power, log_len: self.log_len }
    }

    /// What a crash leaves, which is for each disk as it happens, with power of its own.
    pub(super) fn crashed(&self, choices: &mut Choices) -> Self {
        self.changed(|disk| {
            disk.crashed(match choices.below(4) {
                0 => Keeps::Nothing,
                1 => Keeps::Everything,
                _ => Keeps::Some(choices.number()),
            })
        })
    }

    pub(super) fn open(&self) -> Result<RedbStore, OpenError> {
        let options = RedbOptions::default().cache_len(CACHE_LEN).log_len(self.log_len).log_id(1);
        options.on_backends(self.database.clone(), self.log.clone())
    }

    /// The same contents on other disks, all flushed.
    pub(super) fn copied(&self) -> Self {
        self.changed(|disk| disk.crashed(Keeps::Everything))
    }

    /// What was flushed, on other disks.
    pub(super) fn flushed(&self) -> Self {
        self.changed(|disk| disk.crashed(Keeps::Nothing))
    }

    /// From now on flushing only says that it is done.
    pub(super) fn pretend_to_flush(&self) {
        self.database.pretend_to_flush();
        self.log.pretend_to_flush();
    }

    /// Leaves so much room on each, or as much as anybody wants.
    pub(super) fn set_room(&self, bytes: Option<usize>) {
        self.database.set_room(bytes);
        self.log.set_room(bytes);
    }

    /// Whether there is a bound to what may be written.
    pub(super) fn is_short_of_room(&self) -> bool {
        self.database.room().is_some()
    }

    /// What they were asked to do since this was asked last: how often they were flushed, and whether the crash before
    /// has left a part of a write.
    pub(super) fn take_usage(&self) -> (u32, bool) {
        let [database, log] = [&self.database, &self.log].map(Disk::take_usage);
        let sync_count = u32::try_from(database.sync_count + log.sync_count).unwrap_or(u32::MAX);
        (sync_count, database.torn_count + log.torn_count > 0)
    }

    pub(super) fn power(&self) -> &Power {
        &self.power
    }
}
