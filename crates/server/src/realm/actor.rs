//! The actor of one partition: the only one who decides what becomes of its history.
//!
//! It answers commands in order and never waits for the disk while it could answer others: integration
//! and commit run beside it, one at a time, and what comes meanwhile gathers for the next. A result is
//! told to nobody before its commit is durable. Spec: server history, sections 5 and 6.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bailiwick_core::history::{Claim, ClientFile, ClientType, Rejection, Scan, check_ident};
use bailiwick_core::schema::Schema;
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion, ServerVersion, UploadCursor};
use bailiwick_storage::store::{RealmKey, RealmRecord, StorageError, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::command::{
    Command, ConnectionId, Identified, IdentifyRefused, Queued, Scanned, SessionEnd, Signal,
};
use super::integration::{self, Allocation, Committed, Done, Loaded, Step, StepError};
use super::recent::Recent;
use super::registry::Shared;
use super::{Chain, RealmError};

/// The actor's own state.
#[derive(Debug)]
pub(super) struct Actor {
    key: RealmKey,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Command>,
    loaded: Option<Loaded>,
    recent: Recent,
    files: HashMap<FileIdent, File>,
    allocations: Vec<Allocation>,
    uploads: BTreeMap<FileIdent, integration::PendingUpload>,
    backlog_len: usize,
    working: Option<JoinHandle<Done>>,
    draining: Vec<oneshot::Sender<()>>,
}

/// A client file that somebody holds or that has something queued.
#[derive(Debug)]
struct File {
    record: ClientFile,
    /// The progress that is queued or being integrated, beyond the record's.
    queued: Option<(UploadCursor, ServerVersion)>,
    holder: Option<(ConnectionId, watch::Sender<Signal>)>,
}

/// Client files that are asked for while one commit runs; whoever comes then has to come back.
const MAX_ALLOCATIONS: usize = 4096;

impl Actor {
    pub(super) fn new(
        key: RealmKey,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        Self {
            key,
            shared,
            commands,
            loaded: None,
            recent: Recent::starting_at(ServerVersion::default()),
            files: HashMap::new(),
            allocations: Vec::new(),
            uploads: BTreeMap::new(),
            backlog_len: 0,
            working: None,
            draining: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut idle = tokio::time::interval(self.shared.config.retire_after);
        loop {
            tokio::select! {
                command = self.commands.recv() => match command {
                    Some(command) => self.handle(command).await,
                    None => return,
                },
                done = finished(&mut self.working) => self.finish(done).await,
                _ = idle.tick() => {
                    self.drop_lost_holders();
                    let is_idle = self.is_at_rest() && self.files.is_empty();
                    if is_idle && self.shared.retire(&self.key, &self.commands) {
                        return;
                    }
                }
            }
            self.start_step();
        }
    }

    async fn handle(&mut self, command: Command) {
        match command {
            Command::Allocate { user_id, answer } => self.on_allocate(user_id, answer).await,
            Command::Identify {
                connection,
                file_ident,
                salt,
                user_id,
                download,
                latest,
                answer,
            } => {
                let client_type = ClientType::Regular;
                let claim =
                    Claim { file_ident, salt, user_id: &user_id, download, latest, client_type };
                let result = self.identify(connection, &claim).await;
                let is_bound = result.is_ok();
                if answer.send(result).is_err() && is_bound {
                    // The connection has gone while it was being bound.
                    self.release(connection, file_ident);
                }
            }
            Command::Upload(upload) => self.on_upload(upload),
            Command::Scan { file_ident, cursor, answer } => {
                self.on_scan(file_ident, cursor, answer);
            }
            Command::Release { connection, file_ident } => self.release(connection, file_ident),
            Command::Drain { answer } => {
                self.draining.push(answer);
                self.report_drained();
            }
        }
    }

    async fn on_allocate(
        &mut self,
        user_id: String,
        answer: oneshot::Sender<Result<(FileIdent, Salt), RealmError>>,
    ) {
        if self.allocations.len() >= MAX_ALLOCATIONS {
            return drop(answer.send(Err(RealmError::Overloaded)));
        }
        match self.load().await {
            Ok(_) => self.allocations.push(Allocation { user_id, answer }),
            Err(error) => drop(answer.send(Err(error))),
        }
    }

    async fn identify(
        &mut self,
        connection: ConnectionId,
        claim: &Claim<'_>,
    ) -> Result<Identified, IdentifyRefused> {
        let head = self.load().await?.record.head;
        let ident = claim.file_ident;
        let record = match self.files.get(&ident) {
            Some(file) => Some(file.record.clone()),
            None => self.read(move |store, key| store.client_file(key, ident)).await?,
        };
        let latest_salt = self.salt_of(claim.latest.version, head).await?;
        check_ident(claim, record.as_ref(), head.version, latest_salt)?;
        let record = record.expect("the check refuses an ident without a record");

        let file = self.files.entry(ident).or_insert(File { record, queued: None, holder: None });
        if let Some((holder, signal)) = &file.holder
            && !signal.is_closed()
        {
            if *holder == connection {
                return Err(IdentifyRefused::BoundInOtherSession);
            }
            signal.send_modify(|signal| signal.end = Some(SessionEnd::TakenOver));
        }
        let (sender, signals) = watch::channel(Signal { head: head.version, end: None });
        file.holder = Some((connection, sender));
        let stored = (file.record.upload_cursor, file.record.locked_server_version);
        let (threshold, locked) = file.queued.unwrap_or(stored);
        Ok(Identified { threshold, locked, signals })
    }

    fn on_upload(&mut self, Queued { connection, upload }: Queued) {
        let Some(file) = self.files.get_mut(&upload.file_ident) else { return };
        match &file.holder {
            Some((holder, signal)) if *holder == connection => {
                if signal.borrow().end.is_some() {
                    return; // The session is over; what it still sends is not wanted.
                }
                if self.backlog_len > 0
                    && self.backlog_len + upload.cost > self.shared.config.max_backlog_len
                {
                    signal.send_modify(|signal| signal.end = Some(SessionEnd::Overloaded));
                    return;
                }
                self.backlog_len += upload.cost;
                file.queued = Some((upload.progress, upload.locked));
                let pending = self.uploads.entry(upload.file_ident).or_default();
                pending.append(upload.into());
            }
            _ => (), // Another connection holds the file: this one's threshold is of the past.
        }
    }

    fn on_scan(
        &self,
        file_ident: FileIdent,
        cursor: DownloadCursor,
        answer: oneshot::Sender<Result<Scanned, RealmError>>,
    ) {
        // Without a record the file is not bound; the session is over, and knows it.
        let (Some(loaded), Some(file)) = (&self.loaded, self.files.get(&file_ident)) else {
            return;
        };
        let mut scan = Scan::new(file_ident, cursor, self.shared.config.download_soft_limit);
        let (loaded, upload_cursor) = (loaded.clone(), file.record.acknowledged);
        if let Some(sent_len) = self.recent.feed(&mut scan) {
            let _ = answer.send(Ok(scanned(scan, &loaded, upload_cursor, sent_len)));
            return;
        }
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        tokio::spawn(async move {
            let _permit = shared.reads.acquire().await.expect("the semaphore is never closed");
            let store = Arc::clone(&shared.store);
            let read = tokio::task::spawn_blocking(move || {
                integration::scan_store(&*store, &key, scan, &loaded, upload_cursor)
            });
            let result = read.await.unwrap_or(Err(RealmError::ShuttingDown));
            let _ = answer.send(result);
        });
    }

    fn release(&mut self, connection: ConnectionId, file_ident: FileIdent) {
        if let Some(file) = self.files.get_mut(&file_ident)
            && file.holder.as_ref().is_some_and(|(holder, _)| *holder == connection)
        {
            file.holder = None;
            self.forget_if_unused(file_ident);
        }
    }

    /// Lets go of the client files whose connections have gone without saying so: while they were being bound.
    fn drop_lost_holders(&mut self) {
        self.files.retain(|_, file| {
            if file.holder.as_ref().is_some_and(|(_, signal)| signal.is_closed()) {
                file.holder = None;
            }
            file.holder.is_some() || file.queued.is_some()
        });
    }

    fn forget_if_unused(&mut self, file_ident: FileIdent) {
        if let Some(file) = self.files.get(&file_ident)
            && file.holder.is_none()
            && file.queued.is_none()
        {
            self.files.remove(&file_ident);
        }
    }

    /// Starts the next integration, unless one runs or there is nothing to do.
    fn start_step(&mut self) {
        if self.working.is_some() || (self.allocations.is_empty() && self.uploads.is_empty()) {
            return;
        }
        let Some(loaded) = &self.loaded else { return };
        let allocations = std::mem::take(&mut self.allocations);
        let uploads = std::mem::take(&mut self.uploads);
        self.backlog_len = 0;
        let files = uploads
            .keys()
            .filter_map(|ident| Some((*ident, self.files.get(ident)?.record.clone())))
            .collect();
        let base = uploads.values().filter_map(integration::PendingUpload::base).min();
        let concurrent =
            base.and_then(|base| Some(self.recent.after(base)?.cloned().collect::<Vec<_>>()));
        let step = Step { loaded: loaded.clone(), allocations, uploads, files, concurrent };
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        self.working = Some(tokio::spawn(integration::run(shared, key, step)));
    }

    async fn finish(&mut self, done: Done) {
        let Done { step, postponed, result } = done;
        self.queue_again(postponed);
        match result {
            Ok(committed) => self.on_committed(step, committed),
            Err(StepError::Outdated { expected, actual }) => {
                tracing::warn!(realm = ?self.key, expected, actual, "somebody else has committed; trying again");
                self.retry(step).await;
            }
            Err(StepError::Realm(error)) => self.fail(step, &error),
        }
        self.report_drained();
    }

    fn on_committed(&mut self, step: Step, committed: Committed) {
        let Committed { loaded, integration, allocated } = committed;
        let head = loaded.record.head.version;
        self.loaded = Some(loaded);
        self.recent.extend(&integration.entries);
        for (ident, record) in integration.client_files {
            if let Some(file) = self.files.get_mut(&ident) {
                file.record = record;
            }
        }
        for rejection in integration.rejections {
            self.reject(rejection);
        }
        for ident in step.uploads.into_keys() {
            if let Some(file) = self.files.get_mut(&ident)
                && !self.uploads.contains_key(&ident)
            {
                file.queued = None;
            }
            self.forget_if_unused(ident);
        }
        for (allocation, file) in step.allocations.into_iter().zip(allocated) {
            // An ident that nobody waits for any more is never used; there are enough.
            let _ = allocation.answer.send(Ok(file));
        }
        if !integration.entries.is_empty() {
            self.tell_holders(|signal| signal.head = head);
        }
    }

    /// Ends the session whose upload was refused, and drops what it has queued since.
    fn reject(&mut self, rejection: Rejection) {
        let ident = rejection.file_ident;
        let user_id = self.files.get(&ident).map(|file| file.record.user_id.as_str());
        tracing::error!(
            realm = ?self.key,
            file_ident = ident.0,
            user_id,
            client_version = rejection.client_version.map(|version| version.0),
            error = %Chain(&rejection.error),
            "refused an upload; nothing of it is stored",
        );
        if let Some(pending) = self.uploads.remove(&ident) {
            self.backlog_len -= pending.cost;
        }
        if let Some(file) = self.files.get(&ident)
            && let Some((_, signal)) = &file.holder
        {
            let rejection = Arc::new(rejection);
            signal.send_modify(|signal| signal.end = Some(SessionEnd::Rejected(rejection)));
        }
    }

    /// Puts uploads that were not integrated in front of what their client files have queued since.
    fn queue_again(&mut self, uploads: BTreeMap<FileIdent, integration::PendingUpload>) {
        for (ident, mut pending) in uploads {
            self.backlog_len += pending.cost;
            if let Some(newer) = self.uploads.remove(&ident) {
                pending.append(newer);
            }
            self.uploads.insert(ident, pending);
        }
    }

    /// Puts a step back in front of what has gathered since, to be computed from the realm as it is now.
    async fn retry(&mut self, step: Step) {
        self.loaded = None;
        self.queue_again(step.uploads);
        self.allocations.splice(0..0, step.allocations);
        if let Err(error) = self.reload().await {
            self.fail(Step::default(), &error);
        }
    }

    /// Reads everything again that is kept in memory.
    async fn reload(&mut self) -> Result<(), RealmError> {
        let head = self.load().await?.record.head.version;
        let mut idents: Vec<_> = self.files.keys().copied().collect();
        idents.sort_unstable();
        for ident in idents {
            let record = self.read(move |store, key| store.client_file(key, ident)).await?;
            if let (Some(file), Some(record)) = (self.files.get_mut(&ident), record) {
                file.record = record;
            }
        }
        self.tell_holders(|signal| signal.head = head);
        Ok(())
    }

    /// Gives up everything that is not durable. The devices come back, and the realm is read again.
    fn fail(&mut self, step: Step, error: &RealmError) {
        tracing::error!(realm = ?self.key, error = %Chain(error), "the realm has failed; its devices have to come back");
        self.tell_holders(|signal| signal.end = Some(SessionEnd::Failed(error.clone())));
        for allocation in step.allocations.into_iter().chain(self.allocations.drain(..)) {
            let _ = allocation.answer.send(Err(error.clone()));
        }
        self.uploads.clear();
        self.backlog_len = 0;
        self.files.clear();
        self.loaded = None;
    }

    fn tell_holders(&self, news: impl Fn(&mut Signal)) {
        #[expect(clippy::iter_over_hash_type, reason = "each is told by itself")]
        for file in self.files.values() {
            if let Some((_, signal)) = &file.holder {
                signal.send_modify(&news);
            }
        }
    }

    /// The realm as it is, read if it is not known.
    async fn load(&mut self) -> Result<&Loaded, RealmError> {
        if self.loaded.is_none() {
            let record: RealmRecord = self.read(bailiwick_storage::store::Store::realm).await?;
            let schema = Schema::decode(&record.schema)
                .map_err(|error| RealmError::Damaged(format!("its schema: {error}").into()))?;
            self.recent = Recent::starting_at(record.head.version);
            self.loaded = Some(Loaded { record, schema: Arc::new(schema) });
        }
        Ok(self.loaded.as_ref().expect("it was loaded above"))
    }

    /// The salt of a version, if it exists.
    async fn salt_of(
        &self,
        version: ServerVersion,
        head: SaltedVersion,
    ) -> Result<Option<Salt>, RealmError> {
        if version == ServerVersion::default() {
            return Ok(Some(Salt::default()));
        }
        if version == head.version {
            return Ok(Some(head.salt));
        }
        if version > head.version {
            return Ok(None);
        }
        let before = ServerVersion(version.0 - 1);
        let entries = self.read(move |store, key| store.entries(key, before, version, 0)).await?;
        Ok(entries.first().map(|entry| entry.version.salt))
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store, &RealmKey) -> Result<T, StorageError> + Send + 'static,
    ) -> Result<T, RealmError> {
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let result = tokio::task::spawn_blocking(move || read(&*shared.store, &key)).await;
        Ok(result.map_err(|_| RealmError::ShuttingDown)??)
    }

    fn is_at_rest(&self) -> bool {
        self.working.is_none() && self.uploads.is_empty() && self.allocations.is_empty()
    }

    fn report_drained(&mut self) {
        if self.is_at_rest() {
            for answer in self.draining.drain(..) {
                let _ = answer.send(());
            }
        }
    }
}

/// Waits for the step that runs; for ever if none does.
async fn finished(working: &mut Option<JoinHandle<Done>>) -> Done {
    match working {
        Some(handle) => {
            let done = handle.await.unwrap_or_else(|_| Done {
                step: Step::default(),
                postponed: BTreeMap::new(),
                result: Err(StepError::Realm(RealmError::Damaged(
                    "the integration panicked".into(),
                ))),
            });
            *working = None;
            done
        }
        None => std::future::pending().await,
    }
}

/// The result of a scan of a realm.
pub(super) fn scanned(
    scan: Scan,
    Loaded { record, schema }: &Loaded,
    upload_cursor: UploadCursor,
    sent_len: u64,
) -> Scanned {
    Scanned {
        download: scan.finish(),
        head: record.head,
        upload_cursor,
        remaining_len: record.cumulative_len.saturating_sub(sent_len),
        schema: Arc::clone(schema),
    }
}
