//! Opening a file, and why that may fail.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::{FileBackend, InMemoryBackend};

use super::file::LocalFile;

/// The format that this version reads and writes.
pub(super) const FORMAT: u32 = 1;

/// Memory for pages, if nothing else is said.
const CACHE_LEN: usize = 16 << 20;

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(super) owner: Owner,
    pub(super) key: Option<EncryptionKey>,
    pub(super) cache_len: usize,
}

/// Whose realm a file holds. Kept in the file and compared when it is opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The app.
    pub app_id: String,
    /// The user.
    pub user_id: String,
    /// The partition value, as Extended JSON text.
    pub partition: String,
}

/// What a file is encrypted with: 64 bytes that only the application knows.
#[derive(Clone, PartialEq, Eq)]
pub struct EncryptionKey([u8; 64]);

/// Why a file could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// Two of them would overwrite each other's pages.
    #[error("{path} is open already, here or in another process; close it there first")]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this library has written it.
    #[error(
        "{path} has file format {found} and this program knows format {FORMAT}; \
         use the version of the program that wrote it, or a newer one"
    )]
    FutureFormat {
        /// The file.
        path: PathBuf,
        /// The format that it says it has.
        found: u32,
    },
    /// It is somebody else's.
    #[error("{path} is not a realm file of this library; use another path, or move the file away")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is not what was written.
    #[error(
        "{path} is damaged; move it away and open the realm again, which downloads what the server has, \
         without changes that were not uploaded"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It was encrypted with another key.
    #[error("{path} is encrypted with another key; open it with the key that it was made with")]
    WrongKey {
        /// The file.
        path: PathBuf,
    },
    /// A key was given and the file needs none.
    #[error(
        "{path} is not encrypted; open it without a key, or move it away to begin an encrypted one"
    )]
    NotEncrypted {
        /// The file.
        path: PathBuf,
    },
    /// No key was given.
    #[error("{path} is encrypted; open it with the key that it was made with")]
    KeyNeeded {
        /// The file.
        path: PathBuf,
    },
    /// It holds another realm.
    #[error("{path} belongs to another {what}, {found:?}; use a path of its own for each realm")]
    Owner {
        /// The file.
        path: PathBuf,
        /// What differs: app, user or partition.
        what: &'static str,
        /// What the file says there.
        found: String,
    },
    /// The file system refused.
    #[error("{path} can't be opened; check that its directory can be written and has space left")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

impl LocalFile {
    /// Opens or makes the file at `path`.
    ///
    /// # Errors
    ///
    /// Why the file can't be used, and what to do about it.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        let io = |source| OpenError::Io { path: path.to_owned(), source };
        let file = std::fs::OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        let backend = FileBackend::new(file).map_err(|error| io(io::Error::other(error)))?;
        Self::start_on(path, backend, options)
    }

    /// A file that is gone when it is dropped, for tests and for programs that keep nothing.
    pub fn in_memory() -> Self {
        let options = OpenOptions::new(Owner::default());
        Self::on_backend(InMemoryBackend::new(), &options).expect("memory does not fail")
    }

    /// Opens or makes a file on anything that behaves as one; the seam for faults.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on_backend(
        backend: impl StorageBackend,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        Self::start_on(Path::new("(no file)"), backend, options)
    }

    fn start_on(
        path: &Path,
        backend: impl StorageBackend,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let damaged = |source| OpenError::Damaged { path: path.to_owned(), source };
        let database = redb::Builder::new()
            .set_cache_size(options.cache_len)
            .create_with_backend(backend)
            .map_err(|error| damaged(error.into()))?;
        Self::start(database).map_err(|error| damaged(error.into()))
    }
}

impl OpenOptions {
    /// The usual options.
    pub fn new(owner: Owner) -> Self {
        Self { owner, key: None, cache_len: CACHE_LEN }
    }

    /// The file is encrypted, or is to be if it does not exist.
    #[must_use]
    pub fn encryption_key(self, key: EncryptionKey) -> Self {
        Self { key: Some(key), ..self }
    }

    /// How much memory pages may occupy, in bytes; 16 MiB unless told.
    #[must_use]
    pub fn cache_len(self, bytes: usize) -> Self {
        Self { cache_len: bytes, ..self }
    }
}

impl EncryptionKey {
    /// Takes 64 random bytes.
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }
}

/// Keys do not belong in logs.
impl fmt::Debug for EncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EncryptionKey(..)")
    }
}
