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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;

    use super::*;
    use crate::local::EncryptionKey;

    /// The length of the files here.
    const LEN: usize = 4 * SECTOR_LEN;

    fn encrypted() -> Body<InMemoryBackend> {
        let file = InMemoryBackend::new();
        file.set_len((HEAD_LEN + LEN) as u64).unwrap();
        Body::new(Arc::new(file), Some(Cipher::new(&EncryptionKey::new([7; 64]), &[1; 32])))
    }

    fn read(body: &Body<InMemoryBackend>, offset: usize, len: usize) -> Vec<u8> {
        let mut out = vec![0xaa; len];
        body.read(offset as u64, &mut out).unwrap();
        out
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// Wherever writes begin and end, and whatever was never written, it is as a `Vec`.
        #[test]
        fn it_is_a_vec(writes in prop::collection::vec((0..LEN, 1..2 * SECTOR_LEN, any::<bool>()), 1..12)) {
            let (body, mut model) = (encrypted(), vec![0; LEN]);
            for (byte, (offset, len, aligned)) in (1..).zip(writes) {
                let unit = if aligned { SECTOR_LEN } else { 1 };
                let offset = offset / unit * unit;
                let end = (offset + len).next_multiple_of(unit).min(LEN);
                model[offset..end].fill(byte);
                body.write(offset as u64, &model[offset..end]).unwrap();
                prop_assert!(read(&body, 0, LEN) == model);
                prop_assert!(read(&body, offset, end - offset) == model[offset..end]);
            }
            // Beyond what is kept there is nothing when the file grows again.
            body.set_len(SECTOR_LEN as u64).unwrap();
            body.set_len(LEN as u64).unwrap();
            model[SECTOR_LEN..].fill(0);
            prop_assert!(read(&body, 0, LEN) == model);
            prop_assert_eq!(body.len().unwrap(), LEN as u64);
        }
    }

    #[test]
    fn writers_and_readers_of_one_block_do_not_disturb_each_other() {
        let body = encrypted();
        std::thread::scope(|scope| {
            for offset in [3, 7, 11] {
                let body = &body;
                scope.spawn(move || {
                    for byte in 0..100 {
                        body.write(offset, &[byte; 4]).unwrap();
                        let mut found = [0xaa; 4];
                        body.read(offset, &mut found).unwrap();
                        assert_eq!(found, [byte; 4]);
                    }
                });
            }
        });
        assert_eq!(read(&body, 0, 16), [[0; 3].as_slice(), &[99; 12], &[0]].concat());
    }

    #[test]
    fn offsets_beyond_all_files_are_errors() {
        let body = encrypted();
        for offset in [LEN as u64, 1 << 40, (1 << 63) - 1, u64::MAX - 5, u64::MAX] {
            for len in [1, SECTOR_LEN] {
                assert!(body.read(offset, &mut vec![0; len]).is_err(), "{offset}");
                assert!(body.write(offset, &vec![0; len]).is_err(), "{offset}");
            }
        }
    }
}
