//! A disk that remembers in which order it was written to, so that a crash can be put anywhere.

use std::io;
use std::sync::{Arc, Mutex};

use redb::StorageBackend;

use super::choices::Choices;

/// A file in memory and everything that happened to it. Clones are the same file.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    power: Power,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    /// What was there when it began.
    base: Vec<u8>,
    bytes: Vec<u8>,
    log: Vec<Event>,
}

/// What disks need for each event. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Power(Arc<Mutex<Meter>>);

#[derive(Debug, Default)]
struct Meter {
    used: usize,
    /// How many more events succeed; all of them if there is no number.
    left: Option<usize>,
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

impl Power {
    /// Takes so many events more, then none.
    pub(super) fn last_for(&self, events: usize) {
        self.0.lock().unwrap().left = Some(events);
    }

    /// Whether something has failed for want of it, or will.
    pub(super) fn is_out(&self) -> bool {
        self.0.lock().unwrap().left == Some(0)
    }

    /// How many events there were.
    pub(super) fn used(&self) -> usize {
        self.0.lock().unwrap().used
    }

    pub(super) fn spend(&self) -> io::Result<()> {
        let mut meter = self.0.lock().unwrap();
        match &mut meter.left {
            Some(0) => return Err(io::Error::other("this disk has failed")),
            Some(left) => *left -= 1,
            None => (),
        }
        meter.used += 1;
        Ok(())
    }
}

impl Disk {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self::with_power(bytes, Power::default())
    }

    pub(super) fn with_power(bytes: Vec<u8>, power: Power) -> Self {
        let state = State { base: bytes.clone(), bytes, log: Vec::new() };
        Self { power, state: Arc::new(Mutex::new(state)) }
    }

    /// The disk after a crash that comes now, with power of its own.
    pub(super) fn crashed(&self, keeps: Keeps, power: Power) -> Self {
        let state = self.state.lock().unwrap();
        Self::with_power(after(&state.base, &state.log, keeps), power)
    }

    pub(super) fn fail_after(&self, events: usize) {
        self.power.last_for(events);
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        self.state.lock().unwrap().bytes.clone()
    }

    pub(super) fn log(&self) -> Vec<Event> {
        self.state.lock().unwrap().log.clone()
    }

    fn act(&self, event: Event) -> io::Result<()> {
        self.power.spend()?;
        let mut state = self.state.lock().unwrap();
        event.apply(&mut state.bytes);
        state.log.push(event);
        Ok(())
    }
}

impl Event {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            // `resize` takes its time in tests, which are not optimised.
            Self::SetLen(len) => {
                bytes.truncate(*len);
                bytes.extend_from_slice(&vec![0; *len - bytes.len()]);
            }
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

/// What a disk that was empty holds after a crash that followed these events.
pub(super) fn after_crash(events: &[Event], keeps: Keeps) -> Vec<u8> {
    after(&[], events, keeps)
}

fn after(base: &[u8], events: &[Event], keeps: Keeps) -> Vec<u8> {
    let synced = events.iter().rposition(|event| matches!(event, Event::Sync)).unwrap_or(0);
    let (kept, pending) = events.split_at(synced);
    let mut bytes = base.to_vec();
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
