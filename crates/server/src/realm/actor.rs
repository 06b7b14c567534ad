//! The actor of one partition: the only one who decides what becomes of its history. A state machine without I/O.
//!
//! It takes commands in order and never waits for the disk while it could answer others: integration and
//! commit run beside it, one at a time, and what comes meanwhile gathers for the next. A result is told to
//! nobody before its commit is durable. Spec: server history, sections 5 and 6.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bailiwick_core::history::{
    Claim, ClientFile, ClientType, Rejection, Scan, Unseen, check_ident,
};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion, ServerVersion, UploadCursor};
use bailiwick_storage::store::{Commit, CommitRefused, RealmKey};

use super::command::{Bound, Callers, Command, ConnectionId, IdentifyRefused, Queued, SessionEnd};
use super::committer::CommitError;
use super::integration::{Committed, Computed, Loaded, PendingUpload, Piece, Step};
use super::read::{Records, Request};
use super::recent::Recent;
use super::registry::RealmsConfig;
use super::scan::{Scanned, StoreScan};
use super::{Chain, RealmError};

/// What happened.
#[derive(Debug)]
pub enum Input<C: Callers> {
    /// Somebody asks for something. Only while the actor [wants commands](Actor::wants_commands).
    Command(Command<C>),
    /// The answer to [`Output::Read`].
    Read(Purpose, Result<Records, RealmError>),
    /// The answer to [`Output::Compute`].
    Computed(Box<Computed>),
    /// The answer to [`Output::Commit`].
    Committed(Result<(), CommitError>),
}

/// What the driver must do.
#[derive(Debug)]
pub enum Output<C: Callers> {
    /// Answer [`Command::Allocate`].
    Allocated(C::Allocate, Result<(FileIdent, Salt), RealmError>),
    /// Answer [`Command::Identify`]. From an `Ok` on, the caller is told what concerns the client file.
    Identified(C::Identify, Result<Bound, IdentifyRefused>),
    /// Answer [`Command::Scan`].
    Scanned(C::Scan, Result<Scanned, RealmError>),
    /// Answer [`Command::Scan`] with what [`StoreScan::run`] finds. Any number of these may run.
    Scan(C::Scan, StoreScan),
    /// Answer [`Command::Drain`].
    Drained(C::Drain),
    /// Tell all who hold client files how far the history goes now.
    Head(ServerVersion),
    /// Tell the one who holds this client file that the session is over.
    End(FileIdent, SessionEnd),
    /// Nobody holds this client file any more.
    Unbound(FileIdent),
    /// Tell all who hold client files that their sessions are over; nobody holds one any more.
    Failed(RealmError),
    /// Call [`Request::read`], and say [`Input::Read`]. One of each purpose runs at a time.
    Read(Purpose, Request),
    /// Call [`compute`](super::compute), and say [`Input::Computed`]. One step runs at a time.
    Compute(Step),
    /// Make this durable, and say [`Input::Committed`].
    Commit(Commit),
}

/// What something is read for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A command, which those after it wait for.
    Command,
    /// The step that runs.
    Step,
}

/// The state of one partition.
#[derive(Debug)]
pub struct Actor<C: Callers> {
    key: RealmKey,
    config: RealmsConfig,
    loaded: Option<Loaded>,
    recent: Recent,
    files: HashMap<FileIdent, File>,
    asking: Option<Asking<C>>,
    allocations: Vec<Allocation<C>>,
    uploads: BTreeMap<FileIdent, PendingUpload>,
    /// There is more in `uploads` than how far devices have got.
    is_due: bool,
    /// What steps have left for the next ones of the same client files.
    unseen: BTreeMap<FileIdent, Unseen>,
    backlog_len: usize,
    working: Option<Working<C>>,
    draining: Vec<C::Drain>,
}

/// A client file that somebody holds or that has something queued.
#[derive(Debug)]
struct File {
    record: ClientFile,
    /// The progress that is queued or being integrated, beyond the record's.
    queued: Option<(UploadCursor, ServerVersion)>,
    holder: Option<Holder>,
}

#[derive(Debug)]
struct Holder {
    connection: ConnectionId,
    /// Was told that the session is over.
    is_over: bool,
}

