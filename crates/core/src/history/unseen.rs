//! What the author of an upload has not seen of the history, and how the two are merged.
//!
//! Spec: server history, section 5; merge, section 8.

use std::mem;
use std::ops::Range;

use bailiwick_protocol::changeset::{Changeset, DecodeError, DecodeLimits};
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{OriginTimestamp, ServerVersion};
use bytes::Bytes;

use super::Entry;
use crate::merge::{Concurrent, Footprint, MergeError, merge};

/// What others wrote in a part of the history, in the form that is reciprocal to one client file.
///
/// A device that comes with a long queue uploads it in many pieces, all of which are concurrent with the same entries.
/// What one integration leaves here saves the next one from reading and decoding them again, between all those that
/// the device has uploaded meanwhile. It may be dropped at any time: the history says the same.
#[derive(Clone, Debug, Default)]
pub struct Unseen {
    /// What is after this version, and not after `until`, is here.
    after: ServerVersion,
    until: ServerVersion,
    /// Ascending.
    items: Vec<Item>,
    /// Bytes of all that is here, and of the forms alone.
    len: usize,
    forms_len: usize,
}

#[derive(Clone, Debug)]
struct Item {
    version: ServerVersion,
    author: FileIdent,
    timestamp: OriginTimestamp,
    /// What has to be read again if the footprints meet, since there was no room for it.
    form: Option<Bytes>,
    footprint: Footprint,
}

/// Bytes of forms that are kept. Most are never looked at: what the device did elsewhere does not meet them.
const MAX_FORMS_LEN: usize = 1 << 20;
/// Bytes from which on nothing of it is worth its memory.
const MAX_LEN: usize = 8 << 20;

impl Unseen {
    /// The version after which there are entries that it does not tell of, for an upload that is based on `base`.
    pub fn reads_after(&self, base: ServerVersion) -> ServerVersion {
        if self.after <= base { self.until.max(base) } else { base }
    }

    /// The last version that it tells of.
    pub(super) fn until(&self) -> ServerVersion {
        self.until
    }

    /// How many entries need not be read again.
    pub fn entry_count(&self) -> u64 {
        self.until.0 - self.after.0
    }

    /// About how many bytes it takes.
    pub fn byte_len(&self) -> usize {
        self.len
    }

    /// Keeps only what has to be known to read no more than is needed again.
    pub fn forget_forms(&mut self) {
        for item in &mut self.items {
            self.len -= item.form_len();
            item.form = None;
        }
        self.forms_len = 0;
    }

    /// Forgets what the author has seen.
    pub(super) fn forget(&mut self, seen: ServerVersion) {
        if seen < self.after || seen >= self.until {
            *self = Self { after: seen, until: seen, ..Self::default() };
            return;
        }
        let count = self.items.partition_point(|item| item.version <= seen);
        for item in self.items.drain(..count) {
            self.len -= item.len();
            self.forms_len -= item.form_len();
        }
        self.after = seen;
    }

    /// Up to `until`, everything is in it that is not the author's own.
    pub(super) fn end(&mut self, until: ServerVersion) {
        self.until = until;
        if self.len > MAX_LEN {
            *self = Self { after: until, until, ..Self::default() };
        }
    }

    fn push(&mut self, mut item: Item) {
        if self.forms_len + item.form_len() > MAX_FORMS_LEN {
            item.form = None;
        }
        self.len += item.len();
        self.forms_len += item.form_len();
        // What is too long is not kept; that it was is all that has to be known of it.
        if self.len <= MAX_LEN {
            self.items.push(item);
        } else {
            self.items = Vec::new();
        }
    }

    fn take_form(&mut self, version: ServerVersion, form: &Bytes) {
        if let Ok(at) = self.items.binary_search_by_key(&version, |item| item.version)
            && let Some(before) = &mut self.items[at].form
        {
            self.len = self.len + form.len() - before.len();
            self.forms_len = self.forms_len + form.len() - before.len();
            *before = form.clone();
        }
    }
}

impl Item {
    fn len(&self) -> usize {
        size_of::<Self>() + self.form_len() + self.footprint.len()
    }

    fn form_len(&self) -> usize {
        self.form.as_ref().map_or(0, Bytes::len)
    }
}

/// The changesets of an upload on their way through what their author has not seen.
pub(super) struct Meeting {
    /// The changesets, as merging has left them.
    pub(super) incoming: Vec<Concurrent>,
    footprint: Footprint,
    /// Those of one base, with that base; ascending.
    runs: Vec<(ServerVersion, Range<usize>)>,
    page: Page,
    changed: Vec<(ServerVersion, Bytes)>,
    /// Bytes of forms that may still change.
    room: usize,
}

/// Entries that are merged at once.
#[derive(Default)]
struct Page {
    versions: Vec<ServerVersion>,
    changesets: Vec<Concurrent>,
    /// In bytes, encoded.
    len: usize,
}

/// Decoded changesets take much more memory than these bytes.
const PAGE_LEN: usize = 1 << 20;

/// Why an upload cannot be merged.
pub(super) enum MeetingError {
    /// An entry cannot be read.
    Damaged(ServerVersion, DecodeError),
    /// More forms have changed than there is room for.
    NoRoom,
    /// The changeset at this position contradicts an entry.
    Contradiction(Option<usize>, MergeError),
}

