//! A partition of the server while it runs.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bailiwick_core::apply::Transaction;
use bailiwick_core::history::{
    Base, Claim, ClientFile, ClientType, ConcurrentHistory, Entry, Scan, Unseen, Upload,
    UploadedChangeset, check_ident, integrate,
};
use bailiwick_core::schema::Schema;
use bailiwick_core::state::{ObjectRow, ObjectStore};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::message::ClientIdent;
use bailiwick_protocol::version::{DownloadCursor, ServerVersion, UploadCursor};
use bailiwick_server::realm::{IdentifyRefused, Scanned, SessionEnd, Signal};
use bailiwick_server::session::{AcceptedUpload, Input, SessionKey};
use bailiwick_storage::store::{Commit, RealmKey, RealmRecord, StorageError, Store};
use bytes::Bytes;

use crate::sim::agenda::Time;

#[derive(Debug)]
pub(super) struct Realm {
    store: Arc<dyn Store>,
    key: RealmKey,
    record: RealmRecord,
    pub(super) holders: BTreeMap<FileIdent, (u64, SessionKey)>,
    queue: BTreeMap<FileIdent, Queued>,
    step_at: Option<Time>,
}

/// What a client file has queued.
#[derive(Debug, Default)]
struct Queued {
    progress: UploadCursor,
    locked: ServerVersion,
    changesets: Vec<UploadedChangeset>,
}

type Committed = (ServerVersion, Vec<Entry>, BTreeMap<FileIdent, SessionEnd>);

impl Realm {
    pub(super) fn load(store: Arc<dyn Store>, key: RealmKey) -> Self {
        let record = store.realm(&key).expect("the store works");
        let (holders, queue) = (BTreeMap::new(), BTreeMap::new());
        Self { store, key, record, holders, queue, step_at: None }
    }

    pub(super) fn step_at(&self) -> Option<Time> {
        self.step_at
    }

    pub(super) fn allocate(&mut self, user_id: String, salt: u64) -> (FileIdent, Salt) {
        let ident = FileIdent(FileIdent::FIRST_CLIENT.0 + self.record.client_file_count);
        let file = ClientFile::new(Salt(salt), user_id, 1);
        self.commit(Commit { client_files: vec![(ident, file)], ..Commit::default() });
        (ident, Salt(salt))
    }

    pub(super) fn identify(
        &mut self,
        number: u64,
        key: SessionKey,
        claim: &ClientIdent,
        user_id: &str,
        inputs: &mut VecDeque<(u64, Input)>,
    ) -> Result<(UploadCursor, ServerVersion, ServerVersion), IdentifyRefused> {
        let (ident, head) = (claim.file_ident, self.record.head);
        let file = self.store.client_file(&self.key, ident).expect("the store works");
        let claim = Claim {
            file_ident: ident,
            salt: claim.file_ident_salt,
            user_id,
            download: claim.download_cursor,
            latest: claim.latest_server_version,
            client_type: ClientType::Regular,
        };
        let salt = self.salt_of(claim.latest.version);
        check_ident(&claim, file.as_ref(), head.version, salt)?;
        if self.holders.get(&ident).is_some_and(|(holder, _)| *holder == number) {
            return Err(IdentifyRefused::BoundInOtherSession);
        }
        if let Some((holder, key)) = self.holders.insert(ident, (number, key)) {
            let end = Some(SessionEnd::TakenOver);
            inputs.push_back((holder, Input::Signal(key, Signal { head: head.version, end })));
        }
        let file = file.expect("the check refuses an ident without a record");
        let (threshold, locked) = match self.queue.get(&ident) {
            Some(queued) => (queued.progress, queued.locked),
            None => (file.upload_cursor, file.locked_server_version),
        };
        Ok((threshold, locked, head.version))
    }

    pub(super) fn upload(&mut self, at: Time, holder: (u64, SessionKey), upload: AcceptedUpload) {
        if self.holders.get(&upload.file_ident) == Some(&holder) {
            let queued = self.queue.entry(upload.file_ident).or_default();
            queued.progress = upload.progress;
            queued.locked = upload.locked;
            queued.changesets.extend(upload.changesets);
            self.step_at.get_or_insert(at);
        }
    }

