//! What can happen.

use bailiwick_client::session::{FileRole, StorageAnswer};

use crate::sim::agenda::Time;
use crate::sim::choices::Choices;
use crate::sim::fault::Fault;
use crate::sim::network::Direction;
use crate::sim::rogue::Manner;

/// One thing that happens. What belongs to a process names its run: of one that has ended, it is nothing.
#[derive(Debug)]
pub(super) enum Event {
    /// A message has arrived.
    Arrive(u64, Direction),
    /// All has left that was to be sent.
    Written(u64, Direction),
    /// The end to which this direction leads learns that the connection is gone.
    Notice(u64, Direction),
    /// An attempt to connect has come to its end.
    Connected { device: usize, run: u64, attempt: u64 },
    /// The time that a session machine waits for has come.
    Wake { device: usize, run: u64, at: Time },
    /// A file does what it was asked for.
    Store { device: usize, run: u64, index: usize, role: FileRole },
    /// The answer of a file has come.
    Stored { device: usize, run: u64, index: usize, role: FileRole, answer: Box<StorageAnswer> },
    /// There is another access token, or there is none.
    Token { device: usize, run: u64 },
    /// An app does something.
    App { device: usize, run: u64 },
    /// A device's process begins.
    Start { device: usize },
    /// The server has something to do.
    ServerWake,
    /// The server's process begins.
    ServerStart,
    /// Something goes wrong.
    Strike(usize),
    /// A rogue goes on.
    Visit(Visit),
    /// There is room again on the server's disks.
    MakeRoom,
    /// The server must have ended this connection.
    Outlawed(u64),
    /// Something that went wrong is over.
    Mend { device: usize, fault: Fault },
}

/// What a rogue is going to do, step by step.
#[derive(Clone, Debug)]
pub(super) struct Visit {
    pub(super) rogue: usize,
    pub(super) manner: Manner,
    /// How many steps are left.
    pub(super) left: usize,
    pub(super) choices: Choices,
}

impl Event {
    /// The process that it is for: the device, and which run of it.
    pub(super) fn process(&self) -> Option<(usize, u64)> {
        match *self {
            Self::Connected { device, run, .. }
            | Self::Wake { device, run, .. }
            | Self::Store { device, run, .. }
            | Self::Stored { device, run, .. }
            | Self::Token { device, run }
            | Self::App { device, run } => Some((device, run)),
            _ => None,
        }
    }
}
