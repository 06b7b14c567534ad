//! Which realm a device asks for: the partition value of BIND, and what the app's partition key allows.
//!
//! ```
//! use bailiwick_core::partition::{PartitionKey, PartitionType, PartitionValue};
//!
//! let key = PartitionKey { partition_type: PartitionType::Long, required: true };
//! let spellings = ["42", r#"{"$numberInt": "42"}"#, r#"{"$numberLong": "42"}"#];
//! for text in spellings {
//!     assert_eq!(key.bind(text), Ok(PartitionValue::Int(42)));
//! }
//! assert_eq!(
//!     key.bind(r#""42""#).unwrap_err().to_string(),
//!     "attempted to bind on illegal realm partition: \
//!      expected partition to have type long but found string",
//! );
//! ```
//!
//! Spec: partitioning, sections 1 to 4; wire protocol, section 3.3.

use std::fmt;

use bson::{Binary, Bson, spec::BinarySubtype};

use crate::state::{Hex, UuidText};

/// The value that the documents of one partition have in common. Each is a realm of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PartitionValue {
    /// The partition of the documents without a value.
    Null,
    /// Text, compared byte by byte.
    String(Box<str>),
    /// An integer, of whatever width it was sent.
    Int(i64),
    /// An `ObjectId`.
    ObjectId([u8; 12]),
    /// A UUID.
    Uuid([u8; 16]),
}

/// The types that a partition key can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PartitionType {
    /// Text.
    String,
    /// Integers, also called `int`.
    Long,
    /// `ObjectId`s.
    ObjectId,
    /// UUIDs.
    Uuid,
}

/// What an app says of its partition key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PartitionKey {
    /// The type of the values.
    pub partition_type: PartitionType,
    /// Whether every document has a value, so that there is no null partition.
    pub required: bool,
}

/// Why a device cannot have the partition that it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("attempted to bind on illegal realm partition: {fault}")]
pub struct IllegalPartition {
    /// What is wrong.
    pub fault: PartitionFault,
}

/// What is wrong with a partition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartitionFault {
    /// No SDK and no store takes that much.
    #[error("the partition has {0} bytes, more than {MAX_LEN}")]
    TooLong(usize),
    /// The text means nothing.
    #[error("the partition is not Extended JSON")]
    Unreadable,
    /// A value that no partition key can have.
    #[error("a partition cannot have type {0}")]
    Type(&'static str),
    /// A value that this app's partition key cannot have.
    #[error("expected partition to have type {expected} but found {found}")]
    Mismatch {
        /// The type of the partition key.
        expected: &'static str,
        /// The type of the value.
        found: &'static str,
    },
}

/// The bytes are not a partition value's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the bytes do not name a partition")]
pub struct KeyBytesError;

/// The longest text of a partition value, in bytes.
pub const MAX_LEN: usize = 1024;

impl PartitionKey {
    /// The partition that a BIND asks for.
    ///
    /// # Errors
    ///
    /// As [`PartitionValue::parse`] and [`check`](Self::check).
    pub fn bind(self, text: &str) -> Result<PartitionValue, IllegalPartition> {
        let value = PartitionValue::parse(text)?;
        self.check(&value)?;
        Ok(value)
    }

    /// Whether the partition key can have this value.
    ///
    /// # Errors
    ///
    /// The value is of another type, or null although there is no null partition.
    pub fn check(self, value: &PartitionValue) -> Result<(), IllegalPartition> {
        let fits = match value {
            PartitionValue::Null => !self.required,
            PartitionValue::String(_) => self.partition_type == PartitionType::String,
            PartitionValue::Int(_) => self.partition_type == PartitionType::Long,
            PartitionValue::ObjectId(_) => self.partition_type == PartitionType::ObjectId,
            PartitionValue::Uuid(_) => self.partition_type == PartitionType::Uuid,
        };
        if fits {
            return Ok(());
        }
        let (expected, found) = (self.partition_type.name(), value.type_name());
        Err(PartitionFault::Mismatch { expected, found }.into())
    }
}

