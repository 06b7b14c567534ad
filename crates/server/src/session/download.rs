//! A DOWNLOAD before it is bytes: making them can take time, and needs nothing of the connection.

use std::sync::Arc;

use bailiwick_core::apply::for_older_devices;
use bailiwick_core::schema::Schema;
use bailiwick_protocol::message::{DownloadEntry, DownloadHeader};

/// What a DOWNLOAD consists of.
#[derive(Clone, Debug)]
pub struct PreparedDownload {
    /// The header.
    pub header: DownloadHeader,
    /// The entries, as the history has them.
    pub entries: Vec<DownloadEntry>,
    /// The schema of the realm, if the device needs the form [for older devices](for_older_devices).
    pub for_older: Option<Arc<Schema>>,
}

impl PreparedDownload {
    /// Bytes of the changesets: what [`print`](Self::print) takes its time in proportion to.
    pub fn len(&self) -> usize {
        self.entries.iter().map(|entry| entry.changeset.len()).sum()
    }

    /// Whether there is nothing to bring.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The message.
    pub fn print(mut self) -> Vec<u8> {
        if let Some(schema) = &self.for_older {
            for entry in &mut self.entries {
                if let Some(changeset) = for_older_devices(schema, &entry.changeset) {
                    entry.changeset = changeset.into();
                }
            }
        }
        self.header.print_with(&self.entries)
    }
}
