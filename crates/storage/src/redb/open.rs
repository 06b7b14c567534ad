//! Opening a file, and why that may fail.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, StorageBackend, TableHandle as _,
};

use super::log::Log;
use super::snapshot::Snapshot;
use super::tables::Tables;
use super::{RedbStore, backend, flush, key};
use crate::store::StorageError;

/// The format that this version writes. It reads all before it, and makes their files its own: a version that knows
/// only an earlier one is to say so, and not to find a damaged file, or to overlook the log.
const FORMAT: u64 = 3;
/// The first format with a log.
const FORMAT_WITH_LOG: u64 = 3;

/// The file's name in [`RedbOptions::in_dir`].
const FILE_NAME: &str = "realms.redb";

/// Memory for pages, if nothing else is said: enough for the branches of a file of some 10 GB, which have
/// one page for about a hundred leaves, and little enough for a small machine.
const CACHE_LEN: usize = 128 << 20;

/// How long a log is, if nothing else is said: long enough that few pages of the database are written again and again,
/// and repeated within a fraction of a second.
const LOG_LEN: usize = 16 << 20;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct RedbOptions {
    cache_len: usize,
    log_len: usize,
    check: bool,
}

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Two programs would overwrite each other's pages.
    #[error("{path} is open in another process; stop that one or use another directory")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program has written it.
    #[error(
        "{path} has storage format {found} and this program knows format {FORMAT}; \
         use the version of the program that wrote it, or a newer one"
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: u64,
    },
    /// It is somebody else's.
    #[error("{path} is not a store of this program; use another directory, or move the file away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is not what was written, and can't be repaired.
    #[error(
        "{path} is damaged; restore it from a backup, then devices that were ahead of the backup \
         start again from its state"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is not the log that was written beside the store, whose latest commits are therefore missing.
    #[error(
        "{path} is missing, or belongs to another store; put back the one that was beside the store, \
         or restore both from the same backup"
    )]
    Unpaired {
        /// The log.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{path} can't be opened; check that the directory can be written and has space left")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self { cache_len: CACHE_LEN, log_len: LOG_LEN, check: false }
    }
}

impl RedbOptions {
    /// How much memory pages may occupy, in bytes; 128 MiB unless told.
    #[must_use]
    pub fn cache_len(self, bytes: usize) -> Self {
        Self { cache_len: bytes, ..self }
    }

    /// How long the log of a new store is, in bytes; 16 MiB unless told, and never less than 8 KiB. With a longer one
    /// there are fewer checkpoints, and less is written in all; but opening after a crash repeats all of it, and what it
    /// holds is kept in memory. The log of an existing store keeps its length.
    #[must_use]
    pub fn log_len(self, bytes: usize) -> Self {
        Self { log_len: bytes, ..self }
    }

    /// Reads the whole database and checks all its checksums when it is opened. Without this, a file that
    /// something else has altered may be found damaged later.
    #[must_use]
    pub fn check(self) -> Self {
        Self { check: true, ..self }
    }

    /// Opens or makes the store of this directory; makes the directory too.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if the directory can't be made.
    pub fn in_dir(&self, dir: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let dir = dir.as_ref();
        make_private_dir(dir).map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        self.open(dir.join(FILE_NAME))
    }

    /// Opens or makes a store in this file, and its log beside it, under the same name with `.log` at the end.
    ///
    /// # Errors
    ///
    /// Why a file can't be used, and what to do about it.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let path = path.as_ref();
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        if !path.try_exists().map_err(io)? {
            self.make(path)?;
        }
        let database = self.builder().create(path).map_err(|error| Fault::new(error).at(path))?;
        let mut log_path = path.as_os_str().to_owned();
        log_path.push(".log");
        let log_path = Path::new(&log_path);
        self.start(database, path, log_path, |is_new| {
            let mut options = fs::OpenOptions::new();
            let file = options.read(true).write(true).create(is_new).truncate(false);
            let file = match file.open(log_path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Fault::Unpaired)?,
                file => file?,
            };
            if is_new {
                sync_parent(log_path)?;
            }
            Ok(Box::new(FileBackend::new(file)?))
        })
    }

    /// Opens or makes a store on anything that behaves as two files, one for the database and one for its log; the
    /// seam for faults. What was not made to its end is made anew.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on_backends(
        &self,
        database: impl StorageBackend,
        log: impl StorageBackend,
    ) -> Result<RedbStore, OpenError> {
        let (path, log_path) = (Path::new("(no file)"), Path::new("(no log file)"));
        let database = forget_half_made(&database)
            .map_err(Fault::Io)
            .and_then(|()| Ok(self.builder().create_with_backend(database)?))
            .map_err(|fault| fault.at(path))?;
        self.start(database, path, log_path, |_| Ok(Box::new(log)))
    }

    /// Makes an empty database under another name first: a crash halfway leaves nothing at `path`.
    fn make(&self, path: &Path) -> Result<(), OpenError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".new.{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let io = |source| OpenError::Io { path: draft.clone(), source };
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => (),
        }
        drop(self.builder().create(&draft).map_err(|error| Fault::new(error).at(&draft))?);
        // Unlike renaming, linking never replaces a store that another process has made meanwhile.
        match fs::hard_link(&draft, path) {
            Ok(()) => fs::remove_file(&draft).map_err(io)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                fs::remove_file(&draft).map_err(io)?;
            }
            // Not every file system has links.
            Err(_) => fs::rename(&draft, path).map_err(io)?,
        }
        sync_parent(path).map_err(io)
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_len);
        builder.set_check_integrity_on_open(self.check);
        builder
    }

    /// Brings database and log together; `open_log` opens the log's file, and may make it if it is told `true`.
    fn start(
        &self,
        database: Database,
        path: &Path,
        log_path: &Path,
        open_log: impl FnOnce(bool) -> Result<Box<dyn StorageBackend>, Fault>,
    ) -> Result<RedbStore, OpenError> {
        let paired = find_log(&database).map_err(|fault| fault.at(path))?;
        let log = open_log(paired.is_none()).and_then(|file| match paired {
            Some(Paired { id, until }) => recover(&database, file, id, until),
            None => Log::make(file, self.log_len),
        });
        let log = log.map_err(|fault| fault.at(log_path))?;
        if paired.is_none() {
            pair(&database, &log).map_err(|error| Fault::of_storage(error).at(path))?;
        }
        let base = database.begin_read().map_err(|error| Fault::new(error).at(path))?;
        Ok(RedbStore {
            snapshot: RwLock::new(Snapshot::new(base)),
            database,
            log: Mutex::new(log),
            checkpointing: Mutex::new(()),
            is_due: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
        })
    }
}

