//! What devices upload: changesets of one shape. It is encoded once; what differs is patched into the bytes.
//!
//! Each creates an object with a key of its own and fills its one field. The value begins with a mark and the time of
//! the write, by which whoever receives it knows how long it has travelled; the rest is random, so that no
//! compression makes it smaller than it claims to be.
//!
//! Mark and keys hold random bytes of the run: what an earlier run has left on the server is neither taken for a write
//! of this one nor written to.

use std::ops::Range;

use anyhow::Result;
use bailiwick_protocol::changeset::{
    AddColumn, Changeset, CollectionKind, Instruction, KeySpec, KeyType, ObjectKey, Path, Payload,
    TableKind, Target, TypeCode, UpdateKind,
};
use bytes::Bytes;

/// The class of all objects.
pub(super) const CLASS: &str = "Load";

const KEY: &str = "_id";
const FIELD: &str = "data";

/// What a value begins with: the mark and the time.
const STAMP_LEN: usize = MARK_LEN + size_of::<u64>();
const MARK_LEN: usize = 8;
/// What a key begins with. A device and the number of its object follow.
const KEY_PREFIX_LEN: usize = 4;
/// Stands where the mark goes.
const BLANK_MARK: [u8; MARK_LEN] = *b"\xf1load\x1f\x00\xf7";
/// Stands where the key of the object goes.
const BLANK_KEY: [u8; 12] = [0xa7; 12];

/// A changeset to be filled in.
#[derive(Debug)]
pub(super) struct Template {
    bytes: Vec<u8>,
    mark: [u8; MARK_LEN],
    key_prefix: [u8; KEY_PREFIX_LEN],
    /// Where the key of the object stands: in each of the two instructions.
    keys_at: [usize; 2],
    /// Where the value stands.
    value_at: Range<usize>,
    random: u64,
}

impl Template {
    /// A changeset of `len` bytes, or a few more if it has to be longer, for a run of its own.
    ///
    /// # Errors
    ///
    /// If the operating system has no random numbers.
    pub(super) fn new(len: usize) -> Result<Self> {
        let value_len = (STAMP_LEN..=len).rev().find(|&value_len| encoded(value_len).len() <= len);
        let value_len = value_len.unwrap_or(STAMP_LEN);
        let mut bytes = encoded(value_len);
        let created = find(&bytes, &BLANK_KEY).expect("the key stands in the changeset");
        let after = created + BLANK_KEY.len();
        let updated = after + find(&bytes[after..], &BLANK_KEY).expect("it stands there twice");
        let value_at = find(&bytes, &BLANK_MARK).expect("so does the value");
        let (mut mark, mut key_prefix) = ([0; MARK_LEN], [0; KEY_PREFIX_LEN]);
        getrandom::fill(&mut mark)?;
        getrandom::fill(&mut key_prefix)?;
        bytes[value_at..][..MARK_LEN].copy_from_slice(&mark);
        Ok(Self {
            bytes,
            mark,
            key_prefix,
            keys_at: [created, updated],
            value_at: value_at..value_at + value_len,
            random: 0x9e37_79b9_7f4a_7c15,
        })
    }

    /// How long a changeset is, in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The changeset that creates object `number` of a device, written at `time_ns`.
    pub(super) fn fill(&mut self, device: u32, number: u32, time_ns: u64) -> Bytes {
        for key_at in self.keys_at {
            let key = &mut self.bytes[key_at..][..BLANK_KEY.len()];
            key[..KEY_PREFIX_LEN].copy_from_slice(&self.key_prefix);
            key[KEY_PREFIX_LEN..][..4].copy_from_slice(&device.to_be_bytes());
            key[KEY_PREFIX_LEN + 4..].copy_from_slice(&number.to_be_bytes());
        }
        let value = &mut self.bytes[self.value_at.clone()][MARK_LEN..];
        let (time, rest) = value.split_at_mut(8);
        time.copy_from_slice(&time_ns.to_le_bytes());
        for word in rest.chunks_mut(8) {
            // xorshift64: good enough to be incompressible, and costs next to nothing.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            word.copy_from_slice(&self.random.to_le_bytes()[..word.len()]);
        }
        Bytes::copy_from_slice(&self.bytes)
    }

