//! The records of a realm's history.
//!
//! Spec: server history, section 1.

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{
    ClientVersion, OriginTimestamp, SaltedVersion, ServerVersion, UploadCursor,
};
use bytes::Bytes;

/// One integrated changeset: an entry of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its number, and the salt of the server's run that wrote it.
    pub version: SaltedVersion,
    /// The author; [`FileIdent::SELF`] for the server's own writes (devices see [`FileIdent::SERVER`]).
    pub origin_file_ident: FileIdent,
    /// The version that the uploading device gave it; 0 for the server's own writes. Ascends for each author.
    pub client_version: ClientVersion,
    /// The author's clock, as received.
    pub origin_timestamp: OriginTimestamp,
    /// The transformed changeset; empty if the merge left nothing of it.
    pub changeset: Bytes,
    /// The lowest protocol version whose devices understand the changeset
    /// ([`required_protocol`](super::required_protocol)).
    pub required_protocol: u8,
    /// Bytes of all changesets up to and including this one.
    pub cumulative_len: u64,
}

/// What a server knows of one device's file in one realm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientFile {
    /// The secret that proves ownership of the ident, 1 to 2^63-1.
    pub salt: Salt,
    /// The user to whom the ident was given.
    pub user_id: String,
    /// What is integrated: the device's version, and the server version that the device had integrated
    /// there. Entries up to the latter are never again needed to merge this device's uploads.
    pub upload_cursor: UploadCursor,
    /// The last of the device's changesets that is integrated: what DOWNLOADs acknowledge.
    ///
    /// `upload_cursor` may be further, since a device also reports versions without changesets. That is known
    /// from nowhere else, so a server that is restored from a backup may have forgotten it, and less than what a
    /// device was told once breaks the protocol. An entry of the history cannot be forgotten unnoticed: its
    /// device knows of its version and salt.
    pub acknowledged: UploadCursor,
    /// The device will never ask to download from before this version.
    pub locked_server_version: ServerVersion,
    /// When the device was last heard of, in milliseconds since 1970-01-01T00:00:00Z; 0 means expired.
    pub last_seen_ms: u64,
}

impl ClientFile {
    /// The record of a device that has uploaded nothing.
    pub fn new(salt: Salt, user_id: impl Into<String>, now_ms: u64) -> Self {
        Self {
            salt,
            user_id: user_id.into(),
            upload_cursor: UploadCursor::default(),
            acknowledged: UploadCursor::default(),
            locked_server_version: ServerVersion::default(),
            last_seen_ms: now_ms,
        }
    }

    /// Whether compaction has gone on without this device: it must reset before it can sync again.
    pub fn is_expired(&self) -> bool {
        self.last_seen_ms == 0
    }
}
