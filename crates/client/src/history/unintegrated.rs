//! What was written here and the server has not integrated: which of it a DOWNLOAD can conflict with.

use bailiwick_core::EncodingError;
use bailiwick_core::merge::{Footprint, Footprints};
use bailiwick_protocol::changeset::{Changeset, DecodeLimits};
use bailiwick_protocol::version::ClientVersion;
use bytes::Bytes;

use crate::local::{HistoryEntry, LocalError, Snapshot};

/// Which objects the local changesets are about that wait for the server to integrate them.
///
/// A device that was offline for long may have a great many of them, and gets DOWNLOADs all the time until the server
/// has them all. What one integration leaves here saves the next one from reading and decoding those that it cannot
/// conflict with. It is of one file, and of one history of it: a client reset begins another. It may be dropped at any
/// time, since the file says the same.
#[derive(Debug, Default)]
pub struct Unintegrated {
    bounds: Bounds,
    /// What is after this version, and not after `until`, is here.
    after: ClientVersion,
    until: ClientVersion,
    footprints: Footprints,
    /// The last version for whose objects there was room.
    kept: ClientVersion,
}

/// How much memory an integration takes at a time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Received changesets of more bytes are merged piece by piece.
    pub(super) received_len: usize,
    /// Local changesets of more bytes meet them piece by piece.
    pub(super) local_len: usize,
    /// Places that local changesets are about, from one DOWNLOAD to the next.
    pub(super) places: usize,
}

impl Default for Bounds {
    /// Decoded changesets take much more memory than their bytes; a place takes about 24.
    fn default() -> Self {
        Self { received_len: 1 << 20, local_len: 4 << 20, places: 1 << 19 }
    }
}

impl Unintegrated {
    #[cfg(test)]
    pub(super) fn within(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Learns what was written since it was asked the last time.
    pub(super) fn read(
        &mut self,
        snapshot: &Snapshot,
        integrated: ClientVersion,
    ) -> Result<(), LocalError> {
        self.forget(integrated);
        for entry in snapshot.history(self.until)? {
            let entry = entry?;
            if let Some(form) = form(&entry) {
                self.footprints.insert(entry.version.0, &Footprint::of([&decode(form)?]));
            }
            self.until = entry.version;
            if self.footprints.len() <= self.bounds.places {
                self.kept = entry.version;
            }
        }
        Ok(())
    }

    /// Those after `base` that can conflict with something of this footprint, ascending. Some of them may be trimmed.
    pub(super) fn meeting(
        &self,
        footprint: &Footprint,
        base: ClientVersion,
    ) -> impl Iterator<Item = ClientVersion> + use<> {
        self.footprints.meeting(footprint, base.0).into_iter().map(ClientVersion)
    }

    /// Forgets what there is no room for until the next DOWNLOAD comes.
    pub(super) fn shrink(&mut self) {
        if self.kept < self.until {
            let kept = self.kept.0;
            self.footprints.retain(|version| version <= kept);
            self.until = self.kept;
        }
    }

    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Forgets what nothing will be merged with any more, once it is worth it.
    fn forget(&mut self, integrated: ClientVersion) {
        if integrated < self.after || integrated >= self.until {
            let (after, bounds) = (integrated, self.bounds);
            *self = Self { bounds, after, until: after, kept: after, ..Self::default() };
        } else if integrated.0 - self.after.0 > self.until.0 - integrated.0 {
            self.footprints.retain(|version| version > integrated.0);
            self.after = integrated;
        }
    }
}

/// What is left of a changeset that the server gets; `None` if nothing is.
pub(super) fn form(entry: &HistoryEntry) -> Option<&Bytes> {
    let form = entry.reciprocal.as_ref().unwrap_or(&entry.changeset);
    (entry.is_uploadable() && !form.is_empty()).then_some(form)
}

/// Decodes what this device has written.
pub(super) fn decode(form: &[u8]) -> Result<Changeset, LocalError> {
    let changeset = Changeset::decode_within(form, &DecodeLimits::NONE);
    Ok(changeset.map_err(|_| EncodingError::Invalid("a changeset in the history"))?)
}