    /// When a changeset was written, if it is one of this run; servers may have encoded it again.
    pub(super) fn time_ns(&self, changeset: &[u8]) -> Option<u64> {
        let expected =
            changeset.get(self.value_at.start..).filter(|rest| rest.starts_with(&self.mark));
        let stamp = match expected {
            Some(stamp) => stamp,
            None => &changeset[find(changeset, &self.mark)?..],
        };
        Some(u64::from_le_bytes(stamp.get(MARK_LEN..STAMP_LEN)?.try_into().ok()?))
    }
}

/// The changeset that declares what all others need.
pub(super) fn schema() -> Bytes {
    let mut changeset = Changeset::default();
    let [table, key, field] = [CLASS, KEY, FIELD].map(|name| changeset.strings.intern(name));
    let key = KeySpec { field: key, key_type: KeyType::ObjectId, nullable: false };
    changeset.instructions = vec![
        Instruction::AddTable { table, kind: TableKind::TopLevel(key) },
        Instruction::AddColumn(Box::new(AddColumn {
            table,
            field,
            column_type: TypeCode::Binary,
            nullable: false,
            collection: CollectionKind::Single,
            link_target: None,
            key_type: None,
        })),
    ];
    changeset.encode().into()
}

/// The blank changeset whose value has this length.
fn encoded(value_len: usize) -> Vec<u8> {
    let mut value = vec![0; value_len];
    value[..MARK_LEN].copy_from_slice(&BLANK_MARK);
    let mut changeset = Changeset::default();
    let [table, field] = [CLASS, FIELD].map(|name| changeset.strings.intern(name));
    let object = ObjectKey::ObjectId(BLANK_KEY);
    changeset.instructions = vec![
        Instruction::CreateObject { table, object },
        Instruction::Update {
            target: Target { table, object, field, path: Path::default() },
            value: Payload::Binary(value.into()),
            kind: UpdateKind::Value { is_default: false },
        },
    ];
    changeset.encode()
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_filled_in_is_a_changeset_of_the_length_that_was_asked_for() {
        for len in [0, 100, 1024, 5000] {
            let mut template = Template::new(len).unwrap();
            let filled = template.fill(7, 9, 1234);
            assert_eq!(filled.len(), template.len());
            assert!(len < 100 || filled.len() == len, "{len}: {}", filled.len());
            let mut key = [0; 12];
            key[..4].copy_from_slice(&template.key_prefix);
            (key[7], key[11]) = (7, 9);
            let changeset = Changeset::decode(&filled).unwrap();
            assert_eq!(changeset.encode(), filled, "nothing but what it should hold");
            for instruction in &changeset.instructions {
                assert_eq!(instruction.object(), Some(ObjectKey::ObjectId(key)));
            }
            assert_eq!(template.time_ns(&filled), Some(1234));
            // Without a length there is nothing but the time in it.
            assert_eq!(template.fill(7, 9, 1234) == filled, len == 0, "the rest is random");
        }
    }

    #[test]
    fn the_time_is_found_wherever_it_stands() {
        let mut template = Template::new(200).unwrap();
        let moved = [b"123".as_slice(), &template.fill(1, 1, 5)].concat();
        assert_eq!(template.time_ns(&moved), Some(5));
        assert_eq!(template.time_ns(&schema()), None);
        assert_eq!(template.time_ns(&template.mark), None);
    }

    #[test]
    fn what_another_run_has_written_is_not_of_this_one() {
        let [mut one, mut other] = [200, 200].map(|len| Template::new(len).unwrap());
        let (written, left) = (one.fill(1, 1, 5), other.fill(1, 1, 5));
        assert_eq!((one.time_ns(&written), one.time_ns(&left)), (Some(5), None));
        let key = |bytes: &[u8]| Changeset::decode(bytes).unwrap().instructions[0].object();
        assert_ne!(key(&written), key(&left));
    }
}
