//! What redb takes for its file: the part behind the head, decrypted.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use redb::StorageBackend;

use super::cipher::{BLOCK_LEN, Cipher, SECTOR_LEN};
use super::head::HEAD_LEN;

/// Encrypted at a time, so that a large write needs no second copy of its size.
const CHUNK_LEN: usize = 1 << 20;

/// The part of a file behind its head.
#[derive(Debug)]
pub(super) struct Body<B> {
    file: Arc<B>,
    cipher: Option<Cipher>,
    /// Held alone to change a part of a block: nobody else may read or change that block meanwhile.
    blocks: RwLock<()>,
}

impl<B: StorageBackend> Body<B> {
    pub(super) fn new(file: Arc<B>, cipher: Option<Cipher>) -> Self {
        Self { file, cipher, blocks: RwLock::new(()) }
    }

    /// The sectors that hold a span, decrypted.
    fn sectors(&self, cipher: &Cipher, span: &Span) -> io::Result<Vec<u8>> {
        let mut sectors = vec![0; span.sectors_len()];
        self.file.read(place(span.first_sector() * SECTOR_LEN as u64)?, &mut sectors)?;
        cipher.decrypt(&mut sectors, span.first_sector());
        Ok(sectors)
    }

    fn write_sectors(&self, cipher: &Cipher, span: &Span, data: &[u8]) -> io::Result<()> {
        let _shared = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let mut offset = span.offset;
        for chunk in data.chunks(CHUNK_LEN) {
            let mut sectors = chunk.to_vec();
            cipher.encrypt(&mut sectors, offset / SECTOR_LEN as u64);
            self.file.write(place(offset)?, &sectors)?;
            offset += chunk.len() as u64;
        }
        Ok(())
    }

    /// Only the blocks that hold the range are written: the others of their sectors stay as they are, bit by
    /// bit, and a crash can't tear them.
    fn write_blocks(&self, cipher: &Cipher, span: &Span, data: &[u8]) -> io::Result<()> {
        let _alone = self.blocks.write().unwrap_or_else(PoisonError::into_inner);
        let mut sectors = self.sectors(cipher, span)?;
        sectors[span.within()].copy_from_slice(data);
        cipher.encrypt(&mut sectors, span.first_sector());
        let within = span.within();
        let start = within.start - within.start % BLOCK_LEN;
        let end = within.end.next_multiple_of(BLOCK_LEN);
        let offset = span.first_sector() * SECTOR_LEN as u64 + start as u64;
        self.file.write(place(offset)?, &sectors[start..end])
    }
}

impl<B: StorageBackend> StorageBackend for Body<B> {
    fn len(&self) -> io::Result<u64> {
        Ok(self.file.len()?.saturating_sub(HEAD_LEN as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let Some(cipher) = &self.cipher else { return self.file.read(place(offset)?, out) };
        let _shared = self.blocks.read().unwrap_or_else(PoisonError::into_inner);
        let span = Span { offset, len: out.len() };
        if span.is_sectors() {
            self.file.read(place(offset)?, out)?;
            cipher.decrypt(out, span.first_sector());
        } else {
            out.copy_from_slice(&self.sectors(cipher, &span)?[span.within()]);
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.file.set_len(place(len)?)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Some(cipher) = &self.cipher else { return self.file.write(place(offset)?, data) };
        let span = Span { offset, len: data.len() };
        if span.is_sectors() {
            self.write_sectors(cipher, &span, data)
        } else {
            self.write_blocks(cipher, &span, data)
        }
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

/// Where an offset of redb's is in the file. A damaged file may lead redb anywhere.
fn place(offset: u64) -> io::Result<u64> {
    let error = || io::Error::new(io::ErrorKind::InvalidInput, "there is no such offset");
    offset.checked_add(HEAD_LEN as u64).filter(|place| *place < 1 << 63).ok_or_else(error)
}

/// Some bytes of redb's file.
struct Span {
    offset: u64,
    len: usize,
}

impl Span {
    fn is_sectors(&self) -> bool {
        self.offset.is_multiple_of(SECTOR_LEN as u64) && self.len.is_multiple_of(SECTOR_LEN)
    }

    fn first_sector(&self) -> u64 {
        self.offset / SECTOR_LEN as u64
    }

    /// Where the bytes are in their sectors.
    fn within(&self) -> std::ops::Range<usize> {
        let start = usize::try_from(self.offset % SECTOR_LEN as u64).expect("a sector is short");
        start..start + self.len
    }

    fn sectors_len(&self) -> usize {
        self.within().end.next_multiple_of(SECTOR_LEN)
    }
}
