//! What the device does about an error. Spec: wire protocol, section 7.2.

use serde::{Deserialize, Serialize};

use crate::protocol_version::ProtocolVersion;

/// What the device does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Nothing that the application sees: the session, or the connection, comes back after a while.
    Transient,
    /// The application is told. With a compensating write nothing else happens.
    Warning,
    /// As [`ApplicationBug`](Self::ApplicationBug).
    ProtocolViolation,
    /// The device throws its file away and downloads the realm anew; what it had not uploaded it recovers, if the
    /// application wants that.
    ClientReset,
    /// As [`ClientReset`](Self::ClientReset), without recovery.
    ClientResetNoRecovery,
    /// The device deletes its file.
    DeleteRealm,
    /// Client reset over to flexible sync.
    #[serde(rename = "MigrateToFLX")]
    MigrateToFlexibleSync,
    /// Client reset back to partition-based sync.
    #[serde(rename = "RevertToPBS")]
    RevertToPartitionSync,
    /// The device gets a new access token.
    RefreshUser,
    /// The device asks for the location of the server again.
    RefreshLocation,
    /// The device logs the user out.
    LogOutUser,
    /// Flexible sync: the device goes over to another schema version.
    MigrateSchema,
    /// The session stays away until the application opens the realm again. An unknown action is read as this one.
    #[serde(other)]
    ApplicationBug,
}

impl Action {
    /// All actions.
    pub const ALL: [Self; 13] = [
        Self::Transient,
        Self::Warning,
        Self::ProtocolViolation,
        Self::ClientReset,
        Self::ClientResetNoRecovery,
        Self::DeleteRealm,
        Self::MigrateToFlexibleSync,
        Self::RevertToPartitionSync,
        Self::RefreshUser,
        Self::RefreshLocation,
        Self::LogOutUser,
        Self::MigrateSchema,
        Self::ApplicationBug,
    ];

    /// Whether devices that speak `version` know it. Four came with realm-core 13.18, and so with version 10 (9 ends
    /// with 13.17), two with version 9, the others are as old as actions are.
    ///
    /// Below 7 actions are not read, so there any is as good as known.
    pub fn is_known_in(self, version: ProtocolVersion) -> bool {
        let least = match self {
            Self::RefreshUser | Self::RefreshLocation | Self::LogOutUser | Self::MigrateSchema => {
                10
            }
            Self::MigrateToFlexibleSync | Self::RevertToPartitionSync => 9,
            _ => return true,
        };
        !version.has_actions() || version.number() >= least
    }

    /// The action, or what comes closest to it among those that devices of `version` know.
    ///
    /// They would take an unknown one as [`ApplicationBug`](Self::ApplicationBug), and stay away. Where a
    /// new connection heals it, since it meets 401 or the new location, they come back instead.
    #[must_use]
    pub fn for_version(self, version: ProtocolVersion) -> Self {
        match self {
            _ if self.is_known_in(version) => self,
            Self::RefreshUser | Self::RefreshLocation => Self::Transient,
            _ => Self::ApplicationBug,
        }
    }

    /// Whether the device should try again by itself: the `tryAgain` that goes with the action.
    pub fn tries_again(self) -> bool {
        matches!(self, Self::Transient | Self::Warning | Self::RefreshUser | Self::RefreshLocation)
    }

    /// Whether the device throws its file away: what devices of 4 to 6 go by.
    pub fn is_client_reset(self) -> bool {
        matches!(self, Self::ClientReset | Self::ClientResetNoRecovery)
    }
}
