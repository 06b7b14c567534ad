//! Bytes that are not what was written: an error when the file is opened, never a panic.

use std::fs;

use bailiwick_core::schema::Schema;
use bailiwick_storage::disk::Disk;
use proptest::prelude::*;
use tempfile::tempdir;

use super::batches;
use super::model::Model;
use super::{encrypted, plain};
use crate::local::head::HEAD_LEN;
use crate::local::record;
use crate::local::{LocalFile, OpenError, OpenOptions, PendingReset};

/// A file that was closed, and what it holds.
fn sample(options: &OpenOptions) -> (Vec<u8>, Model) {
    let dir = tempdir().unwrap();
    let path = dir.path().join("realm");
    let file = LocalFile::open(&path, options).unwrap();
    let mut model = Model::default();
    for seed in 0..6 {
        let batch = batches::batch(&model, seed);
        file.write().commit(&batch).unwrap();
        model.commit(&batch);
    }
    drop(file);
    (fs::read(&path).unwrap(), model)
}

/// Whether it is noticed; otherwise it must be harmless.
fn is_noticed(bytes: Vec<u8>, options: &OpenOptions, model: &Model, context: &str) -> bool {
    match LocalFile::on_backend(Disk::new(bytes), options) {
        Ok(file) => {
            assert!(Model::read(&file).unwrap() == *model, "{context} is not noticed");
            false
        }
        Err(OpenError::Damaged { .. }) => true,
        Err(error) => panic!("{context}: {error:?}"),
    }
}

fn check_damage(places: impl Fn(&[u8]) -> Vec<usize>, damage: impl Fn(&mut [u8])) {
    for options in [plain(), encrypted()] {
        let (bytes, model) = sample(&options);
        let mut noticed = 0;
        for at in places(&bytes) {
            let mut damaged = bytes.clone();
            damage(&mut damaged[at..]);
            let context = format!("damage at {at}");
            noticed += usize::from(is_noticed(damaged, &options, &model, &context));
        }
        assert!(noticed > 3, "{noticed}");
    }
}

/// Where pages begin that were ever written, without the head.
fn used_pages(bytes: &[u8]) -> Vec<usize> {
    let pages = (0..).step_by(HEAD_LEN).zip(bytes.chunks_exact(HEAD_LEN)).skip(1);
    pages.filter(|(_, page)| page.iter().any(|byte| *byte != 0)).map(|(at, _)| at).collect()
}

#[test]
fn a_wrong_byte_in_the_header_of_redb_is_noticed_or_harmless() {
    check_damage(|_| (HEAD_LEN..HEAD_LEN + 330).step_by(3).collect(), |bytes| bytes[0] ^= 0x41);
}

#[test]
fn a_wrong_byte_in_a_page_is_noticed_or_harmless() {
    for within in [1, 40, 4000] {
        check_damage(used_pages, |bytes| bytes[within] ^= 0x41);
    }
}

#[test]
fn a_page_of_something_else_is_noticed_or_harmless() {
    for fill in [0, 0xff] {
        check_damage(used_pages, |bytes| bytes[..HEAD_LEN].fill(fill));
    }
}

proptest! {
    /// Any bytes of a record are read to a value that is written as the same bytes, or are refused.
    #[test]
    fn any_bytes_decode_or_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check_decoders(&bytes);
    }

    /// The same for records with a wrong byte, or a wrong length.
    #[test]
    fn a_record_with_a_wrong_byte_decodes_or_is_refused(
        seed: u64, at in any::<prop::sample::Index>(), byte: u8, cut in any::<prop::sample::Index>(),
    ) {
        let batch = batches::batch(&Model::default(), seed);
        let records = [
            record::encode_state(&batch.state),
            record::encode_owner(&super::owner()),
            record::encode_entry(&batch.append[0]),
            batches::pending_reset_of(seed).encode(),
        ];
        for mut bytes in records {
            check_decoders(&bytes);
            let at = at.index(bytes.len());
            bytes[at] = byte;
            check_decoders(&bytes);
            bytes.truncate(cut.index(bytes.len()));
            check_decoders(&bytes);
        }
    }
}

fn check_decoders(bytes: &[u8]) {
    if let Ok(state) = record::decode_state(bytes) {
        assert_eq!(record::decode_state(&record::encode_state(&state)), Ok(state));
    }
    if let Ok(owner) = record::decode_owner(bytes) {
        assert_eq!(record::encode_owner(&owner), bytes);
    }
    if let Ok(counts) = record::decode_counts(bytes) {
        let nonzero = counts.values().filter(|count| **count > 0).count();
        assert_eq!(record::encode_counts(&counts).len(), 16 * nonzero);
    }
    if let Ok(entry) = record::decode_entry(1, bytes, None) {
        assert_eq!(record::encode_entry(&entry), bytes);
    }
    if let Ok(reset) = PendingReset::decode(bytes) {
        assert_eq!(PendingReset::decode(&reset.encode()), Ok(reset));
    }
    let _ = Schema::decode(bytes);
}
