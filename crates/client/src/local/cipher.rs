//! Encryption of a file: AES-256 in XTS mode, as disks are encrypted.
//!
//! Sectors are redb's pages of 4096 bytes, each with its number as the tweak. A sector is blocks of 16 bytes
//! that depend on nothing but the key, the sector's number and their place in it. So encryption changes no
//! length and moves nothing: a write that a crash tears, at the 512 bytes of a disk or anywhere else between
//! two blocks, leaves old and new blocks side by side, and decrypted they are exactly the torn page that redb
//! would have found without encryption. Its reasoning about crashes, and its checksums, hold as they are.
//!
//! A block of sixteen zeros is one that was never written, as where a file has grown, and reads as zeros. No
//! text becomes one by encryption, but by a chance of 1 in 2^128.
//!
//! What it does not give: whoever can write to the file can damage it block by block or put back blocks that
//! it had before, and nothing here notices. redb's checksums are for accidents. Whoever sees the file twice
//! sees which blocks have changed in between.
//!
//! Each file has a salt, from which and from the application's key its own keys are derived with HMAC-SHA256.
//! Files with the same key and the same contents so have nothing in common that can be seen.

use std::fmt;

use aes::Aes256;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use xts_mode::{Array, Xts128, get_tweak_default};

use super::options::EncryptionKey;

/// What is encrypted at a time.
pub(super) const SECTOR_LEN: usize = 4096;

/// What a change of one byte changes.
pub(super) const BLOCK_LEN: usize = 16;

/// Makes the keys of a file differ from those of others.
pub(super) type Salt = [u8; 32];

/// Encrypts and decrypts the sectors of one file.
pub(super) struct Cipher {
    xts: Xts128<Aes256>,
}

impl Cipher {
    pub(super) fn new(key: &EncryptionKey, salt: &Salt) -> Self {
        let [data, tweak] = ["realm file data", "realm file tweak"]
            .map(|purpose| Aes256::new(&Array(mac(key, &[purpose.as_bytes(), salt]))));
        Self { xts: Xts128::new(data, tweak) }
    }

    /// Encrypts whole sectors, of which the first has this number.
    pub(super) fn encrypt(&self, sectors: &mut [u8], first: u64) {
        for (number, sector) in (first..).zip(sectors.chunks_exact_mut(SECTOR_LEN)) {
            self.xts.encrypt_sector(sector, get_tweak_default(number.into()));
        }
    }

    /// Decrypts whole sectors, of which the first has this number.
    pub(super) fn decrypt(&self, sectors: &mut [u8], first: u64) {
        for (number, sector) in (first..).zip(sectors.chunks_exact_mut(SECTOR_LEN)) {
            let mut unwritten = [false; SECTOR_LEN / BLOCK_LEN];
            for (unwritten, block) in unwritten.iter_mut().zip(sector.chunks_exact(BLOCK_LEN)) {
                *unwritten = block == [0; BLOCK_LEN];
            }
            self.xts.decrypt_sector(sector, get_tweak_default(number.into()));
            for (unwritten, block) in unwritten.iter().zip(sector.chunks_exact_mut(BLOCK_LEN)) {
                if *unwritten {
                    block.fill(0);
                }
            }
        }
    }
}

/// Proves that somebody who has the key wrote this head.
pub(super) fn key_check(key: &EncryptionKey, head: &[u8]) -> [u8; 32] {
    mac(key, &[b"realm file check", head])
}

fn mac(key: &EncryptionKey, parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("keys can have any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Keys do not belong in logs.
impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = [1; 32];

    fn cipher() -> Cipher {
        Cipher::new(&EncryptionKey::new([7; 64]), &SALT)
    }

    fn sample() -> Vec<u8> {
        (0..2 * SECTOR_LEN).map(|i| u8::try_from(i % 251).unwrap()).collect()
    }

    #[test]
    fn sectors_come_back() {
        let mut sectors = sample();
        cipher().encrypt(&mut sectors, 5);
        assert_ne!(sectors, sample());
        cipher().decrypt(&mut sectors, 5);
        assert_eq!(sectors, sample());
    }

    #[test]
    fn equal_text_differs_by_place_key_and_salt() {
        let other_key = Cipher::new(&EncryptionKey::new([8; 64]), &SALT);
        let other_salt = Cipher::new(&EncryptionKey::new([7; 64]), &[2; 32]);
        let forms = [(&cipher(), 0), (&cipher(), 1), (&other_key, 0), (&other_salt, 0)];
        let mut blocks: Vec<_> = forms
            .iter()
            .flat_map(|(cipher, number)| {
                let mut sector = vec![9; SECTOR_LEN];
                cipher.encrypt(&mut sector, *number);
                sector.chunks_exact(BLOCK_LEN).map(<[u8]>::to_vec).collect::<Vec<_>>()
            })
            .collect();
        let count = blocks.len();
        blocks.sort();
        blocks.dedup();
        assert_eq!(blocks.len(), count);
    }

    #[test]
    fn a_torn_sector_is_old_and_new_blocks() {
        let (old, new) = (vec![1; SECTOR_LEN], vec![2; SECTOR_LEN]);
        let (mut torn, mut written) = (old.clone(), new.clone());
        cipher().encrypt(&mut torn, 3);
        cipher().encrypt(&mut written, 3);
        for tear in (0..=SECTOR_LEN).step_by(BLOCK_LEN) {
            torn[..tear].copy_from_slice(&written[..tear]);
            let mut found = torn.clone();
            cipher().decrypt(&mut found, 3);
            assert!(found == [&new[..tear], &old[tear..]].concat(), "torn at {tear}");
        }
    }

    #[test]
    fn what_was_never_written_reads_as_zeros() {
        let mut sectors = sample();
        cipher().encrypt(&mut sectors, 0);
        sectors[SECTOR_LEN - 32..SECTOR_LEN + 16].fill(0);
        cipher().decrypt(&mut sectors, 0);
        let mut expected = sample();
        expected[SECTOR_LEN - 32..SECTOR_LEN + 16].fill(0);
        assert!(sectors == expected);
    }
}
