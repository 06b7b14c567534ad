//! What an UPLOAD becomes: changesets transformed past what their author had not seen, applied, and
//! appended to the history.
//!
//! Spec: server history, section 5; merge, section 8.

use std::sync::Arc;

use bailiwick_protocol::changeset::{
    Changeset, CheckError, DecodeError, DecodeLimits, Instruction, TableKind,
};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

use super::{ClientFile, Entry, required_protocol};
use crate::apply::{ApplyError, Refusal, Transaction};
use crate::encoding::EncodingError;
use crate::merge::{Concurrent, MergeError, merge};
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
}

/// The part of the history that an upload may be concurrent with.
pub trait ConcurrentHistory {
    /// Why an answer cannot be given.
    type Error: std::error::Error + 'static;

    /// The entries after a version, up to [`Base::head`].
    ///
    /// # Errors
    ///
    /// If the storage fails.
    fn entries(&self, after: ServerVersion) -> Result<Vec<Entry>, Self::Error>;

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
    /// Client files whose record changed.
    pub client_files: Vec<(FileIdent, ClientFile)>,
    /// Reciprocal forms that are never needed again: up to and including a version.
    pub forget_reciprocals: Vec<(FileIdent, ServerVersion)>,
    /// New reciprocal forms.
    pub reciprocals: Vec<(FileIdent, ServerVersion, Bytes)>,
    /// Client files of whose upload nothing was kept.
    pub rejections: Vec<Rejection>,
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
    /// A stored object cannot be read: the realm is damaged.
    #[error("a stored object is damaged")]
    DamagedObject(#[source] EncodingError),
}

/// Integrates the uploads of several client files, in the order of their idents, each past those before it.
///
/// An upload that is refused leaves nothing behind, neither in the result nor in `objects`; the others
/// are integrated as if it had not come. Changesets that the client file's record has already are left out:
/// the device may have sent them again to another server, which was faster. Costs what [`merge`] costs for
/// the changesets that are concurrent; a changeset with nothing concurrent is decoded once, and its bytes
/// are kept.
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
    for mut upload in uploads {
        let integrated = upload.file.upload_cursor.client_version;
        upload.changesets.retain(|changeset| changeset.cursor.client_version > integrated);
        let savepoint = objects.savepoint();
        let mut step = Step { base, history, objects, result: &result, upload: &upload };
        match step.run() {
            Ok(integrated) => integrated.add_to(&mut result, upload, base.now_ms),
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Rejected(client_version, error)) => {
                objects.rollback_to(savepoint);
                let file_ident = upload.file_ident;
                result.rejections.push(Rejection { file_ident, client_version, error });
            }
        }
    }
    Ok(result)
}

/// The integration of one client file.
struct Step<'a, 't, H, S: ObjectStore> {
    base: &'a Base,
    history: &'a H,
    objects: &'a mut Transaction<'t, S>,
    /// What the client files before this one have added.
    result: &'a Integration,
    upload: &'a Upload,
}

/// Why a step ends early.
enum Stop<E: std::error::Error + 'static> {
    Failed(IntegrationError<E>),
    Rejected(Option<ClientVersion>, RejectedUpload),
}

/// What a step adds.
#[derive(Default)]
struct Integrated {
    entries: Vec<Entry>,
    reciprocals: Vec<(ServerVersion, Bytes)>,
}

/// The entries that a client file has not seen, in the form that is reciprocal to it.
#[derive(Default)]
struct Unseen {
    versions: Vec<ServerVersion>,
    changesets: Vec<Concurrent>,
}

