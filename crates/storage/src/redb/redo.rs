//! What a write transaction changes, as bytes: to do the same again after a crash.
//!
//! Numbers have 8 bytes, little-endian.
//!
//! ```text
//! change    kind (1 byte: 1 put, 2 remove, 3 remove a range), table (1 byte), key, value or last key of the range
//! key, value, last key    length, bytes
//! ```
//!
//! A change says what is there afterwards, whatever was there before. So a list of changes may be carried out
//! again on tables that have seen some of them, or all: they end the same.

use std::borrow::Cow;

use redb::{AccessGuard, Key, ReadableTable as _, Table, TableDefinition, Value, WriteTransaction};

use super::backend;
use crate::store::StorageError;

/// The changes of one transaction, in order.
#[derive(Debug)]
pub(super) struct Redo {
    bytes: Vec<u8>,
    /// How long `bytes` may become.
    max_len: usize,
    is_complete: bool,
}

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const REMOVE_RANGE: u8 = 3;

impl Redo {
    /// No changes yet. More than `max_len` bytes are not kept.
    pub(super) fn new(max_len: usize) -> Self {
        Self { bytes: Vec::new(), max_len, is_complete: true }
    }

    /// The changes; `None` if they are too long.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.is_complete.then_some(&self.bytes)
    }

    fn push(&mut self, kind: u8, table: u8, key: &[u8], value: &[u8]) {
        let len = 2 + 8 + key.len() + 8 + value.len();
        if !self.is_complete || len > self.max_len - self.bytes.len() {
            (self.is_complete, self.bytes) = (false, Vec::new());
            return;
        }
        self.bytes.reserve(len);
        self.bytes.extend([kind, table]);
        for part in [key, value] {
            self.bytes.extend((part.len() as u64).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
    }
}

/// A change that was read.
#[derive(Debug)]
pub(super) struct Change<'a> {
    /// The table's number.
    pub(super) table: u8,
    kind: u8,
    key: &'a [u8],
    value: &'a [u8],
}

const DAMAGED: StorageError = StorageError::Corrupt("a change in the log");

impl<'a> Change<'a> {
    /// Takes the first change off the bytes, of which there must be some.
    pub(super) fn read(bytes: &mut &'a [u8]) -> Result<Self, StorageError> {
        let (&[kind, table], mut rest) = bytes.split_first_chunk().ok_or(DAMAGED)?;
        let mut part = || {
            let (len, after) = rest.split_first_chunk()?;
            let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
            let (part, after) = after.split_at_checked(len)?;
            rest = after;
            Some(part)
        };
        let (key, value) = (part().ok_or(DAMAGED)?, part().ok_or(DAMAGED)?);
        *bytes = rest;
        Ok(Self { table, kind, key, value })
    }
}

/// A table whose changes are written down.
pub(super) struct Recorded<'t, K: Recordable + Key, V: Recordable> {
    pub(super) table: Table<'t, K, V>,
    /// Names the table in the log.
    number: u8,
}

impl<'t, K: Recordable + Key, V: Recordable> Recorded<'t, K, V> {
    pub(super) fn open(
        transaction: &'t WriteTransaction,
        definition: TableDefinition<'_, K, V>,
        number: u8,
    ) -> Result<Self, StorageError> {
        Ok(Self { table: transaction.open_table(definition).map_err(backend)?, number })
    }

    pub(super) fn get(
        &self,
        key: K::SelfType<'_>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        self.table.get(key).map_err(backend)
    }

    pub(super) fn put(
        &mut self,
        redo: &mut Redo,
        key: K::SelfType<'_>,
        value: V::SelfType<'_>,
    ) -> Result<(), StorageError> {
        redo.push(PUT, self.number, &K::to_bytes(&key), &V::to_bytes(&value));
        self.table.insert(key, value).map_err(backend)?;
        Ok(())
    }

    /// What was there; without it there is no change.
    #[expect(clippy::needless_pass_by_value, reason = "a key is a reference, or a pair of them")]
    pub(super) fn remove(
        &mut self,
        redo: &mut Redo,
        key: K::SelfType<'_>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        let removed = self.table.remove(&key).map_err(backend)?;
        if removed.is_some() {
            redo.push(REMOVE, self.number, &K::to_bytes(&key), &[]);
        }
        Ok(removed)
    }