/// What a database knows of its log.
#[derive(Clone, Copy)]
struct Paired {
    id: u64,
    /// The last record that it holds.
    until: u64,
}

/// Checks the format; `None` if the database was just made or is from before there were logs.
fn find_log(database: &Database) -> Result<Option<Paired>, Fault> {
    let reading = database.begin_read().map_err(Fault::new)?;
    let mut has_tables = false;
    let mut has_meta = false;
    for table in reading.list_tables().map_err(Fault::new)? {
        has_tables = true;
        has_meta |= table.name() == key::META.definition.name();
    }
    if !has_tables {
        return Ok(None);
    }
    if !has_meta {
        return Err(Fault::Foreign);
    }
    let meta = reading.open_table(key::META.definition).map_err(|_| Fault::Foreign)?;
    let number = |name| {
        let number = meta.get(name).map_err(Fault::new)?;
        Ok::<_, Fault>(number.map(|number| number.value()))
    };
    match number(key::FORMAT)?.ok_or(Fault::Foreign)? {
        1..FORMAT_WITH_LOG => Ok(None),
        FORMAT_WITH_LOG..=FORMAT => {
            let missing = || Fault::of_storage(StorageError::Corrupt("what it says of its log"));
            let (id, until) = (number(key::LOG)?, number(key::LOG_UNTIL)?);
            Ok(Some(Paired { id: id.ok_or_else(missing)?, until: until.ok_or_else(missing)? }))
        }
        found => Err(Fault::UnknownFormat(found)),
    }
}

/// Makes all changes again that only the log knows.
fn recover(
    database: &Database,
    file: Box<dyn StorageBackend>,
    id: u64,
    until: u64,
) -> Result<Log, Fault> {
    let transaction = database.begin_write().map_err(Fault::new)?;
    let mut tables = Tables::open(&transaction).map_err(Fault::of_storage)?;
    let log = Log::open(file, id, until, |changes| tables.repeat(changes))?;
    drop(tables);
    let last = log.mark().number;
    if last > until {
        flush(transaction, last).map_err(Fault::of_storage)?;
    } else {
        transaction.abort().map_err(Fault::new)?;
    }
    Ok(log)
}

/// Makes a log the one of this database, and the database one of this format.
fn pair(database: &Database, log: &Log) -> Result<(), StorageError> {
    let transaction = database.begin_write().map_err(backend)?;
    drop(Tables::open(&transaction)?);
    let mut meta = transaction.open_table(key::META.definition).map_err(backend)?;
    for (name, number) in [(key::FORMAT, FORMAT), (key::LOG, log.id())] {
        meta.insert(name, number).map_err(backend)?;
    }
    drop(meta);
    flush(transaction, log.mark().number)
}

/// An [`OpenError`] without the path.
#[derive(Debug)]
pub(super) enum Fault {
    Locked,
    UnknownFormat(u64),
    Foreign,
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    Unpaired,
    Io(io::Error),
}

impl Fault {
    fn new(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => Self::Locked,
            redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => Self::Foreign,
            redb::Error::Io(error) => Self::Io(error),
            error => Self::Damaged(error.into()),
        }
    }

    pub(super) fn of_storage(error: StorageError) -> Self {
        match error {
            StorageError::Backend(source) => match source.downcast::<redb::Error>() {
                Ok(error) => Self::new(*error),
                Err(source) => Self::Damaged(source),
            },
            error => Self::Damaged(error.into()),
        }
    }

    fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Locked => OpenError::Locked { path },
            Self::UnknownFormat(found) => OpenError::UnknownFormat { path, found },
            Self::Foreign => OpenError::Foreign { path },
            Self::Damaged(source) => OpenError::Damaged { path, source },
            Self::Unpaired => OpenError::Unpaired { path },
            Self::Io(source) => OpenError::Io { path, source },
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::new(error)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Empties a file that redb has begun to make: it writes what tells its files from others last.
fn forget_half_made(file: &impl StorageBackend) -> io::Result<()> {
    let mut start = [0; 9];
    let len = usize::try_from(file.len()?).unwrap_or(start.len()).min(start.len());
    file.read(0, &mut start[..len])?;
    if len > 0 && start == [0; 9] { file.set_len(0) } else { Ok(()) }
}

/// Makes the file's name durable; redb looks after its contents only.
fn sync_parent(path: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        fs::File::open(parent)?.sync_all()?;
    }
    Ok(())
}

/// Makes a directory that only its owner can enter: the key that signs tokens is kept there. One that exists
/// stays as it is.
fn make_private_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}
