//! The actor of one partition: the only one who decides what becomes of its history. A state machine without I/O.
//!
//! It takes commands in order and never waits for the disk while it could answer others: integration and
//! commit run beside it, one at a time, and what comes meanwhile gathers for the next. A result is told to
//! nobody before its commit is durable. Spec: server history, sections 5 and 6.

mod asking;
mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use bailiwick_core::history::{ClientFile, Scan, Unseen};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, ServerVersion, UploadCursor};
use bailiwick_storage::store::{Commit, RealmKey};

use super::RealmError;
use super::command::{Bound, Callers, Command, ConnectionId, IdentifyRefused, Queued, SessionEnd};
use super::committer::CommitError;
use super::integration::{Computed, Loaded, PendingUpload, Piece, Step};
use super::read::{Records, Request};
use super::recent::Recent;
use super::registry::RealmsConfig;
use super::scan::{Scanned, StoreScan};
use asking::{Allocation, Asked, Asking, Identify};
use step::{Phase, Working};

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
    /// The answer to [`Output::Pause`].
    Resumed,
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
    /// Wait for about as long as the last step took, from the beginning to its commit, and say [`Input::Resumed`]: so
    /// a device that has much to bring leaves half of the time to the others.
    Pause,
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
    /// How many steps have begun.
    step_count: u64,
    /// The client file of which the next step integrates a piece without others.
    alone: Option<(FileIdent, Piece)>,
    /// There is more in `uploads` than how far devices have got, and than the rests of long queues.
    is_due: bool,
    /// There is the rest of a long queue in `uploads`.
    has_rest: bool,
    /// Rests of long queues wait.
    is_pausing: bool,
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

/// Client files that are asked for while one commit runs; whoever comes then has to come back.
const MAX_ALLOCATIONS: usize = 4096;

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
            step_count: 0,
            alone: None,
            is_due: false,
            has_rest: false,
            is_pausing: false,
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
            Input::Resumed => self.is_pausing = false,
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

    /// The same with those of the step that runs.
    pub fn uploads_len(&self) -> usize {
        self.backlog_len + self.working.as_ref().map_or(0, |working| working.cost)
    }

    /// Bytes of memory of the reciprocal forms that are being made durable.
    pub fn reciprocals_len(&self) -> usize {
        let Some(Working { phase: Phase::Committing(_, committed), .. }) = &self.working else {
            return 0;
        };
        let forms = &committed.integration.reciprocals;
        size_of_val(&forms[..]) + forms.iter().map(|(_, _, form)| form.len()).sum::<usize>()
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
                let since = self.step_count;
                let queue = self.uploads.entry(ident);
                let queue = queue.or_insert_with(|| PendingUpload::empty(since));
                self.is_due |= !upload.changesets.is_empty() && !queue.is_rest;
                file.queued = Some((upload.progress, upload.locked));
                queue.append(upload.into());
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
