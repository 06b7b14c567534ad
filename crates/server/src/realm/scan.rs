//! What a DOWNLOAD brings: a scan of the history, from memory or from the store.

use std::sync::Arc;

use bailiwick_core::history::{Download, Scan};
use bailiwick_core::schema::Schema;
use bailiwick_protocol::version::{SaltedVersion, ServerVersion, UploadCursor};
use bailiwick_storage::store::{RealmKey, StorageError, Store};

use super::RealmError;
use super::integration::Loaded;

/// What to send in a DOWNLOAD.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// The entries, and the cursor behind them.
    pub download: Download,
    /// The last version, with its salt.
    pub head: SaltedVersion,
    /// What is acknowledged of the receiver's history.
    pub upload_cursor: UploadCursor,
    /// Bytes of changesets behind the cursor.
    pub remaining_len: u64,
    /// The schema of the realm.
    pub schema: Arc<Schema>,
}

/// A scan that begins before what is in memory.
#[derive(Debug)]
pub struct StoreScan {
    scan: Scan,
    loaded: Loaded,
    upload_cursor: UploadCursor,
}

/// Bytes of changesets that are read from the store at a time.
pub(super) const PAGE_LEN: usize = 1 << 20;
/// Entries that are read at a time: any number of empty ones has no bytes.
pub(super) const PAGE_COUNT: u64 = 4096;
/// Entries after which a scan ends, although it may have found nothing to send: others wait for the thread.
const MAX_COUNT: u64 = 16 * PAGE_COUNT;

impl Scanned {
    pub(super) fn new(
        scan: Scan,
        Loaded { record, schema }: &Loaded,
        upload_cursor: UploadCursor,
        sent_len: u64,
    ) -> Self {
        Self {
            download: scan.finish(),
            head: record.head,
            upload_cursor,
            remaining_len: record.cumulative_len.saturating_sub(sent_len),
            schema: Arc::clone(schema),
        }
    }
}

impl StoreScan {
    pub(super) fn new(scan: Scan, loaded: Loaded, upload_cursor: UploadCursor) -> Self {
        Self { scan, loaded, upload_cursor }
    }

    /// Reads on in the store until the scan has enough, there is no more, or it has gone through 65,536 entries. Blocks.
    ///
    /// # Errors
    ///
    /// If the storage fails, or does not have the history that its realm says it has.
    pub fn run(self, store: &dyn Store, key: &RealmKey) -> Result<Scanned, RealmError> {
        let Self { mut scan, loaded, upload_cursor } = self;
        let start = scan.cursor().server_version;
        let end = loaded.record.head.version.min(ServerVersion(start.0.saturating_add(MAX_COUNT)));
        let mut sent_len = u64::MAX;
        'pages: while scan.cursor().server_version < end {
            let after = scan.cursor().server_version;
            let until = end.min(ServerVersion(after.0.saturating_add(PAGE_COUNT)));
            let page = store.entries(key, after, until, PAGE_LEN)?;
            if page.is_empty() {
                return Err(StorageError::Corrupt("the history ends before its head").into());
            }
            for entry in &page {
                sent_len = entry.cumulative_len;
                if !scan.push(entry) {
                    break 'pages;
                }
            }
        }
        Ok(Scanned::new(scan, &loaded, upload_cursor, sent_len))
    }
}