impl Meeting {
    /// The changesets of `author`, in order, with what each is based on; `room` bounds the bytes of forms that change.
    pub(super) fn new(
        author: FileIdent,
        changesets: impl IntoIterator<Item = (ServerVersion, OriginTimestamp, Changeset)>,
        room: usize,
    ) -> Self {
        let (mut incoming, mut runs) = (Vec::new(), Vec::<(ServerVersion, Range<usize>)>::new());
        for (i, (base, timestamp, changeset)) in changesets.into_iter().enumerate() {
            match runs.last_mut() {
                Some((of, run)) if *of == base => run.end = i + 1,
                _ => runs.push((base, i..i + 1)),
            }
            incoming.push(Concurrent::new(changeset, timestamp, author));
        }
        let footprint = Footprint::of(incoming.iter().map(Concurrent::changeset));
        Self { incoming, footprint, runs, page: Page::default(), changed: Vec::new(), room }
    }

    /// Meets what was kept of an earlier integration; `read` tells the forms that were not, in ascending order.
    pub(super) fn meet_kept<E>(
        &mut self,
        unseen: &Unseen,
        mut read: impl FnMut(ServerVersion) -> Result<Bytes, E>,
    ) -> Result<Result<(), MeetingError>, E> {
        for item in &unseen.items {
            if item.footprint.meets(&self.footprint) {
                let form = match &item.form {
                    Some(form) => form.clone(),
                    None => read(item.version)?,
                };
                let met = decode(item.version, &form).and_then(|changeset| {
                    self.add(item.version, form.len(), item.concurrent(changeset))
                });
                if met.is_err() {
                    return Ok(met);
                }
            }
        }
        Ok(Ok(()))
    }

    /// Meets an entry of another author, in its reciprocal form if there is one; `footprint` is that of the entry, if
    /// it is known.
    pub(super) fn meet(
        &mut self,
        entry: &Entry,
        form: Option<Bytes>,
        footprint: Option<&Footprint>,
        unseen: &mut Unseen,
    ) -> Result<(), MeetingError> {
        let version = entry.version.version;
        let form = form.unwrap_or_else(|| entry.changeset.clone());
        let (footprint, decoded) = if let Some(footprint) = footprint {
            (footprint.clone(), None)
        } else {
            let changeset = decode(version, &form)?;
            (Footprint::of([&changeset]), Some(changeset))
        };
        let meets = footprint.meets(&self.footprint);
        let author = match entry.origin_file_ident {
            FileIdent::SELF => FileIdent::SERVER,
            other => other,
        };
        let timestamp = entry.origin_timestamp;
        let item = Item { version, author, timestamp, form: Some(form.clone()), footprint };
        if meets {
            let changeset = match decoded {
                Some(changeset) => changeset,
                None => decode(version, &form)?,
            };
            self.add(version, form.len(), item.concurrent(changeset))?;
        }
        unseen.push(item);
        Ok(())
    }

    /// Ends the meeting; the reciprocal forms that are new, ascending.
    pub(super) fn end(
        &mut self,
        unseen: &mut Unseen,
    ) -> Result<Vec<(ServerVersion, Bytes)>, MeetingError> {
        self.merge_page()?;
        for (version, form) in &self.changed {
            unseen.take_form(*version, form);
        }
        Ok(mem::take(&mut self.changed))
    }

    fn add(
        &mut self,
        version: ServerVersion,
        len: usize,
        changeset: Concurrent,
    ) -> Result<(), MeetingError> {
        let page = &mut self.page;
        page.versions.push(version);
        page.changesets.push(changeset);
        page.len += len;
        if page.len < PAGE_LEN { Ok(()) } else { self.merge_page() }
    }

    /// Merges what has gathered, which comes to the same as merging everything at once.
    fn merge_page(&mut self) -> Result<(), MeetingError> {
        let Page { versions, mut changesets, .. } = mem::take(&mut self.page);
        for (base, run) in &self.runs {
            let first = versions.partition_point(|version| version <= base);
            merge(&mut changesets[first..], &mut self.incoming[run.clone()]).map_err(|error| {
                let at = run.clone().nth(error.remote.changeset);
                MeetingError::Contradiction(at, error)
            })?;
        }
        for (version, entry) in versions.into_iter().zip(changesets) {
            if entry.is_dirty() {
                let form = Bytes::from(entry.changeset().encode());
                self.room =
                    self.room.checked_sub(reciprocal_len(&form)).ok_or(MeetingError::NoRoom)?;
                self.changed.push((version, form));
            }
        }
        Ok(())
    }
}

impl Item {
    fn concurrent(&self, changeset: Changeset) -> Concurrent {
        Concurrent::new(changeset, self.timestamp, self.author)
    }
}

/// Bytes that a reciprocal form takes, also one without anything in it.
pub(super) fn reciprocal_len(form: &Bytes) -> usize {
    size_of::<(ServerVersion, Bytes)>() + form.len()
}

fn decode(version: ServerVersion, form: &[u8]) -> Result<Changeset, MeetingError> {
    Changeset::decode_within(form, &DecodeLimits::NONE)
        .map_err(|error| MeetingError::Damaged(version, error))
}
