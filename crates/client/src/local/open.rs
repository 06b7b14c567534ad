//! Opening and making files.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use redb::backends::InMemoryBackend;
use redb::{Builder, Database, StorageBackend};

use super::backend::Body;
use super::cipher::{Cipher, Salt};
use super::disk::{self, LockedFile};
use super::fault::{Fault, OpenError};
use super::file::LocalFile;
use super::head::{self, HEAD_LEN, Head};
use super::options::{OpenOptions, Owner};

impl LocalFile {
    /// Opens the file at `path`, or makes it and its directory.
    ///
    /// A file is made under another name first, so that a crash leaves nothing at `path` or a whole file.
    /// Only one handle of a file is open at a time, whatever program has it.
    ///
    /// redb panics on some files that something else has altered. Such a panic is caught here and the file is
    /// [damaged](OpenError::Damaged), unless the program aborts on panics.
    ///
    /// # Errors
    ///
    /// Why the file can't be used, and what to do about it.
    pub fn open(path: impl AsRef<Path>, options: &OpenOptions) -> Result<Self, OpenError> {
        let path = path.as_ref();
        open_or_make(path, options).map_err(|fault| fault.at(path))
    }

    /// A file that is gone when it is dropped, for tests and for programs that keep nothing.
    pub fn in_memory() -> Self {
        let options = OpenOptions::new(Owner::default());
        Self::on_backend(InMemoryBackend::new(), &options).expect("memory does not fail")
    }

    /// Opens or makes a file on anything that behaves as one; the seam for faults. What was not made to its
    /// end is made anew.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn on_backend(
        backend: impl StorageBackend,
        options: &OpenOptions,
    ) -> Result<Self, OpenError> {
        let opened = match read_head(&backend) {
            Ok(None) => make(backend, options),
            Ok(Some(head)) => open(backend, &head, options),
            Err(fault) => Err(fault),
        };
        opened.map_err(|fault| fault.at(Path::new("(no file)")))
    }
}

fn open_or_make(path: &Path, options: &OpenOptions) -> Result<LocalFile, Fault> {
    if let Some(file) = LockedFile::open(path)? {
        return open_file(file, options);
    }
    disk::make_parent(path)?;
    let (draft, draft_path) = LockedFile::draft(path)?;
    // Whoever makes files of this path holds the draft, so nobody can have made one after this look.
    if let Some(file) = LockedFile::open(path)? {
        std::fs::remove_file(draft_path)?;
        return open_file(file, options);
    }
    let file = make(draft, options)?;
    disk::publish(&draft_path, path)?;
    Ok(file)
}

fn open_file(file: LockedFile, options: &OpenOptions) -> Result<LocalFile, Fault> {
    let head = read_head(&file)?.ok_or(Fault::Foreign)?;
    open(file, &head, options)
}

/// The head, or nothing where a file was not made to its end.
fn read_head(file: &impl StorageBackend) -> Result<Option<Head>, Fault> {
    let mut head = [0; HEAD_LEN];
    let len = usize::try_from(file.len()?).unwrap_or(HEAD_LEN).min(HEAD_LEN);
    file.read(0, &mut head[..len])?;
    Ok((head != [0; HEAD_LEN]).then_some(head))
}

fn open(file: impl StorageBackend, head: &Head, options: &OpenOptions) -> Result<LocalFile, Fault> {
    let body = Body::new(Arc::new(file), head::read(head, options.key.as_ref())?);
    // redb would take it for a new file.
    if body.len()? == 0 {
        return Err(Fault::damaged("there is nothing behind the head"));
    }
    without_panic(|| LocalFile::start(start_redb(body, options)?, &options.owner))
}

/// The head comes last: with it the file is whole.
fn make(file: impl StorageBackend, options: &OpenOptions) -> Result<LocalFile, Fault> {
    let mut salt = Salt::default();
    let key = options.key.as_ref();
    if key.is_some() {
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
    }
    let file = Arc::new(file);
    file.set_len(0)?;
    let body = Body::new(Arc::clone(&file), key.map(|key| Cipher::new(key, &salt)));
    let made = LocalFile::make(start_redb(body, options)?, &options.owner)?;
    file.write(0, &head::make(key.map(|key| (key, salt))))?;
    file.sync_data()?;
    Ok(made)
}

fn start_redb(body: impl StorageBackend, options: &OpenOptions) -> Result<Database, Fault> {
    let check = body.len()? <= options.check_len;
    let mut builder = Builder::new();
    builder.set_cache_size(options.cache_len).set_check_integrity_on_open(check);
    Ok(builder.create_with_backend(body)?)
}

/// Calls redb on what may not be a file of redb's.
fn without_panic<T>(call: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    // What a panic leaves half done is dropped with the database, which is closed and not used again.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| Err(Fault::damaged(text(&*panic))))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the database found its file inconsistent").to_owned()
}
