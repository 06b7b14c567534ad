//! The last entries of a realm, in memory: what most sessions ask for.

use std::collections::VecDeque;

use bailiwick_core::history::{Entry, Scan};
use bailiwick_core::merge::Footprint;
use bailiwick_protocol::version::ServerVersion;
use bytes::Bytes;

/// The entries after `base`, up to the head; encoded once, shared by all readers.
#[derive(Debug)]
pub(super) struct Recent {
    base: ServerVersion,
    entries: VecDeque<(Entry, Footprint)>,
    /// Bytes of the changesets and of their footprints.
    len: usize,
}

/// The last part of the history, for a step to work on.
#[derive(Debug, Default)]
pub(super) struct Excerpt {
    /// All entries after this version are in it.
    pub(super) after: ServerVersion,
    pub(super) entries: Vec<Entry>,
    /// One for each entry.
    pub(super) footprints: Vec<Footprint>,
}

/// How many bytes one realm keeps in memory.
const MAX_LEN: usize = 1 << 20;
/// How many entries one realm keeps in memory.
const MAX_COUNT: usize = 4096;

impl Recent {
    /// Knows nothing before `head`.
    pub(super) fn starting_at(head: ServerVersion) -> Self {
        Self { base: head, entries: VecDeque::new(), len: 0 }
    }

    /// Takes new entries, which follow those that it has, and their footprints.
    pub(super) fn extend(&mut self, entries: &[Entry], footprints: Vec<Footprint>) {
        for (entry, footprint) in entries.iter().zip(footprints) {
            self.len += entry.changeset.len() + footprint.len();
            // A copy: the original is a part of the message that brought it, however large that was.
            let changeset = Bytes::copy_from_slice(&entry.changeset);
            self.entries.push_back((Entry { changeset, ..entry.clone() }, footprint));
        }
        while (self.len > MAX_LEN || self.entries.len() > MAX_COUNT)
            && let Some((oldest, footprint)) = self.entries.pop_front()
        {
            self.len -= oldest.changeset.len() + footprint.len();
            self.base = oldest.version.version;
        }
    }

    /// The entries after a version, or as many as it has.
    pub(super) fn excerpt(&self, after: ServerVersion) -> Excerpt {
        let after = after.max(self.base);
        let (entries, footprints) = self.after(after).into_iter().flatten().cloned().unzip();
        Excerpt { after, entries, footprints }
    }

    /// The entries after a version, if it has them all.
    fn after(&self, version: ServerVersion) -> Option<impl Iterator<Item = &(Entry, Footprint)>> {
        let skip = version.0.checked_sub(self.base.0)?;
        let skip = usize::try_from(skip).ok()?.min(self.entries.len());
        Some(self.entries.range(skip..))
    }

    /// Feeds a scan, if it has all that the scan needs; answers with the cumulative length at its end,
    /// or the largest number if the scan was at the head.
    pub(super) fn feed(&self, scan: &mut Scan) -> Option<u64> {
        let mut sent_len = u64::MAX;
        for (entry, _) in self.after(scan.cursor().server_version)? {
            sent_len = entry.cumulative_len;
            if !scan.push(entry) {
                break;
            }
        }
        Some(sent_len)
    }
}
