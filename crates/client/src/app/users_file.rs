//! The file that keeps the users of a device, so that an application starts offline with its user.
//!
//! | bytes | what |
//! |---|---|
//! | 8 | `BWKUSERS` |
//! | 1 | the version of the format, 1 |
//! | 1 | 0: plain; 1: encrypted |
//! | 16 | encrypted: the nonce |
//! | any | JSON; encrypted: in AES-256, counter mode, the counter beginning at the nonce |
//! | 32 | plain: SHA-256 of all before; encrypted: HMAC-SHA-256 of all before |
//!
//! Both keys are derived from the application's key. Every change reads the file, writes another one and puts it in
//! place, under a lock that other processes respect, so a change that another process has made is not lost and
//! a crash leaves the old file or the new one.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt as _, KeyInit as _};
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256};

use super::accounts::Accounts;
use crate::folder;
use crate::local::EncryptionKey;

/// Where the users of an app are kept, and what for.
#[derive(Debug)]
pub(super) struct UsersFile {
    path: PathBuf,
    keys: Option<Keys>,
}

/// Why the users of a device cannot be read or kept.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UsersFileError {
    /// The file system.
    #[error("{} cannot be read or written", .0.display())]
    Io(PathBuf, #[source] Arc<io::Error>),
    /// A newer version of this library has written it.
    #[error("{} has format {found}, which is newer than this program: use a newer version of it", .path.display())]
    FutureFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u8,
    },
    /// It is not what was written, or the key is another one.
    #[error(
        "{} is damaged; if it is moved away, everybody has to log in again, and anonymous users are lost",
        .0.display()
    )]
    Damaged(PathBuf),
    /// It is encrypted with another key, or damaged.
    #[error("{} does not open with this key: it was made with another one, or is damaged", .0.display())]
    WrongKey(PathBuf),
    /// No key was given.
    #[error("{} is encrypted: give the key that it was made with", .0.display())]
    KeyNeeded(PathBuf),
    /// A key was given, but the file was made without.
    #[error("{} is not encrypted: open it without a key", .0.display())]
    NotEncrypted(PathBuf),
    /// The system has no randomness.
    #[error("the system gives no random bytes")]
    Random(#[from] getrandom::Error),
}

const MAGIC: &[u8; 8] = b"BWKUSERS";
const FORMAT: u8 = 1;
const PLAIN: u8 = 0;
const ENCRYPTED: u8 = 1;
const NONCE_LEN: usize = 16;
/// Bytes of SHA-256 and of HMAC-SHA-256.
const SUM_LEN: usize = 32;

impl UsersFile {
    /// The file in this folder, which is made when something is written.
    pub(super) fn in_folder(folder: &Path, key: Option<&EncryptionKey>) -> Self {
        Self { path: folder.join("users"), keys: key.map(Keys::derive) }
    }

    /// The users; none if there is no file.
    pub(super) fn read(&self) -> Result<Accounts, UsersFileError> {
        match fs::read(&self.path) {
            Ok(bytes) => self.decode(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Accounts::default()),
            Err(error) => Err(self.io(error)),
        }
    }

    /// Changes the users, and tells what they are then before anybody else changes them. They stay as they are if
    /// that fails. `base` may know better than the file what they were.
    pub(super) fn update(
        &self,
        base: impl FnOnce(Accounts) -> Accounts,
        change: impl FnOnce(&mut Accounts),
        tell: impl FnOnce(Accounts),
    ) -> Result<(), UsersFileError> {
        // Released when it is dropped.
        let _lock = self.lock().map_err(|error| self.io(error))?;
        let stored = self.read()?;
        let mut accounts = base(stored.clone());
        change(&mut accounts);
        if accounts != stored {
            self.write(&self.encode(&accounts)?).map_err(|error| self.io(error))?;
        }
        tell(accounts);
        Ok(())
    }

