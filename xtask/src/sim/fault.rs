//! What can go wrong.

/// A kind of fault. Each kind chooses by itself when it strikes and whom, so that it can be left out without changing
/// what the others do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fault {
    /// A connection breaks at some byte, and both ends notice, sooner or later.
    Cut,
    /// A connection breaks, and an end does not notice.
    HalfOpen,
    /// Messages are held up.
    Stall,
    /// A device cannot reach the server for a while.
    Unreachable,
    /// A device's process ends at one of its next storage writes.
    DeviceCrash,
    /// The server's process ends, at once or at one of its next storage writes.
    ServerCrash,
    /// Flushing a disk takes long for a while.
    SlowDisk,
    /// A disk is full for a while.
    FullDisk,
    /// A device's clock is set to another time.
    ClockSkew,
    /// The access token of a device is no longer valid.
    TokenExpiry,
    /// An app pauses its sync for a while.
    Pause,
    /// A device's process does nothing for a while, up to ten minutes.
    Sleep,
    /// A device is off for a while; when it is for a day or for weeks, all are off, and it comes back last.
    Away,
    /// Somebody else connects, and sends what nobody should.
    Rogue,
    /// The server's store is replaced by an older copy, once: devices that know more have to reset.
    Restore,
    /// The login of a user ends, and begins anew after a while.
    LogOut,
    /// The server's process is told to end, and another one begins.
    Stop,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Cut,
        Self::HalfOpen,
        Self::Stall,
        Self::Unreachable,
        Self::DeviceCrash,
        Self::ServerCrash,
        Self::SlowDisk,
        Self::FullDisk,
        Self::ClockSkew,
        Self::TokenExpiry,
        Self::Pause,
        Self::Sleep,
        Self::Away,
        Self::Rogue,
        Self::Restore,
        Self::LogOut,
        Self::Stop,
    ];
}

/// Some kinds of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults(u32);

impl Faults {
    /// None of them.
    pub const NONE: Self = Self(0);

    /// Whether this is one of them.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & 1 << fault as u32 != 0
    }

    /// These and another.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u32)
    }
}

impl FromIterator<Fault> for Faults {
    fn from_iter<T: IntoIterator<Item = Fault>>(faults: T) -> Self {
        faults.into_iter().fold(Self::NONE, Self::with)
    }
}
