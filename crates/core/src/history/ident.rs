//! What a device may claim about itself when a session starts.
//!
//! Spec: server history, section 3; wire protocol, section 5.2.

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion, ServerVersion};

use super::ClientFile;

/// What a device says of itself in IDENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim<'a> {
    /// The client file that it says it is.
    pub file_ident: FileIdent,
    /// The salt that came with that ident.
    pub salt: Salt,
    /// The user whom the connection's token names.
    pub user_id: &'a str,
    /// How far it has integrated the history.
    pub download: DownloadCursor,
    /// The newest version of the history that it has heard of.
    pub latest: SaltedVersion,
    /// What it was bound as.
    pub client_type: ClientType,
}

/// What kind of peer a client file belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientType {
    /// A device.
    Regular,
    /// Another server; there are none.
    Subserver,
}

/// Why a claim is refused; in the order in which the checks are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdentError {
    /// The ident was never allocated in this partition.
    #[error("client file {0} does not exist in this partition")]
    UnknownFile(FileIdent),
    /// The salt is not the one that came with the ident.
    #[error("the salt of client file {0} is another one")]
    FileSalt(FileIdent),
    /// The ident was allocated to another user.
    #[error("client file {0} belongs to another user")]
    User(FileIdent),
    /// What is needed to merge with the device was dropped, since the device said it was past that.
    #[error("the device is at {cursor}, before {base}, which it had confirmed")]
    BelowBase {
        /// The position that the device claims.
        cursor: ServerVersion,
        /// What it had confirmed.
        base: ServerVersion,
    },
    /// Compaction went on without the device.
    #[error("client file {0} has expired")]
    Expired(FileIdent),
    /// The device claims to have integrated what does not exist.
    #[error("the device is at {cursor}, the history ends at {head}")]
    AboveHead {
        /// The position that the device claims.
        cursor: ServerVersion,
        /// The last version.
        head: ServerVersion,
    },
    /// The device claims that more of its own versions were integrated than were.
    #[error("the device claims that its versions were integrated further than they were")]
    ClientVersion,
    /// The newest version that the device has heard of is older than its position, or does not exist.
    #[error("the device knows of version {0}, which does not fit")]
    LatestVersion(ServerVersion),
    /// That version exists, but in another history.
    #[error("the salt of version {0} is another one: the device has seen another history")]
    VersionSalt(ServerVersion),
    /// The file belongs to another kind of peer.
    #[error("client file {0} was not allocated to a peer of this kind")]
    ClientType(FileIdent),
}

/// Checks a claim.
///
/// `file` is the record of the claimed ident, `head` the last version, `latest_salt` the salt of the
/// version that the claim calls latest (0 for version 0), `None` if there is no such version.
///
/// # Errors
///
/// The first check that fails.
pub fn check_ident(
    claim: &Claim<'_>,
    file: Option<&ClientFile>,
    head: ServerVersion,
    latest_salt: Option<Salt>,
) -> Result<(), IdentError> {
    let ident = claim.file_ident;
    if ident == FileIdent::SERVER {
        return Err(IdentError::FileSalt(ident));
    }
    let file = file.ok_or(IdentError::UnknownFile(ident))?;
    if file.salt != claim.salt {
        return Err(IdentError::FileSalt(ident));
    }
    if file.user_id != claim.user_id {
        return Err(IdentError::User(ident));
    }
    let cursor = claim.download.server_version;
    let base = file.upload_cursor.last_integrated_server_version;
    if cursor < base {
        return Err(IdentError::BelowBase { cursor, base });
    }
    if file.is_expired() {
        return Err(IdentError::Expired(ident));
    }
    if cursor > head {
        return Err(IdentError::AboveHead { cursor, head });
    }
    let integrated = claim.download.last_integrated_client_version;
    if integrated > file.upload_cursor.client_version || !claim.download.is_consistent() {
        return Err(IdentError::ClientVersion);
    }
    let latest = claim.latest.version;
    if latest < cursor || latest > head {
        return Err(IdentError::LatestVersion(latest));
    }
    match latest_salt {
        Some(salt) if salt == claim.latest.salt => (),
        _ => return Err(IdentError::VersionSalt(latest)),
    }
    match claim.client_type {
        ClientType::Regular => Ok(()),
        ClientType::Subserver => Err(IdentError::ClientType(ident)),
    }
}
