//! Files of realms in a file system: one handle at a time, made whole or not at all.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::fault::{Fault, OpenError};
use super::file::LocalFile;
use crate::folder;

/// How often a file may be replaced by another while it is being opened.
const TURNS: usize = 16;

/// A file that nobody else has open.
#[derive(Debug)]
pub(super) struct LockedFile {
    bytes: FileBackend,
    /// The same open file; the lock ends with the last handle or when it is said.
    lock: File,
}

impl LockedFile {
    /// The file at `path`, if there is one.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, Fault> {
        for _ in 0..TURNS {
            let file = match File::options().read(true).write(true).open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            if let Some(file) = Self::lock(file, path)? {
                return Ok(Some(file));
            }
        }
        Err(Fault::Locked)
    }

    /// A new file at the place where the one at `path` is drafted. A draft that nobody has open was left by a
    /// crash.
    pub(super) fn draft(path: &Path) -> Result<(Self, PathBuf), Fault> {
        let draft = draft_path(path);
        for _ in 0..TURNS {
            match folder::private_file().read(true).create_new(true).open(&draft) {
                Ok(file) => {
                    if let Some(file) = Self::lock(file, &draft)? {
                        return Ok((file, draft));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => remove(&draft)?,
                Err(error) => return Err(error.into()),
            }
        }
        Err(Fault::Locked)
    }

    /// `None` if the file is not at its path any more, now that it is locked: who had it before has moved it.
    fn lock(file: File, path: &Path) -> Result<Option<Self>, Fault> {
        match file.try_lock() {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(Fault::Locked),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        if !is_at(&file, path)? {
            return Ok(None);
        }
        let lock = file.try_clone()?;
        let bytes = FileBackend::new(file).map_err(redb::Error::from)?;
        Ok(Some(Self { bytes, lock }))
    }
}

impl StorageBackend for LockedFile {
    fn len(&self) -> io::Result<u64> {
        self.bytes.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.bytes.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.bytes.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.bytes.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.bytes.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.lock.unlock()
    }
}

impl LocalFile {
    /// Removes the file at `path`, if there is one, with all that was not uploaded.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] if it is open, [`OpenError::Io`] if it cannot be removed.
    pub fn remove(path: impl AsRef<Path>) -> Result<(), OpenError> {
        remove(path.as_ref()).map_err(|fault| fault.at(path.as_ref()))
    }

    /// Moves the file at `path` to `aside`, where the application may look at it later.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] if it is open, [`OpenError::Io`] if there is none, if something is at `aside`
    /// already or if it cannot be moved there, as to another file system.
    pub fn set_aside(path: impl AsRef<Path>, aside: impl AsRef<Path>) -> Result<(), OpenError> {
        let (path, aside) = (path.as_ref(), aside.as_ref());
        if fs::exists(aside).map_err(|error| Fault::Io(error).at(aside))? {
            return Err(Fault::Io(io::ErrorKind::AlreadyExists.into()).at(aside));
        }
        set_aside(path, aside).map_err(|fault| fault.at(path))
    }
}

/// Makes a draft the file, now that it is whole. The caller holds the draft, and so is the only one who makes
/// a file of this path.
pub(super) fn publish(draft: &Path, path: &Path) -> Result<(), Fault> {
    fs::rename(draft, path)?;
    Ok(folder::sync(folder::parent(path))?)
}

/// Makes the directory of a file, which only its owner can enter. One that exists stays as it is.
pub(super) fn make_parent(path: &Path) -> Result<(), Fault> {
    Ok(folder::make_private(folder::parent(path))?)
}

fn remove(path: &Path) -> Result<(), Fault> {
    let Some(locked) = LockedFile::open(path)? else { return Ok(()) };
    fs::remove_file(path)?;
    drop(locked);
    Ok(folder::sync(folder::parent(path))?)
}

fn set_aside(path: &Path, aside: &Path) -> Result<(), Fault> {
    let locked = LockedFile::open(path)?;
    let locked = locked.ok_or_else(|| Fault::Io(io::ErrorKind::NotFound.into()))?;
    make_parent(aside)?;
    fs::rename(path, aside)?;
    drop(locked);
    folder::sync(folder::parent(aside))?;
    Ok(folder::sync(folder::parent(path))?)
}

fn draft_path(path: &Path) -> PathBuf {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    draft.into()
}

#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((ours.dev(), ours.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Elsewhere two files cannot be told apart.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
    fs::exists(path)
}
