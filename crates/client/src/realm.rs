//! The realm, as the application holds it.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bailiwick_protocol::version::OriginTimestamp;

use crate::history::local_commit;
use crate::local::{LocalError, LocalFile, Snapshot};
use crate::schema::Schema;
use crate::write::{Edits, WriteError, WriteTransaction};

/// A realm that is open. Clones are the same realm, which is open as long as one of them is there.
///
/// Nothing is refreshed behind anybody's back: what is read comes from a [`Snapshot`], one state of the realm that
/// stays as it is; what is written is one transaction, which is done as a whole or not at all.
#[derive(Clone)]
pub struct Realm {
    shared: Arc<Shared>,
}

struct Shared {
    file: Arc<LocalFile>,
    schema: Schema,
    clock: Clock,
    /// Who is writing through this realm.
    writing: Mutex<Option<ThreadId>>,
}

/// Tells when a transaction is written, which decides between it and those of other devices.
pub type Clock = Arc<dyn Fn() -> OriginTimestamp + Send + Sync>;

impl Realm {
    /// Opens a realm on a file, and declares the classes and fields that it does not have yet. Waits for the disk.
    ///
    /// # Errors
    ///
    /// [`WriteError::Schema`] if the realm has other classes than the application, [`WriteError::InvalidSchema`] if no
    /// device could have them, or a failure of the file.
    pub fn open(file: Arc<LocalFile>, schema: Schema) -> Result<Self, WriteError> {
        Self::with_clock(file, schema, Arc::new(system_time))
    }

    /// As [`open`](Self::open), with another clock than the system's.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn with_clock(
        file: Arc<LocalFile>,
        schema: Schema,
        clock: Clock,
    ) -> Result<Self, WriteError> {
        let writing = Mutex::new(None);
        let realm = Self { shared: Arc::new(Shared { file, schema, clock, writing }) };
        realm.write(|tx| tx.declare(&realm.shared.schema))?;
        Ok(realm)
    }

    /// Does a transaction: all that the closure does, or nothing if it returns an error or panics.
    ///
    /// Waits for other transactions, for what sync has to write, and for the disk, which is why it does not belong on
    /// the threads of an async runtime; see [`write_async`](Self::write_async). Readers are not held up, and do not
    /// hold it up. When it returns, the transaction is durable. A transaction without edits writes nothing.
    ///
    /// # Errors
    ///
    /// What the closure returns; [`WriteError::Local`] if the file fails; [`WriteError::Nested`] within another
    /// transaction of the same realm.
    pub fn write<R, E: From<WriteError>>(
        &self,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<R, E>,
    ) -> Result<R, E> {
        if self.is_writing() {
            return Err(WriteError::Nested.into());
        }
        let writer = self.shared.file.write();
        let _turn = Turn::begin(&self.shared.writing);
        let snapshot = writer.snapshot().map_err(WriteError::Local)?;
        let mut transaction = WriteTransaction::new(&snapshot);
        let result = edit(&mut transaction)?;
        let Edits { changeset, changes } = transaction.finish();
        if !changeset.is_empty() {
            let batch = local_commit(&snapshot, changes, changeset, (self.shared.clock)());
            writer.commit(&batch).map_err(WriteError::Local)?;
        }
        Ok(result)
    }

    /// As [`write`](Self::write), on a thread for such work.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write), or [`WriteError::ShutDown`].
    ///
    /// # Panics
    ///
    /// If the closure does, or outside of a Tokio runtime.
    pub async fn write_async<R, E>(
        &self,
        edit: impl FnOnce(&mut WriteTransaction<'_>) -> Result<R, E> + Send + 'static,
    ) -> Result<R, E>
    where
        R: Send + 'static,
        E: From<WriteError> + Send + 'static,
    {
        let realm = self.clone();
        match tokio::task::spawn_blocking(move || realm.write(edit)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(WriteError::ShutDown.into()),
            },
        }
    }

    /// The realm as it is now.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn snapshot(&self) -> Result<Snapshot, LocalError> {
        self.shared.file.snapshot()
    }

    /// The classes that the application has declared.
    pub fn schema(&self) -> &Schema {
        &self.shared.schema
    }

    /// The file.
    pub fn file(&self) -> &Arc<LocalFile> {
        &self.shared.file
    }

    fn is_writing(&self) -> bool {
        let writing = self.shared.writing.lock().unwrap_or_else(PoisonError::into_inner);
        *writing == Some(thread::current().id())
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

/// While this thread is writing.
struct Turn<'a>(&'a Mutex<Option<ThreadId>>);

impl<'a> Turn<'a> {
    fn begin(writing: &'a Mutex<Option<ThreadId>>) -> Self {
        *writing.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread::current().id());
        Self(writing)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Milliseconds since 2015, as origin timestamps are counted.
fn system_time() -> OriginTimestamp {
    const EPOCH: Duration = Duration::from_secs(1_420_070_400);
    let now = SystemTime::now().duration_since(UNIX_EPOCH + EPOCH).unwrap_or_default();
    OriginTimestamp(u64::try_from(now.as_millis()).unwrap_or(u64::MAX))
}
