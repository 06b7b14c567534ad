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
//! The file has its length from the beginning, and its pages are used in a circle: records lie one after the other
//! behind the first page, and one that does not fit before the end is written behind the first page again, over what
//! the database holds. Overwriting is cheaper to flush than appending. Records have ascending numbers without gaps, in
//! all of the life of a store: those up to the number that the database tells are in it, and mean nothing any more.
//!
//! A record is flushed before the next one is begun and before anybody hears of it. So a crash can leave no more than
//! the last one incomplete, which nobody was told of; a gap before a complete one is damage. Each record begins on a page
//! of its own: writing one neither touches another nor makes the system read a page first.

use std::{io, iter};

use bytes::Bytes;
use crc32fast::Hasher;
use redb::StorageBackend;

use super::error::Cause;
use crate::store::StorageError;

/// A log that can be written to.
#[derive(Debug)]
pub(super) struct Log {
    file: Box<dyn StorageBackend>,
    id: u64,
    /// Length of the file.
    len: usize,
    /// Where the next record goes, if it fits there.
    end: usize,
    /// The last record's number; zero if there was none yet.
    last: u64,
    /// Up to where the database has it.
    released: Mark,
}

/// A place in the log.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mark {
    /// The number of the last record before it.
    pub(super) number: u64,
    /// Where that one ends. The first one after it begins here, or behind the first page.
    end: usize,
}

const PAGE_LEN: usize = 4096;
/// The shortest file: the first page, and one for records.
const MIN_LEN: usize = 2 * PAGE_LEN;
/// How much of a new file is written at a time.
const ZEROS_LEN: usize = 1 << 20;
const MAGIC: [u8; 16] = *b"bailiwick log 1\n";
const FILE_HEAD_LEN: usize = 16 + 3 * 8;
const RECORD_HEAD_LEN: usize = 4 * 8;

impl Log {
    /// Makes a log with this id in a file that holds none, or an unused one.
    pub(super) fn make(file: Box<dyn StorageBackend>, len: usize, id: u64) -> Result<Self, Cause> {
        let start = read_start(&*file)?;
        match FileHead::decode(&start) {
            Some(head) => {
                let bytes = read_all(&*file)?;
                // Of a database that is gone, with what only the log knows.
                if records(&bytes, head.id).next().is_some() {
                    return Err(Cause::Orphaned);
                }
            }
            // Half made, before the database knew of it.
            None if start.iter().all(|byte| *byte == 0) => (),
            None => return Err(Cause::Foreign),
        }
        let len = len.next_multiple_of(PAGE_LEN).max(MIN_LEN);
        file.set_len(0)?;
        file.set_len(len as u64)?;
        // A record that is the first to be written where it lies would wait until the system has found room for it.
        let zeros = vec![0; len.min(ZEROS_LEN)];
        for at in (0..len).step_by(ZEROS_LEN) {
            file.write(at as u64, &zeros[..zeros.len().min(len - at)])?;
        }
        file.write(0, &FileHead { id, len: len as u64 }.encode())?;
        file.sync_data()?;
        Ok(Self::new(file, id, len, 0))
    }

    /// Opens the log with this id; with it, in order, the contents of the records after number `until`, which the
    /// database holds. Reads the whole file.
    pub(super) fn open(
        file: Box<dyn StorageBackend>,
        id: u64,
        until: u64,
    ) -> Result<(Self, Vec<Bytes>), Cause> {
        if file.len()? == 0 {
            return Err(Cause::Unpaired);
        }
        let head = FileHead::decode(&read_start(&*file)?).ok_or_else(|| damaged("its head"))?;
        if head.id != id {
            return Err(Cause::Unpaired);
        }
        let len = file.len()?;
        if head.len != len || len < MIN_LEN as u64 || !len.is_multiple_of(PAGE_LEN as u64) {
            return Err(damaged("its length"));
        }
        let bytes = Bytes::from(read_all(&*file)?);
        let mut records: Vec<_> = records(&bytes, id).filter(|it| it.number > until).collect();
        records.sort_unstable_by_key(|record| record.number);
        if records.iter().zip(until + 1..).any(|(record, number)| record.number != number) {
            return Err(damaged("records are missing"));
        }
        let last = until + records.len() as u64;
        let contents = records.iter().map(|record| bytes.slice_ref(record.contents)).collect();
        Ok((Self::new(file, id, bytes.len(), last), contents))
    }

