//! What an UPLOAD becomes: changesets transformed past what their author had not seen, applied, and
//! appended to the history.
//!
//! Spec: server history, section 5; merge, section 8.

use std::borrow::Cow;
use std::sync::Arc;

use bailiwick_protocol::changeset::{
    Changeset, CheckError, DecodeError, DecodeLimits, Instruction, TableKind,
};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::rereading::Rereading;
use super::unseen::{Meeting, MeetingError, Unseen, reciprocal_len};
use super::{ClientFile, Entry, required_protocol};
use crate::apply::{ApplyError, Refusal, Transaction};
use crate::encoding::EncodingError;
use crate::merge::{Concurrent, Footprint, MergeError};
use crate::state::ObjectStore;

/// What an integration starts from.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    /// The last version of the history.
    pub head: ServerVersion,
    /// Bytes of all changesets of the history.
    pub cumulative_len: u64,
    /// The salt of the versions that the integration makes.
    pub salt: Salt,
    /// The wall clock, in milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: u64,
    /// Bytes of reciprocal forms that the integration may make. Each upload makes anew all that it conflicts with and
    /// that its author had not seen, however short it is.
    pub max_reciprocals_len: usize,
}

/// The part of the history that an upload may be concurrent with.
pub trait ConcurrentHistory {
    /// Why an answer cannot be given.
    type Error: std::error::Error + 'static;

    /// The next entries after a version, not beyond [`Base::head`]; none only if there are none.
    ///
    /// It is asked again for those after them, so that a long history need not be in memory.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, Self::Error>;

    /// The footprint of an entry's changeset, if it is remembered: it saves decoding an entry that has nothing to
    /// do with an upload.
    fn footprint(&self, _version: ServerVersion) -> Option<&Footprint> {
        None
    }

    /// The stored reciprocal forms of a client file after a version, ascending.
    ///
    /// # Errors
    ///
    /// If the storage fails.
    fn reciprocals(
        &self,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, Self::Error>;
}

/// All that one client file has queued.
#[derive(Clone, Debug)]
pub struct Upload {
    /// The client file.
    pub file_ident: FileIdent,
    /// Its record.
    pub file: ClientFile,
    /// The progress of the last UPLOAD.
    pub progress: UploadCursor,
    /// The locked version of the last UPLOAD.
    pub locked: ServerVersion,
    /// The changesets of all UPLOADs that are not integrated yet, in order.
    pub changesets: Vec<UploadedChangeset>,
    /// What an earlier integration of this client file has left, or nothing.
    pub unseen: Unseen,
}

/// One changeset of an UPLOAD, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedChangeset {
    /// The version that it produced on the device, and the server version that was integrated there.
    pub cursor: UploadCursor,
    /// The device's clock.
    pub origin_timestamp: OriginTimestamp,
    /// 0: the device itself. Anything else is for other kinds of peers, and refused.
    pub origin_file_ident: FileIdent,
    /// The changeset.
    pub bytes: Bytes,
}

/// What an integration adds to the history. What it did to the objects is in the transaction.
#[derive(Clone, Debug, Default)]
pub struct Integration {
    /// New entries, in order.
    pub entries: Vec<Entry>,
    /// The footprint of each of them.
    pub footprints: Vec<Footprint>,
    /// Client files whose record changed.
    pub client_files: Vec<(FileIdent, ClientFile)>,
    /// Reciprocal forms that are never needed again: up to and including a version.
    pub forget_reciprocals: Vec<(FileIdent, ServerVersion)>,
    /// New reciprocal forms.
    pub reciprocals: Vec<(FileIdent, ServerVersion, Bytes)>,
    /// What the next integrations of client files can make use of, once this one is committed; 16 MiB of it at most.
    pub unseen: Vec<(FileIdent, Unseen)>,
    /// Client files of whose upload nothing was kept.
    pub rejections: Vec<Rejection>,
    /// Client files whose upload has to be integrated again: there was no room for the reciprocal forms of the first of
    /// them. It has to come without others, or with fewer changesets.
    pub postponed: Vec<FileIdent>,
}

