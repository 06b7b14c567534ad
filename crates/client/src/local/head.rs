//! The first 4096 bytes of a file, which say what the rest is.
//!
//! ```text
//! at    bytes
//! 0     16     "bailiwick realm" and a line feed
//! 16     4     format, big-endian
//! 20     4     flags: 1 if what follows is encrypted
//! 24    32     salt of the keys; zeros unless encrypted
//! 56    32     HMAC-SHA256 of all before, by a key of the application's key; zeros unless encrypted
//! 88    32     SHA-256 of all before
//! 120          zeros
//! 4096         the file of redb, encrypted or not
//! ```
//!
//! A head is written once, after all that follows it, within one sector of a disk: a file without one was
//! never finished. Later formats keep the magic, the format and the SHA-256 where they are, so that every
//! version knows a later file from a damaged one; and the HMAC tells a damaged file from a wrong key.

use hmac::digest::Digest as _;
use sha2::Sha256;

use super::cipher::{self, Cipher, Salt};
use super::fault::Fault;
use super::options::EncryptionKey;

/// The format that this version reads and writes.
pub(super) const FORMAT: u32 = 1;

/// The length of a head.
pub(super) const HEAD_LEN: usize = 4096;

/// A head, as it stands in the file.
pub(super) type Head = [u8; HEAD_LEN];

const MAGIC: &[u8; 16] = b"bailiwick realm\n";
const SALT_AT: usize = 24;
const KEY_CHECK_AT: usize = 56;
const SUM_AT: usize = 88;
const ZEROS_AT: usize = 120;
const ENCRYPTED: u32 = 1;

/// The head of a new file; `salt` is only used with a key.
pub(super) fn make(key: Option<(&EncryptionKey, Salt)>) -> Head {
    let mut head = [0; HEAD_LEN];
    head[..16].copy_from_slice(MAGIC);
    head[16..20].copy_from_slice(&FORMAT.to_be_bytes());
    if let Some((key, salt)) = key {
        head[20..SALT_AT].copy_from_slice(&ENCRYPTED.to_be_bytes());
        head[SALT_AT..KEY_CHECK_AT].copy_from_slice(&salt);
        let check = cipher::key_check(key, &head[..KEY_CHECK_AT]);
        head[KEY_CHECK_AT..SUM_AT].copy_from_slice(&check);
    }
    let sum = Sha256::digest(&head[..SUM_AT]);
    head[SUM_AT..ZEROS_AT].copy_from_slice(&sum);
    head
}

/// What to decrypt the rest with, or why it cannot be read.
pub(super) fn read(head: &Head, key: Option<&EncryptionKey>) -> Result<Option<Cipher>, Fault> {
    if !head.starts_with(MAGIC) {
        return Err(Fault::Foreign);
    }
    if Sha256::digest(&head[..SUM_AT])[..] != head[SUM_AT..ZEROS_AT] {
        return Err(Fault::damaged("the head is not what was written"));
    }
    let format = number(head, 16);
    if format > FORMAT {
        return Err(Fault::FutureFormat(format));
    }
    let flags = number(head, 20);
    if format != FORMAT || flags > ENCRYPTED || head[ZEROS_AT..].iter().any(|byte| *byte != 0) {
        return Err(Fault::damaged("the head holds what no version writes"));
    }
    let key = match (flags == ENCRYPTED, key) {
        (true, Some(key)) => key,
        (true, None) => return Err(Fault::KeyNeeded),
        (false, Some(_)) => return Err(Fault::NotEncrypted),
        (false, None) => return Ok(None),
    };
    if cipher::key_check(key, &head[..KEY_CHECK_AT])[..] != head[KEY_CHECK_AT..SUM_AT] {
        return Err(Fault::WrongKey);
    }
    let salt = head[SALT_AT..KEY_CHECK_AT].try_into().expect("the salt has its length");
    Ok(Some(Cipher::new(key, &salt)))
}

fn number(head: &Head, at: usize) -> u32 {
    let bytes = head[at..].first_chunk().expect("a head is longer than its numbers");
    u32::from_be_bytes(*bytes)
}