/// A command that waits for a read, and what was read for it.
#[derive(Debug)]
struct Asking<C: Callers> {
    asked: Asked<C>,
    found: Records,
    /// The realm was lost since it was asked for: what is read says nothing about the one that comes.
    is_outdated: bool,
}

#[derive(Debug)]
enum Asked<C: Callers> {
    Allocate(Allocation<C>),
    Identify(Identify<C>),
}

#[derive(Debug)]
struct Allocation<C: Callers> {
    user_id: String,
    answer: C::Allocate,
}

#[derive(Debug)]
struct Identify<C: Callers> {
    connection: ConnectionId,
    file_ident: FileIdent,
    salt: Salt,
    user_id: String,
    download: DownloadCursor,
    latest: SaltedVersion,
    answer: C::Identify,
}

/// The step that runs.
#[derive(Debug)]
struct Working<C: Callers> {
    /// Who waits for its client files.
    allocating: Vec<C::Allocate>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Computing,
    /// What was computed is being made durable.
    Committing(Step, Committed),
    /// Nothing is to be made durable but a refusal is to be told: is it from the realm as it is?
    Checking(Step, Committed),
    /// Somebody else has committed: everything in memory is being read again.
    Reloading,
}

/// Client files that are asked for while one commit runs; whoever comes then has to come back.
const MAX_ALLOCATIONS: usize = 4096;

/// Reading fewer entries again takes less than remembering them.
const MIN_UNSEEN_COUNT: u64 = 128;

/// How many bytes of what others wrote one realm keeps for client files with long queues.
const MAX_UNSEEN_LEN: usize = 4 << 20;

impl<C: Callers> Actor<C> {
    /// The actor of a realm; it reads when it is asked for something.
    pub fn new(key: RealmKey, config: RealmsConfig) -> Self {
        Self {
            key,
            config,
            loaded: None,
            recent: Recent::starting_at(ServerVersion::default()),
            files: HashMap::new(),
            asking: None,
            allocations: Vec::new(),
            uploads: BTreeMap::new(),
            is_due: false,
            unseen: BTreeMap::new(),
            backlog_len: 0,
            working: None,
            draining: Vec::new(),
        }
    }

    /// Takes one event; appends to `out`, in order, what the driver must do.
    pub fn handle(&mut self, input: Input<C>, out: &mut Vec<Output<C>>) {
        match input {
            Input::Command(command) => self.on_command(command, out),
            Input::Read(Purpose::Command, result) => self.on_read(result, out),
            Input::Read(Purpose::Step, result) => self.on_step_read(result, out),
            Input::Computed(computed) => self.on_computed(*computed, out),
            Input::Committed(result) => self.on_commit(result, out),
        }
        self.start_step(out);
        if self.is_at_rest() {
            out.extend(self.draining.drain(..).map(Output::Drained));
        }
    }

    /// Whether the next command may be handed in: they are carried out in order, also those that have to read.
    pub fn wants_commands(&self) -> bool {
        self.asking.is_none() && !self.is_reloading()
    }

    /// Whether the actor may end: nothing is queued, and nobody holds a client file.
    pub fn is_idle(&self) -> bool {
        self.is_at_rest() && self.asking.is_none() && self.files.is_empty()
    }

    /// Bytes of memory that the queued uploads take: at most what the configuration says, or one upload.
    pub fn backlog_len(&self) -> usize {
        self.backlog_len
    }

    fn on_command(&mut self, command: Command<C>, out: &mut Vec<Output<C>>) {
        match command {
            Command::Allocate { answer, .. } if self.allocations.len() >= MAX_ALLOCATIONS => {
                out.push(Output::Allocated(answer, Err(RealmError::Overloaded)));
            }
            Command::Allocate { user_id, answer } => {
                self.ask(Asked::Allocate(Allocation { user_id, answer }), out);
            }
            Command::Identify {
                connection,
                file_ident,
                salt,
                user_id,
                download,
                latest,
                answer,
            } => {
                let identify =
                    Identify { connection, file_ident, salt, user_id, download, latest, answer };
                self.ask(Asked::Identify(identify), out);
            }
            Command::Upload(upload) => self.on_upload(upload, out),
            Command::Scan { file_ident, cursor, answer } => {
                self.on_scan(file_ident, cursor, answer, out);
            }
            Command::Release { connection, file_ident } => {
                self.on_release(connection, file_ident, out);
            }
            Command::Drain { answer } => self.draining.push(answer),
        }
    }

