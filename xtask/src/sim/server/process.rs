//! A process of the server: connections and realms, the work between them, and the store below.
//!
//! What a real server leaves to tasks and threads is here a list of [`Work`], each at a time that is chosen. What is
//! decided is decided by production code: endpoints, actors, and what threads compute.

mod acting;
mod asking;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bailiwick_core::history::Entry;
use bailiwick_core::partition::PartitionValue;
use bailiwick_protocol::close_code::CloseCode;
use bailiwick_protocol::ident::Salt;
use bailiwick_server::auth::{AccessIdentity, is_alive};
use bailiwick_server::http::websocket::WebSocketConfig;
use bailiwick_server::http::websocket::endpoint::{Endpoint, Outgoing, Received};
use bailiwick_server::realm::{Batch, Command, Given, Input, RealmError, RealmsConfig, compute};
use bailiwick_server::session::{GoAway, Input as SessionInput, SessionConfig};
use bailiwick_storage::redb::RedbStore;
use bailiwick_storage::store::{Commit, RealmKey, StorageError, Store as _};
use bytes::Bytes;

use super::Output;
use super::connection::{Served, Writing};
use super::disks::Disks;
use super::realm::Realm;
use super::work::{Answer, RealmNumber, Work};
use crate::sim::agenda::{Agenda, Time};
use crate::sim::choices::Choices;
use crate::sim::tally::{Met, SharedTally};

#[derive(Debug)]
pub(super) struct Process {
    pub(super) store: Arc<RedbStore>,
    disks: Disks,
    /// What was to be flushed is, with disks as slow as they are.
    pub(super) flushed_at: Time,
    config: Config,
    version_salt: Salt,
    choices: Choices,
    agenda: Agenda<Work>,
    pub(super) connections: BTreeMap<u64, Served>,
    realms: BTreeMap<RealmNumber, Realm>,
    numbers: BTreeMap<RealmKey, RealmNumber>,
    last_realm: u64,
    /// Commits that wait for the committer.
    jobs: VecDeque<(RealmNumber, Commit)>,
    /// What the committer makes durable.
    batch: Option<Running>,
    /// How much longer a flush takes than on a fast disk.
    sync_latency: Duration,
    /// The process is about to end.
    is_ending: bool,
    /// What it waits for before that, if it was told to end: realms that have something to make durable.
    draining: usize,
    pub(super) outputs: VecDeque<Output>,
}

/// How a server is configured.
#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) sessions: Arc<SessionConfig>,
    pub(super) web_socket: WebSocketConfig,
    pub(super) realms: RealmsConfig,
    /// Milliseconds since 1970 when the world begins.
    pub(super) epoch_ms: u64,
    pub(super) tally: SharedTally,
}

/// A batch, and what it brings.
#[derive(Debug)]
struct Running {
    batch: Batch<RealmNumber>,
    entries: Vec<Vec<Entry>>,
}

/// When to look again at a connection that waits for a realm.
const STALLED: Duration = Duration::from_millis(1);

impl Process {
    pub(super) fn new(
        store: RedbStore,
        disks: Disks,
        config: Config,
        now: Time,
        mut choices: Choices,
    ) -> Self {
        let version_salt = salt(&mut choices);
        let mut agenda = Agenda::new();
        agenda.put(now, Work::Begin);
        agenda.next();
        Self {
            store: Arc::new(store),
            disks,
            flushed_at: now,
            config,
            version_salt,
            choices,
            agenda,
            connections: BTreeMap::new(),
            realms: BTreeMap::new(),
            numbers: BTreeMap::new(),
            last_realm: 0,
            jobs: VecDeque::new(),
            batch: None,
            sync_latency: Duration::ZERO,
            is_ending: false,
            draining: 0,
            outputs: VecDeque::new(),
        }
    }

    pub(super) fn now_ms(&self, now: Time) -> u64 {
        self.config.epoch_ms + u64::try_from(now.as_millis()).expect("worlds end before that")
    }

    pub(super) fn connect(
        &mut self,
        now: Time,
        number: u64,
        version: bailiwick_protocol::protocol_version::ProtocolVersion,
        access: AccessIdentity,
    ) {
        let left_ms = access.expires_ms.saturating_sub(self.now_ms(now));
        let endpoint = Endpoint::new(
            Arc::clone(&self.config.sessions),
            self.config.web_socket,
            version,
            access.user_id.clone(),
            Duration::from_millis(left_ms),
            now,
        );
        self.connections.insert(number, Served::new(endpoint, access, now));
        self.settle(now, number);
    }

