//! How often what a world is made for has happened in it: a fault that nothing meets shows nothing.

use std::cell::Cell;
use std::fmt;
use std::ops::AddAssign;
use std::rc::Rc;

/// Something that does not happen by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// Nothing happened for a day.
    DayPassed,
    /// A device came back after weeks.
    WeeksAway,
    /// The server refused a token.
    TokenRefused,
    /// A device had to log in again.
    LoggedOut,
    /// The server ended a connection whose login had ended.
    AccessEnded,
    /// A login came to its end by itself.
    LoginExpired,
    /// A changeset came to the server a second time.
    UploadTwice,
    /// The server turned a device away, since too many uploads waited.
    Overloaded,
    /// An UPLOAD was longer than the server takes.
    UploadTooLong,
    /// A connection had more sessions than the server allows.
    SessionRefused,
    /// The server took no more messages on a connection.
    ServerPausedReading,
    /// A device read no more, since too much waited to be integrated.
    DevicePausedReading,
    /// The server gave up a connection on which nothing was heard.
    IdleClosed,
    /// A device gave up a connection on which nothing came back.
    PongMissed,
    /// The same, when all was healed and nobody had told it.
    SilenceNoticed,
    /// A device was reset, and its changes recovered.
    ResetRecovered,
    /// A device was reset, and its changes discarded.
    ResetDiscarded,
    /// A commit of the server failed for want of room.
    CommitWithoutRoom,
    /// The server started while its disks were full.
    StartWithoutRoom,
    /// A device ended for want of room.
    DeviceWithoutRoom,
    /// A device started while its disk was full.
    DeviceStartWithoutRoom,
    /// The server died in a checkpoint.
    CheckpointCrash,
    /// The server died while it started.
    StartCrash,
    /// A crash left a part of a write.
    TornWrite,
    /// A checkpoint of the server took long, since its disks were slow.
    SlowCheckpoint,
    /// The server took long to start, since its disks were slow.
    SlowStart,
    /// A device took long to make a transaction durable, since its disk was slow.
    SlowWrite,
    /// A device connected that speaks none of the versions from 8 on.
    OldProtocol,
    /// A rogue was refused that had come with a token that was not good.
    IntruderRefused,
    /// What a rogue had uploaded became part of a history that others read.
    RogueCommitted,
    /// A class or a field was removed from a partition that others read.
    ClassRemoved,
}

impl Met {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::DayPassed,
        Self::WeeksAway,
        Self::TokenRefused,
        Self::LoggedOut,
        Self::AccessEnded,
        Self::LoginExpired,
        Self::UploadTwice,
        Self::Overloaded,
        Self::UploadTooLong,
        Self::SessionRefused,
        Self::ServerPausedReading,
        Self::DevicePausedReading,
        Self::IdleClosed,
        Self::PongMissed,
        Self::SilenceNoticed,
        Self::ResetRecovered,
        Self::ResetDiscarded,
        Self::CommitWithoutRoom,
        Self::StartWithoutRoom,
        Self::DeviceWithoutRoom,
        Self::DeviceStartWithoutRoom,
        Self::CheckpointCrash,
        Self::StartCrash,
        Self::TornWrite,
        Self::SlowCheckpoint,
        Self::SlowStart,
        Self::SlowWrite,
        Self::OldProtocol,
        Self::IntruderRefused,
        Self::RogueCommitted,
        Self::ClassRemoved,
    ];
}

/// How often each was met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally([u32; Met::ALL.len()]);

/// A tally that all parts of a world share.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedTally(Rc<Cell<Tally>>);

impl Tally {
    /// How often it was met.
    pub fn count(&self, met: Met) -> u32 {
        self.0[met as usize]
    }

    /// What was never met.
    pub fn missing(&self) -> Vec<Met> {
        Met::ALL.into_iter().filter(|met| self.count(*met) == 0).collect()
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count = count.saturating_add(more);
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Met::ALL.map(|met| format!("{met:?} {}", self.count(met)));
        f.write_str(&counts.join(", "))
    }
}

impl SharedTally {
    pub(crate) fn meet(&self, met: Met) {
        let mut tally = self.0.get();
        tally.0[met as usize] = tally.count(met).saturating_add(1);
        self.0.set(tally);
    }

    pub(crate) fn get(&self) -> Tally {
        self.0.get()
    }
}
