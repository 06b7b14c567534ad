//! The realm, as the application holds it.
//!
//! ```
//! use bailiwick_client::realm::Realm;
//! use bailiwick_client::schema::{Class, PropertyType, Schema};
//! use bailiwick_client::write::WriteError;
//!
//! let dog = Class::new("Dog").primary_key("_id", PropertyType::Int);
//! let dog = dog.property("name", PropertyType::String).list("tags", PropertyType::String);
//! let realm = Realm::in_memory(Schema::new().class(dog))?;
//! realm.write(|tx| {
//!     tx.create("Dog", 1)?.set("name", "Rex")?.list("tags")?.push("good")?;
//!     // Nothing is done of an edit that cannot be; what follows from that is up to the application.
//!     let error = tx.object("Dog", 1)?.list("tags")?.push(2).unwrap_err();
//!     assert_eq!(error.to_string(), "Dog[1].tags[1]: the value should be of type string, not int");
//!     Ok::<_, WriteError>(())
//! })?;
//! # Ok::<(), WriteError>(())
//! ```

use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use bailiwick_protocol::version::{ClientVersion, OriginTimestamp};

use crate::clock::origin_timestamp;
use crate::history::local_commit;
use crate::local::{Batch, LocalError, LocalFile, OpenError, OpenOptions, Snapshot};
use crate::schema::Schema;
use crate::transport::SyncHandle;
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
    sync: Option<Attachment>,
    record: Record,
    file: Arc<LocalFile>,
    schema: Schema,
    clock: Clock,
}

/// What keeps a realm in step with a server, for as long as the realm is open.
struct Attachment {
    handle: SyncHandle,
    /// What the sync needs, such as its user.
    _owner: Arc<dyn Any + Send + Sync>,
}

/// What is kept of a transaction besides what it did to the objects.
#[derive(Clone, Copy)]
enum Record {
    /// Its changeset, for a server.
    Changeset,
    /// Nothing, since there never will be a server.
    Nothing,
}

/// Why a realm without a server cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenLocalError {
    /// The file.
    #[error(transparent)]
    File(#[from] OpenError),
    /// The realm has other classes than the application, or the file fails.
    #[error(transparent)]
    Schema(#[from] WriteError),
}

/// Tells when a transaction is written, which decides between it and those of other devices.
pub type Clock = Arc<dyn Fn() -> OriginTimestamp + Send + Sync>;

impl Realm {
    /// Opens a realm that no server knows of, or makes one, and declares the classes and fields that it does not have
    /// yet. It cannot become the realm of a server later; whose it would be is not looked at in `options`. Waits for
    /// the disk.
    ///
    /// # Errors
    ///
    /// See [`OpenLocalError`].
    pub fn open_local(
        path: impl AsRef<Path>,
        options: &OpenOptions,
        schema: Schema,
    ) -> Result<Self, OpenLocalError> {
        let file = LocalFile::open(path.as_ref(), &options.clone().of_nobody())?;
        Ok(Self::local(file, schema)?)
    }

    /// Makes a realm that no server knows of and that is gone when it is closed, as tests of applications want it.
    ///
    /// # Errors
    ///
    /// [`WriteError::InvalidSchema`] if no device could have such classes.
    pub fn in_memory(schema: Schema) -> Result<Self, WriteError> {
        Self::local(LocalFile::in_memory(), schema)
    }

    fn local(file: LocalFile, schema: Schema) -> Result<Self, WriteError> {
        let clock: Clock = Arc::new(origin_timestamp);
        Self::assemble(Arc::new(file), schema, clock, None, Record::Nothing)
    }

    /// Opens a realm on a file, and declares the classes and fields that it does not have yet. Waits for the disk.
    ///
    /// What is written is kept for a server, but nothing syncs by itself: that is for programs with a driver of their
    /// own, such as simulations. Applications want [`User::open`](crate::app::User::open).
    ///
    /// # Errors
    ///
    /// [`WriteError::Schema`] if the realm has other classes than the application, [`WriteError::InvalidSchema`] if no
    /// device could have them, or a failure of the file.
    pub fn open(file: Arc<LocalFile>, schema: Schema) -> Result<Self, WriteError> {
        Self::with_clock(file, schema, Arc::new(origin_timestamp))
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
        Self::assemble(file, schema, clock, None, Record::Changeset)
    }

    /// As [`open`](Self::open), for a file that is being synced. `owner` is dropped with the last clone.
    pub(crate) fn synced(
        file: Arc<LocalFile>,
        schema: Schema,
        handle: SyncHandle,
        owner: Arc<dyn Any + Send + Sync>,
    ) -> Result<Self, WriteError> {
        let sync = Attachment { handle, _owner: owner };
        let clock: Clock = Arc::new(origin_timestamp);
        Self::assemble(file, schema, clock, Some(sync), Record::Changeset)
    }

    fn assemble(
        file: Arc<LocalFile>,
        schema: Schema,
        clock: Clock,
        sync: Option<Attachment>,
        record: Record,
    ) -> Result<Self, WriteError> {
        let shared = Shared { sync, record, file, schema, clock };
        let realm = Self { shared: Arc::new(shared) };
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
        if self.shared.file.is_writing() {
            return Err(WriteError::Nested.into());
        }
        let writer = self.shared.file.write();
        let snapshot = writer.snapshot().map_err(WriteError::Local)?;
        let mut transaction = WriteTransaction::new(&snapshot);
        let result = edit(&mut transaction)?;
        let edits = transaction.finish();
        if !edits.changeset.is_empty() {
            writer.commit(&self.batch(&snapshot, edits)).map_err(WriteError::Local)?;
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

    /// The realm as it is now, as it is stored.
    ///
    /// # Errors
    ///
    /// See [`LocalError`].
    pub fn snapshot(&self) -> Result<Snapshot, LocalError> {
        self.shared.file.snapshot()
    }

    /// What keeps the realm in step with the server: waiting, pausing, progress and errors. `None` for a realm that was
    /// opened without a server.
    ///
    /// It ends with the last clone of the realm or of the handle.
    pub fn sync(&self) -> Option<&SyncHandle> {
        self.shared.sync.as_ref().map(|sync| &sync.handle)
    }

    /// The classes that the application has declared.
    pub fn schema(&self) -> &Schema {
        &self.shared.schema
    }

    /// Gives the realm's file up, as after a client reset that could not be made: when the realm is opened the next
    /// time, the file is moved aside, with all that was not uploaded, and the realm is downloaded anew. The
    /// name of the file that is kept is the old one with `.given-up-` and a time behind it.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub fn give_up(&self) -> Result<(), LocalError> {
        let writer = self.shared.file.write();
        writer.commit(&crate::reset::give_up(&writer.snapshot()?, (self.shared.clock)())).map(drop)
    }

    /// The file.
    pub fn file(&self) -> &Arc<LocalFile> {
        &self.shared.file
    }

    fn batch(&self, snapshot: &Snapshot, edits: Edits) -> Batch {
        let Edits { changeset, changes } = edits;
        match self.shared.record {
            Record::Changeset => local_commit(snapshot, changes, changeset, (self.shared.clock)()),
            Record::Nothing => {
                let mut state = snapshot.state().clone();
                state.version = ClientVersion(state.version.0 + 1);
                Batch { changes, state, ..Batch::default() }
            }
        }
    }
}

impl fmt::Debug for Realm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realm").field("file", &self.shared.file).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