impl PartitionType {
    /// The type that a configuration file names.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "string" => Self::String,
            "long" | "int" => Self::Long,
            "objectId" => Self::ObjectId,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }

    /// The name in configuration files and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::String => "string",
            Self::Long => "long",
            Self::ObjectId => "objectId",
            Self::Uuid => "uuid",
        }
    }
}

impl PartitionValue {
    /// Reads Extended JSON, relaxed or canonical; all spellings of a value give the same value.
    ///
    /// # Errors
    ///
    /// The text is longer than [`MAX_LEN`] bytes, not Extended JSON, or a value that no partition key can
    /// have: a fraction, a boolean, a document.
    pub fn parse(text: &str) -> Result<Self, IllegalPartition> {
        if text.len() > MAX_LEN {
            return Err(PartitionFault::TooLong(text.len()).into());
        }
        let unreadable = || IllegalPartition::from(PartitionFault::Unreadable);
        let mut json: serde_json::Value = serde_json::from_str(text).map_err(|_| unreadable())?;
        pad_subtype(&mut json);
        let fault = match Bson::try_from(json).map_err(|_| unreadable())? {
            Bson::Null => return Ok(Self::Null),
            Bson::String(text) => return Ok(Self::String(text.into())),
            Bson::Int32(value) => return Ok(Self::Int(value.into())),
            Bson::Int64(value) => return Ok(Self::Int(value)),
            Bson::ObjectId(id) => return Ok(Self::ObjectId(id.bytes())),
            Bson::Binary(binary) => match (binary.subtype, <[u8; 16]>::try_from(binary.bytes)) {
                (BinarySubtype::Uuid, Ok(id)) => return Ok(Self::Uuid(id)),
                _ => PartitionFault::Type("binData"),
            },
            other => PartitionFault::Type(type_name(&other)),
        };
        Err(fault.into())
    }

    /// The value as canonical Extended JSON, which every server reads and [`parse`](Self::parse) reads back.
    pub fn to_json(&self) -> String {
        let bson = match self {
            Self::Null => Bson::Null,
            Self::String(text) => Bson::String(text.to_string()),
            Self::Int(value) => Bson::Int64(*value),
            Self::ObjectId(id) => Bson::ObjectId((*id).into()),
            Self::Uuid(id) => {
                Bson::from(Binary { subtype: BinarySubtype::Uuid, bytes: id.to_vec() })
            }
        };
        bson.into_canonical_extjson().to_string()
    }

    /// The type, as messages name it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::String(_) => PartitionType::String.name(),
            Self::Int(_) => PartitionType::Long.name(),
            Self::ObjectId(_) => PartitionType::ObjectId.name(),
            Self::Uuid(_) => PartitionType::Uuid.name(),
        }
    }

    /// Bytes that name the value and no other, for the keys of stores: a tag (0 null, 1 string, 2 integer,
    /// 3 `ObjectId`, 4 UUID), then the text, the number (8 bytes, big endian, the sign bit flipped) or the id.
    pub fn to_key_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(17);
        match self {
            Self::Null => bytes.push(0),
            Self::String(text) => {
                bytes.push(1);
                bytes.extend_from_slice(text.as_bytes());
            }
            Self::Int(value) => {
                bytes.push(2);
                bytes.extend_from_slice(&(value.cast_unsigned() ^ SIGN).to_be_bytes());
            }
            Self::ObjectId(id) => {
                bytes.push(3);
                bytes.extend_from_slice(id);
            }
            Self::Uuid(id) => {
                bytes.push(4);
                bytes.extend_from_slice(id);
            }
        }
        bytes
    }

    /// The value that [`to_key_bytes`](Self::to_key_bytes) names.
    ///
    /// # Errors
    ///
    /// There is no such value.
    pub fn from_key_bytes(bytes: &[u8]) -> Result<Self, KeyBytesError> {
        let (&tag, rest) = bytes.split_first().ok_or(KeyBytesError)?;
        let value = match tag {
            0 if rest.is_empty() => Some(Self::Null),
            1 => std::str::from_utf8(rest).ok().map(|text| Self::String(text.into())),
            2 => rest
                .try_into()
                .ok()
                .map(|bytes| Self::Int((u64::from_be_bytes(bytes) ^ SIGN).cast_signed())),
            3 => rest.try_into().ok().map(Self::ObjectId),
            4 => rest.try_into().ok().map(Self::Uuid),
            _ => None,
        };
        value.ok_or(KeyBytesError)
    }
}