    fn ask(&mut self, asked: Asked<C>, out: &mut Vec<Output<C>>) {
        self.answer(Asking { asked, found: Records::default(), is_outdated: false }, out);
    }

    /// Answers a command, or reads what is missing for the answer.
    fn answer(&mut self, asking: Asking<C>, out: &mut Vec<Output<C>>) {
        let missing = self.missing(&asking);
        if missing != Request::default() {
            self.asking = Some(asking);
            return out.push(Output::Read(Purpose::Command, missing));
        }
        match asking.asked {
            Asked::Allocate(allocation) => self.allocations.push(allocation),
            Asked::Identify(identify) => {
                let result = self.identify(&identify, &asking.found, out);
                out.push(Output::Identified(identify.answer, result));
            }
        }
    }

    /// What has to be read before a command can be answered.
    fn missing(&self, Asking { asked, found, .. }: &Asking<C>) -> Request {
        let mut missing = Request { realm: self.loaded.is_none(), ..Request::default() };
        if let Asked::Identify(identify) = asked {
            let ident = identify.file_ident;
            if !self.files.contains_key(&ident) && !found.files.contains_key(&ident) {
                missing.files.push(ident);
            }
            let version = identify.latest.version;
            if self.has_stored_salt(version) && !found.salts.contains_key(&version) {
                missing.salts.push(version);
            }
        }
        missing
    }

    /// Whether the salt of a version can only be known by reading.
    fn has_stored_salt(&self, version: ServerVersion) -> bool {
        let is_old = |loaded: &Loaded| version < loaded.record.head.version;
        version > ServerVersion::default() && self.loaded.as_ref().is_none_or(is_old)
    }

    fn on_read(&mut self, result: Result<Records, RealmError>, out: &mut Vec<Output<C>>) {
        let Some(mut asking) = self.asking.take() else { return };
        match result {
            Ok(_) if asking.is_outdated => self.ask(asking.asked, out),
            Ok(mut found) => {
                if let Some(loaded) = found.loaded.take() {
                    self.take_over(loaded);
                }
                asking.found.files.append(&mut found.files);
                asking.found.salts.append(&mut found.salts);
                self.answer(asking, out);
            }
            Err(error) => out.push(match asking.asked {
                Asked::Allocate(allocation) => Output::Allocated(allocation.answer, Err(error)),
                Asked::Identify(identify) => Output::Identified(identify.answer, Err(error.into())),
            }),
        }
    }

    fn identify(
        &mut self,
        identify: &Identify<C>,
        found: &Records,
        out: &mut Vec<Output<C>>,
    ) -> Result<Bound, IdentifyRefused> {
        let Identify { connection, file_ident, .. } = *identify;
        let claim = Claim {
            file_ident,
            salt: identify.salt,
            user_id: &identify.user_id,
            download: identify.download,
            latest: identify.latest,
            client_type: ClientType::Regular,
        };
        let head = self.loaded.as_ref().expect("it was read before").record.head;
        let latest_salt = salt_of(identify.latest.version, head, found);
        let stored = found.files.get(&file_ident).and_then(Option::as_ref);
        let record = self.files.get(&file_ident).map_or(stored, |file| Some(&file.record));
        check_ident(&claim, record, head.version, latest_salt)?;
        let record = record.expect("the check refuses an ident without a record").clone();

        let file =
            self.files.entry(file_ident).or_insert(File { record, queued: None, holder: None });
        if let Some(holder) = &file.holder {
            if holder.connection == connection {
                return Err(IdentifyRefused::BoundInOtherSession);
            }
            out.push(Output::End(file_ident, SessionEnd::TakenOver));
        }
        file.holder = Some(Holder { connection, is_over: false });
        let stored = (file.record.upload_cursor, file.record.locked_server_version);
        let (threshold, locked) = file.queued.unwrap_or(stored);
        Ok(Bound { connection, file_ident, threshold, locked, head: head.version })
    }

