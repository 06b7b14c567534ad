//! The client file that the server allocates. Spec: client, sections 1.2 and 8.

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{ClientVersion, OriginTimestamp};

use bytes::Bytes;

use crate::local::{Batch, FileState, HistoryEntry, Origin, Snapshot};

/// The batch that makes a file the given client file. It takes a version.
///
/// Nothing in the history has to be rewritten: only objects of classes without primary key are named after their
/// author's client file, and none can be created here.
pub fn identify(snapshot: &Snapshot, ident: FileIdent, salt: Salt) -> Batch {
    let mut state = snapshot.state().clone();
    state.client_file = Some((ident, salt));
    state.progress.download.last_integrated_client_version = ClientVersion(0);
    state.progress.upload.client_version = ClientVersion(0);
    let append = vec![next_entry(&mut state, FileIdent::SELF, OriginTimestamp(0))];
    Batch { origin: Origin::Remote, state, append, ..Batch::default() }
}

/// The entry of one more version, of which nothing is to be uploaded.
pub(super) fn next_entry(
    state: &mut FileState,
    origin_file_ident: FileIdent,
    origin_timestamp: OriginTimestamp,
) -> HistoryEntry {
    state.version = ClientVersion(state.version.0 + 1);
    HistoryEntry {
        version: state.version,
        origin_file_ident,
        origin_timestamp,
        remote_version: state.progress.download.server_version,
        changeset: Bytes::new(),
        reciprocal: None,
    }
}
