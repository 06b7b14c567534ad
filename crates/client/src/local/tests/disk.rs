//! A disk that remembers in which order it was written to, so that a crash can be put anywhere.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::choices::Choices;

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
    /// Writes and parts of writes, chosen by this seed.
    Some(u64),
}

/// What a disk writes at once, or less.
const TEAR_LEN: usize = 64;

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

    /// The part of a write that lies before or after a tear.
    fn torn(&self, choices: &mut Choices) -> Self {
        let Self::Write(offset, data) = self else { return self.clone() };
        // Where a disk tears depends on where it writes, not on where the write began.
        let tears: Vec<usize> =
            (1..data.len()).filter(|at| (offset + at) % TEAR_LEN == 0).collect();
        let tear = if tears.is_empty() { 0 } else { *choices.pick(&tears) };
        if choices.yes() {
            Self::Write(*offset, data[..tear].to_vec())
        } else {
            Self::Write(offset + tear, data[tear..].to_vec())
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
    let mut choices = match keeps {
        Keeps::Nothing => return bytes,
        Keeps::Everything => None,
        Keeps::Some(seed) => Some(Choices::new(seed)),
    };
    // A file system may keep the new length of a file and none of its contents, not the reverse.
    for event in pending {
        match (&mut choices, event) {
            (Some(choices), Event::Write(..)) => match choices.below(3) {
                0 => (),
                1 => event.apply(&mut bytes),
                _ => event.torn(choices).apply(&mut bytes),
            },
            _ => event.apply(&mut bytes),
        }
    }
    bytes
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state.lock().unwrap();
        let offset = index(offset)?;
        let found = state.bytes.get(offset..offset + out.len());
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.act(Event::SetLen(index(len)?))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.act(Event::Sync)
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.act(Event::Write(index(offset)?, data.to_vec()))
    }
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
