//! How an object is stored.
//!
//! ```text
//! stored = version(1) object
//! object = count { column id, value }      in the order of the columns
//! value  = tag, 1 byte   data
//! ```
//!
//! A transaction stores no value that is its column's default, and none of a column that is gone, so that the
//! bytes follow from what the object reads as.
//!
//! | tag | value | data |
//! |---|---|---|
//! | 0, 2, 3 | null, false, true | |
//! | 1 | int | signed |
//! | 4, 5 | string, binary | length, bytes |
//! | 6 | timestamp | signed seconds, signed nanoseconds |
//! | 7, 8 | float, double | 4, 8 bytes, little endian |
//! | 9 | decimal | 16 bytes, little endian |
//! | 10, 11 | objectId, uuid | 12, 16 bytes |
//! | 12 | link | class id, row of the key without its class behind its length |
//! | 13, 14 | list, set | count, values |
//! | 15 | dictionary | count, then text and value of each, in the byte order of the texts |
//! | 16 | embedded object | object |
//!
//! Counts, lengths, ids and signed integers are varints.

use std::sync::Arc;

use bailiwick_protocol::changeset::{Decimal, Timestamp};

use super::{Dictionary, Link, Object, Sequence, Set, Value, decode_row, encode_row};
use crate::encoding::{EncodingError, Reader, put_bytes, put_i64, put_len, put_u32};
use crate::schema::{ClassId, ColumnId};

const VERSION: u8 = 1;

/// How deep values can lie in each other. A value is created by a path that leads there, and paths have at
/// most 256 elements.
const MAX_DEPTH: usize = 260;

impl Object {
    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![VERSION];
        put_object(&mut out, self);
        out
    }

    /// Reads the stored form. Costs time and memory in proportion to `bytes`, whatever they are.
    ///
    /// # Errors
    ///
    /// The bytes are not what [`encode`](Self::encode) writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, EncodingError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => (),
            version => return Err(EncodingError::Version(version)),
        }
        let object = read_object(&mut reader, 0)?;
        reader.finish()?;
        Ok(object)
    }
}

fn put_object(out: &mut Vec<u8>, object: &Object) {
    put_len(out, object.fields().len());
    for (column, value) in object.fields() {
        put_u32(out, column.0);
        put_value(out, value);
    }
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Int(value) => {
            out.push(1);
            put_i64(out, *value);
        }
        Value::Bool(value) => out.push(2 + u8::from(*value)),
        Value::String(text) => {
            out.push(4);
            put_bytes(out, text.as_bytes());
        }
        Value::Binary(bytes) => {
            out.push(5);
            put_bytes(out, bytes);
        }
        Value::Timestamp(timestamp) => {
            out.push(6);
            put_i64(out, timestamp.seconds);
            put_i64(out, timestamp.nanoseconds.into());
        }
        Value::Float(value) => {
            out.push(7);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Double(value) => {
            out.push(8);
            out.extend_from_slice(&value.to_le_bytes());
        }
        Value::Decimal(value) => {
            out.push(9);
            out.extend_from_slice(&value.0.to_le_bytes());
        }
        Value::ObjectId(id) => {
            out.push(10);
            out.extend_from_slice(id);
        }
        Value::Uuid(id) => {
            out.push(11);
            out.extend_from_slice(id);
        }
        Value::Link(link) => {
            out.push(12);
            put_bytes(out, &encode_row(link.class, &link.key));
        }
        Value::List(list) => {
            out.push(13);
            put_len(out, list.len());
            list.iter().for_each(|element| put_value(out, element));
        }
        Value::Set(set) => {
            out.push(14);
            put_len(out, set.iter().count());
            set.iter().for_each(|element| put_value(out, element));
        }
        Value::Dictionary(dictionary) => {
            out.push(15);
            put_len(out, dictionary.iter().count());
            for (key, value) in dictionary.iter() {
                put_bytes(out, key.as_bytes());
                put_value(out, value);
            }
        }
        Value::Object(object) => {
            out.push(16);
            put_object(out, object);
        }
    }
}

fn read_object(reader: &mut Reader<'_>, depth: usize) -> Result<Object, EncodingError> {
    let count = reader.count()?;
    let mut fields: Vec<(ColumnId, Value)> = Vec::new();
    for _ in 0..count {
        let column = ColumnId(reader.u32()?);
        if fields.last().is_some_and(|(previous, _)| *previous >= column) {
            return Err(EncodingError::Invalid("columns are out of order"));
        }
        fields.push((column, read_value(reader, depth + 1)?));
    }
    Ok(Object::from_sorted(fields))
}

fn read_value(reader: &mut Reader<'_>, depth: usize) -> Result<Value, EncodingError> {
    if depth > MAX_DEPTH {
        return Err(EncodingError::Invalid("values lie too deep in each other"));
    }
    Ok(match reader.u8()? {
        0 => Value::Null,
        1 => Value::Int(reader.i64()?),
        2 => Value::Bool(false),
        3 => Value::Bool(true),
        4 => Value::String(reader.str()?.into()),
        5 => Value::Binary(reader.bytes()?.into()),
        6 => Value::Timestamp(Timestamp {
            seconds: reader.i64()?,
            nanoseconds: i32::try_from(reader.i64()?)
                .map_err(|_| EncodingError::Invalid("a second has fewer nanoseconds"))?,
        }),
        7 => Value::Float(f32::from_le_bytes(reader.array()?)),
        8 => Value::Double(f64::from_le_bytes(reader.array()?)),
        9 => Value::Decimal(Decimal(u128::from_le_bytes(reader.array()?))),
        10 => Value::ObjectId(reader.array()?),
        11 => Value::Uuid(reader.array()?),
        12 => Value::Link(Arc::new(read_link(reader)?)),
        13 => Value::List(read_elements(reader, depth)?),
        14 => Value::Set(Set::from_sorted(read_elements(reader, depth)?)),
        15 => Value::Dictionary(read_dictionary(reader, depth)?),
        16 => Value::Object(Arc::new(read_object(reader, depth)?)),
        _ => return Err(EncodingError::Invalid("there is no such type of value")),
    })
}

