//! The log: what was committed since the database was last flushed, each batch a record that is flushed alone.
//!
//! Pages have 4 KiB, numbers 8 bytes, little-endian. Sums are CRC-32 of what comes before them in the head, then of
//! the contents.
//!
//! ```text
//! first page    "bailiwick log 1\n", id, length of the file, sum
//! record        id, number, length of the contents, sum, contents, zeros up to the next page
//! ```
//!
//! The file has its length from the beginning. Records have ascending numbers without gaps, in all of the life of a
//! store, and lie one after the other behind the first page. Once the database holds all of them, the next one is
//! written at the start again, over what is there: overwriting is cheaper to flush than appending, and nothing has to
//! be erased, since what is left of former rounds has lower numbers.
//!
//! A record is flushed before the next one is begun and before anybody hears of it. So a crash can leave no more than
//! the last one incomplete, which nobody was told of; a gap before a complete one is damage. Each record begins on a page
//! of its own: writing one neither touches another nor makes the system read a page first.

use std::io;

use flate2::Crc;
use redb::StorageBackend;

use super::open::Fault;
use crate::store::StorageError;

/// A log that can be written to.
#[derive(Debug)]
pub(super) struct Log {
    file: Box<dyn StorageBackend>,
    id: u64,
    /// Length of the file.
    len: usize,
    /// Where the next record goes.
    end: usize,
    /// The last record's number; zero if there was none yet.
    last: u64,
}

const PAGE_LEN: usize = 4096;
/// How much of a new file is written at a time.
const ZEROS_LEN: usize = 1 << 20;
const MAGIC: [u8; 16] = *b"bailiwick log 1\n";
const FILE_HEAD_LEN: usize = 16 + 3 * 8;
const RECORD_HEAD_LEN: usize = 4 * 8;

impl Log {
    /// Makes a log in a file that holds none, or an unused one.
    pub(super) fn make(file: Box<dyn StorageBackend>, len: usize) -> Result<Self, Fault> {
        let start = read_start(&*file)?;
        match FileHead::decode(&start) {
            Some(head) => {
                let bytes = read_all(&*file)?;
                // Of a database that is gone, with what only the log knows.
                if pages(&bytes).any(|at| Record::decode(&bytes[at..], head.id).is_some()) {
                    return Err(Fault::Foreign);
                }
            }
            // Half made, before the database knew of it.
            None if start.iter().all(|byte| *byte == 0) => (),
            None => return Err(Fault::Foreign),
        }
        let id = getrandom::u64().map_err(io::Error::other)?;
        let len = len.next_multiple_of(PAGE_LEN).max(2 * PAGE_LEN);
        file.set_len(0)?;
        file.set_len(len as u64)?;
        // A record that is the first to be written where it lies would wait until the system has found room for it.
        let zeros = vec![0; len.min(ZEROS_LEN)];
        for at in (0..len).step_by(ZEROS_LEN) {
            file.write(at as u64, &zeros[..zeros.len().min(len - at)])?;
        }
        file.write(0, &FileHead { id, len: len as u64 }.encode())?;
        file.sync_data()?;
        Ok(Self { file, id, len, end: PAGE_LEN, last: 0 })
    }

    /// Opens the log with this id and tells, in order, the contents of the records after number `until`, which the
    /// database holds.
    pub(super) fn open(
        file: Box<dyn StorageBackend>,
        id: u64,
        until: u64,
        mut tell: impl FnMut(&[u8]) -> Result<(), StorageError>,
    ) -> Result<Self, Fault> {
        if file.len()? == 0 {
            return Err(Fault::Unpaired);
        }
        let head = FileHead::decode(&read_start(&*file)?).ok_or_else(|| damaged("its head"))?;
        if head.id != id {
            return Err(Fault::Unpaired);
        }
        if head.len != file.len()? {
            return Err(damaged("its length"));
        }
        let bytes = read_all(&*file)?;
        let (mut end, mut before) = (PAGE_LEN, None);
        let mut last = until;
        while let Some(record) = bytes.get(end..).and_then(|rest| Record::decode(rest, id)) {
            if before.is_some_and(|before| record.number != before + 1) {
                break;
            }
            if record.number > last {
                if record.number != last + 1 {
                    return Err(damaged("records are missing at its start"));
                }
                tell(record.contents).map_err(Fault::of_storage)?;
                last = record.number;
            }
            before = Some(record.number);
            end += record_len(record.contents.len());
        }
        // What comes now was not finished, or is left of former rounds.
        let is_later = |at| Record::decode(&bytes[at..], id).is_some_and(|it| it.number > last);
        if pages(&bytes).filter(|at| *at >= end).any(is_later) {
            return Err(damaged("a record in its middle"));
        }
        Ok(Self { file, id, len: bytes.len(), end, last })
    }