impl<H, S> Step<'_, '_, H, S>
where
    H: ConcurrentHistory,
    S: ObjectStore<Error = H::Error>,
{
    fn run(&mut self) -> Result<Integrated, Stop<H::Error>> {
        if self.upload.file.is_expired() {
            return Err(Stop::Rejected(None, RejectedUpload::Expired));
        }
        let changesets = self.decode()?;
        let mut unseen = self.unseen()?;
        let mut integrated = Integrated::default();
        let mut decoded = changesets.into_iter();
        for run in self.upload.changesets.chunk_by(same_base) {
            self.integrate_run(
                run,
                decoded.by_ref().take(run.len()),
                &mut unseen,
                &mut integrated,
            )?;
        }
        integrated.reciprocals = unseen.dirty();
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

    /// What others wrote after the first changeset's base.
    fn unseen(&self) -> Result<Unseen, Stop<H::Error>> {
        let storage = |error| Stop::Failed(IntegrationError::Storage(error));
        let mut unseen = Unseen::default();
        let Some(first) = self.upload.changesets.first() else { return Ok(unseen) };
        let after = first.cursor.last_integrated_server_version;
        let ident = self.upload.file_ident;
        if after < self.base.head {
            let mut reciprocals =
                self.history.reciprocals(ident, after).map_err(storage)?.into_iter().peekable();
            for entry in self.history.entries(after).map_err(storage)? {
                let version = entry.version.version;
                let form = reciprocals.next_if(|(of, _)| *of == version).map(|(_, bytes)| bytes);
                unseen.push(ident, &entry, form.as_ref())?;
            }
        }
        for entry in &self.result.entries {
            unseen.push(ident, entry, None)?;
        }
        Ok(unseen)
    }

    /// Transforms, applies and appends consecutive changesets of one base.
    fn integrate_run(
        &mut self,
        run: &[UploadedChangeset],
        changesets: impl Iterator<Item = Changeset>,
        unseen: &mut Unseen,
        integrated: &mut Integrated,
    ) -> Result<(), Stop<H::Error>> {
        let ident = self.upload.file_ident;
        let local = unseen.after(run[0].cursor.last_integrated_server_version);
        let is_concurrent = !local.is_empty();
        let mut remote: Vec<Concurrent> = run
            .iter()
            .zip(changesets)
            .map(|(uploaded, changeset)| {
                Concurrent::new(changeset, uploaded.origin_timestamp, ident)
            })
            .collect();
        if is_concurrent {
            merge(local, &mut remote).map_err(|error| {
                let at =
                    run.get(error.remote.changeset).map(|uploaded| uploaded.cursor.client_version);
                Stop::Rejected(at, RejectedUpload::Merge(Arc::new(error)))
            })?;
        }
        for (uploaded, concurrent) in run.iter().zip(remote) {
            let mut changeset = concurrent.into_changeset();
            let rewritten = self.apply(uploaded, &changeset)?;
            let was_rewritten = rewritten.is_some();
            if let Some(rewritten) = rewritten {
                changeset = rewritten;
            }
            let bytes = if changeset.is_empty() {
                Bytes::new()
            } else if is_concurrent || was_rewritten {
                changeset.encode().into()
            } else {
                uploaded.bytes.clone()
            };
            let entry = self.entry(uploaded, &changeset, bytes, &integrated.entries);
            integrated.entries.push(entry);
        }
        Ok(())
    }

    /// Applies a changeset; answers with the form that devices can apply, if that is another one.
    fn apply(
        &mut self,
        uploaded: &UploadedChangeset,
        changeset: &Changeset,
    ) -> Result<Option<Changeset>, Stop<H::Error>> {
        match self.objects.apply(changeset) {
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

fn same_base(a: &UploadedChangeset, b: &UploadedChangeset) -> bool {
    a.cursor.last_integrated_server_version == b.cursor.last_integrated_server_version
}

impl Unseen {
    /// Takes an entry, in its reciprocal form if there is one, unless there is nothing in it for `ident`.
    fn push<E: std::error::Error + 'static>(
        &mut self,
        ident: FileIdent,
        entry: &Entry,
        form: Option<&Bytes>,
    ) -> Result<(), Stop<E>> {
        if entry.origin_file_ident == ident || entry.changeset.is_empty() {
            return Ok(());
        }
        let version = entry.version.version;
        let changeset =
            Changeset::decode_within(form.unwrap_or(&entry.changeset), &DecodeLimits::NONE)
                .map_err(|error| Stop::Failed(IntegrationError::DamagedEntry(version, error)))?;
        let origin = match entry.origin_file_ident {
            FileIdent::SELF => FileIdent::SERVER,
            other => other,
        };
        self.versions.push(version);
        self.changesets.push(Concurrent::new(changeset, entry.origin_timestamp, origin));
        Ok(())
    }

    /// Those after a version.
    fn after(&mut self, version: ServerVersion) -> &mut [Concurrent] {
        let first = self.versions.partition_point(|&v| v <= version);
        &mut self.changesets[first..]
    }

    /// The forms that merging has changed.
    fn dirty(self) -> Vec<(ServerVersion, Bytes)> {
        self.versions
            .into_iter()
            .zip(self.changesets)
            .filter(|(_, concurrent)| concurrent.is_dirty())
            .map(|(version, concurrent)| (version, concurrent.changeset().encode().into()))
            .collect()
    }
}

impl Integrated {
    fn add_to(self, result: &mut Integration, upload: Upload, now_ms: u64) {
        let Upload { file_ident, mut file, progress, locked, changesets } = upload;
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
        let reciprocals = self.reciprocals.into_iter().filter(|(version, _)| *version > needed);
        result.reciprocals.extend(reciprocals.map(|(version, bytes)| (file_ident, version, bytes)));
    }
}
