//! How a file is opened.

use std::fmt;

/// Memory for pages, if nothing else is said: enough for the branches and the busy leaves of a realm of some
/// hundred thousand objects.
const CACHE_LEN: usize = 16 << 20;

/// The largest file whose every page is checked when it is opened, if nothing else is said: that takes a tenth
/// of a second at most once the file is in memory, and some 50 ms for 100,000 objects; with a key four times that.
const CHECK_LEN: u64 = 64 << 20;

/// How a file is opened.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    pub(super) owner: Owner,
    pub(super) key: Option<EncryptionKey>,
    pub(super) cache_len: usize,
    pub(super) check_len: u64,
}

/// Whose realm a file holds. It is kept in the file, and compared when the file is opened.
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

impl OpenOptions {
    /// The usual options.
    pub fn new(owner: Owner) -> Self {
        Self { owner, key: None, cache_len: CACHE_LEN, check_len: CHECK_LEN }
    }

    /// The usual options for the file of a realm that no server knows of.
    pub fn local() -> Self {
        Self::new(Owner::default())
    }

    /// The same for a realm that no server knows of.
    pub(crate) fn of_nobody(self) -> Self {
        Self { owner: Owner::default(), ..self }
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

    /// The largest file, in bytes, that is read as a whole when it is opened, so that all damage is found then; 64 MiB
    /// unless told. In a larger one only a later read or write may come upon damage, or none. After a crash a
    /// file of any size is read as a whole.
    #[must_use]
    pub fn check_up_to(self, bytes: u64) -> Self {
        Self { check_len: bytes, ..self }
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
