//! Between an actor and the threads that may block: a loop without opinions.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;

use bailiwick_protocol::ident::FileIdent;
use bailiwick_storage::store::{Commit, RealmKey, StorageError};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::spawn_blocking;

use super::RealmError;
use super::actor::{Actor, Input, Output, Purpose};
use super::command::{Bound, Channels, Command, ConnectionId, Identified, SessionEnd, Signal};
use super::integration::{Computed, Given, Step, compute, random_salt};
use super::read::Request;
use super::registry::Shared;

/// One realm at work.
pub(super) struct Driver {
    key: RealmKey,
    shared: Arc<Shared>,
    commands: mpsc::Receiver<Box<Command>>,
    actor: Actor<Channels>,
    holders: HashMap<FileIdent, Holder>,
    /// What a command waits for.
    reading: Option<Work>,
    /// The step that runs.
    working: Option<Work>,
    /// Kept for its room.
    outputs: Vec<Output<Channels>>,
}

type Work = BoxFuture<'static, Input<Channels>>;

/// Who is told the news.
struct Holder {
    connection: ConnectionId,
    signal: watch::Sender<Signal>,
}

impl Driver {
    pub(super) fn new(
        key: RealmKey,
        shared: Arc<Shared>,
        commands: mpsc::Receiver<Box<Command>>,
    ) -> Self {
        let actor = Actor::new(key.clone(), shared.config);
        Self {
            key,
            shared,
            commands,
            actor,
            holders: HashMap::new(),
            reading: None,
            working: None,
            outputs: Vec::new(),
        }
    }

    pub(super) async fn run(mut self) {
        let mut idle = tokio::time::interval(self.shared.config.retire_after);
        loop {
            tokio::select! {
                command = self.commands.recv(), if self.actor.wants_commands() => match command {
                    Some(command) => self.on_command(*command),
                    None => return,
                },
                input = finished(&mut self.reading) => self.handle(input),
                input = finished(&mut self.working) => self.handle(input),
                _ = idle.tick() => {
                    self.release_lost();
                    if self.actor.is_idle() && self.shared.retire(&self.key, &self.commands) {
                        return;
                    }
                }
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        if let Command::Identify { file_ident, .. } = command
            && let Some(lost) = self.holders.get(&file_ident).and_then(Holder::lost)
        {
            self.release(lost, file_ident);
        }
        self.handle(Input::Command(command));
    }

    /// Lets go of the client files whose connections have gone without saying so.
    fn release_lost(&mut self) {
        let holders = self.holders.iter();
        let lost: Vec<_> =
            holders.filter_map(|(ident, holder)| Some((holder.lost()?, *ident))).collect();
        for (connection, ident) in lost {
            self.release(connection, ident);
        }
    }

    fn release(&mut self, connection: ConnectionId, file_ident: FileIdent) {
        self.handle(Input::Command(Command::Release { connection, file_ident }));
    }

    fn handle(&mut self, input: Input<Channels>) {
        let mut outputs = std::mem::take(&mut self.outputs);
        let mut next = Some(input);
        while let Some(input) = next.take() {
            self.actor.handle(input, &mut outputs);
            for output in outputs.drain(..) {
                next = self.carry_out(output).or(next);
            }
        }
        self.outputs = outputs;
    }

    /// Does what the actor says; what the actor has to hear at once.
    fn carry_out(&mut self, output: Output<Channels>) -> Option<Input<Channels>> {
        match output {
            // An ident that nobody waits for any more is never used; there are enough.
            Output::Allocated(answer, result) => drop(answer.send(result)),
            Output::Identified(answer, Ok(bound)) => {
                let Bound { connection, file_ident, threshold, locked, head } = bound;
                let (signal, signals) = watch::channel(Signal { head, end: None });
                self.holders.insert(file_ident, Holder { connection, signal });
                if answer.send(Ok(Identified { threshold, locked, signals })).is_err() {
                    // The connection has gone while it was being bound.
                    let release = Command::Release { connection, file_ident };
                    return Some(Input::Command(release));
                }
            }
            Output::Identified(answer, Err(refused)) => drop(answer.send(Err(refused))),
            Output::Scanned(answer, result) => drop(answer.send(result)),
            Output::Scan(answer, scan) => {
                let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
                tokio::spawn(async move {
                    let _permit =
                        shared.reads.acquire().await.expect("the semaphore is never closed");
                    let store = Arc::clone(&shared.store);
                    let read = spawn_blocking(move || scan.run(&*store, &key)).await;
                    let _ = answer.send(read.unwrap_or(Err(RealmError::ShuttingDown)));
                });
            }
            Output::Drained(answer) => drop(answer.send(())),
            Output::Head(head) => self.tell_all(|signal| signal.head = head),
            Output::End(ident, end) => {
                if let Some(holder) = self.holders.get(&ident) {
                    holder.signal.send_modify(|signal| signal.end = Some(end));
                }
            }
            Output::Unbound(ident) => drop(self.holders.remove(&ident)),
            Output::Failed(error) => {
                self.tell_all(|signal| signal.end = Some(SessionEnd::Failed(error.clone())));
                self.holders.clear();
            }
            Output::Read(purpose, request) => {
                let work = Some(self.read(purpose, request));
                match purpose {
                    Purpose::Command => self.reading = work,
                    Purpose::Step => self.working = work,
                }
            }
            Output::Compute(step) => self.working = Some(self.compute(step)),
            Output::Commit(commit) => self.working = Some(self.commit(commit)),
        }
        None
    }

    fn tell_all(&self, news: impl Fn(&mut Signal)) {
        #[expect(clippy::iter_over_hash_type, reason = "each is told by itself")]
        for holder in self.holders.values() {
            holder.signal.send_modify(&news);
        }
    }

    fn read(&self, purpose: Purpose, request: Request) -> Work {
        let (store, key) = (Arc::clone(&self.shared.store), self.key.clone());
        let read = spawn_blocking(move || request.read(&*store, &key));
        read.map(move |read| Input::Read(purpose, read.unwrap_or(Err(RealmError::ShuttingDown))))
            .boxed()
    }

    fn compute(&self, step: Step) -> Work {
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let computing = spawn_blocking(move || {
            let salts = (0..step.allocation_count()).map(|_| random_salt());
            match salts.collect() {
                Ok(file_salts) => {
                    let (version_salt, now_ms) = (shared.version_salt, shared.clock.now_ms());
                    let given = Given { version_salt, now_ms, file_salts };
                    compute(&*shared.store, &key, step, &given)
                }
                Err(error) => Computed::failed(StorageError::backend(error).into()),
            }
        });
        // Panics are caught inside: without a result, the runtime did not start it any more.
        let lost = |_| Computed::failed(RealmError::ShuttingDown);
        computing.map(move |made| Input::Computed(Box::new(made.unwrap_or_else(lost)))).boxed()
    }

    fn commit(&self, commit: Commit) -> Work {
        let (committer, key) = (self.shared.committer.clone(), self.key.clone());
        async move { Input::Committed(committer.commit(key, commit).await) }.boxed()
    }
}

impl Holder {
    /// The connection, if nobody listens there any more.
    fn lost(&self) -> Option<ConnectionId> {
        self.signal.is_closed().then_some(self.connection)
    }
}

/// Waits for work to end; for ever if there is none.
async fn finished(work: &mut Option<Work>) -> Input<Channels> {
    match work {
        Some(running) => {
            let input = running.await;
            *work = None;
            input
        }
        None => pending().await,
    }
}
