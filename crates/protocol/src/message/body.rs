//! The body of UPLOAD and DOWNLOAD: as it is, or as one zlib stream.
//!
//! Spec: wire protocol, section 4.3.

mod sample;

use std::cell::RefCell;

use bytes::Bytes;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::message::entry::{self, Entry};
use crate::message::error::{InflateError, ParseError};
use crate::message::head::{self, Head, size};
use crate::message::limits::{COMPRESSION_THRESHOLD, MAX_HEADER_LEN};

/// The body of a message in the form in which it travels, so that a message is printed as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// As it is.
    Plain(Bytes),
    /// One zlib stream.
    Compressed {
        /// The length that the sender announces; it may be any number.
        uncompressed_len: u64,
        /// The stream.
        bytes: Bytes,
    },
}

impl Default for Body {
    /// No entries.
    fn default() -> Self {
        Self::Plain(Bytes::new())
    }
}

impl Body {
    /// The body for a plain one: compressed if it is longer than [`COMPRESSION_THRESHOLD`] and that makes it
    /// smaller, unless a sample of it looks random.
    pub fn compress(plain: Bytes) -> Self {
        let sample = || sample::looks_random([&*plain].into_iter());
        match deflate(plain.len(), sample, |deflater| deflater.write(&plain)) {
            Some(bytes) => {
                Self::Compressed { uncompressed_len: size(plain.len()), bytes: bytes.into() }
            }
            None => Self::Plain(plain),
        }
    }

    /// The body that holds `entries`, compressed as [`compress`](Self::compress) does.
    ///
    /// To send them at once, without a copy in between, see [`DownloadHeader::print_with`] and
    /// [`UploadHeader::print_with`].
    ///
    /// [`DownloadHeader::print_with`]: crate::message::DownloadHeader::print_with
    /// [`UploadHeader::print_with`]: crate::message::UploadHeader::print_with
    pub fn from_entries<E: Entry>(entries: &[E]) -> Self {
        let plain_len = entries.iter().map(entry::printed_len).sum();
        if let Some(bytes) = deflate_entries(entries, plain_len) {
            return Self::Compressed { uncompressed_len: size(plain_len), bytes: bytes.into() };
        }
        let mut plain = Vec::with_capacity(plain_len);
        for entry in entries {
            entry::push(&mut plain, entry);
        }
        Self::Plain(plain.into())
    }

    /// The length on the wire, in bytes.
    pub fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) | Self::Compressed { bytes, .. } => bytes.len(),
        }
    }

    /// The length of the plain body, in bytes, as the sender announces it.
    pub fn plain_len(&self) -> u64 {
        match self {
            Self::Plain(bytes) => size(bytes.len()),
            Self::Compressed { uncompressed_len, .. } => *uncompressed_len,
        }
    }

    /// Whether there is nothing after the header, and so no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The plain body, which is at most `limit` bytes long.
    ///
    /// The announced length is the sender's word: it is compared with `limit` and with what the bytes on the wire
    /// can possibly yield before that much memory is taken. A plain body is returned without a copy.
    ///
    /// # Errors
    ///
    /// Unless the bytes are exactly one zlib stream that yields exactly the announced length.
    pub fn inflate(&self, limit: usize) -> Result<Bytes, InflateError> {
        match self {
            Self::Plain(bytes) if bytes.len() <= limit => Ok(bytes.clone()),
            Self::Plain(bytes) => {
                Err(InflateError::TooLarge { announced: size(bytes.len()), limit })
            }
            Self::Compressed { uncompressed_len, bytes } => {
                inflate(bytes, *uncompressed_len, limit)
            }
        }
    }

    /// The fields that describe the body: `is_compressed uncompressed_size compressed_size`.
    pub(crate) fn fields(&self) -> [u64; 3] {
        match self {
            Self::Plain(bytes) => [0, size(bytes.len()), 0],
            Self::Compressed { uncompressed_len, bytes } => {
                [1, *uncompressed_len, size(bytes.len())]
            }
        }
    }

    /// The bytes on the wire.
    pub(crate) fn bytes(&self) -> &Bytes {
        match self {
            Self::Plain(bytes) | Self::Compressed { bytes, .. } => bytes,
        }
    }
}

/// What a header says of the body: `is_compressed uncompressed_size compressed_size`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Description {
    is_compressed: bool,
    uncompressed_len: u64,
    compressed_len: u64,
}

impl Description {
    pub(crate) fn parse(head: &mut Head<'_>) -> Result<Self, ParseError> {
        let is_compressed = head.flag("is_compressed")?;
        let uncompressed_len = head.number("uncompressed_body_size")?;
        let compressed_len = head.number("compressed_body_size")?;
        if !is_compressed && compressed_len != 0 {
            return Err(head.out_of_range("compressed_body_size"));
        }
        Ok(Self { is_compressed, uncompressed_len, compressed_len })
    }

    /// The body, if it has the size that it should have.
    pub(crate) fn check(self, message: &'static str, body: Bytes) -> Result<Body, ParseError> {
        let Self { is_compressed, uncompressed_len, compressed_len } = self;
        if is_compressed {
            head::check_size(message, compressed_len, &body)?;
            Ok(Body::Compressed { uncompressed_len, bytes: body })
        } else {
            head::check_size(message, uncompressed_len, &body)?;
            Ok(Body::Plain(body))
        }
    }
}

