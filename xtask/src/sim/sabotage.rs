//! Faults of the simulation itself, by which tests see that its checks find what they are there for.

/// What the simulation does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// An entry of a DOWNLOAD is one that the device has written itself.
    EchoOwnChange,
    /// An entry is in the history under another version than it was uploaded with.
    LoseEntry,
    /// Entries are in the history twice.
    DoubleEntry,
    /// A DOWNLOAD goes to another connection than it should.
    Misroute,
    /// The cursor of a DOWNLOAD goes back.
    RewindCursor,
    /// The cursors of a device go back.
    RewindDevice,
    /// An honest device is told that it breaks the protocol.
    Accuse,
    /// An honest device is told that another connection has taken its place, which is not so.
    Evict,
    /// Messages are pressed upon the server that it does not want yet.
    Flood,
    /// The last entry of the history is gone when the server begins again.
    ForgetEntry,
    /// Flushing the server's disk does nothing.
    SkipServerSync,
    /// Flushing a device's disk does nothing.
    SkipDeviceSync,
    /// A device does not hear that there is a network again.
    ForgetDevice,
    /// The timers of devices do not go off on connections that are broken.
    ForgetTimer,
    /// An app that waits for its uploads hears nothing.
    ForgetWait,
    /// A device has one object more than the others.
    ChangeDevice,
    /// A transaction is done twice.
    RepeatTransaction,
    /// A transaction is gone that an older copy of the server has, and that a device need not upload again.
    LoseKept,
    /// The server has one object less than the history gives.
    ChangeServer,
    /// The server has another entry in its history than it said when that was made durable.
    ChangeHistory,
    /// Nothing is wrong with changesets that have to be refused.
    Spare,
    /// Something panics.
    Panic,
}
