//! A disk that remembers in which order it was written to, so that a crash can be put anywhere.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

/// A file in memory and everything that happened to it. Clones are the same file.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    log: Vec<Event>,
    /// How many more events succeed; all of them if there is no number.
    fails_after: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) enum Event {
    SetLen(usize),
    Write(usize, Vec<u8>),
    Sync,
}

/// What a disk keeps of the writes that were not flushed before a crash.
#[derive(Clone, Copy, Debug)]
pub(super) enum Keeps {
    Nothing,
    Everything,
    /// Writes and halves of writes, chosen by this seed.
    Some(u64),
}

impl Disk {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.state.lock().unwrap().bytes = bytes;
        disk
    }

    pub(super) fn fail_after(&self, events: usize) {
        self.state.lock().unwrap().fails_after = Some(events);
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().bytes.clone()
    }

    pub(super) fn log(&self) -> Vec<Event> {
        self.state.lock().unwrap().log.clone()
    }

    fn act(&self, event: Event) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        match &mut state.fails_after {
            Some(0) => return Err(io::Error::other("this disk has failed")),
            Some(left) => *left -= 1,
            None => (),
        }
        event.apply(&mut state.bytes);
        state.log.push(event);
        Ok(())
    }
}

impl Event {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::SetLen(len) => bytes.resize(*len, 0),
            Self::Write(offset, data) => {
                bytes[*offset..*offset + data.len()].copy_from_slice(data);
            }
            Self::Sync => (),
        }
    }
}

/// What the disk holds after a crash that followed these events.
pub(super) fn after_crash(events: &[Event], keeps: Keeps) -> Vec<u8> {
    let synced = events.iter().rposition(|event| matches!(event, Event::Sync)).unwrap_or(0);
    let (kept, pending) = events.split_at(synced);
    let mut bytes = Vec::new();
    for event in kept {
        event.apply(&mut bytes);
    }
    // A file system may keep the new length of a file and none of its contents, not the reverse.
    for (i, event) in (0..).zip(pending) {
        match (keeps, event) {
            (Keeps::Nothing, _) => (),
            (Keeps::Everything, _) | (_, Event::SetLen(_) | Event::Sync) => event.apply(&mut bytes),
            (Keeps::Some(seed), Event::Write(offset, data)) => match choice(seed, i) {
                0 => (),
                1 => event.apply(&mut bytes),
                2 => Event::Write(*offset, data[..data.len() / 2].to_vec()).apply(&mut bytes),
                _ => {
                    let half = data.len() / 2;
                    Event::Write(offset + half, data[half..].to_vec()).apply(&mut bytes);
                }
            },
        }
    }
    bytes
}

/// One of four, by splitmix64: for the same seed always the same.
fn choice(seed: u64, i: u64) -> u64 {
    let mut x = seed.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (x ^ (x >> 31)) % 4
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let offset = index(offset);
        let found = state.bytes.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Event::SetLen(index(len)))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(Event::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.act(Event::Write(index(offset), data.to_vec()))
    }
}

fn index(offset: u64) -> usize {
    usize::try_from(offset).unwrap()
}
