//! The changeset decoder: what decodes is encoded, in both forms, to what decodes to the same.

use bailiwick_protocol::changeset::Changeset;
use bailiwick_protocol::changeset::json::ChangesetJson;

use crate::memory;

/// Bytes of memory for each byte of input: an instruction of two bytes is a hundred in memory, and a vector that
/// grows is there twice for a moment.
const MEMORY_FACTOR: usize = 256;

/// Takes any bytes as a changeset.
pub fn run(bytes: &[u8]) {
    let limit = MEMORY_FACTOR * bytes.len() + 4096;
    let Ok(changeset) = memory::within(limit, || Changeset::decode(bytes)) else { return };
    let _ = changeset.check();
    for instruction in &changeset.instructions {
        let _ = changeset.describe(instruction);
    }
    let encoded = changeset.encode();
    if changeset.is_empty() {
        assert!(encoded.is_empty(), "without instructions there is nothing to say");
        return;
    }
    // The same strings and instructions, and so the same length; only their order may be another.
    assert_eq!(encoded.len(), bytes.len());
    let again = Changeset::decode(&encoded).expect("what was encoded decodes");
    assert_eq!(again, changeset);
    assert_eq!(again.encode(), encoded);
    assert_eq!(again.check(), changeset.check());

    let json = serde_json::to_string(&ChangesetJson::from(&changeset)).expect("it is all JSON");
    let parsed: ChangesetJson = serde_json::from_str(&json).expect("what was written is read");
    let again = Changeset::try_from(&parsed).expect("it was a changeset");
    assert_eq!(again.encode(), encoded);
}

/// What a changeset says, whatever the order of its strings.
pub(crate) fn by_name(changeset: &Changeset) -> ChangesetJson {
    let mut json = ChangesetJson::from(changeset);
    json.strings.sort_unstable();
    json
}