    fn on_upload(&mut self, Queued { connection, upload }: Queued, out: &mut Vec<Output<C>>) {
        let ident = upload.file_ident;
        let Some(file) = self.files.get_mut(&ident) else { return };
        match &mut file.holder {
            Some(holder) if holder.connection == connection => {
                if holder.is_over {
                    return; // What it still sends is not wanted.
                }
                if self.backlog_len > 0
                    && self.backlog_len + upload.cost > self.config.max_backlog_len
                {
                    holder.is_over = true;
                    return out.push(Output::End(ident, SessionEnd::Overloaded));
                }
                self.backlog_len += upload.cost;
                self.is_due |= !upload.changesets.is_empty();
                file.queued = Some((upload.progress, upload.locked));
                self.uploads.entry(ident).or_default().append(upload.into());
            }
            _ => (), // Another connection holds the file: this one's threshold is of the past.
        }
    }

    fn on_scan(
        &self,
        file_ident: FileIdent,
        cursor: DownloadCursor,
        answer: C::Scan,
        out: &mut Vec<Output<C>>,
    ) {
        let (Some(loaded), Some(file)) = (&self.loaded, self.files.get(&file_ident)) else {
            // The file is not bound: the session is over, and is about to hear of it.
            return out.push(Output::Scanned(answer, Err(RealmError::ShuttingDown)));
        };
        let mut scan = Scan::new(file_ident, cursor, self.config.download_soft_limit);
        let upload_cursor = file.record.acknowledged;
        out.push(match self.recent.feed(&mut scan) {
            Some(sent_len) => {
                Output::Scanned(answer, Ok(Scanned::new(scan, loaded, upload_cursor, sent_len)))
            }
            None => Output::Scan(answer, StoreScan::new(scan, loaded.clone(), upload_cursor)),
        });
    }

    fn on_release(
        &mut self,
        connection: ConnectionId,
        file_ident: FileIdent,
        out: &mut Vec<Output<C>>,
    ) {
        if let Some(file) = self.files.get_mut(&file_ident)
            && file.holder.as_ref().is_some_and(|holder| holder.connection == connection)
        {
            file.holder = None;
            // Nothing may come for long that what it has queued could go with.
            self.is_due |= file.queued.is_some();
            out.push(Output::Unbound(file_ident));
            self.forget_if_unused(file_ident);
        }
    }

    fn forget_if_unused(&mut self, file_ident: FileIdent) {
        if let Some(file) = self.files.get(&file_ident)
            && file.holder.is_none()
            && file.queued.is_none()
        {
            self.files.remove(&file_ident);
            self.unseen.remove(&file_ident);
        }
    }

    /// Starts the next integration, unless one runs or there is nothing to do.
    ///
    /// How far a device has got is no reason for a commit of its own, which what others upload would have to wait for:
    /// each device that was sent it says so, and nobody is told that it is stored. It goes with the next commit, or
    /// when the device has gone.
    fn start_step(&mut self, out: &mut Vec<Output<C>>) {
        let is_due = self.is_due || !self.draining.is_empty();
        let has_uploads = is_due && !self.uploads.is_empty();
        if self.working.is_some() || (self.allocations.is_empty() && !has_uploads) {
            return;
        }
        let Some(loaded) = self.loaded.clone() else { return };
        let (allocations, allocating) = std::mem::take(&mut self.allocations)
            .into_iter()
            .map(|Allocation { user_id, answer }| (user_id, answer))
            .unzip();
        let uploads = self.take_pieces();
        let mut step = Step { loaded, allocations, ..Step::default() };
        let mut read_after = step.loaded.record.head.version;
        for (ident, pending) in &uploads {
            let unseen = self.unseen.remove(ident).unwrap_or_default();
            if let Some(base) = pending.base() {
                read_after = read_after.min(unseen.reads_after(base));
            }
            step.unseen.get_mut().insert(*ident, unseen);
            if let Some(file) = self.files.get(ident) {
                step.files.insert(*ident, file.record.clone());
            }
        }
        step.concurrent = self.recent.excerpt(read_after);
        step.uploads = uploads;
        self.working = Some(Working { allocating, phase: Phase::Computing });
        out.push(Output::Compute(step));
    }