    /// A log whose records the database has, or is about to have.
    fn new(file: Box<dyn StorageBackend>, id: u64, len: usize, last: u64) -> Self {
        let released = Mark { number: last, end: PAGE_LEN };
        Self { file, id, len, end: PAGE_LEN, last, released }
    }

    /// Makes a record durable. Only for what [has room](Self::has_room).
    pub(super) fn append(&mut self, contents: &[u8]) -> io::Result<()> {
        let record = Record { number: self.last + 1, contents }.encode(self.id);
        let at = self.place(record.len()).ok_or(io::ErrorKind::StorageFull)?;
        self.file.write(at as u64, &record)?;
        self.file.sync_data()?;
        (self.end, self.last) = (at + record.len(), self.last + 1);
        Ok(())
    }

    /// Uses up the next record's number, for a change that goes into the database alone: without it the log does not
    /// fit a database that is older than the change.
    pub(super) fn skip(&mut self) -> Mark {
        self.last += 1;
        self.mark()
    }

    /// Behind the last record.
    pub(super) fn mark(&self) -> Mark {
        Mark { number: self.last, end: self.end }
    }

    /// The database holds all records up to a mark durably: their place can be used again.
    pub(super) fn release(&mut self, mark: Mark) {
        self.released = mark;
        if !self.is_begun() {
            (self.end, self.released.end) = (PAGE_LEN, PAGE_LEN);
        }
    }

    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Whether there are records that the database does not hold.
    pub(super) fn is_begun(&self) -> bool {
        self.last > self.released.number
    }

    /// Whether so much is used that it is time to [release](Self::release) it.
    pub(super) fn is_filling(&self) -> bool {
        let used = if self.has_wrapped() {
            self.len - PAGE_LEN - (self.released.end - self.end)
        } else {
            self.end - self.released.end
        };
        used > (self.len - PAGE_LEN) / 2
    }

    /// How much fits into a log without records.
    pub(super) fn max_len(&self) -> usize {
        self.len - PAGE_LEN - RECORD_HEAD_LEN
    }

    pub(super) fn has_room(&self, contents_len: usize) -> bool {
        contents_len <= self.max_len() && self.place(record_len(contents_len)).is_some()
    }

    /// Where so many bytes can be written.
    fn place(&self, len: usize) -> Option<usize> {
        let fits = |at: usize, end: usize| (len <= end - at).then_some(at);
        if self.has_wrapped() {
            fits(self.end, self.released.end)
        } else {
            fits(self.end, self.len).or_else(|| fits(PAGE_LEN, self.released.end))
        }
    }

    /// Whether the next record lies before those that came first.
    fn has_wrapped(&self) -> bool {
        self.is_begun() && self.end <= self.released.end
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
    let mut hasher = Hasher::new();
    for part in parts {
        hasher.update(part);
    }
    u64::from(hasher.finalize())
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

/// All complete records, in the order of their places.
fn records(bytes: &[u8], id: u64) -> impl Iterator<Item = Record<'_>> {
    let mut at = PAGE_LEN;
    iter::from_fn(move || {
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let record = Record::decode(rest, id);
            at += record.as_ref().map_or(PAGE_LEN, |record| record_len(record.contents.len()));
            if record.is_some() {
                return record;
            }
        }
        None
    })
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

fn damaged(what: &'static str) -> Cause {
    Cause::of_storage(StorageError::Corrupt(what))
}