/// A client file of whose upload nothing was kept.
#[derive(Clone, Debug)]
pub struct Rejection {
    /// The client file.
    pub file_ident: FileIdent,
    /// The changeset at fault, if it is one.
    pub client_version: Option<ClientVersion>,
    /// What is wrong.
    pub error: RejectedUpload,
}

/// Why an upload is refused for good: it will be just as wrong the next time.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RejectedUpload {
    /// Compaction went on without the device.
    #[error("the client file has expired")]
    Expired,
    /// A device can only upload what it made itself.
    #[error("the changeset names file {0} as its author")]
    OriginFileIdent(FileIdent),
    /// The changeset is based on a version that does not exist, or that the device had confirmed to be past.
    #[error("the changeset is based on version {0}, which does not fit")]
    BaseVersion(ServerVersion),
    /// The bytes are not a changeset.
    #[error("the changeset is malformed")]
    Decode(#[source] DecodeError),
    /// An instruction cannot be right, whatever the state.
    #[error("the changeset breaks a rule")]
    Check(#[source] CheckError),
    /// The changeset contradicts what happened meanwhile.
    #[error("the changeset cannot be merged")]
    Merge(#[source] Arc<MergeError>),
    /// The changeset does not fit the objects or the schema.
    #[error("the changeset cannot be applied")]
    Apply(#[source] Refusal),
    /// Objects that only travel from device to server have no place in a partition: devices refuse to open
    /// a realm with such a class.
    #[error("class {0:?} is asymmetric, which partition-based sync does not have")]
    AsymmetricClass(String),
    /// The changeset conflicts with so much that its author had not seen that there is no room for the reciprocal forms.
    #[error("the changeset conflicts with more than {0} bytes of what others wrote meanwhile")]
    TooFarBehind(usize),
    /// The program fails on the upload. It is a fault of the program, which only shows with this upload.
    #[error("the server cannot cope with the upload")]
    Unprocessable,
}

/// Why nothing could be integrated.
#[derive(Debug, thiserror::Error)]
pub enum IntegrationError<E: std::error::Error + 'static> {
    /// The storage failed.
    #[error(transparent)]
    Storage(E),
    /// An entry of the history cannot be read: the realm is damaged.
    #[error("entry {0} of the history is damaged")]
    DamagedEntry(ServerVersion, #[source] DecodeError),
    /// The history ends before its head: the realm is damaged.
    #[error("the history has nothing after version {0}, and goes on")]
    MissingEntries(ServerVersion),
    /// A stored object cannot be read: the realm is damaged.
    #[error("a stored object is damaged")]
    DamagedObject(#[source] EncodingError),
}

/// Bytes of what is kept for next integrations: each client file would have what all before it have brought.
const MAX_UNSEEN_LEN: usize = 16 << 20;

/// Integrates the uploads of several client files, in the order of their idents, each past those before it.
///
/// An upload that is refused leaves nothing behind, neither in the result nor in `objects`; the others
/// are integrated as if it had not come. Changesets that the client file's record has already are left out:
/// the device may have sent them again to another server, which was faster. Where there is no room for what an upload
/// adds, it and those after it are [postponed](Integration::postponed); it is refused if it is one changeset, without
/// others before it. Costs what
/// [`merge`](crate::merge::merge) costs for the changesets that are about the same objects, and a look at the
/// [footprint](Footprint) of each other one that is concurrent. A changeset that merging does not change is decoded
/// once, and its bytes are kept.
///
/// # Errors
///
/// If the storage fails or the history is damaged; the transaction is then of no more use.
pub fn integrate<H, S>(
    base: &Base,
    history: &H,
    objects: &mut Transaction<'_, S>,
    mut uploads: Vec<Upload>,
) -> Result<Integration, IntegrationError<H::Error>>
where
    H: ConcurrentHistory,
    S: ObjectStore<Error = H::Error>,
{
    uploads.sort_by_key(|upload| upload.file_ident);
    let mut result = Integration::default();
    let mut room = Room { reciprocals: base.max_reciprocals_len, unseen: MAX_UNSEEN_LEN };
    let mut uploads = uploads.into_iter();
    while let Some(mut upload) = uploads.next() {
        let integrated = upload.file.upload_cursor.client_version;
        upload.changesets.retain(|changeset| changeset.cursor.client_version > integrated);
        let unseen = std::mem::take(&mut upload.unseen);
        let savepoint = objects.savepoint();
        let mut step = Step { base, history, objects, result: &result, upload: &upload, room };
        match step.run(unseen) {
            Ok(integrated) => {
                integrated.add_to(&mut result, &mut room, upload, base.now_ms);
                objects.forget_savepoints();
            }
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Rejected(client_version, error)) => {
                objects.rollback_to(savepoint);
                let file_ident = upload.file_ident;
                result.rejections.push(Rejection { file_ident, client_version, error });
            }
            Err(Stop::NoRoom) => {
                objects.rollback_to(savepoint);
                result.postponed.push(upload.file_ident);
                result.postponed.extend(uploads.by_ref().map(|upload| upload.file_ident));
            }
        }
    }
    Ok(result)
}

/// Bytes that may still be added to an [`Integration`].
#[derive(Clone, Copy, Debug)]
struct Room {
    reciprocals: usize,
    unseen: usize,
}

/// The integration of one client file.
struct Step<'a, 't, H, S: ObjectStore> {
    base: &'a Base,
    history: &'a H,
    objects: &'a mut Transaction<'t, S>,
    /// What the client files before this one have added.
    result: &'a Integration,
    upload: &'a Upload,
    room: Room,
}

/// Why a step ends early.
enum Stop<E: std::error::Error + 'static> {
    /// There is no room for all of it, at least not beside what others have added.
    NoRoom,
    Failed(IntegrationError<E>),
    Rejected(Option<ClientVersion>, RejectedUpload),
}

/// Changesets as merging has left them, and the reciprocal forms that are new.
type Merged = (Vec<Concurrent>, Vec<(ServerVersion, Bytes)>);

/// What a step adds.
struct Integrated {
    entries: Vec<Entry>,
    footprints: Vec<Footprint>,
    reciprocals: Vec<(ServerVersion, Bytes)>,
    unseen: Unseen,
}

impl<H, S> Step<'_, '_, H, S>
where
    H: ConcurrentHistory,
    S: ObjectStore<Error = H::Error>,
{
    fn run(&mut self, mut unseen: Unseen) -> Result<Integrated, Stop<H::Error>> {
        if self.upload.file.is_expired() {
            return Err(Stop::Rejected(None, RejectedUpload::Expired));
        }
        let changesets = self.decode()?;
        let mut integrated = Integrated {
            entries: Vec::with_capacity(changesets.len()),
            footprints: Vec::with_capacity(changesets.len()),
            reciprocals: Vec::new(),
            unseen: Unseen::default(),
        };
        if let Some(first) = self.upload.changesets.first() {
            unseen.forget(first.cursor.last_integrated_server_version);
            let (merged, reciprocals) = self.merge(changesets, &mut unseen)?;
            integrated.reciprocals = reciprocals;
            for (uploaded, merged) in self.upload.changesets.iter().zip(merged) {
                self.append(uploaded, merged, &mut integrated)?;
            }
            unseen
                .end(integrated.entries.last().map_or(self.base.head, |last| last.version.version));
        } else {
            unseen.forget(self.upload.progress.last_integrated_server_version);
        }
        integrated.unseen = unseen;
        Ok(integrated)
    }

    fn decode(&self) -> Result<Vec<Changeset>, Stop<H::Error>> {
        let upload = self.upload;
        let confirmed = upload.file.upload_cursor.last_integrated_server_version;
        let decode = |uploaded: &UploadedChangeset| {
            let reject = |error| Stop::Rejected(Some(uploaded.cursor.client_version), error);
            if uploaded.origin_file_ident != FileIdent::SELF {
                return Err(reject(RejectedUpload::OriginFileIdent(uploaded.origin_file_ident)));
            }
            let version = uploaded.cursor.last_integrated_server_version;
            if version < confirmed || version > self.base.head {
                return Err(reject(RejectedUpload::BaseVersion(version)));
            }
            let changeset = Changeset::decode_within(&uploaded.bytes, &UPLOAD_LIMITS)
                .map_err(|error| reject(RejectedUpload::Decode(error)))?;
            changeset.check().map_err(|error| reject(RejectedUpload::Check(error)))?;
            match asymmetric_class(&changeset) {
                Some(class) => Err(reject(RejectedUpload::AsymmetricClass(class.to_owned()))),
                None => Ok(changeset),
            }
        };
        upload.changesets.iter().map(decode).collect()
    }

    /// Merges the changesets with what others wrote after their bases.
    ///
    /// The result is in order, with the new reciprocal forms of what they were merged with.
    fn merge(
        &self,
        changesets: Vec<Changeset>,
        unseen: &mut Unseen,
    ) -> Result<Merged, Stop<H::Error>> {
        let ident = self.upload.file_ident;
        let storage = |error| Stop::Failed(IntegrationError::Storage(error));
        let stop = |error| self.stop(error);
        let uploaded =
            self.upload.changesets.iter().zip(changesets).map(|(uploaded, changeset)| {
                let base = uploaded.cursor.last_integrated_server_version;
                (base, uploaded.origin_timestamp, changeset)
            });
        let mut meeting = Meeting::new(ident, uploaded, self.room.reciprocals);
        let mut again = Rereading::new(self.history, ident);
        let met = meeting.meet_kept(unseen, |version| again.form(version));
        met.map_err(Stop::Failed)?.map_err(stop)?;

        let mut at = unseen.until();
        let mut reciprocals = Vec::new();
        if at < self.base.head {
            reciprocals = self.history.reciprocals(ident, at).map_err(storage)?;
        }
        let mut reciprocals = reciprocals.into_iter().peekable();
        while at < self.base.head {
            let entries = self.history.entries(at).map_err(storage)?;
            let last = entries.last().ok_or(Stop::Failed(IntegrationError::MissingEntries(at)))?;
            at = last.version.version;
            for entry in entries.iter().filter(|entry| is_foreign(entry, ident)) {
                let version = entry.version.version;
                let form = reciprocals.next_if(|(of, _)| *of == version).map(|(_, form)| form);
                let footprint = self.history.footprint(version);
                meeting.meet(entry, form, footprint, unseen).map_err(stop)?;
            }
        }
        let before = self.result.entries.iter().zip(&self.result.footprints);
        for (entry, footprint) in before.filter(|(entry, _)| is_foreign(entry, ident)) {
            meeting.meet(entry, None, Some(footprint), unseen).map_err(stop)?;
        }
        let reciprocals = meeting.end(unseen).map_err(stop)?;
        Ok((meeting.incoming, reciprocals))
    }

    fn stop(&self, error: MeetingError) -> Stop<H::Error> {
        let max_len = self.base.max_reciprocals_len;
        match error {
            MeetingError::NoRoom => match &self.upload.changesets[..] {
                [alone] if self.room.reciprocals == max_len => {
                    let version = alone.cursor.client_version;
                    Stop::Rejected(Some(version), RejectedUpload::TooFarBehind(max_len))
                }
                _ => Stop::NoRoom,
            },
            MeetingError::Damaged(version, error) => {
                Stop::Failed(IntegrationError::DamagedEntry(version, error))
            }
            MeetingError::Contradiction(position, error) => {
                let at = position.and_then(|position| self.upload.changesets.get(position));
                let version = at.map(|uploaded| uploaded.cursor.client_version);
                Stop::Rejected(version, RejectedUpload::Merge(Arc::new(error)))
            }
        }
    }

    /// Applies and appends a changeset.
    fn append(
        &mut self,
        uploaded: &UploadedChangeset,
        merged: Concurrent,
        integrated: &mut Integrated,
    ) -> Result<(), Stop<H::Error>> {
        let is_dirty = merged.is_dirty();
        let mut changeset = merged.into_changeset();
        let rewritten = self.apply(uploaded, &changeset)?;
        let as_it_came = !is_dirty && rewritten.is_none();
        if let Some(rewritten) = rewritten {
            changeset = rewritten;
        }
        let bytes = if changeset.is_empty() {
            Bytes::new()
        } else if as_it_came {
            uploaded.bytes.clone()
        } else {
            changeset.encode().into()
        };
        let entry = self.entry(uploaded, &changeset, bytes, &integrated.entries);
        integrated.entries.push(entry);
        integrated.footprints.push(Footprint::of([&changeset]));
        Ok(())
    }

    /// Applies a changeset; answers with the form that devices can apply, if that is another one.
    fn apply(
        &mut self,
        uploaded: &UploadedChangeset,
        changeset: &Changeset,
    ) -> Result<Option<Changeset>, Stop<H::Error>> {
        // A refusal is that of the whole upload, which is taken back.
        match self.objects.apply_in_part(changeset) {
            Ok(applied) => Ok(applied.rewritten),
            Err(ApplyError::Refused(refusal)) => {
                let at = Some(uploaded.cursor.client_version);
                Err(Stop::Rejected(at, RejectedUpload::Apply(refusal)))
            }
            Err(ApplyError::Store(error)) => Err(Stop::Failed(IntegrationError::Storage(error))),
            Err(ApplyError::Corrupt(error)) => {
                Err(Stop::Failed(IntegrationError::DamagedObject(error)))
            }
        }
    }

    fn entry(
        &self,
        uploaded: &UploadedChangeset,
        changeset: &Changeset,
        bytes: Bytes,
        mine: &[Entry],
    ) -> Entry {
        let last = mine.last().or(self.result.entries.last());
        let (version, len) = match last {
            Some(entry) => (entry.version.version, entry.cumulative_len),
            None => (self.base.head, self.base.cumulative_len),
        };
        Entry {
            version: SaltedVersion { version: version.next(), salt: self.base.salt },
            origin_file_ident: self.upload.file_ident,
            client_version: uploaded.cursor.client_version,
            origin_timestamp: uploaded.origin_timestamp,
            required_protocol: required_protocol(changeset),
            cumulative_len: len + bytes.len() as u64,
            changeset: bytes,
        }
    }
}

/// The message that brought a changeset has bounded its length.
const UPLOAD_LIMITS: DecodeLimits =
    DecodeLimits { max_len: usize::MAX, max_instructions: 1 << 22, max_strings: 1 << 20 };

fn asymmetric_class(changeset: &Changeset) -> Option<&str> {
    changeset.instructions.iter().find_map(|instruction| match instruction {
        Instruction::AddTable { table, kind: TableKind::Asymmetric(_) } => {
            Some(changeset.text(*table))
        }
        _ => None,
    })
}

/// Whether there is something in an entry that a client file has to be merged with.
fn is_foreign(entry: &Entry, ident: FileIdent) -> bool {
    entry.origin_file_ident != ident && !entry.changeset.is_empty()
}

impl Integrated {
    fn add_to(self, result: &mut Integration, room: &mut Room, upload: Upload, now_ms: u64) {
        let Upload { file_ident, mut file, progress, locked, changesets, unseen: _ } = upload;
        if progress.client_version > file.upload_cursor.client_version {
            if progress.last_integrated_server_version
                > file.upload_cursor.last_integrated_server_version
            {
                result
                    .forget_reciprocals
                    .push((file_ident, progress.last_integrated_server_version));
            }
            file.upload_cursor = progress;
        }
        if let Some(last) = changesets.last() {
            file.acknowledged = last.cursor;
        }
        file.locked_server_version = file.locked_server_version.max(locked);
        file.last_seen_ms = file.last_seen_ms.max(now_ms);
        let needed = file.upload_cursor.last_integrated_server_version;
        result.client_files.push((file_ident, file));
        result.entries.extend(self.entries);
        result.footprints.extend(self.footprints);
        if let Some(left) = room.unseen.checked_sub(self.unseen.byte_len()) {
            room.unseen = left;
            result.unseen.push((file_ident, self.unseen));
        }
        for (version, form) in self.reciprocals.into_iter().filter(|(of, _)| *of > needed) {
            room.reciprocals = room.reciprocals.saturating_sub(reciprocal_len(&form));
            result.reciprocals.push((file_ident, version, form));
        }
    }
}
