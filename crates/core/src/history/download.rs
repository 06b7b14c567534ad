//! What a DOWNLOAD carries: the entries after a cursor that others wrote.
//!
//! Spec: server history, section 6.

use bailiwick_protocol::ident::FileIdent;
use bailiwick_protocol::version::{ClientVersion, DownloadCursor};

use super::Entry;

/// Walks the history for one client file, entry by entry, until the end or until there is enough.
///
/// The entries come from wherever they are, in as many portions as need be; the result is a function
/// of them alone, so that a lost DOWNLOAD can be built again.
#[derive(Debug)]
pub struct Scan {
    file_ident: FileIdent,
    cursor: DownloadCursor,
    soft_limit: usize,
    len: usize,
    items: Vec<DownloadItem>,
}

/// The result of a [`Scan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Where the session is once the device has integrated this.
    pub cursor: DownloadCursor,
    /// What to send.
    pub items: Vec<DownloadItem>,
}

/// One entry to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DownloadItem {
    /// The entry.
    pub entry: Entry,
    /// The last version of the receiver that is integrated before this entry.
    pub last_integrated_client_version: ClientVersion,
}

impl Scan {
    /// Starts after `cursor`; `soft_limit` bounds the bytes of the changesets, and is exceeded by the
    /// last of them.
    pub fn new(file_ident: FileIdent, cursor: DownloadCursor, soft_limit: usize) -> Self {
        Self { file_ident, cursor, soft_limit, len: 0, items: Vec::new() }
    }

    /// Where it stands: the next entry to [`push`](Self::push) is the one after this.
    pub fn cursor(&self) -> DownloadCursor {
        self.cursor
    }

    /// Takes the next entry; `false` if there is enough now, and the scan is to end here.
    ///
    /// The receiver's own entries and empty ones move the cursor and are not sent.
    ///
    /// # Panics
    ///
    /// If the entry is not the one after the cursor.
    pub fn push(&mut self, entry: &Entry) -> bool {
        assert_eq!(
            entry.version.version,
            self.cursor.server_version.next(),
            "entries come in order"
        );
        self.cursor.server_version = entry.version.version;
        if entry.origin_file_ident == self.file_ident {
            self.cursor.last_integrated_client_version = entry.client_version;
            return true;
        }
        if entry.changeset.is_empty() {
            return true;
        }
        self.len += entry.changeset.len();
        self.items.push(DownloadItem {
            entry: entry.clone(),
            last_integrated_client_version: self.cursor.last_integrated_client_version,
        });
        self.len <= self.soft_limit
    }

    /// Ends the scan.
    pub fn finish(self) -> Download {
        Download { cursor: self.cursor, items: self.items }
    }
}

impl DownloadItem {
    /// The author, as the receiver is told: the server's own writes are those of file 1.
    pub fn origin_file_ident(&self) -> FileIdent {
        match self.entry.origin_file_ident {
            FileIdent::SELF => FileIdent::SERVER,
            ident => ident,
        }
    }
}
