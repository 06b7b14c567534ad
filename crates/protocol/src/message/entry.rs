//! What the bodies of UPLOAD and DOWNLOAD hold: entries, each some numbers and a changeset, back to back.
//!
//! Spec: wire protocol, sections 4.1 and 4.2.

use std::iter::FusedIterator;
use std::marker::PhantomData;

use bytes::Bytes;

use crate::ident::FileIdent;
use crate::message::decimal::{self, NumberFault};
use crate::message::error::{EntryError, EntryFault};
use crate::message::head::size;
use crate::version::{ClientVersion, OriginTimestamp, ServerVersion};

/// One changeset of an UPLOAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadEntry {
    /// The version that the changeset made on the device.
    pub client_version: ClientVersion,
    /// The last server version that the device had integrated when it made the changeset: what it is based on.
    pub last_integrated_server_version: ServerVersion,
    /// When, by the device's clock.
    pub origin_timestamp: OriginTimestamp,
    /// [`FileIdent::SELF`]; anything else is to be refused.
    pub origin_file_ident: FileIdent,
    /// The changeset. It shares memory with the body that it was read from.
    pub changeset: Bytes,
}

/// One changeset of a DOWNLOAD.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadEntry {
    /// The version of the entry in the partition's history.
    pub server_version: ServerVersion,
    /// The last version of the receiving device that was integrated before this entry.
    pub last_integrated_client_version: ClientVersion,
    /// When it was made, by its author's clock.
    pub origin_timestamp: OriginTimestamp,
    /// The author; [`FileIdent::SERVER`] for the server's own writes. Never the receiver, never 0.
    pub origin_file_ident: FileIdent,
    /// The size of the changeset before compaction, in bytes; its own size if it is not compacted. It only feeds
    /// the device's counters.
    pub original_changeset_len: u64,
    /// The changeset. It shares memory with the body that it was read from.
    pub changeset: Bytes,
}

/// An entry of a body: [`UploadEntry`] or [`DownloadEntry`].
pub trait Entry: sealed::Layout {}

impl Entry for UploadEntry {}
impl Entry for DownloadEntry {}

pub(crate) mod sealed {
    use bytes::Bytes;

    /// How an entry stands on the wire: `Numbers`, the size of the changeset, the changeset.
    pub trait Layout: Sized {
        /// The numbers before the size of the changeset.
        type Numbers: AsRef<[u64]> + AsMut<[u64]> + Default;
        /// Their names.
        const FIELDS: &'static [&'static str];

        fn from_parts(numbers: Self::Numbers, changeset: Bytes) -> Self;
        fn numbers(&self) -> Self::Numbers;
        fn changeset(&self) -> &Bytes;
    }
}

impl sealed::Layout for UploadEntry {
    type Numbers = [u64; 4];
    const FIELDS: &'static [&'static str] =
        &["client_version", "server_version", "origin_timestamp", "origin_file_ident"];

    fn from_parts(numbers: [u64; 4], changeset: Bytes) -> Self {
        let [client_version, server_version, origin_timestamp, origin_file_ident] = numbers;
        Self {
            client_version: ClientVersion(client_version),
            last_integrated_server_version: ServerVersion(server_version),
            origin_timestamp: OriginTimestamp(origin_timestamp),
            origin_file_ident: FileIdent(origin_file_ident),
            changeset,
        }
    }

    fn numbers(&self) -> [u64; 4] {
        [
            self.client_version.0,
            self.last_integrated_server_version.0,
            self.origin_timestamp.0,
            self.origin_file_ident.0,
        ]
    }

    fn changeset(&self) -> &Bytes {
        &self.changeset
    }
}

