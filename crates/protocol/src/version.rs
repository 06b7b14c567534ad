//! Versions of both histories, and the cursors that pair them.
//!
//! Spec: wire protocol, section 5.1; server history, section 2.

use std::cmp::Ordering;
use std::fmt;

use crate::ident::{Salt, number};

number! {
    /// The number of an entry in a partition's history: 1, 2, 3, ... without gaps; 0 is the empty history.
    ServerVersion
}

number! {
    /// A version of one device's local history, as that device counts it. Ascends, with gaps.
    ClientVersion
}

number! {
    /// When a change was made, in milliseconds since 2015-01-01T00:00:00Z by the author's own clock.
    ///
    /// It is not trusted and not monotonic; it decides conflicts and is never adjusted.
    OriginTimestamp
}

impl ServerVersion {
    /// The version after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A server version together with the salt that proves which history it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SaltedVersion {
    /// The version.
    pub version: ServerVersion,
    /// The salt of that version; 0 only for version 0.
    pub salt: Salt,
}

/// A position in a partition's history, as one device sees it.
///
/// It is the gap *after* the entry that produced `server_version`; zero is the gap before the first
/// entry. The cursors of one client file only move forward. On the wire: two decimal integers, in
/// this order (wire protocol, section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DownloadCursor {
    /// The last server version that the device integrated.
    pub server_version: ServerVersion,
    /// The last client version that the server had integrated at this position; zero if none.
    pub last_integrated_client_version: ClientVersion,
}

/// A position in a device's history, as the server sees it.
///
/// On the wire: two decimal integers, in this order (wire protocol, section 3.1, UPLOAD).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct UploadCursor {
    /// The last client version that the server integrated.
    pub client_version: ClientVersion,
    /// The last server version that the device had integrated at that position.
    pub last_integrated_server_version: ServerVersion,
}

impl UploadCursor {
    /// Whether a position before everything also knows nothing: client version 0 implies server version 0.
    pub fn is_consistent(self) -> bool {
        self.client_version.0 != 0 || self.last_integrated_server_version.0 == 0
    }

    /// Whether both can be positions of one history: neither component goes back while the other advances,
    /// and equal first components have equal second ones.
    pub fn is_mutually_consistent(self, other: Self) -> bool {
        let (mine, others) =
            (self.last_integrated_server_version, other.last_integrated_server_version);
        match self.client_version.cmp(&other.client_version) {
            Ordering::Less => mine <= others,
            Ordering::Equal => mine == others,
            Ordering::Greater => mine >= others,
        }
    }
}

impl DownloadCursor {
    /// Whether a position before everything also knows nothing: server version 0 implies client version 0.
    pub fn is_consistent(self) -> bool {
        self.server_version.0 != 0 || self.last_integrated_client_version.0 == 0
    }
}
