//! The changeset codec against arbitrary bytes, and against itself.
//!
//! The reference's own data is checked by `cargo xtask vectors changesets|invalid|lenient|integers`.

#![expect(clippy::unwrap_used, reason = "a test")]

use bailiwick_protocol::changeset::json::ChangesetJson;
use bailiwick_protocol::changeset::{Changeset, DecodeFault, DecodeLimits};
use proptest::prelude::*;

/// The schema of the format's worked example, as a device writes it.
const SCHEMA: &str = "3f00045461736b3f01035f69640000000 10a003f02046e616d653f03000600020300 00";

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex.replace(' ', "")).unwrap()
}

#[test]
fn strings_come_first_when_a_changeset_is_encoded_again() {
    let changeset = Changeset::decode(&bytes(SCHEMA)).unwrap();
    assert!(changeset.strings.iter().eq(["Task", "_id", "name", ""]));
    assert_eq!(changeset.instructions.len(), 2);
    assert_eq!(
        hex::encode(changeset.encode()),
        "3f00045461736b3f01035f69643f02046e616d653f0300".to_owned()
            + "00000001"
            + "0a00"
            + "060002030000"
    );
}

#[test]
fn a_changeset_without_instructions_encodes_to_nothing() {
    let changeset = Changeset::decode(&bytes("3f00045461736b")).unwrap();
    assert_eq!(changeset.strings.count(), 1);
    assert_eq!(changeset.encode(), b"");
}

#[test]
fn a_fault_names_the_byte_where_its_field_starts() {
    let cases: &[(&str, usize, DecodeFault)] = &[
        ("0e", 0, DecodeFault::Opcode(14)),
        ("3f00045461736b 02 01", 8, DecodeFault::InternUnknown(1)),
        ("3f00045461736b 3f02", 8, DecodeFault::InternIndex(2)),
        ("3f00045461", 2, DecodeFault::Truncated),
        ("3f0001 ff", 2, DecodeFault::Utf8),
    ];
    for (hex, offset, fault) in cases {
        let error = Changeset::decode(&bytes(hex)).unwrap_err();
        assert_eq!((error.offset, error.fault), (*offset, *fault), "{hex}");
    }
}

#[test]
fn limits_hold_before_memory_is_taken() {
    let limits = DecodeLimits { max_instructions: 2, ..DecodeLimits::default() };
    let error = Changeset::decode_within(&bytes("3f000154 0100 0100 0100"), &limits).unwrap_err();
    assert_eq!(error.fault, DecodeFault::TooMany(2));
    // A binary value that announces 16 MB with nothing behind it.
    let error = Changeset::decode(&bytes("3f000154 04 00 0101 00 00 04 80808004")).unwrap_err();
    assert_eq!(error.fault, DecodeFault::Truncated);
}

/// Bytes that are nearly a changeset: a valid one with some bytes replaced.
fn nearly_a_changeset() -> impl Strategy<Value = Vec<u8>> {
    let edits = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    edits.prop_map(|edits| {
        let mut bytes = bytes(SCHEMA);
        for (index, byte) in edits {
            let len = bytes.len();
            bytes[index.index(len)] = byte;
        }
        bytes
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Changeset::decode(&bytes).map(|changeset| changeset.check());
    }

    /// What decodes encodes to bytes that decode to the same, in binary and in JSON.
    #[test]
    fn what_decodes_survives_both_forms(bytes in nearly_a_changeset()) {
        if let Ok(changeset) = Changeset::decode(&bytes) {
            let _ = changeset.check();
            let again = Changeset::decode(&changeset.encode()).unwrap();
            prop_assert_eq!(&again.instructions, &changeset.instructions);
            let json = serde_json::to_string(&ChangesetJson::from(&changeset)).unwrap();
            let parsed: ChangesetJson = serde_json::from_str(&json).unwrap();
            prop_assert_eq!(Changeset::try_from(&parsed).unwrap(), changeset);
        }
    }
}
