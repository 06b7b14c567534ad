//! What a batch changes in the tables, as bytes: to do the same again after a crash.
//!
//! Numbers have 8 bytes, little-endian.
//!
//! ```text
//! change       kind (1 byte: 1 put, 2 remove), table (1 byte), key, value (empty if it is removed)
//! key, value   length, bytes
//! ```
//!
//! A change says what is there afterwards, whatever was there before. So a list of changes may be carried out
//! again on tables that have seen some of them, or all: they end the same.

use std::borrow::Cow;

use redb::Value;

use crate::store::StorageError;

/// The changes of one batch, in order.
#[derive(Debug)]
pub(super) struct Redo {
    bytes: Vec<u8>,
    /// How long `bytes` may become.
    max_len: usize,
    is_complete: bool,
}

/// One change of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Change<'a> {
    /// The table's number.
    pub(super) table: u8,
    pub(super) key: &'a [u8],
    /// What is there from now on, if anything.
    pub(super) value: Option<&'a [u8]>,
}

const PUT: u8 = 1;
const REMOVE: u8 = 2;
const DAMAGED: StorageError = StorageError::Corrupt("a change in the log");

impl Redo {
    /// No changes yet. More than `max_len` bytes are not kept.
    pub(super) fn new(max_len: usize) -> Self {
        Self { bytes: Vec::new(), max_len, is_complete: true }
    }

    /// The changes; `None` if they are too long.
    pub(super) fn bytes(&self) -> Option<&[u8]> {
        self.is_complete.then_some(&self.bytes)
    }

    pub(super) fn push(&mut self, change: Change<'_>) {
        let value = change.value.unwrap_or_default();
        let len = 2 + 8 + change.key.len() + 8 + value.len();
        if !self.is_complete || len > self.max_len - self.bytes.len() {
            (self.is_complete, self.bytes) = (false, Vec::new());
            return;
        }
        self.bytes.reserve(len);
        let kind = if change.value.is_some() { PUT } else { REMOVE };
        self.bytes.extend([kind, change.table]);
        for part in [change.key, value] {
            self.bytes.extend((part.len() as u64).to_le_bytes());
            self.bytes.extend_from_slice(part);
        }
    }
}

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
        match kind {
            PUT => Ok(Self { table, key, value: Some(value) }),
            REMOVE if value.is_empty() => Ok(Self { table, key, value: None }),
            _ => Err(DAMAGED),
        }
    }
}

/// Something in a table that can be told in bytes, and read from any bytes without a panic: redb's own reading
/// trusts them. The bytes of two keys are in the order of the keys, but see the pair.
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

/// The length of the first (big-endian), then both: in order only among those with the same first.
impl Recordable for (&'static str, &'static str) {
    fn to_bytes<'a>((first, second): &'a (&str, &str)) -> Cow<'a, [u8]> {
        let len = (first.len() as u64).to_be_bytes();
        Cow::Owned([&len, first.as_bytes(), second.as_bytes()].concat())
    }

    fn of_bytes(bytes: &[u8]) -> Option<(&str, &str)> {
        let (len, rest) = bytes.split_first_chunk()?;
        let len = usize::try_from(u64::from_be_bytes(*len)).ok()?;
        str::from_utf8(rest).ok()?.split_at_checked(len)
    }
}
