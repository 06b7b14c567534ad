//! Between an actor and the threads that may block.
//!
//! An actor has no task of its own: whoever has something for it runs it, one at a time. A hop from thread to thread
//! takes longer than most of what an actor does, and each upload would wait for several.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use bailiwick_protocol::ident::FileIdent;
use bailiwick_storage::store::{RealmKey, StorageError};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::AbortHandle;

use super::RealmError;
use super::actor::{Actor, Input, Output, Purpose};
use super::command::{Bound, Channels, Command, ConnectionId, Identified, SessionEnd, Signal};
use super::integration::{Computed, Given, Step, compute, random_salt};
use super::read::Request;
use super::registry::{RealmHandle, Shared};

/// One realm at work.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) key: RealmKey,
    shared: Arc<Shared>,
    runtime: Handle,
    /// The task that looks now and then whether anybody needs the actor.
    keeping: AbortHandle,
    /// For commands that wait while the actor reads.
    room: Semaphore,
    /// How long the last step took, in microseconds.
    last_took_us: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    actor: Actor<Channels>,
    holders: HashMap<FileIdent, Holder>,
    /// Commands that the actor does not want yet, and memory for what they bring.
    waiting: VecDeque<(Command, OwnedSemaphorePermit)>,
    /// Memory for what the actor has queued and integrates.
    memory: OwnedSemaphorePermit,
    /// The place of a step that was computed, until it is durable.
    place: Option<OwnedSemaphorePermit>,
    /// What the actor has to hear at once; kept for its room, as the next.
    inputs: VecDeque<Input<Channels>>,
    outputs: Vec<Output<Channels>>,
    /// When the last step began.
    step_began: Instant,
}

/// Who is told the news.
#[derive(Debug)]
struct Holder {
    connection: ConnectionId,
    signal: watch::Sender<Signal>,
}

/// Commands that wait for one actor; senders wait beyond.
const MAX_COMMANDS: usize = 256;
/// Bytes of changesets of a step that may be computed by a thread that others wait for.
const QUICK_LEN: usize = 16 * 1024;
/// How long the step before it may have taken then.
const QUICK: Duration = Duration::from_micros(500);
/// Bytes of reciprocal forms from which on a step counts among those that are computed until it is durable.
const LONG_RECIPROCALS_LEN: usize = 64 << 10;
/// The longest pause between the pieces of a long queue: a disk that stalls is no reason to stall more.
const MAX_PAUSE: Duration = Duration::from_millis(100);

impl Driver {
    /// Must be called within a tokio runtime.
    pub(super) fn start(key: RealmKey, shared: Arc<Shared>) -> Arc<Self> {
        let (runtime, interval) = (Handle::current(), shared.config.retire_after);
        Arc::new_cyclic(|driver| Self {
            keeping: runtime.spawn(Self::keep(Weak::clone(driver), interval)).abort_handle(),
            state: Mutex::new(State::new(key.clone(), &shared)),
            key,
            shared,
            runtime,
            room: Semaphore::new(MAX_COMMANDS),
            last_took_us: AtomicU64::new(0),
        })
    }

    /// Asks the actor for something; waits while too many others do, and an upload while there is no memory for it.
    /// An actor that has panicked drops the command.
    pub(super) async fn send(self: &Arc<Self>, command: Command) {
        let memory = self.shared.take_memory(&command).await;
        let Ok(place) = self.room.acquire().await else { return };
        let step = self.state().and_then(|mut state| {
            if state.waiting.is_empty() && state.actor.wants_commands() {
                self.command(&mut state, command, memory)
            } else {
                place.forget();
                state.waiting.push_back((command, memory));
                None
            }
        });
        self.compute_all(step);
    }

    /// Looks now and then whether anybody needs the actor; ends when nobody does.
    async fn keep(driver: Weak<Self>, interval: Duration) {
        let mut interval = tokio::time::interval_at((Instant::now() + interval).into(), interval);
        loop {
            interval.tick().await;
            let Some(driver) = driver.upgrade() else { return };
            driver.release_lost();
            if driver.shared.retire(&driver) {
                return;
            }
        }
    }

    /// One who held the realm does not any more.
    pub(super) fn let_go(self: &Arc<Self>) {
        self.shared.retire_if_many(self);
    }

    /// Whether the actor may end.
    pub(super) fn is_idle(&self) -> bool {
        self.state().is_none_or(|state| state.waiting.is_empty() && state.actor.is_idle())
    }

    /// Whether the actor has panicked, and does nothing any more.
    pub(super) fn has_failed(&self) -> bool {
        self.state.is_poisoned()
    }

