//! The name of an object in a store.
//!
//! ```text
//! row = class id, 4 bytes   tag, 1 byte   key
//! ```
//!
//! The class comes first, big endian, so that the rows of a class stand together. The tags are 0 null,
//! 1 int (8 bytes, big endian, the sign bit flipped), 2 string (the text), 3 `ObjectId` (12 bytes), 4 UUID
//! (16 bytes), 5 `GlobalKey` (two halves of 8 bytes, big endian). Keys of one type sort as their values.

use std::fmt;
use std::sync::Arc;

use crate::schema::ClassId;

/// Names an object within a realm, for a store: its class, then its primary key.
pub type ObjectRow = Box<[u8]>;

/// What names an object within its class: the primary key, or a `GlobalKey` where there is none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PrimaryKey {
    /// The null key.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    String(Arc<str>),
    /// An `ObjectId`.
    ObjectId([u8; 12]),
    /// A UUID.
    Uuid([u8; 16]),
    /// An object of a class without primary key.
    GlobalKey {
        /// The file ident of the device that created it.
        hi: u64,
        /// That device's running number.
        lo: u64,
    },
}

/// The bytes are not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes do not name an object")]
pub struct RowError;

/// The row of an object.
pub fn encode_row(class: ClassId, key: &PrimaryKey) -> ObjectRow {
    let mut row = Vec::new();
    put_row(&mut row, class, key);
    row.into()
}

/// What all rows of a class start with.
pub fn row_prefix(class: ClassId) -> [u8; 4] {
    class.0.to_be_bytes()
}

/// The class of the object that a row names; `None` if it is no row.
pub(crate) fn row_class(row: &[u8]) -> Option<ClassId> {
    row.first_chunk().map(|class| ClassId(u32::from_be_bytes(*class)))
}

/// The object that a row names.
///
/// # Errors
///
/// The bytes are not what [`encode_row`] writes.
pub fn decode_row(row: &[u8]) -> Result<(ClassId, PrimaryKey), RowError> {
    let (class, rest) = row.split_first_chunk().ok_or(RowError)?;
    let (&tag, key) = rest.split_first().ok_or(RowError)?;
    let key = match tag {
        0 if key.is_empty() => PrimaryKey::Null,
        1 => PrimaryKey::Int((u64::from_be_bytes(exact(key)?) ^ SIGN).cast_signed()),
        2 => PrimaryKey::String(std::str::from_utf8(key).map_err(|_| RowError)?.into()),
        3 => PrimaryKey::ObjectId(exact(key)?),
        4 => PrimaryKey::Uuid(exact(key)?),
        5 => {
            let halves: [u8; 16] = exact(key)?;
            let (hi, lo) = halves.split_at(8);
            PrimaryKey::GlobalKey {
                hi: u64::from_be_bytes(exact(hi)?),
                lo: u64::from_be_bytes(exact(lo)?),
            }
        }
        _ => return Err(RowError),
    };
    Ok((ClassId(u32::from_be_bytes(*class)), key))
}

const SIGN: u64 = 1 << 63;

fn exact<const N: usize>(bytes: &[u8]) -> Result<[u8; N], RowError> {
    bytes.try_into().map_err(|_| RowError)
}

fn put_row(row: &mut Vec<u8>, class: ClassId, key: &PrimaryKey) {
    row.extend_from_slice(&row_prefix(class));
    match key {
        PrimaryKey::Null => row.push(0),
        PrimaryKey::Int(value) => {
            row.push(1);
            row.extend_from_slice(&(value.cast_unsigned() ^ SIGN).to_be_bytes());
        }
        PrimaryKey::String(text) => {
            row.push(2);
            row.extend_from_slice(text.as_bytes());
        }
        PrimaryKey::ObjectId(id) => {
            row.push(3);
            row.extend_from_slice(id);
        }
        PrimaryKey::Uuid(id) => {
            row.push(4);
            row.extend_from_slice(id);
        }
        PrimaryKey::GlobalKey { hi, lo } => {
            row.push(5);
            row.extend_from_slice(&hi.to_be_bytes());
            row.extend_from_slice(&lo.to_be_bytes());
        }
    }
}

impl From<i64> for PrimaryKey {
    fn from(key: i64) -> Self {
        Self::Int(key)
    }
}

impl From<i32> for PrimaryKey {
    fn from(key: i32) -> Self {
        Self::Int(key.into())
    }
}

impl From<&str> for PrimaryKey {
    fn from(key: &str) -> Self {
        Self::String(key.into())
    }
}

impl From<String> for PrimaryKey {
    fn from(key: String) -> Self {
        Self::String(key.into())
    }
}

impl<T: Into<Self>> From<Option<T>> for PrimaryKey {
    fn from(key: Option<T>) -> Self {
        key.map_or(Self::Null, Into::into)
    }
}

impl From<&Self> for PrimaryKey {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl fmt::Display for PrimaryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => write!(f, "{value}"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::ObjectId(id) => write!(f, "objectId {}", Hex(id)),
            Self::Uuid(id) => write!(f, "uuid {}", UuidText(id)),
            Self::GlobalKey { hi, lo } => write!(f, "globalKey {hi:x}-{lo:x}"),
        }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A UUID in its usual form.
pub(crate) struct UuidText<'a>(pub(crate) &'a [u8; 16]);

impl fmt::Display for UuidText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rows_sort_by_class_then_key() {
        let keys = [
            PrimaryKey::Null,
            PrimaryKey::Int(i64::MIN),
            PrimaryKey::Int(-1),
            PrimaryKey::Int(0),
            PrimaryKey::Int(i64::MAX),
            PrimaryKey::String("".into()),
            PrimaryKey::String("a".into()),
            PrimaryKey::String("ab".into()),
            PrimaryKey::String("b".into()),
            PrimaryKey::ObjectId([1; 12]),
            PrimaryKey::Uuid([1; 16]),
            PrimaryKey::GlobalKey { hi: 1, lo: 2 },
            PrimaryKey::GlobalKey { hi: 2, lo: 1 },
        ];
        let rows = [255, 256].map(|class| keys.clone().map(|key| encode_row(ClassId(class), &key)));
        assert!(rows.as_flattened().is_sorted());
        for (row, key) in rows[0].iter().zip(keys) {
            assert_eq!(decode_row(row), Ok((ClassId(255), key)));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_row_or_an_error(bytes: Vec<u8>) {
            if let Ok((class, key)) = decode_row(&bytes) {
                prop_assert_eq!(&*encode_row(class, &key), &*bytes);
            }
        }
    }
}
