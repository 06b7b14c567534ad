//! What a realm can be asked for, and what it tells.
//!
//! A question carries the address of its answer. News of a realm are a state, not a list of events: who looks
//! late sees the latest, and nothing piles up.

use std::fmt;
use std::sync::Arc;

use bailiwick_core::history::{IdentError, Rejection};
use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion, ServerVersion, UploadCursor};
use tokio::sync::{oneshot, watch};

use super::RealmError;
use super::scan::Scanned;
use crate::session::AcceptedUpload;

/// One connection of the server, as long as it lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId(pub u64);

/// What the address of an answer is: a channel in a server, a mere number in a simulation.
pub trait Callers: fmt::Debug + 'static {
    /// Of the ident and its salt that [`Command::Allocate`] asks for, once they are durable.
    type Allocate: fmt::Debug;
    /// Of whether a device may be what it says it is: [`Command::Identify`].
    type Identify: fmt::Debug;
    /// Of what to send: [`Command::Scan`].
    type Scan: fmt::Debug;
    /// Of the one who waits for [`Command::Drain`].
    type Drain: fmt::Debug;
}

/// Addresses within one process: each takes one answer.
#[derive(Clone, Copy, Debug)]
pub struct Channels;

impl Callers for Channels {
    type Allocate = oneshot::Sender<Result<(FileIdent, Salt), RealmError>>;
    type Identify = oneshot::Sender<Result<Identified, IdentifyRefused>>;
    type Scan = oneshot::Sender<Result<Scanned, RealmError>>;
    type Drain = oneshot::Sender<()>;
}

/// What a realm can be asked for.
#[derive(Debug)]
pub enum Command<C: Callers = Channels> {
    /// Gives a new client file to a user.
    Allocate {
        /// The user.
        user_id: String,
        /// Where the ident goes.
        answer: C::Allocate,
    },
    /// Binds a connection to a client file; another connection that holds it loses it.
    Identify {
        /// Who asks.
        connection: ConnectionId,
        /// The client file that the device says it is.
        file_ident: FileIdent,
        /// Its salt.
        salt: Salt,
        /// The user of the connection.
        user_id: String,
        /// How far the device is.
        download: DownloadCursor,
        /// The newest version that it knows.
        latest: SaltedVersion,
        /// Where it is told whether the device may be that.
        answer: C::Identify,
    },
    /// Queues an accepted UPLOAD; not answered, but see [`Signal`].
    Upload(Queued),
    /// Scans the history for a DOWNLOAD.
    Scan {
        /// The receiver.
        file_ident: FileIdent,
        /// Where it stands.
        cursor: DownloadCursor,
        /// Where the result goes.
        answer: C::Scan,
    },
    /// Unbinds a connection from a client file; what it uploaded stays queued.
    Release {
        /// Who asks.
        connection: ConnectionId,
        /// The client file.
        file_ident: FileIdent,
    },
    /// Answers when all that was queued before is integrated and durable, or has failed.
    Drain {
        /// Who waits.
        answer: C::Drain,
    },
}

/// An accepted UPLOAD.
#[derive(Debug)]
pub struct Queued {
    /// Who sends it.
    pub connection: ConnectionId,
    /// What it brings.
    pub upload: AcceptedUpload,
}

/// A client file that was bound to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Who holds it.
    pub connection: ConnectionId,
    /// The client file.
    pub file_ident: FileIdent,
    /// What is integrated or queued of the device's history.
    pub threshold: UploadCursor,
    /// What the device will never ask for again.
    pub locked: ServerVersion,
    /// The last durable version.
    pub head: ServerVersion,
}

/// The same for one who is told of news through a channel.
#[derive(Debug)]
pub struct Identified {
    /// What is integrated or queued of the device's history.
    pub threshold: UploadCursor,
    /// What the device will never ask for again.
    pub locked: ServerVersion,
    /// News of the realm, for as long as the file is bound.
    pub signals: watch::Receiver<Signal>,
}

/// Why a client file was not bound.
#[derive(Debug, thiserror::Error)]
pub enum IdentifyRefused {
    /// The claim is wrong.
    #[error(transparent)]
    Ident(#[from] IdentError),
    /// Another session of the same connection is bound to the file.
    #[error("another session of this connection is bound to the client file")]
    BoundInOtherSession,
    /// The realm cannot answer.
    #[error(transparent)]
    Realm(#[from] RealmError),
}

/// What a bound session has to know; the latest state of it, not a list of events.
#[derive(Clone, Debug)]
pub struct Signal {
    /// The last durable version.
    pub head: ServerVersion,
    /// Why the session is over, if it is.
    pub end: Option<SessionEnd>,
}

/// Why the realm ends a session.
#[derive(Clone, Debug)]
pub enum SessionEnd {
    /// What the device uploaded is refused for good.
    Rejected(Arc<Rejection>),
    /// Another connection has the client file now: this one is dead, and does not know it.
    TakenOver,
    /// Too much is queued; the device has to come back.
    Overloaded,
    /// The realm cannot go on.
    Failed(RealmError),
}
