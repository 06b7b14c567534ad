//! Local transactions. Spec: client, section 1.2.

use bailiwick_core::apply::Changes;
use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp};

use super::split::split;
use crate::local::{Batch, HistoryEntry, Origin, Snapshot};

/// The batch of a local transaction: what it did to the objects, and the same as a changeset.
///
/// An empty changeset takes a version, too. One that is too long for a single UPLOAD takes several versions, in this
/// one batch: this device has all of it or nothing, while other devices may see it arrive in
/// [pieces](super::MAX_PIECE_LEN), in order.
pub fn local_commit(
    snapshot: &Snapshot,
    changes: Changes,
    changeset: Changeset,
    timestamp: OriginTimestamp,
) -> Batch {
    let mut state = snapshot.state().clone();
    let mut append = Vec::new();
    for changeset in split(changeset) {
        state.version = ClientVersion(state.version.0 + 1);
        state.bytes.uploadable += changeset.len() as u64;
        append.push(HistoryEntry {
            version: state.version,
            origin_file_ident: FileIdent::SELF,
            origin_timestamp: timestamp,
            remote_version: state.progress.download.server_version,
            changeset,
            reciprocal: None,
        });
    }
    Batch { origin: Origin::Local, changes, state, append, ..Batch::default() }
}
