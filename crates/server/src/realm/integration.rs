//! One step of a realm: new client files, and all uploads that have gathered, as one commit.
//!
//! Reads and computes on a thread that may block; nothing is changed before the commit.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, ClientFile, ConcurrentHistory, Entry, Integration, IntegrationError, RejectedUpload,
    Rejection, Unseen, Upload, UploadedChangeset, integrate,
};
use bailiwick_core::merge::Footprint;
use bailiwick_core::schema::Schema;
use bailiwick_core::state::{ObjectRow, ObjectStore};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ServerVersion, UploadCursor};
use bailiwick_storage::store::{Commit, RealmKey, RealmRecord, StorageError, Store};
use bytes::Bytes;

use super::recent::Excerpt;
use super::scan::{PAGE_COUNT, PAGE_LEN};
use super::{Chain, RealmError};
use crate::session::AcceptedUpload;

/// A realm in memory: what every step starts from.
#[derive(Clone, Debug, Default)]
pub(super) struct Loaded {
    pub(super) record: RealmRecord,
    pub(super) schema: Arc<Schema>,
}

/// What one client file has queued.
#[derive(Debug, Default)]
pub(super) struct PendingUpload {
    pub(super) progress: UploadCursor,
    pub(super) locked: ServerVersion,
    pub(super) changesets: VecDeque<UploadedChangeset>,
    /// The memory that it takes, in bytes.
    pub(super) cost: usize,
    /// What was before it has been [taken](Self::take).
    pub(super) is_rest: bool,
    /// The number of the step since which it waits.
    pub(super) since: u64,
}

/// What a step takes of what is queued: whatever reaches one of these first is the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    pub(super) max_count: usize,
    /// In bytes of changesets.
    pub(super) max_len: usize,
}

impl Piece {
    /// Of all client files together. All that is in a step meets each other, so their number counts twice.
    pub(super) const STEP: Self = Self { max_count: 2048, max_len: 2 << 20 };
    /// Of one client file, while others hold client files of the realm, who wait for a step that runs and then for their
    /// own: about what the disk needs for a commit.
    pub(super) const SHARED: Self = Self { max_count: 64, max_len: 16 << 10 };
    /// Of one client file, while nobody else waits: decoded changesets take much more memory than this.
    pub(super) const ALONE: Self = Self { max_count: 8192, max_len: 2 << 20 };
}

/// What is to be done.
#[derive(Debug, Default)]
pub struct Step {
    pub(super) loaded: Loaded,
    /// The users who get new client files.
    pub(super) allocations: Vec<String>,
    pub(super) uploads: BTreeMap<FileIdent, PendingUpload>,
    /// The records of the uploading client files.
    pub(super) files: HashMap<FileIdent, ClientFile>,
    /// The entries after the oldest base of all changesets, or those that were at hand.
    pub(super) concurrent: Excerpt,
    /// See [`Base`].
    pub(super) max_reciprocals_len: usize,
    /// What earlier steps have left for this one; whoever computes it takes it.
    pub(super) unseen: RefCell<BTreeMap<FileIdent, Unseen>>,
}

/// What a step takes from outside: what time it is, and what nobody can guess.
#[derive(Clone, Debug)]
pub struct Given {
    /// The salt of the versions that this run of the server makes.
    pub version_salt: Salt,
    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub now_ms: u64,
    /// One for each client file that the step allocates.
    pub file_salts: Vec<Salt>,
}

/// A step that was computed.
#[derive(Debug)]
pub struct Computed {
    pub(super) step: Step,
    /// Uploads that were taken out of the step, to be integrated in a later one.
    pub(super) postponed: BTreeMap<FileIdent, PendingUpload>,
    /// What is to be made durable, if anything, and what is the case then.
    pub(super) result: Result<(Option<Commit>, Committed), RealmError>,
}

/// What a step made, all of it durable.
#[derive(Debug)]
pub(super) struct Committed {
    pub(super) loaded: Loaded,
    pub(super) integration: Integration,
    /// The new client files, in the order of the allocations.
    pub(super) allocated: Vec<(FileIdent, Salt)>,
}

impl Step {
    /// How many client files it allocates.
    pub fn allocation_count(&self) -> usize {
        self.allocations.len()
    }

    /// Bytes of the changesets that it integrates.
    pub(super) fn len(&self) -> usize {
        self.uploads.values().map(PendingUpload::len).sum()
    }

    /// Whether it has to read entries of the history that are not at hand: as many as there are.
    pub(super) fn reads_history(&self) -> bool {
        let oldest = self.uploads.values().filter_map(PendingUpload::base).min();
        oldest.is_some_and(|base| base < self.concurrent.after)
    }
}