    /// The state, unless it cannot be relied on since the actor has panicked: then nobody holds anything any more, and
    /// nobody who waits gets an answer.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let lost = |poisoned: PoisonError<MutexGuard<'_, State>>| {
            self.room.close();
            *poisoned.into_inner() = State::new(self.key.clone(), &self.shared);
        };
        self.state.lock().map_err(lost).ok()
    }

    /// Lets go of the client files whose connections have gone without saying so.
    fn release_lost(self: &Arc<Self>) {
        let step = self.state().and_then(|mut state| {
            let holders = state.holders.iter();
            let lost: Vec<_> =
                holders.filter_map(|(ident, holder)| Some((holder.lost()?, *ident))).collect();
            let releases = lost.into_iter().map(|(connection, ident)| {
                let release = Command::Release { connection, file_ident: ident };
                self.handle(&mut state, Input::Command(release))
            });
            releases.reduce(Option::or).flatten()
        });
        self.compute_all(step);
    }

    /// Takes what was read, computed or committed; the step to be computed next, if one is.
    fn take(self: &Arc<Self>, input: Input<Channels>) -> Option<Step> {
        let mut state = self.state()?;
        if let Input::Committed(_) = input {
            state.place = None;
        }
        let mut step = self.handle(&mut state, input);
        while state.actor.wants_commands()
            && let Some((command, memory)) = state.waiting.pop_front()
        {
            self.room.add_permits(1);
            step = self.command(&mut state, command, memory).or(step);
        }
        step
    }

    fn command(
        self: &Arc<Self>,
        state: &mut State,
        command: Command,
        memory: OwnedSemaphorePermit,
    ) -> Option<Step> {
        let mut step = None;
        state.memory.merge(memory);
        if let Command::Identify { file_ident, .. } = command
            && let Some(connection) = state.holders.get(&file_ident).and_then(Holder::lost)
        {
            let release = Command::Release { connection, file_ident };
            step = self.handle(state, Input::Command(release));
        }
        self.handle(state, Input::Command(command)).or(step)
    }

    /// Lets the actor handle something, and does what it says; but the step, of which there is one at a time, is
    /// computed by the caller, who holds up nobody then.
    fn handle(self: &Arc<Self>, state: &mut State, input: Input<Channels>) -> Option<Step> {
        let mut step = None;
        let mut outputs = std::mem::take(&mut state.outputs);
        state.inputs.push_back(input);
        while let Some(input) = state.inputs.pop_front() {
            state.actor.handle(input, &mut outputs);
            for output in outputs.drain(..) {
                match output {
                    Output::Compute(next) => {
                        state.step_began = Instant::now();
                        step = Some(next);
                    }
                    output => self.carry_out(state, output),
                }
            }
        }
        state.outputs = outputs;
        state.give_memory_back();
        step
    }

    fn carry_out(self: &Arc<Self>, state: &mut State, output: Output<Channels>) {
        match output {
            // An ident that nobody waits for any more is never used; there are enough.
            Output::Allocated(answer, result) => drop(answer.send(result)),
            Output::Identified(answer, Ok(bound)) => {
                let Bound { connection, file_ident, threshold, locked, head } = bound;
                let (signal, signals) = watch::channel(Signal { head, end: None });
                state.holders.insert(file_ident, Holder { connection, signal });
                if answer.send(Ok(Identified { threshold, locked, signals })).is_err() {
                    // The connection has gone while it was being bound.
                    let release = Command::Release { connection, file_ident };
                    state.inputs.push_back(Input::Command(release));
                }
            }
            Output::Identified(answer, Err(refused)) => drop(answer.send(Err(refused))),
            Output::Scanned(answer, result) => drop(answer.send(result)),
            Output::Scan(answer, scan) => {
                let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
                let runtime = self.runtime.clone();
                self.runtime.spawn(async move {
                    let _permit =
                        shared.reads.acquire().await.expect("the semaphore is never closed");
                    let store = Arc::clone(&shared.store);
                    let read = runtime.spawn_blocking(move || scan.run(&*store, &key)).await;
                    let _ = answer.send(read.unwrap_or(Err(RealmError::ShuttingDown)));
                });
            }
            Output::Drained(answer) => drop(answer.send(())),
            Output::Head(head) => state.tell_all(|signal| signal.head = head),
            Output::End(ident, end) => {
                if let Some(holder) = state.holders.get(&ident) {
                    holder.signal.send_modify(|signal| signal.end = Some(end));
                }
            }
            Output::Unbound(ident) => drop(state.holders.remove(&ident)),
            Output::Failed(error) => {
                state.tell_all(|signal| signal.end = Some(SessionEnd::Failed(error.clone())));
                state.holders.clear();
            }
            Output::Read(purpose, request) => self.read(purpose, request),
            Output::Compute(_) => unreachable!("the caller has taken it"),
            Output::Commit(commit) => {
                let realm = RealmHandle::of(self);
                let done = move |result| realm.driver.on_committed(result);
                if let Err(error) = self.shared.committer.commit(self.key.clone(), commit, done) {
                    state.inputs.push_back(Input::Committed(Err(error)));
                }
            }
            Output::Pause => self.pause(state.step_began.elapsed().min(MAX_PAUSE)),
        }
    }

    fn pause(self: &Arc<Self>, duration: Duration) {
        let realm = RealmHandle::of(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(duration).await;
            let driver = &realm.driver;
            driver.compute_all(driver.take(Input::Resumed));
        });
    }

    fn read(self: &Arc<Self>, purpose: Purpose, request: Request) {
        let realm = RealmHandle::of(self);
        self.runtime.spawn(async move {
            let driver = &realm.driver;
            let (store, key) = (Arc::clone(&driver.shared.store), driver.key.clone());
            let read = driver.runtime.spawn_blocking(move || request.read(&*store, &key)).await;
            let read = read.unwrap_or(Err(RealmError::ShuttingDown));
            driver.compute_all(driver.take(Input::Read(purpose, read)));
        });
    }

    /// Called by the thread that commits, which has to go on.
    fn on_committed(self: &Arc<Self>, result: Result<(), super::CommitError>) {
        if let Some(step) = self.take(Input::Committed(result)) {
            self.compute_elsewhere(step);
        }
    }

    /// Computes a step, and those that follow from it at once; elsewhere, if it may take time.
    fn compute_all(self: &Arc<Self>, mut step: Option<Step>) {
        while let Some(next) = step {
            let last_took = Duration::from_micros(self.last_took_us.load(Ordering::Relaxed));
            if next.len() > QUICK_LEN || next.reads_history() || last_took > QUICK {
                return self.compute_elsewhere(next);
            }
            step = self.compute(next);
        }
    }

    /// Computes a step where nobody waits for the thread, as soon as not too many others are computed. Not started if
    /// the runtime ends: then nobody waits for it either.
    fn compute_elsewhere(self: &Arc<Self>, step: Step) {
        let realm = RealmHandle::of(self);
        let steps = Arc::clone(&self.shared.steps);
        let compute = move |place: OwnedSemaphorePermit| {
            let mut step = Some(step);
            while let Some(next) = step {
                step = realm.driver.compute(next);
            }
            realm.driver.give_place_back(place);
        };
        match Arc::clone(&steps).try_acquire_owned() {
            Ok(place) => drop(self.runtime.spawn_blocking(move || compute(place))),
            Err(_) => drop(self.runtime.spawn(async move {
                let place = steps.acquire_owned().await.expect("the semaphore is never closed");
                tokio::task::spawn_blocking(move || compute(place));
            })),
        }
    }

    /// Lets others compute; but only when the step is durable, if it has made many reciprocal forms: they are in memory
    /// until then, and no part of what is counted for uploads.
    fn give_place_back(&self, place: OwnedSemaphorePermit) {
        if let Some(mut state) = self.state()
            && state.actor.reciprocals_len() > LONG_RECIPROCALS_LEN
        {
            state.place = Some(place);
        }
    }

    /// Computes a step; the one to be computed next, if it led to nothing that has to be committed.
    fn compute(self: &Arc<Self>, step: Step) -> Option<Step> {
        let start = Instant::now();
        let salts = (0..step.allocation_count()).map(|_| random_salt());
        let computed = match salts.collect() {
            Ok(file_salts) => {
                let Shared { store, version_salt, clock, .. } = &*self.shared;
                let given =
                    Given { version_salt: *version_salt, now_ms: clock.now_ms(), file_salts };
                compute(&**store, &self.key, step, &given)
            }
            Err(error) => Computed::failed(StorageError::backend(error).into()),
        };
        let took_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.last_took_us.store(took_us, Ordering::Relaxed);
        self.take(Input::Computed(Box::new(computed)))
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        // It would have memory for the actor until it looks again.
        self.keeping.abort();
    }
}

impl State {
    fn new(key: RealmKey, shared: &Shared) -> Self {
        Self {
            actor: Actor::new(key, shared.config),
            holders: HashMap::new(),
            waiting: VecDeque::new(),
            memory: shared.no_memory(),
            place: None,
            inputs: VecDeque::new(),
            outputs: Vec::new(),
            step_began: Instant::now(),
        }
    }

    /// Others may have what the actor has done with.
    fn give_memory_back(&mut self) {
        let unused = self.memory.num_permits().saturating_sub(self.actor.uploads_len());
        if unused > 0 {
            drop(self.memory.split(unused));
        }
    }

    fn tell_all(&self, news: impl Fn(&mut Signal)) {
        #[expect(clippy::iter_over_hash_type, reason = "each is told by itself")]
        for holder in self.holders.values() {
            holder.signal.send_modify(&news);
        }
    }
}

impl Holder {
    /// The connection, if nobody listens there any more.
    fn lost(&self) -> Option<ConnectionId> {
        self.signal.is_closed().then_some(self.connection)
    }
}
