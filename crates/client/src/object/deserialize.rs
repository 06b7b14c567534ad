//! From a [`Value`] to anything that serde can read.

use std::collections::btree_map;
use std::vec;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

use super::ObjectError;
use crate::value::{Value, names};

/// A value to be read.
pub(super) struct FromValue(pub(super) Value);

type Result<T> = std::result::Result<T, ObjectError>;

impl FromValue {
    fn visit_elements<'de, V: Visitor<'de>>(values: Vec<Value>, visitor: V) -> Result<V::Value> {
        let mut elements = Elements { values: values.into_iter(), index: 0 };
        let value = visitor.visit_seq(&mut elements)?;
        match elements.values.len() {
            0 => Ok(value),
            left => Err(ObjectError::new(format_args!("there are {left} elements too many"))),
        }
    }

    /// Checks that the newtype struct of this name is what is here, and gives its contents.
    fn contents(self, name: &str) -> Result<Value> {
        Ok(match (name, self.0) {
            (names::OBJECT_ID, Value::ObjectId(id)) => Value::Binary(id.0.into()),
            (names::OBJECT_ID, other) => return Err(ObjectError::expected("an ObjectId", &other)),
            (names::UUID, Value::Uuid(id)) => Value::Binary(id.0.into()),
            (names::UUID, other) => return Err(ObjectError::expected("a UUID", &other)),
            (names::DECIMAL, Value::Decimal(decimal)) => {
                Value::Binary(decimal.to_bits().to_le_bytes().into())
            }
            (names::DECIMAL, other) => return Err(ObjectError::expected("a decimal", &other)),
            (names::TIMESTAMP, Value::Timestamp(timestamp)) => Value::List(vec![
                Value::Int(timestamp.seconds()),
                Value::Int(timestamp.nanoseconds().into()),
            ]),
            (names::TIMESTAMP, other) => return Err(ObjectError::expected("a timestamp", &other)),
            (names::LINK, Value::Link(link)) => {
                let key = names::key_value(&link.key);
                Value::List(vec![Value::String(link.class), key])
            }
            (names::LINK, other) => return Err(ObjectError::expected("a link", &other)),
            (names::SET, Value::Set(elements)) => Value::List(elements),
            (names::SET, other) => return Err(ObjectError::expected("a set", &other)),
            (_, value) => value,
        })
    }
}

impl<'de> Deserializer<'de> for FromValue {
    type Error = ObjectError;

    fn is_human_readable(&self) -> bool {
        false
    }

    /// Types that serde does not have are text, as in a format for people.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Int(value) => visitor.visit_i64(value),
            Value::Bool(value) => visitor.visit_bool(value),
            Value::String(text) => visitor.visit_string(text),
            Value::Binary(bytes) => visitor.visit_byte_buf(bytes),
            Value::Timestamp(value) => visitor.visit_string(value.to_string()),
            Value::Float(value) => visitor.visit_f32(value),
            Value::Double(value) => visitor.visit_f64(value),
            Value::Decimal(value) => visitor.visit_string(value.to_string()),
            Value::ObjectId(id) => visitor.visit_string(id.to_string()),
            Value::Uuid(id) => visitor.visit_string(id.to_string()),
            Value::Link(link) => visitor.visit_string(link.to_string()),
            Value::List(values) | Value::Set(values) => Self::visit_elements(values, visitor),
            Value::Dictionary(entries) | Value::Object(entries) => {
                visitor.visit_map(Entries { entries: entries.into_iter(), next: None })
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        match self.0 {
            Value::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        visitor.visit_newtype_struct(Self(self.contents(name)?))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        match self.0 {
            value if name == names::VALUE => visitor.visit_enum(AnyValue(value)),
            Value::String(variant) => visitor.visit_enum(variant.into_deserializer()),
            other => Err(ObjectError::expected("the name of a variant", &other)),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

struct Elements {
    values: vec::IntoIter<Value>,
    index: usize,
}

impl<'de> de::SeqAccess<'de> for Elements {
    type Error = ObjectError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>> {
        let Some(value) = self.values.next() else { return Ok(None) };
        let index = self.index;
        self.index += 1;
        seed.deserialize(FromValue(value)).map(Some).map_err(|error| error.within(index))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.values.len())
    }
}

struct Entries {
    entries: btree_map::IntoIter<String, Value>,
    next: Option<(String, Value)>,
}

impl<'de> de::MapAccess<'de> for Entries {
    type Error = ObjectError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.next = self.entries.next();
        let Some((key, _)) = &self.next else { return Ok(None) };
        seed.deserialize(StrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value> {
        let next = self.next.take().ok_or_else(|| ObjectError::new("a value without a key"))?;
        seed.deserialize(FromValue(next.1)).map_err(|error| error.within(next.0))
    }
}

/// A value that tells its type.
struct AnyValue(Value);

impl<'de> de::EnumAccess<'de> for AnyValue {
    type Error = ObjectError;
    type Variant = FromValue;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, FromValue)> {
        let variant = names::variant(&self.0);
        let variant = seed.deserialize(StrDeserializer::<ObjectError>::new(variant))?;
        let contents = match self.0 {
            Value::Set(elements) => Value::List(elements),
            Value::Object(fields) => Value::Dictionary(fields),
            other => other,
        };
        Ok((variant, FromValue(contents)))
    }
}

impl<'de> de::VariantAccess<'de> for FromValue {
    type Error = ObjectError;

    fn unit_variant(self) -> Result<()> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.deserialize_any(visitor)
    }
}
