//! What the next UPLOAD holds. Spec: client, section 3.

use bailiwick_protocol::message::UploadEntry;
use bailiwick_protocol::version::{ClientVersion, UploadCursor};

use crate::local::{LocalError, Snapshot};
use crate::session::UploadBatch;

/// An UPLOAD takes no more changesets once it has this many bytes of them.
pub const UPLOAD_SOFT_LIMIT: usize = 128 << 10;

/// An UPLOAD of several changesets has fewer bytes of them than this: servers refuse longer ones.
pub const UPLOAD_HARD_LIMIT: usize = 16 << 20;

/// Gathers the next local changesets after a position, as they were written.
///
/// Reads what it gathers and the versions between, so that a long history costs the same however it is cut into
/// UPLOADs. The new position names what was read last: the last changeset, or the latest version if there are no
/// more. It is `after` if nothing came after it.
///
/// # Errors
///
/// The file cannot be read.
pub fn collect_upload(snapshot: &Snapshot, after: UploadCursor) -> Result<UploadBatch, LocalError> {
    let (mut progress, mut entries, mut len) = (after, Vec::new(), 0);
    for entry in snapshot.history(after.client_version)? {
        let entry = entry?;
        let cursor = entry.cursor();
        if entry.is_uploadable() {
            let sum = len + entry.changeset.len();
            if sum >= UPLOAD_HARD_LIMIT && !entries.is_empty() {
                break;
            }
            len = sum;
            entries.push(UploadEntry {
                client_version: cursor.client_version,
                last_integrated_server_version: cursor.last_integrated_server_version,
                origin_timestamp: entry.origin_timestamp,
                origin_file_ident: entry.origin_file_ident,
                changeset: entry.changeset,
            });
        }
        progress = cursor;
        if len >= UPLOAD_SOFT_LIMIT {
            break;
        }
    }
    let locked_server_version = snapshot.state().progress.download.server_version;
    Ok(UploadBatch { progress, locked_server_version, entries })
}

/// The newest version after `after` that is to be uploaded, acknowledged or not.
///
/// Reads from the end, until it finds one.
///
/// # Errors
///
/// The file cannot be read.
pub fn last_uploadable(
    snapshot: &Snapshot,
    after: ClientVersion,
) -> Result<Option<ClientVersion>, LocalError> {
    for entry in snapshot.history(after)?.rev() {
        let entry = entry?;
        if entry.is_uploadable() {
            return Ok(Some(entry.version));
        }
    }
    Ok(None)
}

/// The newest version that the server has yet to acknowledge; `None` if it has everything.
///
/// # Errors
///
/// The file cannot be read.
pub fn pending(snapshot: &Snapshot) -> Result<Option<ClientVersion>, LocalError> {
    last_uploadable(snapshot, snapshot.state().progress.upload.client_version)
}
