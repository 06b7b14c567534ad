//! A file that crashes, fills up and fails when told to.
//!
//! A [`Disk`] stands in for the file of a database. It knows which writes were flushed, so that a
//! [crash](Disk::crashed) can be put between any two of them; what a crash keeps of the others is a choice:
//! [`Keeps`]. Nothing is left to chance: the same calls lead to the same bytes.
//!
//! It is made for very many runs: a write is copied once, a flush and a crash copy nothing but references.
//!
//! ```
//! use bailiwick_storage::disk::{Disk, Keeps};
//! use bailiwick_storage::redb::RedbOptions;
//!
//! let (disk, log) = (Disk::default(), Disk::default());
//! let store = RedbOptions::default().on_backends(disk.clone(), log.clone())?;
//! // The process ends here, and so does the power: what was not flushed is gone.
//! let [disk, log] = [disk, log].map(|disk| disk.crashed(Keeps::Nothing));
//! let store = RedbOptions::default().on_backends(disk, log)?;
//! # Ok::<(), bailiwick_storage::redb::OpenError>(())
//! ```

mod image;
#[cfg(test)]
mod tests;

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use redb::StorageBackend;

use image::{Image, PAGE_LEN};

/// A file in memory, and what became of it lately. Clones are the same file.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    power: Power,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What was there after the last flush.
    flushed: Image,
    /// What came after it.
    pending: Vec<Event>,
    /// What a reader sees.
    current: Image,
    /// Everything that happened, if somebody wants to know.
    log: Option<Vec<Event>>,
    /// How many pages may be written that were never written before.
    room: Option<usize>,
    /// Flushing does nothing.
    pretends: bool,
    /// The next read fails.
    fails_to_read: bool,
    usage: Usage,
}

/// What disks need for each event. Clones are the same.
#[derive(Clone, Debug, Default)]
pub struct Power(Arc<Mutex<Meter>>);

#[derive(Debug, Default)]
struct Meter {
    used: usize,
    left: Option<usize>,
}

/// Something that changes what a crash leaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The file got this length, in bytes.
    SetLen(usize),
    /// These bytes were written at this offset.
    Write(usize, Bytes),
    /// What was written before was flushed.
    Sync,
}

/// What a disk keeps of the writes that were not flushed before a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeps {
    /// None.
    Nothing,
    /// All.
    Everything,
    /// Writes and parts of writes, in whatever order, chosen by this seed.
    Some(u64),
}

/// What a disk was asked to do: for those who charge for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// How often it was flushed.
    pub sync_count: usize,
    /// Bytes that were written.
    pub written_len: usize,
    /// Bytes that were read.
    pub read_len: usize,
    /// Writes of which the crash before has kept a part.
    pub torn_count: usize,
}

impl Disk {
    /// A disk that holds these bytes, all flushed, with power of its own.
    pub fn new(bytes: Vec<u8>) -> Self {
        let mut image = Image::default();
        image.write(0, &bytes.into());
        Self::of_image(image)
    }

    /// A disk that was empty and has seen these events.
    pub fn after(events: &[Event]) -> Self {
        let disk = Self::default();
        for event in events {
            disk.state().happen(event.clone());
        }
        disk
    }

    /// The same disk with this power, which it may share with others.
    #[must_use]
    pub fn with_power(self, power: Power) -> Self {
        Self { power, ..self }
    }

    /// The same disk; from now on [`log`](Self::log) tells what happens to it.
    #[must_use]
    pub fn with_log(self) -> Self {
        self.state().log = Some(Vec::new());
        self
    }

    /// The disk after a crash that comes now, with power and room of its own. This one is left as it is, and so
    /// is whatever writes to it.
    #[must_use]
    pub fn crashed(&self, keeps: Keeps) -> Self {
        let state = self.state();
        let mut image = state.flushed.clone();
        let mut torn_count = 0;
        // A file system may keep the new length of a file and none of its contents, not the reverse.
        for (index, event) in (0..).zip(&state.pending) {
            match (keeps, event) {
                (Keeps::Nothing, _) => (),
                (Keeps::Some(seed), Event::Write(offset, data)) => {
                    let (offset, kept) = torn(*offset, data, choice(seed, index));
                    torn_count += usize::from(!kept.is_empty() && kept.len() < data.len());
                    image.write(offset, &kept);
                }
                (Keeps::Everything | Keeps::Some(_), event) => event.apply(&mut image),
            }
        }
        let disk = Self::of_image(image);
        disk.state().usage.torn_count = torn_count;
        disk
    }

    /// Lets so many events succeed and all later ones fail; see [`Power`].
    pub fn fail_after(&self, events: usize) {
        self.power.last_for(events);
    }

    /// How many bytes, rounded down to pages of 4 KiB, may still be written where nothing was written before;
    /// any number if there is none. Whatever needs more fails with [`StorageFull`](io::ErrorKind::StorageFull).
    pub fn set_room(&self, bytes: Option<usize>) {
        self.state().room = bytes.map(|bytes| bytes / PAGE_LEN);
    }

