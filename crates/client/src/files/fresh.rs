//! Where the fresh copy is that a client reset downloads.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::local::{LocalFile, OpenError, OpenOptions};

/// Opens and removes the fresh copy of a realm. A copy outlives the process, so that an interrupted download goes on.
pub trait FreshFile: Debug + Send + Sync {
    /// Opens the copy; makes one if there is none. It is not open.
    ///
    /// # Errors
    ///
    /// It can't be opened.
    fn open(&self) -> Result<Arc<LocalFile>, FreshError>;

    /// Removes the copy, if there is one. It is not open.
    ///
    /// # Errors
    ///
    /// It can't be removed.
    fn remove(&self) -> Result<(), FreshError>;
}

/// Why there is no fresh copy, or still one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreshError {
    /// It can't be opened.
    #[error("the fresh copy of the realm can't be opened")]
    Open(#[from] OpenError),
    /// It can't be removed.
    #[error("{path} can't be removed")]
    Remove {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        #[source]
        source: io::Error,
    },
}

/// A fresh copy beside the main file.
#[derive(Debug)]
pub struct FreshOnDisk {
    path: PathBuf,
    options: OpenOptions,
}

impl FreshOnDisk {
    /// The copy for the main file at `main`, which is opened with the same options.
    pub fn beside(main: &Path, options: OpenOptions) -> Self {
        Self { path: path_beside(main), options }
    }
}

/// The path of the fresh copy for the main file at `main`.
pub(super) fn path_beside(main: &Path) -> PathBuf {
    let mut path = main.as_os_str().to_owned();
    path.push(".fresh");
    path.into()
}

impl FreshFile for FreshOnDisk {
    fn open(&self) -> Result<Arc<LocalFile>, FreshError> {
        Ok(Arc::new(LocalFile::open(&self.path, &self.options)?))
    }

    fn remove(&self) -> Result<(), FreshError> {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(|source| FreshError::Remove { path: self.path.clone(), source }),
        }
    }
}

/// A fresh copy in memory, for tests, simulations and programs that keep nothing.
#[derive(Debug, Default)]
pub struct FreshInMemory(Mutex<Option<Arc<LocalFile>>>);

impl FreshFile for FreshInMemory {
    fn open(&self) -> Result<Arc<LocalFile>, FreshError> {
        let mut copy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(copy.get_or_insert_with(|| Arc::new(LocalFile::in_memory()))))
    }

    fn remove(&self) -> Result<(), FreshError> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }
}