    fn encode(&self, accounts: &Accounts) -> Result<Vec<u8>, UsersFileError> {
        let json = serde_json::to_vec(accounts).map_err(|error| self.io(error.into()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.push(FORMAT);
        let sum = match &self.keys {
            None => {
                bytes.push(PLAIN);
                bytes.extend_from_slice(&json);
                checksum(&bytes)
            }
            Some(keys) => {
                let mut nonce = [0; NONCE_LEN];
                getrandom::fill(&mut nonce)?;
                bytes.push(ENCRYPTED);
                bytes.extend_from_slice(&nonce);
                let start = bytes.len();
                bytes.extend_from_slice(&json);
                keys.cipher(nonce, &mut bytes[start..]);
                keys.authenticate(&bytes).finalize().into_bytes().into()
            }
        };
        bytes.extend_from_slice(&sum);
        Ok(bytes)
    }

    fn decode(&self, bytes: &[u8]) -> Result<Accounts, UsersFileError> {
        let damaged = || UsersFileError::Damaged(self.path.clone());
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(damaged)?;
        match rest {
            [FORMAT, ..] => (),
            [found, ..] if *found > FORMAT => {
                return Err(UsersFileError::FutureFormat {
                    path: self.path.clone(),
                    found: *found,
                });
            }
            _ => return Err(damaged()),
        }
        let (signed, sum) = bytes.split_last_chunk::<SUM_LEN>().ok_or_else(damaged)?;
        let rest = signed.get(MAGIC.len() + 1..).ok_or_else(damaged)?;
        let json = match (rest, &self.keys) {
            ([PLAIN, _json @ ..], Some(_)) => {
                return Err(UsersFileError::NotEncrypted(self.path.clone()));
            }
            ([ENCRYPTED, ..], None) => return Err(UsersFileError::KeyNeeded(self.path.clone())),
            ([PLAIN, json @ ..], None) => {
                if checksum(signed) != *sum {
                    return Err(damaged());
                }
                json.to_vec()
            }
            ([ENCRYPTED, rest @ ..], Some(keys)) => {
                if keys.authenticate(signed).verify_slice(sum).is_err() {
                    return Err(UsersFileError::WrongKey(self.path.clone()));
                }
                let (nonce, json) = rest.split_first_chunk::<NONCE_LEN>().ok_or_else(damaged)?;
                let mut json = json.to_vec();
                keys.cipher(*nonce, &mut json);
                json
            }
            _ => return Err(damaged()),
        };
        serde_json::from_slice(&json).map_err(|_| damaged())
    }

    /// Waits for its turn among the processes that share the folder, which is made if there is none.
    fn lock(&self) -> io::Result<File> {
        folder::make_private(folder::parent(&self.path))?;
        let path = self.path.with_extension("lock");
        let file = folder::private_file().create(true).truncate(false).open(path)?;
        match file.lock() {
            // Some file systems have no locks; processes that share a folder there are on their own.
            Err(error) if error.kind() == io::ErrorKind::Unsupported => (),
            locked => locked?,
        }
        Ok(file)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = folder::private_file().create(true).truncate(true).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        drop(file);
        fs::rename(&new, &self.path)?;
        folder::sync(folder::parent(&self.path))
    }

    fn io(&self, error: io::Error) -> UsersFileError {
        UsersFileError::Io(self.path.clone(), Arc::new(error))
    }
}

/// What the application's key becomes.
struct Keys {
    cipher: Aes256,
    mac: [u8; 32],
}

impl Keys {
    /// The application's key also encrypts realms, so it is not used as it is.
    fn derive(key: &EncryptionKey) -> Self {
        let part = |purpose: &[u8]| -> [u8; 32] {
            hmac(key.as_bytes()).chain_update(purpose).finalize().into_bytes().into()
        };
        let cipher = Aes256::new(&part(b"bailiwick users file: encryption").into());
        Self { cipher, mac: part(b"bailiwick users file: authentication") }
    }

    /// Encrypts or decrypts.
    fn cipher(&self, nonce: [u8; NONCE_LEN], bytes: &mut [u8]) {
        let mut counter = u128::from_be_bytes(nonce);
        for chunk in bytes.chunks_mut(NONCE_LEN) {
            let mut block = counter.to_be_bytes().into();
            self.cipher.encrypt_block(&mut block);
            for (byte, mask) in chunk.iter_mut().zip(block) {
                *byte ^= mask;
            }
            counter = counter.wrapping_add(1);
        }
    }

    fn authenticate(&self, bytes: &[u8]) -> Hmac<Sha256> {
        hmac(&self.mac).chain_update(bytes)
    }
}

fn hmac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn checksum(bytes: &[u8]) -> [u8; SUM_LEN] {
    Sha256::digest(bytes).into()
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys(..)")
    }
}