fn read_link(reader: &mut Reader<'_>) -> Result<Link, EncodingError> {
    let (class, key): (ClassId, _) = decode_row(reader.bytes()?)
        .map_err(|_| EncodingError::Invalid("a link does not name an object"))?;
    Ok(Link { class, key })
}

fn read_elements(reader: &mut Reader<'_>, depth: usize) -> Result<Sequence<Value>, EncodingError> {
    let count = reader.count()?;
    (0..count).map(|_| read_value(reader, depth + 1)).collect()
}

fn read_dictionary(reader: &mut Reader<'_>, depth: usize) -> Result<Dictionary, EncodingError> {
    let count = reader.count()?;
    let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
    for _ in 0..count {
        let key = reader.str()?;
        if entries.last().is_some_and(|(previous, _)| &**previous >= key) {
            return Err(EncodingError::Invalid("dictionary keys are out of order"));
        }
        entries.push((key.into(), read_value(reader, depth + 1)?));
    }
    Ok(Dictionary::from_sorted(entries.into_iter().collect()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::state::{PrimaryKey, SetOrder};

    fn key() -> impl Strategy<Value = PrimaryKey> {
        prop_oneof![
            Just(PrimaryKey::Null),
            any::<i64>().prop_map(PrimaryKey::Int),
            ".*".prop_map(|text| PrimaryKey::String(text.into())),
            any::<[u8; 12]>().prop_map(PrimaryKey::ObjectId),
            any::<[u8; 16]>().prop_map(PrimaryKey::Uuid),
            any::<(u64, u64)>().prop_map(|(hi, lo)| PrimaryKey::GlobalKey { hi, lo }),
        ]
    }

    fn scalar() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Int),
            any::<bool>().prop_map(Value::Bool),
            ".*".prop_map(|text| Value::String(text.into())),
            any::<Vec<u8>>().prop_map(|bytes| Value::Binary(bytes.into())),
            any::<(i64, i32)>().prop_map(|(seconds, nanoseconds)| Value::Timestamp(Timestamp {
                seconds,
                nanoseconds
            })),
            any::<u32>().prop_map(|bits| Value::Float(f32::from_bits(bits))),
            any::<u64>().prop_map(|bits| Value::Double(f64::from_bits(bits))),
            any::<u128>().prop_map(|bits| Value::Decimal(Decimal(bits))),
            any::<[u8; 12]>().prop_map(Value::ObjectId),
            any::<[u8; 16]>().prop_map(Value::Uuid),
            (any::<u32>(), key()).prop_map(|(class, key)| Value::Link(Arc::new(Link {
                class: ClassId(class),
                key
            }))),
            prop::collection::vec(any::<i64>().prop_map(Value::Int), 0..5).prop_map(|elements| {
                let mut set = Set::default();
                for element in elements {
                    set.insert(element, SetOrder::Mixed);
                }
                Value::Set(set)
            }),
        ]
    }

    fn value() -> impl Strategy<Value = Value> {
        scalar().prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|elements| Value::List(elements.into_iter().collect())),
                prop::collection::vec((".*", inner.clone()), 0..6).prop_map(|entries| {
                    let mut dictionary = Dictionary::default();
                    for (key, value) in entries {
                        dictionary.insert(&key, value);
                    }
                    Value::Dictionary(dictionary)
                }),
                prop::collection::vec((any::<u32>(), inner), 0..6)
                    .prop_map(|fields| Value::Object(Arc::new(object_of(fields)))),
            ]
        })
    }

    fn object_of(fields: Vec<(u32, Value)>) -> Object {
        let mut object = Object::default();
        for (column, value) in fields {
            object.set(ColumnId(column), value);
        }
        object
    }

    proptest! {
        #[test]
        fn an_object_comes_back(fields in prop::collection::vec((any::<u32>(), value()), 0..6)) {
            let object = object_of(fields);
            prop_assert_eq!(Object::decode(&object.encode()), Ok(object));
        }

        #[test]
        fn any_bytes_are_read_without_panic(
            bytes: Vec<u8>,
            fields in prop::collection::vec((any::<u32>(), value()), 1..4),
            at: prop::sample::Index,
            byte: u8,
        ) {
            let _ = Object::decode(&bytes);
            let mut near = object_of(fields).encode();
            let at = at.index(near.len());
            near[at] = byte;
            let _ = Object::decode(&near);
            prop_assert!(Object::decode(&near[..at]).is_err());
        }
    }

    #[test]
    fn depth_is_bounded_in_reading() {
        let deep = |depth| {
            let mut bytes = vec![VERSION, 1, 0];
            bytes.extend([13, 1].repeat(depth));
            bytes.push(0);
            Object::decode(&bytes)
        };
        assert!(deep(MAX_DEPTH - 1).is_ok());
        assert!(deep(MAX_DEPTH).is_err());
        assert!(deep(1_000_000).is_err());
    }
}