    pub(super) fn release(&mut self, holder: (u64, SessionKey), file: FileIdent) {
        if self.holders.get(&file) == Some(&holder) {
            self.holders.remove(&file);
        }
    }

    pub(super) fn scan(
        &self,
        ident: FileIdent,
        cursor: DownloadCursor,
        soft_limit: usize,
    ) -> Scanned {
        let mut scan = Scan::new(ident, cursor, soft_limit);
        for entry in self.after(cursor.server_version) {
            if !scan.push(&entry) {
                break;
            }
        }
        let download = scan.finish();
        let behind = self.after(download.cursor.server_version);
        let file = self.store.client_file(&self.key, ident).expect("the store works");
        Scanned {
            head: self.record.head,
            upload_cursor: file.expect("it is bound").acknowledged,
            remaining_len: behind.iter().map(|entry| entry.changeset.len() as u64).sum(),
            schema: Arc::new(self.schema()),
            download,
        }
    }

    /// Integrates and commits all that is queued.
    pub(super) fn integrate(&mut self, salt: u64, now_ms: u64) -> Committed {
        self.step_at = None;
        let uploads = std::mem::take(&mut self.queue).into_iter().map(|(ident, queued)| Upload {
            file_ident: ident,
            file: self
                .store
                .client_file(&self.key, ident)
                .expect("the store works")
                .expect("it was allocated"),
            progress: queued.progress,
            locked: queued.locked,
            changesets: queued.changesets,
            unseen: Unseen::default(),
        });
        let uploads = uploads.collect();
        let RealmRecord { head, cumulative_len, .. } = self.record;
        let base = Base { head: head.version, cumulative_len, salt: Salt(salt), now_ms };
        let schema = self.schema();
        let mut objects = Transaction::new(&schema, self);
        let done = integrate(&base, self, &mut objects, uploads).expect("the store works");
        let changes = objects.finish();
        self.commit(Commit {
            entries: done.entries.clone(),
            client_files: done.client_files,
            forget_reciprocals: done.forget_reciprocals,
            reciprocals: done.reciprocals,
            objects: changes.objects,
            schema: changes.schema.map(|schema| schema.encode().into()),
            ..Commit::default()
        });
        let rejections = done
            .rejections
            .into_iter()
            .map(|rejection| (rejection.file_ident, SessionEnd::Rejected(Arc::new(rejection))));
        (self.record.head.version, done.entries, rejections.collect())
    }

    fn commit(&mut self, commit: Commit) {
        let commit = Commit { base_revision: self.record.revision, ..commit };
        let done = self.store.commit(&[(self.key.clone(), commit)]).expect("the store works");
        done.into_iter().for_each(|done| done.expect("nobody else commits"));
        self.record = self.store.realm(&self.key).expect("the store works");
    }

    fn schema(&self) -> Schema {
        Schema::decode(&self.record.schema).expect("the schema can be read")
    }

    fn salt_of(&self, version: ServerVersion) -> Option<Salt> {
        if version == ServerVersion::default() {
            return Some(Salt::default());
        }
        self.after(ServerVersion(version.0 - 1)).first().map(|entry| entry.version.salt)
    }

    fn after(&self, version: ServerVersion) -> Vec<Entry> {
        let (key, head) = (&self.key, self.record.head.version);
        self.store.entries(key, version, head, usize::MAX).expect("the store works")
    }
}

impl ConcurrentHistory for Realm {
    type Error = StorageError;

    fn entries(&self, after: ServerVersion) -> Result<Cow<'_, [Entry]>, StorageError> {
        Ok(self.store.entries(&self.key, after, self.record.head.version, usize::MAX)?.into())
    }

    fn reciprocals(
        &self,
        ident: FileIdent,
        after: ServerVersion,
    ) -> Result<Vec<(ServerVersion, Bytes)>, StorageError> {
        self.store.reciprocals(&self.key, ident, after)
    }
}

impl ObjectStore for Realm {
    type Error = StorageError;

    fn object(&self, row: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let found = self.store.objects(&self.key, &[row.into()])?;
        Ok(found.into_iter().next().flatten())
    }

    fn rows(&self, prefix: &[u8]) -> Result<Vec<ObjectRow>, StorageError> {
        let found = self.store.scan_objects(&self.key, prefix, None, usize::MAX)?;
        Ok(found.into_iter().map(|(row, _)| row).collect())
    }
}