    /// Removes everything from `first` to `last`, which is removed too.
    pub(super) fn remove_range<'a>(
        &mut self,
        redo: &mut Redo,
        first: K::SelfType<'a>,
        last: K::SelfType<'a>,
    ) -> Result<(), StorageError> {
        redo.push(REMOVE_RANGE, self.number, &K::to_bytes(&first), &K::to_bytes(&last));
        retain_none(&mut self.table, first, last)
    }
}

fn retain_none<'a, K: Recordable + Key, V: Recordable>(
    table: &mut Table<'_, K, V>,
    first: K::SelfType<'a>,
    last: K::SelfType<'a>,
) -> Result<(), StorageError> {
    table.retain_in::<K::SelfType<'a>, _>(first..=last, |_, _| false).map_err(backend)
}

/// A table that can be changed as the log says.
pub(super) trait Repeat {
    fn number(&self) -> u8;

    fn repeat(&mut self, change: &Change<'_>) -> Result<(), StorageError>;
}

impl<K: Recordable + Key, V: Recordable> Repeat for Recorded<'_, K, V> {
    fn number(&self) -> u8 {
        self.number
    }

    fn repeat(&mut self, change: &Change<'_>) -> Result<(), StorageError> {
        let key = K::of_bytes(change.key).ok_or(DAMAGED)?;
        match change.kind {
            PUT => {
                let value = V::of_bytes(change.value).ok_or(DAMAGED)?;
                self.table.insert(key, value).map_err(backend)?;
            }
            REMOVE => {
                self.table.remove(key).map_err(backend)?;
            }
            REMOVE_RANGE => {
                let last = K::of_bytes(change.value).ok_or(DAMAGED)?;
                retain_none(&mut self.table, key, last)?;
            }
            _ => return Err(DAMAGED),
        }
        Ok(())
    }
}

/// Something in a table that can be told in bytes, and read from any bytes without a panic: redb's own reading
/// trusts them.
pub(super) trait Recordable: Value + 'static {
    fn to_bytes<'a>(value: &'a Self::SelfType<'_>) -> Cow<'a, [u8]>;

    fn of_bytes(bytes: &[u8]) -> Option<Self::SelfType<'_>>;
}

impl Recordable for &'static [u8] {
    fn to_bytes<'a>(value: &'a &[u8]) -> Cow<'a, [u8]> {
        Cow::Borrowed(value)
    }

    fn of_bytes(bytes: &[u8]) -> Option<&[u8]> {
        Some(bytes)
    }
}

impl<const N: usize> Recordable for &'static [u8; N] {
    fn to_bytes<'a>(value: &'a &[u8; N]) -> Cow<'a, [u8]> {
        Cow::Borrowed(*value)
    }

    fn of_bytes(bytes: &[u8]) -> Option<&[u8; N]> {
        bytes.try_into().ok()
    }
}

impl Recordable for &'static str {
    fn to_bytes<'a>(value: &'a &str) -> Cow<'a, [u8]> {
        Cow::Borrowed(value.as_bytes())
    }

    fn of_bytes(bytes: &[u8]) -> Option<&str> {
        str::from_utf8(bytes).ok()
    }
}

impl Recordable for u64 {
    fn to_bytes(value: &u64) -> Cow<'_, [u8]> {
        Cow::Owned(value.to_le_bytes().to_vec())
    }

    fn of_bytes(bytes: &[u8]) -> Option<u64> {
        Some(Self::from_le_bytes(bytes.try_into().ok()?))
    }
}

impl Recordable for () {
    fn to_bytes((): &()) -> Cow<'_, [u8]> {
        Cow::Borrowed(&[])
    }

    fn of_bytes(bytes: &[u8]) -> Option<()> {
        bytes.is_empty().then_some(())
    }
}

/// The length of the first, then both.
impl Recordable for (&'static str, &'static str) {
    fn to_bytes<'a>((first, second): &'a (&str, &str)) -> Cow<'a, [u8]> {
        let len = (first.len() as u64).to_le_bytes();
        Cow::Owned([&len, first.as_bytes(), second.as_bytes()].concat())
    }

    fn of_bytes(bytes: &[u8]) -> Option<(&str, &str)> {
        let (len, rest) = bytes.split_first_chunk()?;
        let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
        str::from_utf8(rest).ok()?.split_at_checked(len)
    }
}