    pub(super) fn receive(&mut self, now: Time, number: u64, message: &Bytes) {
        let Some(served) = self.connections.get_mut(&number) else { return };
        let (sessions, mut requests) = (&served.sessions, Vec::new());
        if message.starts_with(b"bind ")
            && served.endpoint.session_count() >= self.config.sessions.max_sessions
        {
            self.config.tally.meet(Met::SessionRefused);
        }
        let latest = |ident| sessions.get(&ident)?.latest();
        served.endpoint.receive(now, Received::Binary(message.clone()), latest, &mut requests);
        self.ask(now, number, requests);
        self.settle(now, number);
    }

    /// All that was sent on a connection has left.
    pub(super) fn written(&mut self, now: Time, number: u64) {
        let Some(served) = self.connections.get_mut(&number) else { return };
        match served.is_writing.take() {
            Some(Writing::Download) => self.run(now, Work::Left(number)),
            Some(Writing::Message) | None => self.settle(now, number),
        }
    }

    /// A connection is gone: its sessions let go of what they hold.
    pub(super) fn disconnect(&mut self, now: Time, number: u64) {
        let Some(served) = self.connections.remove(&number) else { return };
        for (_, bound) in served.sessions {
            self.release(now, number, &bound);
        }
    }

    /// Whether the login that a connection was let in with still exists.
    pub(super) fn is_alive(&self, now: Time, access: &AccessIdentity) -> bool {
        // As the real server: what cannot be looked up is taken to be as it was.
        is_alive(&*self.store, access, self.now_ms(now)).unwrap_or(true)
    }

    pub(super) fn wants_messages(&self, number: u64) -> bool {
        self.connections
            .get(&number)
            .is_some_and(|served| served.stalled.is_empty() && served.endpoint.wants_messages())
    }

    pub(super) fn wake_at(&self) -> Option<Time> {
        let connections = self.connections.values().map(|served| served.wake_at);
        connections.chain(self.agenda.next_at()).min()
    }