impl Computed {
    /// A step that could not be computed.
    pub(super) fn failed(error: RealmError) -> Self {
        Self { step: Step::default(), postponed: BTreeMap::new(), result: Err(error) }
    }
}

impl PendingUpload {
    /// Nothing yet, in its turn with what others have queued since this step.
    pub(super) fn empty(since: u64) -> Self {
        Self { since, ..Self::default() }
    }

    /// The oldest base of its changesets.
    pub(super) fn base(&self) -> Option<ServerVersion> {
        self.changesets.front().map(|changeset| changeset.cursor.last_integrated_server_version)
    }

    /// Bytes of its changesets.
    pub(super) fn len(&self) -> usize {
        self.changesets.iter().map(|changeset| changeset.bytes.len()).sum()
    }

    /// Takes what the same client file has queued later.
    pub(super) fn append(&mut self, newer: Self) {
        self.progress = newer.progress;
        self.locked = newer.locked;
        self.changesets.extend(newer.changesets);
        self.cost += newer.cost;
    }

    /// Takes what comes first.
    ///
    /// What is taken ends where the device was when it made the last changeset of it; the promise not to ask again for
    /// old versions holds as soon as it is given.
    pub(super) fn take(&mut self, piece: Piece) -> Self {
        let (mut count, mut len, mut cost) = (0, 0, 0);
        for changeset in &self.changesets {
            if count == piece.max_count || len >= piece.max_len {
                break;
            }
            count += 1;
            len += changeset.bytes.len();
            cost += changeset.bytes.len() + size_of::<UploadedChangeset>();
        }
        if count == self.changesets.len() {
            return std::mem::take(self);
        }
        let changesets: VecDeque<_> = self.changesets.drain(..count).collect();
        let progress = changesets.back().map_or(self.progress, |last| last.cursor);
        // Their message stays in memory until all of it is integrated.
        let cost = cost.min(self.cost);
        self.cost -= cost;
        self.is_rest = true;
        Self { progress, locked: self.locked, changesets, cost, is_rest: false, since: self.since }
    }
}

impl From<AcceptedUpload> for PendingUpload {
    fn from(upload: AcceptedUpload) -> Self {
        let AcceptedUpload { progress, locked, changesets, cost, .. } = upload;
        let changesets = changesets.into();
        Self { progress, locked, changesets, cost, ..Self::default() }
    }
}

/// Computes a step: reads what it needs, and changes nothing. Blocks.
pub fn compute(store: &dyn Store, key: &RealmKey, step: Step, given: &Given) -> Computed {
    let (mut step, mut postponed, result) =
        compute_apart(step, |step| integrate_step(store, key, step, given));
    if let Ok((_, committed)) = &result {
        for ident in &committed.integration.postponed {
            postponed.extend(step.uploads.remove_entry(ident));
        }
    }
    Computed { step, postponed, result }
}

/// What [`integrate_step`] makes.
type Integrated = Result<(Option<Commit>, Committed), RealmError>;

/// Computes a step so that a panic, which one upload may provoke by a fault of this program, is the end of
/// that upload alone: the first client file is tried by itself, and refused if it panics again; the others
/// are postponed.
fn compute_apart(
    mut step: Step,
    compute: impl Fn(&Step) -> Integrated,
) -> (Step, BTreeMap<FileIdent, PendingUpload>, Integrated) {
    // Nothing outlives a panic but the step, which is only read.
    let attempt = |step: &Step| catch_unwind(AssertUnwindSafe(|| compute(step))).ok();
    if let Some(computed) = attempt(&step) {
        return (step, BTreeMap::new(), computed);
    }
    let Some(first) = step.uploads.keys().next().copied() else {
        let error = RealmError::Damaged("the step panicked without an upload".into());
        return (step, BTreeMap::new(), Err(error));
    };
    let postponed = step.uploads.split_off(&FileIdent(first.0 + 1));
    if let Some(computed) = attempt(&step) {
        return (step, postponed, computed);
    }
    tracing::error!(
        file_ident = first.0,
        "the integration of an upload panicked: a fault of the server, to be reported",
    );
    let refused = std::mem::take(&mut step.uploads);
    let computed = attempt(&step).unwrap_or_else(|| {
        Err(RealmError::Damaged("the step panicked even without its uploads".into()))
    });
    let computed = computed.map(|(commit, mut committed)| {
        committed.integration.rejections.push(Rejection {
            file_ident: first,
            client_version: None,
            error: RejectedUpload::Unprocessable,
        });
        (commit, committed)
    });
    // The actor has to hear of it: its upload is over.
    step.uploads = refused;
    (step, postponed, computed)
}