    /// What is left of what [`set_room`](Self::set_room) has set.
    pub fn room(&self) -> Option<usize> {
        self.state().room.map(|pages| pages * PAGE_LEN)
    }

    /// From now on flushing does nothing but say that it is done: a fault that whoever checks for losses has to find.
    pub fn pretend_to_flush(&self) {
        self.state().pretends = true;
    }

    /// Lets the next read fail.
    pub fn fail_to_read(&self) {
        self.state().fails_to_read = true;
    }

    /// What it was asked to do since this was asked last.
    pub fn take_usage(&self) -> Usage {
        std::mem::take(&mut self.state().usage)
    }

    /// What a reader sees.
    pub fn bytes(&self) -> Vec<u8> {
        let current = &self.state().current;
        let mut bytes = vec![0; current.len()];
        current.read(0, &mut bytes).expect("a file can be read up to its length");
        bytes
    }

    /// What has happened since [`with_log`](Self::with_log); nothing without it.
    pub fn log(&self) -> Vec<Event> {
        self.state().log.clone().unwrap_or_default()
    }

    fn of_image(image: Image) -> Self {
        let state = State { flushed: image.clone(), current: image, ..State::default() };
        Self { power: Power::default(), state: Arc::new(Mutex::new(state)) }
    }

    /// Nothing is left half done by a panic of whoever uses it.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Power {
    /// Lets so many events succeed, and then none.
    pub fn last_for(&self, events: usize) {
        self.meter().left = Some(events);
    }

    /// Whether something has failed for want of it, or will.
    pub fn is_out(&self) -> bool {
        self.meter().left == Some(0)
    }

    /// How many events there were.
    pub fn used(&self) -> usize {
        self.meter().used
    }

    /// Takes what one event needs.
    ///
    /// # Errors
    ///
    /// If it is out.
    pub fn spend(&self) -> io::Result<()> {
        let mut meter = self.meter();
        match &mut meter.left {
            Some(0) => return Err(io::Error::other("this disk has failed")),
            Some(left) => *left -= 1,
            None => (),
        }
        meter.used += 1;
        Ok(())
    }

    fn meter(&self) -> MutexGuard<'_, Meter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn happen(&mut self, event: Event) {
        event.apply(&mut self.current);
        if let Some(log) = &mut self.log {
            log.push(event.clone());
        }
        self.pending.push(event);
        if !self.pretends
            && let Some(Event::Sync) = self.pending.last()
        {
            for event in self.pending.drain(..) {
                event.apply(&mut self.flushed);
            }
        }
    }

    /// Takes the room that a write needs.
    fn spend_room(&mut self, offset: usize, len: usize) -> io::Result<()> {
        if let Some(room) = &mut self.room {
            let needed = self.current.missing_pages(offset..offset + len);
            *room = room.checked_sub(needed).ok_or(io::ErrorKind::StorageFull)?;
        }
        Ok(())
    }
}

impl Event {
    fn apply(&self, image: &mut Image) {
        match self {
            Self::SetLen(len) => image.set_len(*len),
            Self::Write(offset, data) => image.write(*offset, data),
            Self::Sync => (),
        }
    }
}

/// What a disk writes at once, or less.
const TEAR_LEN: usize = 64;

/// What a crash leaves of a write: nothing, all of it, or what lies before or after a tear.
fn torn(offset: usize, data: &Bytes, choice: u64) -> (usize, Bytes) {
    // Where a disk tears depends on where it writes, not on where the write began.
    let (first, last) = (offset / TEAR_LEN + 1, (offset + data.len()).div_ceil(TEAR_LEN));
    let tears = last.saturating_sub(first) as u64;
    let tear = match tears {
        0 => 0,
        _ => (first + usize::try_from((choice >> 8) % tears).unwrap_or(0)) * TEAR_LEN - offset,
    };
    match choice % 6 {
        0 | 1 => (offset, Bytes::new()),
        2 | 3 => (offset, data.clone()),
        4 => (offset, data.slice(..tear)),
        _ => (offset + tear, data.slice(tear..)),
    }
}

/// A number by splitmix64: for the same seed always the same.
fn choice(seed: u64, index: u64) -> u64 {
    let mut x = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().current.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let mut state = self.state();
        if std::mem::take(&mut state.fails_to_read) {
            return Err(io::Error::other("this part of the disk cannot be read"));
        }
        state.usage.read_len += out.len();
        state.current.read(index(offset)?, out)
    }

    /// As with files, room is needed by what is written, not by the length.
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.power.spend()?;
        self.state().happen(Event::SetLen(index(len)?));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.power.spend()?;
        let mut state = self.state();
        state.usage.sync_count += 1;
        state.happen(Event::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let offset = index(offset)?;
        self.power.spend()?;
        let mut state = self.state();
        state.spend_room(offset, data.len())?;
        state.usage.written_len += data.len();
        state.happen(Event::Write(offset, Bytes::copy_from_slice(data)));
        Ok(())
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
