//! The file: opening it, its one writer.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};

use bailiwick_core::EncodingError;
use bailiwick_protocol::version::ClientVersion;
use redb::{Database, ReadableDatabase as _};
use tokio::sync::broadcast;

use super::batch::{Batch, Committed};
use super::classes::ClassCache;
use super::fault::Fault;
use super::options::Owner;
use super::record;
use super::snapshot::Snapshot;
use super::state::{FileState, HistoryEntry};
use super::tables::{self, META, OWNER};

/// News of commits that a slow observer may be behind.
const NEWS_CAPACITY: usize = 256;

/// The file of one realm.
#[derive(Debug)]
pub struct LocalFile {
    database: Database,
    writer: Mutex<()>,
    /// The thread whose turn it is.
    writing: Mutex<Option<ThreadId>>,
    classes: ClassCache,
    news: broadcast::Sender<Arc<Committed>>,
    /// A write failed, so that what the file holds is unknown.
    stopped: AtomicBool,
}

/// Why a file cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LocalError {
    /// The disk or the file system.
    #[error("the realm's file cannot be read or written")]
    Storage(#[source] Box<redb::Error>),
    /// What was read is not what was written.
    #[error("the realm's file is damaged")]
    Damaged(#[from] EncodingError),
    /// The file was closed while a snapshot of it was kept.
    #[error("the realm was closed")]
    Closed,
    /// A write failed before; only opening the file again can tell what it holds.
    #[error("an earlier write to the realm's file failed; open the realm again")]
    Stopped,
}

/// The right to write, which one at a time has.
#[derive(Debug)]
pub struct Writer<'a> {
    file: &'a LocalFile,
    _turn: MutexGuard<'a, ()>,
}

impl LocalFile {
    /// Fills an empty database.
    pub(super) fn make(database: Database, owner: &Owner) -> Result<Self, Fault> {
        let writing = database.begin_write().map_err(storage)?;
        tables::create(&writing, owner)?;
        writing.commit().map_err(storage)?;
        Ok(Self::new(database))
    }

    /// Takes a database that [`make`](Self::make) has filled, and reads enough of it to say so.
    pub(super) fn start(database: Database, owner: &Owner) -> Result<Self, Fault> {
        let reading = database.begin_read().map_err(storage)?;
        let meta = reading.open_table(META).map_err(storage)?;
        let found = tables::get(&meta, OWNER, record::decode_owner)?;
        drop((meta, reading));
        let parts = [
            ("app", found.app_id, &owner.app_id),
            ("user", found.user_id, &owner.user_id),
            ("partition", found.partition, &owner.partition),
        ];
        for (part, found, expected) in parts {
            if found != *expected {
                return Err(Fault::Owner { part, found });
            }
        }
        let file = Self::new(database);
        file.snapshot()?;
        Ok(file)
    }

    fn new(database: Database) -> Self {
        let (news, _) = broadcast::channel(NEWS_CAPACITY);
        Self {
            database,
            writer: Mutex::default(),
            writing: Mutex::default(),
            classes: ClassCache::default(),
            news,
            stopped: AtomicBool::default(),
        }
    }

    /// What the latest commit has left. It stays as it is, whatever is committed meanwhile.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn snapshot(&self) -> Result<Snapshot, LocalError> {
        self.check_running()?;
        Snapshot::new(&self.database.begin_read().map_err(storage)?, &self.classes)
    }

    /// Waits for other writers.
    pub fn write(&self) -> Writer<'_> {
        // What a panicking writer had in mind was not committed.
        let turn = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        *self.writing() = Some(thread::current().id());
        Writer { file: self, _turn: turn }
    }

    /// Whether this thread is the writer, and would wait for itself if it wrote.
    pub fn is_writing(&self) -> bool {
        *self.writing() == Some(thread::current().id())
    }

    /// News of commits from now on.
    pub fn news(&self) -> broadcast::Receiver<Arc<Committed>> {
        self.news.subscribe()
    }

    fn writing(&self) -> MutexGuard<'_, Option<ThreadId>> {
        self.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_running(&self) -> Result<(), LocalError> {
        if self.stopped.load(Ordering::Acquire) { Err(LocalError::Stopped) } else { Ok(()) }
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        *self.file.writing() = None;
    }
}

impl Writer<'_> {
    /// What the latest commit has left; nobody else commits until this writer is gone.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn snapshot(&self) -> Result<Snapshot, LocalError> {
        self.file.snapshot()
    }

    /// Makes a batch durable, then tells observers.
    ///
    /// # Errors
    ///
    /// See [`LocalError`]. After a failure the file takes nothing more, since nobody knows what it holds.
    pub fn commit(&self, batch: &Batch) -> Result<ClientVersion, LocalError> {
        self.file.check_running()?;
        let before = self.write(batch).inspect_err(|_| {
            self.file.stopped.store(true, Ordering::Release);
        })?;
        let news = Committed {
            version: batch.state.version,
            origin: batch.origin,
            rows: batch.changes.objects.iter().map(|(row, _)| row.clone()).collect(),
            schema_changed: batch.changes.schema.is_some(),
            uploadable: batch
                .append
                .iter()
                .any(HistoryEntry::is_uploadable)
                .then_some(batch.state.bytes.uploadable),
        };
        if news.version > before.version {
            // Nobody may be listening.
            let _ = self.file.news.send(Arc::new(news));
        }
        Ok(batch.state.version)
    }

    /// Without redb's "quick repair", which would write with each commit what else is found by reading the file
    /// after a crash: measured with 100,000 objects, a small commit takes 0.4 instead of 0.7 ms, and the first
    /// opening after a crash 90 instead of 30 ms.
    fn write(&self, batch: &Batch) -> Result<FileState, LocalError> {
        let mut writing = self.file.database.begin_write().map_err(storage)?;
        writing.set_durability(redb::Durability::Immediate).map_err(storage)?;
        let before = tables::write(&writing, batch, &self.file.classes)?;
        writing.commit().map_err(storage)?;
        Ok(before)
    }
}

pub(super) fn storage(error: impl Into<redb::Error>) -> LocalError {
    match error.into() {
        redb::Error::DatabaseClosed => LocalError::Closed,
        redb::Error::PreviousIo => LocalError::Stopped,
        error => LocalError::Storage(Box::new(error)),
    }
}
