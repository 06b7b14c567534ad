//! Opening the files of a store, or making them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, RwLock};

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase as _, StorageBackend};

use super::RedbStore;
use super::error::{Cause, OpenError, or_damaged};
use super::log::Log;
use super::recovery::{find_log, pair, recover};
use super::snapshot::Snapshot;

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
    log_id: Option<u64>,
    check: bool,
    existing_only: bool,
}

impl Default for RedbOptions {
    fn default() -> Self {
        Self {
            cache_len: CACHE_LEN,
            log_len: LOG_LEN,
            log_id: None,
            check: false,
            existing_only: false,
        }
    }
}

impl RedbOptions {
    /// How much memory pages may occupy, in bytes; 128 MiB unless told.
    #[must_use]
    pub fn cache_len(self, bytes: usize) -> Self {
        Self { cache_len: bytes, ..self }
    }

    /// How long the log of a new store is, in bytes; 16 MiB unless told, and never less than 8 KiB. With a longer one
    /// there are fewer checkpoints, and less is written in all; but every opening reads all of it, after a crash it is
    /// repeated as well, and what it holds is kept in memory. The log of an existing store keeps its length.
    #[must_use]
    pub fn log_len(self, bytes: usize) -> Self {
        Self { log_len: bytes, ..self }
    }

    /// What tells the log of a new store from those of all others; random unless told. For stores that are to have the
    /// same bytes each time, as in a simulation.
    #[must_use]
    pub fn log_id(self, id: u64) -> Self {
        Self { log_id: Some(id), ..self }
    }

    /// Reads the whole database and checks all its checksums when it is opened. Without this, a file that
    /// something else has altered may be found damaged later.
    #[must_use]
    pub fn check(self) -> Self {
        Self { check: true, ..self }
    }

    /// Makes no store where there is none: [`OpenError::Missing`].
    #[must_use]
    pub fn existing_only(self) -> Self {
        Self { existing_only: true, ..self }
    }

    /// Opens or makes the store of this directory; makes the directory too.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and if the directory can't be made.
    pub fn in_dir(&self, dir: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let dir = dir.as_ref();
        if !self.existing_only {
            make_private_dir(dir)
                .map_err(|source| OpenError::Io { path: dir.to_owned(), source })?;
        }
        self.open(dir.join(FILE_NAME))
    }

    /// Opens or makes a store in this file, and its log beside it, under the same name with `.log` at the end.
    ///
    /// # Errors
    ///
    /// Why a file can't be used, and what to do about it.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let path = path.as_ref();
        or_damaged(path, || self.open_files(path))
    }

    fn open_files(&self, path: &Path) -> Result<RedbStore, OpenError> {
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        if !path.try_exists().map_err(io)? {
            if self.existing_only {
                return Err(OpenError::Missing { path: path.to_owned() });
            }
            self.make(path)?;
        }
        let database = self.builder().create(path).map_err(|error| Cause::new(error).at(path))?;
        let mut log_path = path.as_os_str().to_owned();
        log_path.push(".log");
        let log_path = Path::new(&log_path);
        self.start(database, path, log_path, |is_new| {
            let mut options = fs::OpenOptions::new();
            let file = options.read(true).write(true).create(is_new).truncate(false);
            let file = match file.open(log_path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Cause::Unpaired)?,
                file => file?,
            };
            if is_new {
                sync_parent(log_path)?;
            }
            Ok(Box::new(FileBackend::new(file).map_err(Cause::new)?))
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
        or_damaged(path, || {
            let database = forget_half_made(&database)
                .map_err(Cause::Io)
                .and_then(|()| self.builder().create_with_backend(database).map_err(Cause::new))
                .map_err(|cause| cause.at(path))?;
            self.start(database, path, log_path, |_| Ok(Box::new(log)))
        })
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
        drop(self.builder().create(&draft).map_err(|error| Cause::new(error).at(&draft))?);
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
        open_log: impl FnOnce(bool) -> Result<Box<dyn StorageBackend>, Cause>,
    ) -> Result<RedbStore, OpenError> {
        let paired = find_log(&database).map_err(|cause| cause.at(path))?;
        let file = open_log(paired.is_none()).map_err(|cause| cause.at(log_path))?;
        let log = if let Some(paired) = paired {
            recover((&database, path), (file, log_path), paired)?
        } else {
            let id = self.log_id.map_or_else(getrandom::u64, Ok).map_err(io::Error::other);
            let log = id.map_err(Cause::Io).and_then(|id| Log::make(file, self.log_len, id));
            let log = log.map_err(|cause| cause.at(log_path))?;
            pair(&database, &log).map_err(|error| Cause::of_storage(error).at(path))?;
            log
        };
        let base = database.begin_read().map_err(|error| Cause::new(error).at(path))?;
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
    let is_new = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let made: Vec<_> = dir.ancestors().take_while(is_new).collect();
    builder.create(dir)?;
    made.into_iter().try_for_each(sync_parent)
}