    /// Makes a record durable. Only for what [has room](Self::has_room).
    pub(super) fn append(&mut self, contents: &[u8]) -> io::Result<()> {
        debug_assert!(self.has_room(contents.len()), "a record would be cut off");
        let number = self.last + 1;
        let record = Record { number, contents }.encode(self.id);
        self.file.write(self.end as u64, &record)?;
        self.file.sync_data()?;
        (self.end, self.last) = (self.end + record.len(), number);
        Ok(())
    }

    /// The database holds all records durably: the next one goes to the start.
    pub(super) fn restart(&mut self) {
        self.end = PAGE_LEN;
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// The last record's number.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Whether there are records since the last [`restart`](Self::restart).
    pub(super) fn is_begun(&self) -> bool {
        self.end > PAGE_LEN
    }

    /// How much fits into a log without records.
    pub(super) fn max_len(&self) -> usize {
        self.len - PAGE_LEN - RECORD_HEAD_LEN
    }

    pub(super) fn has_room(&self, contents_len: usize) -> bool {
        contents_len <= self.max_len() && record_len(contents_len) <= self.len - self.end
    }
}

/// The start of the file.
struct FileHead {
    id: u64,
    len: u64,
}

impl FileHead {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.id.to_le_bytes());
        bytes.extend(self.len.to_le_bytes());
        bytes.extend(sum(&[&bytes]).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (magic, rest) = bytes.split_first_chunk()?;
        let [id, len, expected] = numbers(rest)?;
        let is_sound = *magic == MAGIC && sum(&[&bytes[..FILE_HEAD_LEN - 8]]) == expected;
        is_sound.then_some(Self { id, len })
    }
}

struct Record<'a> {
    number: u64,
    contents: &'a [u8],
}

impl<'a> Record<'a> {
    /// The whole record, to the end of its last page.
    fn encode(&self, id: u64) -> Vec<u8> {
        let len = record_len(self.contents.len());
        let mut bytes = Vec::with_capacity(len);
        for number in [id, self.number, self.contents.len() as u64] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(sum(&[&bytes, self.contents]).to_le_bytes());
        bytes.extend_from_slice(self.contents);
        bytes.resize(len, 0);
        bytes
    }

    /// The record at the start of these bytes, if a complete one of this log is there.
    fn decode(bytes: &'a [u8], id: u64) -> Option<Self> {
        let [of, number, len, expected] = numbers(bytes)?;
        if of != id {
            return None;
        }
        let (head, rest) = bytes.split_at_checked(RECORD_HEAD_LEN)?;
        let contents = rest.get(..usize::try_from(len).ok()?)?;
        let is_sound = sum(&[&head[..RECORD_HEAD_LEN - 8], contents]) == expected;
        is_sound.then_some(Self { number, contents })
    }
}

fn record_len(contents_len: usize) -> usize {
    (RECORD_HEAD_LEN + contents_len).next_multiple_of(PAGE_LEN)
}

fn sum(parts: &[&[u8]]) -> u64 {
    let mut crc = Crc::new();
    for part in parts {
        crc.update(part);
    }
    u64::from(crc.sum())
}

fn numbers<const N: usize>(bytes: &[u8]) -> Option<[u64; N]> {
    let (numbers, _) = bytes.as_chunks::<8>();
    let mut numbers = numbers.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let mut found = [0; N];
    for number in &mut found {
        *number = numbers.next()?;
    }
    Some(found)
}

/// Where records can begin.
fn pages(bytes: &[u8]) -> impl Iterator<Item = usize> {
    (PAGE_LEN..bytes.len()).step_by(PAGE_LEN)
}

fn read_start(file: &dyn StorageBackend) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
    let mut bytes = vec![0; len.min(FILE_HEAD_LEN)];
    file.read(0, &mut bytes)?;
    Ok(bytes)
}

/// Only for files whose length is sound.
fn read_all(file: &dyn StorageBackend) -> io::Result<Vec<u8>> {
    let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::OutOfMemory)?;
    let mut bytes = vec![0; len];
    file.read(0, &mut bytes)?;
    Ok(bytes)
}

fn damaged(what: &'static str) -> Fault {
    Fault::of_storage(StorageError::Corrupt(what))
}