/// The commit of a step, `None` if there is nothing to commit, and what is the case once it is durable.
fn integrate_step(store: &dyn Store, key: &RealmKey, step: &Step, given: &Given) -> Integrated {
    let Given { version_salt: salt, now_ms, .. } = *given;
    let Loaded { record, schema } = &step.loaded;
    let base = Base {
        head: record.head.version,
        cumulative_len: record.cumulative_len,
        salt,
        now_ms,
        max_reciprocals_len: step.max_reciprocals_len,
    };
    let mut unseen = step.unseen.take();
    let uploads: Vec<Upload> = step
        .uploads
        .iter()
        .filter_map(|(ident, pending)| {
            Some(Upload {
                file_ident: *ident,
                file: step.files.get(ident)?.clone(),
                progress: pending.progress,
                locked: pending.locked,
                changesets: pending.changesets.iter().cloned().collect(),
                unseen: unseen.remove(ident).unwrap_or_default(),
            })
        })
        .collect();
    let realm = RealmReader { store, key, head: record.head.version, concurrent: &step.concurrent };
    let mut objects = Transaction::new(schema, &realm);
    let integration =
        integrate(&base, &realm, &mut objects, uploads).map_err(|error| match error {
            IntegrationError::Storage(error) => RealmError::from(error),
            damaged => RealmError::Damaged(Chain(&damaged).to_string().into()),
        })?;
    let changes = objects.finish();

    let mut record = record.clone();
    let mut schema = Arc::clone(schema);
    let mut commit = Commit { base_revision: record.revision, ..Commit::default() };
    let allocated = allocate(&step.allocations, &mut record, &mut commit, given);
    if let Some(last) = integration.entries.last() {
        record.head = last.version;
        record.cumulative_len = last.cumulative_len;
    }
    if let Some(changed) = changes.schema {
        record.schema = changed.encode().into();
        commit.schema = Some(record.schema.clone());
        schema = Arc::new(changed);
    }
    commit.objects = changes.objects;
    commit.entries.clone_from(&integration.entries);
    commit.client_files.extend(integration.client_files.iter().cloned());
    commit.forget_reciprocals.clone_from(&integration.forget_reciprocals);
    commit.reciprocals.clone_from(&integration.reciprocals);
    let commit = if commit.client_files.is_empty() {
        None // Whatever changes anything changes a client file.
    } else {
        record.revision += 1;
        Some(commit)
    };
    Ok((commit, Committed { loaded: Loaded { record, schema }, integration, allocated }))
}

/// Gives the next idents, with the salts that are given.
fn allocate(
    user_ids: &[String],
    record: &mut RealmRecord,
    commit: &mut Commit,
    given: &Given,
) -> Vec<(FileIdent, Salt)> {
    let mut allocated = Vec::with_capacity(user_ids.len());
    for (user_id, salt) in user_ids.iter().zip(&given.file_salts) {
        let ident = FileIdent(FileIdent::FIRST_CLIENT.0 + record.client_file_count);
        record.client_file_count += 1;
        let file = ClientFile::new(*salt, user_id.clone(), given.now_ms);
        commit.client_files.push((ident, file));
        allocated.push((ident, *salt));
    }
    allocated
}

/// A salt, 1 to 2^63-1, that nobody can guess.
///
/// # Errors
///
/// If the system has no randomness.
pub fn random_salt() -> Result<Salt, getrandom::Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes)?;
    Ok(Salt((u64::from_le_bytes(bytes) >> 1).max(1)))
}

/// The realm as it is stored.
struct RealmReader<'a> {
    store: &'a dyn Store,
    key: &'a RealmKey,
    head: ServerVersion,
    concurrent: &'a Excerpt,
}

impl ConcurrentHistory for RealmReader<'_> {
    type Error = StorageError;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, StorageError> {
        let Excerpt { after: known_after, entries, .. } = self.concurrent;
        if after >= *known_after {
            let first = entries.partition_point(|entry| entry.version.version <= after);
            return Ok(entries[first..].into());
        }
        let until =
            self.head.min(*known_after).min(ServerVersion(after.0.saturating_add(PAGE_COUNT)));
        Ok(self.store.entries(self.key, after, until, PAGE_LEN)?.into())
    }

    fn footprint(&self, version: ServerVersion) -> Option<&Footprint> {
        let Excerpt { after, footprints, .. } = self.concurrent;
        let at = version.0.checked_sub(after.next().0)?;
        footprints.get(usize::try_from(at).ok()?)
    }

    fn reciprocals(
        &self,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        self.store.reciprocals(self.key, ident, after)
    }
}

impl ObjectStore for RealmReader<'_> {
    type Error = StorageError;

    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let found = self.store.objects(self.key, &[row.into()])?;
        Ok(found.into_iter().next().flatten())
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, StorageError> {
        let found = self.store.scan_objects(self.key, prefix, None, usize::MAX)?;
        Ok(found.into_iter().map(|(row, _)| row).collect())
    }
}