const SIGN: u64 = 1 << 63;

/// Extended JSON allows a binary's subtype to be one hexadecimal digit; the parser wants two.
fn pad_subtype(json: &mut serde_json::Value) {
    let subtype = json.get_mut("$binary").and_then(|binary| binary.get_mut("subType"));
    if let Some(serde_json::Value::String(subtype)) = subtype
        && subtype.len() == 1
    {
        subtype.insert(0, '0');
    }
}

fn type_name(bson: &Bson) -> &'static str {
    match bson {
        Bson::Double(_) => "double",
        Bson::Boolean(_) => "bool",
        Bson::Array(_) => "array",
        Bson::Document(_) => "object",
        Bson::DateTime(_) => "date",
        Bson::Decimal128(_) => "decimal",
        _ => "other",
    }
}

impl From<PartitionFault> for IllegalPartition {
    fn from(fault: PartitionFault) -> Self {
        Self { fault }
    }
}

impl From<&str> for PartitionValue {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for PartitionValue {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl From<i64> for PartitionValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl fmt::Display for PartitionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Int(value) => value.fmt(f),
            Self::ObjectId(id) => Hex(id).fmt(f),
            Self::Uuid(id) => UuidText(id).fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(text: &str, expected: &Result<PartitionValue, PartitionFault>) {
        assert_eq!(&PartitionValue::parse(text).map_err(|error| error.fault), expected, "{text}");
    }

