//! Realms on a store of their own, and the devices that are bound to them.

use std::sync::Arc;

use bailiwick_protocol::ident::{FileIdent, Salt};
use bailiwick_protocol::version::{DownloadCursor, SaltedVersion};
use bailiwick_server::clock::SystemClock;
use bailiwick_server::realm::{
    Command, Committer, ConnectionId, RealmHandle, Realms, RealmsConfig, Signal,
};
use bailiwick_storage::redb::RedbStore;
use tokio::sync::{oneshot, watch};

/// Realms of an empty store: what a commit costs depends on how much there is.
pub(crate) fn new_server() -> (Realms, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let store = Arc::new(RedbStore::in_dir(dir.path()).expect("a store"));
    let (committer, _) = Committer::start(store.clone());
    let config = RealmsConfig::default();
    (Realms::new(store, committer, Salt(1), config, Arc::new(SystemClock)), dir)
}

/// Binds a new client file.
pub(crate) async fn bind(
    realm: &RealmHandle,
    connection: ConnectionId,
) -> (FileIdent, watch::Receiver<Signal>) {
    let (answer, allocated) = oneshot::channel();
    realm.send(Command::Allocate { user_id: "user".to_owned(), answer }).await;
    let (file_ident, salt) = allocated.await.expect("an answer").expect("an ident");
    let (answer, identified) = oneshot::channel();
    let identify = Command::Identify {
        connection,
        file_ident,
        salt,
        user_id: "user".to_owned(),
        download: DownloadCursor::default(),
        latest: SaltedVersion::default(),
        answer,
    };
    realm.send(identify).await;
    (file_ident, identified.await.expect("an answer").expect("bound").signals)
}
