//! Opening a file, and why that may fail.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase as _, StorageBackend, TableHandle as _,
};

use super::batch::Tables;
use super::{RedbStore, key};

/// The format that this version writes. It reads all before it, and makes their files its own: a version that knows
/// only an earlier one is to say so, and not to find a damaged file.
const FORMAT: u64 = 2;

/// The file's name in [`RedbOptions::in_dir`].
const FILE_NAME: &str = "realms.redb";

/// Memory for pages, if nothing else is said: enough for the branches of a file of some 10 GB, which have
/// one page for about a hundred leaves, and little enough for a small machine.
const CACHE_LEN: usize = 128 << 20;

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct RedbOptions {
    cache_len: usize,
    repair: Repair,
    check: bool,
}

/// What commits do for the first opening after a crash. A store that was closed opens at once either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Repair {
    /// Each batch also writes which pages are free, some 140 KiB for a file of 1 GiB, and flushes twice:
    /// a small one takes about twice as long, a large one hardly longer. Opening takes milliseconds.
    #[default]
    Quick,
    /// Each batch flushes once. Opening after a crash reads the whole file, in some seconds for each GiB.
    Thorough,
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
        /// What redb found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
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
        Self { cache_len: CACHE_LEN, repair: Repair::default(), check: false }
    }
}

impl RedbOptions {
    /// How much memory pages may occupy, in bytes; 128 MiB unless told.
    #[must_use]
    pub fn cache_len(self, bytes: usize) -> Self {
        Self { cache_len: bytes, ..self }
    }

    /// What commits do for the first opening after a crash; [`Repair::Quick`] unless told.
    #[must_use]
    pub fn repair(self, repair: Repair) -> Self {
        Self { repair, ..self }
    }

    /// Reads the whole file and checks all its checksums when it is opened. Without this, a file that
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

    /// Opens or makes a store in this file.
    ///
    /// # Errors
    ///
    /// Why the file can't be used, and what to do about it.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<RedbStore, OpenError> {
        let path = path.as_ref();
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        if !path.try_exists().map_err(io)? {
            self.make(path)?;
        }
        self.open_existing(path)
    }

    /// Opens or makes a store on anything that behaves as a file; the seam for faults. What was not made to
    /// its end is made anew.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on_backend(&self, backend: impl StorageBackend) -> Result<RedbStore, OpenError> {
        forget_half_made(&backend)
            .map_err(Fault::Io)
            .and_then(|()| Ok(self.builder().create_with_backend(backend)?))
            .and_then(|database| self.start(database))
            .map_err(|fault| fault.at(Path::new("(no file)")))
    }

    /// Makes an empty store under another name first: a crash halfway leaves nothing at `path`.
    fn make(&self, path: &Path) -> Result<(), OpenError> {
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".new.{}", std::process::id()));
        let draft = PathBuf::from(draft);
        let io = |source| OpenError::Io { path: draft.clone(), source };
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
            _ => (),
        }
        drop(self.open_existing(&draft)?);
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

    fn open_existing(&self, path: &Path) -> Result<RedbStore, OpenError> {
        self.builder()
            .create(path)
            .map_err(Fault::from)
            .and_then(|database| self.start(database))
            .map_err(|fault| fault.at(path))
    }

    fn builder(&self) -> Builder {
        let mut builder = Builder::new();
        builder.set_cache_size(self.cache_len);
        builder.set_check_integrity_on_open(self.check);
        builder
    }

    /// Checks the format, or writes it into a file that was just made or has an earlier one.
    fn start(&self, database: Database) -> Result<RedbStore, Fault> {
        let reading = database.begin_read().map_err(Fault::new)?;
        let mut has_tables = false;
        let mut has_meta = false;
        let mut is_current = false;
        for table in reading.list_tables().map_err(Fault::new)? {
            has_tables = true;
            has_meta |= table.name() == key::META.name();
        }
        if has_meta {
            let meta = reading.open_table(key::META).map_err(|_| Fault::Foreign)?;
            match meta.get(key::FORMAT).map_err(Fault::new)?.map(|format| format.value()) {
                Some(found @ 1..=FORMAT) => is_current = found == FORMAT,
                Some(found) => return Err(Fault::UnknownFormat(found)),
                None => return Err(Fault::Foreign),
            }
        } else if has_tables {
            return Err(Fault::Foreign);
        }
        drop(reading);
        if !is_current {
            let writing = database.begin_write().map_err(Fault::new)?;
            {
                let mut tables =
                    Tables::open(&writing).map_err(|error| Fault::Damaged(error.into()))?;
                tables.meta.insert(key::FORMAT, FORMAT).map_err(Fault::new)?;
            }
            writing.commit().map_err(Fault::new)?;
        }
        Ok(RedbStore { database, repair: self.repair, stopped: AtomicBool::new(false) })
    }
}

/// An [`OpenError`] without the path.
enum Fault {
    Locked,
    UnknownFormat(u64),
    Foreign,
    Damaged(Box<dyn std::error::Error + Send + Sync>),
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

    fn at(self, path: &Path) -> OpenError {
        let path = path.to_owned();
        match self {
            Self::Locked => OpenError::Locked { path },
            Self::UnknownFormat(found) => OpenError::UnknownFormat { path, found },
            Self::Foreign => OpenError::Foreign { path },
            Self::Damaged(source) => OpenError::Damaged { path, source },
            Self::Io(source) => OpenError::Io { path, source },
        }
    }
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::new(error)
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
