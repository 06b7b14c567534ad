//! The local side of a merge.

use std::collections::BTreeMap;
use std::mem;

use bailiwick_core::merge::{Concurrent, Footprint, MergeError, merge};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::ClientVersion;
use bytes::Bytes;

use super::unintegrated::{Unintegrated, decode, form};
use crate::local::{LocalError, Snapshot};

/// Local changesets that the server has not integrated, in the form that follows what was merged with them.
///
/// Those that nothing can conflict with are not read: a merge would change neither them nor the other side.
pub(super) struct LocalSide<'a> {
    snapshot: &'a Snapshot,
    own: FileIdent,
    unintegrated: &'a mut Unintegrated,
    is_known: bool,
    decoded: BTreeMap<ClientVersion, Concurrent>,
    /// Of those that are decoded, in bytes, encoded.
    len: usize,
    /// Those that were changed, encoded again.
    changed: BTreeMap<ClientVersion, Bytes>,
}

/// Changesets that meet the received ones at once.
#[derive(Default)]
struct Page {
    versions: Vec<ClientVersion>,
    changesets: Vec<Concurrent>,
}

/// Why local and received changesets cannot be merged.
pub(super) enum MeetingError {
    /// The file cannot be read.
    Local(LocalError),
    /// One of this version contradicts a received one.
    Contradiction(ClientVersion, MergeError),
}

impl<'a> LocalSide<'a> {
    pub(super) fn new(
        snapshot: &'a Snapshot,
        own: FileIdent,
        unintegrated: &'a mut Unintegrated,
    ) -> Self {
        Self {
            snapshot,
            own,
            unintegrated,
            is_known: false,
            decoded: BTreeMap::new(),
            len: 0,
            changed: BTreeMap::new(),
        }
    }

    /// Merges received changesets with those here that were not integrated when the server had integrated `base`,
    /// which is never less than it was before.
    pub(super) fn meet(
        &mut self,
        base: ClientVersion,
        received: &mut [Concurrent],
    ) -> Result<(), MeetingError> {
        if !self.is_known {
            self.unintegrated.read(self.snapshot, base)?;
            self.is_known = true;
        }
        let footprint = Footprint::of(received.iter().map(Concurrent::changeset));
        let mut page = Page::default();
        for version in self.unintegrated.meeting(&footprint, base) {
            if let Some(changeset) = self.take(version)? {
                page.versions.push(version);
                page.changesets.push(changeset);
            }
            // Merging piece by piece comes to the same as merging everything at once.
            if self.len > self.unintegrated.bounds().local_len {
                self.merge(mem::take(&mut page), received)?;
                self.encode();
            }
        }
        self.merge(page, received)
    }

    /// What became of those that were changed and that are still needed.
    pub(super) fn changed_after(
        mut self,
        trimmed: Option<ClientVersion>,
    ) -> Vec<(ClientVersion, Bytes)> {
        self.encode();
        let is_needed = |version| trimmed.is_none_or(|last| version > last);
        let changed = mem::take(&mut self.changed).into_iter();
        changed.filter(|(version, _)| is_needed(*version)).collect()
    }

    /// A changeset as it is now; `None` if it was trimmed, or if nothing is left of it.
    fn take(&mut self, version: ClientVersion) -> Result<Option<Concurrent>, LocalError> {
        if let Some(changeset) = self.decoded.remove(&version) {
            return Ok(Some(changeset));
        }
        let Some(entry) = self.snapshot.history_entry(version)? else { return Ok(None) };
        let bytes = self.changed.get(&version).or(form(&entry));
        let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
        self.len += bytes.len();
        Ok(Some(Concurrent::new(decode(bytes)?, entry.origin_timestamp, self.own)))
    }

    fn merge(&mut self, page: Page, received: &mut [Concurrent]) -> Result<(), MeetingError> {
        let Page { versions, mut changesets } = page;
        merge(&mut changesets, received)
            .map_err(|error| MeetingError::Contradiction(versions[error.local.changeset], error))?;
        self.decoded.extend(versions.into_iter().zip(changesets));
        Ok(())
    }

    /// Makes room: what is decoded becomes bytes again.
    fn encode(&mut self) {
        let changed = mem::take(&mut self.decoded).into_iter().filter(|(_, it)| it.is_dirty());
        let encoded = changed.map(|(version, it)| (version, it.changeset().encode().into()));
        self.changed.extend(encoded);
        self.len = 0;
    }
}

impl Drop for LocalSide<'_> {
    fn drop(&mut self) {
        self.unintegrated.shrink();
    }
}

impl From<LocalError> for MeetingError {
    fn from(error: LocalError) -> Self {
        Self::Local(error)
    }
}
