//! The versions of the sync protocol, and what depends on them.
//!
//! Partition-based sync has the same messages in all of them; what differs is how errors and logs are
//! told. Spec: wire protocol, sections 1.1 and 3.

use std::fmt;

/// A version of the sync protocol that both sides of a connection agreed on: 2 to 14.
///
/// ```
/// use bailiwick_protocol::protocol_version::ProtocolVersion;
///
/// let version = ProtocolVersion::new(9).unwrap();
/// assert!(version.has_json_errors() && !version.has_log_messages());
/// assert_eq!(ProtocolVersion::new(15), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProtocolVersion(u8);

impl ProtocolVersion {
    /// The oldest version that is spoken.
    pub const MIN: Self = Self(2);
    /// The newest version that is spoken.
    pub const MAX: Self = Self(14);

    /// The version of this number, if it is spoken.
    pub const fn new(number: u8) -> Option<Self> {
        if number >= Self::MIN.0 && number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// All versions, the newest first: the order in which devices offer them.
    pub fn newest_first() -> impl Iterator<Item = Self> {
        (Self::MIN.0..=Self::MAX.0).rev().map(Self)
    }

    /// The number.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Whether the server tells errors as `JSON_ERROR`; below, as ERROR. Since 4.
    pub const fn has_json_errors(self) -> bool {
        self.0 >= 4
    }

    /// Whether a refused write can be taken back on the device, which is told by an error that does not
    /// end the session. Since 5.
    pub const fn has_compensating_writes(self) -> bool {
        self.0 >= 5
    }

    /// Whether devices do what the `action` of an error says; below, they judge by the code. Since 7.
    pub const fn has_actions(self) -> bool {
        self.0 >= 7
    }

    /// Whether devices send `JSON_ERROR`. Since 7.
    pub const fn has_client_errors(self) -> bool {
        self.0 >= 7
    }

    /// Whether devices understand `LOG_MESSAGE`; to older ones it is a violation of the protocol. Since 10.
    pub const fn has_log_messages(self) -> bool {
        self.0 >= 10
    }
}

impl fmt::Display for ProtocolVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