impl sealed::Layout for DownloadEntry {
    type Numbers = [u64; 5];
    const FIELDS: &'static [&'static str] = &[
        "server_version",
        "client_version",
        "origin_timestamp",
        "origin_file_ident",
        "original_changeset_size",
    ];

    fn from_parts(numbers: [u64; 5], changeset: Bytes) -> Self {
        let [server_version, client_version, timestamp, file_ident, original_changeset_len] =
            numbers;
        Self {
            server_version: ServerVersion(server_version),
            last_integrated_client_version: ClientVersion(client_version),
            origin_timestamp: OriginTimestamp(timestamp),
            origin_file_ident: FileIdent(file_ident),
            original_changeset_len,
            changeset,
        }
    }

    fn numbers(&self) -> [u64; 5] {
        [
            self.server_version.0,
            self.last_integrated_client_version.0,
            self.origin_timestamp.0,
            self.origin_file_ident.0,
            self.original_changeset_len,
        ]
    }

    fn changeset(&self) -> &Bytes {
        &self.changeset
    }
}

/// The entries of a plain body, in order. It ends after the first error.
#[derive(Clone, Debug)]
pub struct Entries<E> {
    body: Bytes,
    offset: usize,
    index: usize,
    entry: PhantomData<fn() -> E>,
}

impl<E: Entry> Entries<E> {
    /// The entries of `body`, which is plain. Nothing is copied.
    pub fn new(body: Bytes) -> Self {
        Self { body, offset: 0, index: 0, entry: PhantomData }
    }

    fn read(&mut self) -> Result<E, EntryError> {
        let mut numbers = E::Numbers::default();
        for (slot, field) in numbers.as_mut().iter_mut().zip(E::FIELDS) {
            *slot = self.number(field)?;
        }
        let announced = self.number(CHANGESET_SIZE)?;
        let left = self.body.len() - self.offset;
        let Some(len) = usize::try_from(announced).ok().filter(|&len| len <= left) else {
            return Err(self.error(CHANGESET_SIZE, EntryFault::Truncated { announced, left }));
        };
        let changeset = self.body.slice(self.offset..self.offset + len);
        self.offset += len;
        Ok(E::from_parts(numbers, changeset))
    }

    /// The number at the offset, which moves over it and the space after it.
    fn number(&mut self, field: &'static str) -> Result<u64, EntryError> {
        let input = &self.body[self.offset..];
        let read = decimal::read(input).and_then(|(number, rest)| match rest {
            [b' ', rest @ ..] => Ok((number, input.len() - rest.len())),
            _ => Err(NumberFault::Separator),
        });
        let (number, len) = read.map_err(|fault| self.error(field, fault.into()))?;
        self.offset += len;
        Ok(number)
    }

    fn error(&self, field: &'static str, fault: EntryFault) -> EntryError {
        EntryError { index: self.index, offset: self.offset, field, fault }
    }
}

const CHANGESET_SIZE: &str = "changeset_size";

impl<E: Entry> Iterator for Entries<E> {
    type Item = Result<E, EntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.offset == self.body.len() {
            return None;
        }
        let entry = self.read();
        match entry {
            Ok(_) => self.index += 1,
            Err(_) => self.offset = self.body.len(),
        }
        Some(entry)
    }
}

impl<E: Entry> FusedIterator for Entries<E> {}

/// The length of an entry on the wire.
pub(crate) fn printed_len<E: Entry>(entry: &E) -> usize {
    let changeset_len = entry.changeset().len();
    let numbers = entry.numbers();
    let numbers = numbers.as_ref().iter().copied().chain([size(changeset_len)]);
    numbers.map(|number| decimal::len(number) + 1).sum::<usize>() + changeset_len
}

/// Appends everything of an entry but its changeset.
pub(crate) fn push_head<E: Entry>(out: &mut Vec<u8>, entry: &E) {
    let numbers = entry.numbers();
    for number in numbers.as_ref().iter().copied().chain([size(entry.changeset().len())]) {
        decimal::push(out, number);
        out.push(b' ');
    }
}

/// Appends an entry.
pub(crate) fn push<E: Entry>(out: &mut Vec<u8>, entry: &E) {
    push_head(out, entry);
    out.extend_from_slice(entry.changeset());
}