    #[test]
    fn every_spelling_of_a_value_is_read() {
        let string = |text: &str| PartitionValue::String(text.into());
        let uuid = PartitionValue::Uuid([
            0xaa, 0xaa, 0xaa, 0xaa, 0xbb, 0xbb, 0x4c, 0xcc, 0x8d, 0xdd, 0xee, 0xee, 0xee, 0xee,
            0xee, 0xee,
        ]);
        let id = PartitionValue::ObjectId([0x5f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xc]);
        let cases = [
            ("null", PartitionValue::Null),
            (r#""store42""#, string("store42")),
            (r#""""#, string("")),
            (r#"" a ""#, string(" a ")),
            (r#""null""#, string("null")),
            (r#""with \"quotes\" and ü/\\""#, string("with \"quotes\" and ü/\\")),
            (r#""\u00fc""#, string("ü")),
            ("42", PartitionValue::Int(42)),
            (" 42 ", PartitionValue::Int(42)),
            ("-7", PartitionValue::Int(-7)),
            ("2147483648", PartitionValue::Int(2_147_483_648)),
            (r#"{"$numberInt":"42"}"#, PartitionValue::Int(42)),
            (r#"{"$numberLong":"42"}"#, PartitionValue::Int(42)),
            (r#"{ "$numberLong" : "-9223372036854775808" }"#, PartitionValue::Int(i64::MIN)),
            (r#"{"$oid":"5f000000000000000000000c"}"#, id.clone()),
            (r#"{"$oid":"5F000000000000000000000C"}"#, id),
            (r#"{"$uuid":"aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"}"#, uuid.clone()),
            (r#"{"$binary":{"base64":"qqqqqru7TMyN3e7u7u7u7g==","subType":"04"}}"#, uuid.clone()),
            (r#"{"$binary":{"base64":"qqqqqru7TMyN3e7u7u7u7g==","subType":"4"}}"#, uuid),
        ];
        for (text, value) in cases {
            check(text, &Ok(value));
        }
    }

    #[test]
    fn what_cannot_be_a_partition_is_refused() {
        let kind = PartitionFault::Type;
        let cases = [
            ("", PartitionFault::Unreadable),
            ("not json", PartitionFault::Unreadable),
            ("1 2", PartitionFault::Unreadable),
            (r#"{"$oid":"5f"}"#, PartitionFault::Unreadable),
            (r#"{"$numberInt":"2147483648"}"#, PartitionFault::Unreadable),
            ("42.5", kind("double")),
            ("42.0", kind("double")),
            ("9223372036854775808", kind("double")),
            (r#"{"$numberDouble":"42"}"#, kind("double")),
            ("true", kind("bool")),
            ("[1]", kind("array")),
            (r#"{"a":1}"#, kind("object")),
            (
                r#"{"$binary":{"base64":"qqqqqru7TMyN3e7u7u7u7g==","subType":"00"}}"#,
                kind("binData"),
            ),
            (r#"{"$binary":{"base64":"qqqq","subType":"04"}}"#, kind("binData")),
        ];
        for (text, fault) in cases {
            check(text, &Err(fault));
        }
        check(&"1".repeat(1025), &Err(PartitionFault::TooLong(1025)));
        check(&"[".repeat(1024), &Err(PartitionFault::Unreadable));
    }

    #[test]
    fn values_are_written_as_the_sdks_write_them() {
        let cases = [
            (PartitionValue::Null, "null"),
            ("a\"b".into(), r#""a\"b""#),
            (42.into(), r#"{"$numberLong":"42"}"#),
            (PartitionValue::ObjectId([0x5f; 12]), r#"{"$oid":"5f5f5f5f5f5f5f5f5f5f5f5f"}"#),
            (
                PartitionValue::Uuid([0xaa; 16]),
                r#"{"$binary":{"base64":"qqqqqqqqqqqqqqqqqqqqqg==","subType":"04"}}"#,
            ),
        ];
        for (value, text) in cases {
            assert_eq!(value.to_json(), text);
        }
    }

    #[test]
    fn the_null_partition_exists_only_where_the_key_is_optional() {
        let key = |required| PartitionKey { partition_type: PartitionType::String, required };
        assert_eq!(key(false).bind("null"), Ok(PartitionValue::Null));
        assert_eq!(
            key(true).bind("null").unwrap_err().fault,
            PartitionFault::Mismatch { expected: "string", found: "null" }
        );
    }

    fn value() -> impl Strategy<Value = PartitionValue> {
        prop_oneof![
            Just(PartitionValue::Null),
            ".*".prop_map(|text| PartitionValue::String(text.into())),
            any::<i64>().prop_map(PartitionValue::Int),
            any::<[u8; 12]>().prop_map(PartitionValue::ObjectId),
            any::<[u8; 16]>().prop_map(PartitionValue::Uuid),
        ]
    }

    proptest! {
        #[test]
        fn key_bytes_name_one_value(a in value(), b in value()) {
            prop_assert_eq!(a == b, a.to_key_bytes() == b.to_key_bytes());
            prop_assert_eq!(PartitionValue::from_key_bytes(&a.to_key_bytes()), Ok(a));
        }

        #[test]
        fn the_text_of_a_value_is_read_back(value in value()) {
            prop_assume!(value.to_json().len() <= MAX_LEN);
            prop_assert_eq!(PartitionValue::parse(&value.to_json()), Ok(value));
        }

        #[test]
        fn any_bytes_are_a_key_or_an_error(bytes: Vec<u8>) {
            if let Ok(value) = PartitionValue::from_key_bytes(&bytes) {
                prop_assert_eq!(value.to_key_bytes(), bytes);
            }
        }

        #[test]
        fn any_text_is_a_value_or_an_error(text in ".{0,80}") {
            let _ = PartitionValue::parse(&text);
        }
    }
}