    /// Does what is due, up to the end of the process.
    pub(super) fn wake(&mut self, now: Time, is_alive: impl Fn() -> bool) {
        while self.agenda.next_at().is_some_and(|at| at <= now) && is_alive() {
            let work = self.agenda.next().expect("it is due");
            self.run(self.agenda.now(), work);
        }
        let due = self.connections.iter().filter(|(_, served)| served.wake_at <= now);
        for number in due.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.settle(now, number);
        }
    }

    /// Sends all devices away.
    pub(super) fn go_away(&mut self, now: Time) {
        for number in self.connections.keys().copied().collect::<Vec<_>>() {
            self.input(now, number, SessionInput::GoAway(GoAway::ShuttingDown));
        }
    }

    /// What is queued beyond its bound, if anything is.
    pub(super) fn overrun(&self) -> Option<String> {
        let connections = self.connections.iter().filter_map(|(number, served)| {
            // Each session has one answer at most that nobody has asked for.
            let bound = 64 + 2 * served.endpoint.session_count() + 2;
            let waiting = served.endpoint.waiting_count();
            (waiting > bound).then(|| format!("{waiting} messages wait on connection {number}"))
        });
        let realms = self.realms.values().filter_map(|realm| {
            let (count, len) = (realm.commands.len(), realm.actor.backlog_len());
            // Connections that are gone may still have to let go of their client files.
            let is_overrun = count > 2 * super::realm::MAX_COMMANDS + self.connections.len();
            // A single upload is taken whenever nothing else waits.
            (is_overrun || len > self.config.realms.max_backlog_len.max(realm.largest_upload))
                .then(|| format!("{count} commands, {len} bytes wait for {:?}", realm.partition))
        });
        // An actor hands in its next commit once it was told of the one before.
        let jobs = (self.jobs.len() > self.realms.len())
            .then(|| format!("{} commits of {} realms wait", self.jobs.len(), self.realms.len()));
        connections.chain(realms).chain(jobs).next()
    }

    fn run(&mut self, now: Time, work: Work) {
        // The task of a connection that waits for a realm does nothing else.
        if let Some(number) = work.connection()
            && self.connections.get(&number).is_some_and(|served| !served.stalled.is_empty())
        {
            return self.plan(now, work);
        }
        match work {
            Work::Run(number) => self.take_commands(now, number),
            Work::Read(number, purpose, request) => {
                let Some(realm) = self.realms.get(&number) else { return };
                let result = request.read(&*self.store, &realm.key);
                self.tell(now, number, Input::Read(purpose, result));
            }
            Work::Compute(number, step) => {
                let Some(realm) = self.realms.get(&number) else { return };
                let count = step.allocation_count();
                let given = Given {
                    version_salt: self.version_salt,
                    now_ms: self.now_ms(now),
                    file_salts: (0..count).map(|_| salt(&mut self.choices)).collect(),
                };
                let computed = compute(&*self.store, &realm.key, *step, &given);
                self.tell(now, number, Input::Computed(Box::new(computed)));
            }
            Work::Scan(number, asker, scan) => {
                let result = match self.realms.get(&number) {
                    Some(realm) => scan.run(&*self.store, &realm.key),
                    None => Err(RealmError::ShuttingDown),
                };
                self.answer(now, asker, Answer::Scanned(Box::new(result)));
            }
            Work::Commit => self.commit(now),
            Work::Checkpoint => self.checkpoint(now),
            Work::Resume(number) => self.tell(now, number, Input::Resumed),
            Work::Tell(number, input) => self.tell(now, number, *input),
            Work::Answer(asker, answer) => self.on_answer(now, asker, answer),
            Work::Left(number) => self.input(now, number, SessionInput::Writable),
            Work::News(asker) => {
                if let Some(served) = self.connections.get_mut(&asker.connection)
                    && let Some(bound) = served.bound(asker.session)
                    && let Some(signal) = bound.news()
                {
                    let input = SessionInput::Signal(asker.session, signal);
                    self.input(now, asker.connection, input);
                }
            }
            Work::Retire(number) => self.retire(now, number),
            Work::Begin => (),
            Work::Die => self.outputs.push_back(Output::Died),
            Work::Stop => self.outputs.push_back(Output::Stopped),
        }
    }

    /// The committer makes its batch durable.
    fn commit(&mut self, now: Time) {
        let Some(Running { batch, entries }) = self.batch.take() else { return };
        let mut told = Vec::new();
        let result = batch.commit(&*self.store, |number, result| told.push((number, result)));
        self.disks.take_usage(); // It has waited for that before.
        if result.is_err() && self.disks.is_short_of_room() && !self.disks.power().is_out() {
            self.config.tally.meet(Met::CommitWithoutRoom);
        }
        for ((number, result), entries) in told.into_iter().zip(entries) {
            if let (Ok(()), Some(realm)) = (&result, self.realms.get(&number)) {
                self.outputs.push_back(Output::Committed(realm.partition.clone(), entries));
            }
            self.plan(now, Work::Tell(number, Box::new(Input::Committed(result))));
        }
        if result.is_err() {
            self.end(now);
        } else if self.store.is_checkpoint_due() {
            self.plan(now, Work::Checkpoint);
        }
        self.start_batch(now);
    }

    /// The thread that makes checkpoints does its work; nothing else happens meanwhile here.
    fn checkpoint(&mut self, now: Time) {
        if self.store.is_checkpoint_due() && self.store.checkpoint().is_err() {
            if self.disks.power().is_out() {
                self.config.tally.meet(Met::CheckpointCrash);
            }
            self.end(now);
        }
        if !self.flushed(now).is_zero() {
            self.config.tally.meet(Met::SlowCheckpoint);
        }
    }

    /// How much longer than on a fast disk a flush takes from now on.
    pub(super) fn set_sync_latency(&mut self, latency: Duration) {
        self.sync_latency = latency;
        if latency.is_zero() {
            self.flushed_at = Time::ZERO;
        }
    }

    /// Disks are busy for as long as it takes to flush what was just written; how long that is.
    pub(super) fn flushed(&mut self, now: Time) -> Duration {
        let duration = self.sync_latency * self.disks.take_usage().0;
        self.flushed_at = self.flushed_at.max(now) + duration;
        duration
    }

    /// Ends the process if the store answers nothing any more, since something else than a commit has failed.
    pub(super) fn end_if_stopped(&mut self, now: Time) {
        if !self.is_ending && matches!(self.store.realms(None, 0), Err(StorageError::Stopped)) {
            self.end(now);
        }
    }

    /// Whether the store answers, and nothing has led to the end of the process.
    pub(super) fn is_working(&self) -> bool {
        !self.is_ending && self.store.realms(None, 0).is_ok()
    }

    /// Whether the process is about to end.
    pub(super) fn is_ending(&self) -> bool {
        self.is_ending
    }

    /// As `serve` does when it is told to end: the devices are sent away, and what they have uploaded becomes durable.
    pub(super) fn stop(&mut self, now: Time) {
        if std::mem::replace(&mut self.is_ending, true) {
            return;
        }
        self.go_away(now);
        let realms: Vec<_> = self.realms.keys().copied().collect();
        self.draining = realms.len();
        for &number in &realms {
            self.send(now, number, Command::Drain { answer: () });
        }
        if realms.is_empty() {
            self.plan(now, Work::Stop);
        }
    }

    /// A realm has nothing more to make durable.
    fn drained(&mut self, now: Time) {
        self.draining = self.draining.saturating_sub(1);
        if self.draining == 0 {
            self.plan(now, Work::Stop);
        }
    }

    /// As `serve` does when the storage fails: the devices are sent away, and the process ends.
    fn end(&mut self, now: Time) {
        self.is_ending = true;
        self.go_away(now);
        self.plan(now, Work::Die);
    }

    /// Takes all jobs that wait, unless the committer is busy.
    fn start_batch(&mut self, now: Time) {
        if self.batch.is_some() || self.jobs.is_empty() {
            return;
        }
        let mut running = Running { batch: Batch::new(), entries: Vec::new() };
        while !running.batch.is_full()
            && let Some((number, commit)) = self.jobs.pop_front()
        {
            let Some(realm) = self.realms.get(&number) else { continue };
            running.entries.push(commit.entries.clone());
            running.batch.push(realm.key.clone(), commit, number);
        }
        self.batch = Some(running);
        self.plan(now.max(self.flushed_at) + self.sync_latency, Work::Commit);
    }

    /// Puts work where it may happen next.
    fn plan(&mut self, now: Time, work: Work) {
        let longest = u64::try_from(work.longest().as_nanos()).expect("it is short").max(1);
        self.agenda.put(now + Duration::from_nanos(self.choices.number() % longest), work);
    }

    /// Hands something to the machine of a connection.
    fn input(&mut self, now: Time, number: u64, input: SessionInput) {
        let Some(served) = self.connections.get_mut(&number) else { return };
        let mut requests = Vec::new();
        served.endpoint.handle(input, &mut requests);
        self.ask(now, number, requests);
        self.settle(now, number);
    }

    /// Lets a connection do what is due, and write what may be written.
    fn settle(&mut self, now: Time, number: u64) {
        loop {
            let Some(served) = self.connections.get_mut(&number) else { return };
            if !served.stalled.is_empty() {
                served.wake_at = now + STALLED;
                break;
            }
            let (mut requests, was_open) = (Vec::new(), served.endpoint.is_open());
            let wake_at = served.endpoint.tick(now, &mut requests);
            if was_open && !served.endpoint.is_open() {
                self.config.tally.meet(Met::IdleClosed);
            }
            let Some(wake_at) = wake_at else { return self.close(now, number) };
            served.wake_at = wake_at;
            if requests.is_empty() {
                break;
            }
            self.ask(now, number, requests);
        }
        let Some(served) = self.connections.get_mut(&number) else { return };
        if served.is_writing.is_none()
            && let Some(outgoing) = served.endpoint.next_outgoing()
        {
            let (writing, bytes) = match outgoing {
                Outgoing::Message(message) => (Writing::Message, message.print()),
                Outgoing::Download(download) => (Writing::Download, download.print()),
                // It takes no time of its own.
                Outgoing::Close(code) => {
                    if code == CloseCode::MessageTooBig {
                        self.config.tally.meet(Met::UploadTooLong);
                    }
                    return self.close(now, number);
                }
            };
            served.is_writing = Some(writing);
            self.outputs.push_back(Output::Send(number, bytes.into()));
        }
    }

    fn close(&mut self, now: Time, number: u64) {
        self.outputs.push_back(Output::Close(number));
        self.disconnect(now, number);
    }

    fn open(&mut self, now: Time, partition: PartitionValue) -> RealmNumber {
        let key = super::realm_key(&partition);
        if let Some(number) = self.numbers.get(&key) {
            return *number;
        }
        self.last_realm += 1;
        let number = RealmNumber(self.last_realm);
        self.numbers.insert(key.clone(), number);
        self.realms.insert(number, Realm::new(partition, key, self.config.realms));
        self.plan(now + self.config.realms.retire_after, Work::Retire(number));
        number
    }
}

/// A salt as [`random_salt`](bailiwick_server::realm::random_salt) makes it.
fn salt(choices: &mut Choices) -> Salt {
    Salt((choices.number() >> 1).max(1))
}
