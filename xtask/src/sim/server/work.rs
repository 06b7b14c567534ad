//! What threads and tasks of the server have to do: each at its time, so that they come in any order in which a
//! pool of threads might carry them out.

use std::time::Duration;

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_server::realm::{
    Callers, Identified, IdentifyRefused, Input, Purpose, RealmError, Request, Scanned, Step,
    StoreScan,
};
use bailiwick_server::session::SessionKey;

/// An open realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RealmNumber(pub(super) u64);

/// A session of a connection: where answers go.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) connection: u64,
    pub(super) session: SessionKey,
}

/// Answers go to sessions.
#[derive(Debug)]
pub(super) struct Askers;

impl Callers for Askers {
    type Allocate = Asker;
    type Identify = Asker;
    type Scan = Asker;
    type Drain = ();
}

#[derive(Debug)]
pub(super) enum Work {
    /// The actor takes its commands.
    Run(RealmNumber),
    /// A thread reads for the actor.
    Read(RealmNumber, Purpose, Request),
    /// A thread computes a step.
    Compute(RealmNumber, Box<Step>),
    /// A thread reads old history.
    Scan(RealmNumber, Asker, Box<StoreScan>),
    /// The committer's batch is made durable.
    Commit,
    /// The store is asked whether a checkpoint is due.
    Checkpoint,
    /// The rest of a long queue has waited.
    Resume(RealmNumber),
    /// The actor hears of something.
    Tell(RealmNumber, Box<Input<Askers>>),
    /// A session hears the answer to its question.
    Answer(Asker, Answer),
    /// A session hears the news of its realm.
    News(Asker),
    /// A DOWNLOAD has left.
    Left(u64),
    /// The realm looks whether anybody needs it.
    Retire(RealmNumber),
    /// The process begins.
    Begin,
    /// The process ends, since the storage has failed.
    Die,
    /// The process ends, since it was told to.
    Stop,
}

#[derive(Debug)]
pub(super) enum Answer {
    Allocated(Result<(FileIdent, Salt), RealmError>),
    Identified(Box<Result<(FileIdent, Identified), IdentifyRefused>>),
    Scanned(Box<Result<Scanned, RealmError>>),
}

impl Work {
    /// The connection whose task does it.
    pub(super) fn connection(&self) -> Option<u64> {
        match self {
            Self::Answer(asker, _) | Self::News(asker) => Some(asker.connection),
            Self::Left(number) => Some(*number),
            _ => None,
        }
    }

    /// How long it takes at most, without what a slow disk adds.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_micros(match self {
            Self::Run(_) | Self::Tell(..) | Self::Answer(..) | Self::News(_) | Self::Left(_) => 50,
            Self::Read(..) | Self::Scan(..) => 400,
            Self::Compute(..) => 1000,
            Self::Commit | Self::Resume(_) => 3000,
            Self::Checkpoint => 100_000,
            Self::Retire(_) | Self::Begin => 0,
            Self::Die | Self::Stop => 1_000_000,
        })
    }
}