    /// Takes of what each client file has queued what the next step is to integrate. Those with long queues do not
    /// make the others wait for all of it.
    fn take_pieces(&mut self) -> BTreeMap<FileIdent, PendingUpload> {
        let piece = if self.files.len() > 1 { Piece::SHARED } else { Piece::ALONE };
        let queues = self.uploads.iter_mut();
        let pieces: BTreeMap<_, _> =
            queues.map(|(ident, queued)| (*ident, queued.take(piece))).collect();
        self.uploads.retain(|_, queued| !queued.changesets.is_empty());
        self.is_due = !self.uploads.is_empty();
        self.backlog_len -= pieces.values().map(|piece| piece.cost).sum::<usize>();
        pieces
    }

    fn on_computed(&mut self, computed: Computed, out: &mut Vec<Output<C>>) {
        let Some(mut working) = self.working.take() else { return };
        let Computed { step, postponed, result } = computed;
        self.queue_again(postponed);
        match result {
            Ok((Some(commit), committed)) => {
                working.phase = Phase::Committing(step, committed);
                self.working = Some(working);
                out.push(Output::Commit(commit));
            }
            Ok((None, committed)) if committed.integration.rejections.is_empty() => {
                self.on_durable(working.allocating, step, committed, out);
            }
            // A refusal is for good: it must not come from reading a realm that somebody else was changing.
            // A commit is told so by the store.
            Ok((None, committed)) => {
                working.phase = Phase::Checking(step, committed);
                self.working = Some(working);
                let request = Request { realm: true, ..Request::default() };
                out.push(Output::Read(Purpose::Step, request));
            }
            Err(error) => self.fail(working.allocating, error, out),
        }
    }

    fn on_commit(&mut self, result: Result<(), CommitError>, out: &mut Vec<Output<C>>) {
        let Some(Working { allocating, phase: Phase::Committing(step, committed) }) =
            self.working.take()
        else {
            return;
        };
        let error = match result {
            Ok(()) => return self.on_durable(allocating, step, committed, out),
            Err(CommitError::Refused(CommitRefused::Outdated { actual, .. })) => {
                return self.retry(allocating, step, actual, out);
            }
            Err(CommitError::Refused(refused)) => {
                RealmError::Damaged(Chain(&refused).to_string().into())
            }
            Err(CommitError::Storage(error)) => RealmError::Storage(error),
            Err(CommitError::ShuttingDown) => RealmError::ShuttingDown,
        };
        self.fail(allocating, error, out);
    }

    fn on_step_read(&mut self, result: Result<Records, RealmError>, out: &mut Vec<Output<C>>) {
        let Some(Working { allocating, phase }) = self.working.take() else { return };
        match (phase, result) {
            (Phase::Checking(step, committed), Ok(records)) => {
                let actual = records.loaded.map_or(0, |loaded| loaded.record.revision);
                if actual == step.loaded.record.revision {
                    self.on_durable(allocating, step, committed, out);
                } else {
                    self.retry(allocating, step, actual, out);
                }
            }
            (Phase::Reloading, Ok(records)) => {
                if let Some(loaded) = records.loaded {
                    out.push(Output::Head(loaded.record.head.version));
                    self.take_over(loaded);
                }
                for (ident, record) in records.files {
                    if let (Some(file), Some(record)) = (self.files.get_mut(&ident), record) {
                        file.record = record;
                    }
                }
            }
            (_, Err(error)) => self.fail(allocating, error, out),
            (Phase::Computing | Phase::Committing(..), Ok(_)) => (),
        }
    }

    fn on_durable(
        &mut self,
        allocating: Vec<C::Allocate>,
        step: Step,
        committed: Committed,
        out: &mut Vec<Output<C>>,
    ) {
        let Committed { loaded, integration, allocated } = committed;
        let head = loaded.record.head.version;
        self.loaded = Some(loaded);
        self.recent.extend(&integration.entries, integration.footprints);
        self.keep(integration.unseen);
        for (ident, record) in integration.client_files {
            if let Some(file) = self.files.get_mut(&ident) {
                file.record = record;
            }
        }
        for rejection in integration.rejections {
            self.reject(rejection, out);
        }
        for ident in step.uploads.into_keys() {
            if let Some(file) = self.files.get_mut(&ident)
                && !self.uploads.contains_key(&ident)
            {
                file.queued = None;
            }
            self.forget_if_unused(ident);
        }
        let answers = allocating.into_iter().zip(allocated);
        out.extend(answers.map(|(answer, file)| Output::Allocated(answer, Ok(file))));
        if !integration.entries.is_empty() {
            out.push(Output::Head(head));
        }
    }

