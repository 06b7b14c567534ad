//! The bytes of a file, in pages that copies share.

use std::io;
use std::ops::Range;

use bytes::Bytes;

/// A file's contents. A page that was never written takes no memory and reads as zeros.
#[derive(Clone, Debug, Default)]
pub(super) struct Image {
    len: usize,
    pages: Vec<Option<Bytes>>,
}

/// What databases write at once: such a write is taken over without another copy.
pub(super) const PAGE_LEN: usize = 4096;

static ZEROS: [u8; PAGE_LEN] = [0; PAGE_LEN];

impl Image {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn set_len(&mut self, len: usize) {
        self.pages.resize(len.div_ceil(PAGE_LEN), None);
        let (last, kept) = (len / PAGE_LEN, len % PAGE_LEN);
        if len < self.len
            && kept > 0
            && let Some(page) = &mut self.pages[last]
        {
            // What comes after the end reads as zeros if the file grows again.
            *page = [&page[..kept], &ZEROS[kept..]].concat().into();
        }
        self.len = len;
    }

    /// Writes bytes; a file that ends before them grows.
    pub(super) fn write(&mut self, offset: usize, data: &Bytes) {
        let end = offset + data.len();
        if end > self.len {
            self.set_len(end);
        }
        for part in parts(offset..end) {
            let bytes = data.slice(part.start - offset..part.end - offset);
            let page = &mut self.pages[part.start / PAGE_LEN];
            *page = Some(if bytes.len() == PAGE_LEN {
                bytes
            } else {
                let mut whole = page.as_deref().unwrap_or(&ZEROS).to_vec();
                let start = part.start % PAGE_LEN;
                whole[start..start + bytes.len()].copy_from_slice(&bytes);
                whole.into()
            });
        }
    }

    pub(super) fn read(&self, offset: usize, out: &mut [u8]) -> io::Result<()> {
        let end = offset.checked_add(out.len()).filter(|end| *end <= self.len);
        for part in parts(offset..end.ok_or(io::ErrorKind::UnexpectedEof)?) {
            let page = self.pages[part.start / PAGE_LEN].as_deref().unwrap_or(&ZEROS);
            let start = part.start % PAGE_LEN;
            out[part.start - offset..part.end - offset]
                .copy_from_slice(&page[start..start + part.len()]);
        }
        Ok(())
    }

    /// How many pages would take memory for the first time if these bytes were written.
    pub(super) fn missing_pages(&self, range: Range<usize>) -> usize {
        let is_missing =
            |part: &Range<usize>| !matches!(self.pages.get(part.start / PAGE_LEN), Some(Some(_)));
        parts(range).filter(is_missing).count()
    }
}

/// The parts of a range of bytes that lie in one page each.
fn parts(range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        let end = ((start / PAGE_LEN + 1) * PAGE_LEN).min(range.end);
        let part = start..end;
        start = end;
        (!part.is_empty()).then_some(part)
    })
}