/// Prints a message straight from the entries of its body: each changeset is compressed once, or else copied once.
///
/// `push_header` appends the header that ends with the fields that it is given.
pub(crate) fn print_with<E: Entry>(
    entries: &[E],
    push_header: impl FnOnce(&mut Vec<u8>, [u64; 3]),
) -> Vec<u8> {
    let plain_len = entries.iter().map(entry::printed_len).sum();
    let compressed = deflate_entries(entries, plain_len);
    let body_len = compressed.as_ref().map_or(plain_len, Vec::len);
    let mut out = Vec::with_capacity(MAX_HEADER_LEN + body_len);
    if let Some(compressed) = compressed {
        push_header(&mut out, [1, size(plain_len), size(compressed.len())]);
        out.extend_from_slice(&compressed);
    } else {
        push_header(&mut out, [0, size(plain_len), 0]);
        for entry in entries {
            entry::push(&mut out, entry);
        }
    }
    out
}

/// Compresses the entries, which are `plain_len` bytes in all, if that is worth it.
fn deflate_entries<E: Entry>(entries: &[E], plain_len: usize) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let sample = || sample::looks_random(entries.iter().map(|entry| &**entry.changeset()));
    deflate(plain_len, sample, |deflater| {
        entries.iter().all(|entry| {
            head.clear();
            entry::push_head(&mut head, entry);
            deflater.write(&head) && deflater.write(entry.changeset())
        })
    })
}

/// Compresses what `feed` writes, `plain_len` bytes in all, if that is worth it. `feed` gives up, by returning
/// false, once a write fails.
fn deflate(
    plain_len: usize,
    looks_random: impl FnOnce() -> bool,
    feed: impl FnOnce(&mut Deflater<'_>) -> bool,
) -> Option<Vec<u8>> {
    if plain_len <= COMPRESSION_THRESHOLD || looks_random() {
        return None;
    }
    DEFLATE.with_borrow_mut(|stream| {
        stream.reset();
        let mut deflater = Deflater { stream, out: Vec::with_capacity(plain_len - 1) };
        if feed(&mut deflater) { deflater.finish() } else { None }
    })
}

thread_local! {
    /// As devices do it: the fastest level, a full header. Kept, since it takes some hundred KB, and longer to allocate
    /// than to compress an ordinary message with.
    static DEFLATE: RefCell<Compress> = RefCell::new(Compress::new(Compression::fast(), true));
    /// Kept for the same reason.
    static INFLATE: RefCell<Decompress> = RefCell::new(Decompress::new(true));
}

/// A zlib stream that grows up to a fixed length.
struct Deflater<'a> {
    stream: &'a mut Compress,
    out: Vec<u8>,
}

impl Deflater<'_> {
    /// Whether there was room for what `piece` added.
    fn write(&mut self, mut piece: &[u8]) -> bool {
        while !piece.is_empty() {
            let before = self.stream.total_in();
            let status = self.stream.compress_vec(piece, &mut self.out, FlushCompress::None);
            let read = usize::try_from(self.stream.total_in() - before);
            match (status, read) {
                (Ok(_), Ok(read)) if read > 0 => piece = &piece[read..],
                _ => return false,
            }
        }
        true
    }

    fn finish(mut self) -> Option<Vec<u8>> {
        match self.stream.compress_vec(&[], &mut self.out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => {
                // It had room for as much as the plain body.
                self.out.shrink_to_fit();
                Some(self.out)
            }
            _ => None,
        }
    }
}

/// No zlib stream yields more than this for each of its bytes: the longest match, 258, from a quarter of one.
const MAX_RATIO: usize = 1032;

fn inflate(bytes: &[u8], announced: u64, limit: usize) -> Result<Bytes, InflateError> {
    let announced_len = usize::try_from(announced).ok().filter(|&len| len <= limit);
    let len = announced_len.ok_or(InflateError::TooLarge { announced, limit })?;
    if len > bytes.len().saturating_mul(MAX_RATIO) {
        return Err(InflateError::Implausible { compressed: bytes.len(), announced });
    }
    // One more than announced, so that it shows if there is more.
    let mut plain = Vec::with_capacity(len.saturating_add(1));
    let has_ended = INFLATE.with_borrow_mut(|stream| {
        stream.reset(true);
        inflate_to(&mut plain, stream, bytes, len)
    })?;
    if plain.len() > len || (has_ended && plain.len() < len) {
        Err(InflateError::WrongLength { announced, actual: plain.len() })
    } else if has_ended {
        Ok(plain.into())
    } else {
        Err(InflateError::WrongEnd)
    }
}

/// Whether the stream ends where `bytes` do; gives up once there is more than `len` of it.
fn inflate_to(
    plain: &mut Vec<u8>,
    stream: &mut Decompress,
    bytes: &[u8],
    len: usize,
) -> Result<bool, InflateError> {
    let mut rest = bytes;
    loop {
        let before = (rest.len(), plain.len());
        let read_before = stream.total_in();
        let status = stream
            .decompress_vec(rest, plain, FlushDecompress::Finish)
            .map_err(InflateError::Corrupt)?;
        let read = usize::try_from(stream.total_in() - read_before)
            .expect("no more is read than there is in memory");
        rest = &rest[read..];
        if status == Status::StreamEnd {
            return Ok(rest.is_empty());
        }
        if plain.len() > len || (rest.len(), plain.len()) == before {
            return Ok(false);
        }
    }
}