    /// Keeps what saves the next steps of client files with long queues from reading the history again.
    fn keep(&mut self, unseen: Vec<(FileIdent, Unseen)>) {
        let files = &self.files;
        self.unseen.extend(unseen.into_iter().filter(|(ident, unseen)| {
            unseen.entry_count() >= MIN_UNSEEN_COUNT && files.contains_key(ident)
        }));
        while self.unseen.values().map(Unseen::byte_len).sum::<usize>() > MAX_UNSEEN_LEN {
            self.unseen.pop_last();
        }
    }

    /// Ends the session whose upload was refused, and drops what it has queued since.
    fn reject(&mut self, rejection: Rejection, out: &mut Vec<Output<C>>) {
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
        if let Some(File { holder: Some(holder), .. }) = self.files.get_mut(&ident) {
            holder.is_over = true;
            out.push(Output::End(ident, SessionEnd::Rejected(Arc::new(rejection))));
        }
    }

    /// Puts uploads that were not integrated in front of what their client files have queued since.
    fn queue_again(&mut self, uploads: BTreeMap<FileIdent, PendingUpload>) {
        self.is_due |= !uploads.is_empty();
        for (ident, mut pending) in uploads {
            self.backlog_len += pending.cost;
            if let Some(newer) = self.uploads.remove(&ident) {
                pending.append(newer);
            }
            self.uploads.insert(ident, pending);
        }
    }

    /// Puts a step back in front of what has gathered since, to be computed from the realm as it is now.
    fn retry(
        &mut self,
        allocating: Vec<C::Allocate>,
        step: Step,
        actual: u64,
        out: &mut Vec<Output<C>>,
    ) {
        let expected = step.loaded.record.revision;
        tracing::warn!(realm = ?self.key, expected, actual, "somebody else has committed; trying again");
        self.forget_realm();
        self.queue_again(step.uploads);
        let allocations = step.allocations.into_iter().zip(allocating);
        let allocations = allocations.map(|(user_id, answer)| Allocation { user_id, answer });
        self.allocations.splice(0..0, allocations);
        self.working = Some(Working { allocating: Vec::new(), phase: Phase::Reloading });
        let mut files: Vec<_> = self.files.keys().copied().collect();
        files.sort_unstable();
        let request = Request { realm: true, files, salts: Vec::new() };
        out.push(Output::Read(Purpose::Step, request));
    }

    /// Gives up everything that is not durable. The devices come back, and the realm is read again.
    fn fail(&mut self, allocating: Vec<C::Allocate>, error: RealmError, out: &mut Vec<Output<C>>) {
        tracing::error!(realm = ?self.key, error = %Chain(&error), "the realm has failed; its devices have to come back");
        let queued = self.allocations.drain(..).map(|allocation| allocation.answer);
        let answers = allocating.into_iter().chain(queued);
        out.extend(answers.map(|answer| Output::Allocated(answer, Err(error.clone()))));
        self.uploads.clear();
        self.backlog_len = 0;
        self.files.clear();
        self.forget_realm();
        out.push(Output::Failed(error));
    }

    fn forget_realm(&mut self) {
        self.loaded = None;
        self.unseen.clear();
        if let Some(asking) = &mut self.asking {
            asking.is_outdated = true;
        }
    }

    /// Starts from the realm as it was read, unless a later state of it is known.
    fn take_over(&mut self, read: Loaded) {
        if let Some(known) = &self.loaded
            && known.record.revision >= read.record.revision
        {
            return;
        }
        self.recent = Recent::starting_at(read.record.head.version);
        self.loaded = Some(read);
    }

    fn is_at_rest(&self) -> bool {
        self.working.is_none() && self.uploads.is_empty() && self.allocations.is_empty()
    }

    fn is_reloading(&self) -> bool {
        matches!(self.working, Some(Working { phase: Phase::Reloading, .. }))
    }
}

/// The salt of a version, if there is such a version.
fn salt_of(version: ServerVersion, head: SaltedVersion, found: &Records) -> Option<Salt> {
    if version == ServerVersion::default() {
        Some(Salt::default())
    } else if version == head.version {
        Some(head.salt)
    } else {
        found.salts.get(&version).copied().flatten()
    }
}
