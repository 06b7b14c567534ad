//! The files of a realm as its connection uses them.

use std::fmt;
use std::sync::Arc;

use bailiwick_protocol::version::OriginTimestamp;
use tokio::sync::{broadcast, watch};

use crate::files::RealmFiles;
use crate::local::Committed;
use crate::session::{FileRole, StorageAnswer, StorageRequest};
use crate::transport::RealmStorage;

/// The files of a realm, as long as its connection uses them.
pub(super) struct Storage {
    pub(super) files: RealmFiles,
    pub(super) _in_use: watch::Sender<()>,
}

impl RealmStorage for Storage {
    fn execute(
        &self,
        role: FileRole,
        request: StorageRequest,
        now: OriginTimestamp,
    ) -> StorageAnswer {
        self.files.execute(role, request, now)
    }

    fn news(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.files.news()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.files.fmt(f)
    }
}
