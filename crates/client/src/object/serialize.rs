//! From anything that serde can write to a [`Value`].

use std::collections::BTreeMap;
use std::fmt::Display;

use serde::ser::{self, Error as _, Serialize};

use super::ObjectError;
use crate::value::{Decimal, Link, ObjectId, Timestamp, Uuid, Value, names};

/// Makes values. Newtype structs and the enum that [`value`](crate::value) writes are what they are named; other
/// structs are embedded objects, maps dictionaries.
pub(super) struct ToValue;

/// A list, or what is made of one.
pub(super) struct Elements {
    values: Vec<Value>,
}

/// A dictionary or an embedded object.
pub(super) struct Entries {
    values: BTreeMap<String, Value>,
    /// The key of the next value.
    key: Option<String>,
}

type Result<T = Value> = std::result::Result<T, ObjectError>;

impl ser::Serializer for ToValue {
    type Ok = Value;
    type Error = ObjectError;
    type SerializeSeq = Elements;
    type SerializeTuple = Elements;
    type SerializeTupleStruct = Elements;
    type SerializeTupleVariant = ser::Impossible<Value, ObjectError>;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = ser::Impossible<Value, ObjectError>;

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_bool(self, value: bool) -> Result {
        Ok(Value::Bool(value))
    }

    fn serialize_i8(self, value: i8) -> Result {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i16(self, value: i16) -> Result {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i32(self, value: i32) -> Result {
        Ok(Value::Int(value.into()))
    }

    fn serialize_i64(self, value: i64) -> Result {
        Ok(Value::Int(value))
    }

    fn serialize_u8(self, value: u8) -> Result {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u16(self, value: u16) -> Result {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u32(self, value: u32) -> Result {
        Ok(Value::Int(value.into()))
    }

    fn serialize_u64(self, value: u64) -> Result {
        i64::try_from(value).map(Value::Int).map_err(ObjectError::new)
    }

    fn serialize_f32(self, value: f32) -> Result {
        Ok(Value::Float(value))
    }

    fn serialize_f64(self, value: f64) -> Result {
        Ok(Value::Double(value))
    }

    fn serialize_char(self, value: char) -> Result {
        Ok(Value::String(value.into()))
    }

    fn serialize_str(self, text: &str) -> Result {
        Ok(Value::String(text.to_owned()))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Result {
        Ok(Value::Binary(bytes.to_owned()))
    }

    fn serialize_none(self) -> Result {
        Ok(Value::Null)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result {
        Ok(Value::Null)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result {
        Ok(Value::Null)
    }

    fn serialize_unit_variant(self, name: &'static str, _: u32, variant: &'static str) -> Result {
        Ok(if name == names::VALUE { Value::Null } else { Value::String(variant.to_owned()) })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result {
        let contents = value.serialize(self)?;
        named(name, contents).map_err(|contents| {
            ObjectError::new(format_args!("{name} is not made of {}", contents.type_name()))
        })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result {
        if name != names::VALUE {
            return Err(no_property(name));
        }
        // The others are already what the variant says.
        Ok(match (variant, value.serialize(self)?) {
            ("Set", Value::List(elements)) => Value::Set(elements),
            ("Object", Value::Dictionary(fields)) => Value::Object(fields),
            (_, value) => value,
        })
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Elements> {
        // What is said of the length need not be true.
        Ok(Elements { values: Vec::with_capacity(len.unwrap_or(0).min(1024)) })
    }

    fn serialize_tuple(self, len: usize) -> Result<Elements> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Elements> {
        self.serialize_seq(Some(len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeTupleVariant> {
        Err(no_property(name))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries> {
        Ok(Entries { values: BTreeMap::new(), key: None })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries> {
        self.serialize_map(None)
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        _: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self::SerializeStructVariant> {
        Err(no_property(name))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result {
        Ok(Value::String(value.to_string()))
    }
}

/// What a newtype struct of this name stands for, or its contents back.
fn named(name: &'static str, contents: Value) -> std::result::Result<Value, Value> {
    let fixed = |bytes: &Vec<u8>| <[u8; 16]>::try_from(bytes.as_slice()).ok();
    let value = match (name, &contents) {
        (names::OBJECT_ID, Value::Binary(id)) => {
            <[u8; 12]>::try_from(id.as_slice()).ok().map(|id| Value::ObjectId(ObjectId(id)))
        }
        (names::UUID, Value::Binary(id)) => fixed(id).map(|id| Value::Uuid(Uuid(id))),
        (names::DECIMAL, Value::Binary(bits)) => {
            fixed(bits).map(|bits| Value::Decimal(Decimal::from_bits(u128::from_le_bytes(bits))))
        }
        (names::TIMESTAMP, Value::List(parts)) => match parts.as_slice() {
            [Value::Int(seconds), Value::Int(nanoseconds)] => i32::try_from(*nanoseconds)
                .ok()
                .and_then(|nanoseconds| Timestamp::new(*seconds, nanoseconds))
                .map(Value::Timestamp),
            _ => None,
        },
        (names::LINK, Value::List(parts)) => match parts.as_slice() {
            [Value::String(class), key] => {
                names::key_from_value(key).map(|key| Value::Link(Link::new(class, key)))
            }
            _ => None,
        },
        (names::SET, Value::List(_)) => {
            let Value::List(elements) = contents else { return Err(contents) };
            return Ok(Value::Set(elements));
        }
        (
            names::OBJECT_ID
            | names::UUID
            | names::DECIMAL
            | names::TIMESTAMP
            | names::LINK
            | names::SET,
            _,
        ) => None,
        // Any other newtype struct is what it holds.
        _ => return Ok(contents),
    };
    value.ok_or(contents)
}

fn no_property(name: &str) -> ObjectError {
    ObjectError::custom(format_args!("no property holds a variant with data, as enum {name} has"))
}

impl Elements {
    fn push<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let index = self.values.len();
        self.values.push(value.serialize(ToValue).map_err(|error| error.within(index))?);
        Ok(())
    }
}

impl ser::SerializeSeq for Elements {
    type Ok = Value;
    type Error = ObjectError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(Value::List(self.values))
    }
}

impl ser::SerializeTuple for Elements {
    type Ok = Value;
    type Error = ObjectError;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(Value::List(self.values))
    }
}

impl ser::SerializeTupleStruct for Elements {
    type Ok = Value;
    type Error = ObjectError;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        self.push(value)
    }

    fn end(self) -> Result {
        Ok(Value::List(self.values))
    }
}

impl ser::SerializeMap for Entries {
    type Ok = Value;
    type Error = ObjectError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<()> {
        match key.serialize(ToValue)? {
            Value::String(key) => self.key = Some(key),
            other => return Err(ObjectError::expected("a key that is a string", &other)),
        }
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<()> {
        let key = self.key.take().ok_or_else(|| ObjectError::new("a value without a key"))?;
        let value = value.serialize(ToValue).map_err(|error| error.within(&key))?;
        self.values.insert(key, value);
        Ok(())
    }

    fn end(self) -> Result {
        Ok(Value::Dictionary(self.values))
    }
}

impl ser::SerializeStruct for Entries {
    type Ok = Value;
    type Error = ObjectError;

    fn serialize_field<T: Serialize + ?Sized>(
        &mut self,
        field: &'static str,
        value: &T,
    ) -> Result<()> {
        let value = value.serialize(ToValue).map_err(|error| error.within(field))?;
        self.values.insert(field.to_owned(), value);
        Ok(())
    }

    fn end(self) -> Result {
        Ok(Value::Object(self.values))
    }
}
