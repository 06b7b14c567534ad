//! Realm's types in serde.
//!
//! In a format for people (JSON) they are text: an `ObjectId` its digits, a timestamp its date, bytes base64. Within
//! this crate, and in other formats of bytes, they are newtype structs: of a name that [`object`](crate::object)'s
//! own serializer and deserializer know, with their plain contents. So a field of a struct arrives as the type that
//! it is.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{Error as _, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::names::{BINARY, DECIMAL, LINK, OBJECT_ID, TIMESTAMP, UUID, key_from_value, key_value};
use super::{Binary, Decimal, Link, ObjectId, Timestamp, Uuid, Value};

impl Serialize for ObjectId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, self, OBJECT_ID, &Bytes(self.0))
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, OBJECT_ID, |Bytes(id)| Some(Self(id)))
    }
}

impl Serialize for Uuid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, self, UUID, &Bytes(self.0))
    }
}

impl<'de> Deserialize<'de> for Uuid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, UUID, |Bytes(id)| Some(Self(id)))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, self, TIMESTAMP, &(self.seconds(), self.nanoseconds()))
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, TIMESTAMP, |(seconds, nanoseconds)| {
            Self::new(seconds, nanoseconds)
        })
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, self, DECIMAL, &Bytes(self.to_bits().to_le_bytes()))
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer, DECIMAL, |Bytes(bits)| {
            Some(Self::from_bits(u128::from_le_bytes(bits)))
        })
    }
}

impl Serialize for Binary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, &BASE64_STANDARD.encode(&self.0), BINARY, &Bytes(&*self.0))
    }
}

impl<'de> Deserialize<'de> for Binary {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return BASE64_STANDARD.decode(text).map(Self).map_err(D::Error::custom);
        }
        deserializer
            .deserialize_newtype_struct(BINARY, Newtype::new(|Bytes(bytes)| Some(Self(bytes))))
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = key_value(&self.key);
        if serializer.is_human_readable() {
            let mut map = serializer.serialize_map(Some(2))?;
            map.serialize_entry("$ref", &self.class)?;
            map.serialize_entry("$id", &key)?;
            return map.end();
        }
        serializer.serialize_newtype_struct(LINK, &(&self.class, key))
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return match Value::deserialize(deserializer)? {
                Value::Link(link) => Ok(link),
                _ => Err(D::Error::custom("a link is a map of $ref and $id")),
            };
        }
        let visitor = Newtype::new(|(class, key): (String, Value)| {
            Some(Self { class, key: key_from_value(&key)? })
        });
        deserializer.deserialize_newtype_struct(LINK, visitor)
    }
}

/// Any value, as a format of bytes has it.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Value", rename = "$bailiwick::Value")]
enum Tagged {
    Null,
    Int(i64),
    Bool(bool),
    String(String),
    Binary(#[serde(with = "bytes")] Vec<u8>),
    Timestamp(Timestamp),
    Float(f32),
    Double(f64),
    Decimal(Decimal),
    ObjectId(ObjectId),
    Uuid(Uuid),
    Link(Link),
    List(Vec<Value>),
    Set(Vec<Value>),
    Dictionary(BTreeMap<String, Value>),
    Object(BTreeMap<String, Value>),
}

/// In a format for people the plain value, which does not tell its type: it may be read back as another.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return Tagged::serialize(self, serializer);
        }
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::String(text) => serializer.serialize_str(text),
            Self::Binary(bytes) => serializer.serialize_str(&BASE64_STANDARD.encode(bytes)),
            Self::Timestamp(value) => value.serialize(serializer),
            Self::Float(value) => serializer.serialize_f32(*value),
            Self::Double(value) => serializer.serialize_f64(*value),
            Self::Decimal(value) => value.serialize(serializer),
            Self::ObjectId(value) => value.serialize(serializer),
            Self::Uuid(value) => value.serialize(serializer),
            Self::Link(link) => link.serialize(serializer),
            Self::List(elements) | Self::Set(elements) => {
                let mut sequence = serializer.serialize_seq(Some(elements.len()))?;
                elements.iter().try_for_each(|element| sequence.serialize_element(element))?;
                sequence.end()
            }
            Self::Dictionary(entries) | Self::Object(entries) => {
                let mut map = serializer.serialize_map(Some(entries.len()))?;
                entries.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Plain)
        } else {
            Tagged::deserialize(deserializer)
        }
    }
}

/// Reads what a format for people has, by its looks.
struct Plain;

impl<'de> Visitor<'de> for Plain {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        i64::try_from(value).map(Value::Int).map_err(E::custom)
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Double(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = items.next_element()? {
            elements.push(element);
        }
        Ok(Value::List(elements))
    }

    fn visit_map<A: serde::de::MapAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut entries = BTreeMap::new();
        while let Some((key, value)) = items.next_entry()? {
            entries.insert(key, value);
        }
        // No dictionary has a key that begins like that.
        if let (Some(Value::String(class)), Some(key)) = (entries.get("$ref"), entries.get("$id"))
            && let Some(key) = key_from_value(key)
        {
            return Ok(Value::Link(Link { class: class.clone(), key }));
        }
        Ok(Value::Dictionary(entries))
    }
}

/// Writes the text for people, or a newtype struct of the contents.
fn serialize<S: Serializer>(
    serializer: S,
    text: &impl fmt::Display,
    name: &'static str,
    contents: &impl Serialize,
) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        serializer.collect_str(text)
    } else {
        serializer.serialize_newtype_struct(name, contents)
    }
}

/// Reads what [`serialize`] writes.
fn deserialize<'de, D, C, T>(
    deserializer: D,
    name: &'static str,
    make: fn(C) -> Option<T>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    C: Deserialize<'de>,
    T: FromStr<Err: fmt::Display>,
{
    if deserializer.is_human_readable() {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    } else {
        deserializer.deserialize_newtype_struct(name, Newtype::new(make))
    }
}

/// Reads a newtype struct with these contents.
struct Newtype<C, T> {
    make: fn(C) -> Option<T>,
}

impl<C, T> Newtype<C, T> {
    fn new(make: fn(C) -> Option<T>) -> Self {
        Self { make }
    }
}

impl<'de, C: Deserialize<'de>, T> Visitor<'de> for Newtype<C, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a newtype struct")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        let contents = C::deserialize(deserializer)?;
        (self.make)(contents).ok_or_else(|| D::Error::custom("the contents contradict each other"))
    }
}

/// Bytes, not a sequence of numbers.
struct Bytes<T>(T);

impl<T: AsRef<[u8]>> Serialize for Bytes<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0.as_ref())
    }
}

impl<'de, T: TryFrom<Vec<u8>>> Deserialize<'de> for Bytes<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = bytes::deserialize(deserializer)?;
        let len = bytes.len();
        T::try_from(bytes).map(Self).map_err(|_| D::Error::invalid_length(len, &"other bytes"))
    }
}

mod bytes {
    use std::fmt;

    use serde::de::{Error, Visitor};
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        deserializer.deserialize_byte_buf(BytesVisitor)
    }

    struct BytesVisitor;

    impl Visitor<'_> for BytesVisitor {
        type Value = Vec<u8>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes")
        }

        fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_owned())
        }

        fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
            Ok(bytes)
        }
    }
}
